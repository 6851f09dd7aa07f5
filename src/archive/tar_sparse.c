/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of sparse files, read in the forms that GNU tar has had for them. */
#include "archive/tar_sparse.h"

#include <inttypes.h>

#include "archive/tar_block.h"
#include "base/mem.h"

enum {
    OLD_MAP_OFFSET = 386, /* of the first extent in the header */
    OLD_MAP_COUNT = 4,
    OLD_MORE_OFFSET = 482,
    OLD_REAL_SIZE_OFFSET = 483,
    OLD_NEXT_COUNT = 21, /* extents in a block that follows */
    OLD_NEXT_MORE_OFFSET = 504,
    OLD_NUMBER_BYTES = 12,
    OLD_EXTENT_BYTES = 2 * OLD_NUMBER_BYTES,

    LINE_MAX_BYTES = 21, /* a number of 64 bits and its line end */
};

static int damaged(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the map of a sparse file in the archive is damaged");
}

void sparse_map_clear(struct sparse_map *map)
{
    map->count = 0;
    map->data_bytes = 0;
}

void sparse_map_free(struct sparse_map *map)
{
    free(map->extents);
    *map = (struct sparse_map){0};
}

int sparse_map_add(struct sparse_map *map, uint64_t offset, uint64_t length, struct error *err)
{
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return damaged(err);
    struct extent *last = map->count > 0 ? &map->extents[map->count - 1] : NULL;
    if (last != NULL && offset < last->offset + last->length)
        return damaged(err);
    if (length == 0) /* GNU tar marks the end of a file with a hole at its end so */
        return 0;
    map->data_bytes += length;
    if (last != NULL && offset == last->offset + last->length) {
        last->length += length;
        return 0;
    }
    if (map->count == ENTRY_EXTENTS_MAX)
        return error_set(err, ERROR_LIMIT, "a sparse file in the archive has more than %d pieces",
                         ENTRY_EXTENTS_MAX);
    if (map->count == map->capacity) {
        map->capacity = map->capacity == 0 ? 16 : 2 * map->capacity;
        map->extents = xreallocarray(map->extents, map->capacity, sizeof(*map->extents));
    }
    map->extents[map->count++] = (struct extent){.offset = offset, .length = length};
    return 0;
}

/* Digits up to `end` or a character that is none. */
static bool get_decimal(const char **at, const char *end, uint64_t *value)
{
    const char *start = *at;
    *value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
            return false;
    }
    return *at > start;
}

int sparse_map_add_text(struct sparse_map *map, struct slice text, struct error *err)
{
    const char *at = text.data;
    const char *end = at + text.length;
    while (at < end) {
        uint64_t offset;
        uint64_t length;
        if (!get_decimal(&at, end, &offset) || at == end || *at++ != ',' ||
            !get_decimal(&at, end, &length) || (at < end && *at++ != ','))
            return damaged(err);
        if (sparse_map_add(map, offset, length, err) < 0)
            return -1;
    }
    return 0;
}

/* A run of old extents; one that begins with NUL is not used, nor those after it. */
static int add_old(struct sparse_map *map, const uint8_t *block, uint16_t start, size_t count,
                   struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t at = (uint16_t)(start + i * OLD_EXTENT_BYTES);
        struct tar_field offset_field = {at, OLD_NUMBER_BYTES};
        struct tar_field length_field = {(uint16_t)(at + OLD_NUMBER_BYTES), OLD_NUMBER_BYTES};
        int64_t offset;
        int64_t length;
        if (block[at] == '\0' && block[at + OLD_NUMBER_BYTES] == '\0')
            return 0;
        if (!tar_get_number(block, offset_field, &offset) ||
            !tar_get_number(block, length_field, &length) || offset < 0 || length < 0)
            return damaged(err);
        if (sparse_map_add(map, (uint64_t)offset, (uint64_t)length, err) < 0)
            return -1;
    }
    return 0;
}

int sparse_map_read_old(struct sparse_map *map, const uint8_t *header, struct read_ahead *bytes,
                        uint64_t *real_size_bytes, struct error *err)
{
    int64_t real_size;
    struct tar_field real_size_field = {OLD_REAL_SIZE_OFFSET, OLD_NUMBER_BYTES};
    if (!tar_get_number(header, real_size_field, &real_size) || real_size < 0)
        return damaged(err);
    sparse_map_clear(map);
    if (add_old(map, header, OLD_MAP_OFFSET, OLD_MAP_COUNT, err) < 0)
        return -1;
    uint8_t block[TAR_BLOCK_BYTES];
    for (bool has_more = header[OLD_MORE_OFFSET] != 0; has_more;
         has_more = block[OLD_NEXT_MORE_OFFSET] != 0) {
        if (read_ahead_copy(bytes, block, sizeof(block), err) < 0 ||
            add_old(map, block, 0, OLD_NEXT_COUNT, err) < 0)
            return -1;
    }
    *real_size_bytes = (uint64_t)real_size;
    return 0;
}

/* The numbers of a 1.0 map, one at a time. */
struct map_lines {
    struct read_ahead *bytes;
    uint64_t read_bytes;
    uint64_t limit_bytes; /* what the entry has */
};

static int read_line(struct map_lines *lines, uint64_t *number, struct error *err)
{
    char text[LINE_MAX_BYTES];
    size_t length = 0;
    do {
        if (length == sizeof(text) || lines->read_bytes == lines->limit_bytes)
            return damaged(err);
        if (read_ahead_copy(lines->bytes, &text[length], 1, err) < 0)
            return -1;
        lines->read_bytes++;
    } while (text[length++] != '\n');
    const char *at = text;
    const char *end = text + length - 1;
    return get_decimal(&at, end, number) && at == end ? 0 : damaged(err);
}

int sparse_map_read(struct sparse_map *map, struct read_ahead *bytes, uint64_t *size_bytes,
                    struct error *err)
{
    struct map_lines lines = {.bytes = bytes, .limit_bytes = *size_bytes};
    uint64_t count;
    if (read_line(&lines, &count, err) < 0)
        return -1;
    sparse_map_clear(map);
    for (; count > 0; count--) {
        uint64_t offset;
        uint64_t length;
        if (read_line(&lines, &offset, err) < 0 || read_line(&lines, &length, err) < 0 ||
            sparse_map_add(map, offset, length, err) < 0)
            return -1;
    }
    size_t padding = tar_padding(lines.read_bytes);
    if (lines.read_bytes + padding > *size_bytes)
        return damaged(err);
    *size_bytes -= lines.read_bytes + padding;
    return read_ahead_skip(bytes, padding, err);
}

int sparse_map_apply(const struct sparse_map *map, uint64_t real_size_bytes, uint64_t content_bytes,
                     struct entry *entry, struct error *err)
{
    const struct extent *last = map->count > 0 ? &map->extents[map->count - 1] : NULL;
    if (real_size_bytes > INT64_MAX || map->data_bytes != content_bytes ||
        (last != NULL && last->offset + last->length > real_size_bytes))
        return damaged(err);
    entry->size_bytes = real_size_bytes;
    entry->stored_bytes = content_bytes;
    if (content_bytes == real_size_bytes)
        return 0;
    return entry_set_extents(entry, map->extents, map->count, err);
}
