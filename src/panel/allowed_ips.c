/* SPDX-License-Identifier: Apache-2.0 */
/* Allow-lists of API keys, in the four forms that Pterodactyl's users write. */
#include "panel/allowed_ips.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "net/url.h"

enum {
    ADDRESS_TEXT_BYTES = INET6_ADDRSTRLEN
};

struct address {
    int family; /* AF_INET or AF_INET6 */
    unsigned char bytes[16];
};

static bool parse(struct slice text, struct address *address)
{
    char copy[ADDRESS_TEXT_BYTES];
    text = text_trim(text);
    if (text.length >= sizeof(copy))
        return false;
    snprintf(copy, sizeof(copy), "%.*s", (int)text.length, (const char *)text.data);
    address->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
    return inet_pton(address->family, copy, address->bytes) == 1;
}

static int compare(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16);
}

static bool is_in_span(const char *address, const char *range, const char *dash)
{
    struct address first, last, own;
    if (!parse(slice_of(range, (size_t)(dash - range)), &first) ||
        !parse(slice_str(dash + 1), &last) || !parse(slice_str(address), &own))
        return false;
    return first.family == own.family && last.family == own.family && compare(&first, &own) <= 0 &&
           compare(&own, &last) <= 0;
}

/* Octet by octet; IPv4 only. */
static bool matches_wildcard(const char *address, const char *pattern)
{
    for (int octet = 0; octet < 4; octet++) {
        size_t own = strcspn(address, ".");
        size_t wanted = strcspn(pattern, ".");
        bool is_any = wanted == 1 && *pattern == '*';
        if (own == 0 ||
            (!is_any && !slice_equal(slice_of(address, own), slice_of(pattern, wanted))))
            return false;
        address += own;
        pattern += wanted;
        bool is_last = octet == 3;
        if (is_last)
            return *address == '\0' && *pattern == '\0';
        if (*address++ != '.' || *pattern++ != '.')
            return false;
    }
    return false;
}

static bool matches(const char *address, const char *entry)
{
    const char *dash = strchr(entry, '-');
    if (dash != NULL)
        return is_in_span(address, entry, dash);
    if (strchr(entry, '*') != NULL)
        return matches_wildcard(address, entry);
    return address_in_range(address, entry);
}

bool allowed_ips_have(const char *json, const char *address)
{
    static const char mapped[] = "::ffff:";
    if (json == NULL || *json == '\0')
        return true;
    struct error ignored = ERROR_INIT;
    scope_json json_t *list = json_read(slice_str(json), &ignored);
    if (json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0))
        return true;
    if (!json_is_array(list))
        return false;
    /* An IPv4 client on an IPv6 socket. */
    if (text_starts_with(address, mapped) && strchr(address, '.') != NULL)
        address += strlen(mapped);
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (json_is_string(item) && matches(address, json_string_value(item)))
            return true;
    }
    return false;
}
