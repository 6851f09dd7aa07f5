/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/dialect.h"

static void the_accept_header_chooses_the_dialect(void **state)
{
    static const struct {
        const char *accept;
        enum dialect dialect;
    } rows[] = {
        {NULL, DIALECT_CLASSIC},
        {"", DIALECT_CLASSIC},
        {",", DIALECT_CLASSIC},
        {"*/*", DIALECT_CLASSIC},
        {"application/json", DIALECT_CLASSIC},
        {"application/vnd.pterodactyl.v1+json", DIALECT_EXTENDED},
        {"Application/vnd.pterodactyl.v1+json", DIALECT_EXTENDED},
        {"APPLICATION/VND.PTERODACTYL.V1+JSON", DIALECT_EXTENDED},
        {"application/json, Application/vnd.pterodactyl.v1+json;q=0.5", DIALECT_EXTENDED},
        {"  application/vnd.pterodactyl.v1+json ;charset=utf-8 , */*", DIALECT_EXTENDED},
        {"application/vnd.pterodactyl.v2+json", DIALECT_CLASSIC},
        {"application/vnd.pterodactyl.v1+jsonp", DIALECT_CLASSIC},
        {"application/json;note=application/vnd.pterodactyl.v1+json", DIALECT_CLASSIC},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(dialect_of_accept(rows[i].accept), rows[i].dialect);
}

static void dialects_have_names(void **state)
{
    assert_string_equal(dialect_name(DIALECT_CLASSIC), "classic");
    assert_string_equal(dialect_name(DIALECT_EXTENDED), "extended");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accept_header_chooses_the_dialect),
        cmocka_unit_test(dialects_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
