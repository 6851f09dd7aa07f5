/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink: entries become a tar.
 *
 *     [ pax header 512 | its records, filled up to 512 ]   only where ustar cannot say it
 *     header 512
 *     [ map of a sparse file, filled up to 512 ] content, filled up to 512
 *     …
 *     two blocks of zeros
 *
 * The pieces of a sparse file are widened to whole blocks of 512 with zeros, because GNU tar reads
 * each piece from the start of a block.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "archive/archive.h"
#include "archive/gzip_writer.h"
#include "archive/index_write.h"
#include "archive/pax.h"
#include "archive/tar_block.h"
#include "base/mem.h"
#include "base/text.h"

enum {
    LARGE_FILE_BYTES = 64 << 10, /* worth to align the look at its pages */
    END_BLOCKS = 2,
    SHORT_NAME_BYTES = 80, /* of a name that stands behind a word of ours */
    HEADER_MODE = 0644,    /* of a header that is an entry of its own */
};

struct archive_writer {
    struct sink sink;
    struct gzip_writer *gzip;
    struct index_writer *index;
    struct archive_result result;
    struct buf name; /* of the entry, as it stands in the tar */
    struct buf records;
    struct buf map;

    /* The content of the current file.  Without holes it is one extent. */
    struct extent *extents;
    size_t extent_count;
    size_t extent_capacity;
    size_t extent;        /* the current one, */
    uint64_t extent_done; /* and how much of it was written */
    uint64_t size_bytes;
    uint64_t content_bytes; /* in the tar, without the padding */
};

/* A header on its way; what ustar has no room for goes into the records. */
struct tar_header {
    char type;
    struct slice name;
    struct slice link;
    mode_t mode;
    uint64_t uid;
    uint64_t gid;
    uint64_t size_bytes;
    int64_t mtime_s;
    uint32_t mtime_ns;
};

static struct archive_writer *writer_of(struct sink *sink)
{
    return (struct archive_writer *)sink;
}

static void put_text(uint8_t *block, struct tar_field field, struct slice text)
{
    size_t length = text.length < field.width ? text.length : field.width;
    memcpy(block + field.offset, text.data, length);
}

/* The name, cut at a slash into prefix and name where it must be.  False: it does not fit. */
static bool put_name(uint8_t *block, struct slice name)
{
    put_text(block, TAR_NAME, name);
    if (name.length <= TAR_NAME.width)
        return true;
    const char *bytes = name.data;
    size_t first = name.length - TAR_NAME.width - 1; /* the leftmost slash that is enough */
    for (size_t at = first; at <= TAR_PREFIX.width && at + 1 < name.length; at++) {
        if (bytes[at] != '/' || at == 0)
            continue;
        memset(block + TAR_NAME.offset, 0, TAR_NAME.width);
        put_text(block, TAR_NAME, slice_of(bytes + at + 1, name.length - at - 1));
        put_text(block, TAR_PREFIX, slice_of(bytes, at));
        return true;
    }
    return false;
}

/* False: the digits do not suffice, and the largest number that they say stands there. */
static bool put_number(uint8_t *block, struct tar_field field, uint64_t value)
{
    if (tar_put_octal(block, field, value))
        return true;
    memset(block + field.offset, '7', field.width - 1);
    return false;
}

static bool is_ascii(struct slice text)
{
    const uint8_t *bytes = text.data;
    uint8_t all = 0;
    for (size_t i = 0; i < text.length; i++)
        all |= bytes[i];
    return all < 0x80;
}

/* Names in ustar are ASCII by the standard; bytes that are no text stand there as they are. */
static bool wants_record(struct slice text, bool fits)
{
    return !fits || (!is_ascii(text) && utf8_is_valid(text));
}

