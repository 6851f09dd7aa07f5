/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_METER_H
#define CLI_METER_H

#include <stdint.h>

/*
 * Progress on standard error.  On a terminal a line that is drawn again and again: a bar where the whole is
 * known, else a spinner; otherwise a plain line every ten seconds.  A thread of its own draws and
 * asks `look` how far things are.
 */
struct meter;

/* `look` may leave both at 0: then only the time is shown.  `total_bytes` 0: not known. */
typedef void meter_look(void *context, uint64_t *done_bytes, uint64_t *total_bytes);

/* `label` is copied; `look` may be NULL. */
struct meter *meter_start(const char *label, meter_look *look, void *context);

/* Ends the drawing and takes the line away again; the caller says what came of it.  NULL is fine. */
void meter_stop(struct meter *meter);

#endif
