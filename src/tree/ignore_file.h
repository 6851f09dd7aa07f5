/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TREE_IGNORE_FILE_H
#define TREE_IGNORE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#define IGNORE_FILE_NAME ".pteroignore"

/*
 * A tenant's own list of ignore patterns, in the root of a live directory: a plain file of at most
 * IGNORE_TEXT_MAX_BYTES, reached through no link.  Lists in directories below are not read.
 * NOT_FOUND: there is none.  INVALID, DENIED, LIMIT, IO: it is none that counts.
 */
int ignore_file_read(int root_fd, struct buf *text, struct error *err);

#endif
