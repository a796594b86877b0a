/* summary.c - the result of a run, from the engine's figures: JSON for machines, a table for
 * people.
 *
 * Money and quantities stay decimals; only ratios are doubles, and a ratio that is not defined is
 * NaN here, null in JSON and n/a in the table. */
#include "runtime/app/summary.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"

#define DAYS_PER_YEAR 365.0
#define FEW_DAYS 30 /* below, annualised figures mean little */

/* ---- ratios ---- */

static double defined(double ratio)
{
    return isfinite(ratio) ? ratio : NAN;
}

static double quotient(double a, double b)
{
    return b > 0 ? defined(a / b) : NAN;
}

/* Formulas: total return and its CAGR from the first to the last value; mean over deviation of the
 * simple returns, times the root of the periods in a year. Sortino's deviation is the root of the
 * mean square of the losses, over all returns. */
struct summary_ratios summary_ratios(const double *daily, size_t count, double max_drawdown)
{
    struct summary_ratios none = { NAN, NAN, NAN }, ratios;
    if (count < 3)
        return none;
    for (size_t i = 0; i < count; i++)
        if (!(daily[i] > 0))
            return none;

    double n = (double)(count - 1), sum = 0, squares = 0, losses = 0;
    for (size_t i = 1; i < count; i++)
        sum += daily[i] / daily[i - 1] - 1;
    double mean = sum / n;
    for (size_t i = 1; i < count; i++) {
        double change = daily[i] / daily[i - 1] - 1;
        squares += (change - mean) * (change - mean);
        if (change < 0)
            losses += change * change;
    }
    double growth = pow(daily[count - 1] / daily[0], DAYS_PER_YEAR / n) - 1;
    ratios.sharpe = quotient(mean * sqrt(DAYS_PER_YEAR), sqrt(squares / (n - 1)));
    ratios.sortino = quotient(mean * sqrt(DAYS_PER_YEAR), sqrt(losses / n));
    ratios.calmar = quotient(growth, fabs(max_drawdown));
    return ratios;
}

/* What both forms show. */
struct figures {
    const struct engine_counts *counts;
    struct engine_totals totals;
    struct summary_ratios ratios;
    const double *daily;
    size_t days;
    double growth, win_rate, profit_factor, turnover;
};

static double mean_of(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return count ? sum / (double)count : NAN;
}

/* a / b as doubles, from the exact quotient: 3.3 / 1.1 is 3. */
static double exact_quotient(decimal a, decimal b)
{
    if (!decimal_valid(a) || !decimal_valid(b) || decimal_sign(b) <= 0)
        return NAN;
    decimal exact = decimal_div(a, b, 18, ROUND_HALF_EVEN);
    return decimal_valid(exact) ? decimal_to_double(exact)
                                : quotient(decimal_to_double(a), decimal_to_double(b));
}

static struct figures figures_of(const struct summary *summary)
{
    struct figures figures = { .counts = engine_counts(summary->engine) };
    struct engine_totals *totals = &figures.totals;
    engine_totals(summary->engine, totals);
    figures.days = engine_daily_equity(summary->engine, &figures.daily);
    figures.ratios = summary_ratios(figures.daily, figures.days, totals->max_drawdown);
    figures.growth =
        exact_quotient(decimal_sub(totals->equity, summary->equity_start), summary->equity_start);
    figures.win_rate = quotient((double)figures.counts->trips_won, (double)figures.counts->trips);
    figures.profit_factor = exact_quotient(totals->gross_won, totals->gross_lost);
    figures.turnover =
        quotient(decimal_to_double(totals->traded_notional), mean_of(figures.daily, figures.days));
    return figures;
}

/* ---- what is held ---- */

struct held {
    const struct instrument *instrument;
    const struct position *position;
    decimal mark;
};

/* Each book of each instance that is not flat. */
static void each_position(const struct summary *summary,
                          void (*visit)(void *self, const struct held *held), void *self)
{
    const struct instruments *instruments = engine_instruments(summary->engine);
    const struct market *market = engine_market(summary->engine);
    for (int i = 0; i < summary->instance_count; i++) {
        size_t count;
        const uint32_t *list = engine_instance_instruments(summary->engine, i, &count);
        for (size_t k = 0; k < count; k++) {
            struct held held = { .instrument = &instruments->list[list[k]],
                                 .position = engine_position(summary->engine, i, list[k]),
                                 .mark = market_mark(market, list[k]) };
            if (held.position && !decimal_is_zero(held.position->qty))
                visit(self, &held);
        }
    }
}

