/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain tar, with its headers' checksums made right.  Claims: reading ends, and an entry's content
 * has the size that it says.
 */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/tar_block.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    LIMIT_TAR_BYTES = 16 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_content(struct source *source, const struct entry *entry)
{
    struct error err = ERROR_INIT;
    char chunk[4096];
    uint64_t done = 0;
    ssize_t got;
    while ((got = source_read(source, chunk, sizeof(chunk), &err)) > 0)
        done += (uint64_t)got;
    assert(got < 0 || done == entry->stored_bytes);
}

/* Else nearly all that a fuzzer tries would end at the checksum. */
static void mend_checksums(uint8_t *tar, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK_BYTES <= size; at += TAR_BLOCK_BYTES)
        if (memcmp(tar + at + TAR_MAGIC.offset, "ustar", 5) == 0)
            tar_put_checksum(tar + at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    int fd = memfd_create("tar", MFD_CLOEXEC);
    uint8_t *tar = xmalloc(size + 1);
    memcpy(tar, data, size);
    mend_checksums(tar, size);
    assert(file_write_all(fd, tar, size, &err) == 0);
    free(tar);
    lseek(fd, 0, SEEK_SET);
    struct archive_read_options options = {.flags = ARCHIVE_WITH_XATTRS,
                                           .limit_tar_bytes = LIMIT_TAR_BYTES};
    struct source *source = archive_reader_open(fd, &options, &err);
    struct report report;
    struct entry entry;
    report_init(&report);
    entry_init(&entry);
    source->report = &report;
    int more;
    while ((more = source_next(source, &entry, &err)) > 0)
        if (entry.mtime_s % 2 == 0) /* the others are skipped */
            read_content(source, &entry);
    /* source.h refuses what the reader must not give: entries that break the rules of entry.h. */
    assert(more == 0 || err.code == ERROR_CORRUPT || err.code == ERROR_LIMIT);
    source_free(source);
    entry_free(&entry);
    report_free(&report);
    close(fd);
    return 0;
}
