/* SPDX-License-Identifier: Apache-2.0 */
/* The trailer: where a reader of the index begins.  Every number in it was compared with the file when it is given out. */
#include "archive/index_trailer.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/scope.h"

static const char MAGIC[] = "RoostIdx";
enum {
    MAGIC_BYTES = sizeof(MAGIC) - 1,
    ROOT_BYTES = 14,
};
static_assert(MAGIC_BYTES + 4 * 8 + 2 * ROOT_BYTES + 2 == INDEX_TRAILER_RAW_BYTES,
              "the layout is the drawn one");

static void put_root(struct buf *out, const struct index_root *root)
{
    index_put_le(out, root->offset, 8);
    index_put_le(out, root->length, 4);
    index_put_le(out, root->level, 2);
}

void index_trailer_pack(const struct index_trailer *trailer, struct buf *out)
{
    scope_buf struct buf raw = BUF_INIT;
    buf_add(&raw, MAGIC, MAGIC_BYTES);
    index_put_le(&raw, trailer->offset, 8);
    index_put_le(&raw, trailer->tar_bytes, 8);
    index_put_le(&raw, trailer->entries, 8);
    index_put_le(&raw, trailer->members, 8);
    put_root(&raw, &trailer->entry_root);
    put_root(&raw, &trailer->member_root);
    index_put_le(&raw, trailer->flags, 2);
    index_page_pack(NULL, INDEX_TRAILER, buf_slice(&raw), out);
}

static bool get_root(const uint8_t *bytes, uint64_t count, uint64_t end, struct index_root *root)
{
    uint64_t level = index_read_le(bytes + 12, 2);
    root->offset = index_read_le(bytes, 8);
    root->length = index_read_le(bytes + 8, 4);
    root->level = (uint8_t)level;
    if (count == 0)
        return root->offset == 0 && root->length == 0 && level == 0;
    return level <= INDEX_LEVELS_MAX && root->length >= INDEX_PAGE_MIN_BYTES &&
           root->length <= INDEX_PAGE_MAX_BYTES && root->offset <= end &&
           root->length <= end - root->offset;
}

/* Every number against the file and against the others. */
static bool get_all(const uint8_t *raw, struct index_trailer *trailer)
{
    trailer->offset = index_read_le(raw + 8, 8);
    trailer->tar_bytes = index_read_le(raw + 16, 8);
    trailer->entries = index_read_le(raw + 24, 8);
    trailer->members = index_read_le(raw + 32, 8);
    trailer->flags = (uint16_t)index_read_le(raw + 68, 2);
    uint64_t blocks =
        trailer->tar_bytes / ARCHIVE_BLOCK_BYTES + (trailer->tar_bytes % ARCHIVE_BLOCK_BYTES > 0);
    return trailer->tar_bytes <= INT64_MAX && trailer->members == blocks && blocks > 0 &&
           trailer->entries <= trailer->tar_bytes / 512 &&
           get_root(raw + 40, trailer->entries, trailer->offset, &trailer->entry_root) &&
           get_root(raw + 54, trailer->members, trailer->offset, &trailer->member_root);
}

static bool looks_like_trailer(const uint8_t *member)
{
    return memcmp(member + 12, "Ri", 2) == 0 &&
           memcmp(member + INDEX_PAGE_HEAD_BYTES, MAGIC, MAGIC_BYTES) == 0;
}

int index_trailer_read(int fd, struct index_trailer *trailer, struct error *err)
{
    uint8_t member[INDEX_TRAILER_BYTES];
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set_os(err, errno, "looking at the archive");
    if (!S_ISREG(status.st_mode) || status.st_size < INDEX_TRAILER_BYTES)
        return error_set(err, ERROR_NOT_FOUND, "the archive has no index");
    uint64_t offset = (uint64_t)status.st_size - INDEX_TRAILER_BYTES;
    ssize_t got = file_pread_full(fd, member, sizeof(member), offset, err);
    if (got < 0)
        return -1;
    if ((size_t)got < sizeof(member) || !looks_like_trailer(member))
        return error_set(err, ERROR_NOT_FOUND, "the archive has no index");
    scope_buf struct buf raw = BUF_INIT;
    struct index_trailer found;
    if (index_page_unpack(INDEX_TRAILER, slice_of(member, sizeof(member)), &raw, err) < 0)
        return -1;
    if (!get_all((const uint8_t *)raw.data, &found))
        return error_set(err, ERROR_CORRUPT, "the archive's index is damaged");
    if (found.offset != offset)
        return error_set(err, ERROR_CORRUPT, "the index at the archive's end is of another file");
    *trailer = found;
    return 0;
}
