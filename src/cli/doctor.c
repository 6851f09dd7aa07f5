/* SPDX-License-Identifier: Apache-2.0 */
/* `roost doctor`: looks at everything that has to be right, and says what to do about what is not. */
#include "cli/doctor.h"

#include <stdarg.h>

#include "base/mem.h"
#include "cli/command.h"
#include "cli/console.h"

void doctor_note(struct doctor *doctor, enum finding finding, const char *subject,
                 const char *remedy, const char *format, ...)
{
    static const char *const names[] = {
        [FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_WRONG] = "wrong"};
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        text = xstrdup("");
    doctor->wrong += finding == FINDING_WRONG;
    if (doctor->wants_json) {
        json_begin_object(&doctor->w);
        json_field_string(&doctor->w, "subject", subject);
        json_field_string(&doctor->w, "finding", names[finding]);
        json_field_string(&doctor->w, "text", text);
        json_field_string(&doctor->w, "remedy", remedy);
        json_end_object(&doctor->w);
    } else {
        say("%-8s %s: %s", names[finding], subject, text);
        if (remedy != NULL)
            say("         -> %s", remedy);
    }
    free(text);
}

static void check_all(struct doctor *doctor, const char *given)
{
    scope_config struct config config = {.file = NULL};
    struct error err = ERROR_INIT;
    doctor_check_machine(doctor, NULL);
    if (config_load(given, &config, &err) < 0) {
        doctor_note(doctor, FINDING_WRONG, "configuration",
                    "correct the file, or make one: 'roost init'", "%s", err.text);
        return;
    }
    doctor_note(doctor, FINDING_OK, "configuration", NULL, "%s", config.file);
    doctor_check_directories(doctor, &config);
    doctor_check_secrets(doctor, &config);
    doctor_check_servers(doctor, &config);
    doctor_check_panel(doctor, &config);
    doctor_check_database(doctor, &config);
}

static int run_doctor(const struct invocation *invocation, struct error *err)
{
    struct doctor doctor = {.json = BUF_INIT, .wants_json = option_is_given(invocation, "json")};
    doctor.w = json_writer_to(&doctor.json);
    json_begin_object(&doctor.w);
    json_key(&doctor.w, "checks");
    json_begin_array(&doctor.w);
    check_all(&doctor, option_text(invocation, "config"));
    json_end_array(&doctor.w);
    json_field_int(&doctor.w, "wrong", doctor.wrong);
    json_end_object(&doctor.w);
    if (doctor.wants_json)
        print_text(&doctor.json);
    else if (doctor.wrong == 0)
        say("nothing is wrong");
    else
        say("%u %s wrong", doctor.wrong, doctor.wrong == 1 ? "thing is" : "things are");
    buf_free(&doctor.json);
    return doctor.wrong == 0 ? EXIT_DONE : EXIT_FAILED;
}

const struct command doctor_command = {
    .name = "doctor",
    .summary = "check everything, and say what to do",
    .details =
        "Looks at the configuration, directories, free space, secrets' modes, the kernel, the "
        "clock,\n"
        "the database, and whether panel and nodes answer. Exits with 1 where something is wrong.",
    .options = (const struct option[]){OPTION_CONFIG, OPTION_JSON, OPTION_END},
    .run = run_doctor,
};
