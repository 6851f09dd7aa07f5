/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Points in time are microseconds since 1970 in UTC, in an int64_t whose name
 * ends in `_at_us`; "never" and "not yet" are 0 or a flag that the owner names.
 * Durations name their unit.  All text below is UTC.
 */
enum {
    TIME_TEXT_BYTES = 40
};

int64_t time_now_us(void);       /* the wall clock; may jump */
int64_t time_monotonic_us(void); /* for durations and deadlines; starts anywhere */

/* "2023-10-20T14:30:00+00:00": ISO 8601 as Pterodactyl sends it. */
void time_format_atom(int64_t at_us, char text[TIME_TEXT_BYTES]);

/* "2023-10-20 14:30:00": as Pterodactyl's database columns hold it. */
void time_format_sql(int64_t at_us, char text[TIME_TEXT_BYTES]);

/* "2023-10-20T14:30:00.123Z" */
void time_format_log(int64_t at_us, char text[TIME_TEXT_BYTES]);

/* "Sun, 06 Nov 1994 08:49:37 GMT": HTTP-date of RFC 9110, section 5.6.7. */
void time_format_http(int64_t at_us, char text[TIME_TEXT_BYTES]);

/* Read "YYYY-MM-DD HH:MM:SS", with 'T' or ' ' and an optional fraction, 'Z' or "+00:00". */
int time_parse(const char *text, int64_t *at_us, struct error *err);

#endif
