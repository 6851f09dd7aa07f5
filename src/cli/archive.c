/* SPDX-License-Identifier: Apache-2.0 */
/* `roost archive`: archives on their own, without any panel: the table, and the verbs that only look. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/index.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/archive_verbs.h"
#include "cli/console.h"
#include "cli/meter.h"
#include "cli/stop.h"
#include "snapshot/copy.h"

int checksum_parse(const char *text, struct digest *digest, struct error *err)
{
    const char *colon = strchr(text, ':');
    scope_free char *type = xstrndup(text, colon == NULL ? 0 : (size_t)(colon - text));
    if (colon == NULL || !digest_type_parse(type, &digest->type) ||
        !digest_parse(digest->type, colon + 1, digest))
        return error_set(
            err, ERROR_INVALID,
            "a checksum is 'sha256:' and 64 hexadecimal digits (or 'sha1:' and 40), not "
            "'%.100s'",
            text);
    return 0;
}

void checksum_add(struct buf *out, const struct digest *digest)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(digest, hex);
    buf_printf(out, "%s:%s", digest_type_name(digest->type), hex);
}

int archive_file_open(const struct invocation *invocation, uint64_t *size_bytes, struct error *err)
{
    const char *path = argument_at(invocation, 0);
    struct stat status;
    scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_os(err, errno, "opening '%s'", path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "'%s' is not a file", path);
    *size_bytes = (uint64_t)status.st_size;
    return scope_take_fd(&fd);
}

int archive_input_open(const struct invocation *invocation, struct archive_input *input,
                       struct error *err)
{
    const char *checksum = option_text(invocation, "checksum");
    struct archive_read_options options = {
        .flags = input->flags | (input->checks_index ? ARCHIVE_CHECK_INDEX : 0),
        .selection = input->selection,
    };
    if (checksum != NULL) {
        if (checksum_parse(checksum, &input->wanted, err) < 0)
            return -1;
        input->has_wanted = true;
        options.digest = input->wanted.type;
    }
    if (input->has_wanted || input->wants_digest)
        options.flags |= ARCHIVE_WITH_DIGEST;
    input->fd = archive_file_open(invocation, &input->size_bytes, err);
    if (input->fd < 0)
        return -1;
    input->source = archive_reader_open(input->fd, &options, err);
    return input->source == NULL ? -1 : 0;
}

void archive_input_close(struct archive_input *input)
{
    source_free(input->source);
    selection_free(input->selection);
    if (input->fd >= 0)
        close(input->fd);
}
#define scope_input __attribute__((cleanup(archive_input_close)))

int archive_input_check(const struct archive_input *input, struct error *err)
{
    if (!input->has_wanted || digest_equal(&input->wanted, archive_reader_digest(input->source)))
        return 0;
    scope_buf struct buf found = BUF_INIT;
    checksum_add(&found, archive_reader_digest(input->source));
    return error_set(err, ERROR_CORRUPT, "the archive's digest is another: %s", found.data);
}

void archive_input_look(void *context, uint64_t *done_bytes, uint64_t *total_bytes)
{
    const struct archive_input *input = context;
    *done_bytes = archive_reader_position(input->source);
    *total_bytes = input->size_bytes;
}

int archive_complain(const struct report *report)
{
    uint64_t altered = 0;
    for (size_t i = 0; i < report->item_count; i++) {
        const struct report_item *item = &report->items[i];
        altered += item->kind == REPORT_ALTERED;
        complain("%s: %s%s%s", report_kind_name(item->kind), *item->path == '\0' ? "." : item->path,
                 *item->detail == '\0' ? "" : ": ", item->detail);
    }
    if (report->omissions > report->item_count)
        complain("and %" PRIu64 " more", report->omissions - report->item_count);
    return report->omissions > altered ? EXIT_OMISSIONS : EXIT_DONE;
}

/* ---- list ---- */

