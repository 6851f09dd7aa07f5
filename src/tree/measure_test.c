/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/scope.h"
#include "tree/measure.h"

static char path[] = "/tmp/tree_measure_test.XXXXXX";
static int root_fd;

static int set_up(void **state)
{
    root_fd = mkdtemp(path) == NULL ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct error err = ERROR_INIT;
    close(root_fd);
    return beneath_remove_tree(AT_FDCWD, path, &err);
}

static void make_file(int dir_fd, const char *name, size_t length)
{
    static char bytes[65536];
    struct error err = ERROR_INIT;
    scope_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes, length, &err), 0);
}

static void content_counts_once_and_links_and_holes_not_at_all(void **state)
{
    struct measure measure;
    make_file(root_fd, "a", 65536);
    assert_int_equal(linkat(root_fd, "a", root_fd, "again", 0), 0);
    assert_int_equal(symlinkat("/", root_fd, "everything"), 0);
    assert_int_equal(mkdirat(root_fd, "d", 0700), 0);
    make_file(root_fd, "d/b", 8192);
    scope_fd int sparse = openat(root_fd, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(sparse, INT64_C(1) << 40), 0);
    assert_int_equal(fsync(sparse), 0);
    measure_tree(root_fd, NULL, &measure);
    assert_int_equal(measure.content_bytes, 65536 + 8192);
    assert_int_equal(measure.objects, 6);
}

static void depth_costs_no_descriptors_beyond_its_limit(void **state)
{
    struct measure measure;
    int at = dup(root_fd);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(mkdirat(at, "deep", 0700), 0);
        int next = openat(at, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    measure_tree(root_fd, NULL, &measure);
    assert_in_range(measure.objects, MEASURE_LEVELS - 1, MEASURE_LEVELS + 8);
}

static void a_cancelled_measurement_ends(void **state)
{
    struct measure measure;
    struct cancel cancel = {.is_cancelled = true};
    measure_tree(root_fd, &cancel, &measure);
    assert_int_equal(measure.objects, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_counts_once_and_links_and_holes_not_at_all),
        cmocka_unit_test(depth_costs_no_descriptors_beyond_its_limit),
        cmocka_unit_test(a_cancelled_measurement_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
