/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's look at this machine: kernel, clock, directories, space, modes of secrets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/doctor.h"

#define YEAR_2024_US INT64_C(1704067200000000)
#define YEAR_2100_US INT64_C(4102444800000000)

enum {
    SPACE_WRONG_PERCENT = 2,
    SPACE_WARNING_PERCENT = 10,
};

void doctor_check_machine(struct doctor *doctor, const struct config *config)
{
    struct error err = ERROR_INIT;
    scope_fd int root = directory_open("/", &err);
    scope_fd int below = root < 0 ? -1 : beneath_open_raw(root, ".", O_RDONLY | O_DIRECTORY, 0);
    if (below >= 0)
        doctor_note(doctor, FINDING_OK, "kernel", NULL, "has openat2");
    else
        doctor_note(doctor, FINDING_WRONG, "kernel",
                    "run Linux 5.6 or newer, and let the sandbox allow openat2",
                    "openat2 does not work: %s", strerrordesc_np(below < 0 ? -below : EIO));
    int64_t now_us = time_now_us();
    char text[TIME_TEXT_BYTES];
    time_format_log(now_us, text);
    if (now_us < YEAR_2024_US || now_us > YEAR_2100_US)
        doctor_note(doctor, FINDING_WRONG, "clock", "set the clock, best with an NTP service",
                    "it is not %s", text);
    else
        doctor_note(doctor, FINDING_OK, "clock", NULL, "%s", text);
}

static void check_space(struct doctor *doctor, const char *subject, int fd)
{
    uint64_t free_bytes, total_bytes;
    struct error err = ERROR_INIT;
    scope_buf struct buf text = BUF_INIT;
    if (directory_free_space(fd, &free_bytes, &total_bytes, &err) < 0 || total_bytes == 0)
        return;
    uint64_t percent = free_bytes / (total_bytes / 100 + 1);
    text_add_size(&text, free_bytes);
    enum finding finding = percent < SPACE_WRONG_PERCENT     ? FINDING_WRONG
                           : percent < SPACE_WARNING_PERCENT ? FINDING_WARNING
                                                             : FINDING_OK;
    doctor_note(doctor, finding, subject,
                finding == FINDING_OK ? NULL
                                      : "delete backups, or place node.backup_directory elsewhere",
                "%s free (%u %%)", text.data, (unsigned)percent);
}

static bool check_directory(struct doctor *doctor, const char *key, const char *path)
{
    struct error err = ERROR_INIT;
    struct stat status;
    scope_fd int fd = directory_open(path, &err);
    if (fd < 0 || fstat(fd, &status) < 0) {
        doctor_note(doctor, FINDING_WRONG, key, "'roost init' makes it, or correct the key", "%s",
                    fd < 0 ? err.text : "cannot be looked at");
        return false;
    }
    if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0) {
        doctor_note(doctor, FINDING_WRONG, key, "give it to the user that runs roost: chown",
                    "'%s' is not writable", path);
        return false;
    }
    if (status.st_mode & 0022) {
        scope_free char *remedy = xasprintf("chmod go-w '%s'", path);
        doctor_note(doctor, FINDING_WRONG, key, remedy, "others may write to '%s' (mode %04o)",
                    path, status.st_mode & 07777);
        return false;
    }
    doctor_note(doctor, FINDING_OK, key, NULL, "%s", path);
    return true;
}

void doctor_check_directories(struct doctor *doctor, const struct config *config)
{
    struct error err = ERROR_INIT;
    check_directory(doctor, "data", config->data);
    check_directory(doctor, "node.state_directory", config->node.state_directory);
    check_directory(doctor, "node.server_directory", config->node.server_directory);
    if (!check_directory(doctor, "node.backup_directory", config->node.backup_directory))
        return;
    scope_fd int fd = directory_open(config->node.backup_directory, &err);
    if (fd >= 0)
        check_space(doctor, "free space", fd);
}

/* A server directory that is gone fails the server's backups, and nothing else: a warning would be overlooked. */
static int check_server(const char *server, const char *path, void *context, struct error *err)
{
    struct doctor *doctor = context;
    struct error open_error = ERROR_INIT;
    scope_free char *subject = xasprintf("server %s", server);
    scope_free char *remedy =
        xasprintf("bring it back, or 'roost node attach %s DIR' where it moved", server);
    scope_fd int fd = directory_open(path, &open_error);
    if (fd < 0)
        doctor_note(doctor, FINDING_WRONG, subject, remedy, "%s", open_error.text);
    else
        doctor_note(doctor, FINDING_OK, subject, NULL, "%s", path);
    return 0;
}

void doctor_check_servers(struct doctor *doctor, const struct config *config)
{
    struct error err = ERROR_INIT;
    if (node_each_directory(config->node.state_directory, check_server, doctor, &err) < 0)
        doctor_note(doctor, FINDING_WRONG, "attached directories", "see the message", "%s",
                    err.text);
}

static void check_secret(struct doctor *doctor, const char *key, const char *path, bool is_given)
{
    struct stat status;
    if (is_given) {
        doctor_note(doctor, FINDING_OK, key, NULL, "given directly");
        return;
    }
    if (stat(path, &status) < 0) {
        doctor_note(doctor, FINDING_WRONG, key, "'roost init' makes it, or correct the key",
                    "'%s': %s", path, strerrordesc_np(errno));
        return;
    }
    if (status.st_mode & 0077) {
        scope_free char *remedy = xasprintf("chmod 600 '%s'", path);
        doctor_note(doctor, FINDING_WRONG, key, remedy, "others may read '%s' (mode %04o)", path,
                    status.st_mode & 07777);
        return;
    }
    doctor_note(doctor, FINDING_OK, key, NULL, "%s", path);
}

void doctor_check_secrets(struct doctor *doctor, const struct config *config)
{
    bool is_node_only = *config->node.panel_url != '\0';
    if (!is_node_only)
        check_secret(doctor, "panel.app_key_file", config->panel.app_key_file,
                     *config->panel.app_key != '\0');
    check_secret(doctor, "node.token_file", config->node.token_file, *config->node.token != '\0');
    if (*config->listen.tls_key_file != '\0')
        check_secret(doctor, "listen.tls_key_file", config->listen.tls_key_file, false);
}
