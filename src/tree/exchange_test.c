/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange by entries, and who holds a directory.  The calls that change a file system are wrapped
 * (by the linker): a child dies at the n-th of them, or the n-th fails.
 */
#include "tree/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"
#include "tree/exchange_internal.h"
#include "tree/own_names.h"
#include "tree/scratch_test.h"

/* ---- the wrapped calls ---- */

static long countdown; /* 0: nothing happens; the call that brings it to 0 is not made */
static long counted;
static bool is_deadly;
static bool fails_for_ever; /* … and each one after it fails, too */

static bool strikes(void)
{
    counted++;
    if (countdown < 0)
        return true;
    if (countdown == 0 || --countdown > 0)
        return false;
    if (is_deadly)
        _exit(0);
    countdown = fails_for_ever ? -1 : 0;
    return true;
}

#define WRAP(name, params, args)                                                                   \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        if (strikes()) {                                                                           \
            errno = EIO;                                                                           \
            return -1;                                                                             \
        }                                                                                          \
        return __real_##name args;                                                                 \
    }
WRAP(renameat2, (int from_fd, const char *from, int to_fd, const char *to, unsigned flags),
     (from_fd, from, to_fd, to, flags))
WRAP(renameat, (int from_fd, const char *from, int to_fd, const char *to),
     (from_fd, from, to_fd, to))
WRAP(unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
WRAP(fsync, (int fd), (fd))
WRAP(fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(futimens, (int fd, const struct timespec times[2]), (fd, times))

/* Looking is no step, but may fail, too: at this one. */
static long looks_left;
int __real_fstatat64(int fd, const char *name, struct stat *status, int flags);
int __wrap_fstatat64(int fd, const char *name, struct stat *status, int flags);
int __wrap_fstatat64(int fd, const char *name, struct stat *status, int flags)
{
    if (looks_left > 0 && --looks_left == 0) {
        errno = EIO;
        return -1;
    }
    return __real_fstatat64(fd, name, status, flags);
}

/* ---- a live root, and a box beside it ---- */

struct bench {
    struct scratch scratch;
    int box_fd, live_fd;
    struct buf old, new, text; /* manifests of the two trees */
    struct error doubt, err;
};

static void fill(struct bench *bench)
{
    int fd = bench->scratch.fd;
    make_directory(fd, "live");
    make_directory(fd, "live/both");
    make_file(fd, "live/both/old", "old");
    make_file(fd, "live/file", "old");
    make_file(fd, "live/gone", "old");
    make_directory(fd, "live/gone dir");
    make_file(fd, "live/was file", "old");
    assert_int_equal(symlinkat("/etc", fd, "live/link"), 0);
    assert_int_equal(linkat(fd, "live/file", fd, "live/second name", 0), 0);
    make_file(fd, "live/kept", "kept");
    make_directory(fd, "box");
    make_directory(fd, "box/tree");
    make_directory(fd, "box/tree/both");
    make_file(fd, "box/tree/both/new", "new");
    make_file(fd, "box/tree/file", "new");
    make_file(fd, "box/tree/added", "new");
    make_directory(fd, "box/tree/was file");
    make_file(fd, "box/tree/\xff\n odd", "new");
    assert_int_equal(symlinkat("..", fd, "box/tree/link"), 0);
    assert_int_equal(linkat(fd, "live/kept", fd, "box/tree/kept", 0), 0); /* as a merge does */
    assert_int_equal(fchmodat(fd, "live", 0750, 0), 0);
    assert_int_equal(fchmodat(fd, "box/tree", 0711, 0), 0);
    struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1111, .tv_nsec = 1}};
    assert_int_equal(utimensat(fd, "live", times, 0), 0);
    times[1].tv_sec = 2222;
    assert_int_equal(utimensat(fd, "box/tree", times, 0), 0);
    if (geteuid() == 0)
        assert_int_equal(fchownat(fd, "box/tree", 988, 987, 0), 0);
}

static void describe(int parent_fd, const char *name, struct buf *out)
{
    scope_fd int fd = open_directory(parent_fd, name);
    buf_clear(out);
    manifest(fd, out);
}

static void bench_fill(struct bench *bench)
{
    scratch_make(&bench->scratch);
    fill(bench);
    bench->box_fd = open_directory(bench->scratch.fd, "box");
    bench->live_fd = open_directory(bench->scratch.fd, "live");
    describe(bench->scratch.fd, "live", &bench->old);
    describe(bench->box_fd, "tree", &bench->new);
}

