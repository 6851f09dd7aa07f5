/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source: a tar becomes entries.  Headers that only describe the next one (pax 'x' and 'g',
 * GNU 'L' and 'K') are gathered until an entry comes; what may not be an entry is named in the
 * report and its content skipped.
 *
 * Nothing is believed: a header counts after its checksum, a size bounds what is read and never
 * what is allocated.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "archive/archive.h"
#include "archive/index_check.h"
#include "archive/pax.h"
#include "archive/read_ahead.h"
#include "archive/tar_block.h"
#include "archive/tar_read.h"
#include "archive/tar_sparse.h"
#include "base/mem.h"

enum {
    LINK_MAX_BYTES = 4095, /* what a symbolic link can hold on Linux */
    STAR_MAGIC_OFFSET = 508,
};

struct archive_reader {
    struct archive_source base;
    struct read_ahead *bytes;
    struct index_check *check; /* NULL: nobody asked, or there is no index */
    struct error error;        /* the first one; every later call says it again */
    bool is_ended;
    bool gives_xattrs;

    uint64_t content_bytes; /* of the current entry, still to be read or skipped */
    size_t padding;         /* after it */

    /* Gathered for the next entry. */
    struct pax pax;
    struct buf long_name; /* GNU's; empty: none */
    struct buf long_link;
    struct pax global; /* for all that follow */

    /* Used again for every entry. */
    struct buf name;
    struct buf link;
    struct buf records;
    struct sparse_map map;
};

static struct archive_reader *reader_of(struct source *source)
{
    return (struct archive_reader *)source;
}

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "a header in the archive is damaged");
}

static void forget_gathered(struct archive_reader *reader)
{
    pax_clear(&reader->pax);
    buf_clear(&reader->long_name);
    buf_clear(&reader->long_link);
}

static bool has_gathered(const struct archive_reader *reader)
{
    return reader->pax.has != 0 || reader->long_name.length > 0 || reader->long_link.length > 0;
}

/* Content and padding that nobody read. */
static int skip_rest(struct archive_reader *reader, struct error *err)
{
    uint64_t left = reader->content_bytes + reader->padding;
    reader->content_bytes = 0;
    reader->padding = 0;
    return read_ahead_skip(reader->bytes, left, err);
}

/* The content of a header that describes the next one. */
static int gather(struct archive_reader *reader, struct buf *out, struct error *err)
{
    if (reader->content_bytes > PAX_MAX_BYTES)
        return error_set(err, ERROR_LIMIT,
                         "an extended header in the archive is larger than %d bytes",
                         PAX_MAX_BYTES);
    size_t length = (size_t)reader->content_bytes;
    buf_clear(out);
    reader->content_bytes = 0;
    return read_ahead_append(reader->bytes, out, length, err);
}

static int gather_records(struct archive_reader *reader, struct pax *pax, struct error *err)
{
    if (gather(reader, &reader->records, err) < 0)
        return -1;
    return pax_read(pax, buf_slice(&reader->records), err);
}

static int gather_name(struct archive_reader *reader, struct buf *out, struct error *err)
{
    if (gather(reader, out, err) < 0)
        return -1;
    buf_truncate(out, strnlen(out->data, out->length));
    return 0;
}

static void set_field(struct buf *out, const uint8_t *block, struct tar_field field)
{
    buf_add(out, block + field.offset, tar_text_length(block, field));
}

/* In order of precedence; `name` is what the archive says, with slashes at the end and all. */
static void set_name(struct archive_reader *reader, const uint8_t *block)
{
    struct buf *name = &reader->name;
    const struct buf *gathered = NULL;
    buf_clear(name);
    if ((reader->pax.has & PAX_SPARSE_NAME) != 0)
        gathered = &reader->pax.sparse_name;
    else if ((reader->pax.has & PAX_PATH) != 0)
        gathered = &reader->pax.path;
    else if (reader->long_name.length > 0)
        gathered = &reader->long_name;
    if (gathered != NULL) {
        buf_add(name, gathered->data, gathered->length);
        return;
    }
    /* GNU has other things than a prefix there, and "ustar  " for a magic. */
    bool is_ustar = memcmp(block + TAR_MAGIC.offset, "ustar", 6) == 0;
    bool is_star = memcmp(block + STAR_MAGIC_OFFSET, "tar", 4) == 0;
    struct tar_field prefix = is_star ? TAR_STAR_PREFIX : TAR_PREFIX;
    if (is_ustar && tar_text_length(block, prefix) > 0) {
        set_field(name, block, prefix);
        buf_add_char(name, '/');
    }
    set_field(name, block, TAR_NAME);
}

