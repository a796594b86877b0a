/* reconcile.c - our books against the venue's: orders, positions, cash, trades.
 *
 * One look has five questions, each asked when the one before was answered in full: open orders;
 * each order of ours that the list lacks (absence means "ask for it", doubt.c does); positions;
 * cash; trades since the last one we know. Then, if nothing was booked meanwhile, the books are
 * compared; if something was, the look is repeated: what it saw is of two instants.
 *
 * Trades are asked for after positions: then every trade that the position holds is in our books
 * too, and a difference is a difference. It counts only when a second look, two seconds later, sees
 * the same one: a venue's position may lag behind its own fills.
 *
 * Invariants:
 *   1. A failed or silent step compares nothing. Nothing known is not "flat".
 *   2. After a start and a reconnect no new risk leaves before the first look that was answered.
 *   3. An adjustment is a record of its own, with an id made from what was seen. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

#define SECOND_READ_NS (2 * NS_PER_SECOND)
#define NEAREST_NS (5 * NS_PER_SECOND)
#define FARTHEST_NS (60 * NS_PER_SECOND)
#define ANSWER_BOUND_NS (30 * NS_PER_SECOND)
#define ASKING_BOUND_NS (60 * NS_PER_SECOND)
#define FILLS_BACK_NS (10 * 60 * NS_PER_SECOND) /* venues index their trades late */
#define MISSING_ASKED 16 /* orders whose trades are asked for after one look */
#define TELL_AFTER_FAILURES 3
#define REPEATS_COUNTED 5 /* 32 s apart at most */

static void ask_next(struct engine *engine);

/* ---- planning ---- */

static bool is_off(const struct engine *engine)
{
    return engine->options.reconcile.mode == RECONCILE_OFF;
}

static int64_t periodic_ns(const struct engine *engine)
{
    int64_t interval_ns = engine->options.reconcile.interval_ns;
    return engine->now_ns + (interval_ns > 0 ? interval_ns : FARTHEST_NS);
}

/* This look is over; the next one begins then. */
static void rest_until(struct engine *engine, int64_t next_ns)
{
    struct reconciliation *look = &engine->reconciliation;
    look->step = RECONCILE_IDLE;
    look->ticket = 0;
    look->is_second_read = false; /* two whole looks in a row, or none */
    look->next_ns = next_ns;
}

void reconcile_begin(struct engine *engine, bool at_start)
{
    struct reconciliation *look = &engine->reconciliation;
    if (is_off(engine))
        return;
    look->at_start |= at_start;
    look->listed_count = 0;
    look->began_ns = engine->now_ns;
    look->next_ns = TIME_NEVER;
    look->step = RECONCILE_IDLE;
    ask_next(engine);
}

void reconcile_soon(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    if (is_off(engine) || look->step != RECONCILE_IDLE)
        return;
    if (look->next_ns > engine->now_ns + NEAREST_NS)
        look->next_ns = engine->now_ns + NEAREST_NS;
}

void reconcile_stop(struct engine *engine)
{
    rest_until(engine, TIME_NEVER);
}

/* After a failure: later and later, for ever. */
static void try_later(struct engine *engine, const char *why)
{
    struct reconciliation *look = &engine->reconciliation;
    rest_until(engine, engine->now_ns + pause_ns(look->failures++));
    LOG(engine->options.log, LOG_INFO, "reconcile", "could not compare the books",
        F_STR("reason", why));
    if (look->failures == TELL_AFTER_FAILURES)
        turn_alert(engine, -1, "position_unknown",
                   "the venue's books cannot be read; nothing is assumed about them");
}

/* ---- the questions ---- */

static void ask(struct engine *engine, enum reconcile_step step, struct venue_query query)
{
    struct reconciliation *look = &engine->reconciliation;
    query.client_order_id = query.venue_order_id = "";
    look->step = step;
    look->asked_ns = engine->now_ns;
    look->ticket = desk_query(engine, &query);
}

