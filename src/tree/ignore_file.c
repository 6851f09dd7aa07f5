/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tenant's list of patterns.  Whatever lies under its name, nobody waits for it or follows it. */
#include "tree/ignore_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/scope.h"
#include "snapshot/ignore.h"

int ignore_file_read(int root_fd, struct buf *text, struct error *err)
{
    scope_fd int fd =
        beneath_open(root_fd, IGNORE_FILE_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, err);
    struct stat info;
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) < 0)
        return error_set_os(err, errno, "looking at '%s'", IGNORE_FILE_NAME);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERROR_INVALID, "'%s' is not a file", IGNORE_FILE_NAME);
    buf_reserve(text, IGNORE_TEXT_MAX_BYTES + 1);
    char chunk[4096];
    ssize_t got;
    while ((got = file_read_full(fd, chunk, sizeof(chunk), err)) > 0) {
        buf_add(text, chunk, (size_t)got);
        if (text->length > IGNORE_TEXT_MAX_BYTES)
            return error_set(err, ERROR_LIMIT, "'%s' is larger than %d bytes", IGNORE_FILE_NAME,
                             IGNORE_TEXT_MAX_BYTES);
    }
    return got < 0 ? -1 : 0;
}