/* ---- JSON ---- */

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static void put_count(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_int(writer, (int64_t)value);
}

static void put_money(struct json_writer *writer, const char *key, decimal value)
{
    json_key(writer, key);
    json_decimal(writer, value);
}

static void put_ratio(struct json_writer *writer, const char *key, double value)
{
    json_key(writer, key);
    json_double(writer, value);
}

static void put_time(struct json_writer *writer, const char *key, int64_t time_ns)
{
    json_key(writer, key);
    json_time(writer, time_ns);
}

static void put_param(struct json_writer *writer, const struct param_value *value)
{
    switch (value->kind) {
    case PARAM_NUMBER:
        json_double(writer, value->number);
        return;
    case PARAM_INTEGER:
        json_int(writer, value->integer);
        return;
    case PARAM_STRING:
        json_string(writer, value->string);
        return;
    case PARAM_BOOL:
        json_bool(writer, value->boolean);
        return;
    }
}

static void put_strategy(struct json_writer *writer, const struct summary_strategy *strategy)
{
    json_object_begin(writer);
    put_string(writer, "file", strategy->file);
    put_string(writer, "name", strategy->info->name);
    put_string(writer, "version", strategy->info->version);
    put_string(writer, "symbol", strategy->symbol);
    json_key(writer, "params");
    json_object_begin(writer);
    for (size_t i = 0; i < strategy->info->param_count; i++) {
        json_key(writer, strategy->info->params[i].name);
        put_param(writer, &strategy->params->values[i]);
    }
    json_object_end(writer);
    json_object_end(writer);
}

static void put_what(struct json_writer *writer, const struct summary *summary)
{
    const struct instruments *instruments = engine_instruments(summary->engine);
    put_string(writer, "mode", summary->mode);
    json_key(writer, "strategies");
    json_array_begin(writer);
    for (size_t i = 0; i < summary->strategy_count; i++)
        put_strategy(writer, &summary->strategies[i]);
    json_array_end(writer);
    put_string(writer, "broker", summary->broker);
    json_key(writer, "symbols");
    json_array_begin(writer);
    for (uint32_t i = 0; i < instruments->count; i++)
        json_string(writer, instruments->list[i].symbol);
    json_array_end(writer);
    put_time(writer, "started", summary->started_ns);
    put_time(writer, "ended", summary->ended_ns);
}

static void put_counts(struct json_writer *writer, const struct engine_counts *counts)
{
    put_count(writer, "events", counts->events);
    put_count(writer, "trades_seen", counts->trades);
    put_count(writer, "quotes_seen", counts->quotes);
    put_count(writer, "bars", counts->bars);
    json_key(writer, "orders");
    json_object_begin(writer);
    put_count(writer, "submitted", counts->submitted);
    put_count(writer, "filled", counts->filled);
    put_count(writer, "canceled", counts->canceled);
    put_count(writer, "rejected", counts->rejected);
    put_count(writer, "blocked", counts->blocked);
    put_count(writer, "reduced", counts->reduced);
    put_count(writer, "expired", counts->expired);
    json_object_end(writer);
    put_count(writer, "fills", counts->fills);
}

static void put_money_and_ratios(struct json_writer *writer, const struct summary *summary,
                                 const struct figures *figures)
{
    const struct engine_totals *totals = &figures->totals;
    put_money(writer, "fees", totals->fees);
    put_money(writer, "funding", totals->funding);
    put_money(writer, "equity_start", summary->equity_start);
    put_money(writer, "equity_end", totals->equity);
    put_money(writer, "cash", totals->cash);
    put_money(writer, "realized_pnl", totals->realized_pnl);
    put_money(writer, "unrealized_pnl", totals->unrealized_pnl);
    put_ratio(writer, "return", figures->growth);
    put_ratio(writer, "max_drawdown", totals->max_drawdown);
    put_ratio(writer, "sharpe", figures->ratios.sharpe);
    put_ratio(writer, "sortino", figures->ratios.sortino);
    put_ratio(writer, "calmar", figures->ratios.calmar);
    put_ratio(writer, "win_rate", figures->win_rate);
    put_ratio(writer, "profit_factor", figures->profit_factor);
    put_ratio(writer, "exposure", totals->exposure);
    put_ratio(writer, "turnover", figures->turnover);
    put_count(writer, "round_trips", figures->counts->trips);
}

