/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "base/thread.h"
#include "crypt/digest.h"
#include "snapshot/selection.h"
#include "snapshot/sink.h"
#include "snapshot/source.h"

/*
 * Archives: plain tar (ustar with pax headers where needed; POSIX.1-2001) in
 * plain gzip (RFC 1952), for every tool to read.
 *
 * Layout: the tar stream is cut into blocks of ARCHIVE_BLOCK_BYTES; each is a gzip
 * member of its own, so that several threads compress at once and a reader may
 * start at any member.
 *
 *     +----------+----------+-   -+----------+-------+
 *     | member 0 | member 1 | …   | member n | index |
 *     +----------+----------+-   -+----------+-------+
 *      1 MiB of tar each            the rest, with the two zero blocks at the end
 *
 * The index (index.h) is in members without content.
 *
 * Sparse files use GNU's pax format 1.0; times have nanoseconds, names may be any bytes.  Extended attributes,
 * where entries have them, are SCHILY.xattr records.
 */
enum {
    ARCHIVE_BLOCK_BYTES = 1 << 20
};

enum archive_compression {
    ARCHIVE_STORE,    /* gzip with stored blocks */
    ARCHIVE_FAST,     /* ISA-L level 1: the default */
    ARCHIVE_BALANCED, /* ISA-L level 3, on longer runs */
    ARCHIVE_BEST,     /* zlib level 9 */
};

struct archive_options {
    enum archive_compression compression;
    unsigned threads;          /* that compress, at most 8; 0: one for each processor, at most 4 */
    enum digest_type digest;   /* of the file as it is written, in the same pass */
    uint64_t limit_file_bytes; /* LIMIT when the archive itself grows beyond; 0: none */
    uint64_t write_rate_bytes_per_s; /* of the archive; 0: no limit */
    const struct cancel *cancel;     /* ends a wait for that; NULL: none */
};

/* What came out; valid after sink_finish(). */
struct archive_result {
    struct digest digest;
    uint64_t file_bytes; /* size of the archive */
    uint64_t tar_bytes;  /* before compression */
};

/*
 * Write an archive to `fd`, from its current position on.  finish() writes the
 * end and syncs the file; naming and renaming it are the caller's (base/file.h, file_draft).
 * `fd` is borrowed.  A failed write is reported by the next call, and by finish() at the latest.
 */
struct sink *archive_writer_open(int fd, const struct archive_options *options, struct error *err);
const struct archive_result *archive_writer_result(const struct sink *sink);

enum archive_read_flags {
    ARCHIVE_WITH_DIGEST = 1 << 0, /* digest the file while it is read */
    ARCHIVE_CHECK_INDEX =
        1 << 1, /* CORRUPT where its index, if it has one, says other than the rest */
    ARCHIVE_WITH_XATTRS = 1 << 2, /* give extended attributes; what of them cannot be is named */
};

struct archive_read_options {
    unsigned flags;
    enum digest_type digest;
    uint64_t limit_tar_bytes;    /* LIMIT when it inflates to more; 0: none */
    unsigned threads;            /* that inflate; 0: one for each processor, at most 4 */
    const struct cancel *cancel; /* CANCELLED, also where no entry comes for long; NULL: none */
    const struct selection *selection; /* borrowed while the source lives; NULL: everything */
    uint64_t file_bytes; /* read no more of the file, as if it ended there; 0: to its end */
};

/*
 * Read an archive from `fd` (borrowed), ours or anybody's: gzip with any number of members, or plain
 * tar; ustar, pax, GNU long names, GNU sparse (old and pax 0.0, 0.1, 1.0).  Everything in it is
 * hostile: limits come before work, paths pass entry_set_path().  Devices, FIFOs and unknown types are
 * named in the report and skipped.
 *
 * next() returns 0 only after the tar's end was seen and every gzip member's CRC and length were
 * right, to the end of the file.  CORRUPT: anything else.
 *
 * With a selection, the source gives what is selected and the directories on the way to it, and nothing of what
 * the archive lacks (copy_entries() says so).  Where the archive has an index of sorted entries, and no digest is
 * asked for, it reads only the members that hold what it gives: what next() says then holds for those.  Each
 * header is held against the index (CORRUPT); directories on the way come from the index, with whole seconds.
 * Otherwise all of the archive is read.
 *
 * A hard link to a file that is not selected comes as that file, under the first selected name; further
 * names are links to that one.  Without an index they come last, from a second reading, and what cannot be
 * read twice (a pipe) is named in the report.  Of both, more than some ten thousand are named there, too.
 */
struct source *archive_reader_open(int fd, const struct archive_read_options *options,
                                   struct error *err);

/* The digest of the whole file, after next() returned 0, where ARCHIVE_WITH_DIGEST was asked for. */
const struct digest *archive_reader_digest(const struct source *source);

/* Bytes of the file read so far, for progress.  May be called from other threads. */
uint64_t archive_reader_position(const struct source *source);

#endif