static char type_letter(enum entry_type type)
{
    static const char letters[] = {
        [ENTRY_FILE] = '-', [ENTRY_DIRECTORY] = 'd', [ENTRY_SYMLINK] = 'l', [ENTRY_HARDLINK] = 'h'};
    return letters[type];
}

static void add_mode(struct buf *out, const struct entry *entry)
{
    static const char letters[] = "rwxrwxrwx";
    buf_add_char(out, type_letter(entry->type));
    for (int i = 0; i < 9; i++)
        buf_add_char(out, entry->mode & (0400u >> i) ? letters[i] : '-');
}

static void print_long(const struct entry *entry)
{
    scope_buf struct buf line = BUF_INIT;
    char when[TIME_TEXT_BYTES];
    /* Years beyond 9999 only show as the last second that the text can hold. */
    int64_t seconds = entry->mtime_s;
    int64_t bounded = seconds < 0                       ? 0
                      : seconds > INT64_C(253402300799) ? INT64_C(253402300799)
                                                        : seconds;
    time_format_sql(bounded * 1000000, when);
    add_mode(&line, entry);
    buf_printf(&line, " %u/%u %12" PRIu64 " %s ", entry->uid, entry->gid, entry->size_bytes, when);
    shown_add(&line, entry->path.length == 0 ? slice_str(".") : buf_slice(&entry->path));
    if (entry->type == ENTRY_SYMLINK || entry->type == ENTRY_HARDLINK) {
        buf_add_str(&line, entry->type == ENTRY_SYMLINK ? " -> " : " link to ");
        shown_add(&line, buf_slice(&entry->link));
    }
    print_text(&line);
}

/* A line of JSON an entry, so that a reader need not hold all of it; bytes that are no UTF-8 stand in base64 too. */
static void print_entry_json(const struct entry *entry)
{
    static const char *const types[] = {[ENTRY_FILE] = "file",
                                        [ENTRY_DIRECTORY] = "directory",
                                        [ENTRY_SYMLINK] = "symlink",
                                        [ENTRY_HARDLINK] = "hardlink"};
    scope_buf struct buf json = BUF_INIT;
    struct json_writer w = json_writer_to(&json);
    json_begin_object(&w);
    json_key(&w, "path");
    json_put_string_slice(&w, buf_slice(&entry->path));
    if (!utf8_is_valid(buf_slice(&entry->path))) {
        scope_buf struct buf encoded = BUF_INIT;
        base64_add(&encoded, buf_slice(&entry->path));
        json_field_string(&w, "path_base64", encoded.data);
    }
    json_field_string(&w, "type", types[entry->type]);
    json_field_int(&w, "mode", (int64_t)entry->mode);
    json_field_int(&w, "uid", entry->uid);
    json_field_int(&w, "gid", entry->gid);
    json_field_int(&w, "mtime", entry->mtime_s);
    json_field_uint(&w, "size", entry->size_bytes);
    if (entry->link.length > 0) {
        json_key(&w, "link");
        json_put_string_slice(&w, buf_slice(&entry->link));
    }
    json_end_object(&w);
    print_text(&json);
}

static int print_entry(const struct entry *entry, void *context, struct error *err)
{
    const struct invocation *invocation = context;
    scope_buf struct buf line = BUF_INIT;
    if (option_is_given(invocation, "json")) {
        print_entry_json(entry);
    } else if (option_is_given(invocation, "long")) {
        print_long(entry);
    } else {
        shown_add(&line, entry->path.length == 0 ? slice_str(".") : buf_slice(&entry->path));
        if (entry->type == ENTRY_DIRECTORY)
            buf_add_char(&line, '/');
        print_text(&line);
    }
    return 0;
}

/* All of the archive is read, so that its digest can be told. */
static int show_checked(const struct invocation *invocation, struct report *report,
                        struct error *err)
{
    scope_input struct archive_input input = {.fd = -1};
    struct entry entry;
    int more;
    if (archive_input_open(invocation, &input, err) < 0)
        return -1;
    entry_init(&entry);
    input.source->report = report;
    while ((more = source_next(input.source, &entry, err)) > 0)
        print_entry(&entry, (void *)invocation, err);
    entry_free(&entry);
    return more < 0 ? -1 : archive_input_check(&input, err);
}