/* Fill `block` with all that ustar can say, and the records with the rest. */
static void format_header(const struct tar_header *header, uint8_t *block, struct buf *records)
{
    memset(block, 0, TAR_BLOCK_BYTES);
    bool name_fits = put_name(block, header->name);
    bool link_fits = header->link.length <= TAR_LINK.width;
    bool name_record = wants_record(header->name, name_fits);
    bool link_record = wants_record(header->link, link_fits);
    put_text(block, TAR_LINK, header->link);
    if ((name_record && !utf8_is_valid(header->name)) ||
        (link_record && !utf8_is_valid(header->link)))
        pax_add(records, "hdrcharset", slice_str("BINARY"));
    if (name_record)
        pax_add(records, "path", header->name);
    if (link_record)
        pax_add(records, "linkpath", header->link);

    put_number(block, TAR_MODE, header->mode);
    if (!put_number(block, TAR_UID, header->uid))
        pax_add_uint(records, "uid", header->uid);
    if (!put_number(block, TAR_GID, header->gid))
        pax_add_uint(records, "gid", header->gid);
    if (!put_number(block, TAR_SIZE, header->size_bytes))
        pax_add_uint(records, "size", header->size_bytes);
    uint64_t positive_s = header->mtime_s > 0 ? (uint64_t)header->mtime_s : 0;
    if (!put_number(block, TAR_MTIME, positive_s) || header->mtime_s < 0 || header->mtime_ns != 0)
        pax_add_time(records, "mtime", header->mtime_s, header->mtime_ns);

    block[TAR_TYPE.offset] = (uint8_t)header->type;
    put_text(block, TAR_MAGIC, slice_of("ustar\00000", 8));
    tar_put_octal(block, TAR_MAJOR, 0);
    tar_put_octal(block, TAR_MINOR, 0);
    tar_put_checksum(block);
}

static struct slice base_name(struct slice path)
{
    const char *slash = memrchr(path.data, '/', path.length);
    const char *start = slash == NULL ? path.data : slash + 1;
    size_t length = path.length - (size_t)(start - (const char *)path.data);
    return slice_of(start, length < SHORT_NAME_BYTES ? length : SHORT_NAME_BYTES);
}

static int write_records(struct archive_writer *writer, struct slice path, struct error *err)
{
    if (writer->records.length == 0)
        return 0;
    struct slice base = base_name(path);
    char name[SHORT_NAME_BYTES + 16];
    int length =
        snprintf(name, sizeof(name), "PaxHeaders/%.*s", (int)base.length, (const char *)base.data);
    struct tar_header header = {
        .type = 'x',
        .name = slice_of(name, (size_t)length),
        .link = slice_str(""),
        .mode = HEADER_MODE,
        .size_bytes = writer->records.length,
    };
    uint8_t block[TAR_BLOCK_BYTES];
    scope_buf struct buf none = BUF_INIT; /* short ASCII needs no records; other bytes are cut */
    format_header(&header, block, &none);
    if (gzip_writer_add(writer->gzip, block, sizeof(block), err) < 0 ||
        gzip_writer_add(writer->gzip, writer->records.data, writer->records.length, err) < 0)
        return -1;
    return gzip_writer_add_zeros(writer->gzip, tar_padding(writer->records.length), err);
}

static uint64_t extent_end(const struct extent *extent)
{
    return extent->offset + extent->length;
}

static uint64_t block_start(uint64_t offset)
{
    return offset / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
}

/* Where the block of an extent's last byte ends, or the file. */
static uint64_t block_end(const struct archive_writer *writer, const struct extent *extent)
{
    uint64_t end = extent_end(extent) + tar_padding(extent_end(extent));
    return end < writer->size_bytes ? end : writer->size_bytes;
}

/* Zeros before the extent `i`, which widen it, and those after the one before it. */
static uint64_t zeros_before(const struct archive_writer *writer, size_t i)
{
    const struct extent *extent = &writer->extents[i];
    uint64_t start = block_start(extent->offset);
    if (i == 0)
        return extent->offset - start;
    const struct extent *before = extent - 1;
    if (start <= block_end(writer, before)) /* they are one piece in the archive */
        return extent->offset - extent_end(before);
    return block_end(writer, before) - extent_end(before) + extent->offset - start;
}

static void add_piece(struct archive_writer *writer, size_t *count, uint64_t offset,
                      uint64_t length)
{
    buf_printf(&writer->map, "%" PRIu64 "\n%" PRIu64 "\n", offset, length);
    writer->content_bytes += length;
    (*count)++;
}

