/* rollout_watch.c - what happens during a stage of the rollout, and when the next one opens.
 *
 * Counted while it is enabled; judged when a session begins and at each day's border. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"

static bool is_on(const struct engine *engine)
{
    return engine->options.risk.rollout.enabled;
}

void rollout_watch_answer(struct engine *engine, bool good)
{
    if (!is_on(engine))
        return;
    engine->rollout.requests_good += good;
    engine->rollout.requests_bad += !good;
}

/* How much worse than the reference a market entry filled, as a share of it. */
static void note_slippage(struct engine *engine, const struct order *order, decimal price,
                          decimal reference)
{
    if (order->type == ORDER_LIMIT || decimal_sign(reference) <= 0) /* 0: it is not known */
        return;
    double was = decimal_to_double(reference), is = decimal_to_double(price);
    engine->rollout.slippage_sum += (order->side == SIDE_BUY ? is - was : was - is) / was;
    engine->rollout.slippage_count++;
}

void rollout_watch_report(struct engine *engine, const struct order *before, struct order *order,
                          const struct report *report)
{
    struct rollout_record *record = &engine->rollout;
    bool waited = before->known == ORDER_PENDING_NEW && order->known != ORDER_PENDING_NEW;
    if (!is_on(engine))
        return;
    if (waited) {
        bool good = order->known != ORDER_REJECTED;
        record->orders_good += good;
        record->orders_bad += !good;
        record->latency_sum_ns += engine->now_ns - before->updated_ns;
        record->latency_count++;
    }
    if (report->kind == REPORT_FILL)
        note_slippage(engine, order, report->fill.price, blotter_stake(order)->reference);
}

void rollout_watch_breaker(struct engine *engine)
{
    engine->rollout.breaker_events += is_on(engine);
}

void rollout_watch_critical(struct engine *engine)
{
    engine->rollout.critical_errors += is_on(engine);
}

static void open_next(struct engine *engine, int64_t now_ns)
{
    char text[REASON_MAX], capital[DECIMAL_TEXT_MAX];
    rollout_advance(&engine->rollout, now_ns);
    decimal most = rollout_capital(&engine->options.risk.rollout, &engine->rollout);
    snprintf(text, sizeof(text), "stage %" PRIu32 " of the rollout opens: %s may be at stake",
             engine->rollout.stage + 1, decimal_format(most, capital));
    turn_alert(engine, -1, "rollout_stage", text);
}

/* What keeps the next stage shut is told once a day. */
void rollout_watch_day(struct engine *engine, int64_t now_ns)
{
    struct text missing;
    if (!is_on(engine))
        return;
    if (engine->rollout.began_ns == 0)
        rollout_begin(&engine->rollout, now_ns);
    text_init(&missing, 4096);
    enum rollout_verdict verdict =
        rollout_judge(&engine->options.risk.rollout, &engine->rollout, now_ns, &missing);
    if (verdict == ROLLOUT_NEXT)
        open_next(engine, now_ns);
    else if (verdict == ROLLOUT_STAYS)
        LOG(engine->options.log, LOG_INFO, "rollout", "the stage stays",
            F_INT("stage", (int64_t)engine->rollout.stage + 1), F_STR("missing", missing.data));
    engine->day_is_news = true;
    text_release(&missing);
}

void rollout_watch_write(const struct engine *engine, struct json_writer *writer)
{
    struct text record;
    if (!is_on(engine))
        return;
    text_init(&record, 4096);
    rollout_write(&engine->rollout, &record);
    json_key(writer, "rollout");
    json_string(writer, record.data);
    text_release(&record);
}

int rollout_watch_read(struct engine *engine, const struct json *root, struct error *err)
{
    const char *record = json_as_string(json_get(root, "rollout"));
    return record ? rollout_read(record, strlen(record), &engine->rollout, err) : 0;
}

decimal engine_rollout(const struct engine *engine, struct rollout_record *record)
{
    *record = engine->rollout;
    return rollout_capital(&engine->options.risk.rollout, &engine->rollout);
}

void engine_set_paper_days(struct engine *engine, uint32_t days)
{
    engine->rollout.paper_days = days;
}
