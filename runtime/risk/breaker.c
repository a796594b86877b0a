/* breaker.c - the states of a breaker and what moves it between them. The diagram and the formulas
 * are in docs/risk.md. */
#include "runtime/risk/breaker.h"

#include <math.h>
#include <stdio.h>

#include "runtime/base/text.h"

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = { "closed", "open", "half_open" };
    return names[state];
}

void breaker_init(struct breaker *breaker, const struct breaker_options *options)
{
    *breaker = (struct breaker){ .options = *options };
}

/* now + for, no later than time goes. */
static int64_t later(int64_t now_ns, int64_t for_ns)
{
    int64_t until_ns;
    return __builtin_add_overflow(now_ns, for_ns, &until_ns) ? TIME_NEVER : until_ns;
}

static void explain(struct breaker *breaker, const char *code, const char *why)
{
    text_copy(breaker->code, sizeof(breaker->code), code);
    text_copy(breaker->why, sizeof(breaker->why), why ? why : "");
}

static void turn_open(struct breaker *breaker)
{
    breaker->state = BREAKER_OPEN;
    breaker->opened++;
}

static void close_and_forget(struct breaker *breaker)
{
    struct breaker_options options = breaker->options;
    uint64_t opened = breaker->opened;
    breaker_init(breaker, &options);
    breaker->opened = opened;
}

/* ---- orders that want to leave ---- */

bool breaker_allows(struct breaker *breaker, int64_t now_ns)
{
    if (breaker->state == BREAKER_CLOSED)
        return true;
    if (breaker->by_hand || (breaker->state == BREAKER_OPEN && now_ns < breaker->until_ns))
        return false;
    if (breaker->state == BREAKER_OPEN) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->probes_out = 0;
        breaker->probes_good = 0;
    }
    return breaker->probes_out == 0 || now_ns >= breaker->until_ns;
}

void breaker_sent(struct breaker *breaker, int64_t now_ns)
{
    if (breaker->state != BREAKER_HALF_OPEN)
        return;
    breaker->probes_out = 1;
    breaker->until_ns = later(now_ns, BREAKER_PROBE_LOST_NS);
}

void breaker_take_back(struct breaker *breaker)
{
    breaker->probes_out = 0;
}

/* ---- answers ---- */

static void remember(struct breaker *breaker, bool failed)
{
    if (breaker->window_count == BREAKER_WINDOW)
        breaker->window_failed -= breaker->window[breaker->window_next];
    else
        breaker->window_count++;
    breaker->window[breaker->window_next] = failed;
    breaker->window_failed += failed;
    breaker->window_next = (breaker->window_next + 1) % BREAKER_WINDOW;
    breaker->failed_in_a_row = failed ? breaker->failed_in_a_row + 1 : 0;
}

/* A division and no product: 29 of 100 is the same double as 0.29, 0.29 * 100 is not 29. */
static bool too_many_failed(const struct breaker *breaker)
{
    double most = breaker->options.max_error_rate;
    return most > 0 && breaker->window_count >= BREAKER_WINDOW_LEAST &&
           (double)breaker->window_failed / breaker->window_count > most;
}

/* An answer while closed. why: of the failure, NULL for a success. */
static bool judge_answer(struct breaker *breaker, int64_t now_ns, bool failed, const char *why)
{
    char text[BREAKER_WHY_MAX];
    remember(breaker, failed);
    uint32_t most = breaker->options.failures;
    if (most > 0 && breaker->failed_in_a_row >= most) {
        snprintf(text, sizeof(text), "%" PRIu32 " answers in a row failed: %s",
                 breaker->failed_in_a_row, why);
        return breaker_trip(breaker, now_ns, 0, "failures", text);
    }
    if (!too_many_failed(breaker))
        return false;
    snprintf(text, sizeof(text), "%" PRIu32 " of the last %" PRIu32 " answers failed",
             breaker->window_failed, breaker->window_count);
    return breaker_trip(breaker, now_ns, 0, "error_rate", text);
}

bool breaker_success(struct breaker *breaker, int64_t now_ns, int64_t latency_ns)
{
    int64_t most_ns = breaker->options.max_latency_ns;
    if (most_ns > 0 && latency_ns > most_ns) {
        char why[BREAKER_WHY_MAX];
        snprintf(why, sizeof(why), "an answer took %.1f ms, allowed %.1f ms",
                 (double)latency_ns / NS_PER_MS, (double)most_ns / NS_PER_MS);
        return breaker_failure(breaker, now_ns, why);
    }
    if (breaker->state == BREAKER_CLOSED)
        return judge_answer(breaker, now_ns, false, NULL);
    if (breaker->state == BREAKER_OPEN || breaker->probes_out == 0)
        return false;
    breaker->probes_out = 0;
    breaker->probes_good++;
    if (breaker->probes_good < breaker->options.half_open_probes)
        return false;
    close_and_forget(breaker);
    return true;
}

bool breaker_failure(struct breaker *breaker, int64_t now_ns, const char *why)
{
    why = why ? why : "no reason given";
    if (breaker->state == BREAKER_CLOSED)
        return judge_answer(breaker, now_ns, true, why);
    if (breaker->state == BREAKER_OPEN)
        return false;
    return breaker_trip(breaker, now_ns, 0, "probe_failed", why);
}

/* ---- what opens it at once ---- */

static bool is_price(double price)
{
    return isfinite(price) && price > 0;
}

bool breaker_price(struct breaker *breaker, int64_t now_ns, double before, double now)
{
    double most = breaker->options.price_jump_pct;
    if (!(most > 0) || !is_price(before) || breaker->state == BREAKER_OPEN)
        return false;
    if (is_price(now) && fabs(now - before) / before <= most)
        return false;
    char why[BREAKER_WHY_MAX];
    snprintf(why, sizeof(why), "a price went from %.10g to %.10g, allowed is %.4g of it", before,
             now, most);
    return breaker_trip(breaker, now_ns, 0, "price_jump", why);
}

bool breaker_trip(struct breaker *breaker, int64_t now_ns, int64_t for_ns, const char *code,
                  const char *why)
{
    int64_t least_ns = breaker->options.open_for_ns;
    int64_t until_ns = later(now_ns, for_ns > least_ns ? for_ns : least_ns);
    if (breaker->state != BREAKER_OPEN) {
        turn_open(breaker);
        breaker->until_ns = until_ns;
        explain(breaker, code, why);
        return true;
    }
    if (!breaker->by_hand && until_ns > breaker->until_ns) {
        breaker->until_ns = until_ns;
        explain(breaker, code, why);
    }
    return false;
}

/* ---- a person's ---- */

bool breaker_open(struct breaker *breaker, int64_t now_ns, const char *why)
{
    (void)now_ns;
    if (breaker->by_hand)
        return false;
    if (breaker->state != BREAKER_OPEN)
        turn_open(breaker);
    breaker->by_hand = true;
    breaker->until_ns = TIME_NEVER;
    explain(breaker, "by_hand", why);
    return true;
}

bool breaker_close(struct breaker *breaker)
{
    bool was_closed = breaker->state == BREAKER_CLOSED;
    close_and_forget(breaker);
    return !was_closed;
}
