/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CANCEL_H
#define CLI_CANCEL_H

#include "cli/command.h"

/* `roost backup cancel`, `roost restore cancel`. */
extern const struct command backup_cancel_command, restore_cancel_command;

#endif
