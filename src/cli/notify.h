/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/*
 * Tell systemd (Type=notify) how we are: "READY=1", "STOPPING=1".  Protocol: sd_notify(3), a datagram to
 * $NOTIFY_SOCKET.  Nobody listening is no error.
 */
void notify_manager(const char *state);

#endif
