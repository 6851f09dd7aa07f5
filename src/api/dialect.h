/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DIALECT_H
#define API_DIALECT_H

#include <stdbool.h>

/*
 * Where the documents of the client API contradict each other on statuses and exception names, both answers
 * exist.  Bodies of successful answers never differ.
 *
 *   classic    upstream: restore 204, lock 200 with the object, upstream's exception names
 *   extended   restore 202, lock and unlock 204, the names and texts of the extended documentation
 *
 * `auto`: a request that accepts application/vnd.pterodactyl.v1+json (media types have no case)
 * is answered in extended, any other in classic.  The configuration or an API key may pin either.
 */
enum dialect {
    DIALECT_CLASSIC,
    DIALECT_EXTENDED,
};

/* What the Accept header (may be NULL) asks for. */
enum dialect dialect_of_accept(const char *accept);
const char *dialect_name(enum dialect dialect);

#endif
