/* expect.c - the end compared with what the script expects, field by field. */
#include "tests/scenario/scenario.h"

#include <stdio.h>
#include <string.h>

static void differ(struct player *player, const char *field, const char *expected, const char *got)
{
    fail_step(player, "%s: expected %s, got %s", field, expected, got);
}

static const char *decimal_or_null(decimal value, char buffer[DECIMAL_TEXT_MAX])
{
    return decimal_valid(value) ? decimal_format(value, buffer) : "null";
}

/* Exact; an average of many digits is compared in the digits that are written. */
static bool is_same(decimal got, decimal expected, const char *written)
{
    if (!decimal_valid(got) || !decimal_valid(expected))
        return decimal_valid(got) == decimal_valid(expected);
    const char *point = strchr(written, '.');
    int digits = point ? (int)strlen(point + 1) : 0;
    if (decimal_cmp(got, expected) == 0)
        return true;
    return digits >= 4 && decimal_cmp(decimal_round(got, digits, ROUND_HALF_EVEN), expected) == 0;
}

static void check_decimal(struct player *player, const char *field, const struct json *expected,
                          const char *key, decimal got)
{
    char name[128], text[DECIMAL_TEXT_MAX];
    if (!json_get(expected, key))
        return;
    const char *written = member_text(expected, key);
    snprintf(name, sizeof(name), "%s.%s", field, key);
    if (!is_same(got, member_decimal(expected, key), written ? written : ""))
        differ(player, name, written ? written : "null", decimal_or_null(got, text));
}

static void check_text(struct player *player, const char *field, const struct json *expected,
                       const char *key, const char *got)
{
    char name[128];
    const char *written = member_text(expected, key);
    snprintf(name, sizeof(name), "%s.%s", field, key);
    if (written && strcmp(written, got) != 0)
        differ(player, name, written, got[0] ? got : "nothing");
}

/* ---- orders ---- */

static const struct order *committed(const struct player *player, uint64_t order_id)
{
    for (size_t i = 0; i < player->order_count; i++)
        if (player->orders[i].order_id == order_id)
            return &player->orders[i];
    return NULL;
}

static const char *state_name(const struct order *order)
{
    enum order_status status = order_status(order);
    return status == ORDER_NEW ? "working" : order_status_name(status);
}

static bool was_refused(const struct player *player, const char *name)
{
    for (size_t i = 0; i < player->refused_count; i++)
        if (strcmp(player->refused[i], name) == 0)
            return true;
    return false;
}

/* An order of the venue's that is not ours must not be held for one of ours. */
static bool is_external(const struct player *player, const struct told_order *told)
{
    if (!told || told->order_id == 0)
        return true;
    const struct order *order = committed(player, told->order_id);
    return order && order->instance_id == player->external_id;
}

static const char *name_of_id(const struct player *player, const char *id, const char *wanted)
{
    const char *name = NULL;
    for (size_t i = 0; i < player->told.name_count; i++)
        if (strcmp(player->told.names[i].id, id) == 0 &&
            (!name || strcmp(player->told.names[i].script, wanted) == 0))
            name = player->told.names[i].script;
    return name ? name : "?";
}

static void check_order(struct player *player, const char *name, const struct json *expected)
{
    char field[NAME_MAX_BYTES + 16];
    struct told_order *told = told_by_name(&player->told, name);
    const char *state = member_text(expected, "state");
    snprintf(field, sizeof(field), "orders.%s", name);
    if (state && strcmp(state, "external") == 0) {
        if (!is_external(player, told))
            differ(player, field, "external", "one of our own");
        return;
    }
    const struct order *order = told && told->order_id ? committed(player, told->order_id) : NULL;
    if (!order && was_refused(player, name)) {
        check_text(player, field, expected, "state", "rejected");
        return;
    }
    if (!order) {
        differ(player, field, state ? state : "an order", "nothing");
        return;
    }
    const struct order *now = engine_order(player->engine, order->order_id);
    if (now && order_status(now) != order_status(order))
        differ(player, field, "the engine to have what is stored", "another status");
    decimal price = decimal_valid(order->price) ? order->price : order->trigger_price;
    check_text(player, field, expected, "state", state_name(order));
    check_decimal(player, field, expected, "cum", order->filled_qty);
    check_decimal(player, field, expected, "avg", order_avg_price(order));
    check_decimal(player, field, expected, "leaves", order_remaining(order));
    check_decimal(player, field, expected, "qty", order->qty);
    check_decimal(player, field, expected, "px", price);
    check_text(player, field, expected, "ex", order->venue_order_id);
    const char *current = member_text(expected, "current_cl");
    if (current)
        check_text(player, field, expected, "current_cl",
                   name_of_id(player, order->current_client_order_id, current));
    const char *reason = member_text(expected, "reason");
    if (reason && !strcasestr(order->reason, reason))
        check_text(player, field, expected, "reason", order->reason);
    const struct json *done =
        json_get(json_get(player->script.root, "expect"), "order_done_after_fills");
    decimal told_qty = player->done_qty[told - player->told.orders];
    if (done && json_as_bool(done) && decimal_valid(told_qty) &&
        decimal_cmp(told_qty, order->filled_qty) != 0)
        differ(player, "order_done_after_fills", "all fills before the end",
               "an end before its fills");
}

/* ---- positions ---- */

struct sums {
    decimal qty, cost, realized;
};

