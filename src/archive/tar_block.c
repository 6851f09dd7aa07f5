/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a tar header, read and written. */
#include "archive/tar_block.h"

#include <string.h>

bool tar_put_octal(uint8_t *block, struct tar_field field, uint64_t value)
{
    uint8_t *at = block + field.offset;
    at[field.width - 1] = '\0';
    for (size_t i = field.width - 1; i-- > 0; value >>= 3)
        at[i] = (uint8_t)('0' + (value & 7));
    return value == 0;
}

size_t tar_text_length(const uint8_t *block, struct tar_field field)
{
    return strnlen((const char *)block + field.offset, field.width);
}

/* Two's complement, big-endian; the top bit says that it is one. */
static bool get_base256(const uint8_t *at, size_t width, int64_t *value)
{
    bool is_negative = (at[0] & 0x40) != 0;
    uint64_t bits = is_negative ? UINT64_MAX : 0;
    const uint8_t fill = is_negative ? 0xff : 0;
    for (size_t i = 0; i < width; i++) {
        uint8_t byte = i > 0 ? at[i] : (uint8_t)((at[0] & 0x7f) | (is_negative ? 0x80 : 0));
        if ((uint8_t)(bits >> 56) != fill)
            return false;
        bits = bits << 8 | byte;
    }
    if ((bits >> 63 != 0) != is_negative)
        return false;
    *value = (int64_t)bits;
    return true;
}

bool tar_get_number(const uint8_t *block, struct tar_field field, int64_t *value)
{
    const uint8_t *at = block + field.offset;
    const uint8_t *end = at + field.width;
    if ((*at & 0x80) != 0)
        return get_base256(at, field.width, value);
    while (at < end && *at == ' ')
        at++;
    uint64_t number = 0;
    for (; at < end && *at >= '0' && *at <= '7'; at++) {
        if (number >> 60 != 0)
            return false;
        number = number << 3 | (uint64_t)(*at - '0');
    }
    if (at < end && *at != ' ' && *at != '\0')
        return false;
    *value = (int64_t)number;
    return true;
}

static void sum(const uint8_t *block, int64_t *unsigned_sum, int64_t *signed_sum)
{
    *unsigned_sum = 0;
    *signed_sum = 0;
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
        bool is_checksum =
            i >= TAR_CHECKSUM.offset && i < (size_t)TAR_CHECKSUM.offset + TAR_CHECKSUM.width;
        uint8_t byte = is_checksum ? ' ' : block[i];
        *unsigned_sum += byte;
        *signed_sum += (int8_t)byte;
    }
}

void tar_put_checksum(uint8_t *block)
{
    int64_t unsigned_sum;
    int64_t signed_sum;
    sum(block, &unsigned_sum, &signed_sum);
    /* Six digits, a NUL and a blank: as tar has always done. */
    tar_put_octal(block, (struct tar_field){TAR_CHECKSUM.offset, 7}, (uint64_t)unsigned_sum);
    block[TAR_CHECKSUM.offset + 7] = ' ';
}

bool tar_checksum_is_right(const uint8_t *block)
{
    int64_t unsigned_sum;
    int64_t signed_sum;
    int64_t expected;
    sum(block, &unsigned_sum, &signed_sum);
    return tar_get_number(block, TAR_CHECKSUM, &expected) &&
           (expected == unsigned_sum || expected == signed_sum);
}

bool tar_is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_BYTES - 1) == 0;
}
