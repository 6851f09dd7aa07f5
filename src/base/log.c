/* SPDX-License-Identifier: Apache-2.0 */
/* One line an event on standard error, written in one piece. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/time.h"

enum {
    LINE_MAX_BYTES = 2048
};

static _Atomic(int) threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load(&threshold);
}

static size_t escape(char *out, size_t capacity, const char *text)
{
    size_t length = 0;
    for (; *text != '\0' && length + 5 < capacity; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f)
            out[length++] = (char)c;
        else
            length += (size_t)snprintf(out + length, capacity - length, "\\x%02x", c);
    }
    return length;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if ((int)level > atomic_load(&threshold))
        return;
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    char line[LINE_MAX_BYTES * 2];
    char stamp[TIME_TEXT_BYTES];
    time_format_log(time_now_us(), stamp);
    size_t length = (size_t)snprintf(line, sizeof(line), "%s %s ", stamp, names[level]);
    length += escape(line + length, sizeof(line) - length - 1, text);
    line[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored; /* nowhere to report to */
}
