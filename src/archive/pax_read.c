/* SPDX-License-Identifier: Apache-2.0 */
/* Extended headers, read.  The keys are a table; everything in a record is hostile. */
#include "archive/pax.h"
#include "archive/pax_internal.h"

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "an extended header in the archive is damaged");
}

void pax_init(struct pax *pax)
{
    *pax = (struct pax){
        .path = BUF_INIT, .link = BUF_INIT, .sparse_name = BUF_INIT, .xattrs = BUF_INIT};
}

void pax_clear(struct pax *pax)
{
    pax->has = 0;
    pax->sparse_major = 0;
    pax->sparse_minor = 0;
    sparse_map_clear(&pax->extents);
    buf_clear(&pax->xattrs);
}

void pax_free(struct pax *pax)
{
    buf_free(&pax->path);
    buf_free(&pax->link);
    buf_free(&pax->sparse_name);
    sparse_map_free(&pax->extents);
    buf_free(&pax->xattrs);
}

/* Decimal digits, all of `text`. */
static bool get_uint(struct slice text, uint64_t *value)
{
    const char *digits = text.data;
    uint64_t number = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (digits[i] < '0' || digits[i] > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(digits[i] - '0'), &number))
            return false;
    }
    *value = number;
    return text.length > 0;
}

/* Up to nine digits count; the others are finer than any file system. */
static bool get_fraction(struct slice text, uint32_t *nanoseconds)
{
    const char *digits = text.data;
    uint32_t unit = 100000000;
    *nanoseconds = 0;
    for (size_t i = 0; i < text.length; i++, unit /= 10) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *nanoseconds += (uint32_t)(digits[i] - '0') * unit;
    }
    return true;
}

/* "[-]SECONDS[.FRACTION]" */
static bool get_time(struct slice text, int64_t *seconds, uint32_t *nanoseconds)
{
    const char *at = text.data;
    const char *end = at + text.length;
    bool is_negative = at < end && *at == '-';
    if (is_negative)
        at++;
    const char *point = memchr(at, '.', (size_t)(end - at));
    if (point == NULL)
        point = end;
    const char *fraction = point < end ? point + 1 : end;
    uint64_t whole;
    uint32_t part;
    if (!get_uint(slice_of(at, (size_t)(point - at)), &whole) ||
        !get_fraction(slice_of(fraction, (size_t)(end - fraction)), &part) || whole >= INT64_MAX)
        return false;
    *seconds = is_negative ? -(int64_t)whole : (int64_t)whole;
    *nanoseconds = part;
    if (is_negative && part > 0) {
        *seconds -= 1;
        *nanoseconds = 1000000000 - part;
    }
    return true;
}

static int set_text(struct buf *out, struct slice value)
{
    buf_clear(out);
    buf_add(out, value.data, value.length);
    return 0;
}

static int set_uint(uint64_t *out, struct slice value, struct error *err)
{
    return get_uint(value, out) ? 0 : damaged(err);
}

static int read_path(struct pax *pax, struct slice value, struct error *err)
{
    return set_text(&pax->path, value);
}

static int read_link(struct pax *pax, struct slice value, struct error *err)
{
    return set_text(&pax->link, value);
}

static int read_size(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->size_bytes, value, err);
}

static int read_uid(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->uid, value, err);
}

static int read_gid(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->gid, value, err);
}

static int read_mtime(struct pax *pax, struct slice value, struct error *err)
{
    return get_time(value, &pax->mtime_s, &pax->mtime_ns) ? 0 : damaged(err);
}

static int read_sparse_name(struct pax *pax, struct slice value, struct error *err)
{
    return set_text(&pax->sparse_name, value);
}

static int read_sparse_size(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->sparse_size_bytes, value, err);
}

static int read_sparse_major(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->sparse_major, value, err);
}

static int read_sparse_minor(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->sparse_minor, value, err);
}

static int read_sparse_offset(struct pax *pax, struct slice value, struct error *err)
{
    return set_uint(&pax->sparse_offset, value, err);
}

static int read_sparse_length(struct pax *pax, struct slice value, struct error *err)
{
    uint64_t length;
    if (set_uint(&length, value, err) < 0)
        return -1;
    return sparse_map_add(&pax->extents, pax->sparse_offset, length, err);
}

static int read_sparse_map(struct pax *pax, struct slice value, struct error *err)
{
    sparse_map_clear(&pax->extents);
    return sparse_map_add_text(&pax->extents, value, err);
}

static const struct pax_key {
    const char *name;
    unsigned value; /* enum pax_values; 0: part of another */
    int (*read)(struct pax *pax, struct slice value, struct error *err);
} KEYS[] = {
    {"path", PAX_PATH, read_path},
    {"linkpath", PAX_LINK, read_link},
    {"size", PAX_SIZE, read_size},
    {"uid", PAX_UID, read_uid},
    {"gid", PAX_GID, read_gid},
    {"mtime", PAX_MTIME, read_mtime},
    {"GNU.sparse.name", PAX_SPARSE_NAME, read_sparse_name},
    {"GNU.sparse.size", PAX_SPARSE_SIZE, read_sparse_size},
    {"GNU.sparse.realsize", PAX_SPARSE_SIZE, read_sparse_size},
    {"GNU.sparse.major", PAX_SPARSE_VERSION, read_sparse_major},
    {"GNU.sparse.minor", PAX_SPARSE_VERSION, read_sparse_minor},
    {"GNU.sparse.offset", 0, read_sparse_offset},
    {"GNU.sparse.numbytes", 0, read_sparse_length},
    {"GNU.sparse.map", 0, read_sparse_map},
};

static int read_record(struct pax *pax, struct slice key, struct slice value, struct error *err)
{
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        if (!slice_equal(key, slice_str(KEYS[i].name)))
            continue;
        if (value.length == 0) {
            pax->has &= ~KEYS[i].value;
            return 0;
        }
        if (KEYS[i].read(pax, value, err) < 0)
            return -1;
        pax->has |= KEYS[i].value;
        return 0;
    }
    pax_read_xattr(pax, key, value);
    return 0;
}

int pax_read(struct pax *pax, struct slice records, struct error *err)
{
    const char *at = records.data;
    const char *end = at + records.length;
    while (at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        uint64_t length;
        if (blank == NULL || !get_uint(slice_of(at, (size_t)(blank - at)), &length) ||
            length > (uint64_t)(end - at))
            return damaged(err);
        const char *next = at + length;
        const char *key = blank + 1;
        /* At least "=\n" after the blank. */
        if (next < key + 2 || next[-1] != '\n')
            return damaged(err);
        const char *equals = memchr(key, '=', (size_t)(next - key));
        if (equals == NULL || equals == key)
            return damaged(err);
        struct slice value = slice_of(equals + 1, (size_t)(next - 1 - equals - 1));
        if (read_record(pax, slice_of(key, (size_t)(equals - key)), value, err) < 0)
            return -1;
        at = next;
    }
    return 0;
}
