/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    NOBODY = 65534
};

struct place {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    snprintf(place->path, sizeof(place->path), "/tmp/base_file_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    close(place->fd);
    int result = beneath_remove_tree(AT_FDCWD, place->path, &err);
    free(place);
    return result;
}

static void write_text(int dir_fd, const char *name, const char *text)
{
    scope_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static char *read_text(int dir_fd, const char *name)
{
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    assert_int_equal(file_read(dir_fd, name, 1 << 20, &text, &err), 0);
    return buf_steal(&text);
}

static void a_discarded_draft_leaves_the_old_file_and_nothing_else(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    write_text(place->fd, "a", "old");
    struct file_draft *draft = file_draft_create(place->fd, "a", 0600, &err);
    assert_non_null(draft);
    assert_int_equal(file_write_all(file_draft_fd(draft), "new", 3, &err), 0);
    file_draft_discard(draft);
    scope_free char *text = read_text(place->fd, "a");
    assert_string_equal(text, "old");
    assert_int_equal(unlinkat(place->fd, "a", 0), 0);
    assert_int_equal(rmdir(place->path), 0);
    assert_int_equal(mkdir(place->path, 0700), 0);
}

static void a_committed_draft_replaces_the_file(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    write_text(place->fd, "a", "old");
    assert_int_equal(file_replace(place->fd, "a", slice_str("new"), 0640, &err), 0);
    scope_free char *text = read_text(place->fd, "a");
    assert_string_equal(text, "new");
}

static void commit_new_refuses_to_replace(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    write_text(place->fd, "a", "old");
    struct file_draft *draft = file_draft_create(place->fd, "a", 0600, &err);
    assert_int_equal(file_draft_commit_new(draft, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    scope_free char *text = read_text(place->fd, "a");
    assert_string_equal(text, "old");
}

static void a_crash_leaves_a_draft_that_the_sweep_removes(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    write_text(place->fd, "a", "old");
    write_text(place->fd, "not a.draft", "stays");
    pid_t child = fork();
    if (child == 0) {
        struct file_draft *draft = file_draft_create(place->fd, "a", 0600, &err);
        ssize_t done = write(file_draft_fd(draft), "half", 4);
        _exit(done == 4 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(file_draft_sweep(place->fd, &err), 0);
    scope_free char *text = read_text(place->fd, "a");
    assert_string_equal(text, "old");
    assert_int_equal(unlinkat(place->fd, "a", 0), 0);
    assert_int_equal(unlinkat(place->fd, "not a.draft", 0), 0);
    assert_int_equal(rmdir(place->path), 0);
    assert_int_equal(mkdir(place->path, 0700), 0);
}

static void a_full_device_is_no_space(void **state)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(file_write_all(fd, "x", 1, &err), -1);
    assert_int_equal(err.code, ERROR_NO_SPACE);
}

static void a_file_over_its_limit_is_refused(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    scope_buf struct buf text = BUF_INIT;
    write_text(place->fd, "a", "12345");
    assert_int_equal(file_read(place->fd, "a", 5, &text, &err), 0);
    assert_int_equal(file_read(place->fd, "a", 4, &text, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
}

static void directories_are_made_with_their_parents(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    scope_free char *path = xasprintf("%s/a//b/c/", place->path);
    scope_fd int fd = directory_open_or_make(path, 0700, &err);
    assert_true(fd >= 0);
    scope_fd int again = directory_open_or_make(path, 0700, &err);
    assert_true(again >= 0);
}

static void nothing_is_opened_outside_the_root(void **state)
{
    struct place *place = *state;
    assert_int_equal(mkdirat(place->fd, "root", 0700), 0);
    write_text(place->fd, "secret", "secret");
    scope_fd int root = openat(place->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(root, "d", 0700), 0);
    write_text(root, "d/inside", "inside");
    assert_int_equal(symlinkat("../secret", root, "link"), 0);
    assert_int_equal(symlinkat("d/inside", root, "good"), 0);
    assert_int_equal(symlinkat("..", root, "up"), 0);
    assert_int_equal(symlinkat("/etc", root, "etc"), 0);
    static const char *const refused[] = {"link",           "good",        "up/secret",
                                          "../secret",      "/etc/passwd", "etc/passwd",
                                          "d/../../secret", "up"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct error err = ERROR_INIT;
        assert_int_equal(beneath_open(root, refused[i], O_RDONLY, 0, &err), -1);
        assert_int_equal(err.code, ERROR_DENIED);
    }
    struct error err = ERROR_INIT;
    scope_fd int inside = beneath_open(root, "d/inside", O_RDONLY, 0, &err);
    assert_true(inside >= 0);
    scope_fd int itself = beneath_open(root, "", O_RDONLY | O_DIRECTORY, 0, &err);
    assert_true(itself >= 0);
}

static void removing_a_tree_never_follows_a_link(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    assert_int_equal(mkdirat(place->fd, "keep", 0700), 0);
    write_text(place->fd, "keep/file", "kept");
    assert_int_equal(mkdirat(place->fd, "tree", 0700), 0);
    assert_int_equal(symlinkat("../keep", place->fd, "tree/link"), 0);
    assert_int_equal(mkdirat(place->fd, "tree/locked", 0000), 0);
    assert_int_equal(beneath_remove_tree(place->fd, "tree", &err), 0);
    assert_int_equal(faccessat(place->fd, "tree", F_OK, 0), -1);
    scope_free char *text = read_text(place->fd, "keep/file");
    assert_string_equal(text, "kept");
    assert_int_equal(beneath_remove_tree(place->fd, "tree", &err), 0); /* again: nothing to do */
}

/* 0 where the process, as nobody in particular, removes the tree `name` that it owns. */
static int remove_as_nobody(int dir_fd, const char *name)
{
    struct error err = ERROR_INIT;
    if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
        return 1;
    return beneath_remove_tree(dir_fd, name, &err) < 0 ? 2 : 0;
}

static void modes_are_never_changed_through_a_link(void **state)
{
    struct place *place = *state;
    struct stat info;
    assert_int_equal(mkdirat(place->fd, "target", 0500), 0);
    assert_int_equal(symlinkat("target", place->fd, "link"), 0);
    assert_int_equal(beneath_chmod(place->fd, "link", 0777), -1);
    assert_int_equal(fstatat(place->fd, "target", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0500);
    assert_int_equal(fchmodat(place->fd, "target", 0000, 0), 0);
    assert_int_equal(beneath_chmod(place->fd, "target", 0711), 0);
    assert_int_equal(fstatat(place->fd, "target", &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0711);
}

static void directories_that_their_owner_closed_are_removed(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *path;
        mode_t mode;
    } closed[] = {{"tree/a/b/empty", 0500}, {"tree/a/b", 0555}, {"tree/a", 0444}, {"tree", 0000}};
    assert_int_equal(mkdirat(place->fd, "tree", 0700), 0);
    assert_int_equal(mkdirat(place->fd, "tree/a", 0700), 0);
    assert_int_equal(mkdirat(place->fd, "tree/a/b", 0700), 0);
    assert_int_equal(mkdirat(place->fd, "tree/a/b/empty", 0700), 0);
    write_text(place->fd, "tree/a/b/file", "x");
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        assert_int_equal(fchmodat(place->fd, closed[i].path, closed[i].mode, 0), 0);
        if (geteuid() == 0)
            assert_int_equal(fchownat(place->fd, closed[i].path, NOBODY, NOBODY, 0), 0);
    }
    if (geteuid() == 0)
        assert_int_equal(fchown(place->fd, NOBODY, NOBODY), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(remove_as_nobody(place->fd, "tree"));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(faccessat(place->fd, "tree", F_OK, 0), -1);
}

static void a_tree_deeper_than_the_descriptors_is_removed(void **state)
{
    struct place *place = *state;
    struct error err = ERROR_INIT;
    enum {
        DEPTH = 10000
    };
    int at = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        write_text(at, "file", "x");
        int next = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit few = {.rlim_cur = 128, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int result = beneath_remove_tree(place->fd, "deep", &err);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(result, 0);
    assert_int_equal(faccessat(place->fd, "deep", F_OK, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define PLACED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        PLACED(a_discarded_draft_leaves_the_old_file_and_nothing_else),
        PLACED(a_committed_draft_replaces_the_file),
        PLACED(commit_new_refuses_to_replace),
        PLACED(a_crash_leaves_a_draft_that_the_sweep_removes),
        PLACED(a_full_device_is_no_space),
        PLACED(a_file_over_its_limit_is_refused),
        PLACED(directories_are_made_with_their_parents),
        PLACED(nothing_is_opened_outside_the_root),
        PLACED(removing_a_tree_never_follows_a_link),
        PLACED(modes_are_never_changed_through_a_link),
        PLACED(directories_that_their_owner_closed_are_removed),
        PLACED(a_tree_deeper_than_the_descriptors_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
