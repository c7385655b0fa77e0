/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "device.h"

/* [Match] of a volume against a device. Pure: values in, a value out. */

typedef struct Match {
        char *uuid;  /* identifiers as parse_identifier() leaves them */
        char *label; /* as text_escape() shows it, like every string of a Device */
        char *part_uuid;
        char *part_label;
        char *disk_guid;
        char *serial;
        char *wwn;
        char *by_id; /* glob on a name below /dev/disk/by-id */
        char *type;
} Match;

/* Whether a key speaks of something else than the content (PartUUID=, Serial=, …): such a volume
 * can be told to fit a device whose content is none, unreadable or contradictory. */
bool match_is_by_hardware(const Match *m);

/* Whether all keys given hold for D. Otherwise *ret_key, where wanted, is the first that does not:
 * the configuration key's name, a static string. */
bool match_device(const Match *m, const Device *d, const char **ret_key);

/* Whether what does not depend on the superblock (PartUUID=, Serial=, …) fits D and the rest is
 * merely not known (D's content was not readable, or its signatures contradict each other). */
bool match_device_but_content(const Match *m, const Device *d);

/* Whether D, of which nobody has looked at the content nor at the partition table, may turn out to
 * fit: nothing that is known of it contradicts M. */
bool match_device_unseen(const Match *m, const Device *d);

/* Whether D, whose content and partition table were looked at, is one that M means: it fits; or its
 * content could not be read or is contradictory, and M names it by something else. A disk that is
 * not ready or has no medium is never meant. Nor is one that holds only a partition table: what it
 * says of itself (Serial=, DiskGUID=) holds for its partitions too, and one of them is meant. */
bool match_fits(const Match *m, const Device *d);

/* Whether a value given in M names this disk under another key (a PARTUUID or disk GUID written as
 * UUID=): returns the key that would be right, else NULL. */
const char *match_confused_key(const Match *m, const Device *d);

/* Where match_fits() says no: why, for a person, as "UUID= wants X, and it is Y". NULL when out of
 * memory. */
char *match_explain(const Match *m, const Device *d);

/* Whether D may be meant all the same: a value in M is D's under another key, or one that
 * identifies holds, or nearly does. */
bool match_is_near(const Match *m, const Device *d);

void match_done(Match *m);
