/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_URL_H
#define NET_URL_H

#include <stdbool.h>

#include "base/buf.h"

/* Percent-encoding and forms (RFC 3986; application/x-www-form-urlencoded of the URL standard). */

void url_encode(struct buf *out, struct slice text);      /* keeps only unreserved characters */
bool url_decode(struct slice text, struct buf *out);      /* false: a bad escape or %00 */
bool url_decode_form(struct slice text, struct buf *out); /* the same, '+' is a blank */

/* Calls `visit` for every decoded pair of "a=1&b=2"; false where the text is malformed or has over `max` pairs. */
bool url_each_pair(struct slice text, size_t max,
                   void (*visit)(const char *name, const char *value, void *context),
                   void *context);

/* Whether `address` ("10.1.2.3", "::1") lies in `range`: an address or CIDR.  False where either is malformed. */
bool address_in_range(const char *address, const char *range);

#endif