static void set_link(struct archive_reader *reader, const uint8_t *block)
{
    buf_clear(&reader->link);
    if ((reader->pax.has & PAX_LINK) != 0)
        buf_add(&reader->link, reader->pax.link.data, reader->pax.link.length);
    else if (reader->long_link.length > 0)
        buf_add(&reader->link, reader->long_link.data, reader->long_link.length);
    else
        set_field(&reader->link, block, TAR_LINK);
}

/* All ones mean "leave it" to chown(), so that they are nobody's. */
static int get_owner(const uint8_t *block, struct tar_field field, uint32_t *owner,
                     struct error *err)
{
    int64_t number;
    if (!tar_get_number(block, field, &number) || number < 0 || number >= UINT32_MAX)
        return damaged(err);
    *owner = (uint32_t)number;
    return 0;
}

/* What extended headers say instead. */
static int override_from(const struct pax *pax, struct entry *entry, struct error *err)
{
    if (((pax->has & PAX_UID) != 0 && pax->uid >= UINT32_MAX) ||
        ((pax->has & PAX_GID) != 0 && pax->gid >= UINT32_MAX))
        return damaged(err);
    if ((pax->has & PAX_UID) != 0)
        entry->uid = (uid_t)pax->uid;
    if ((pax->has & PAX_GID) != 0)
        entry->gid = (gid_t)pax->gid;
    if ((pax->has & PAX_MTIME) != 0) {
        entry->mtime_s = pax->mtime_s;
        entry->mtime_ns = pax->mtime_ns;
    }
    return 0;
}

static int set_attributes(const struct archive_reader *reader, const uint8_t *block,
                          struct entry *entry, struct error *err)
{
    int64_t mode;
    if (!tar_get_number(block, TAR_MODE, &mode) ||
        !tar_get_number(block, TAR_MTIME, &entry->mtime_s))
        return damaged(err);
    entry->mode = (mode_t)mode & 07777;
    if (get_owner(block, TAR_UID, &entry->uid, err) < 0 ||
        get_owner(block, TAR_GID, &entry->gid, err) < 0 ||
        override_from(&reader->global, entry, err) < 0)
        return -1;
    return override_from(&reader->pax, entry, err);
}

static bool is_one_of(char type, const char *types)
{
    return type != '\0' && strchr(types, type) != NULL;
}

/* How many bytes follow the header; links, directories and devices have none whatever they say. */
static int set_content_size(struct archive_reader *reader, const uint8_t *block, struct error *err)
{
    int64_t size;
    if (!tar_get_number(block, TAR_SIZE, &size) || size < 0)
        return damaged(err);
    uint64_t size_bytes = (uint64_t)size;
    char type = (char)block[TAR_TYPE.offset];
    if ((reader->pax.has & PAX_SIZE) != 0 && !is_one_of(type, "xgXLK"))
        size_bytes = reader->pax.size_bytes;
    if (size_bytes > INT64_MAX - TAR_BLOCK_BYTES)
        return damaged(err);
    if (is_one_of(type, "123456"))
        size_bytes = 0;
    reader->content_bytes = size_bytes;
    reader->padding = tar_padding(size_bytes);
    return 0;
}

static int set_file_content(struct archive_reader *reader, const uint8_t *block,
                            struct entry *entry, struct error *err)
{
    const struct pax *pax = &reader->pax;
    const struct sparse_map *map = &reader->map;
    uint64_t real_size = pax->sparse_size_bytes;
    if (block[TAR_TYPE.offset] == 'S') {
        if (sparse_map_read_old(&reader->map, block, reader->bytes, &real_size, err) < 0)
            return -1;
    } else if ((pax->has & PAX_SPARSE_SIZE) == 0) {
        entry->size_bytes = reader->content_bytes;
        entry->stored_bytes = reader->content_bytes;
        return 0;
    } else if ((pax->has & PAX_SPARSE_VERSION) == 0) {
        map = &pax->extents;
    } else if (pax->sparse_major == 1 && pax->sparse_minor == 0) {
        if (sparse_map_read(&reader->map, reader->bytes, &reader->content_bytes, err) < 0)
            return -1;
    } else {
        return error_set(err, ERROR_CORRUPT, "the archive has a sparse file of unknown format");
    }
    return sparse_map_apply(map, real_size, reader->content_bytes, entry, err);
}

static int refuse(struct archive_reader *reader, const char *reason)
{
    report_add(reader->base.source.report, REPORT_REFUSED, buf_slice(&reader->name), "%s", reason);
    return 0;
}

