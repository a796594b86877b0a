/* bars.c - closed bars, and the studies drawn from them.
 *
 * Invariants:
 *   1. Bars are appended in order of time and never change.
 *   2. A study comes after the study it is on in bars->studies, so one pass updates all.
 *   3. A study's lines hold values from the bar on that made it ready, one for each bar; the newest
 *      value belongs to the newest bar.
 *   4. Studies and bars are counted apart: a study outlives the last reference to its bars when it
 *      is still referenced itself, and the bars' values stay until the market closes. */
#include "runtime/market/bars.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct study {
    struct bars *bars;
    struct study *of; /* the study it is on; NULL = on the bars */
    int input; /* a line of that, or an enum bar_line; BAR_CLOSE where whole bars are eaten */
    struct indicator_spec spec;
    struct indicator *indicator;
    uint32_t references; /* studies on this one included */
    int line_count;
    struct series lines[]; /* line_count of them */
};

/* ---- closed bars ---- */

struct bars *bars_open(const struct instrument *instrument, uint32_t index, int64_t tf_ns,
                       bool flat_gaps)
{
    struct bars *bars = memory_new(sizeof(*bars));
    bars->instrument = instrument;
    bars->flat_gaps = flat_gaps;
    bars->newest.instrument = index;
    bars->newest.tf_ns = tf_ns;
    bars->trades_from_ns = TIME_NEVER;
    return bars;
}

static void study_free(struct study *study)
{
    indicator_close(study->indicator);
    free(study);
}

void bars_close(struct bars *bars)
{
    for (size_t i = 0; i < bars->study_count; i++)
        study_free(bars->studies[i]);
    free(bars);
}

bool bars_accepts(const struct bars *bars, int64_t time_ns)
{
    return bars_count(bars) == 0 || time_ns > bars->newest.time_ns;
}

static struct bar_values single(double value)
{
    return (struct bar_values){ .open = value, .high = value, .low = value, .close = value };
}

/* What a study eats of the bar `back` steps ago. */
static struct bar_values study_food(const struct study *study, uint64_t back)
{
    if (study->of)
        return single(series_at(&study->of->lines[study->input], back));
    const struct series *lines = study->bars->lines;
    if (!indicator_info(study->spec.kind)->needs_bars)
        return single(series_at(&lines[study->input], back));
    return (struct bar_values){ .open = series_at(&lines[BAR_OPEN], back),
                                .high = series_at(&lines[BAR_HIGH], back),
                                .low = series_at(&lines[BAR_LOW], back),
                                .close = series_at(&lines[BAR_CLOSE], back),
                                .volume = series_at(&lines[BAR_VOLUME], back) };
}

static void study_update(struct study *study, uint64_t back)
{
    if (study->of && !study_ready(study->of))
        return;
    struct bar_values food = study_food(study, back);
    indicator_update(study->indicator, &food);
    if (!indicator_ready(study->indicator))
        return;
    for (int i = 0; i < study->line_count; i++)
        series_push(&study->lines[i], indicator_line(study->indicator, i));
}

static void append(struct bars *bars)
{
    const struct bar *bar = &bars->newest;
    series_push(&bars->lines[BAR_OPEN], bar->open);
    series_push(&bars->lines[BAR_HIGH], bar->high);
    series_push(&bars->lines[BAR_LOW], bar->low);
    series_push(&bars->lines[BAR_CLOSE], bar->close);
    series_push(&bars->lines[BAR_VOLUME], bar->volume);
    for (size_t i = 0; i < bars->study_count; i++)
        study_update(bars->studies[i], 1);
}

void bars_push(struct bars *bars, int64_t time_ns, int64_t time_end_ns,
               const struct bar_event *mantissas)
{
    ASSERT(bars_accepts(bars, time_ns) && time_end_ns > time_ns); /* invariant 1 */
    struct bar *bar = &bars->newest;
    bar->time_ns = time_ns;
    bar->time_end_ns = time_end_ns;
    bar->open = instrument_price(bars->instrument, mantissas->open);
    bar->high = instrument_price(bars->instrument, mantissas->high);
    bar->low = instrument_price(bars->instrument, mantissas->low);
    bar->close = instrument_price(bars->instrument, mantissas->close);
    bar->volume = instrument_qty(bars->instrument, mantissas->volume);
    bars->flat_run = 0;
    append(bars);
}

void bars_push_flat(struct bars *bars)
{
    ASSERT(bars_count(bars) > 0);
    struct bar *bar = &bars->newest;
    bar->time_ns = bar->time_end_ns;
    bar->time_end_ns += bar->tf_ns;
    bar->open = bar->high = bar->low = bar->close;
    bar->volume = 0;
    bars->flat_run++;
    append(bars);
}

void bars_release(struct bars *bars)
{
    ASSERT(bars->references > 0);
    bars->references--; /* invariant 4 */
}

const struct bar *bars_newest(const struct bars *bars)
{
    return bars_count(bars) == 0 ? NULL : &bars->newest;
}

