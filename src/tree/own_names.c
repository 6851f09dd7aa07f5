/* SPDX-License-Identifier: Apache-2.0 */
/* Which names are ours: exactly those that we make, so that a tenant can hide no others behind them. */
#include "tree/own_names.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "base/uuid.h"

bool tree_is_own_name(const char *name)
{
    static const char *const prefixes[] = {TREE_STAGE_PREFIX, TREE_KEPT_PREFIX, TREE_TRASH_PREFIX};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (text_starts_with(name, prefixes[i]))
            return uuid_is_canonical(name + strlen(prefixes[i]));
    return false;
}
