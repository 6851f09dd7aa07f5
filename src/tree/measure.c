/* SPDX-License-Identifier: Apache-2.0 */
/* The size of a tree, roughly and quickly: one stat an object, one open a directory. */
#include "tree/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/file.h"
#include "tree/own_names.h"

enum {
    BLOCK_BYTES = 512 /* st_blocks counts in these, whatever the file system's own are */
};

static DIR *open_level(int parent_fd, const char *name)
{
    int fd = beneath_open_raw(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && dir == NULL)
        close(fd);
    return dir;
}

static void count_file(const struct stat *status, struct measure *measure)
{
    uint64_t allocated = (uint64_t)status->st_blocks * BLOCK_BYTES;
    uint64_t bytes = (uint64_t)status->st_size;
    if (allocated < bytes)
        bytes = allocated;
    measure->content_bytes += bytes / (status->st_nlink > 0 ? status->st_nlink : 1);
}

/* Whether the object is a directory to look into. */
static bool count_object(int dir_fd, const struct dirent *item, bool is_root,
                         struct measure *measure)
{
    struct stat status;
    const char *name = item->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (is_root && tree_is_own_name(name)))
        return false;
    measure->objects++;
    budget_pace();
    if (item->d_type == DT_DIR)
        return true;
    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISREG(status.st_mode))
        count_file(&status, measure);
    return S_ISDIR(status.st_mode);
}

void measure_tree(int root_fd, const struct cancel *cancel, struct measure *measure)
{
    DIR *levels[MEASURE_LEVELS];
    size_t depth = 0;
    *measure = (struct measure){.content_bytes = 0};
    levels[0] = open_level(root_fd, ".");
    if (levels[0] != NULL)
        depth = 1;
    while (depth > 0) {
        DIR *dir = levels[depth - 1];
        const struct dirent *item = cancel_is_set(cancel) ? NULL : readdir(dir);
        if (item == NULL) {
            closedir(dir);
            depth--;
        } else if (count_object(dirfd(dir), item, depth == 1, measure) && depth < MEASURE_LEVELS) {
            levels[depth] = open_level(dirfd(dir), item->d_name);
            if (levels[depth] != NULL)
                depth++;
        }
    }
}
