/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive with an index, the CRCs of whose pages are made right.  Claims: whatever is asked of it ends, with
 * an answer or a named error; lists visit only entries that entry.h allows, and no more than the index says there are.
 */
#include <assert.h>
#include <isa-l/crc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/index_internal.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    LIMIT_TAR_BYTES = 4 << 20,
    CRC_OFFSET = 16,
    LENGTH_OFFSET = 14,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Else nearly all that a fuzzer tries would end at the CRC. */
static void mend_pages(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + INDEX_PAGE_MIN_BYTES <= size; at++) {
        uint8_t *page = bytes + at;
        if (memcmp(page, "\x1f\x8b\x08\x04", 4) != 0 || memcmp(page + 12, "Ri", 2) != 0)
            continue;
        size_t field = index_read_le(page + LENGTH_OFFSET, 2);
        if (field < 4 || field > size - at - CRC_OFFSET)
            continue;
        uint32_t crc = crc32_gzip_refl(0, page + CRC_OFFSET + 4, field - 4);
        for (size_t i = 0; i < 4; i++)
            page[CRC_OFFSET + i] = (uint8_t)(crc >> (8 * i));
    }
}

static bool is_expected(const struct error *err)
{
    return err->code == ERROR_CORRUPT || err->code == ERROR_NOT_FOUND || err->code == ERROR_LIMIT;
}

struct visits {
    uint64_t left;
    struct buf last; /* path */
};

static int visit(const struct entry *entry, void *context, struct error *err)
{
    struct visits *visits = context;
    struct error why = ERROR_INIT;
    assert(entry_check(entry, &why) == 0);
    assert(visits->left > 0);
    visits->left--;
    buf_clear(&visits->last);
    buf_add(&visits->last, entry->path.data, entry->path.length);
    return 0;
}

static void list(int fd, const char *directory, unsigned flags, struct buf *last)
{
    struct error err = ERROR_INIT;
    struct archive_index *index = archive_index_open(fd, &err);
    if (index == NULL) {
        assert(is_expected(&err));
        return;
    }
    struct visits visits = {.left = archive_index_entries(index), .last = BUF_INIT};
    int result = archive_index_list(index, slice_str(directory), flags, visit, &visits, &err);
    assert(result == 0 || is_expected(&err));
    buf_clear(last);
    buf_add(last, visits.last.data, visits.last.length);
    buf_free(&visits.last);
    archive_index_free(index);
}

static void read_source(struct source *source)
{
    struct error err = ERROR_INIT;
    struct report report;
    struct entry entry;
    char chunk[4096];
    report_init(&report);
    entry_init(&entry);
    source->report = &report;
    int more;
    while ((more = source_next(source, &entry, &err)) > 0)
        while (source_read(source, chunk, sizeof(chunk), &err) > 0)
            ;
    assert(more == 0 || is_expected(&err));
    entry_free(&entry);
    report_free(&report);
    source_free(source);
}

static void find_and_read(int fd, struct slice path)
{
    struct error err = ERROR_INIT;
    struct entry entry;
    struct archive_index *index = archive_index_open(fd, &err);
    if (index == NULL)
        return;
    entry_init(&entry);
    assert(archive_index_find(index, path, &entry, &err) == 0 || is_expected(&err));
    entry_free(&entry);
    archive_index_free(index);
    error_clear(&err);
    scope_selection struct selection *selection = selection_new();
    if (path.length == 0 || selection_add(selection, path, &err) < 0)
        return;
    struct archive_read_options options = {.limit_tar_bytes = LIMIT_TAR_BYTES,
                                           .selection = selection};
    lseek(fd, 0, SEEK_SET);
    struct source *source = archive_reader_open(fd, &options, &err);
    if (source != NULL)
        read_source(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    struct buf last = BUF_INIT;
    int fd = memfd_create("index", MFD_CLOEXEC);
    uint8_t *bytes = xmalloc(size + 1);
    memcpy(bytes, data, size);
    mend_pages(bytes, size);
    assert(file_write_all(fd, bytes, size, &err) == 0);
    free(bytes);
    list(fd, "", 0, &last);
    find_and_read(fd, buf_slice(&last));
    list(fd, "d", 0, &last);
    list(fd, "", ARCHIVE_LIST_RECURSIVE, &last);
    find_and_read(fd, buf_slice(&last));

    struct archive_read_options options = {.flags = ARCHIVE_CHECK_INDEX,
                                           .limit_tar_bytes = LIMIT_TAR_BYTES};
    lseek(fd, 0, SEEK_SET);
    struct source *source = archive_reader_open(fd, &options, &err);
    assert(source != NULL || is_expected(&err));
    if (source != NULL)
        read_source(source);
    buf_free(&last);
    close(fd);
    return 0;
}
