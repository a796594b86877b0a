/* control_view.c - how a running session stands, as members of a JSON object. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/control.h"
#include "runtime/base/json.h"

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static void put_int(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_int(writer, (int64_t)value);
}

static void put_bool(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_bool(writer, value);
}

static void put_money(struct json_writer *writer, const char *key, decimal value)
{
    json_key(writer, key);
    json_decimal(writer, value);
}

static void put_time(struct json_writer *writer, const char *key, int64_t time_ns)
{
    json_key(writer, key);
    json_time(writer, time_ns);
}

/* The external instance follows the others where there is one; it has no strategy. */
static int all_instances(const struct session *session)
{
    return session->instance_count + (session->source == SOURCE_VENUE);
}

static const char *strategy_name(const struct session *session, int instance)
{
    return instance < session->instance_count ? session->instances[instance].record.strategy
                                              : "external";
}

/* ---- positions ---- */

static void put_position(const struct session *session, int instance, uint32_t index,
                         struct json_writer *writer)
{
    const struct position *position = engine_position(session->engine, instance, index);
    const struct instrument *instrument = &session->instruments.list[index];
    decimal mark = market_mark(session->market, index);
    if (!position || decimal_is_zero(position->qty))
        return;
    json_object_begin(writer);
    put_string(writer, "strategy", strategy_name(session, instance));
    put_string(writer, "venue", instrument->venue);
    put_string(writer, "symbol", instrument->symbol);
    put_money(writer, "qty", position->qty);
    put_money(writer, "avg_price", position_avg_price(position, instrument->multiplier));
    put_money(writer, "mark_price", mark);
    put_money(writer, "unrealized_pnl",
              decimal_valid(mark) ? position_unrealized(position, mark, instrument->multiplier)
                                  : DECIMAL_NONE);
    put_money(writer, "realized_pnl", position->realized_pnl);
    json_object_end(writer);
}

void control_view_positions(const struct session *session, struct json_writer *writer)
{
    json_key(writer, "positions");
    json_array_begin(writer);
    for (int i = 0; i < session->instance_count; i++) {
        size_t count;
        const uint32_t *list = engine_instance_instruments(session->engine, i, &count);
        for (size_t k = 0; k < count; k++)
            put_position(session, i, list[k], writer);
    }
    for (uint32_t k = 0;
         all_instances(session) > session->instance_count && k < session->instruments.count; k++)
        put_position(session, session->instance_count, k, writer);
    json_array_end(writer);
}

/* ---- orders ---- */

struct order_list {
    const struct session *session;
    struct json_writer *writer;
    int instance;
};

static bool put_order(void *self, const struct order *order)
{
    struct order_list *list = self;
    struct json_writer *writer = list->writer;
    const struct instrument *instrument = &list->session->instruments.list[order->instrument];
    json_object_begin(writer);
    put_int(writer, "order_id", order->order_id);
    put_string(writer, "client_order_id", order->current_client_order_id);
    put_string(writer, "venue_order_id", order->venue_order_id[0] ? order->venue_order_id : NULL);
    put_string(writer, "strategy", strategy_name(list->session, list->instance));
    put_string(writer, "venue", instrument->venue);
    put_string(writer, "symbol", instrument->symbol);
    put_string(writer, "side", order_side_name(order->side));
    put_string(writer, "type", order_type_name(order->type));
    put_string(writer, "tif", order_tif_name(order->tif));
    put_money(writer, "qty", order->qty);
    put_money(writer, "filled_qty", order->filled_qty);
    put_money(writer, "price", order->price);
    put_money(writer, "trigger_price", order->trigger_price);
    put_string(writer, "status", order_status_name(order_status(order)));
    put_bool(writer, "reduce_only", order->reduce_only);
    put_bool(writer, "held", order->held);
    put_string(writer, "tag", order->tag);
    put_time(writer, "created", order->created_ns);
    json_object_end(writer);
    return true;
}

void control_view_orders(const struct session *session, struct json_writer *writer)
{
    struct order_list list = { .session = session, .writer = writer };
    json_key(writer, "orders");
    json_array_begin(writer);
    for (list.instance = 0; list.instance < all_instances(session); list.instance++)
        engine_each_order(session->engine, list.instance, false, put_order, &list);
    json_array_end(writer);
}

/* ---- why ---- */

void control_view_why(const struct session *session, size_t count, struct json_writer *writer)
{
    struct told_verdict told;
    json_key(writer, "verdicts");
    json_array_begin(writer);
    for (size_t i = 0; i < count && engine_verdict(session->engine, i, &told); i++) {
        json_object_begin(writer);
        put_time(writer, "time", told.time_ns);
        put_string(writer, "verdict", verdict_name(told.verdict));
        put_string(writer, "strategy",
                   told.instance >= 0 ? strategy_name(session, told.instance) : NULL);
        put_string(writer, "symbol",
                   told.instrument < session->instruments.count
                       ? session->instruments.list[told.instrument].symbol
                       : NULL);
        put_string(writer, "side", told.side ? order_side_name(told.side) : NULL);
        put_money(writer, "asked", told.asked);
        put_money(writer, "allowed", told.allowed);
        put_string(writer, "code", told.code);
        put_string(writer, "reason", told.reason);
        json_object_end(writer);
    }
    json_array_end(writer);
}

/* ---- status ---- */

static const char *source_name(const struct session *session)
{
    return session->source == SOURCE_SIM     ? "sim"
           : session->source == SOURCE_VENUE ? session->world->venue
                                             : "feed";
}

