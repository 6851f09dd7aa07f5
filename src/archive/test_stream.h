/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_TEST_STREAM_H
#define ARCHIVE_TEST_STREAM_H

#include "archive/archive.h"

/* For tests: streams of entries in memory, to write, to read and to compare.  Failures assert. */
struct test_stream {
    struct entry *entries;
    struct buf *contents; /* as stored: the extents one after the other */
    size_t count;
};

void test_stream_free(struct test_stream *stream);

/* Add an entry with usual attributes, for the caller to change. */
struct entry *test_stream_add(struct test_stream *stream, enum entry_type type, struct slice path);
void test_stream_add_file(struct test_stream *stream, const char *path, struct slice content);
void test_stream_add_link(struct test_stream *stream, enum entry_type type, const char *path,
                          struct slice target);

/* `content` has the bytes of all extents. */
void test_stream_add_sparse(struct test_stream *stream, const char *path, uint64_t size_bytes,
                            const struct extent *extents, size_t count, struct slice content);

/* Everything below a directory, sorted by path; a second name of a file is a hard link. */
void test_stream_add_directory(struct test_stream *stream, const char *directory);

/* Sort by path, as bytes. */
void test_stream_sort(struct test_stream *stream);

/* Write an archive of it; -1 and `err` where that fails. */
int test_stream_write(const struct test_stream *stream, int fd,
                      const struct archive_options *options, struct archive_result *result,
                      struct error *err);

/* Read all of an archive from its start. */
int test_stream_read(struct test_stream *stream, int fd, const struct archive_read_options *options,
                     struct report *report, struct error *err);

/* NULL, or what differs.  Content is compared with holes as zeros.  `wants_nanoseconds`: else whole seconds. */
enum test_precision {
    TEST_SECONDS,
    TEST_NANOSECONDS,
};
const char *test_stream_difference(const struct test_stream *a, const struct test_stream *b,
                                   enum test_precision precision);

#endif
