/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_PLACE_H
#define NODE_PLACE_H

#include "base/file.h"
#include "node/journal.h"
#include "tree/own_names.h"

/*
 * Where things are: server directories and archives.  Server and backup ids
 * are canonical UUIDs here, always; they become file names.  Thread-safe.
 */
struct places {
    struct journal *journal; /* borrowed: attached directories */
    int backups_fd;
    int servers_fd;
    char *servers_path; /* the real path */
};

int places_open(struct places *places, struct journal *journal, const char *backup_directory,
                const char *server_directory, struct error *err);
void places_close(struct places *places);

/* A server's live directory, opened.  NOT_FOUND; DENIED where it is, or lies behind, a link. */
int place_open_server(const struct places *places, const char *server, struct error *err);

/* The directory that holds it, and its name there; it may not exist yet. */
int place_find_server(const struct places *places, const char *server, struct buf *parent,
                      struct buf *name, struct error *err);

/*
 * The same for a restore: where its stage lies beside the live directory.  A mount point has it inside:
 * `parent` is the live directory then, and `name` ".".
 */
int place_find_stage(const struct places *places, const char *server, struct buf *parent,
                     struct buf *name, struct error *err);

/* An archive, opened for reading: in our layout or in Wings' flat one.  NOT_FOUND. */
int place_open_archive(const struct places *places, const char *server, const char *backup,
                       struct error *err);

/* The directory for a server's archives, made where it is missing; and an archive's name in it. */
int place_open_archives(const struct places *places, const char *server, struct error *err);
enum {
    PLACE_ARCHIVE_NAME_BYTES = UUID_TEXT_BYTES + 8
};
void place_archive_name(const char *backup, char name[PLACE_ARCHIVE_NAME_BYTES]);

/* Durably.  NOT_FOUND where there is none. */
int place_remove_archive(const struct places *places, const char *server, const char *backup,
                         struct error *err);
/* What a backup of ours that does not count has left under that name, durably; there may be nothing. */
int place_discard_archive(const struct places *places, const char *server, const char *backup,
                          struct error *err);
int place_remove_archives(const struct places *places, const char *server, struct error *err);

/* Remove what unfinished backups left.  Only while none runs. */
int place_sweep_archives(const struct places *places, struct error *err);

/*
 * Move the tree `name` in `parent` out of the way, under a fresh name that is journalled as a
 * leftover and removed when there is time.  Succeeds where there is no such tree.
 * CONFLICT: it holds a part of a live directory (exchange.h), and must be settled.
 */
int place_trash(const struct places *places, const char *parent, const char *name,
                struct error *err);

#endif
