/* SPDX-License-Identifier: Apache-2.0 */
/* Which dialect an Accept header asks for. */
#include "api/dialect.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"

static bool is_extended_type(struct slice range)
{
    static const char extended[] = "application/vnd.pterodactyl.v1+json";
    const char *parameters = memchr(range.data, ';', range.length);
    if (parameters != NULL)
        range.length = (size_t)(parameters - (const char *)range.data);
    range = text_trim(range);
    return range.length == sizeof(extended) - 1 &&
           strncasecmp(range.data, extended, sizeof(extended) - 1) == 0;
}

enum dialect dialect_of_accept(const char *accept)
{
    while (accept != NULL) {
        size_t length = strcspn(accept, ",");
        if (is_extended_type(slice_of(accept, length)))
            return DIALECT_EXTENDED;
        accept = accept[length] == ',' ? accept + length + 1 : NULL;
    }
    return DIALECT_CLASSIC;
}

const char *dialect_name(enum dialect dialect)
{
    return dialect == DIALECT_EXTENDED ? "extended" : "classic";
}
