/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_TAR_READ_H
#define ARCHIVE_TAR_READ_H

#include "archive/archive.h"

/* What every source of this floor is, for archive_reader_digest() and archive_reader_position(). */
struct archive_source {
    struct source source;
    const struct digest *(*digest)(const struct archive_source *source);
    uint64_t (*position)(const struct archive_source *source);
};

/* All entries from the fd's position on; knows no selection. */
struct source *tar_reader_open(int fd, const struct archive_read_options *options,
                               struct error *err);

/* Before the first entry: begin so many bytes further on in the tar. */
int tar_reader_skip(struct source *source, uint64_t length, struct error *err);

/*
 * What is selected: by the index (takes it over, also on failure; CORRUPT: the index is of no use), or out of
 * everything.
 */
struct archive_index;
struct source *seek_reader_open(int fd, const struct archive_read_options *options,
                                struct archive_index *index, struct error *err);
struct source *filter_reader_open(int fd, const struct archive_read_options *options,
                                  struct error *err);

#endif