static struct sums sums_of(const struct player *player, uint32_t instrument)
{
    struct sums sums = { DECIMAL_ZERO, DECIMAL_ZERO, DECIMAL_ZERO };
    for (int i = 0; i < 2; i++) {
        if (i == 1 && !player->has_external)
            break;
        const struct position *position = engine_position(player->engine, i, instrument);
        if (!position)
            continue;
        sums.qty = decimal_add(sums.qty, position->qty);
        sums.cost = decimal_add(sums.cost, position->cost);
        sums.realized = decimal_add(sums.realized, position->realized_pnl);
    }
    return sums;
}

static void check_position(struct player *player, const char *symbol, const struct json *expected)
{
    char field[SYMBOL_MAX + 16];
    struct sums sums = sums_of(player, instrument_named(player, symbol));
    snprintf(field, sizeof(field), "positions.%s", symbol);
    check_decimal(player, field, expected, "qty", sums.qty);
    check_decimal(player, field, expected, "avg",
                  decimal_is_zero(sums.qty)
                      ? DECIMAL_NONE
                      : decimal_div(sums.cost, sums.qty, 18, ROUND_HALF_EVEN));
}

/* What is stored is what the engine has. */
static int compare_stored(void *self, uint32_t instrument, const struct position *position,
                          struct error *err)
{
    struct player *player = self;
    const struct position *now = engine_position(player->engine, 0, instrument);
    char stored[DECIMAL_TEXT_MAX], held[DECIMAL_TEXT_MAX];
    (void)err;
    if (now && decimal_cmp(now->qty, position->qty) != 0)
        fail_step(player, "ledger.position: expected %s, got %s", decimal_format(now->qty, held),
                  decimal_format(position->qty, stored));
    return 0;
}

/* ---- what was raised and sent ---- */

static bool was_raised(const struct player *player, const char *kind)
{
    for (size_t i = 0; i < player->alert_count; i++)
        if (strcmp(player->alerts[i], kind) == 0)
            return true;
    return false;
}

static void check_alerts(struct player *player, const struct json *expected)
{
    for (size_t i = 0; i < json_count(expected); i++) {
        const char *kind = json_as_string(json_at(expected, i));
        struct text raised;
        if (!kind || was_raised(player, kind))
            continue;
        text_init(&raised, 4096);
        for (size_t k = 0; k < player->alert_count; k++)
            text_printf(&raised, "%s%s", k ? " " : "", player->alerts[k]);
        differ(player, "alerts", kind, raised.length ? raised.data : "none");
        text_release(&raised);
    }
}

static bool is_kind(const struct sent *sent, const char *name)
{
    static const char *const names[] = { "submit", "cancel", "replace", "query" };
    return strcmp(names[sent->kind], name) == 0;
}

static unsigned count_sent(const struct player *player, size_t from, const char *name)
{
    unsigned count = 0;
    for (size_t i = from; i < player->sent_count; i++)
        count += !player->sent[i].is_early && is_kind(&player->sent[i], name);
    return count;
}

static void check_sent(struct player *player, const struct json *counts, const struct json *never)
{
    char field[64], got[16];
    for (size_t i = 0; i < json_count(counts); i++) {
        const char *name = json_key_at(counts, i), *expected = member_text(counts, name);
        snprintf(got, sizeof(got), "%u", count_sent(player, 0, name));
        snprintf(field, sizeof(field), "sent_count.%s", name);
        if (expected && strcmp(expected, got) != 0)
            differ(player, field, expected, got);
    }
    for (size_t i = 0; i < json_count(never); i++) {
        const char *name = json_as_string(json_at(never, i));
        unsigned count =
            player->first_fault == SIZE_MAX ? 0 : count_sent(player, player->first_fault, name);
        snprintf(got, sizeof(got), "%u", count);
        snprintf(field, sizeof(field), "must_not_send.%s", name);
        if (count > 0)
            differ(player, field, "0", got);
    }
}

void expect_check(struct player *player)
{
    const struct json *expect = player->script.expect;
    const struct json *orders = json_get(expect, "orders");
    const struct json *positions = json_get(expect, "positions");
    const struct json *halt = json_get(expect, "halt");
    struct error err = { 0 };
    for (size_t i = 0; i < json_count(orders); i++)
        check_order(player, json_key_at(orders, i), json_at(orders, i));
    for (size_t i = 0; i < json_count(positions); i++)
        check_position(player, json_key_at(positions, i), json_at(positions, i));
    check_alerts(player, json_get(expect, "alerts"));
    bool halted = engine_is_halted(player->engine, NULL);
    if (halt && json_as_bool(halt) != halted)
        differ(player, "halt", json_as_bool(halt) ? "true" : "false", halted ? "true" : "false");
    const char *delivered = member_text(expect, "fills_delivered");
    char got[24];
    snprintf(got, sizeof(got), "%" PRIu64, player->fills_delivered);
    bool is_other = player->permutation > 0 && script_tells_sums(&player->script);
    if (delivered && !is_other && strcmp(delivered, got) != 0)
        differ(player, "fills_delivered", delivered, got);
    check_sent(player, json_get(expect, "sent_count"), json_get(expect, "must_not_send"));
    check_decimal(player, "end", expect, "realized", sums_of(player, 0).realized);
    if (ledger_each_position(player->ledger, player->instance_id, compare_stored, player, &err) < 0)
        differ(player, "ledger", "positions", err.message);
}
