/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths that are wanted, sorted so that what lies below a directory follows it at once ('/' comes
 * before every other byte).  Invariant: no path is below another one.  So whoever covers a path is the
 * last that is not behind it, and whatever lies below it is the first behind it.
 */
#include "snapshot/selection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "snapshot/entry.h"

enum {
    SHOWN_BYTES = 200,
};

struct wanted {
    struct slice path; /* its bytes are ours */
    bool is_met;
};

struct selection {
    struct wanted *wanted;
    size_t count;
    size_t bytes;
};

struct selection *selection_new(void)
{
    struct selection *selection = xcalloc(1, sizeof(*selection));
    selection->wanted = xcalloc(SELECTION_PATHS_MAX, sizeof(*selection->wanted));
    return selection;
}

void selection_free(struct selection *selection)
{
    if (selection == NULL)
        return;
    for (size_t i = 0; i < selection->count; i++)
        free((void *)selection->wanted[i].path.data);
    free(selection->wanted);
    free(selection);
}

static int rank(unsigned char byte)
{
    return byte == '/' ? 0 : byte;
}

static int compare(struct slice a, struct slice b)
{
    const unsigned char *left = a.data, *right = b.data;
    size_t shorter = a.length < b.length ? a.length : b.length;
    for (size_t i = 0; i < shorter; i++)
        if (left[i] != right[i])
            return rank(left[i]) - rank(right[i]);
    return a.length < b.length ? -1 : a.length > b.length;
}

/* Whether `path` is `top`, or lies below it. */
static bool is_within(struct slice path, struct slice top)
{
    const char *bytes = path.data;
    if (top.length == 0)
        return true;
    return path.length >= top.length && memcmp(bytes, top.data, top.length) == 0 &&
           (path.length == top.length || bytes[top.length] == '/');
}

/* How many are not behind `path`. */
static size_t find(const struct selection *selection, struct slice path)
{
    size_t low = 0, high = selection->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(selection->wanted[middle].path, path) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum selection_verdict selection_look(const struct selection *selection, struct slice path)
{
    size_t at = find(selection, path);
    if (at > 0 && is_within(path, selection->wanted[at - 1].path))
        return SELECTION_WANTED;
    if (at < selection->count && is_within(selection->wanted[at].path, path))
        return SELECTION_PARENT;
    return SELECTION_NONE;
}

/* Take out those from `at` on that lie below `path`. */
static void fold(struct selection *selection, size_t at, struct slice path)
{
    size_t end = at;
    while (end < selection->count && is_within(selection->wanted[end].path, path)) {
        selection->bytes -= selection->wanted[end].path.length;
        free((void *)selection->wanted[end].path.data);
        end++;
    }
    memmove(selection->wanted + at, selection->wanted + end,
            (selection->count - end) * sizeof(*selection->wanted));
    selection->count -= end - at;
}

static int insert(struct selection *selection, struct slice path, struct error *err)
{
    if (selection_look(selection, path) == SELECTION_WANTED)
        return 0;
    size_t at = find(selection, path);
    fold(selection, at, path);
    if (selection->count == SELECTION_PATHS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d paths are selected", SELECTION_PATHS_MAX);
    if (path.length > SELECTION_BYTES_MAX - selection->bytes)
        return error_set(err, ERROR_LIMIT, "the selected paths are longer than %d bytes together",
                         SELECTION_BYTES_MAX);
    memmove(selection->wanted + at + 1, selection->wanted + at,
            (selection->count - at) * sizeof(*selection->wanted));
    selection->wanted[at] = (struct wanted){
        .path = slice_of(xstrndup(path.data, path.length), path.length),
    };
    selection->count++;
    selection->bytes += path.length;
    return 0;
}

int selection_add(struct selection *selection, struct slice path, struct error *err)
{
    struct entry entry;
    while (path.length > 0 && *(const char *)path.data == '/')
        path = slice_of((const char *)path.data + 1, path.length - 1);
    entry_init(&entry);
    int result = entry_set_path(&entry, path, err);
    if (result == 0)
        result = insert(selection, buf_slice(&entry.path), err);
    entry_free(&entry);
    return result;
}

size_t selection_count(const struct selection *selection)
{
    return selection->count;
}

struct slice selection_path(const struct selection *selection, size_t index)
{
    assert(index < selection->count);
    return selection->wanted[index].path;
}

bool selection_is_everything(const struct selection *selection)
{
    return selection->count == 1 && selection->wanted[0].path.length == 0;
}

void selection_meet(struct selection *selection, struct slice path)
{
    size_t at = find(selection, path);
    if (at > 0 && is_within(path, selection->wanted[at - 1].path))
        selection->wanted[at - 1].is_met = true;
}

int selection_check_met(const struct selection *selection, struct error *err)
{
    const struct wanted *missing = NULL;
    size_t count = 0;
    for (size_t i = selection->count; i-- > 0;) {
        if (selection->wanted[i].is_met)
            continue;
        missing = &selection->wanted[i];
        count++;
    }
    if (missing == NULL)
        return 0;
    int shown = (int)(missing->path.length < SHOWN_BYTES ? missing->path.length : SHOWN_BYTES);
    const char *bytes = missing->path.data;
    if (count == 1)
        return error_set(err, ERROR_NOT_FOUND, "'%.*s' is not in the backup", shown, bytes);
    return error_set(err, ERROR_NOT_FOUND, "'%.*s' and %zu more are not in the backup", shown,
                     bytes, count - 1);
}
