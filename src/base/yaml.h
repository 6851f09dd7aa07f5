/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/scope.h"

/*
 * YAML for configuration, over libfyaml: duplicate keys, syntax errors and files
 * over 1 MiB are refused with file, line and column.  A document owns its
 * nodes and all text that is got from them.  Not thread-safe.
 */
struct yaml;
struct yaml_node; /* belongs to its struct yaml */

enum yaml_kind {
    YAML_SCALAR,
    YAML_SEQUENCE,
    YAML_MAPPING,
};

struct yaml *yaml_read_file(const char *path, struct error *err);
struct yaml *yaml_read_text(const char *text, const char *name, struct error *err);
void yaml_free(struct yaml *yaml);
SCOPE_DEFINE(yaml, struct yaml *, yaml_free)
#define scope_yaml SCOPE(scope_yaml_end)

const char *yaml_name(const struct yaml *yaml); /* the file's name, for messages */

/* NULL where the document is empty. */
struct yaml_node *yaml_root(struct yaml *yaml);

enum yaml_kind yaml_kind_of(const struct yaml_node *node);
int yaml_line(const struct yaml_node *node); /* counted from 1 */

/* The text of a scalar ("" for an empty or null one); NULL for the other kinds. */
const char *yaml_scalar(struct yaml *yaml, struct yaml_node *node);

/* Children: of a sequence with `*key` NULL, of a mapping with its key.  NULL after the last. */
struct yaml_node *yaml_child(struct yaml *yaml, struct yaml_node *node, size_t index,
                             const char **key, int *key_line);

/* "system.backups.write_limit": the node at a path of mappings, or NULL. */
struct yaml_node *yaml_find(struct yaml *yaml, const char *dotted_path);

#endif
