/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore rules: lines, their limits, and the verdict, which the last pattern that matches gives. */
#include "snapshot/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "snapshot/ignore_internal.h"

static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

static struct slice next_line(struct slice *rest)
{
    const char *start = rest->data;
    const char *end = memchr(start, '\n', rest->length);
    size_t length = end == NULL ? rest->length : (size_t)(end - start);
    size_t used = end == NULL ? length : length + 1;
    *rest = slice_of(start + used, rest->length - used);
    return text_trim(slice_of(start, length));
}

/* Runs of '*', '?' and '['; what a backslash protects does not count. */
static int count_wildcards(struct slice line)
{
    const char *bytes = line.data;
    int count = 0;
    for (size_t i = 0; i < line.length; i++) {
        if (bytes[i] == '\\')
            i++;
        else if (bytes[i] == '?' || bytes[i] == '[')
            count++;
        else if (bytes[i] == '*' && (i == 0 || bytes[i - 1] != '*'))
            count++;
    }
    return count;
}

/* "" and "/": in Wings the latter leaves out everything, which nobody wants and which loses data; in git nothing. */
static bool names_nothing(struct slice line)
{
    const char *bytes = line.data;
    for (size_t i = 0; i < line.length; i++)
        if (bytes[i] != '/')
            return false;
    return true;
}

static int add_line(struct ignore *ignore, struct slice line, size_t number, struct error *err)
{
    if (line.length == 0 || *(const char *)line.data == '#')
        return 0;
    bool is_negative = *(const char *)line.data == '!';
    if (is_negative)
        line = slice_of((const char *)line.data + 1, line.length - 1);
    if (names_nothing(line))
        return 0;
    if (ignore->count == IGNORE_PATTERNS_MAX)
        return error_set(err, ERROR_LIMIT, "line %zu: more than %d ignore patterns", number,
                         IGNORE_PATTERNS_MAX);
    if (count_wildcards(line) > IGNORE_WILDCARDS_MAX)
        return error_set(err, ERROR_LIMIT, "line %zu: more than %d wildcards in an ignore pattern",
                         number, IGNORE_WILDCARDS_MAX);
    struct pattern *pattern = &ignore->patterns[ignore->count++];
    pattern_compile(pattern, line);
    pattern->is_negative = is_negative;
    ignore->has_negative |= is_negative;
    return 0;
}

struct ignore *ignore_parse(struct slice text, struct error *err)
{
    if (text.length > IGNORE_TEXT_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "ignore patterns of more than %d bytes", IGNORE_TEXT_MAX_BYTES);
        return NULL;
    }
    size_t mark = strlen(BYTE_ORDER_MARK);
    if (text.length >= mark && memcmp(text.data, BYTE_ORDER_MARK, mark) == 0)
        text = slice_of((const char *)text.data + mark, text.length - mark);

    struct ignore *ignore = xcalloc(1, sizeof(*ignore));
    ignore->patterns = xcalloc(IGNORE_PATTERNS_MAX, sizeof(*ignore->patterns));
    for (size_t number = 1; text.length > 0; number++) {
        if (add_line(ignore, next_line(&text), number, err) < 0) {
            ignore_free(ignore);
            return NULL;
        }
    }
    return ignore;
}

void ignore_free(struct ignore *ignore)
{
    if (ignore == NULL)
        return;
    for (size_t i = 0; i < ignore->count; i++)
        pattern_clear(&ignore->patterns[i]);
    free(ignore->patterns);
    free(ignore);
}

bool ignore_is_empty(const struct ignore *ignore)
{
    return ignore->count == 0;
}

bool ignore_matches(const struct ignore *ignore, struct slice path, bool is_directory)
{
    for (size_t i = ignore->count; i-- > 0;) {
        const struct pattern *pattern = &ignore->patterns[i];
        if (pattern_run(pattern, path, false) >= PATTERN_MATCH)
            return !pattern->is_negative;
    }
    return false;
}

/* From the last pattern back: one that takes all below decides, unless a later "!" might take back. */
bool ignore_prunes(const struct ignore *ignore, struct slice directory_path)
{
    for (size_t i = ignore->count; i-- > 0;) {
        const struct pattern *pattern = &ignore->patterns[i];
        enum pattern_verdict verdict = pattern_run(pattern, directory_path, true);
        if (pattern->is_negative && verdict != PATTERN_DEAD)
            return false;
        if (!pattern->is_negative && verdict == PATTERN_FOREVER)
            return true;
    }
    return false;
}
