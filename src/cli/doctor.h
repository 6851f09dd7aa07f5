/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "base/json.h"
#include "cli/config.h"

/* What `roost doctor` finds, one check after the other. */
enum finding {
    FINDING_OK,
    FINDING_WARNING, /* works, but look at it */
    FINDING_WRONG,   /* does not work, or is not safe */
};

struct doctor {
    bool wants_json;
    struct buf json;
    struct json_writer w;
    unsigned wrong;
};

/* `remedy`: what to do, NULL where all is well. */
void doctor_note(struct doctor *doctor, enum finding finding, const char *subject,
                 const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The checks on this machine: doctor_local.c. */
void doctor_check_machine(struct doctor *doctor, const struct config *config);
void doctor_check_directories(struct doctor *doctor, const struct config *config);
void doctor_check_secrets(struct doctor *doctor, const struct config *config);
void doctor_check_servers(struct doctor *doctor, const struct config *config);

/* The checks that ask others: doctor_reach.c. */
void doctor_check_panel(struct doctor *doctor, const struct config *config);
void doctor_check_database(struct doctor *doctor, struct config *config);

#endif