static void bench_empty(struct bench *bench)
{
    close(bench->box_fd);
    close(bench->live_fd);
    scratch_remove(&bench->scratch);
    error_clear(&bench->err);
    error_clear(&bench->doubt);
}

static int bench_begin(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    bench->old = bench->new = bench->text = (struct buf)BUF_INIT;
    countdown = counted = 0;
    is_deadly = fails_for_ever = false;
    bench_fill(bench);
    *state = bench;
    return 0;
}

static int bench_end(void **state)
{
    struct bench *bench = *state;
    countdown = 0;
    bench_empty(bench);
    buf_free(&bench->old);
    buf_free(&bench->new);
    buf_free(&bench->text);
    free(bench);
    return 0;
}

static int exchange(struct bench *bench)
{
    return exchange_entries(bench->box_fd, bench->live_fd, &bench->doubt, &bench->err);
}

static bool is_tree(struct bench *bench, int parent_fd, const char *name, const struct buf *wanted)
{
    describe(parent_fd, name, &bench->text);
    return strcmp(bench->text.data, wanted->data) == 0;
}

static void expect_live(struct bench *bench, const struct buf *live, const struct buf *boxed)
{
    if (!is_tree(bench, bench->scratch.fd, "live", live))
        fail_msg("live is\n%s and not\n%s", bench->text.data, live->data);
    if (!is_tree(bench, bench->box_fd, "tree", boxed))
        fail_msg("in the box is\n%s and not\n%s", bench->text.data, boxed->data);
    assert_false(exchange_is_torn(bench->box_fd));
}

/* ---- tests ---- */

static void the_root_stays_and_everything_in_it_changes(void **state)
{
    struct bench *bench = *state;
    struct stat before, after;
    assert_int_equal(fstat(bench->live_fd, &before), 0);
    assert_int_equal(exchange(bench), 0);
    assert_false(error_is_set(&bench->doubt));
    expect_live(bench, &bench->new, &bench->old);
    assert_int_equal(fstatat(bench->scratch.fd, "live", &after, 0), 0);
    assert_true(before.st_ino == after.st_ino);
}

static void an_exchange_can_be_taken_back_and_forth(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(exchange(bench), 0);
        assert_int_equal(exchange_forget(bench->box_fd, &bench->err), 0);
        if (i % 2 == 0)
            expect_live(bench, &bench->new, &bench->old);
        else
            expect_live(bench, &bench->old, &bench->new);
    }
}

static void what_is_done_is_known_until_it_is_forgotten(void **state)
{
    struct bench *bench = *state;
    enum exchange_state settled = EXCHANGE_DONE;
    assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), 0);
    assert_int_equal(settled, EXCHANGE_NONE);
    assert_int_equal(exchange(bench), 0);
    assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), 0);
    assert_int_equal(settled, EXCHANGE_DONE);
    assert_int_equal(exchange_forget(bench->box_fd, &bench->err), 0);
    assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), 0);
    assert_int_equal(settled, EXCHANGE_NONE);
}

/* In a child, which dies (true) or comes to an end. */
static bool dies_at(struct bench *bench, long point, void (*act)(struct bench *bench))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        countdown = point;
        is_deadly = true;
        act(bench);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static void act_exchange(struct bench *bench)
{
    (void)exchange(bench);
}

static void act_settle(struct bench *bench)
{
    enum exchange_state settled;
    (void)exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err);
}

static void expect_settled(struct bench *bench, unsigned outcomes[2])
{
    enum exchange_state settled;
    if (exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err) < 0)
        fail_msg("%s", bench->err.text);
    if (settled == EXCHANGE_DONE)
        expect_live(bench, &bench->new, &bench->old);
    else
        expect_live(bench, &bench->old, &bench->new);
    outcomes[settled]++;
}

static void a_death_at_any_point_leaves_one_tree_or_the_other(void **state)
{
    struct bench *bench = *state;
    unsigned outcomes[2] = {0, 0};
    for (long point = 1; dies_at(bench, point, act_exchange); point++) {
        expect_settled(bench, outcomes);
        bench_empty(bench);
        bench_fill(bench);
    }
    assert_true(outcomes[EXCHANGE_NONE] >= 2); /* the draft of the plan, its name */
    assert_true(outcomes[EXCHANGE_DONE] >= 15);
}

