/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONFIG_DOCUMENT_H
#define CLI_CONFIG_DOCUMENT_H

#include "base/buf.h"

/*
 * The table of keys as documents show it.  The manual page and docs/configuration.md hold exactly this text;
 * a test compares them.
 */
void config_add_manual(struct buf *out);   /* the items of roost.yml(5)'s list, in mdoc */
void config_add_markdown(struct buf *out); /* the rows of docs/configuration.md's tables */
void config_add_plain(struct buf *out);    /* for a terminal */
void config_add_json(struct buf *out);

#endif
