/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include "base/thread.h"

/*
 * Ctrl-C for commands that end by themselves: the first SIGINT, SIGTERM or SIGHUP sets the wish that is
 * returned, so that the command can clean up; a second one ends the program at once.
 */
const struct cancel *stop_on_signal(void);

/* Sleeps, but not longer than until the wish is set.  False: it is set. */
bool stop_sleep(const struct cancel *cancel, unsigned duration_ms);

#endif
