/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange by entries against a tenant who owns the live directory and swaps, links, makes and
 * removes in it meanwhile.  Nothing outside is touched; what is live in the end has everything
 * that the staged tree had and the tenant left alone.
 */
#include "tree/exchange.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/scratch_test.h"

enum {
    ROUNDS = 60,
    NAMES = 40,
};

struct tenant {
    int live_fd;
    char outside[128];
    _Atomic(bool) is_over;
};

/* Whatever fails, fails: the names come and go, and the exchange moves them, too. */
static void misbehave(const struct tenant *tenant, int number)
{
    int fd = tenant->live_fd;
    char name[16], other[16];
    snprintf(name, sizeof(name), "n%d", number % NAMES);
    snprintf(other, sizeof(other), "n%d", number * 7 % NAMES);
    switch (number % 6) {
    case 0:
        (void)!renameat2(fd, name, fd, other, RENAME_EXCHANGE);
        break;
    case 1:
        unlinkat(fd, name, 0);
        (void)!symlinkat(tenant->outside, fd, name);
        break;
    case 2:
        unlinkat(fd, name, 0);
        mkdirat(fd, name, 0755);
        break;
    case 3:
        unlinkat(fd, name, AT_REMOVEDIR);
        close(openat(fd, name, O_CREAT | O_WRONLY | O_NOFOLLOW, 0644));
        break;
    case 4:
        (void)!renameat(fd, name, fd, other);
        break;
    default:
        unlinkat(fd, name, 0);
        unlinkat(fd, name, AT_REMOVEDIR);
    }
}

static void *run_tenant(void *argument)
{
    struct tenant *tenant = argument;
    for (int number = 0; !atomic_load(&tenant->is_over); number++)
        misbehave(tenant, number);
    return NULL;
}

static void fill(int fd, const char *tree, const char *content)
{
    char path[64];
    make_directory(fd, tree);
    for (int number = 0; number < NAMES; number += 1 + (tree[0] == 'b')) {
        snprintf(path, sizeof(path), "%s/n%d", tree, number);
        make_file(fd, path, content);
    }
    snprintf(path, sizeof(path), "%s/quiet", tree);
    make_file(fd, path, content);
}

static void exchange_once(struct scratch *scratch, const struct buf *canary, unsigned *failures)
{
    struct error err = ERROR_INIT, doubt = ERROR_INIT;
    scope_buf struct buf text = BUF_INIT;
    fill(scratch->fd, "live", "old");
    make_directory(scratch->fd, "box");
    fill(scratch->fd, "box/tree", "new");
    scope_fd int box_fd = open_directory(scratch->fd, "box");
    scope_fd int live_fd = open_directory(scratch->fd, "live");
    struct tenant tenant = {.live_fd = live_fd};
    snprintf(tenant.outside, sizeof(tenant.outside), "%s/outside", scratch->path);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_tenant, &tenant), 0);
    int result = exchange_entries(box_fd, live_fd, &doubt, &err);
    atomic_store(&tenant.is_over, true);
    pthread_join(thread, NULL);

    /* It may give up on a name that never holds still, but never half way. */
    *failures += result < 0;
    assert_false(exchange_is_torn(box_fd));
    read_text(live_fd, "quiet", &text);
    assert_string_equal(text.data, result == 0 ? "new" : "old");
    buf_clear(&text);
    read_text(box_fd, "tree/quiet", &text);
    assert_string_equal(text.data, result == 0 ? "old" : "new");
    buf_clear(&text);
    scope_fd int outside_fd = open_directory(scratch->fd, "outside");
    manifest(outside_fd, &text);
    assert_string_equal(text.data, canary->data);
    assert_int_equal(beneath_remove_tree(scratch->fd, "live", &err), 0);
    assert_int_equal(beneath_remove_tree(scratch->fd, "box", &err), 0);
}

static void a_tenant_that_swaps_everything_reaches_nothing(void **state)
{
    struct scratch scratch;
    struct buf canary = BUF_INIT;
    unsigned failures = 0;
    scratch_make(&scratch);
    make_directory(scratch.fd, "outside");
    make_file(scratch.fd, "outside/n0", "untouched");
    make_directory(scratch.fd, "outside/n1");
    make_file(scratch.fd, "outside/n1/f", "untouched");
    {
        scope_fd int outside_fd = open_directory(scratch.fd, "outside");
        manifest(outside_fd, &canary);
    }
    for (int round = 0; round < ROUNDS; round++)
        exchange_once(&scratch, &canary, &failures);
    assert_true(failures < ROUNDS / 4);
    buf_free(&canary);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenant_that_swaps_everything_reaches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
