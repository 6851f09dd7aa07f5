/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, and its texts.  Days are counted with the civil calendar, without libc's time zones. */
#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    US_PER_SECOND = 1000000
};

int64_t time_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t time_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

static struct tm split(int64_t at_us, int *millisecond)
{
    int64_t seconds = at_us / US_PER_SECOND;
    int64_t rest = at_us % US_PER_SECOND;
    if (rest < 0) {
        rest += US_PER_SECOND;
        seconds--;
    }
    *millisecond = (int)(rest / 1000);
    time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL)
        memset(&parts, 0, sizeof(parts));
    return parts;
}

void time_format_atom(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    int ms;
    struct tm parts = split(at_us, &ms);
    strftime(text, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
}

void time_format_sql(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    int ms;
    struct tm parts = split(at_us, &ms);
    strftime(text, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
}

void time_format_log(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    int ms;
    struct tm parts = split(at_us, &ms);
    size_t length = strftime(text, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, TIME_TEXT_BYTES - length, ".%03dZ", ms);
}

void time_format_http(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int ms;
    struct tm parts = split(at_us, &ms);
    char rest[24];
    strftime(rest, sizeof(rest), "%Y %H:%M:%S GMT", &parts);
    snprintf(text, TIME_TEXT_BYTES, "%s, %02d %s %s", days[parts.tm_wday], parts.tm_mday,
             months[parts.tm_mon], rest);
}

static bool read_number(const char **text, int digits, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return true;
}

static bool read_fields(const char **text, struct tm *parts)
{
    static const char separators[] = {'-', '-', ' ', ':', ':', '\0'};
    int *const fields[] = {&parts->tm_year, &parts->tm_mon, &parts->tm_mday,
                           &parts->tm_hour, &parts->tm_min, &parts->tm_sec};
    for (int i = 0; i < 6; i++) {
        if (!read_number(text, i == 0 ? 4 : 2, fields[i]))
            return false;
        if (separators[i] == '\0')
            break;
        if (**text != separators[i] && !(separators[i] == ' ' && **text == 'T'))
            return false;
        (*text)++;
    }
    return parts->tm_mon >= 1 && parts->tm_mon <= 12 && parts->tm_mday >= 1 &&
           parts->tm_mday <= 31 && parts->tm_hour < 24 && parts->tm_min < 60 && parts->tm_sec <= 60;
}

int time_parse(const char *text, int64_t *at_us, struct error *err)
{
    const char *cursor = text;
    struct tm parts = {0};
    if (!read_fields(&cursor, &parts))
        return error_set(err, ERROR_INVALID, "'%.40s' is not a time (YYYY-MM-DD HH:MM:SS)", text);
    int64_t fraction_us = 0;
    if (*cursor == '.') {
        cursor++;
        for (int64_t scale = US_PER_SECOND / 10; *cursor >= '0' && *cursor <= '9'; cursor++) {
            fraction_us += (*cursor - '0') * scale;
            scale /= 10;
        }
    }
    if (*cursor != '\0' && strcmp(cursor, "Z") != 0 && strcmp(cursor, "+00:00") != 0)
        return error_set(err, ERROR_INVALID, "'%.40s' is not a time in UTC", text);
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    *at_us = (int64_t)timegm(&parts) * US_PER_SECOND + fraction_us;
    return 0;
}