/* In the midst of the exchange, then at each point of carrying on. */
static void a_second_death_does_no_harm_either(void **state)
{
    struct bench *bench = *state;
    unsigned outcomes[2] = {0, 0};
    for (long first = 5; first < 16; first += 5) {
        for (long second = 1;; second++) {
            assert_true(dies_at(bench, first, act_exchange));
            bool died = dies_at(bench, second, act_settle);
            expect_settled(bench, outcomes);
            bench_empty(bench);
            bench_fill(bench);
            if (!died)
                break;
        }
    }
    assert_true(outcomes[EXCHANGE_DONE] >= 20);
}

/* One call fails: what was moved is moved back, or all of it is moved and the disk in doubt. */
static void a_failure_at_any_point_leaves_one_tree_or_the_other(void **state)
{
    struct bench *bench = *state;
    bool is_over = false;
    unsigned failed = 0, doubted = 0;
    for (long point = 1; !is_over; point++) {
        countdown = point;
        int result = exchange(bench);
        is_over = countdown > 0;
        countdown = 0;
        if (result == 0 && exchange_is_torn(bench->box_fd)) {
            /* All of it is there; only the mark could not be made. */
            assert_true(error_is_set(&bench->doubt));
            assert_true(is_tree(bench, bench->scratch.fd, "live", &bench->new));
            act_settle(bench);
        }
        expect_live(bench, result == 0 ? &bench->new : &bench->old,
                    result == 0 ? &bench->old : &bench->new);
        failed += result < 0;
        doubted += error_is_set(&bench->doubt);
        bench_empty(bench);
        bench_fill(bench);
    }
    assert_true(failed >= 10 && doubted >= 3);
}

/* The disk is gone for good: it is torn, known to be, and mended once the disk is back. */
static void what_fails_for_ever_is_torn_until_it_can_be_settled(void **state)
{
    struct bench *bench = *state;
    unsigned torn = 0, outcomes[2] = {0, 0};
    for (long point = 1; point < 20; point++) {
        countdown = point;
        fails_for_ever = true;
        int result = exchange(bench);
        countdown = 0;
        torn += exchange_is_torn(bench->box_fd) && result < 0;
        error_clear(&bench->err);
        if (exchange_is_torn(bench->box_fd) || result < 0)
            expect_settled(bench, outcomes);
        bench_empty(bench);
        bench_fill(bench);
    }
    assert_true(torn >= 8);
}

/* In the middle of taking back: then it goes on back, not forth. */
static void a_death_on_the_way_back(void **state)
{
    struct bench *bench = *state;
    unsigned outcomes[2] = {0, 0};
    for (long point = 8;; point++) {
        countdown = 7;
        fails_for_ever = true; /* fails at the 7th; so does all of the way back */
        assert_int_equal(exchange(bench), -1);
        countdown = 0;
        error_clear(&bench->err);
        assert_true(exchange_is_torn(bench->box_fd));
        assert_int_equal(renameat(bench->box_fd, "plan", bench->box_fd, "back"), 0);
        bool died = dies_at(bench, point - 7, act_settle);
        expect_settled(bench, outcomes);
        bench_empty(bench);
        bench_fill(bench);
        if (!died)
            break;
    }
    assert_int_equal(outcomes[EXCHANGE_DONE], 0);
    assert_true(outcomes[EXCHANGE_NONE] >= 8);
}

/* What cannot be looked at is not taken for what is not there. */
static void a_look_that_fails(void **state)
{
    struct bench *bench = *state;
    long point = 1;
    for (bool is_over = false; !is_over; point++) {
        looks_left = point;
        int result = exchange(bench);
        is_over = looks_left > 0;
        looks_left = 0;
        error_clear(&bench->err);
        if (exchange_is_torn(bench->box_fd)) {
            enum exchange_state settled;
            assert_int_equal(result, -1);
            assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err),
                             0);
            result = settled == EXCHANGE_DONE ? 0 : -1;
        }
        const struct buf *wanted = result == 0 ? &bench->new : &bench->old;
        assert_true(is_tree(bench, bench->scratch.fd, "live", wanted));
        bench_empty(bench);
        bench_fill(bench);
    }
    assert_true(point > 6);
}

