/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of the panel's two APIs.  The first byte chooses the content type, the rest is the body:
 * it is read as every one of them.  What comes out must keep what the readers promise: bounded,
 * UTF-8, one pattern a line.
 */
#include <assert.h>
#include <string.h>

#include "api/client_api.h"
#include "api/remote_api.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_create(const json_t *body)
{
    struct client_create create;
    struct api_violations violations = {0};
    client_api_read_create(body, &create, &violations);
    assert(violations.count <= API_VIOLATIONS_MAX);
    assert(utf8_is_valid(buf_slice(&create.name)));
    assert(utf8_count(buf_slice(&create.name)) <= CLIENT_NAME_MAX_CHARACTERS);
    if (violations.count == 0) {
        assert(create.ignored.length <= CLIENT_IGNORED_MAX_BYTES);
        assert(strlen(create.ignored.data) == create.ignored.length);
        assert(strstr(create.ignored.data, "\n\n") == NULL);
    }
    client_create_free(&create);
}

static void check_report(const json_t *body)
{
    struct remote_report report;
    struct api_violations violations = {0};
    remote_api_read_report(body, &report, &violations);
    assert(strchr(report.checksum, ':') == NULL && strchr(report.checksum_type, ':') == NULL);
    if (violations.count == 0) {
        assert(report.part_count <= REMOTE_PARTS_MAX);
        assert(!report.is_successful || report.checksum[0] != '\0');
        assert(report.size_bytes <= INT64_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        NULL,
    };
    if (size == 0)
        return 0;
    struct error err = ERROR_INIT;
    scope_json json_t *body = NULL;
    const char *type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    if (client_api_parse_body(type, slice_of(data + 1, size - 1), &body, &err) < 0) {
        assert(err.code == ERROR_INVALID && body == NULL);
        return 0;
    }
    assert(body == NULL || json_is_object(body));
    check_create(body);
    check_report(body);
    struct client_restore restore;
    struct api_violations violations = {0};
    client_api_read_restore(body, &restore, &violations);
    assert(restore.files == NULL || selection_count(restore.files) <= SELECTION_PATHS_MAX);
    assert(violations.count > 0 || restore.ignored.length <= CLIENT_IGNORED_MAX_BYTES);
    assert(violations.count > 0 || restore.leaves_ignored || restore.ignored.length == 0);
    client_restore_free(&restore);
    struct remote_restore_report restore_report;
    remote_api_read_restore_report(body, &restore_report);
    assert(utf8_is_valid(slice_str(restore_report.error)));
    return 0;
}
