/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `roost archive extract` and `create`: a copy between an archive and a directory.  Both results appear
 * whole under their name, or not at all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "cli/archive_verbs.h"
#include "cli/attach.h"
#include "cli/console.h"
#include "cli/meter.h"
#include "cli/stop.h"
#include "snapshot/copy.h"
#include "tree/stage.h"
#include "tree/walk.h"

enum {
    RANDOM_LENGTH = 8,
};

/* A path taken apart: the directory that holds it, and its name there. */
struct place {
    char *parent;
    char *name;
};

static void place_free(struct place *place)
{
    free(place->parent);
    free(place->name);
}
#define scope_place __attribute__((cleanup(place_free)))

static int place_of(const char *path, struct place *place, struct error *err)
{
    scope_free char *real = realpath(path, NULL);
    scope_free char *copy = xstrdup(real != NULL ? real : path);
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
        copy[length - 1] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash == NULL ? copy : slash + 1;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return error_set(err, ERROR_INVALID, "'%s' cannot be made: choose a name for it", path);
    place->name = xstrdup(name);
    if (slash == NULL) {
        place->parent = xstrdup(".");
    } else {
        size_t length = slash == copy ? 1 : (size_t)(slash - copy);
        place->parent = xstrndup(copy, length);
    }
    return 0;
}

/* ---- extract ---- */

/* It does not exist, or is an empty directory. */
static int check_empty(const char *path, struct error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL && errno == ENOENT)
        return 0;
    if (directory == NULL)
        return error_set_os(err, errno, "opening '%s'", path);
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    if (count > 2)
        return error_set(err, ERROR_CONFLICT,
                         "'%s' is not empty: archives are extracted into a new or empty directory",
                         path);
    return 0;
}

struct extraction {
    struct archive_input input;
    struct report report;
    struct stage *stage;
    struct archive_budget budget;
};

static int fill_stage(struct extraction *extraction, struct error *err)
{
    struct copy_options options = {
        .selection = extraction->input.selection,
        .cancel = stop_on_signal(),
        .rate_bytes_per_s = extraction->budget.write_bytes_per_s,
    };
    struct meter *meter = meter_start("extracting", archive_input_look, &extraction->input);
    int result = copy_entries(extraction->input.source, stage_sink(extraction->stage), &options,
                              &extraction->report, err);
    if (result == 0)
        result = archive_input_check(&extraction->input, err);
    meter_stop(meter);
    return result;
}

static int extract_to(const struct invocation *invocation, struct extraction *extraction,
                      const struct place *place, struct error *err)
{
    char random[RANDOM_LENGTH + 1];
    struct stage_options options = {
        .flags = (option_is_given(invocation, "keep-set-id") ? STAGE_KEEP_SET_ID : 0) |
                 (option_is_given(invocation, "xattrs") ? STAGE_XATTRS : 0),
    };
    random_alphanumeric(random, RANDOM_LENGTH);
    scope_free char *stage_name = xasprintf(".roost-extract-%s", random);
    scope_fd int parent_fd = directory_open(place->parent, err);
    if (parent_fd < 0)
        return -1;
    extraction->stage = stage_create(parent_fd, place->name, stage_name, &options, err);
    if (extraction->stage == NULL)
        return -1;
    int result = fill_stage(extraction, err);
    if (result == 0)
        result = stage_exchange(extraction->stage, EXCHANGE_DIRECTORY, err);
    struct error leftover = ERROR_INIT;
    if (stage_discard(extraction->stage, &leftover) < 0)
        complain("'%s/%s' was left behind: %s", place->parent, stage_name, leftover.text);
    stage_free(extraction->stage);
    return result;
}

/* What --only names. */
static int read_selection(const struct invocation *invocation, struct selection **selection,
                          struct error *err)
{
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i].option->name, "only") != 0)
            continue;
        if (*selection == NULL)
            *selection = selection_new();
        if (selection_add(*selection, slice_str(invocation->given[i].value), err) < 0) {
            err->code = ERROR_INVALID;
            return error_wrap(err, "'--only'");
        }
    }
    return 0;
}

static int extract_input(const struct invocation *invocation, struct extraction *extraction,
                         struct error *err)
{
    const char *directory = option_text(invocation, "directory");
    scope_place struct place place = {.parent = NULL};
    if (directory != NULL && argument_at(invocation, 1) != NULL)
        return error_set(err, ERROR_INVALID, "'-C DIR' and a second argument exclude each other");
    if (directory == NULL)
        directory = argument_at(invocation, 1);
    if (directory == NULL)
        return error_set(err, ERROR_INVALID, "a directory to extract to is missing: '-C DIR'");
    if (read_selection(invocation, &extraction->input.selection, err) < 0 ||
        check_empty(directory, err) < 0 || place_of(directory, &place, err) < 0 ||
        archive_input_open(invocation, &extraction->input, err) < 0)
        return -1;
    if (extract_to(invocation, extraction, &place, err) < 0)
        return error_wrap(err, "extracting '%s'", argument_at(invocation, 0));
    say("%s: %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " links, %" PRIu64
        " bytes of content",
        directory, extraction->report.files, extraction->report.directories,
        extraction->report.symlinks + extraction->report.hardlinks,
        extraction->report.content_bytes);
    return archive_complain(&extraction->report);
}

