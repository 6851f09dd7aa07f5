/* SPDX-License-Identifier: Apache-2.0 */
/* One member of the form that member.c writes -> its bytes.  Everything in it is hostile. */
#include "archive/member.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "base/mem.h"

struct member_unpacker {
    struct inflate_state inflate;
};

struct member_unpacker *member_unpacker_create(void)
{
    struct member_unpacker *unpacker = xcalloc(1, sizeof(*unpacker));
    isal_inflate_init(&unpacker->inflate);
    return unpacker;
}

void member_unpacker_free(struct member_unpacker *unpacker)
{
    free(unpacker);
}

static uint32_t read_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool member_says_length(const uint8_t *header, uint32_t *length_out)
{
    static const uint8_t start[] = {0x1f, 0x8b, 8, 1 << 2}; /* with an extra field only */
    static const uint8_t field[] = {8, 0, 'R', 'o', 4, 0};
    const uint8_t *extra = header + MEMBER_HEADER_BYTES - sizeof(field) - sizeof(uint32_t);
    if (memcmp(header, start, sizeof(start)) != 0 || memcmp(extra, field, sizeof(field)) != 0)
        return false;
    *length_out = read_le32(extra + sizeof(field));
    return true;
}

ssize_t member_unpack(struct member_unpacker *unpacker, const uint8_t *member, size_t length,
                      uint8_t *out, struct error *err)
{
    if (length < MEMBER_MIN_BYTES)
        return error_set(err, ERROR_CORRUPT, "a gzip header in the archive is damaged");
    const uint8_t *trailer = member + length - MEMBER_TRAILER_BYTES;
    struct inflate_state *inflate = &unpacker->inflate;
    inflate->next_in = (uint8_t *)member + MEMBER_HEADER_BYTES;
    inflate->avail_in = (uint32_t)(trailer - inflate->next_in);
    inflate->next_out = out;
    inflate->avail_out = ARCHIVE_BLOCK_BYTES;
    inflate->crc_flag = ISAL_DEFLATE;
    if (isal_inflate_stateless(inflate) != ISAL_DECOMP_OK || inflate->avail_in != 0)
        return error_set(err, ERROR_CORRUPT, "the archive's gzip data is damaged");
    size_t got = ARCHIVE_BLOCK_BYTES - inflate->avail_out;
    if (read_le32(trailer) != crc32_gzip_refl(0, out, got) || read_le32(trailer + 4) != got)
        return error_set(err, ERROR_CORRUPT, "the archive's checksum is wrong");
    return (ssize_t)got;
}
