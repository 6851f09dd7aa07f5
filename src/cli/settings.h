/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * YAML files by a table of keys.  The table is the only place that knows a key: its name, type, default,
 * unit and description, and where its value goes.  Complaints name file and line, what was
 * expected, and for an unknown key the nearest known one.
 */
enum setting_type {
    SETTING_TEXT,     /* char * */
    SETTING_PATH,     /* char *: absolute when read; "" is none */
    SETTING_SECRET,   /* char *: never shown */
    SETTING_DATABASE, /* char *: "sqlite:PATH", the path absolute when read */
    SETTING_SIZE,     /* uint64_t, bytes */
    SETTING_DURATION, /* uint64_t, milliseconds */
    SETTING_COUNT,    /* uint64_t */
    SETTING_BOOLEAN,  /* bool */
    SETTING_CHOICE,   /* int: the choice's value */
    SETTING_LIST,     /* char **, ended by NULL; a sequence, or texts between commas */
};

struct setting_choice {
    const char *name; /* the first of a value is how it is shown */
    int value;
};

struct setting {
    const char *name; /* "listen.port" */
    enum setting_type type;
    const char *fallback; /* the default, as one would write it; "" for none */
    const char *unit;     /* of a count; NULL where the type says it */
    const char *description;
    const struct setting_choice *choices; /* SETTING_CHOICE; ended by a NULL name */
    uint64_t min, max; /* of numbers (durations in milliseconds); max 0: no limit of its own */
    size_t offset;     /* of the field in the target */
};

/*
 * A table and the struct that it fills.  A path that begins with "$data/" lies below the value of the
 * key `data`, which then must be the table's first.  Relative paths are relative to the directory of the file.
 */
struct settings {
    const struct setting *table;
    size_t count;
    size_t target_size;
    const char *environment_prefix; /* "ROOST_": ROOST_LISTEN_PORT is listen.port; NULL: none */
};

/*
 * Defaults, then the file (NULL: none), then the environment.  `target` is zeroed memory of target_size bytes; free it
 * with settings_free, also after an error.  INVALID: a wrong key or value.
 */
int settings_read(const struct settings *settings, const char *file, void *target,
                  struct error *err);

/* The same from text; `file` names it in complaints and is what relative paths are relative to. */
int settings_read_text(const struct settings *settings, const char *text, const char *file,
                       void *target, struct error *err);
void settings_free(const struct settings *settings, void *target);

/* The value as one would write it; of a secret only whether it is there. */
void settings_format(const struct setting *setting, const void *target, struct buf *out);

/* "a duration, such as '30 s'": what the type takes. */
void settings_describe_type(const struct setting *setting, struct buf *out);
const char *settings_type_name(enum setting_type type);

/* "ROOST_LISTEN_PORT" */
void settings_environment_name(const struct settings *settings, const struct setting *setting,
                               struct buf *out);

#endif
