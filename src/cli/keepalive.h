/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_KEEPALIVE_H
#define CLI_KEEPALIVE_H

#include "cli/operation.h"

/*
 * systemd's watchdog (sd_watchdog_enabled(3)): where $WATCHDOG_USEC asks for it, a thread says "WATCHDOG=1" twice in
 * that time, each time after it has asked every part.  A part that refuses is still alive (a full disk is not mended by
 * a restart); one that does not answer at all silences the thread, and the service manager restarts the program.
 * NULL: nobody asks.  `operation` is borrowed until keepalive_stop(), which must come before its parts are stopped.
 */
struct keepalive;
struct keepalive *keepalive_start(struct operation *operation);
void keepalive_stop(struct keepalive *keepalive); /* NULL is fine */

#endif
