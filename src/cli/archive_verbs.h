/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ARCHIVE_VERBS_H
#define CLI_ARCHIVE_VERBS_H

#include "archive/archive.h"
#include "base/budget.h"
#include "cli/command.h"
#include "snapshot/ignore.h"
#include "snapshot/report.h"

/* The verbs of `roost archive` and what they share; the table stands in archive.c. */
int archive_show(const struct invocation *invocation, struct error *err); /* "list" */
int archive_verify(const struct invocation *invocation, struct error *err);
int archive_extract(const struct invocation *invocation, struct error *err);
int archive_create(const struct invocation *invocation, struct error *err);
int archive_preview(const struct invocation *invocation, struct error *err);

/* "sha256:…" of --checksum.  INVALID. */
int checksum_parse(const char *text, struct digest *digest, struct error *err);
void checksum_add(struct buf *out, const struct digest *digest);

/* An archive that is read: with its digest where --checksum was given, or `wants_digest` is set before. */
struct archive_input {
    int fd;
    unsigned flags; /* enum archive_read_flags, besides the digest */
    uint64_t size_bytes;
    struct source *source;
    struct selection *selection; /* owned; set before, or NULL: everything */
    bool wants_digest;
    bool checks_index; /* and that its index agrees; set before */
    bool has_wanted;   /* --checksum was given */
    struct digest wanted;
};
int archive_input_open(const struct invocation *invocation, struct archive_input *input,
                       struct error *err);
void archive_input_close(struct archive_input *input);

/* The digest of what was read, once all of it was.  CORRUPT: it is not the wanted one. */
int archive_input_check(const struct archive_input *input, struct error *err);

/* The file of the first argument, of which `size_bytes` is set. */
int archive_file_open(const struct invocation *invocation, uint64_t *size_bytes, struct error *err);

/* For a meter: `context` is a struct archive_input. */
void archive_input_look(void *context, uint64_t *done_bytes, uint64_t *total_bytes);

/*
 * Ignore rules as options give them: --ignore-file, then each --ignore, and --ignore-mode.  Initialise with zeros, clear
 * with archive_rules_clear(), also after an error.  INVALID, LIMIT, NOT_FOUND.
 */
struct archive_rules {
    struct ignore *ignore;
    bool is_given;     /* there was an option that gives patterns */
    const char *file;  /* borrowed; NULL: none */
    size_t file_lines; /* the lines up to here are the file's */
};
int archive_rules_read(const struct invocation *invocation, struct archive_rules *rules,
                       struct error *err);

/* Those of the directory's own list instead, where it has one. */
int archive_rules_read_tenants(const struct invocation *invocation, int root_fd,
                               struct archive_rules *rules, struct error *err);

/* Where the rule stands: "FILE:3", "--ignore:1". */
void archive_rules_add_place(const struct archive_rules *rules, const struct ignore_rule *rule,
                             struct buf *out);
void archive_rules_clear(struct archive_rules *rules);

/* --read-limit, --write-limit and --cpu-limit, for this thread and those that it starts until it leaves.  INVALID. */
struct archive_budget {
    struct budget *budget;
    uint64_t write_bytes_per_s; /* for whoever writes; 0: no limit */
};
int archive_budget_enter(const struct invocation *invocation, struct archive_budget *budget,
                         struct error *err);
void archive_budget_leave(struct archive_budget *budget); /* also after an error */

/* Names every omission on standard error.  EXIT_DONE, or EXIT_OMISSIONS where something is missing. */
int archive_complain(const struct report *report);

#endif
