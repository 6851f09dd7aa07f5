/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_BACKUP_FILES_H
#define CLI_BACKUP_FILES_H

#include "cli/contact.h"

/* Files in a backup, by the panel's client API; for `roost backup`. */
struct files_place {
    const char *server, *backup;
    const char *path; /* in the backup; "": its root */
};

int files_print(struct contact *contact, const struct files_place *place, bool is_json,
                struct error *err);
int files_cat(struct contact *contact, const struct files_place *place, struct error *err);

/* A file, or a directory as an archive, to `path` ("-": standard output).  CONFLICT: it exists. */
int files_download(struct contact *contact, const struct files_place *place, const char *path,
                   struct error *err);

#endif
