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

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second, millisecond;
    unsigned weekday; /* 0: Sunday */
};

/*
 * Days are counted from 1 March of year 0 in eras of 400 years, in which the calendar repeats: then a
 * leap day is the last of its year, and months follow a straight line of 153 days in five.
 */
static struct civil split(int64_t at_us)
{
    enum {
        DAYS_OF_ERA = 146097,
        DAYS_TO_1970 = 719468,
        DAY_S = 86400
    };
    int64_t seconds = at_us / US_PER_SECOND;
    int64_t rest_us = at_us % US_PER_SECOND;
    if (rest_us < 0) {
        rest_us += US_PER_SECOND;
        seconds--;
    }
    int64_t days = seconds / DAY_S;
    int64_t second = seconds % DAY_S;
    if (second < 0) {
        second += DAY_S;
        days--;
    }
    struct civil civil = {
        .hour = (unsigned)(second / 3600),
        .minute = (unsigned)(second / 60 % 60),
        .second = (unsigned)(second % 60),
        .millisecond = (unsigned)(rest_us / 1000),
        .weekday = (unsigned)(((days + 4) % 7 + 7) % 7), /* 1970 began on a Thursday */
    };
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - DAYS_OF_ERA + 1) / DAYS_OF_ERA;
    unsigned day = (unsigned)(days - era * DAYS_OF_ERA);
    unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    unsigned day_of_year = day - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153;
    civil.day = day_of_year - (153 * month + 2) / 5 + 1;
    civil.month = month < 10 ? month + 3 : month - 9;
    civil.year = era * 400 + year + (civil.month <= 2 ? 1 : 0);
    return civil;
}

static char *put_digits(char *out, uint64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

/* "YYYY-MM-DD" `separator` "HH:MM:SS"; years outside 0 to 9999 have no such form and are cut. */
static char *put_stamp(char *out, const struct civil *civil, char separator)
{
    int64_t year = civil->year < 0 ? 0 : civil->year > 9999 ? 9999 : civil->year;
    out = put_digits(out, (uint64_t)year, 4);
    *out++ = '-';
    out = put_digits(out, civil->month, 2);
    *out++ = '-';
    out = put_digits(out, civil->day, 2);
    *out++ = separator;
    out = put_digits(out, civil->hour, 2);
    *out++ = ':';
    out = put_digits(out, civil->minute, 2);
    *out++ = ':';
    return put_digits(out, civil->second, 2);
}

void time_format_atom(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    struct civil civil = split(at_us);
    memcpy(put_stamp(text, &civil, 'T'), "+00:00", sizeof("+00:00"));
}

void time_format_sql(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    struct civil civil = split(at_us);
    *put_stamp(text, &civil, ' ') = '\0';
}

void time_format_log(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    struct civil civil = split(at_us);
    char *end = put_stamp(text, &civil, 'T');
    *end++ = '.';
    memcpy(put_digits(end, civil.millisecond, 3), "Z", sizeof("Z"));
}

void time_format_http(int64_t at_us, char text[TIME_TEXT_BYTES])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct civil civil = split(at_us);
    char stamp[TIME_TEXT_BYTES];
    *put_stamp(stamp, &civil, ' ') = '\0';
    snprintf(text, TIME_TEXT_BYTES, "%s, %02u %s %.4s %.8s GMT", days[civil.weekday], civil.day,
             months[civil.month - 1], stamp, stamp + 11);
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
