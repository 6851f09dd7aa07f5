/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PANEL_ALLOWED_IPS_H
#define PANEL_ALLOWED_IPS_H

#include <stdbool.h>

/*
 * Whether `address` is on a key's list: a JSON array of addresses, CIDR blocks, ranges
 * ("10.0.0.1-10.0.0.9") and wildcards ("10.0.*.*").  An empty list, null and NULL allow any; what
 * cannot be read allows nobody.
 */
bool allowed_ips_have(const char *json, const char *address);

#endif
