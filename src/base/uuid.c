/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs as text. */
#include "base/uuid.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"

void uuid_make(char text[UUID_TEXT_BYTES])
{
    unsigned char b[16];
    random_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(text, UUID_TEXT_BYTES,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static bool is_dash_at(int i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_is_canonical(const char *text)
{
    for (int i = 0; i < UUID_TEXT_BYTES - 1; i++) {
        char c = text[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (is_dash_at(i) ? c != '-' : !is_hex)
            return false;
    }
    return text[UUID_TEXT_BYTES - 1] == '\0';
}

bool uuid_canonicalize(const char *text, char canonical[UUID_TEXT_BYTES])
{
    if (strnlen(text, UUID_TEXT_BYTES) != UUID_TEXT_BYTES - 1)
        return false;
    for (int i = 0; i < UUID_TEXT_BYTES; i++)
        canonical[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    return uuid_is_canonical(canonical);
}