/* A path or a link of an entry that may be made; 1: fine, 0: refused. */
static int check_names(struct archive_reader *reader, struct entry *entry)
{
    struct error why = ERROR_INIT;
    if (entry_set_path(entry, buf_slice(&reader->name), &why) < 0)
        return refuse(reader, why.text);
    if (entry->type != ENTRY_DIRECTORY && entry->path.length == 0)
        return refuse(reader, "it has no name");
    if (entry->type == ENTRY_HARDLINK) {
        if (entry_set_link_path(entry, buf_slice(&reader->link), &why) < 0)
            return refuse(reader, why.text);
        if (entry->link.length == 0)
            return refuse(reader, "a hard link without a target");
    }
    if (entry->type == ENTRY_SYMLINK) {
        if (reader->link.length == 0 || reader->link.length > LINK_MAX_BYTES ||
            memchr(reader->link.data, '\0', reader->link.length) != NULL)
            return refuse(reader, "a symbolic link with an impossible target");
        buf_add(&entry->link, reader->link.data, reader->link.length);
    }
    return 1;
}

/* 1: `type_out` is set; 0: not an entry for us. */
static int entry_type_of(struct archive_reader *reader, char type, enum entry_type *type_out)
{
    const struct buf *name = &reader->name;
    bool has_slash = name->length > 0 && name->data[name->length - 1] == '/';
    switch (type) {
    case '\0':
    case '0':
    case '7':
        /* Before there was a type for directories, the slash said it. */
        *type_out = has_slash ? ENTRY_DIRECTORY : ENTRY_FILE;
        return 1;
    case 'S':
        *type_out = ENTRY_FILE;
        return 1;
    case '1':
        *type_out = ENTRY_HARDLINK;
        return 1;
    case '2':
        *type_out = ENTRY_SYMLINK;
        return 1;
    case '5':
    case 'D': /* GNU: a directory with a list of its names, which we skip */
        *type_out = ENTRY_DIRECTORY;
        return 1;
    case 'V': /* the label of the volume */
        return 0;
    case '3':
    case '4':
        return refuse(reader, "a device");
    case '6':
        return refuse(reader, "a named pipe");
    default:
        return refuse(reader, "an entry of unknown type");
    }
}

/* 1: `entry` is one; 0: it was refused; -1. */
/* What is left out of them is named. */
static void set_xattrs(const struct archive_reader *reader, struct entry *entry)
{
    const struct pax *pax = &reader->pax;
    bool has_them = entry->type == ENTRY_FILE || entry->type == ENTRY_DIRECTORY;
    if (!reader->gives_xattrs || !has_them)
        return;
    buf_add(&entry->xattrs, pax->xattrs.data, pax->xattrs.length);
    if ((pax->has & PAX_XATTRS_LOST) != 0)
        report_add(reader->base.source.report, REPORT_ALTERED, buf_slice(&entry->path),
                   "without some extended attributes, which are too many or malformed");
    if ((pax->has & PAX_ACL_TEXT) != 0)
        report_add(reader->base.source.report, REPORT_ALTERED, buf_slice(&entry->path),
                   "without an access control list, which is stored as text");
}

static int make_entry(struct archive_reader *reader, const uint8_t *block, struct entry *entry,
                      struct error *err)
{
    set_name(reader, block);
    set_link(reader, block);
    if (entry_type_of(reader, (char)block[TAR_TYPE.offset], &entry->type) == 0)
        return 0;
    if (set_attributes(reader, block, entry, err) < 0)
        return -1;
    if (entry->type == ENTRY_FILE && set_file_content(reader, block, entry, err) < 0)
        return -1;
    int made = check_names(reader, entry);
    if (made > 0)
        set_xattrs(reader, entry);
    return made;
}

static int take_header(struct archive_reader *reader, const uint8_t *block, struct entry *entry,
                       struct error *err)
{
    if (!tar_checksum_is_right(block))
        return error_set(err, ERROR_CORRUPT, "it is no tar, or a header in it is damaged");
    if (set_content_size(reader, block, err) < 0)
        return -1;
    switch (block[TAR_TYPE.offset]) {
    case 'x':
    case 'X': /* Solaris */
        return gather_records(reader, &reader->pax, err);
    case 'g':
        return gather_records(reader, &reader->global, err);
    case 'L':
        return gather_name(reader, &reader->long_name, err);
    case 'K':
        return gather_name(reader, &reader->long_link, err);
    default:
        break;
    }
    entry_clear(entry);
    int made = make_entry(reader, block, entry, err);
    forget_gathered(reader);
    return made;
}

