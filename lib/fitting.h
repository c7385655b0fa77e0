/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "match.h"
#include "plan.h"

/* The devices that a volume may mean, out of those that are there. Pure. */

/* Moves to the front of DEVICES, of whose N the content is known, those that fit M, but for an
 * encrypted one whose content, unlocked, fits; and behind them the others of their filesystems.
 * All keep their order. They become ->fitting, ->n_fitting and ->n_siblings of IN. */
void fitting_choose(const Match *m, const Device **devices, size_t n, PlanInput *in);
