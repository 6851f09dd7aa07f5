/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAPSHOT_ENTRY_INTERNAL_H
#define SNAPSHOT_ENTRY_INTERNAL_H

#include "snapshot/entry.h"

/* entry_xattrs.c: whether these are packed attributes, limits included; none at all are. */
bool entry_xattrs_are_packed(struct slice xattrs);

#endif
