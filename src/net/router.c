/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns to handlers.  Patterns become a tree of path segments when they are
 * added; a request walks it once, literals first, and comes back to a parameter
 * only where the literal led nowhere.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_internal.h"
#include "net/url.h"

struct node {
    char *literal;
    struct node **children;
    size_t child_count;
    struct node *parameter; /* matches any one segment */
    struct http_route_entry *routes[HTTP_METHODS];
};

struct http_router {
    char *name;
    struct http_router_options options;
    char *prefixes[sizeof((struct http_router_options){0}.prefixes) / sizeof(char *)];
    struct pool *pool;
    struct node *root;
    struct http_route_entry **routes; /* in the order of calls */
    size_t route_count;
};

static const char *const method_names[HTTP_METHODS] = {"GET",   "HEAD",   "POST",   "PUT",
                                                       "PATCH", "DELETE", "OPTIONS"};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

bool http_method_parse(const char *name, enum http_method *method)
{
    for (unsigned i = 0; i < HTTP_METHODS; i++) {
        if (strcmp(name, method_names[i]) == 0) {
            *method = (enum http_method)i;
            return true;
        }
    }
    return false;
}

static void default_write_error(const struct http_request *request, struct http_reply *reply,
                                unsigned status, const char *reason, void *app)
{
    buf_printf(http_reply_body(reply), "{\"error\":\"%s\"}", reason);
}

struct http_router *http_router_create(const char *name, const struct http_router_options *options)
{
    struct http_router *router = xcalloc(1, sizeof(*router));
    router->name = xstrdup(name);
    router->options = *options;
    if (router->options.write_error == NULL)
        router->options.write_error = default_write_error;
    for (size_t i = 0; i < sizeof(router->prefixes) / sizeof(char *); i++) {
        if (options->prefixes[i] == NULL)
            break;
        router->prefixes[i] = xstrdup(options->prefixes[i]);
    }
    router->root = xcalloc(1, sizeof(*router->root));
    return router;
}

static struct node *child_for(struct node *node, const char *text, size_t length)
{
    if (text[0] == '{') {
        if (node->parameter == NULL)
            node->parameter = xcalloc(1, sizeof(*node));
        return node->parameter;
    }
    for (size_t i = 0; i < node->child_count; i++) {
        const char *literal = node->children[i]->literal;
        if (strlen(literal) == length && memcmp(literal, text, length) == 0)
            return node->children[i];
    }
    node->children = xreallocarray(node->children, node->child_count + 1, sizeof(*node->children));
    struct node *child = xcalloc(1, sizeof(*child));
    child->literal = xstrndup(text, length);
    node->children[node->child_count++] = child;
    return child;
}

void http_route(struct http_router *router, enum http_method method, const char *pattern,
                http_handler *handler, void *app, unsigned flags)
{
    struct http_route_entry *route = xcalloc(1, sizeof(*route));
    *route = (struct http_route_entry){.method = method,
                                       .pattern = xstrdup(pattern),
                                       .handler = handler,
                                       .app = app,
                                       .flags = flags};
    struct node *node = router->root;
    for (const char *cursor = pattern; *cursor == '/' && cursor[1] != '\0';) {
        const char *segment = cursor + 1;
        size_t length = strcspn(segment, "/");
        if (segment[0] == '{') {
            assert(route->name_count < HTTP_PARAMS_MAX && segment[length - 1] == '}');
            route->names[route->name_count++] = xstrndup(segment + 1, length - 2);
        }
        node = child_for(node, segment, length);
        cursor = segment + length;
    }
    assert(pattern[0] == '/' && node->routes[method] == NULL); /* once only */
    node->routes[method] = route;
    router->routes =
        xreallocarray(router->routes, router->route_count + 1, sizeof(struct http_route_entry *));
    router->routes[router->route_count++] = route;
    if ((flags & HTTP_WORKER) != 0 && router->pool == NULL) {
        unsigned workers = router->options.workers == 0 ? 1 : router->options.workers;
        router->pool = pool_create(router->name, workers, router->options.queue_max);
    }
}

static void node_free(struct node *node) /* recursion is as deep as the longest pattern */
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->child_count; i++)
        node_free(node->children[i]);
    node_free(node->parameter);
    free(node->children);
    free(node->literal);
    free(node);
}

