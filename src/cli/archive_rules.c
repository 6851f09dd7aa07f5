/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore rules from a command line: one list, made of --ignore-file and every --ignore, in this order. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "cli/archive_verbs.h"
#include "cli/console.h"
#include "tree/ignore_file.h"

static size_t count_lines(const struct buf *text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text->length; i++)
        lines += text->data[i] == '\n';
    return lines;
}

static int read_mode(const struct invocation *invocation, enum ignore_mode *mode, struct error *err)
{
    const char *name = option_text(invocation, "ignore-mode");
    *mode = IGNORE_WINGS;
    if (name == NULL || ignore_mode_parse(name, mode))
        return 0;
    return error_set(err, ERROR_INVALID, "'--ignore-mode' is wings or git, not '%.40s'", name);
}

int archive_rules_read(const struct invocation *invocation, struct archive_rules *rules,
                       struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    enum ignore_mode mode;
    rules->file = option_text(invocation, "ignore-file");
    if (read_mode(invocation, &mode, err) < 0)
        return -1;
    if (rules->file != NULL &&
        file_read(AT_FDCWD, rules->file, IGNORE_TEXT_MAX_BYTES, &text, err) < 0)
        return error_wrap(err, "reading the patterns");
    if (text.length > 0 && text.data[text.length - 1] != '\n')
        buf_add_char(&text, '\n');
    rules->file_lines = count_lines(&text);
    rules->is_given = rules->file != NULL;
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i].option->name, "ignore") != 0)
            continue;
        buf_printf(&text, "%s\n", invocation->given[i].value);
        rules->is_given = true;
    }
    rules->ignore = ignore_parse(buf_slice(&text), mode, err);
    return rules->ignore == NULL ? -1 : 0;
}

int archive_rules_read_tenants(const struct invocation *invocation, int root_fd,
                               struct archive_rules *rules, struct error *err)
{
    scope_buf struct buf text = BUF_INIT;
    struct error reason = ERROR_INIT;
    enum ignore_mode mode;
    if (read_mode(invocation, &mode, err) < 0)
        return -1;
    if (ignore_file_read(root_fd, &text, &reason) < 0) {
        if (reason.code != ERROR_NOT_FOUND)
            complain("no patterns: %s", reason.text);
        return 0;
    }
    struct ignore *ignore = ignore_parse(buf_slice(&text), mode, err);
    if (ignore == NULL)
        return error_wrap(err, "reading '%s'", IGNORE_FILE_NAME);
    ignore_free(rules->ignore);
    *rules = (struct archive_rules){
        .ignore = ignore, .file = IGNORE_FILE_NAME, .file_lines = count_lines(&text) + 1};
    return 0;
}

void archive_rules_add_place(const struct archive_rules *rules, const struct ignore_rule *rule,
                             struct buf *out)
{
    if (rule->line <= rules->file_lines) {
        shown_add(out, slice_str(rules->file));
        buf_printf(out, ":%zu", rule->line);
    } else {
        buf_printf(out, "--ignore:%zu", rule->line - rules->file_lines);
    }
}

void archive_rules_clear(struct archive_rules *rules)
{
    ignore_free(rules->ignore);
}
