/* SPDX-License-Identifier: Apache-2.0 */
/* YAML over libfyaml.  The diagnostics of the library become one error with file, line and column. */
#include "base/yaml.h"

#include <fcntl.h>
#include <libfyaml.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum {
    YAML_MAX_BYTES = 1 << 20
};

struct yaml {
    struct fy_document *document;
    char *name;
    struct buf text;
    char **strings; /* copies with a NUL, as libfyaml's text has none */
    size_t string_count;
};

static void set_from_diagnostics(struct fy_diag *diag, const char *name, struct error *err)
{
    void *previous = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &previous);
    if (first == NULL)
        error_set(err, ERROR_INVALID, "%s: not valid YAML", name);
    else
        error_set(err, ERROR_INVALID, "%s:%d:%d: %s", name, first->line, first->column, first->msg);
}

/* The library takes a stream without any document for an error. */
static bool has_only_comments(const char *text)
{
    while (*text != '\0') {
        text += strspn(text, " \t\r\n");
        if (*text == '#')
            text += strcspn(text, "\n");
        else if (*text != '\0')
            return false;
    }
    return true;
}

static void drop_output(struct fy_diag *diag, void *user, const char *text, size_t length)
{
}

static struct yaml *parse(struct yaml *yaml, struct error *err)
{
    if (has_only_comments(yaml->text.data))
        return yaml;
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.output_fn = drop_output;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = {.diag = diag, .flags = FYPCF_QUIET};
    yaml->document = fy_document_build_from_string(&config, yaml->text.data, yaml->text.length);
    bool is_good = yaml->document != NULL && !fy_diag_got_error(diag);
    if (!is_good)
        set_from_diagnostics(diag, yaml->name, err);
    fy_diag_destroy(diag);
    if (is_good)
        return yaml;
    yaml_free(yaml);
    return NULL;
}

static struct yaml *create(const char *name)
{
    struct yaml *yaml = xcalloc(1, sizeof(*yaml));
    yaml->name = xstrdup(name);
    yaml->text = (struct buf)BUF_INIT;
    return yaml;
}

struct yaml *yaml_read_text(const char *text, const char *name, struct error *err)
{
    struct yaml *yaml = create(name);
    buf_add_str(&yaml->text, text);
    return parse(yaml, err);
}

struct yaml *yaml_read_file(const char *path, struct error *err)
{
    struct yaml *yaml = create(path);
    if (file_read(AT_FDCWD, path, YAML_MAX_BYTES, &yaml->text, err) < 0) {
        yaml_free(yaml);
        return NULL;
    }
    return parse(yaml, err);
}

void yaml_free(struct yaml *yaml)
{
    if (yaml == NULL)
        return;
    if (yaml->document != NULL)
        fy_document_destroy(yaml->document);
    for (size_t i = 0; i < yaml->string_count; i++)
        free(yaml->strings[i]);
    free(yaml->strings);
    buf_free(&yaml->text);
    free(yaml->name);
    free(yaml);
}

const char *yaml_name(const struct yaml *yaml)
{
    return yaml->name;
}

/* struct yaml_node is libfyaml's node under a name of ours. */
static struct fy_node *inner(const struct yaml_node *node)
{
    return (struct fy_node *)(uintptr_t)node;
}

static struct yaml_node *outer(struct fy_node *node)
{
    return (struct yaml_node *)node;
}

struct yaml_node *yaml_root(struct yaml *yaml)
{
    struct fy_node *root = yaml->document == NULL ? NULL : fy_document_root(yaml->document);
    if (root == NULL || (fy_node_is_scalar(root) && fy_node_is_null(root)))
        return NULL;
    return outer(root);
}

enum yaml_kind yaml_kind_of(const struct yaml_node *node)
{
    switch (fy_node_get_type(inner(node))) {
    case FYNT_MAPPING:
        return YAML_MAPPING;
    case FYNT_SEQUENCE:
        return YAML_SEQUENCE;
    case FYNT_SCALAR:
    default:
        return YAML_SCALAR;
    }
}

static int token_line(struct fy_token *token)
{
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    return mark == NULL ? 0 : mark->line + 1;
}

int yaml_line(const struct yaml_node *node)
{
    struct fy_node *at = inner(node);
    while (at != NULL && !fy_node_is_scalar(at)) {
        struct fy_node *below = NULL;
        if (fy_node_is_sequence(at)) {
            below = fy_node_sequence_get_by_index(at, 0);
        } else if (fy_node_is_mapping(at)) {
            struct fy_node_pair *pair = fy_node_mapping_get_by_index(at, 0);
            below = pair == NULL ? NULL : fy_node_pair_key(pair);
        }
        at = below;
    }
    return at == NULL ? 0 : token_line(fy_node_get_scalar_token(at));
}

static const char *keep(struct yaml *yaml, const char *text, size_t length)
{
    yaml->strings = xreallocarray(yaml->strings, yaml->string_count + 1, sizeof(char *));
    char *copy = xstrndup(text == NULL ? "" : text, text == NULL ? 0 : length);
    yaml->strings[yaml->string_count++] = copy;
    return copy;
}

const char *yaml_scalar(struct yaml *yaml, struct yaml_node *node)
{
    struct fy_node *scalar = inner(node);
    if (!fy_node_is_scalar(scalar))
        return NULL;
    size_t length = 0;
    const char *text = fy_node_get_scalar(scalar, &length);
    return keep(yaml, text, length);
}

struct yaml_node *yaml_child(struct yaml *yaml, struct yaml_node *node, size_t index,
                             const char **key, int *key_line)
{
    struct fy_node *parent = inner(node);
    *key = NULL;
    *key_line = 0;
    if (fy_node_is_sequence(parent))
        return outer(fy_node_sequence_get_by_index(parent, (int)index));
    if (!fy_node_is_mapping(parent) || (int)index >= fy_node_mapping_item_count(parent))
        return NULL;
    struct fy_node_pair *pair = fy_node_mapping_get_by_index(parent, (int)index);
    struct fy_node *name = fy_node_pair_key(pair);
    size_t length = 0;
    const char *text = name == NULL ? NULL : fy_node_get_scalar(name, &length);
    *key = keep(yaml, text, length);
    *key_line = name == NULL ? 0 : token_line(fy_node_get_scalar_token(name));
    return outer(fy_node_pair_value(pair));
}

struct yaml_node *yaml_find(struct yaml *yaml, const char *dotted_path)
{
    struct fy_node *at = yaml->document == NULL ? NULL : fy_document_root(yaml->document);
    while (at != NULL && *dotted_path != '\0') {
        size_t length = strcspn(dotted_path, ".");
        at = fy_node_is_mapping(at) ? fy_node_mapping_lookup_by_string(at, dotted_path, length)
                                    : NULL;
        dotted_path += length;
        if (*dotted_path == '.')
            dotted_path++;
    }
    return outer(at);
}
