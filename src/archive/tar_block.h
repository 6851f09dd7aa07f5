/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_TAR_BLOCK_H
#define ARCHIVE_TAR_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The 512 bytes of a tar header (POSIX.1-2001, pax, "ustar Interchange Format"; GNU tar's manual,
 * "Basic Tar Format", for what GNU has instead of the prefix):
 *
 *     0 name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type 1
 *     157 link 100 | magic 6 | version 2 | uname 32 | gname 32 | major 8 | minor 8 | prefix 155
 *
 * GNU, type 'S': at 386 four extents of 2 × 12, at 482 "more follow", at 483 the real size.
 */
enum {
    TAR_BLOCK_BYTES = 512,
};

struct tar_field {
    uint16_t offset;
    uint16_t width;
};

static const struct tar_field TAR_NAME = {0, 100};
static const struct tar_field TAR_MODE = {100, 8};
static const struct tar_field TAR_UID = {108, 8};
static const struct tar_field TAR_GID = {116, 8};
static const struct tar_field TAR_SIZE = {124, 12};
static const struct tar_field TAR_MTIME = {136, 12};
static const struct tar_field TAR_CHECKSUM = {148, 8};
static const struct tar_field TAR_TYPE = {156, 1};
static const struct tar_field TAR_LINK = {157, 100};
static const struct tar_field TAR_MAGIC = {257, 8}; /* with the version */
static const struct tar_field TAR_MAJOR = {329, 8};
static const struct tar_field TAR_MINOR = {337, 8};
static const struct tar_field TAR_PREFIX = {345, 155};
static const struct tar_field TAR_STAR_PREFIX = {345, 131}; /* where "tar\0" stands at 508 */

/* Octal digits with a NUL at the end.  False where the value needs more digits. */
bool tar_put_octal(uint8_t *block, struct tar_field field, uint64_t value);

/* What stands in a field up to the first NUL; no longer than the field. */
size_t tar_text_length(const uint8_t *block, struct tar_field field);

/* Octal with blanks around (a field of nothing else is 0), or GNU's base 256.  False: neither, or
 * too large for the type. */
bool tar_get_number(const uint8_t *block, struct tar_field field, int64_t *value);

/* The sum of all bytes with blanks in the checksum's place. */
void tar_put_checksum(uint8_t *block);
bool tar_checksum_is_right(const uint8_t *block); /* also where it was summed with signed bytes */

bool tar_is_zero(const uint8_t *block);

/* The zeros after `length` bytes of content, up to the next block. */
static inline size_t tar_padding(uint64_t length)
{
    return (size_t)(-length % TAR_BLOCK_BYTES);
}

#endif
