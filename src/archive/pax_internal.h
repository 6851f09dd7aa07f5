/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARCHIVE_PAX_INTERNAL_H
#define ARCHIVE_PAX_INTERNAL_H

#include "archive/pax.h"

/* pax_xattr.c: a record that may be an extended attribute; others are passed over. */
void pax_read_xattr(struct pax *pax, struct slice key, struct slice value);

#endif
