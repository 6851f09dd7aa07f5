/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SETTINGS_INTERNAL_H
#define CLI_SETTINGS_INTERNAL_H

#include "cli/settings.h"

/* What one value turns into; shared by the reader of files and that of the environment. */

/* Paths are kept as written here; settings_place_paths() makes them absolute afterwards. */
int setting_parse(const struct setting *setting, const char *text, void *target, struct error *err);

/* A sequence of `count` texts into a SETTING_LIST. */
void setting_set_list(const struct setting *setting, const char *const *items, size_t count,
                      void *target);

/* Makes paths absolute; `directory` is what relative ones are relative to. */
void settings_place_paths(const struct settings *settings, const char *directory, void *target);

static inline void *setting_field(const struct setting *setting, void *target)
{
    return (char *)target + setting->offset;
}

#endif
