/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of paths in JSON.  What is wrong with one is said without repeating it. */
#include "api/files.h"

#include "snapshot/entry.h"

static int add_item(struct selection *files, const json_t *item, struct error *err)
{
    struct error reason = ERROR_INIT;
    if (!json_is_string(item))
        return error_set(err, ERROR_INVALID, "must be a string.");
    if (json_string_length(item) > ENTRY_PATH_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "may not be greater than %d bytes.",
                         ENTRY_PATH_MAX_BYTES);
    if (selection_add(files, slice_of(json_string_value(item), json_string_length(item)),
                      &reason) == 0)
        return 0;
    return error_set(err, ERROR_INVALID, "%s",
                     reason.code == ERROR_LIMIT ? "is too long, too deep, or one too many."
                                                : "is no path within the server.");
}

struct selection *api_files_read(const json_t *list, int *index_out, struct error *err)
{
    *index_out = -1;
    if (!json_is_array(list)) {
        error_set(err, ERROR_INVALID, "must be an array.");
        return NULL;
    }
    size_t count = json_array_size(list);
    if (count == 0 || count > SELECTION_PATHS_MAX) {
        error_set(err, ERROR_INVALID, "must have between 1 and %d items.", SELECTION_PATHS_MAX);
        return NULL;
    }
    struct selection *files = selection_new();
    for (size_t i = 0; i < count; i++) {
        if (add_item(files, json_array_get(list, i), err) == 0)
            continue;
        *index_out = (int)i;
        selection_free(files);
        return NULL;
    }
    return files;
}

void api_files_write(struct json_writer *w, const struct selection *files)
{
    json_begin_array(w);
    for (size_t i = 0; i < selection_count(files); i++)
        json_put_string_slice(w, selection_path(files, i));
    json_end_array(w);
}