static bool is_listed(const struct reconciliation *look, uint64_t order_id)
{
    for (size_t i = 0; i < look->listed_count; i++)
        if (look->listed[i] == order_id)
            return true;
    return false;
}

/* Orders that the venue had confirmed before it was asked, and did not list. */
static void ask_for_absent(struct engine *engine)
{
    const struct reconciliation *look = &engine->reconciliation;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        bool was_resting = order->known != ORDER_PENDING_NEW && !order->held;
        if (was_resting && !order->doubt && order->updated_ns < look->asked_ns &&
            !is_listed(look, order->order_id))
            doubt_begin(engine, order);
    }
}

/* Orders that nobody has acknowledged are not waited for: whether one may be sent (again) depends
 * on this very look, and what it filled is among the trades. */
static bool any_in_doubt(const struct engine *engine)
{
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        if (order->doubt && order->known != ORDER_PENDING_NEW)
            return true;
    }
    return false;
}

static int64_t fills_from(const struct engine *engine)
{
    return engine->fills_known_ns > FILLS_BACK_NS ? engine->fills_known_ns - FILLS_BACK_NS : 0;
}

static void compare(struct engine *engine);

static void ask_next(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    switch (look->step) {
    case RECONCILE_IDLE:
        ask(engine, RECONCILE_ORDERS, (struct venue_query){ .kind = QUERY_OPEN_ORDERS });
        break;
    case RECONCILE_ORDERS:
        ask_for_absent(engine);
        look->step = RECONCILE_ASKING;
        look->ticket = 0;
        look->asked_ns = engine->now_ns;
        if (any_in_doubt(engine))
            break;
        ask_next(engine);
        break;
    case RECONCILE_ASKING:
        look->fence = engine->bookings;
        for (size_t i = 0; i < INSTRUMENTS_MAX; i++) {
            look->venue_qty[i] = DECIMAL_ZERO;
            look->venue_price[i] = DECIMAL_NONE;
        }
        ask(engine, RECONCILE_POSITIONS, (struct venue_query){ .kind = QUERY_POSITIONS });
        break;
    case RECONCILE_POSITIONS:
        look->cash_said = false;
        ask(engine, RECONCILE_CASH, (struct venue_query){ .kind = QUERY_BALANCES });
        break;
    case RECONCILE_CASH:
        ask(engine, RECONCILE_FILLS,
            (struct venue_query){ .kind = QUERY_FILLS,
                                  .instrument = INSTRUMENT_NONE,
                                  .from_ns = fills_from(engine) });
        break;
    case RECONCILE_FILLS:
        compare(engine);
        break;
    }
}

/* ---- the answers ---- */

/* The venue works an order that ended in our books before it was asked. Its list may be stale; when
 * the next look sees it too, it is told and canceled. */
static void follow_undead(struct engine *engine, const struct order *order)
{
    struct reconciliation *look = &engine->reconciliation;
    for (size_t i = 0; i < UNDEAD_KEPT; i++) {
        if (look->undead[i] != order->order_id)
            continue;
        report_alert(engine, order, "bad_venue_data", "it works at the venue, and ended here");
        desk_send_cancel(engine, order);
        return;
    }
    look->undead[look->undead_next++ % UNDEAD_KEPT] = order->order_id;
    look->is_odd = true;
}

static void follow_listed(struct engine *engine, const struct order *order)
{
    struct reconciliation *look = &engine->reconciliation;
    look->listed = memory_grow(look->listed, &look->listed_capacity, look->listed_count + 1,
                               sizeof(*look->listed));
    look->listed[look->listed_count++] = order->order_id;
    if (!order_is_open(order) && order->updated_ns < look->asked_ns)
        follow_undead(engine, order);
}

