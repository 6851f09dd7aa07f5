/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_PAGES_H
#define ARCHIVE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What pages of a block are worth compressing.  Pure functions, for any thread.
 */
enum {
    PAGE_BYTES = 4096,
};

struct page {
    bool is_compressible;
    uint16_t zeros; /* how many it ends with; 0: too few to matter */
};

/* Whether bytes look random, so that deflate would not make them noticeably smaller. */
bool pages_look_random(const uint8_t *bytes, size_t length);

/* Judge `count` pages, from `bytes` on, by samples. */
void pages_judge(const uint8_t *bytes, size_t count, struct page *pages);

/*
 * Where at most `gap_max` pages that are not compressible lie between some that are, compress
 * them too: one long run costs fewer tables, and remembers more, than several short ones.
 */
void pages_close_gaps(struct page *pages, size_t count, size_t gap_max);

#endif
