/* SPDX-License-Identifier: Apache-2.0 */
#include "archive/pages.h"

#include <string.h>

enum {
    SAMPLE_BYTES = 256, /* four of these are looked at in a page, the last ends with it */
    SAMPLES = 4,
    JUDGED_MIN_BYTES = 32,    /* fewer are not worth a block of their own */
    ZERO_TAIL_MIN_BYTES = 64, /* below, a block of its own costs more than it saves */
};

/*
 * The squares of the counts of each byte value among n random bytes sum up to n + n²/256 on
 * average, with a standard deviation of 0.088 n; compressed data stays within a few per cent, and
 * what deflate could shrink noticeably is far above.  An eighth more is 7 standard deviations of
 * 1,024 bytes.  Of fewer bytes more is asked: they also have to earn the 60 bytes of a Huffman
 * table.
 */
bool pages_look_random(const uint8_t *bytes, size_t length)
{
    if (length < JUDGED_MIN_BYTES)
        return true;
    size_t samples = length < SAMPLES * SAMPLE_BYTES ? 1 : SAMPLES;
    size_t sample_length = samples == 1 ? length & ~(size_t)7 : SAMPLE_BYTES;
    size_t stride = samples == 1 ? 0 : (length - SAMPLE_BYTES) / (SAMPLES - 1);
    int16_t counts[4][256] = {0}; /* several, so that no increment waits for the one before it */
    for (size_t sample = 0; sample < samples; sample++) {
        const uint8_t *at = bytes + sample * stride;
        uint64_t word;
        for (size_t i = 0; i < sample_length; i += sizeof(word)) {
            memcpy(&word, at + i, sizeof(word));
            for (unsigned j = 0; j < sizeof(word); j++)
                counts[j % 4][word >> 8 * j & 0xff]++;
        }
    }
    uint32_t squares = 0;
    for (size_t i = 0; i < 256; i++) {
        int16_t count = (int16_t)(counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i]);
        squares += (uint32_t)((int32_t)count * count);
    }
    uint32_t n = (uint32_t)(samples * sample_length);
    uint32_t random_squares = n + n * n / 256;
    uint32_t allowance = samples == 1 ? random_squares / 2 : random_squares / 8;
    return squares < random_squares + allowance;
}

/* How many zeros a page ends with. */
static size_t zero_tail(const uint8_t *page)
{
    size_t at = PAGE_BYTES;
    uint64_t word;
    while (at > 0 && (memcpy(&word, page + at - sizeof(word), sizeof(word)), word == 0))
        at -= sizeof(word);
    return PAGE_BYTES - at;
}

void pages_judge(const uint8_t *bytes, size_t count, struct page *pages)
{
    for (size_t i = 0; i < count; i++, bytes += PAGE_BYTES) {
        size_t zeros = zero_tail(bytes);
        pages[i].zeros = zeros < ZERO_TAIL_MIN_BYTES ? 0 : (uint16_t)zeros;
        size_t before = PAGE_BYTES - pages[i].zeros;
        pages[i].is_compressible = before > 0 && !pages_look_random(bytes, before);
    }
}

void pages_close_gaps(struct page *pages, size_t count, size_t gap_max)
{
    size_t gap = gap_max + 1; /* how many pages since the last compressible one */
    for (size_t i = 0; i < count; i++) {
        if (!pages[i].is_compressible) {
            gap++;
            continue;
        }
        if (gap <= gap_max)
            for (size_t back = 1; back <= gap; back++)
                pages[i - back].is_compressible = true;
        gap = 0;
    }
}
