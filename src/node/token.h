/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_TOKEN_H
#define NODE_TOKEN_H

#include "node/journal.h"
#include "snapshot/entry.h"

/*
 * Tokens that the panel signs with this node's secret: for one purpose (scope), one server and, for
 * downloads, one backup.  The audience is not looked at, as Wings does not: the key is this node's alone.
 */
enum {
    TOKEN_LIFE_MAX_S =
        30 * 24 * 3600, /* an expiry further away is refused: denials are kept so long */
    TOKEN_ID_MAX_BYTES = 128,
};

struct token {
    char jti[TOKEN_ID_MAX_BYTES + 1];
    char unique_id[TOKEN_ID_MAX_BYTES + 1]; /* downloads */
    char server[UUID_TEXT_BYTES];
    char backup[UUID_TEXT_BYTES]; /* downloads */
    bool has_file;                /* downloads: only this path of the backup, as it is */
    char file[ENTRY_PATH_MAX_BYTES + 1];
    int64_t issued_at_s, expires_at_s;
    bool may_read_backups; /* websockets */
};

/*
 * Read and check a token at `now_s`.  DENIED: a bad signature, another scope, expired, without
 * its claims, or denied meanwhile (all tokens of its jti that were issued before the denial are void).
 */
int token_read_download(struct journal *journal, const char *key, struct slice text, int64_t now_s,
                        struct token *token, struct error *err);

/* The same for a websocket of `server`; DENIED for another server's. */
int token_read_websocket(struct journal *journal, const char *key, struct slice text,
                         const char *server, int64_t now_s, struct token *token, struct error *err);

#endif
