/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "cli/command.h"

/* `roost node run`: the node alone; the verb stands in node.c. */
int serve_node(const struct invocation *invocation, struct error *err);

#endif
