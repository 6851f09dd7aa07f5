/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Whether a request's head means one thing only (RFC 9112, sections 2, 3, 5, 6).  libmicrohttpd takes
 * heads that another program on the way may read differently, and then one
 * request smuggles a second.  Pure: no connection is needed to ask.
 */
enum {
    GUARD_FIELDS_MAX = 100
};

struct guard_field {
    struct slice name;
    struct slice value;
};

struct guard_head {
    const char *version; /* "HTTP/1.1" */
    const char *target;  /* as sent */
    size_t bytes;        /* the whole head, 0: not known */
    const struct guard_field *fields;
    size_t field_count; /* over GUARD_FIELDS_MAX is refused without a look at them */
};

struct guard_verdict {
    unsigned status;    /* 0: go on; else the answer's */
    const char *reason; /* for people; a literal */
    const char *path;   /* in `target`, where its path begins; NULL where refused */
    bool has_body;
    bool is_chunked;
    uint64_t body_bytes; /* where has_body and not is_chunked */
};

struct guard_verdict guard_check(const struct guard_head *head);

#endif
