/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories may be a server's: links are resolved first, so that names cannot hide where they are. */
#include "cli/attach.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

bool path_lies_in(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    if (strcmp(directory, "/") == 0)
        return true;
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int keep_apart(const char *server, const char *own, struct error *err)
{
    scope_free char *real = realpath(own, NULL);
    if (real == NULL)
        return 0; /* not made yet: nothing of ours can be in it */
    if (path_lies_in(real, server))
        return error_set(err, ERROR_INVALID,
                         "'%s' lies inside '%s': a backup would contain itself; move the data "
                         "directory out of the server's",
                         real, server);
    if (path_lies_in(server, real))
        return error_set(err, ERROR_INVALID,
                         "'%s' lies inside '%s', where Roost keeps its own data", server, real);
    return 0;
}

char *attachable_directory(const struct config *config, const char *path, struct error *err)
{
    scope_free char *real = realpath(path, NULL);
    if (real == NULL) {
        error_set_os(err, errno, "opening the server directory '%s'", path);
        return NULL;
    }
    scope_fd int fd = directory_open(real, err);
    if (fd < 0)
        return NULL;
    scope_free char *servers = realpath(config->node.server_directory, NULL);
    bool is_ours = servers != NULL && path_lies_in(real, servers) && strcmp(real, servers) != 0;
    if (is_ours)
        return scope_take(real); /* where server directories belong, also below our own */
    if (keep_apart(real, config->node.state_directory, err) < 0 ||
        keep_apart(real, config->node.backup_directory, err) < 0)
        return NULL;
    return scope_take(real);
}
