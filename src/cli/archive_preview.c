/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `roost archive preview`: what patterns would leave out of a backup.  Nothing is held: an object is a line, printed when
 * it is found, so that a directory of any size can be looked at.
 */
#include <inttypes.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/archive_verbs.h"
#include "cli/console.h"
#include "cli/stop.h"
#include "snapshot/preview.h"
#include "tree/walk.h"

struct showing {
    const struct archive_rules *rules;
    bool is_json;
};

static void add_json_text(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    json_put_string_slice(w, text);
}

static void show_json(const struct showing *showing, const struct preview_item *item)
{
    static const char *const types[] = {[ENTRY_FILE] = "file",
                                        [ENTRY_DIRECTORY] = "directory",
                                        [ENTRY_SYMLINK] = "symlink",
                                        [ENTRY_HARDLINK] = "hardlink"};
    scope_buf struct buf json = BUF_INIT;
    scope_buf struct buf place = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    archive_rules_add_place(showing->rules, item->rule, &place);
    json_begin_object(&w);
    add_json_text(&w, "path", item->path);
    if (!utf8_is_valid(item->path)) {
        scope_buf struct buf encoded = BUF_INIT;
        base64_add(&encoded, item->path);
        json_field_string(&w, "path_base64", encoded.data);
    }
    json_field_string(&w, "type", types[item->type]);
    json_field_uint(&w, "bytes", item->bytes);
    if (item->type == ENTRY_DIRECTORY) {
        json_field_uint(&w, "objects", item->objects);
        json_field_bool(&w, "keeps_directory", item->keeps_directory);
    }
    json_field_string(&w, "rule", place.data);
    add_json_text(&w, "pattern", item->rule->text);
    json_end_object(&w);
    print_text(&json);
}

/* "list.txt:3:*.log", a tab, "1.2 MiB", a tab, "logs/ (12 objects)": as `git check-ignore -v`, and the size. */
static void show_line(const struct showing *showing, const struct preview_item *item)
{
    scope_buf struct buf line = BUF_INIT;
    archive_rules_add_place(showing->rules, item->rule, &line);
    buf_add_char(&line, ':');
    shown_add(&line, item->rule->text);
    buf_add_char(&line, '\t');
    text_add_size(&line, item->bytes);
    buf_add_char(&line, '\t');
    shown_add(&line, item->path);
    if (item->type == ENTRY_DIRECTORY)
        buf_printf(&line, "/ (%" PRIu64 " objects%s)", item->objects,
                   item->keeps_directory ? "; the directory itself stays" : "");
    print_text(&line);
}

static void show(const struct preview_item *item, void *context)
{
    const struct showing *showing = context;
    if (showing->is_json)
        show_json(showing, item);
    else
        show_line(showing, item);
}

static void add_json_count(struct json_writer *w, const char *key,
                           const struct preview_count *count)
{
    json_key(w, key);
    json_begin_object(w);
    json_field_uint(w, "files", count->files);
    json_field_uint(w, "directories", count->directories);
    json_field_uint(w, "links", count->links);
    json_field_uint(w, "bytes", count->bytes);
    json_end_object(w);
}

static void show_json_totals(const struct showing *showing, const struct preview *preview)
{
    const struct ignore *ignore = showing->rules->ignore;
    scope_buf struct buf json = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    json_begin_object(&w);
    add_json_count(&w, "kept", &preview->kept);
    add_json_count(&w, "left_out", &preview->left_out);
    json_key(&w, "without_effect");
    json_begin_array(&w);
    for (size_t i = 0; i < ignore_rule_count(ignore); i++) {
        if (preview->has_effect[i])
            continue;
        scope_buf struct buf place = BUF_INIT;
        archive_rules_add_place(showing->rules, ignore_rule(ignore, i), &place);
        json_begin_object(&w);
        json_field_string(&w, "rule", place.data);
        add_json_text(&w, "pattern", ignore_rule(ignore, i)->text);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    print_text(&json);
}

static void show_count(const char *what, const struct preview_count *count)
{
    scope_buf struct buf line = BUF_INIT;
    buf_printf(&line, "%s: ", what);
    text_add_size(&line, count->bytes);
    buf_printf(&line, " in %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " links",
               count->files, count->directories, count->links);
    print_text(&line);
}

static void warn_of_idle_rules(const struct showing *showing, const struct preview *preview)
{
    const struct ignore *ignore = showing->rules->ignore;
    for (size_t i = 0; i < ignore_rule_count(ignore); i++) {
        if (preview->has_effect[i])
            continue;
        scope_buf struct buf place = BUF_INIT;
        archive_rules_add_place(showing->rules, ignore_rule(ignore, i), &place);
        complain("%s: '%.*s' decides about nothing here", place.data,
                 (int)ignore_rule(ignore, i)->text.length,
                 (const char *)ignore_rule(ignore, i)->text.data);
    }
}

static int look_through(const struct showing *showing, int root_fd, struct report *report,
                        struct error *err)
{
    struct preview preview;
    struct preview_options options = {
        .visit = show, .context = (void *)showing, .cancel = stop_on_signal()};
    struct source *source =
        walk_open(root_fd, &(struct walk_options){.wants_no_content = true}, err);
    if (source == NULL)
        return -1;
    source->report = report;
    int result = preview_run(source, showing->rules->ignore, &options, &preview, err);
    source_free(source);
    if (result < 0)
        return -1;
    warn_of_idle_rules(showing, &preview);
    if (showing->is_json) {
        show_json_totals(showing, &preview);
    } else {
        show_count("left out", &preview.left_out);
        show_count("kept", &preview.kept);
    }
    return archive_complain(report);
}

int archive_preview(const struct invocation *invocation, struct error *err)
{
    struct archive_rules rules = {.ignore = NULL};
    struct report report;
    const char *directory = argument_at(invocation, 0);
    scope_fd int root_fd = directory_open(directory, err);
    if (root_fd < 0)
        return -1;
    report_init(&report);
    int result = archive_rules_read(invocation, &rules, err);
    if (result == 0 && !rules.is_given)
        result = archive_rules_read_tenants(invocation, root_fd, &rules, err);
    struct showing showing = {.rules = &rules, .is_json = option_is_given(invocation, "json")};
    if (result == 0)
        result = look_through(&showing, root_fd, &report, err);
    if (result < 0)
        error_wrap(err, "looking through '%s'", directory);
    archive_rules_clear(&rules);
    report_free(&report);
    return result;
}