const struct series *bars_line(const struct bars *bars, enum bar_line line)
{
    ASSERT((unsigned)line < BAR_LINES);
    return &bars->lines[line];
}

uint32_t bars_instrument(const struct bars *bars)
{
    return bars->newest.instrument;
}

int64_t bars_tf_ns(const struct bars *bars)
{
    return bars->newest.tf_ns;
}

uint64_t bars_count(const struct bars *bars)
{
    return bars->lines[BAR_CLOSE].count;
}

/* The first value of one study is the first the next one eats: of n + m values one is shared. */
static uint64_t study_needed(const struct study *study)
{
    uint64_t needed = (uint64_t)indicator_warmup(study->indicator);
    for (study = study->of; study; study = study->of)
        needed += (uint64_t)indicator_warmup(study->indicator) - 1;
    return needed;
}

uint64_t bars_needed(const struct bars *bars)
{
    uint64_t most = 0;
    for (size_t i = 0; i < bars->study_count; i++) {
        uint64_t needed = study_needed(bars->studies[i]);
        if (needed > most)
            most = needed;
    }
    return most;
}

/* ---- studies ---- */

static bool same_spec(const struct indicator_spec *a, const struct indicator_spec *b)
{
    if (a->kind != b->kind)
        return false;
    for (int i = 0; i < INDICATOR_PARAMS_MAX; i++)
        if (a->params[i] != b->params[i])
            return false;
    return true;
}

static struct study *study_find(const struct bars *bars, const struct study *of, int input,
                                const struct indicator_spec *spec)
{
    for (size_t i = 0; i < bars->study_count; i++) {
        struct study *study = bars->studies[i];
        if (study->of == of && study->input == input && same_spec(&study->spec, spec))
            return study;
    }
    return NULL;
}

static int count_lines(const struct indicator_info *info)
{
    int count = 0;
    while (count < INDICATOR_LINES_MAX && info->lines[count])
        count++;
    return count;
}

/* Feeds a new study with all that is kept of what it is on. */
static void study_catch_up(struct study *study)
{
    const struct series *past =
        study->of ? &study->of->lines[study->input] : &study->bars->lines[BAR_CLOSE];
    uint64_t kept = past->count < SERIES_KEPT ? past->count : SERIES_KEPT;
    for (uint64_t back = kept; back > 0; back--)
        study_update(study, back);
}

static int study_open(struct bars *bars, struct study *of, int input,
                      const struct indicator_spec *spec, struct study **out, struct error *err)
{
    *out = study_find(bars, of, input, spec);
    if (*out) {
        (*out)->references++;
        return 0;
    }

    const struct indicator_info *info = indicator_info(spec->kind);
    if (bars->study_count == BARS_SERIES_MAX)
        return error_set(err, ERROR_REFUSED,
                         "%s: there are %d series on the bars of %s already, the most allowed",
                         info->name, BARS_SERIES_MAX, bars->instrument->symbol);
    struct indicator *indicator;
    int code = indicator_open(spec, &indicator, err);
    if (code < 0)
        return code;

    int line_count = count_lines(info);
    struct study *study = memory_new(sizeof(*study) + (size_t)line_count * sizeof(study->lines[0]));
    study->bars = bars;
    study->of = of;
    study->input = input;
    study->spec = *spec;
    study->indicator = indicator;
    study->references = 1;
    study->line_count = line_count;
    if (of)
        of->references++;
    bars->studies[bars->study_count++] = study;
    study_catch_up(study);
    *out = study;
    return 0;
}

int bars_study(struct bars *bars, const struct indicator_spec *spec, enum bar_line input,
               struct study **out, struct error *err)
{
    ASSERT((unsigned)input < BAR_LINES);
    if (indicator_info(spec->kind)->needs_bars)
        input = BAR_CLOSE; /* it eats all lines: the same study whatever was named */
    return study_open(bars, NULL, (int)input, spec, out, err);
}

int study_study(struct study *of, int line, const struct indicator_spec *spec, struct study **out,
                struct error *err)
{
    ASSERT(line >= 0 && line < of->line_count);
    return study_open(of->bars, of, line, spec, out, err);
}

void study_release(struct study *study)
{
    while (study) { /* a study holds a reference on the one it is on */
        ASSERT(study->references > 0);
        if (--study->references > 0)
            return;
        struct bars *bars = study->bars;
        size_t place = 0;
        while (bars->studies[place] != study)
            place++;
        bars->study_count--;
        memmove(&bars->studies[place], &bars->studies[place + 1],
                (bars->study_count - place) * sizeof(bars->studies[0])); /* invariant 2 */
        struct study *of = study->of;
        study_free(study);
        study = of;
    }
}

const struct series *study_line(const struct study *study, int line)
{
    ASSERT(line >= 0 && line < study->line_count);
    return &study->lines[line];
}

const struct indicator_spec *study_spec(const struct study *study)
{
    return &study->spec;
}

bool study_ready(const struct study *study)
{
    return indicator_ready(study->indicator);
}