void reconcile_follow(struct engine *engine, const struct report *report)
{
    struct reconciliation *look = &engine->reconciliation;
    if (is_off(engine))
        return;
    if (look->step == RECONCILE_ORDERS && report->ticket != 0 && report->ticket == look->ticket) {
        const struct order *order = blotter_find_client(engine->blotter, report->client_order_id);
        if (order)
            follow_listed(engine, order);
    }
    if (look->step == RECONCILE_ASKING && !any_in_doubt(engine))
        ask_next(engine);
    if (look->step == RECONCILE_IDLE && engine->options.reconcile.interval_ns == 0 &&
        engine->reports - look->reports_at >= engine->options.reconcile.every_reports)
        reconcile_soon(engine);
}

void reconcile_position(struct engine *engine, uint32_t instrument,
                        const struct position_event *position)
{
    struct reconciliation *look = &engine->reconciliation;
    if (look->step != RECONCILE_POSITIONS || position->ticket != look->ticket ||
        instrument >= engine->instruments->count) /* nothing that this run trades */
        return;
    look->venue_qty[instrument] = position->qty;
    look->venue_price[instrument] = position->avg_price;
}

/* The account's money: the currency that the first instrument is settled in. */
void reconcile_cash(struct engine *engine, const struct cash_event *cash)
{
    struct reconciliation *look = &engine->reconciliation;
    if (look->step != RECONCILE_CASH || cash->ticket != look->ticket ||
        strcmp(cash->currency, engine->instruments->list[0].currency) != 0)
        return;
    look->cash_said = true;
    text_copy(look->cash.currency, sizeof(look->cash.currency), cash->currency);
    look->cash.amount = cash->amount;
}

void reconcile_answer(struct engine *engine, const struct answer_event *answer)
{
    struct reconciliation *look = &engine->reconciliation;
    if (look->step == RECONCILE_IDLE || answer->ticket != look->ticket || look->ticket == 0)
        return;
    if (answer->complete)
        ask_next(engine);
    else
        try_later(engine, answer->reason);
}

/* ---- comparing ---- */

static decimal own_qty(const struct engine *engine, uint32_t instrument)
{
    decimal sum = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++) {
        size_t at = holding_index(&engine->instances[i], instrument);
        if (at != SIZE_MAX)
            sum = decimal_add(sum, engine->instances[i].holdings[at].position.qty);
    }
    return sum;
}

/* What our books say of the account's money, but for what it began with. */
static decimal own_cash(const struct engine *engine)
{
    const struct venue_port *venue = &engine->options.venue;
    bool is_spot = venue->abilities(venue->self, 0)->cash_is_spot;
    decimal sum = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++) {
        const struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->instrument_count; k++) {
            const struct position *position = &instance->holdings[k].position;
            sum = decimal_add(sum, decimal_sub(position->realized_pnl, position->fees));
            sum = decimal_add(sum, position->funding);
            if (is_spot)
                sum = decimal_sub(sum, position->cost);
        }
    }
    return sum;
}

/* Trades that only a sum told have no fee yet: cash cannot be compared to the last digit. */
static bool any_inferred(const struct engine *engine)
{
    for (size_t i = 0; i < blotter_count(engine->blotter); i++)
        if (decimal_sign(blotter_at(engine->blotter, i)->inferred_qty) > 0)
            return true;
    return false;
}

static bool is_within(decimal difference, decimal tolerance)
{
    return decimal_valid(tolerance) && decimal_cmp(decimal_abs(difference), tolerance) <= 0;
}

/* The tolerance is a share of what we hold; when we think we are flat there is none. */
static bool qty_differs(const struct engine *engine, uint32_t instrument, decimal own)
{
    decimal difference = decimal_sub(engine->reconciliation.venue_qty[instrument], own);
    decimal share = decimal_mul(decimal_abs(own), engine->options.reconcile.qty_tolerance);
    return !decimal_is_zero(difference) && !is_within(difference, share);
}

static bool cash_differs(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    if (!look->cash_said || any_inferred(engine))
        return false;
    look->cash.own = own_cash(engine);
    if (!decimal_valid(look->agreed.amount))
        return false;
    decimal expected =
        decimal_add(look->agreed.amount, decimal_sub(look->cash.own, look->agreed.own));
    return !is_within(decimal_sub(look->cash.amount, expected),
                      engine->options.reconcile.cash_tolerance);
}

