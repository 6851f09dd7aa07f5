/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding, forms, and addresses; what is decoded has to survive the way back. */
#include <assert.h>
#include <string.h>

#include "base/scope.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    PAIRS_MAX = 16
};

static void count(const char *name, const char *value, void *context)
{
    assert(name != NULL && value != NULL);
    ++*(size_t *)context;
}

static void check_decoding(struct slice text)
{
    scope_buf struct buf decoded = BUF_INIT;
    scope_buf struct buf encoded = BUF_INIT;
    scope_buf struct buf again = BUF_INIT;
    if (!url_decode(text, &decoded))
        return;
    assert(decoded.length <= text.length && memchr(decoded.data, '\0', decoded.length) == NULL);
    url_encode(&encoded, buf_slice(&decoded));
    assert(url_decode(buf_slice(&encoded), &again));
    assert(slice_equal(buf_slice(&again), buf_slice(&decoded)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    check_decoding(text);
    size_t pairs = 0;
    url_each_pair(text, PAIRS_MAX, count, &pairs);
    assert(pairs <= PAIRS_MAX);

    /* "address range" */
    scope_buf struct buf line = BUF_INIT;
    buf_add(&line, data, size);
    char *blank = strchr(line.data, ' ');
    if (blank != NULL) {
        *blank = '\0';
        address_in_range(line.data, blank + 1);
        if (address_in_range(line.data, line.data))
            assert(strchr(line.data, '/') == NULL);
    }
    return 0;
}