static int show(const struct invocation *invocation, struct report *report, struct error *err)
{
    const char *directory = option_text(invocation, "directory");
    struct archive_list_options options = {
        .directory = slice_str(directory == NULL ? "" : directory),
        .flags = directory == NULL ? ARCHIVE_LIST_RECURSIVE : 0,
        .cancel = stop_on_signal(),
        .report = report,
    };
    while (options.directory.length > 0 && *(const char *)options.directory.data == '/') {
        options.directory.data = (const char *)options.directory.data + 1;
        options.directory.length--;
    }
    uint64_t size_bytes;
    scope_fd int fd = archive_file_open(invocation, &size_bytes, err);
    int result = fd < 0 ? -1 : archive_list(fd, &options, print_entry, (void *)invocation, err);
    if (result > 0)
        complain("the index of '%s' is damaged, so all of it was read; 'roost archive verify' says "
                 "more",
                 argument_at(invocation, 0));
    return result < 0 ? -1 : 0;
}

int archive_show(const struct invocation *invocation, struct error *err)
{
    bool is_checked = option_is_given(invocation, "checksum");
    struct report report;
    if (is_checked && option_is_given(invocation, "directory"))
        return error_set(err, ERROR_INVALID, "'--checksum' and '--directory' exclude each other");
    report_init(&report);
    int result =
        is_checked ? show_checked(invocation, &report, err) : show(invocation, &report, err);
    if (result < 0)
        error_wrap(err, "reading '%s'", argument_at(invocation, 0));
    else
        archive_complain(&report);
    report_free(&report);
    return result;
}

/* ---- verify ---- */

static void print_verdict(const struct invocation *invocation, const struct archive_input *input,
                          const struct report *report)
{
    scope_buf struct buf checksum = BUF_INIT;
    checksum_add(&checksum, archive_reader_digest(input->source));
    if (option_is_given(invocation, "json")) {
        scope_buf struct buf json = BUF_INIT;
        struct json_writer w = json_writer_to(&json);
        json_begin_object(&w);
        json_field_string(&w, "checksum", checksum.data);
        json_field_uint(&w, "bytes", input->size_bytes);
        json_key(&w, "report");
        report_write_json(report, &w, REPORT_ITEMS_MAX);
        json_end_object(&w);
        print_text(&json);
        return;
    }
    say("%s  %s", checksum.data, argument_at(invocation, 0));
    say("good: %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " links, %" PRIu64
        " bytes of content",
        report->files, report->directories, report->symlinks + report->hardlinks,
        report->content_bytes);
}

int archive_verify(const struct invocation *invocation, struct error *err)
{
    scope_input struct archive_input input = {.fd = -1, .wants_digest = true, .checks_index = true};
    struct report report;
    if (archive_input_open(invocation, &input, err) < 0)
        return -1;
    report_init(&report);
    struct sink *nowhere = null_sink_create();
    struct copy_options options = {.cancel = stop_on_signal()};
    struct meter *meter = meter_start("verifying", archive_input_look, &input);
    int result = copy_entries(input.source, nowhere, &options, &report, err);
    if (result == 0)
        result = archive_input_check(&input, err);
    meter_stop(meter);
    if (result < 0) {
        error_wrap(err, "verifying '%s'", argument_at(invocation, 0));
    } else {
        print_verdict(invocation, &input, &report);
        archive_complain(&report);
    }
    sink_free(nowhere);
    report_free(&report);
    return result;
}

/* ---- the table ---- */

#define OPTION_CHECKSUM                                                                            \
    {                                                                                              \
        "checksum", 0, "DIGEST", "what the archive's digest must be, such as 'sha256:…'"         \
    }

