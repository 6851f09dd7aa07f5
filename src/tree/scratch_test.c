/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the tests: plain, and independent of what is tested. */
#include "tree/scratch_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

void scratch_make(struct scratch *scratch)
{
    snprintf(scratch->path, sizeof(scratch->path), "/var/tmp/roost-test-XXXXXX");
    assert_non_null(mkdtemp(scratch->path));
    scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(scratch->fd >= 0);
}

void scratch_remove(struct scratch *scratch)
{
    struct error err = ERROR_INIT;
    close(scratch->fd);
    if (beneath_remove_tree(AT_FDCWD, scratch->path, &err) < 0)
        fail_msg("%s", err.text);
}

void make_directory(int dir_fd, const char *path)
{
    assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
}

void make_file(int dir_fd, const char *path, const char *content)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, content, strlen(content), &err), 0);
}

void make_large_file(int dir_fd, const char *path, size_t size_bytes, char filler)
{
    struct error err = ERROR_INIT;
    scope_free char *content = xmalloc(size_bytes);
    memset(content, filler, size_bytes);
    scope_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, content, size_bytes, &err), 0);
}

int open_directory(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static uint64_t digest(int dir_fd, const char *name)
{
    char bytes[65536];
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    ssize_t got;
    scope_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW);
    assert_true(fd >= 0);
    while ((got = read(fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < got; i++)
            hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    return hash;
}

static void describe(int dir_fd, const char *name, const struct stat *status, struct buf *out)
{
    bool is_sparse = S_ISREG(status->st_mode) && status->st_blocks < status->st_size / 512;
    bool is_directory = S_ISDIR(status->st_mode);
    buf_printf(out, " %06o %u:%u %lld.%09ld names=%u size=%lld%s", status->st_mode, status->st_uid,
               status->st_gid, (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec,
               is_directory ? 1 : (unsigned)status->st_nlink,
               is_directory ? 0LL : (long long)status->st_size, is_sparse ? " sparse" : "");
    if (S_ISREG(status->st_mode))
        buf_printf(out, " %016llx", (unsigned long long)digest(dir_fd, name));
    if (S_ISLNK(status->st_mode)) {
        char target[4096];
        ssize_t length = readlinkat(dir_fd, name, target, sizeof(target));
        assert_true(length >= 0);
        buf_printf(out, " -> %.*s", (int)length, target);
    }
    buf_add_char(out, '\n');
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void manifest_below(int dir_fd, const char *prefix, struct buf *out)
{
    struct dirent **items;
    int count = scandirat(dir_fd, ".", &items, NULL, by_name);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        const char *name = items[i]->d_name;
        struct stat status;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            scope_free char *path = xasprintf("%s/%s", prefix, name);
            assert_int_equal(fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW), 0);
            buf_add_str(out, path);
            describe(dir_fd, name, &status, out);
            if (S_ISDIR(status.st_mode)) {
                int child_fd = open_directory(dir_fd, name);
                manifest_below(child_fd, path, out);
                close(child_fd);
            }
        }
        free(items[i]);
    }
    free(items);
}

void manifest(int dir_fd, struct buf *out)
{
    struct stat status;
    assert_int_equal(fstat(dir_fd, &status), 0);
    buf_add_str(out, ".");
    describe(dir_fd, ".", &status, out);
    manifest_below(dir_fd, "", out);
}

void assert_same_tree(int a_fd, int b_fd)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    manifest(a_fd, &a);
    manifest(b_fd, &b);
    assert_string_equal(a.data, b.data);
    buf_free(&a);
    buf_free(&b);
}

void read_text(int dir_fd, const char *path, struct buf *out)
{
    struct error err = ERROR_INIT;
    if (file_read(dir_fd, path, 16 << 20, out, &err) < 0)
        fail_msg("%s", err.text);
}

void list_source(struct source *source, struct buf *out)
{
    struct error err = ERROR_INIT;
    struct entry entry;
    int more;
    entry_init(&entry);
    while ((more = source_next(source, &entry, &err)) > 0)
        buf_printf(out, " %c:%s", "fdlh"[entry.type], entry.path.data);
    if (more < 0)
        fail_msg("%s", err.text);
    entry_free(&entry);
}

void without(const char *need)
{
    print_message("# not run: this test needs %s\n", need);
}

const struct report_item *find_item(const struct report *report, const char *path)
{
    for (size_t i = 0; i < report->item_count; i++)
        if (strcmp(report->items[i].path, path) == 0)
            return &report->items[i];
    return NULL;
}
