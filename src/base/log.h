/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * The log of a program: one line an event on standard error, for journald or a
 * terminal.  Fixed words first, `key=value` after:
 *
 *     log_info("backup completed server=%s backup=%s bytes=%" PRIu64, …);
 *
 * error: a person must act.  warning: odd, but handled.  info: an operator's
 * diary.  debug: off.  Only programs and job runners log; everything else
 * returns its error.  Control bytes in a line are written as \xNN, so that
 * no input can forge a line.  Never pass a secret.  Thread-safe.
 */
enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

/* Levels above `level` are dropped.  The default is LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_get_level() >= LOG_DEBUG)                                                          \
            log_line(LOG_DEBUG, __VA_ARGS__);                                                      \
    } while (0)

#endif
