/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISA-L, made to give the same for the same.
 *
 * When ISA-L (2.30, and later) begins, it takes the hash of the input's third place not from the
 * input but from a register that still holds the address of its stream, shifted right by 16: one
 * entry of the table of matches goes to a slot that depends on where the stream lies in memory, and
 * now and then a match is found in one process that is missed in another.  The hash is CRC-32C, cut
 * to 13 bits.  So the stream is put at an address that has a fixed hash.
 */
#include "archive/deflate_fast.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/mem.h"

enum {
    HASHED_SHIFT = 16, /* of the address, and then its lower 32 bits are hashed */
    HASH_MASK = 0x1fff,
    HASH_WANTED = 0x0aaa, /* no hash of zeros, which are common */
    STEPS_MAX = 64 * (HASH_MASK + 1),
};

struct deflate_fast {
    struct isal_zstream *isal; /* mapped */
    uint32_t level;
    uint32_t memory_bytes;
    uint8_t *memory;
};

static bool has_wanted_hash(uintptr_t address)
{
    uint32_t word = (uint32_t)(address >> HASHED_SHIFT);
    uint8_t bytes[] = {word & 0xff, word >> 8 & 0xff, word >> 16 & 0xff, (uint8_t)(word >> 24)};
    return (crc32_iscsi(bytes, sizeof(bytes), 0) & HASH_MASK) == HASH_WANTED;
}

static void *map_at(uintptr_t address, int flags)
{
    void *mapped = mmap((void *)address, sizeof(struct isal_zstream), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    if (address != 0 && (uintptr_t)mapped != address) { /* an old kernel takes it for a hint */
        munmap(mapped, sizeof(struct isal_zstream));
        return NULL;
    }
    return mapped;
}

/*
 * Memory at an address with the wanted hash, looked for below where the system would map it; one
 * address in 8,192 has it.  Where none is free, memory anywhere: then the data is as right as ever,
 * but perhaps not the same.
 */
static struct isal_zstream *map_stream(void)
{
    void *anywhere = map_at(0, 0);
    if (anywhere == NULL)
        abort(); /* only for want of memory */
    const uintptr_t step = UINT64_C(1) << HASHED_SHIFT;
    uintptr_t address = (uintptr_t)anywhere & ~(step - 1);
    void *found = NULL;
    for (int i = 0; i < STEPS_MAX && found == NULL && address > step; i++) {
        address -= step;
        if (has_wanted_hash(address))
            found = map_at(address, MAP_FIXED_NOREPLACE);
    }
    if (found == NULL)
        return anywhere;
    munmap(anywhere, sizeof(struct isal_zstream));
    return found;
}

struct deflate_fast *deflate_fast_create(unsigned level)
{
    assert(level == 1 || level == 3);
    struct deflate_fast *fast = xcalloc(1, sizeof(*fast));
    fast->isal = map_stream();
    fast->level = level;
    fast->memory_bytes = level == 1 ? ISAL_DEF_LVL1_DEFAULT : ISAL_DEF_LVL3_DEFAULT;
    fast->memory = xmalloc(fast->memory_bytes);
    return fast;
}

void deflate_fast_free(struct deflate_fast *fast)
{
    if (fast == NULL)
        return;
    munmap(fast->isal, sizeof(*fast->isal));
    free(fast->memory);
    free(fast);
}

size_t deflate_fast(struct deflate_fast *fast, const uint8_t *bytes, size_t length, uint8_t *out)
{
    struct isal_zstream *isal = fast->isal;
    isal_deflate_stateless_init(isal);
    isal->level = fast->level;
    isal->level_buf = fast->memory;
    isal->level_buf_size = fast->memory_bytes;
    isal->flush = FULL_FLUSH; /* ends at a byte, without being final */
    isal->next_in = (uint8_t *)bytes;
    isal->avail_in = (uint32_t)length;
    isal->next_out = out;
    isal->avail_out = (uint32_t)length;
    if (isal_deflate_stateless(isal) != COMP_OK || isal->avail_in != 0)
        return 0;
    return (size_t)(isal->next_out - out);
}