void http_router_free(struct http_router *router)
{
    if (router == NULL)
        return;
    pool_free(router->pool);
    for (size_t i = 0; i < router->route_count; i++) {
        struct http_route_entry *route = router->routes[i];
        for (size_t j = 0; j < route->name_count; j++)
            free(route->names[j]);
        free(route->pattern);
        free(route);
    }
    for (size_t i = 0; i < sizeof(router->prefixes) / sizeof(char *); i++)
        free(router->prefixes[i]);
    free(router->routes);
    node_free(router->root);
    free(router->name);
    free(router);
}

void http_router_each(const struct http_router *router,
                      void (*visit)(enum http_method method, const char *pattern, void *context),
                      void *context)
{
    for (size_t i = 0; i < router->route_count; i++)
        visit(router->routes[i]->method, router->routes[i]->pattern, context);
}

const struct http_router_options *router_options(const struct http_router *router)
{
    return &router->options;
}

struct pool *router_pool(const struct http_router *router)
{
    return router->pool;
}

/* The length of the longest prefix of `path`, ending at a segment's end; -1: none matches. */
static int prefix_length(const struct http_router *router, const char *path)
{
    if (router->prefixes[0] == NULL)
        return 0;
    int longest = -1;
    for (size_t i = 0; i < sizeof(router->prefixes) / sizeof(char *); i++) {
        const char *prefix = router->prefixes[i];
        size_t length = prefix == NULL ? 0 : strlen(prefix);
        if (length == 0 || strncmp(path, prefix, length) != 0)
            continue;
        bool is_at_end = prefix[length - 1] == '/' || path[length] == '/' || path[length] == '\0';
        if (is_at_end && (int)length > longest)
            longest = (int)length;
    }
    return longest;
}

struct http_router *router_choose(struct http_router *const *routers, size_t count,
                                  const char *path)
{
    struct http_router *best = NULL;
    int longest = -1;
    for (size_t i = 0; i < count; i++) {
        int length = prefix_length(routers[i], path);
        if (length > longest) {
            longest = length;
            best = routers[i];
        }
    }
    return best;
}

struct walk {
    enum http_method method;
    char **segments;
    size_t segment_count;
    struct http_route_match *match;
    size_t value_count;
};

static unsigned methods_of(const struct node *node)
{
    unsigned methods = 0;
    for (unsigned i = 0; i < HTTP_METHODS; i++)
        if (node->routes[i] != NULL)
            methods |= 1U << i;
    if (node->routes[HTTP_GET] != NULL)
        methods |= 1U << HTTP_HEAD;
    return methods;
}

static bool take_leaf(struct walk *walk, const struct node *node)
{
    const struct http_route_entry *route = node->routes[walk->method];
    if (route == NULL && walk->method == HTTP_HEAD)
        route = node->routes[HTTP_GET];
    walk->match->allowed |= methods_of(node);
    walk->match->route = route;
    return route != NULL;
}

static bool walk_from(struct walk *walk, const struct node *node, size_t depth)
{
    if (depth == walk->segment_count)
        return take_leaf(walk, node);
    char *segment = walk->segments[depth];
    for (size_t i = 0; i < node->child_count; i++) {
        if (strcmp(node->children[i]->literal, segment) != 0)
            continue;
        if (walk_from(walk, node->children[i], depth + 1))
            return true;
        break;
    }
    if (node->parameter == NULL || segment[0] == '\0')
        return false;
    walk->match->values[walk->value_count++] = segment;
    if (walk_from(walk, node->parameter, depth + 1))
        return true;
    walk->value_count--;
    return false;
}

static void decode_in_place(char *segment)
{
    if (strchr(segment, '%') == NULL)
        return;
    struct buf decoded = BUF_INIT;
    bool is_whole = url_decode(slice_str(segment), &decoded);
    assert(is_whole); /* the guard has seen it */
    memcpy(segment, decoded.data, decoded.length + 1);
    buf_free(&decoded);
}

void router_match(const struct http_router *router, enum http_method method, char **segments,
                  size_t segment_count, struct http_route_match *match)
{
    *match = (struct http_route_match){.allowed = 0};
    struct walk walk = {
        .method = method, .segments = segments, .segment_count = segment_count, .match = match};
    walk_from(&walk, router->root, 0);
    for (size_t i = 0; i < walk.value_count; i++)
        decode_in_place(match->values[i]);
}