/* After the first block of zeros: a second, and nothing but zeros to the end of the file. */
static int read_end(struct archive_reader *reader, struct error *err)
{
    uint8_t block[TAR_BLOCK_BYTES];
    if (read_ahead_copy(reader->bytes, block, sizeof(block), err) < 0)
        return -1;
    if (!tar_is_zero(block) || has_gathered(reader))
        return damaged(err);
    const uint8_t *at;
    ssize_t got;
    while ((got = read_ahead_peek(reader->bytes, &at, err)) > 0) {
        if (at[0] != 0 || memcmp(at, at + 1, (size_t)got - 1) != 0)
            return error_set(err, ERROR_CORRUPT, "something else follows the archive's end");
        read_ahead_take(reader->bytes, (size_t)got);
    }
    return (int)got;
}

static int find_entry(struct archive_reader *reader, struct entry *entry, struct error *err)
{
    uint8_t block[TAR_BLOCK_BYTES];
    int found = 0;
    uint64_t start = 0;
    while (found == 0) {
        if (skip_rest(reader, err) < 0)
            return -1;
        if (!has_gathered(reader))
            start = read_ahead_taken(reader->bytes);
        if (read_ahead_copy(reader->bytes, block, sizeof(block), err) < 0)
            return -1;
        if (tar_is_zero(block))
            return read_end(reader, err);
        found = take_header(reader, block, entry, err);
    }
    if (found > 0 && reader->check != NULL &&
        index_check_entry(reader->check, entry, start, err) < 0)
        return -1;
    return found;
}

static int again(const struct archive_reader *reader, struct error *err)
{
    *err = reader->error;
    return -1;
}

static int next_entry(struct source *source, struct entry *entry, struct error *err)
{
    struct archive_reader *reader = reader_of(source);
    if (error_is_set(&reader->error))
        return again(reader, err);
    if (reader->is_ended)
        return 0;
    int found = find_entry(reader, entry, err);
    if (found == 0 && reader->check != NULL)
        found = index_check_finish(reader->check, read_ahead_taken(reader->bytes), err);
    if (found < 0)
        reader->error = *err;
    if (found == 0)
        reader->is_ended = true;
    return found;
}

static ssize_t read_content(struct source *source, void *bytes, size_t length, struct error *err)
{
    struct archive_reader *reader = reader_of(source);
    if (error_is_set(&reader->error))
        return again(reader, err);
    if (length > reader->content_bytes)
        length = (size_t)reader->content_bytes;
    if (read_ahead_copy(reader->bytes, bytes, length, err) < 0) {
        reader->error = *err;
        return -1;
    }
    reader->content_bytes -= length;
    return (ssize_t)length;
}

static void free_reader(struct source *source)
{
    struct archive_reader *reader = reader_of(source);
    read_ahead_free(reader->bytes);
    index_check_free(reader->check);
    pax_free(&reader->pax);
    pax_free(&reader->global);
    sparse_map_free(&reader->map);
    buf_free(&reader->long_name);
    buf_free(&reader->long_link);
    buf_free(&reader->name);
    buf_free(&reader->link);
    buf_free(&reader->records);
    free(reader);
}

static const struct source_ops READER_OPS = {
    .next = next_entry,
    .read = read_content,
    .free = free_reader,
};

static const struct digest *digest_of_file(const struct archive_source *source)
{
    return read_ahead_digest(((const struct archive_reader *)source)->bytes);
}

static uint64_t position_in_file(const struct archive_source *source)
{
    return read_ahead_position(((const struct archive_reader *)source)->bytes);
}

struct source *tar_reader_open(int fd, const struct archive_read_options *options,
                               struct error *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        error_set_os(err, errno, "reading an archive");
        return NULL;
    }
    if ((flags & O_ACCMODE) == O_WRONLY) {
        error_set(err, ERROR_INVALID, "reading an archive: the file is open for writing only");
        return NULL;
    }
    struct index_check *check = NULL;
    if ((options->flags & ARCHIVE_CHECK_INDEX) != 0 && index_check_open(fd, &check, err) < 0)
        return NULL;
    struct archive_reader *reader = xcalloc(1, sizeof(*reader));
    reader->check = check;
    reader->base.source.ops = &READER_OPS;
    reader->base.digest = digest_of_file;
    reader->base.position = position_in_file;
    reader->gives_xattrs = (options->flags & ARCHIVE_WITH_XATTRS) != 0;
    struct buf *texts[] = {&reader->long_name, &reader->long_link, &reader->name, &reader->link,
                           &reader->records};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = (struct buf)BUF_INIT;
    pax_init(&reader->pax);
    pax_init(&reader->global);
    reader->bytes = read_ahead_create(fd, options);
    return &reader->base.source;
}

int tar_reader_skip(struct source *source, uint64_t length, struct error *err)
{
    return read_ahead_skip(reader_of(source)->bytes, length, err);
}