/* ---- what is done about a difference ---- */

static void tell_guests(struct engine *engine, const struct difference *difference)
{
    for (int i = 0; i < engine->instance_count; i++) {
        bool concerned = difference->instrument == INSTRUMENT_NONE ||
                         holding_index(&engine->instances[i], difference->instrument) != SIZE_MAX;
        if (i != engine->external && concerned)
            turn_deliver(engine, GUEST_RECONCILE, i, difference->instrument)->difference =
                *difference;
    }
}

/* Whose position is made right: the one that trades the instrument, if it is the only one. */
static int owner_of(const struct engine *engine, uint32_t instrument)
{
    int owner = -1;
    for (int i = 0; i < engine->instance_count; i++) {
        if (i == engine->external || holding_index(&engine->instances[i], instrument) == SIZE_MAX)
            continue;
        if (owner >= 0)
            return engine->external;
        owner = i;
    }
    return owner >= 0 ? owner : engine->external;
}

/* Where the venue says no price, what it holds is worth what the market says. */
static decimal adjustment_price(const struct engine *engine, uint32_t instrument, decimal own)
{
    decimal said = engine->reconciliation.venue_price[instrument];
    if (decimal_valid(said) && decimal_is_zero(own))
        return said;
    decimal mark = market_mark(engine->market, instrument);
    return decimal_valid(mark) ? mark : said;
}

/* The time is in it: a venue that says 1, 0 and 1 again makes three adjustments, and the books add
 * up only with all of them. */
static void make_id(const struct engine *engine, uint32_t instrument, decimal own,
                    char id[SHA256_TEXT_MAX])
{
    const struct instrument *info = &engine->instruments->list[instrument];
    char text[VENUE_MAX + SYMBOL_MAX + EXEC_ID_MAX + 2 * DECIMAL_TEXT_MAX + 32];
    char ours[DECIMAL_TEXT_MAX], theirs[DECIMAL_TEXT_MAX];
    int length = snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%" PRId64, info->venue, info->symbol,
                          engine->last_exec_id[instrument], decimal_format(own, ours),
                          decimal_format(engine->reconciliation.venue_qty[instrument], theirs),
                          engine->now_ns);
    sha256_hex(text, (size_t)length, id);
}

/* The adjustment is what reconciliation may book; false: it cannot be priced or owned. */
static bool adjust(struct engine *engine, uint32_t instrument, decimal own)
{
    int index = owner_of(engine, instrument);
    decimal price = adjustment_price(engine, instrument, own);
    if (index < 0 || !decimal_valid(price))
        return false;
    struct holding *holding = instance_holding(engine, index, instrument);
    decimal venue_qty = engine->reconciliation.venue_qty[instrument];
    decimal difference = decimal_sub(venue_qty, own);
    struct fill fill = {
        .exec_id = "adjustment", .qty = decimal_abs(difference), .price = price, .fee = DECIMAL_ZERO
    };
    struct adjustment adjustment = { .qty_before = holding->position.qty,
                                     .venue_qty = venue_qty,
                                     .price = price };
    decimal multiplier = engine->instruments->list[instrument].multiplier;
    decimal realized = holding->position.realized_pnl;
    struct error err = { 0 };
    if (position_apply(&holding->position, decimal_sign(difference) > 0 ? SIDE_BUY : SIDE_SELL,
                       &fill, multiplier, NULL, &err) < 0)
        return false;
    decimal said = engine->reconciliation.venue_price[instrument];
    bool is_whole = decimal_cmp(adjustment.qty_before, own) == 0;
    if (is_whole && decimal_valid(said) && !decimal_is_zero(venue_qty)) {
        /* The venue says what all of it cost: then nothing was earned by the difference. */
        holding->position.cost = decimal_mul(decimal_mul(venue_qty, said), multiplier);
        holding->position.realized_pnl = realized;
        adjustment.price = said;
    }
    make_id(engine, instrument, own, adjustment.id);
    adjustment.qty_after = holding->position.qty;
    text_copy(adjustment.reason, sizeof(adjustment.reason), "position made equal to the venue's");
    turn_record(engine, RECORD_ADJUSTMENT, index, instrument)->adjustment = adjustment;
    turn_record(engine, RECORD_POSITION, index, instrument)->position = holding->position;
    engine->counts.adjustments++;
    engine->open_position_seen = true;
    exposure_follow_position(engine, index, instrument);
    turn_deliver(engine, GUEST_POSITION, index, instrument);
    if (index != engine->external)
        exits_sync(engine, index, instrument);
    return true;
}