static void put_position(void *self, const struct held *held)
{
    struct json_writer *writer = self;
    json_object_begin(writer);
    put_string(writer, "symbol", held->instrument->symbol);
    put_money(writer, "qty", held->position->qty);
    put_money(writer, "avg_price",
              position_avg_price(held->position, held->instrument->multiplier));
    put_money(writer, "mark_price", held->mark);
    json_object_end(writer);
}

static void put_sources(struct json_writer *writer, const struct summary *summary)
{
    json_key(writer, "data");
    json_object_begin(writer);
    put_count(writer, "files", summary->data.files);
    put_count(writer, "rows", summary->data.rows);
    put_count(writer, "skipped", summary->data.skipped);
    put_count(writer, "sorted", summary->data.sorted);
    put_time(writer, "first", summary->data.first_ns);
    put_time(writer, "last", summary->data.last_ns);
    json_object_end(writer);
    json_key(writer, "models");
    json_object_begin(writer);
    put_string(writer, "fees", summary->fees);
    put_string(writer, "slippage", summary->slippage);
    put_string(writer, "latency", summary->latency);
    put_string(writer, "fill", summary->fill);
    json_object_end(writer);
}

void summary_json(const struct summary *summary, struct text *out)
{
    struct figures figures = figures_of(summary);
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    put_what(writer, summary);
    put_counts(writer, figures.counts);
    put_money_and_ratios(writer, summary, &figures);
    json_key(writer, "positions");
    json_array_begin(writer);
    each_position(summary, put_position, writer);
    json_array_end(writer);
    put_sources(writer, summary);
    put_string(writer, "result_hash", summary->result_hash);
    json_object_end(writer);
    json_writer_close(writer);
    text_add(out, "\n");
}

/* ---- the table ---- */

#define PARAMS_SHOWN 100 /* bytes */
#define SPARK_WIDTH 32

struct table {
    struct text *out;
    const char *bold, *red, *green, *dim, *plain; /* escapes, or empty */
};

static struct table table_of(struct text *out, bool colour)
{
    if (!colour)
        return (struct table){ out, "", "", "", "", "" };
    return (struct table){ out, "\033[1m", "\033[31m", "\033[32m", "\033[2m", "\033[0m" };
}

/* Four digits after the point are enough for eyes; JSON and the ledger have all. */
static const char *money(decimal value, char buffer[DECIMAL_TEXT_MAX])
{
    if (!decimal_valid(value))
        return "n/a";
    decimal rounded = decimal_round(value, 4, ROUND_HALF_EVEN);
    return decimal_format(decimal_valid(rounded) ? rounded : value, buffer);
}

static const char *ratio(double value, double factor, int digits, const char *unit, char *buffer,
                         size_t size)
{
    if (!isfinite(value))
        return "n/a";
    snprintf(buffer, size, "%.*f%s", digits, value * factor, unit);
    return buffer;
}

static const char *count_text(uint64_t value, char buffer[DECIMAL_TEXT_MAX])
{
    snprintf(buffer, DECIMAL_TEXT_MAX, "%" PRIu64, value);
    return buffer;
}

/* Two columns of label and value; values end at one place. */
static void row(struct table *table, const char *label, const char *value, const char *colour,
                const char *label2, const char *value2)
{
    text_printf(table->out, "  %-16s %s%14s%s", label, colour, value, *colour ? table->plain : "");
    if (label2)
        text_printf(table->out, "    %-16s %14s", label2, value2);
    text_add(table->out, "\n");
}

static void add_span(struct table *table, const struct summary *summary)
{
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], span[TIME_TEXT_MAX];
    if (summary->started_ns == TIME_NEVER || summary->ended_ns == TIME_NEVER)
        return;
    int64_t seconds = (summary->ended_ns - summary->started_ns) / NS_PER_SECOND;
    snprintf(span, sizeof(span), "%" PRId64 "d %02d:%02d:%02d", seconds / 86400,
             (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60));
    text_printf(table->out, "%s to %s UTC (%s)", time_format_short(summary->started_ns, from),
                time_format_short(summary->ended_ns, to), span);
}

