/* status.c - the live line: composed as text, cut to the terminal's width, drawn in one write.
 *
 * The cursor rests at the end of the line; a log line first clears it and is followed by it again.
 */
#include "runtime/operate/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#define DRAW_EVERY_NS (100 * NS_PER_MS)
#define RATE_OVER_NS NS_PER_SECOND /* a rate over less jumps about */
#define WIDTH_UNKNOWN 80
#define LINE_MAX_BYTES 4096
#define BAR_CELLS 20
#define BAR_CELLS_NARROW 8
#define WIDTH_NARROW 100 /* columns; below, the bar gives way to figures */
#define CLEAR "\r\033[K"
#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

struct status {
    int fd;
    bool colour;
    struct log *log;
    struct text line;  /* as composed */
    struct text drawn; /* as on the screen, escapes included */
    bool is_shown;
    int64_t drawn_ns;

    int64_t begun_ns; /* of the progress that ETA is judged by */
    double begun_at;
    int64_t rate_ns; /* where the rate was last taken */
    uint64_t rate_events;
    double rate; /* events a second, negative: not known yet */
};

static void put(const struct status *status, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(status->fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* the terminal is gone; the run goes on */
        bytes += written;
        length -= (size_t)written;
    }
}

static void before_log_line(void *self)
{
    struct status *status = self;
    if (status->is_shown)
        put(status, CLEAR, strlen(CLEAR));
}

static void after_log_line(void *self)
{
    struct status *status = self;
    if (status->is_shown)
        put(status, status->drawn.data, status->drawn.length);
}

struct status *status_open(int fd, bool colour, struct log *log)
{
    if (!isatty(fd))
        return NULL;
    struct status *status = memory_new(sizeof(*status));
    *status = (struct status){ .fd = fd,
                               .colour = colour,
                               .log = log,
                               .begun_ns = TIME_NEVER,
                               .rate_ns = TIME_NEVER,
                               .rate = -1 };
    text_init(&status->line, LINE_MAX_BYTES);
    text_init(&status->drawn, 2 * LINE_MAX_BYTES);
    if (log)
        log_on_line(log, before_log_line, after_log_line, status);
    return status;
}

void status_close(struct status *status)
{
    if (!status)
        return;
    before_log_line(status);
    if (status->log)
        log_on_line(status->log, NULL, NULL, NULL);
    text_release(&status->line);
    text_release(&status->drawn);
    free(status);
}

/* ---- what it says ---- */

static void judge_rate(struct status *status, uint64_t events, int64_t mono_ns)
{
    if (status->rate_ns == TIME_NEVER || events < status->rate_events) {
        status->rate_ns = mono_ns;
        status->rate_events = events;
    } else if (mono_ns - status->rate_ns >= RATE_OVER_NS) {
        status->rate = (double)(events - status->rate_events) * (double)NS_PER_SECOND /
                       (double)(mono_ns - status->rate_ns);
        status->rate_ns = mono_ns;
        status->rate_events = events;
    }
}

static void add_rate(struct text *line, double rate)
{
    if (rate >= 1e6)
        text_printf(line, "  %.1fM ev/s", rate / 1e6);
    else if (rate >= 1e4)
        text_printf(line, "  %.0fk ev/s", rate / 1e3);
    else if (rate >= 0)
        text_printf(line, "  %.0f ev/s", rate);
}

static void add_seconds(struct text *line, double seconds)
{
    if (seconds < 100)
        text_printf(line, "%.0fs", seconds);
    else if (seconds < 6000)
        text_printf(line, "%.0fm", seconds / 60);
    else if (seconds < 360000)
        text_printf(line, "%.0fh", seconds / 3600);
    else
        text_printf(line, "%.0fd", seconds / 86400);
}

