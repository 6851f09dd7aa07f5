/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files and directories of stored inputs, without a
 * fuzzer: corpora are ordinary tests.  Says how many inputs it took.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX_BYTES = 16 << 20
};

static int run_file(int dir_fd, const char *name)
{
    struct error err = ERROR_INIT;
    scope_buf struct buf input = BUF_INIT;
    if (file_read(dir_fd, name, INPUT_MAX_BYTES, &input, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)input.data, input.length);
    return 1;
}

static int run(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return run_file(AT_FDCWD, path);
    int total = 0;
    const struct dirent *entry;
    while (total >= 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        int done = run_file(dirfd(dir), entry->d_name);
        total = done < 0 ? -1 : total + done;
    }
    closedir(dir);
    return total;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int done = run(argv[i]);
        if (done < 0)
            return 1;
        total += done;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