static void add_title(struct table *table, const struct summary *summary)
{
    bool live = strcmp(summary->mode, "live") == 0;
    char mode[16] = "";
    for (size_t i = 0; summary->mode[i] && i + 1 < sizeof(mode); i++)
        mode[i] = (char)toupper((unsigned char)summary->mode[i]);
    text_printf(table->out, "\n%s%s%s%s on %s  ", table->bold, live ? table->red : "", mode,
                table->plain, summary->broker);
    add_span(table, summary);
    if (summary->stopped_by && *summary->stopped_by)
        text_printf(table->out, ", ended by %s", summary->stopped_by);
    text_add(table->out, "\n");
}

static void add_strategy(struct table *table, const struct summary_strategy *strategy)
{
    struct text params;
    text_init(&params, PARAMS_SHOWN * PARAMS_MAX);
    for (size_t i = 0; i < strategy->info->param_count; i++) {
        char value[PARAMS_SHOWN];
        param_format(&strategy->params->values[i], value, sizeof(value));
        text_printf(&params, " %s=%s", strategy->info->params[i].name, value);
    }
    char shown[PARAMS_SHOWN];
    bool whole = text_copy(shown, sizeof(shown), params.data);
    text_printf(table->out, "  %s %s  %s %s%s%s%s\n", strategy->info->name, strategy->info->version,
                strcmp(strategy->symbol, "*") == 0 ? "all symbols" : strategy->symbol, table->dim,
                shown, whole ? "" : " ...", table->plain);
    if (!strategy->alive && strategy->why_not && *strategy->why_not)
        text_printf(table->out, "    %sstopped:%s %s\n", table->red, table->plain,
                    strategy->why_not);
    text_release(&params);
}

/* Equity by days in eighths of a line; many days are thinned, each place showing its last. */
static void add_spark(struct table *table, const struct figures *figures)
{
    static const char *const steps[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    size_t places = figures->days < SPARK_WIDTH ? figures->days : SPARK_WIDTH;
    if (places < 3)
        return;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < figures->days; i++) {
        low = fmin(low, figures->daily[i]);
        high = fmax(high, figures->daily[i]);
    }
    text_printf(table->out, "  %-16s ", "equity by day");
    for (size_t i = 0; i < places; i++) {
        double value = figures->daily[(i + 1) * figures->days / places - 1];
        int step = high > low ? (int)((value - low) / (high - low) * 7.999) : 3;
        text_add(table->out, steps[step]);
    }
    text_add(table->out, "\n");
}

static void add_figures(struct table *table, const struct summary *summary,
                        const struct figures *figures)
{
    const struct engine_totals *totals = &figures->totals;
    char a[DECIMAL_TEXT_MAX], b[DECIMAL_TEXT_MAX];
    const char *sign = figures->growth > 0 ? table->green : figures->growth < 0 ? table->red : "";
    const struct summary_ratios *ratios = &figures->ratios;

    row(table, "equity", money(totals->equity, a), "", "started with",
        money(summary->equity_start, b));
    row(table, "return", ratio(figures->growth, 100, 3, " %", a, sizeof(a)), sign, "max drawdown",
        ratio(totals->max_drawdown, 100, 3, " %", b, sizeof(b)));
    row(table, "realized P&L", money(totals->realized_pnl, a), "", "unrealized P&L",
        money(totals->unrealized_pnl, b));
    row(table, "fees", money(totals->fees, a), "", "funding", money(totals->funding, b));
    row(table, "round trips", count_text(figures->counts->trips, a), "", "win rate",
        ratio(figures->win_rate, 100, 1, " %", b, sizeof(b)));
    row(table, "profit factor", ratio(figures->profit_factor, 1, 2, "", a, sizeof(a)), "",
        "turnover", ratio(figures->turnover, 1, 2, "", b, sizeof(b)));
    row(table, "sharpe", ratio(ratios->sharpe, 1, 2, "", a, sizeof(a)), "", "sortino",
        ratio(ratios->sortino, 1, 2, "", b, sizeof(b)));
    row(table, "calmar", ratio(ratios->calmar, 1, 2, "", a, sizeof(a)), "", "exposure",
        ratio(totals->exposure, 100, 1, " %", b, sizeof(b)));
    add_spark(table, figures);
    if (isfinite(ratios->sharpe) && figures->days <= FEW_DAYS)
        text_printf(table->out, "  %s%zu days are few: annualised figures mean little%s\n",
                    table->dim, figures->days - 1, table->plain);
}

