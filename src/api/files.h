/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_FILES_H
#define API_FILES_H

#include "base/json.h"
#include "snapshot/selection.h"

/*
 * Paths of a backup as both APIs speak of them: relative to the server's root, with or without slashes
 * before them.  In JSON they are texts, so what is not UTF-8 cannot be named there but by its directory;
 * in a query, percent-encoded bytes are bytes.
 */

/*
 * A list of paths: an array of 1 to SELECTION_PATHS_MAX texts of at most ENTRY_PATH_MAX_BYTES.  NULL
 * with INVALID and a text for people; `index_out` then is the item that is wrong, or -1 for the list.
 */
struct selection *api_files_read(const json_t *list, int *index_out, struct error *err);

void api_files_write(struct json_writer *w, const struct selection *files);

#endif
