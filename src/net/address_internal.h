/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_ADDRESS_INTERNAL_H
#define NET_ADDRESS_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
    ADDRESS_TEXT_BYTES = INET6_ADDRSTRLEN
};

/* The one spelling of an address; "::ffff:10.0.0.1" becomes "10.0.0.1".  False: not an address. */
bool address_normalize(const char *text, char out[ADDRESS_TEXT_BYTES]);
void address_of_socket(const struct sockaddr *socket, char out[ADDRESS_TEXT_BYTES]);

#endif