static void names_of_ours_stay_where_they_are(void **state)
{
    struct bench *bench = *state;
    const char *const own = "live/" TREE_KEPT_PREFIX "01234567-89ab-cdef-0123-456789abcdef";
    make_directory(bench->scratch.fd, own);
    make_file(bench->scratch.fd, "live/" TREE_KEPT_PREFIX "of a tenant", "not ours");
    assert_int_equal(exchange(bench), 0);
    assert_int_equal(faccessat(bench->scratch.fd, own, F_OK, 0), 0);
    assert_int_equal(faccessat(bench->box_fd, "tree/" TREE_KEPT_PREFIX "of a tenant", F_OK, 0), 0);
}

static void what_appears_meanwhile_is_not_lost(void **state)
{
    struct bench *bench = *state;
    assert_true(dies_at(bench, 8, act_exchange)); /* half way */
    make_file(bench->scratch.fd, "live/appeared", "appeared");
    unlinkat(bench->scratch.fd, "live/gone", 0);
    enum exchange_state settled;
    assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), 0);
    assert_int_equal(settled, EXCHANGE_DONE);
    buf_clear(&bench->text);
    read_text(bench->scratch.fd, "live/appeared", &bench->text);
    assert_string_equal(bench->text.data, "appeared");
}

/* Mounts in it are refused before anything moves; elsewhere it would be too late. */
static void an_entry_that_is_a_mount_point_is_refused(void **state)
{
    struct bench *bench = *state;
    static const char *const points[] = {"both", "gone dir"};
    for (size_t i = 0; i < 2; i++) {
        scope_free char *path = xasprintf("%s/live/%s", bench->scratch.path, points[i]);
        if (mount("none", path, "tmpfs", 0, NULL) < 0)
            return without("the right to mount");
        int result = exchange(bench);
        enum error_code code = bench->err.code;
        error_clear(&bench->err);
        assert_int_equal(umount(path), 0);
        assert_int_equal(result, -1);
        assert_int_equal(code, ERROR_CONFLICT);
        expect_live(bench, &bench->old, &bench->new);
    }
}

static void a_plan_that_is_cut_off_or_of_another_tree_moves_nothing(void **state)
{
    struct bench *bench = *state;
    assert_true(dies_at(bench, 4, act_exchange)); /* the plan is there, nothing was moved */
    scope_buf struct buf plan = BUF_INIT;
    enum exchange_state settled;
    assert_int_equal(file_read(bench->box_fd, "plan", 1 << 20, &plan, &bench->err), 0);
    assert_true(plan.length > 100);
    for (size_t length = 0; length < 90; length += 13) {
        scope_fd int fd = openat(bench->box_fd, "plan", O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, plan.data, length), length);
        assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), -1);
        error_clear(&bench->err);
        renameat(bench->box_fd, "back", bench->box_fd, "plan");
    }
    plan.data[16] ^= 1; /* the live root's inode */
    scope_fd int fd = openat(bench->box_fd, "plan", O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, plan.data, plan.length), plan.length);
    assert_int_equal(exchange_settle(bench->box_fd, bench->live_fd, &settled, &bench->err), -1);
    assert_true(is_tree(bench, bench->scratch.fd, "live", &bench->old));
}

/* ---- who holds it ---- */