static void describe(const struct engine *engine, const struct difference *difference, char *text,
                     size_t size)
{
    char ours[DECIMAL_TEXT_MAX], theirs[DECIMAL_TEXT_MAX];
    bool is_cash = difference->instrument == INSTRUMENT_NONE;
    snprintf(text, size, "%s: our books say %s, the venue says %s",
             is_cash ? "cash" : engine->instruments->list[difference->instrument].symbol,
             decimal_format(difference->own, ours), decimal_format(difference->venue, theirs));
}

static void act_on_position(struct engine *engine, uint32_t instrument, decimal own)
{
    enum reconcile_mode mode = engine->options.reconcile.mode;
    struct difference difference = { .instrument = instrument,
                                     .own = own,
                                     .venue = engine->reconciliation.venue_qty[instrument],
                                     .action = "block" };
    char text[REASON_MAX];
    describe(engine, &difference, text, sizeof(text));
    engine->counts.differences++;
    if (mode == RECONCILE_AUTO_SYNC && adjust(engine, instrument, own)) {
        difference.action = "adjust";
        turn_alert(engine, -1, "position_synced", text);
    } else if (mode == RECONCILE_STRICT) {
        difference.action = "halt";
        turn_alert(engine, -1, "position_mismatch", text);
        halts_session(engine, -1, "position_mismatch", text, false);
    } else {
        halts_instrument(engine, instrument, "position_mismatch", text);
    }
    tell_guests(engine, &difference);
}

static void act_on_cash(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    bool is_strict = engine->options.reconcile.mode == RECONCILE_STRICT;
    struct difference difference = {
        .instrument = INSTRUMENT_NONE,
        .own = decimal_add(look->agreed.amount, decimal_sub(look->cash.own, look->agreed.own)),
        .venue = look->cash.amount,
        .action = is_strict ? "halt" : "tell"
    };
    char text[REASON_MAX];
    describe(engine, &difference, text, sizeof(text));
    engine->counts.differences++;
    turn_alert(engine, -1, "cash_mismatch", text);
    if (is_strict)
        halts_session(engine, -1, "cash_mismatch", text, false);
    tell_guests(engine, &difference);
}

static void agree_on_cash(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    if (!look->cash_said || any_inferred(engine))
        return;
    bool is_first = !decimal_valid(look->agreed.amount);
    bool moved = is_first || decimal_cmp(look->agreed.own, look->cash.own) != 0 ||
                 decimal_cmp(look->agreed.amount, look->cash.amount) != 0;
    look->agreed = look->cash;
    if (moved)
        turn_record(engine, RECORD_CASH, -1, 0)->cash = look->cash;
}

/* ---- the end of a look ---- */

/* Orders of which only a sum was told: the trades behind it are asked for again. */
static void ask_for_missing_trades(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    size_t count = blotter_count(engine->blotter), asked = 0, next = look->missing_next;
    for (size_t i = 0; i < count && asked < MISSING_ASKED; i++) {
        size_t at = (look->missing_next + i) % count; /* each has its turn */
        const struct order *order = blotter_at(engine->blotter, at);
        if (decimal_sign(order->inferred_qty) > 0) {
            doubt_ask_for_trades(engine, order);
            asked++;
            next = at + 1;
        }
    }
    look->missing_next = next;
}