static void add_orders(struct table *table, const struct engine_counts *counts, uint64_t open)
{
    const struct {
        const char *name;
        uint64_t count;
    } list[] = {
        { "filled", counts->filled },     { "canceled", counts->canceled },
        { "rejected", counts->rejected }, { "blocked", counts->blocked },
        { "reduced", counts->reduced },   { "expired", counts->expired },
        { "still open", open },
    };
    text_printf(table->out, "  orders: %" PRIu64 " submitted", counts->submitted);
    for (size_t i = 0; i < ARRAY_SIZE(list); i++)
        if (list[i].count > 0)
            text_printf(table->out, ", %" PRIu64 " %s", list[i].count, list[i].name);
    text_printf(table->out, "; fills: %" PRIu64 "\n", counts->fills);
    if (counts->halts > 0)
        text_printf(table->out, "  %shalts: %" PRIu64 "%s\n", table->red, counts->halts,
                    table->plain);
}

static void add_position(void *self, const struct held *held)
{
    struct table *table = self;
    char qty[DECIMAL_TEXT_MAX], price[DECIMAL_TEXT_MAX], mark[DECIMAL_TEXT_MAX];
    decimal avg_price = position_avg_price(held->position, held->instrument->multiplier);
    text_printf(table->out, "  holds %s %s at %s, marked at %s\n", held->instrument->symbol,
                decimal_format(held->position->qty, qty), money(avg_price, price),
                money(held->mark, mark));
}

static void add_data(struct table *table, const struct summary *summary)
{
    if (summary->data.files > 0) {
        text_printf(table->out, "  data: %zu file%s, %" PRIu64 " rows", summary->data.files,
                    summary->data.files == 1 ? "" : "s", summary->data.rows);
        if (summary->data.skipped > 0)
            text_printf(table->out, ", %s%" PRIu64 " skipped%s", table->red, summary->data.skipped,
                        table->plain);
        if (summary->data.sorted > 0)
            text_printf(table->out, ", %" PRIu64 " sorted", summary->data.sorted);
        text_add(table->out, "\n");
    }
    if (summary->data.instruments_from)
        text_printf(table->out, "  ticks and lots: %s\n", summary->data.instruments_from);
    const char *const models[][2] = { { "fees", summary->fees },
                                      { "slippage", summary->slippage },
                                      { "latency", summary->latency },
                                      { "fill", summary->fill } };
    text_add(table->out, "  models:");
    for (size_t i = 0; i < ARRAY_SIZE(models); i++)
        if (models[i][1])
            text_printf(table->out, "%s %s %s", i ? "," : "", models[i][0], models[i][1]);
    text_add(table->out, "\n");
}

static void add_end(struct table *table, const struct summary *summary,
                    const struct engine_counts *counts)
{
    text_printf(table->out, "  %" PRIu64 " events in %.1f s", counts->events,
                summary->wall_seconds);
    if (summary->wall_seconds >= 0.1)
        text_printf(table->out, ", %.0f a second", (double)counts->events / summary->wall_seconds);
    text_add(table->out, "\n");
    if (summary->result_hash)
        text_printf(table->out, "  %sresult %s%s\n", table->dim, summary->result_hash,
                    table->plain);
}

void summary_table(const struct summary *summary, struct text *out, bool colour)
{
    struct figures figures = figures_of(summary);
    struct table table = table_of(out, colour);
    add_title(&table, summary);
    for (size_t i = 0; i < summary->strategy_count; i++)
        add_strategy(&table, &summary->strategies[i]);
    text_add(out, "\n");
    add_figures(&table, summary, &figures);
    text_add(out, "\n");
    add_orders(&table, figures.counts, engine_open_orders(summary->engine));
    each_position(summary, add_position, &table);
    add_data(&table, summary);
    add_end(&table, summary, figures.counts);
}
