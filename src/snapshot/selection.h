/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_SELECTION_H
#define SNAPSHOT_SELECTION_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/scope.h"

/*
 * Which paths of a stream somebody wants: files, or directories with all below them.
 *
 *     struct selection *selection = selection_new();
 *     selection_add(selection, slice_str("/world/level.dat"), err);
 *     copy_entries(…, {.selection = selection}, …)      // NOT_FOUND where the stream has no such path
 *
 * Names are bytes and match as they are; there are no patterns here.  A selection of nothing wants nothing.
 */
struct selection;

enum {
    SELECTION_PATHS_MAX = 1000,
    SELECTION_BYTES_MAX = 128 * 1024, /* of all paths together */
};

enum selection_verdict {
    SELECTION_NONE,
    SELECTION_PARENT, /* on the way to what is wanted; the root is, too */
    SELECTION_WANTED,
};

struct selection *selection_new(void);
void selection_free(struct selection *selection); /* NULL is fine */

/*
 * Want `path`, and all below it.  It is put into the form of entry_set_path(); slashes before it are
 * dropped, as people write paths of their server from its root.  "" or "/" is everything.  What is
 * wanted already, or lies below it, is folded.
 * DENIED, INVALID, LIMIT: as entry_set_path().  LIMIT: too many, or too long together.
 */
int selection_add(struct selection *selection, struct slice path, struct error *err);

/* What is wanted, folded, in a fixed order that has nothing to do with that of adding. */
size_t selection_count(const struct selection *selection);
struct slice selection_path(const struct selection *selection, size_t index);

/* Whether it wants everything, the root itself included. */
bool selection_is_everything(const struct selection *selection);

/* The verdict on a canonical path.  O(log n) comparisons.  Thread-safe while nobody adds. */
enum selection_verdict selection_look(const struct selection *selection, struct slice path);

/* The stream has `path`, which is wanted.  For the copier; one thread. */
void selection_meet(struct selection *selection, struct slice path);

/* NOT_FOUND: something wanted was not met, nor anything below it; the text names it. */
int selection_check_met(const struct selection *selection, struct error *err);

SCOPE_DEFINE(selection, struct selection *, selection_free)
#define scope_selection SCOPE(scope_selection_end)

#endif
