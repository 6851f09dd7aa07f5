/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SERVER_DELETE_H
#define CLI_SERVER_DELETE_H

#include "cli/command.h"

/* `roost server delete`. */
extern const struct command server_delete_command;

#endif
