/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DOWNLOAD_H
#define CLI_DOWNLOAD_H

#include "cli/contact.h"

/*
 * Fetch a completed backup's archive into the file `path` ("-": standard output) and verify its digest.
 * It grows as `path`.part and gets its name when it is whole and right; an interrupted download goes on where it
 * stopped, also in a later run.  CONFLICT: `path` exists.  CORRUPT: the digest is another.  CANCELLED.
 */
int download_backup(struct contact *contact, const char *server,
                    const struct client_backup_view *backup, const char *path,
                    const struct cancel *cancel, struct error *err);

#endif
