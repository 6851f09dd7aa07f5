/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Bytes that belong to somebody else.  Copy the struct freely; it is valid as
 * long as its owner says.
 */
struct slice {
    const void *data;
    size_t length;
};

static inline struct slice slice_of(const void *data, size_t length)
{
    return (struct slice){.data = data, .length = length};
}

static inline struct slice slice_str(const char *text)
{
    return slice_of(text, strlen(text));
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/*
 * A growing run of bytes.  `data` is always followed by a NUL that does not
 * count in `length`, also when the buffer is empty, so that text in it can be
 * passed as a string.  Zero memory is not a valid buf: start with BUF_INIT.
 *
 *     scope_buf struct buf text = BUF_INIT;
 *     buf_printf(&text, "%zu files", count);
 *
 * Growing never fails (see mem.h): bound what comes from outside before it is added.
 */
struct buf {
    char *data;
    size_t length;
    size_t capacity; /* 0: `data` is the shared empty string and not to be freed */
};

extern char buf_empty[1];

#define BUF_INIT                                                                                   \
    {                                                                                              \
        .data = buf_empty                                                                          \
    }

void buf_free(struct buf *buf);
void buf_clear(struct buf *buf); /* length 0, memory kept */
void buf_reserve(struct buf *buf, size_t more_bytes);

static inline void buf_add(struct buf *buf, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (buf->capacity <= length || buf->capacity - length <= buf->length)
        buf_reserve(buf, length);
    memcpy(buf->data + buf->length, bytes, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

static inline void buf_add_str(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

static inline void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_zeros(struct buf *buf, size_t length);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_truncate(struct buf *buf, size_t length); /* to at most `length` */

/* The bytes, now the caller's to free(); the buffer is empty afterwards. */
char *buf_steal(struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->length);
}

#endif
