/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_TEST_SCRATCH_H
#define NODE_TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

/* For tests: a directory of their own below $TMPDIR, and what one does in it. */
#define SERVER "11111111-1111-4111-8111-111111111111"
#define OTHER_SERVER "22222222-2222-4222-8222-222222222222"
#define BACKUP "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define OTHER_BACKUP "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

/* Must succeed: the error's text is the failure's. */
#define must(call, err)                                                                            \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, (err)->text);                                                \
    } while (0)

void scratch_make(char path[128]);
void scratch_remove(const char *path);

/* `format` names the file or directory; parents are there. */
void scratch_write(const char *path, const char *text);
void scratch_directory(const char *path);
bool scratch_exists(const char *path);
char *scratch_read(const char *path); /* "" where there is none; the caller's */
char *scratch_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
