/* SPDX-License-Identifier: Apache-2.0 */
/* Internet addresses as text, and ranges of them.  IPv4 inside IPv6 counts as IPv4. */
#include "net/address_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "net/url.h"

struct address {
    unsigned char bytes[16];
    unsigned bits; /* 32 or 128 */
};

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool address_parse(const char *text, struct address *address)
{
    if (inet_pton(AF_INET, text, address->bytes) == 1) {
        address->bits = 32;
        return true;
    }
    if (inet_pton(AF_INET6, text, address->bytes) != 1)
        return false;
    address->bits = 128;
    if (memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        memmove(address->bytes, address->bytes + sizeof(mapped_prefix), 4);
        address->bits = 32;
    }
    return true;
}

static bool shares_prefix(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0;
}

bool address_in_range(const char *address, const char *range)
{
    char base[ADDRESS_TEXT_BYTES];
    const char *slash = strchr(range, '/');
    size_t length = slash == NULL ? strlen(range) : (size_t)(slash - range);
    if (length >= sizeof(base))
        return false;
    memcpy(base, range, length);
    base[length] = '\0';

    struct address a;
    struct address b;
    if (!address_parse(address, &a) || !address_parse(base, &b))
        return false;
    /* "::ffff:10.0.0.0/104" counts its bits from the start of the IPv6 address. */
    unsigned skipped = b.bits == 32 && strchr(base, ':') != NULL ? 96 : 0;
    uint64_t bits = b.bits + skipped;
    if (slash != NULL && !text_to_u64(slash + 1, skipped, bits, &bits))
        return false;
    return a.bits == b.bits && shares_prefix(&a, &b, (unsigned)bits - skipped);
}

bool address_normalize(const char *text, char out[ADDRESS_TEXT_BYTES])
{
    struct address address;
    return address_parse(text, &address) &&
           inet_ntop(address.bits == 32 ? AF_INET : AF_INET6, address.bytes, out,
                     ADDRESS_TEXT_BYTES) != NULL;
}

void address_of_socket(const struct sockaddr *socket, char out[ADDRESS_TEXT_BYTES])
{
    char text[ADDRESS_TEXT_BYTES] = "";
    const void *bytes = socket->sa_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)socket)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)socket)->sin_addr;
    if (inet_ntop(socket->sa_family, bytes, text, sizeof(text)) == NULL ||
        !address_normalize(text, out))
        snprintf(out, ADDRESS_TEXT_BYTES, "unknown");
}
