/* SPDX-License-Identifier: Apache-2.0 */
/* Which way an archive is read. */
#include <unistd.h>

#include "archive/index_internal.h"
#include "archive/tar_read.h"

/* The index, where it can say where everything selected is; or NULL, and all must be read. */
static struct archive_index *usable_index(int fd, const struct archive_read_options *options)
{
    struct error why =
        ERROR_INIT; /* a bad index is as none: what it was good for is done without */
    if ((options->flags & ARCHIVE_WITH_DIGEST) != 0 || options->file_bytes != 0 ||
        lseek(fd, 0, SEEK_CUR) != 0)
        return NULL;
    struct archive_index *index = archive_index_open(fd, &why);
    if (index != NULL && !index_is_sorted(index)) {
        archive_index_free(index);
        return NULL;
    }
    return index;
}

struct source *archive_reader_open(int fd, const struct archive_read_options *options,
                                   struct error *err)
{
    if (options->selection == NULL || selection_is_everything(options->selection))
        return tar_reader_open(fd, options, err);
    struct archive_index *index = usable_index(fd, options);
    if (index == NULL)
        return filter_reader_open(fd, options, err);
    struct source *source = seek_reader_open(fd, options, index, err);
    if (source != NULL || err->code != ERROR_CORRUPT)
        return source;
    error_clear(err);
    return filter_reader_open(fd, options, err);
}

const struct digest *archive_reader_digest(const struct source *source)
{
    const struct archive_source *archive = (const struct archive_source *)source;
    return archive->digest(archive);
}

uint64_t archive_reader_position(const struct source *source)
{
    const struct archive_source *archive = (const struct archive_source *)source;
    return archive->position(archive);
}