/* clang-format off */
#define OPTIONS_IGNORE                                                                             \
    {"ignore", 'i', "PATTERN", "leave these files out; repeatable", true},                         \
    {"ignore-file", 0, "FILE", "with patterns, one a line"},                                       \
    {"ignore-mode", 0, "MODE", "what patterns mean: wings (the default) or git (gitignore)"}
/* clang-format on */

/* clang-format off */
#define OPTIONS_BUDGET                                                                             \
    {"read-limit", 0, "SIZE", "read so many bytes a second at most, such as '50 MiB'"},            \
    {"write-limit", 0, "SIZE", "write so many bytes a second at most"},                            \
    {"cpu-limit", 0, "PERCENT", "use so much of one processor at most, all threads together"}
/* clang-format on */

static const struct command list = {
    .name = "list",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "list what is in an archive",
    .details =
        "Reads only the index at the archive's end. An archive without one, or with --checksum,\n"
        "is read from end to end.",
    .options = (const struct option[]){{"long", 'l', NULL, "with modes, owners, sizes and times"},
                                       {"directory", 0, "PATH", "only what is in this directory"},
                                       OPTION_CHECKSUM,
                                       {"json", 0, NULL, "print a line of JSON for each entry"},
                                       OPTION_END},
    .run = archive_show,
};

static const struct command extract = {
    .name = "extract",
    .arguments = "FILE [DIR]",
    .arguments_min = 1,
    .arguments_max = 2,
    .summary = "extract an archive into a new or empty directory",
    .details = "The directory appears whole, or not at all. Exits with 3 where something was left\n"
               "out, and names it. Nothing in an archive can reach outside the directory.\n"
               "With --only, little more than these files is read, where the archive has an index.",
    .options = (const struct option[]){{"directory", 'C', "DIR", "where to; new or empty"},
                                       {"only", 0, "PATH",
                                        "only this file or directory; repeatable", true},
                                       {"keep-set-id", 0, NULL, "keep set-id bits"},
                                       OPTIONS_BUDGET,
                                       {"xattrs", 0, NULL, "set extended attributes and ACLs"},
                                       OPTION_CHECKSUM,
                                       OPTION_END},
    .run = archive_extract,
};

static const struct command verify = {
    .name = "verify",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "read all of an archive and print its digest",
    .details = "Fails where anything in it is damaged, its index included.",
    .options = (const struct option[]){OPTION_CHECKSUM, OPTION_JSON, OPTION_END},
    .run = archive_verify,
};

static const struct command create = {
    .name = "create",
    .arguments = "DIR FILE",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "make an archive of a directory",
    .details = "Exits with 3 where something was left out (unreadable, a socket, …), and names it.",
    .options = (const struct option[]){OPTIONS_IGNORE,
                                       {"compression", 0, "HOW",
                                        "fast (the default), balanced, best or store"},
                                       OPTIONS_BUDGET,
                                       {"xattrs", 0, NULL, "with extended attributes and ACLs"},
                                       OPTION_END},
    .run = archive_create,
};

static const struct command preview = {
    .name = "preview",
    .arguments = "DIR",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "show what ignore patterns would leave out of a directory",
    .details =
        "A line for each object that is left out: the pattern that decides, the size, the path. "
        "Of\n"
        "a directory that goes with all in it there is one line, with the size and number of what\n"
        "is below it. Then totals, and on standard error the patterns that decide about nothing.\n"
        "Without patterns, those of DIR/.pteroignore count. No file is read.",
    .options = (const struct option[]){OPTIONS_IGNORE,
                                       {"json", 0, NULL,
                                        "print a line of JSON for each object, and one of totals"},
                                       OPTION_END},
    .run = archive_preview,
};

static const struct command *const verbs[] = {&list, &extract, &verify, &create, &preview, NULL};

const struct command archive_command = {
    .name = "archive",
    .summary = "list, extract, verify and make archives, without a panel",
    .verbs = verbs,
};
