/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for a test. */
#include "node/test_scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

void scratch_make(char path[128])
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, 128, "%s/roost-node-test.XXXXXX", parent == NULL ? "/tmp" : parent);
    assert_non_null(mkdtemp(path));
}

void scratch_remove(const char *path)
{
    struct error err = ERROR_INIT;
    must(beneath_remove_tree(AT_FDCWD, path, &err), &err);
}

void scratch_write(const char *path, const char *text)
{
    struct error err = ERROR_INIT;
    scope_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    must(file_write_all(fd, text, strlen(text), &err), &err);
}

void scratch_directory(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

bool scratch_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *scratch_read(const char *path)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf text = BUF_INIT;
    if (file_read(AT_FDCWD, path, 1024 * 1024, &text, &err) < 0)
        return xstrdup("");
    return xstrdup(text.data);
}

char *scratch_path(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *path = NULL;
    assert_true(vasprintf(&path, format, args) > 0);
    va_end(args);
    return path;
}
