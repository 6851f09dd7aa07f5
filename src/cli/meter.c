/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing progress: one line, at most as wide as the terminal. */
#include "cli/meter.h"

#include <string.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/time.h"
#include "cli/console.h"

enum {
    DRAW_MS = 100,
    PLAIN_LINE_MS = 10 * 1000,
    BAR_WIDTH = 24,
    WIDTH_DEFAULT = 80,
    SECOND_US = 1000000,
};

struct meter {
    struct buf label;
    meter_look *look;
    void *context;
    int64_t started_at_us; /* monotonic */
    bool is_terminal;
    bool has_drawn;
    bool is_ending;
    unsigned frame;
    pthread_t thread;
    pthread_mutex_t mutex; /* is_ending */
    pthread_cond_t ended;
};

static void add_bar(struct buf *line, uint64_t done, uint64_t total)
{
    double part = done >= total ? 1.0 : (double)done / (double)total;
    int filled = (int)(part * BAR_WIDTH);
    buf_add_char(line, '[');
    for (int i = 0; i < BAR_WIDTH; i++)
        buf_add_char(line, i < filled ? '#' : i == filled ? '>' : '.');
    buf_printf(line, "] %3d %%  ", (int)(part * 100));
}

static void add_amount(const struct meter *meter, struct buf *line, uint64_t done, uint64_t total)
{
    int64_t elapsed_us = time_monotonic_us() - meter->started_at_us;
    if (done > 0 || total > 0) {
        text_add_size(line, done);
        if (total > 0) {
            buf_add_str(line, " of ");
            text_add_size(line, total);
        }
        if (elapsed_us > SECOND_US / 4) {
            buf_add_str(line, "  ");
            text_add_size(line, (uint64_t)((double)done * SECOND_US / (double)elapsed_us));
            buf_add_str(line, "/s");
        }
        buf_add_str(line, "  ");
    }
    int64_t seconds = elapsed_us / SECOND_US;
    buf_printf(line, "%02lld:%02lld", (long long)(seconds / 60), (long long)(seconds % 60));
}

static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
        return WIDTH_DEFAULT;
    return size.ws_col;
}

static void draw(struct meter *meter)
{
    static const char frames[] = "|/-\\";
    uint64_t done = 0, total = 0;
    scope_buf struct buf line = BUF_INIT;
    if (meter->look != NULL)
        meter->look(meter->context, &done, &total);
    buf_printf(&line, "%s  ", meter->label.data);
    if (meter->is_terminal && total > 0)
        add_bar(&line, done, total);
    else if (meter->is_terminal)
        buf_printf(&line, "%c  ", frames[meter->frame++ % 4]);
    add_amount(meter, &line, done, total);
    if (!meter->is_terminal) {
        fprintf(stderr, "%s\n", line.data);
        return;
    }
    buf_truncate(&line, terminal_width() - 1);
    fprintf(stderr, "\r\033[K%s", line.data);
    fflush(stderr);
    meter->has_drawn = true;
}

static void *run(void *argument)
{
    struct meter *meter = argument;
    pthread_mutex_lock(&meter->mutex);
    while (!meter->is_ending) {
        if (meter->is_terminal)
            draw(meter);
        bool is_woken =
            thread_wait(&meter->ended, &meter->mutex, meter->is_terminal ? DRAW_MS : PLAIN_LINE_MS);
        if (!meter->is_terminal && !is_woken && !meter->is_ending)
            draw(meter);
    }
    pthread_mutex_unlock(&meter->mutex);
    return NULL;
}

struct meter *meter_start(const char *label, meter_look *look, void *context)
{
    struct meter *meter = xcalloc(1, sizeof(*meter));
    const char *terminal = getenv("TERM");
    meter->label = (struct buf)BUF_INIT;
    shown_add(&meter->label, slice_str(label));
    meter->look = look;
    meter->context = context;
    meter->started_at_us = time_monotonic_us();
    meter->is_terminal = isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
    pthread_mutex_init(&meter->mutex, NULL);
    thread_cond_init(&meter->ended);
    meter->thread = thread_start("meter", run, meter);
    return meter;
}

void meter_stop(struct meter *meter)
{
    if (meter == NULL)
        return;
    pthread_mutex_lock(&meter->mutex);
    meter->is_ending = true;
    pthread_cond_signal(&meter->ended);
    pthread_mutex_unlock(&meter->mutex);
    pthread_join(meter->thread, NULL);
    if (meter->has_drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    pthread_mutex_destroy(&meter->mutex);
    pthread_cond_destroy(&meter->ended);
    buf_free(&meter->label);
    free(meter);
}
