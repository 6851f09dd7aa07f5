/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Download tokens as a node reads them: the input as the claims of a rightly signed one, and as the path that a
 * panel signs.  Claims: a file that a token names is a path of a backup; and it is the one that was signed.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/node_api.h"
#include "base/file.h"
#include "base/scope.h"
#include "crypt/jwt.h"
#include "node/token.h"

#define KEY "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define SERVER "11111111-2222-4333-8444-555555555555"
#define BACKUP "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

enum {
    NOW_S = 1000,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct journal *journal;
static char directory[] = "/var/tmp/roost-fuzz-XXXXXX";

static void end(void)
{
    struct error err = ERROR_INIT;
    journal_close(journal);
    assert(beneath_remove_tree(AT_FDCWD, directory, &err) == 0);
}

static void begin(void)
{
    struct error err = ERROR_INIT;
    if (journal != NULL)
        return;
    assert(mkdtemp(directory) != NULL);
    journal = journal_open(directory, &err);
    assert(journal != NULL);
    atexit(end);
}

static void read_claims(struct slice claims)
{
    struct error err = ERROR_INIT;
    struct token token;
    scope_buf struct buf text = BUF_INIT;
    jwt_sign(&text, slice_str(KEY), "fuzz", claims);
    if (token_read_download(journal, KEY, buf_slice(&text), NOW_S, &token, &err) < 0) {
        assert(err.code == ERROR_DENIED);
        return;
    }
    assert(uuid_is_canonical(token.server) && uuid_is_canonical(token.backup));
    assert(token.jti[0] != '\0' && token.unique_id[0] != '\0');
    assert(!token.has_file || entry_path_is_canonical(slice_str(token.file)));
}

static void sign_path(struct slice path)
{
    struct error err = ERROR_INIT;
    struct token token;
    scope_buf struct buf text = BUF_INIT;
    scope_buf struct buf file = BUF_INIT;
    buf_add(&file, path.data, path.length);
    struct node_token_grant grant = {
        .issuer = "https://panel",
        .audience = "https://node",
        .token = KEY,
        .server_uuid = SERVER,
        .backup_uuid = BACKUP,
        .user_uuid = SERVER,
        .user_id = 1,
        .file = file.data,
        .now_s = NOW_S,
        .lifetime_s = 900,
    };
    node_api_sign_download(&text, &grant);
    int result = token_read_download(journal, KEY, buf_slice(&text), NOW_S, &token, &err);
    if (!entry_path_is_canonical(slice_str(file.data))) {
        assert(result < 0 && err.code == ERROR_DENIED);
        return;
    }
    assert(result == 0 && token.has_file);
    assert(strcmp(token.file, file.data) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    begin();
    read_claims(input);
    sign_path(input);
    return 0;
}