/* True when a difference must be looked at once more before it counts. */
static bool needs_second_read(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    bool wait = false;
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        decimal own = own_qty(engine, i);
        bool differs = qty_differs(engine, i, own);
        bool is_same = look->is_second_read && look->differed[i] &&
                       decimal_cmp(look->seen_own[i], own) == 0 &&
                       decimal_cmp(look->seen_venue[i], look->venue_qty[i]) == 0;
        wait |= differs && !is_same;
        look->differed[i] = differs;
        look->seen_own[i] = own;
        look->seen_venue[i] = look->venue_qty[i];
    }
    bool cash = cash_differs(engine);
    wait |= cash && !(look->is_second_read && look->cash_differed);
    look->cash_differed = cash;
    return wait;
}

static void finish(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    rest_until(engine, periodic_ns(engine));
    look->failures = 0;
    if (look->at_start)
        doubt_ask_all(engine);
    look->at_start = false;
    look->reports_at = engine->reports;
    engine->counts.reconciled++;
    if (look->is_odd)
        reconcile_soon(engine);
    look->is_odd = false;
    exits_try_again(engine);
    pairs_try_again(engine);
    for (int i = 0; i < engine->instance_count; i++) /* what a lost message left undone */
        for (size_t k = 0; k < engine->instances[i].instrument_count; k++)
            exits_sync(engine, i, engine->instances[i].instruments[k]);
}

static void conclude(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        if (look->differed[i])
            act_on_position(engine, i, look->seen_own[i]);
        else
            halts_lift_instrument(engine, i, look->began_ns, "reconciliation");
    }
    if (look->cash_differed)
        act_on_cash(engine);
    agree_on_cash(engine);
    finish(engine);
    ask_for_missing_trades(engine);
}

/* A position moved while we looked: what was seen is of two instants. The venue answered well, so
 * this is no failure; but where fills come all the time it must not ask all the time. */
static void repeat(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    unsigned doublings = look->repeats < REPEATS_COUNTED ? look->repeats++ : REPEATS_COUNTED;
    look->failures = 0;
    rest_until(engine, engine->now_ns + pause_ns(doublings));
}

static void compare(struct engine *engine)
{
    struct reconciliation *look = &engine->reconciliation;
    if (engine->bookings != look->fence) {
        repeat(engine);
        return;
    }
    look->repeats = 0;
    if (needs_second_read(engine)) {
        rest_until(engine, engine->now_ns + SECOND_READ_NS);
        look->is_second_read = true;
        return;
    }
    conclude(engine);
}

/* ---- time ---- */

int64_t reconcile_due_ns(const struct engine *engine)
{
    const struct reconciliation *look = &engine->reconciliation;
    if (is_off(engine) || !engine->is_connected)
        return TIME_NEVER;
    if (look->step == RECONCILE_IDLE)
        return look->next_ns;
    return look->asked_ns + (look->step == RECONCILE_ASKING ? ASKING_BOUND_NS : ANSWER_BOUND_NS);
}

void reconcile_advance(struct engine *engine)
{
    if (reconcile_due_ns(engine) > engine->now_ns)
        return;
    if (engine->reconciliation.step == RECONCILE_IDLE)
        reconcile_begin(engine, false);
    else if (engine->reconciliation.step == RECONCILE_ASKING)
        ask_next(engine); /* an order that stays in doubt does not hold up the rest for ever */
    else
        try_later(engine, "the venue did not answer");
}

/* ---- from outside ---- */

void engine_restore_cash(struct engine *engine, const struct cash_record *cash)
{
    if (strcmp(cash->currency, engine->instruments->list[0].currency) == 0)
        engine->reconciliation.agreed = *cash;
}

int engine_resume(struct engine *engine, int64_t now_ns, int64_t known_until_ns, struct error *err)
{
    engine->now_ns = now_ns;
    engine->is_connected = false;
    engine->reconciliation.at_start = !is_off(engine);
    engine->fills_known_ns = known_until_ns;
    doubt_all_in_flight(engine);
    return turn_finish(engine, err);
}

bool engine_is_reconciling(const struct engine *engine)
{
    return engine->reconciliation.at_start;
}