static void put_strategies(const struct session *session, struct json_writer *writer)
{
    json_key(writer, "strategies");
    json_array_begin(writer);
    for (int i = 0; i < session->instance_count; i++) {
        const struct session_instance *instance = &session->instances[i];
        const struct strategy *strategy = &session->strategies[instance->strategy];
        const char *why = NULL;
        bool alive = engine_instance_alive(session->engine, i, NULL, &why);
        json_object_begin(writer);
        put_string(writer, "strategy", instance->record.strategy);
        put_string(writer, "version", strategy->code->info.version);
        put_string(writer, "file", strategy->path);
        put_string(writer, "symbol", instance->record.symbol);
        put_string(writer, "state", !alive ? "stopped" : strategy->next ? "reloading" : "running");
        put_string(writer, "why", alive ? NULL : why);
        put_money(writer, "equity", engine_equity(session->engine, i));
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void put_money_figures(const struct session *session, struct json_writer *writer)
{
    struct engine_totals totals;
    engine_totals(session->engine, &totals);
    put_money(writer, "equity", totals.equity);
    put_money(writer, "equity_start", engine_equity_start(session->engine));
    put_money(writer, "cash", totals.cash);
    put_money(writer, "realized_pnl", totals.realized_pnl);
    put_money(writer, "unrealized_pnl", totals.unrealized_pnl);
    put_money(writer, "fees", totals.fees);
    json_key(writer, "max_drawdown");
    json_double(writer, totals.max_drawdown);
    struct engine_day day;
    char date[DAY_TEXT_MAX];
    engine_day(session->engine, &day);
    json_key(writer, "day");
    json_object_begin(writer);
    put_string(writer, "date", time_format_day(day.began_ns, date));
    put_money(writer, "opening_equity", day.opening_equity);
    put_money(writer, "pnl", decimal_sub(totals.equity, day.opening_equity));
    put_money(writer, "volume", day.volume);
    put_int(writer, "trades", day.trades);
    json_object_end(writer);
}

static void put_halts(const struct session *session, struct json_writer *writer)
{
    const char *reason = NULL;
    json_key(writer, "halt");
    if (engine_is_halted(session->engine, &reason)) {
        json_object_begin(writer);
        put_string(writer, "code", engine_halt_code(session->engine));
        put_string(writer, "reason", reason);
        json_object_end(writer);
    } else {
        json_null(writer);
    }
    struct narrow_halt narrow;
    json_key(writer, "halts");
    json_array_begin(writer);
    for (size_t i = 0; engine_narrow_halt(session->engine, i, &narrow); i++) {
        json_object_begin(writer);
        put_string(writer, "scope", narrow.scope);
        put_string(writer, "code", narrow.code);
        put_string(writer, "reason", narrow.reason);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_key(writer, "halted_symbols");
    json_array_begin(writer);
    for (uint32_t i = 0; i < session->instruments.count; i++)
        if (engine_is_instrument_halted(session->engine, i))
            json_string(writer, session->instruments.list[i].symbol);
    json_array_end(writer);
}

static void put_breakers(const struct session *session, struct json_writer *writer)
{
    const struct breaker *breaker;
    const char *venue;
    json_key(writer, "breakers");
    json_array_begin(writer);
    for (size_t i = 0; (breaker = engine_breaker(session->engine, i, &venue)); i++) {
        bool waits = breaker->state == BREAKER_OPEN && !breaker->by_hand;
        json_object_begin(writer);
        put_string(writer, "venue", venue);
        put_string(writer, "state", breaker_state_name(breaker->state));
        put_bool(writer, "by_hand", breaker->by_hand);
        put_string(writer, "code", breaker->code[0] ? breaker->code : NULL);
        put_string(writer, "why", breaker->code[0] ? breaker->why : NULL);
        put_time(writer, "until", waits ? breaker->until_ns : TIME_NEVER);
        put_int(writer, "opened", breaker->opened);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void put_counts(const struct session *session, struct json_writer *writer)
{
    const struct engine_counts *counts = engine_counts(session->engine);
    put_int(writer, "open_orders", engine_open_orders(session->engine));
    put_int(writer, "in_flight", engine_orders_in_flight(session->engine));
    put_int(writer, "events", counts->events);
    json_key(writer, "counts");
    json_object_begin(writer);
    put_int(writer, "submitted", counts->submitted);
    put_int(writer, "filled", counts->filled);
    put_int(writer, "canceled", counts->canceled);
    put_int(writer, "rejected", counts->rejected);
    put_int(writer, "blocked", counts->blocked);
    put_int(writer, "reduced", counts->reduced);
    put_int(writer, "expired", counts->expired);
    put_int(writer, "fills", counts->fills);
    put_int(writer, "alerts", counts->alerts);
    json_object_end(writer);
}

void control_view_status(const struct session *session, struct json_writer *writer)
{
    put_bool(writer, "running", true);
    put_int(writer, "pid", (uint64_t)getpid());
    put_string(writer, "mode", session->mode);
    put_string(writer, "source", source_name(session));
    put_int(writer, "session", (uint64_t)session->record.session_id);
    put_time(writer, "time", session->now_ns);
    put_time(writer, "started", session->started_ns);
    put_string(writer, "phase",
               ledger_replaying(session->ledger)        ? "replaying"
               : engine_is_reconciling(session->engine) ? "reconciling"
                                                        : "trading");
    put_halts(session, writer);
    put_breakers(session, writer);
    put_money_figures(session, writer);
    put_counts(session, writer);
    put_strategies(session, writer);
    control_view_positions(session, writer);
}