/* A process of a /proc of our own: with a link or a line that tells what it holds. */
static void make_process(struct bench *bench, const char *pid, const char *what, const char *held)
{
    static const char *const directories[] = {"", "/ns", "/fd"};
    static const char *const links[] = {"/ns/mnt", "/cwd", "/root", "/fd/0", "/fd/17"};
    static const char *const files[] = {"/maps", "/mountinfo"};
    int fd = bench->scratch.fd;
    for (size_t i = 0; i < 3; i++) {
        scope_free char *path = xasprintf("proc/%s%s", pid, directories[i]);
        make_directory(fd, path);
    }
    for (size_t i = 0; i < 5; i++) {
        scope_free char *path = xasprintf("proc/%s%s", pid, links[i]);
        scope_free char *namespace = xasprintf("mnt:[%s]", pid);
        const char *target = strcmp(links[i], what) == 0 ? held : i == 0 ? namespace : "/";
        assert_int_equal(symlinkat(target, fd, path), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        scope_free char *path = xasprintf("proc/%s%s", pid, files[i]);
        scope_free char *text =
            xasprintf("some line\n%s\nanother\n", strcmp(files[i], what) == 0 ? held : "a line");
        make_file(fd, path, text);
    }
}

static void whoever_holds_the_root_is_seen(void **state)
{
    static const struct {
        const char *what, *held;
        bool counts;
    } rows[] = {
        {"/cwd", "/srv/world", true},
        {"/cwd", "/srv/world/region", true},
        {"/cwd", "/srv/world2", false},
        {"/cwd", "/srv/old world", false},
        {"/cwd", "world", false},
        {"/root", "/srv/world", true},
        {"/fd/17", "/volumes/world/log (deleted)", true},
        {"/fd/0", "socket:[world]", false},
        {"/maps", "7f00-7f01 r-xp 0 08:01 7 /srv/world/plugin.so", true},
        {"/maps", "7f00-7f01 r-xp 0 08:01 7 /srv/world.so", false},
        {"/mountinfo", "7 1 8:1 /srv/world /home/container rw - ext4 /dev/a rw", true},
        {"/mountinfo", "7 1 8:1 /srv/worlds /home/container rw - ext4 /dev/a rw", false},
    };
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        make_directory(bench->scratch.fd, "proc");
        make_process(bench, "1", "", "");
        make_process(bench, "2", rows[i].what, rows[i].held);
        scope_fd int proc_fd = open_directory(bench->scratch.fd, "proc");
        if (exchange_scan(proc_fd, "world") != rows[i].counts)
            fail_msg("%s -> %s", rows[i].what, rows[i].held);
        assert_int_equal(beneath_remove_tree(bench->scratch.fd, "proc", &bench->err), 0);
    }
}

static void our_own_descriptors_do_not_count_but_our_mounts_do(void **state)
{
    struct bench *bench = *state;
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    make_directory(bench->scratch.fd, "proc");
    scope_fd int proc_fd = open_directory(bench->scratch.fd, "proc");
    make_process(bench, pid, "/fd/17", "/srv/world");
    assert_false(exchange_scan(proc_fd, "world"));
    assert_int_equal(beneath_remove_tree(proc_fd, pid, &bench->err), 0);
    make_process(bench, pid, "/mountinfo", "7 1 8:1 /srv/world /mnt rw - ext4 /dev/a rw");
    assert_true(exchange_scan(proc_fd, "world"));
}

static void whoever_may_not_look_believes_that_it_is_held(void **state)
{
    struct bench *bench = *state;
    if (geteuid() != 0)
        return without("root");
    pid_t child = fork();
    if (child == 0)
        _exit(setuid(12345) == 0 && exchange_is_held(bench->live_fd) ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_mount_point_is_known(void **state)
{
    struct bench *bench = *state;
    int fd = bench->scratch.fd;
    scope_free char *path = xasprintf("%s/live", bench->scratch.path);
    scope_free char *source = xasprintf("%s/box", bench->scratch.path);
    assert_false(exchange_is_mount_point(fd, "live"));
    assert_false(exchange_is_mount_point(fd, "nothing"));
    if (mount(source, path, NULL, MS_BIND, NULL) < 0)
        return without("the right to mount");
    bool is_one = exchange_is_mount_point(fd, "live"); /* of the same file system, all the same */
    assert_int_equal(umount(path), 0);
    assert_true(is_one);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, bench_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_root_stays_and_everything_in_it_changes),
        BENCH_TEST(an_exchange_can_be_taken_back_and_forth),
        BENCH_TEST(what_is_done_is_known_until_it_is_forgotten),
        BENCH_TEST(a_death_at_any_point_leaves_one_tree_or_the_other),
        BENCH_TEST(a_second_death_does_no_harm_either),
        BENCH_TEST(a_failure_at_any_point_leaves_one_tree_or_the_other),
        BENCH_TEST(what_fails_for_ever_is_torn_until_it_can_be_settled),
        BENCH_TEST(a_death_on_the_way_back),
        BENCH_TEST(a_look_that_fails),
        BENCH_TEST(names_of_ours_stay_where_they_are),
        BENCH_TEST(what_appears_meanwhile_is_not_lost),
        BENCH_TEST(an_entry_that_is_a_mount_point_is_refused),
        BENCH_TEST(a_plan_that_is_cut_off_or_of_another_tree_moves_nothing),
        BENCH_TEST(whoever_holds_the_root_is_seen),
        BENCH_TEST(our_own_descriptors_do_not_count_but_our_mounts_do),
        BENCH_TEST(whoever_may_not_look_believes_that_it_is_held),
        BENCH_TEST(a_mount_point_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
