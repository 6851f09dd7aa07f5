/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_INDEX_CHECK_H
#define ARCHIVE_INDEX_CHECK_H

#include "snapshot/entry.h"

/* Holds all of an archive's index against the archive, while that is read from its start. */
struct index_check;

/* 0 with `*check` NULL where the archive has no index.  CORRUPT: it is damaged. */
int index_check_open(int fd, struct index_check **check, struct error *err);
void index_check_free(struct index_check *check); /* NULL is fine */

/* The next entry, whose first header is at `tar_start`.  CORRUPT: the index says otherwise. */
int index_check_entry(struct index_check *check, const struct entry *entry, uint64_t tar_start,
                      struct error *err);

/* After the last one, and all else of the tar. */
int index_check_finish(struct index_check *check, uint64_t tar_bytes, struct error *err);

#endif