/* "[#####...............] 25% ETA 12s". A run that is resumed begins at its own place. */
static void add_progress(struct status *status, double progress, int64_t mono_ns, int cells)
{
    if (!(progress >= 0))
        return;
    if (progress > 1)
        progress = 1;
    if (status->begun_ns == TIME_NEVER || progress < status->begun_at) {
        status->begun_ns = mono_ns;
        status->begun_at = progress;
    }
    int full = (int)(progress * cells);
    text_printf(&status->line, "  [%.*s%.*s] %d%%", full, "####################", cells - full,
                "....................", (int)(progress * 100));
    double done = progress - status->begun_at;
    double elapsed = (double)(mono_ns - status->begun_ns) / (double)NS_PER_SECOND;
    if (done > 0 && elapsed >= 1 && progress < 1) {
        text_add(&status->line, " ETA ");
        add_seconds(&status->line, elapsed * (1 - progress) / done);
    }
}

static void add_equity(struct text *line, const struct status_facts *facts)
{
    if (!decimal_valid(facts->equity))
        return;
    double equity = decimal_to_double(facts->equity);
    text_printf(line, "  equity %.2f", equity);
    if (!decimal_valid(facts->equity_start) || decimal_sign(facts->equity_start) <= 0)
        return;
    double start = decimal_to_double(facts->equity_start);
    text_printf(line, " (%+.2f%%)", (equity / start - 1) * 100);
}

static void compose(struct status *status, const struct status_facts *facts, int64_t mono_ns,
                    size_t width)
{
    struct text *line = &status->line;
    char stamp[TIME_TEXT_MAX];
    text_clear(line);
    text_add(line, facts->mode);
    if (facts->note && *facts->note)
        text_printf(line, "  %s", facts->note);
    text_printf(line, "  %s", time_format_short(facts->market_ns, stamp));
    add_progress(status, facts->progress, mono_ns,
                 width < WIDTH_NARROW ? BAR_CELLS_NARROW : BAR_CELLS);
    add_equity(line, facts);
    text_printf(line, "  orders %zu  fills %" PRIu64, facts->open_orders, facts->fills);
    add_rate(line, status->rate);
    if (facts->positions && *facts->positions)
        text_printf(line, "  %s", facts->positions);
}

/* ---- drawing ---- */

static size_t width_of(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_UNKNOWN;
    return size.ws_col;
}

static bool is_control(const char *bytes, size_t length)
{
    unsigned char first = (unsigned char)bytes[0];
    if (length == 1)
        return first < 0x20 || first == 0x7f;
    return length == 2 && first == 0xc2 && (unsigned char)bytes[1] < 0xa0; /* U+0080 to U+009F */
}

/* How many bytes fit into `cells` columns. Beyond Latin a character may take two; the last column
 * stays free, because some terminals wrap when it is written. */
static size_t fitting(const struct text *line, size_t cells)
{
    size_t at = 0, used = 1;
    while (at < line->length) {
        size_t length = utf8_length(line->data + at, line->length - at);
        used += length >= 3 ? 2 : 1;
        if (used > cells)
            break;
        at += length ? length : 1;
    }
    return at;
}

/* What would move the cursor, or is not UTF-8, is shown as '?'. */
static void add_plain(struct text *out, const char *bytes, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t length = utf8_length(bytes + at, count - at);
        if (length == 0 || is_control(bytes + at, length))
            text_add(out, "?");
        else
            text_append(out, bytes + at, length);
        at += length ? length : 1;
    }
}

static void paint(struct status *status, const char *mode, size_t width)
{
    size_t count = fitting(&status->line, width);
    size_t head = strlen(mode);
    text_clear(&status->drawn);
    text_add(&status->drawn, CLEAR);
    if (status->colour && head <= count) {
        text_add(&status->drawn, strcmp(mode, "LIVE") == 0 ? RED : GREEN);
        add_plain(&status->drawn, mode, head);
        text_add(&status->drawn, PLAIN);
    } else {
        head = 0;
    }
    add_plain(&status->drawn, status->line.data + head, count - head);
}

void status_draw(struct status *status, const struct status_facts *facts, int64_t mono_ns,
                 bool force)
{
    if (!status)
        return;
    if (!force && status->is_shown && mono_ns - status->drawn_ns < DRAW_EVERY_NS)
        return;
    status->drawn_ns = mono_ns;
    judge_rate(status, facts->events, mono_ns);
    size_t width = width_of(status->fd);
    compose(status, facts, mono_ns, width);
    paint(status, facts->mode, width);
    put(status, status->drawn.data, status->drawn.length);
    status->is_shown = true;
}