int archive_extract(const struct invocation *invocation, struct error *err)
{
    struct extraction extraction = {.input = {.fd = -1}};
    if (option_is_given(invocation, "xattrs"))
        extraction.input.flags |= ARCHIVE_WITH_XATTRS;
    report_init(&extraction.report);
    int result = archive_budget_enter(invocation, &extraction.budget, err);
    if (result == 0)
        result = extract_input(invocation, &extraction, err);
    archive_input_close(&extraction.input);
    archive_budget_leave(&extraction.budget);
    report_free(&extraction.report);
    return result;
}

/* ---- create ---- */

struct creation {
    struct source *source;
    struct sink *sink;
    struct archive_rules rules;
    struct progress progress;
    struct report report;
    struct archive_budget budget;
};

static void look(void *context, uint64_t *done_bytes, uint64_t *total_bytes)
{
    struct progress *progress = context;
    *done_bytes = atomic_load(&progress->content_bytes);
    *total_bytes = atomic_load(&progress->expected_bytes);
}

static int read_compression(const struct invocation *invocation, struct archive_options *options,
                            struct error *err)
{
    const char *name = option_text(invocation, "compression");
    static const struct {
        const char *name;
        enum archive_compression compression;
    } choices[] = {{"fast", ARCHIVE_FAST},
                   {"balanced", ARCHIVE_BALANCED},
                   {"best", ARCHIVE_BEST},
                   {"store", ARCHIVE_STORE}};
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (strcmp(name == NULL ? "fast" : name, choices[i].name) == 0) {
            options->compression = choices[i].compression;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID,
                     "'--compression' is fast, balanced, best or store, not '%.40s'", name);
}

static int copy_tree(struct creation *creation, struct error *err)
{
    struct copy_options options = {
        .ignore = creation->rules.ignore,
        .cancel = stop_on_signal(),
        .progress = &creation->progress,
    };
    struct meter *meter = meter_start("archiving", look, &creation->progress);
    int result = copy_entries(creation->source, creation->sink, &options, &creation->report, err);
    meter_stop(meter);
    return result;
}

static int fill_archive(const struct invocation *invocation, struct creation *creation, int fd,
                        struct error *err)
{
    struct archive_options archive = {
        .digest = DIGEST_SHA256,
        .write_rate_bytes_per_s = creation->budget.write_bytes_per_s,
    };
    struct walk_options walk = {.wants_holes = true,
                                .wants_xattrs = option_is_given(invocation, "xattrs")};
    const char *directory = argument_at(invocation, 0);
    if (read_compression(invocation, &archive, err) < 0 ||
        archive_rules_read(invocation, &creation->rules, err) < 0)
        return -1;
    scope_fd int root_fd = directory_open(directory, err);
    if (root_fd < 0)
        return -1;
    creation->source = walk_open(root_fd, &walk, err);
    if (creation->source == NULL)
        return -1;
    creation->sink = archive_writer_open(fd, &archive, err);
    int result = creation->sink == NULL ? -1 : copy_tree(creation, err);
    source_free(creation->source);
    return result < 0 ? error_wrap(err, "archiving '%s'", directory) : 0;
}

/* An archive that grows inside what it archives would contain itself. */
static int keep_outside(const char *directory, const struct place *place, struct error *err)
{
    scope_free char *real = realpath(directory, NULL);
    scope_free char *parent = realpath(place->parent, NULL);
    if (real != NULL && parent != NULL && path_lies_in(parent, real))
        return error_set(err, ERROR_INVALID,
                         "'%s/%s' lies inside '%s': write the archive elsewhere", place->parent,
                         place->name, directory);
    return 0;
}

static int create_at(const struct invocation *invocation, struct creation *creation,
                     const struct place *place, struct error *err)
{
    const char *file = argument_at(invocation, 1);
    scope_fd int parent_fd = directory_open(place->parent, err);
    if (parent_fd < 0)
        return -1;
    if (faccessat(parent_fd, place->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return error_set(err, ERROR_CONFLICT, "'%s' exists already", file);
    struct file_draft *draft = file_draft_create(parent_fd, place->name, 0600, err);
    if (draft == NULL)
        return -1;
    if (fill_archive(invocation, creation, file_draft_fd(draft), err) < 0) {
        sink_free(creation->sink); /* before its file goes */
        creation->sink = NULL;
        file_draft_discard(draft);
        return -1;
    }
    if (file_draft_commit_new(draft, err) < 0)
        return -1;
    const struct archive_result *result = archive_writer_result(creation->sink);
    scope_buf struct buf checksum = BUF_INIT;
    checksum_add(&checksum, &result->digest);
    say("%s  %s", checksum.data, file);
    return archive_complain(&creation->report);
}

int archive_create(const struct invocation *invocation, struct error *err)
{
    struct creation creation = {.source = NULL};
    scope_place struct place place = {.parent = NULL};
    if (place_of(argument_at(invocation, 1), &place, err) < 0 ||
        keep_outside(argument_at(invocation, 0), &place, err) < 0)
        return -1;
    report_init(&creation.report);
    int result = archive_budget_enter(invocation, &creation.budget, err);
    if (result == 0)
        result = create_at(invocation, &creation, &place, err);
    sink_free(creation.sink);
    archive_budget_leave(&creation.budget);
    archive_rules_clear(&creation.rules);
    report_free(&creation.report);
    return result;
}
