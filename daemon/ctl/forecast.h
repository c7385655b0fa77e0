/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-objects.h"
#include "mountinfo.h"
#include "plan.h"

/* What wslbared would do next with a volume: the plan, of what can be seen from outside. Pure. */

typedef struct ForecastInput {
        const VolumeConfig *config; /* as the file is now */
        const ClientVolume *volume; /* NULL: wslbared has not loaded the file */
        const ClientDevice *devices;
        size_t n_devices;
        const Mountinfo *mounts;
        uint64_t now_usec; /* client_now() */
} ForecastInput;

typedef struct Forecast {
        const char *state;    /* of the volume, now */
        PlanAction action;    /* the next one, or that is at work */
        const Device *device; /* one of DEVICES, NULL none */
        char *why;            /* nothing is to be done, or what is the matter; "": all is said */
} Forecast;

/* 0 or -ENOMEM. */
int forecast_make(const ForecastInput *in, Forecast *ret);
void forecast_done(Forecast *f);
