/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes and characters from the kernel. */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *out, size_t length)
{
    unsigned char *cursor = out;
    while (length > 0) {
        ssize_t got = getrandom(cursor, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        cursor += got;
        length -= (size_t)got;
    }
}

void random_alphanumeric(char *out, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    enum {
        LETTERS = sizeof(letters) - 1,
        UNBIASED = 256 - 256 % LETTERS
    };
    for (size_t i = 0; i < length;) {
        unsigned char byte;
        random_bytes(&byte, 1);
        if (byte < UNBIASED)
            out[i++] = letters[byte % LETTERS];
    }
    out[length] = '\0';
}
