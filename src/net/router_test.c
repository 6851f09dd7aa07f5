/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/scope.h"
#include "net/http_internal.h"

static void nothing(const struct http_request *request, struct http_reply *reply, void *app)
{
}

static struct http_router *make_router(void)
{
    const struct http_router_options options = {.workers = 1, .queue_max = 1};
    struct http_router *router = http_router_create("test", &options);
    http_route(router, HTTP_GET, "/servers/{server}", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_GET, "/servers/reset", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_POST, "/servers/reset", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_DELETE, "/servers/{server}", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_GET, "/servers/{server}/backups/{backup}", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_PUT, "/servers/reset/all", nothing, NULL, HTTP_INLINE);
    http_route(router, HTTP_GET, "/", nothing, NULL, HTTP_INLINE);
    return router;
}

/* Cuts `path` and asks; `out` gets the pattern and the values. */
static unsigned match(const struct http_router *router, enum http_method method, const char *path,
                      struct buf *out)
{
    char text[200];
    char *segments[16];
    size_t count = 0;
    snprintf(text, sizeof(text), "%s", path);
    for (char *cursor = text; *cursor == '/' && text[1] != '\0'; cursor += strcspn(cursor, "/")) {
        *cursor++ = '\0';
        segments[count++] = cursor;
    }
    struct http_route_match found;
    router_match(router, method, segments, count, &found);
    buf_clear(out);
    buf_add_str(out, found.route == NULL ? "-" : found.route->pattern);
    for (size_t i = 0; found.route != NULL && i < found.route->name_count; i++)
        buf_printf(out, " %s=%s", found.route->names[i], found.values[i]);
    return found.allowed;
}

static void literals_win_over_parameters(void **state)
{
    static const struct {
        enum http_method method;
        const char *path, *expected;
    } rows[] = {
        {HTTP_GET, "/servers/reset", "/servers/reset"},
        {HTTP_GET, "/servers/resets", "/servers/{server} server=resets"},
        {HTTP_GET, "/servers/re", "/servers/{server} server=re"},
        {HTTP_DELETE, "/servers/reset", "/servers/{server} server=reset"},
        {HTTP_HEAD, "/servers/x", "/servers/{server} server=x"},
        {HTTP_GET, "/servers/a%20b", "/servers/{server} server=a b"},
        {HTTP_GET, "/servers/a%2Fb", "/servers/{server} server=a/b"},
        {HTTP_GET, "/servers/reset/backups/7",
         "/servers/{server}/backups/{backup} server=reset backup=7"},
        {HTTP_PUT, "/servers/reset/all", "/servers/reset/all"},
        {HTTP_GET, "/", "/"},
        {HTTP_GET, "/servers", "-"},
        {HTTP_GET, "/servers/", "-"},
        {HTTP_GET, "/servers//backups/7", "-"},
        {HTTP_GET, "/Servers/x", "-"},
        {HTTP_GET, "/servers/x/backups/7/more", "-"},
        {HTTP_PATCH, "/servers/x", "-"},
    };
    struct http_router *router = make_router();
    scope_buf struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        match(router, rows[i].method, rows[i].path, &out);
        if (strcmp(out.data, rows[i].expected) != 0)
            fail_msg("%s: '%s'", rows[i].path, out.data);
    }
    http_router_free(router);
}

static void the_methods_of_a_path_are_known(void **state)
{
    struct http_router *router = make_router();
    scope_buf struct buf out = BUF_INIT;
    assert_int_equal(match(router, HTTP_PATCH, "/servers/reset", &out),
                     1U << HTTP_GET | 1U << HTTP_HEAD | 1U << HTTP_POST | 1U << HTTP_DELETE);
    assert_int_equal(match(router, HTTP_GET, "/servers/reset/all", &out), 1U << HTTP_PUT);
    assert_int_equal(match(router, HTTP_GET, "/nowhere", &out), 0);
    http_router_free(router);
}

static void the_longest_prefix_chooses_the_router(void **state)
{
    const struct http_router_options client = {.prefixes = {"/api/client", "/sanctum"}};
    const struct http_router_options special = {.prefixes = {"/api/client/special"}};
    const struct http_router_options rest = {.workers = 0};
    struct http_router *routers[] = {http_router_create("rest", &rest),
                                     http_router_create("client", &client),
                                     http_router_create("special", &special)};
    assert_ptr_equal(router_choose(routers, 3, "/api/client"), routers[1]);
    assert_ptr_equal(router_choose(routers, 3, "/api/client/servers"), routers[1]);
    assert_ptr_equal(router_choose(routers, 3, "/sanctum/x"), routers[1]);
    assert_ptr_equal(router_choose(routers, 3, "/api/clients"), routers[0]);
    assert_ptr_equal(router_choose(routers, 3, "/api/client/special/x"), routers[2]);
    assert_ptr_equal(router_choose(routers, 3, "/"), routers[0]);
    assert_null(router_choose(routers + 1, 2, "/"));
    for (int i = 0; i < 3; i++)
        http_router_free(routers[i]);
}

static void note(enum http_method method, const char *pattern, void *context)
{
    buf_printf(context, "%s %s\n", http_method_name(method), pattern);
}

static void all_routes_are_told_in_order(void **state)
{
    struct http_router *router = make_router();
    scope_buf struct buf out = BUF_INIT;
    http_router_each(router, note, &out);
    assert_string_equal(out.data, "GET /servers/{server}\n"
                                  "GET /servers/reset\n"
                                  "POST /servers/reset\n"
                                  "DELETE /servers/{server}\n"
                                  "GET /servers/{server}/backups/{backup}\n"
                                  "PUT /servers/reset/all\n"
                                  "GET /\n");
    http_router_free(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_win_over_parameters),
        cmocka_unit_test(the_methods_of_a_path_are_known),
        cmocka_unit_test(the_longest_prefix_chooses_the_router),
        cmocka_unit_test(all_routes_are_told_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
