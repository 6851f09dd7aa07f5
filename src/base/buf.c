/* SPDX-License-Identifier: Apache-2.0 */
/* Growing buffers.  Invariant: data[length] == 0. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

char buf_empty[1];

void buf_free(struct buf *buf)
{
    if (buf->capacity > 0)
        free(buf->data);
    *buf = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    if (buf->capacity > 0)
        buf->data[0] = '\0';
}

void buf_reserve(struct buf *buf, size_t more_bytes)
{
    assert(more_bytes < SIZE_MAX - buf->length - 1);
    size_t needed = buf->length + more_bytes + 1;
    if (needed <= buf->capacity)
        return;
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
    while (capacity < needed)
        capacity += capacity / 2;
    buf->data = xrealloc(buf->capacity > 0 ? buf->data : NULL, capacity);
    buf->capacity = capacity;
    buf->data[buf->length] = '\0';
}

void buf_add_zeros(struct buf *buf, size_t length)
{
    buf_reserve(buf, length);
    memset(buf->data + buf->length, 0, length + 1);
    buf->length += length;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(length >= 0);
    buf_reserve(buf, (size_t)length);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
    va_end(again);
    buf->length += (size_t)length;
}

void buf_truncate(struct buf *buf, size_t length)
{
    if (length >= buf->length)
        return;
    buf->length = length;
    buf->data[length] = '\0';
}

char *buf_steal(struct buf *buf)
{
    char *data = buf->capacity > 0 ? buf->data : xstrdup("");
    *buf = (struct buf)BUF_INIT;
    return data;
}