/* GNU's format 1.0: the count, then offset and length of each piece, in lines. */
static void format_map(struct archive_writer *writer)
{
    size_t count = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    buf_clear(&writer->map);
    writer->content_bytes = 0;
    for (size_t i = 0; i < writer->extent_count; i++) {
        uint64_t next = block_start(writer->extents[i].offset);
        if (i > 0 && next > end)
            add_piece(writer, &count, start, end - start);
        if (i == 0 || next > end)
            start = next;
        end = block_end(writer, &writer->extents[i]);
    }
    if (end > start)
        add_piece(writer, &count, start, end - start);
    if (end < writer->size_bytes) /* a hole at the end, as GNU tar marks it */
        add_piece(writer, &count, writer->size_bytes, 0);

    char line[24];
    int length = snprintf(line, sizeof(line), "%zu\n", count);
    buf_add(&writer->map, line, (size_t)length);
    memmove(writer->map.data + length, writer->map.data, writer->map.length - (size_t)length);
    memcpy(writer->map.data, line, (size_t)length);
    buf_add_zeros(&writer->map, tar_padding(writer->map.length));
}

static void copy_extents(struct archive_writer *writer, const struct extent *extents, size_t count)
{
    if (count > writer->extent_capacity) {
        writer->extents = xreallocarray(writer->extents, count, sizeof(*extents));
        writer->extent_capacity = count;
    }
    if (count > 0)
        memcpy(writer->extents, extents, count * sizeof(*extents));
    writer->extent_count = count;
    writer->extent = 0;
    writer->extent_done = 0;
}

static void start_content(struct archive_writer *writer, const struct entry *entry)
{
    writer->size_bytes = entry->size_bytes;
    if (entry->extents != NULL) {
        copy_extents(writer, entry->extents, entry->extent_count);
        format_map(writer);
        return;
    }
    struct extent all = {.length = entry->size_bytes};
    copy_extents(writer, &all, entry->size_bytes > 0 ? 1 : 0);
    writer->content_bytes = entry->size_bytes;
}

/* After the last byte of the content: what widens the last piece, and the padding. */
static int end_content(struct archive_writer *writer, struct error *err)
{
    size_t zeros = tar_padding(writer->content_bytes);
    if (writer->extent_count > 0) {
        const struct extent *last = &writer->extents[writer->extent_count - 1];
        zeros += (size_t)(block_end(writer, last) - extent_end(last));
    }
    return gzip_writer_add_zeros(writer->gzip, zeros, err);
}

static void add_sparse_records(struct archive_writer *writer, const struct entry *entry)
{
    if (!utf8_is_valid(buf_slice(&entry->path)))
        pax_add(&writer->records, "hdrcharset", slice_str("BINARY"));
    pax_add_uint(&writer->records, "GNU.sparse.major", 1);
    pax_add_uint(&writer->records, "GNU.sparse.minor", 0);
    pax_add(&writer->records, "GNU.sparse.name", buf_slice(&entry->path));
    pax_add_uint(&writer->records, "GNU.sparse.realsize", entry->size_bytes);
}

/* What a sparse file is called for those who do not know sparse files. */
static void set_sparse_name(struct archive_writer *writer, const struct entry *entry)
{
    struct slice base = base_name(buf_slice(&entry->path));
    buf_clear(&writer->name);
    buf_add_str(&writer->name, "GNUSparseFile.0/");
    if (is_ascii(base))
        buf_add(&writer->name, base.data, base.length);
    else
        buf_add_str(&writer->name, "file");
}

static void set_name(struct archive_writer *writer, const struct entry *entry)
{
    buf_clear(&writer->name);
    if (entry->path.length == 0)
        buf_add_char(&writer->name, '.');
    buf_add(&writer->name, entry->path.data, entry->path.length);
    if (entry->type == ENTRY_DIRECTORY)
        buf_add_char(&writer->name, '/');
}

static char type_of(const struct entry *entry)
{
    switch (entry->type) {
    case ENTRY_FILE:
        return '0';
    case ENTRY_DIRECTORY:
        return '5';
    case ENTRY_SYMLINK:
        return '2';
    case ENTRY_HARDLINK:
        return '1';
    }
    return '0';
}

