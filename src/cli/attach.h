/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include "cli/config.h"

/*
 * The real, absolute path of a directory that may become a server's: it exists, and neither do the node's own
 * backups and state lie inside it, nor it inside them (a backup would contain itself, a restore would
 * remove them).  The caller's to free().
 */
char *attachable_directory(const struct config *config, const char *path, struct error *err);

/* Whether `path` is `directory` or lies below it; both real and absolute. */
bool path_lies_in(const char *path, const char *directory);

#endif