static int write_entry(struct sink *sink, const struct entry *entry, struct error *err)
{
    struct archive_writer *writer = writer_of(sink);
    bool is_file = entry->type == ENTRY_FILE;
    bool is_sparse = is_file && entry->extents != NULL;
    bool is_link = entry->type == ENTRY_SYMLINK || entry->type == ENTRY_HARDLINK;
    buf_clear(&writer->records);
    buf_clear(&writer->map);
    set_name(writer, entry);
    if (is_file)
        start_content(writer, entry);
    if (is_sparse) {
        set_sparse_name(writer, entry);
        add_sparse_records(writer, entry);
    }
    pax_add_xattrs(&writer->records, buf_slice(&entry->xattrs));
    struct tar_header header = {
        .type = type_of(entry),
        .name = buf_slice(&writer->name),
        .link = is_link ? buf_slice(&entry->link) : slice_str(""),
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .size_bytes = is_file ? writer->content_bytes + writer->map.length : 0,
        .mtime_s = entry->mtime_s,
        .mtime_ns = entry->mtime_ns,
    };
    uint8_t block[TAR_BLOCK_BYTES];
    format_header(&header, block, &writer->records);
    index_writer_entry(writer->index, entry, gzip_writer_position(writer->gzip));
    if (write_records(writer, buf_slice(&entry->path), err) < 0 ||
        gzip_writer_add(writer->gzip, block, sizeof(block), err) < 0 ||
        gzip_writer_add(writer->gzip, writer->map.data, writer->map.length, err) < 0)
        return -1;
    if (is_file && entry->stored_bytes >= LARGE_FILE_BYTES)
        gzip_writer_mark_content(writer->gzip);
    return is_file && entry->stored_bytes == 0 ? end_content(writer, err) : 0;
}

static int write_content(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
    struct archive_writer *writer = writer_of(sink);
    const uint8_t *next = bytes;
    while (length > 0) {
        assert(writer->extent < writer->extent_count);
        const struct extent *extent = &writer->extents[writer->extent];
        if (writer->extent_done == 0 &&
            gzip_writer_add_zeros(writer->gzip, zeros_before(writer, writer->extent), err) < 0)
            return -1;
        uint64_t left = extent->length - writer->extent_done;
        size_t part = length < left ? length : (size_t)left;
        if (gzip_writer_add(writer->gzip, next, part, err) < 0)
            return -1;
        writer->extent_done += part;
        next += part;
        length -= part;
        if (writer->extent_done == extent->length) {
            writer->extent++;
            writer->extent_done = 0;
        }
    }
    return writer->extent == writer->extent_count ? end_content(writer, err) : 0;
}

static int write_end(struct sink *sink, struct error *err)
{
    struct archive_writer *writer = writer_of(sink);
    if (gzip_writer_add_zeros(writer->gzip, END_BLOCKS * TAR_BLOCK_BYTES, err) < 0)
        return -1;
    return gzip_writer_finish(writer->gzip, &writer->result, err);
}

static void free_writer(struct sink *sink)
{
    struct archive_writer *writer = writer_of(sink);
    gzip_writer_free(writer->gzip);
    index_writer_free(writer->index);
    buf_free(&writer->name);
    buf_free(&writer->records);
    buf_free(&writer->map);
    free(writer->extents);
    free(writer);
}

static const struct sink_ops WRITER_OPS = {
    .entry = write_entry,
    .write = write_content,
    .finish = write_end,
    .free = free_writer,
};

struct sink *archive_writer_open(int fd, const struct archive_options *options, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        error_set_os(err, errno, "writing an archive");
        return NULL;
    }
    if ((flags & O_ACCMODE) == O_RDONLY) {
        error_set(err, ERROR_INVALID, "writing an archive: the file is open for reading only");
        return NULL;
    }
    struct archive_writer *writer = xcalloc(1, sizeof(*writer));
    writer->sink.ops = &WRITER_OPS;
    writer->name = (struct buf)BUF_INIT;
    writer->records = (struct buf)BUF_INIT;
    writer->map = (struct buf)BUF_INIT;
    writer->index = index_writer_create();
    writer->gzip = gzip_writer_create(fd, options);
    gzip_writer_set_index(writer->gzip, writer->index);
    return &writer->sink;
}

const struct archive_result *archive_writer_result(const struct sink *sink)
{
    return &((const struct archive_writer *)sink)->result;
}
