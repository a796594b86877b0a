/* model.c - see model.h. */
#include "tests/simulation/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/map.h"
#include "tests/simulation/referee.h"

#define SLOTS_MAX 64       /* instances */
#define MONEY_SCALE 24     /* of sums of money */
#define OPEN_ORDERS_MAX 64 /* the strategies keep below */
#define STATUSES (ORDER_EXPIRED + 1)

struct mirror {
    uint64_t order_id;
    char client_id[CLIENT_ORDER_ID_MAX], current_id[CLIENT_ORDER_ID_MAX];
    uint32_t instance_id, market;
    int side;
    bool reduce_only, held, pending, waits; /* waits: for an answer of the venue */
    int64_t qty, most;                      /* lots: now, ever asked for */
    int64_t filled;                         /* lots, as the order says */
    int64_t booked;                         /* lots, of its fills */
    int known, status;                      /* enum order_status */
    int64_t trigger;                        /* ticks, of a stop that watches trades; 0: none */
    bool due;                               /* a trade went through it */
    bool was_out;                           /* it left as a way out, while nothing else might */
    enum order_role role;
    uint64_t group;
};

/* What an instance has in one market. */
struct book {
    int64_t qty;
    money flow, fees; /* at MONEY_SCALE */
    bool adjusted;
};

struct slot {
    uint32_t instance_id;
    struct book books[MARKETS_MAX];
    int64_t heard, expected; /* on_fill: what its state says, what it must say */
    bool counts;             /* its state has told a count */
    bool lost;               /* it stopped: its count is not kept any more */
};

enum standing { STANDS_NOT, STANDS, STANDS_PERHAPS };

struct model {
    const struct exchange *exchange;
    const struct wire *wire;
    char failure[512];
    struct mirror *orders;
    size_t order_count, order_capacity;
    struct map *by_client, *by_id;
    struct slot slots[SLOTS_MAX];
    size_t slot_count;
    uint8_t *seen; /* of trades: booked by its own id */
    size_t seen_capacity;
    bool halted, halted_market[MARKETS_MAX], reconciling;
    enum standing halts[MARKETS_MAX + 1]; /* as recorded; the last: the session's */
    uint64_t bust;                        /* told now, 0: none */
    size_t held;                          /* mirrors that ever were */
    size_t orders_checked, trades_checked;
    uint64_t transitions, fills;
    bool dirty, silent, lost_power;
    int64_t limit_usd; /* 0: none */
    struct referee *referee;
    bool by_limit[MARKETS_MAX + 1]; /* a halt that a limit or the operator set, as halts[] */
    uint64_t refused;               /* by risk: orders that did not leave */
    /* a turn whose commit was cut off */
    struct record *unsure;
    size_t unsure_count;
    int64_t unsure_ns;
};

struct model *model_open(const struct exchange *exchange)
{
    struct model *model = memory_new(sizeof(*model));
    model->exchange = exchange;
    model->referee = referee_open(exchange->market_count);
    model->by_client = map_open();
    model->by_id = map_open();
    return model;
}

static void forget_unsure(struct model *model)
{
    for (size_t i = 0; i < model->unsure_count; i++)
        if (model->unsure[i].kind == RECORD_STATE)
            free((char *)(uintptr_t)model->unsure[i].body);
    free(model->unsure);
    model->unsure = NULL;
    model->unsure_count = 0;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    forget_unsure(model);
    referee_close(model->referee);
    map_close(model->by_client);
    map_close(model->by_id);
    free(model->orders);
    free(model->seen);
    free(model);
}

void model_set_wire(struct model *model, const struct wire *wire)
{
    model->wire = wire;
}

const char *model_failure(const struct model *model)
{
    return model->failure[0] ? model->failure : NULL;
}

void model_fail(struct model *model, const char *format, ...)
{
    if (model->failure[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model->failure, sizeof(model->failure), format, arguments);
    va_end(arguments);
}

uint64_t model_transitions(const struct model *model)
{
    return model->transitions;
}

uint64_t model_refused(const struct model *model)
{
    return model->refused;
}

uint64_t model_fills(const struct model *model)
{
    return model->fills;
}

/* ---- numbers at the edge ---- */

/* The decimal as a count of 10^-scale; digits beyond are cut and told. */
static money units(const struct model *model, decimal value, int scale)
{
    (void)model;
    if (!decimal_valid(value))
        return 0;
    money result = value.coefficient;
    for (int i = value.scale; i < scale; i++)
        result *= 10;
    for (int i = value.scale; i > scale; i--)
        result /= 10;
    return result;
}

static int64_t lots(const struct model *model, decimal qty)
{
    return (int64_t)units(model, qty, QTY_SCALE);
}

static money notional_of(const struct model *model, const struct fill *fill)
{
    if (fill->kind != FILL_TRADE)
        return units(model, fill->notional, MONEY_SCALE);
    money product = units(model, fill->qty, QTY_SCALE) * units(model, fill->price, PRICE_SCALE);
    for (int i = QTY_SCALE + PRICE_SCALE; i < MONEY_SCALE; i++)
        product *= 10;
    return product;
}

/* ---- finding ---- */

static struct mirror *mirror_of(const struct model *model, uint64_t order_id)
{
    char key[24];
    uint64_t index;
    snprintf(key, sizeof(key), "%" PRIu64, order_id);
    return map_get(model->by_id, key, &index) ? &model->orders[index] : NULL;
}

static struct mirror *mirror_of_client(const struct model *model, const char *client_id)
{
    uint64_t index;
    return map_get(model->by_client, client_id, &index) ? &model->orders[index] : NULL;
}

int model_status(const struct model *model, const char *client_id)
{
    const struct mirror *mirror = mirror_of_client(model, client_id);
    return mirror ? mirror->status : -1;
}

static bool is_open(const struct mirror *mirror)
{
    return mirror->known == ORDER_PENDING_NEW || mirror->known == ORDER_NEW ||
           mirror->known == ORDER_PARTIALLY_FILLED;
}

void model_count_open(const struct model *model, uint64_t counts[ORDER_UNKNOWN + 1])
{
    for (size_t i = 0; i < model->order_count; i++)
        if (is_open(&model->orders[i]))
            counts[model->orders[i].status]++;
}

static struct slot *slot_of(struct model *model, uint32_t instance_id)
{
    for (size_t i = 0; i < model->slot_count; i++)
        if (model->slots[i].instance_id == instance_id)
            return &model->slots[i];
    ASSERT(model->slot_count < SLOTS_MAX);
    model->slots[model->slot_count].instance_id = instance_id;
    return &model->slots[model->slot_count++];
}

/* ---- turns ---- */

/* DECISIONS of which known status may follow which; a step to itself is none. */
static bool is_legal(int from, int to)
{
    static const unsigned next[STATUSES] = {
        [ORDER_PENDING_NEW] = 1u << ORDER_NEW | 1u << ORDER_PARTIALLY_FILLED | 1u << ORDER_FILLED |
                              1u << ORDER_CANCELED | 1u << ORDER_REJECTED | 1u << ORDER_EXPIRED,
        [ORDER_NEW] = 1u << ORDER_PARTIALLY_FILLED | 1u << ORDER_FILLED | 1u << ORDER_CANCELED |
                      1u << ORDER_REJECTED | 1u << ORDER_EXPIRED,
        [ORDER_PARTIALLY_FILLED] = 1u << ORDER_FILLED | 1u << ORDER_CANCELED | 1u << ORDER_EXPIRED |
                                   1u << ORDER_NEW /* busted */,
        [ORDER_FILLED] = 1u << ORDER_PARTIALLY_FILLED | 1u << ORDER_NEW /* busted, reopened */,
        [ORDER_CANCELED] = 1u << ORDER_FILLED /* late */,
        [ORDER_EXPIRED] = 1u << ORDER_FILLED,
        [ORDER_REJECTED] = 0,
    };
    return from == to || next[from] & (1u << to);
}

static struct mirror *add_mirror(struct model *model, const struct order *order)
{
    char key[24];
    model->orders = memory_grow(model->orders, &model->order_capacity, model->order_count + 1,
                                sizeof(model->orders[0]));
    struct mirror *mirror = &model->orders[model->order_count];
    memset(mirror, 0, sizeof(*mirror));
    snprintf(key, sizeof(key), "%" PRIu64, order->order_id);
    map_put(model->by_id, key, model->order_count);
    if (mirror_of_client(model, order->client_order_id))
        model_fail(model, "C2 client order id %s was given twice", order->client_order_id);
    map_put(model->by_client, order->client_order_id, model->order_count);
    model->order_count++;
    mirror->order_id = order->order_id;
    memcpy(mirror->client_id, order->client_order_id, sizeof(mirror->client_id));
    mirror->known = -1;
    return mirror;
}

static void check_order(struct model *model, const struct mirror *mirror)
{
    const char *id = mirror->client_id;
    if (mirror->filled != mirror->booked)
        model_fail(model, "C3 order %s says %" PRId64 " lots filled, its fills add up to %" PRId64,
                   id, mirror->filled, mirror->booked);
    bool open = is_open(mirror);
    if (open && mirror->filled >= mirror->qty)
        model_fail(model, "C3 order %s is %s with %" PRId64 " of %" PRId64 " lots filled", id,
                   order_status_name((enum order_status)mirror->known), mirror->filled,
                   mirror->qty);
    if (mirror->known == ORDER_FILLED && mirror->filled < mirror->qty)
        model_fail(model, "C3 order %s is filled with %" PRId64 " of %" PRId64 " lots", id,
                   mirror->filled, mirror->qty);
    if (mirror->known == ORDER_NEW && mirror->filled != 0)
        model_fail(model, "C3 order %s is new with %" PRId64 " lots filled", id, mirror->filled);
}

/* Nothing but an order's own end at the venue may end it here. */
static void check_end(struct model *model, const struct order *order)
{
    const struct exchange *exchange = model->exchange;
    if (order->known != ORDER_CANCELED && order->known != ORDER_EXPIRED &&
        order->known != ORDER_REJECTED)
        return;
    for (size_t i = 0; i < exchange->open_count; i++)
        if (strcmp(exchange_order(exchange, exchange->open[i])->first_id, order->client_order_id) ==
            0)
            model_fail(model, "C13 order %s is %s here, and works at the venue",
                       order->client_order_id, order_status_name(order->known));
}

static int64_t trigger_of(const struct model *model, const struct order *order)
{
    bool stops = order->type == ORDER_STOP || order->type == ORDER_STOP_LIMIT;
    if (!order->held || !stops || order->stop_on == TRIGGER_QUOTE)
        return 0;
    return (int64_t)units(model, order->trigger_price, PRICE_SCALE);
}

static void apply_order(struct model *model, const struct order *order)
{
    struct mirror *mirror = mirror_of(model, order->order_id);
    if (!mirror)
        mirror = add_mirror(model, order);
    bool was_held = mirror->held;
    int known = (int)order->known;
    if (mirror->known >= 0 && !is_legal(mirror->known, known) &&
        !(was_held && !order->held && mirror->known == ORDER_NEW && known == ORDER_PENDING_NEW) &&
        !(order->held && known == ORDER_NEW))
        model_fail(model, "C4 order %s went from %s to %s", order->client_order_id,
                   order_status_name((enum order_status)mirror->known),
                   order_status_name(order->known));
    if (mirror->known != known && !was_held)
        check_end(model, order);
    int status = (int)order_status(order);
    model->transitions += mirror->known < 0 || mirror->status != status;
    memcpy(mirror->current_id, order->current_client_order_id, sizeof(mirror->current_id));
    if (strcmp(mirror->current_id, mirror->client_id) != 0)
        map_put(model->by_client, mirror->current_id, (uint64_t)(mirror - model->orders));
    if (order->pending_client_order_id[0])
        map_put(model->by_client, order->pending_client_order_id,
                (uint64_t)(mirror - model->orders));
    mirror->instance_id = order->instance_id;
    mirror->market = order->instrument;
    mirror->side = order->side == SIDE_BUY ? 1 : -1;
    mirror->reduce_only = order->reduce_only;
    mirror->held = order->held;
    mirror->role = order->role;
    mirror->group = order->group_id;
    mirror->trigger = trigger_of(model, order);
    mirror->due &= mirror->trigger != 0;
    model->held += order->held && !was_held;
    mirror->pending = order->pending != 0 || order->doubt;
    mirror->waits =
        (order->known == ORDER_PENDING_NEW && !order->held) || order->pending != PENDING_NONE;
    mirror->known = known;
    mirror->status = status;
    mirror->qty = lots(model, order->qty);
    mirror->filled = lots(model, order->filled_qty);
    int64_t asked = lots(model, order->pending_qty);
    if (mirror->qty > mirror->most)
        mirror->most = mirror->qty;
    if (asked > mirror->most)
        mirror->most = asked;
}

static bool is_trade_of(const struct model *model, const struct exchange_trade *trade,
                        const struct mirror *mirror, const struct fill *fill)
{
    int64_t qty = lots(model, fill->qty);
    int64_t price = (int64_t)units(model, fill->price, PRICE_SCALE);
    const struct exchange_order *order = exchange_order(model->exchange, trade->order);
    if (strcmp(order->first_id, mirror->client_id) != 0)
        return false;
    return (qty == trade->qty && price == trade->price) ||
           (qty == trade->first_qty && price == trade->first_price);
}

/* A trade must be the venue's, of this order, and booked under its id once. */
static void check_trade(struct model *model, const struct mirror *mirror, const struct fill *fill)
{
    char *end;
    if (fill->exec_id[0] != 't' || !mirror->client_id[0])
        return; /* what stands instead of a corrected one has a name of ours */
    uint64_t id = strtoull(fill->exec_id + 1, &end, 10);
    if (id < 1 || id > model->exchange->trade_count || *end) {
        model_fail(model, "C5 fill %s of order %s: the venue has no such trade", fill->exec_id,
                   mirror->client_id);
        return;
    }
    if (!is_trade_of(model, &model->exchange->trades[id - 1], mirror, fill))
        model_fail(model, "C5 fill %s of order %s is not as it was at the venue", fill->exec_id,
                   mirror->client_id);
    size_t before = model->seen_capacity;
    model->seen = memory_grow(model->seen, &model->seen_capacity, id + 1, 1);
    if (model->seen_capacity > before)
        memset(model->seen + before, 0, model->seen_capacity - before);
    if (model->seen[id])
        model_fail(model, "C5 trade %s was booked twice", fill->exec_id);
    model->seen[id] = 1;
}

static uint64_t trade_number(const char *exec_id)
{
    return exec_id[0] == 't' ? strtoull(exec_id + 1, NULL, 10) : 0;
}

enum seen { SEEN_NOT, SEEN, SEEN_REVERSED };

static void note_reversal(struct model *model, const struct fill *fill)
{
    uint64_t id = trade_number(fill->replaces);
    if (fill->kind == FILL_REVERSAL && id > 0 && id < model->seen_capacity)
        model->seen[id] = SEEN_REVERSED;
}

static void apply_fill(struct model *model, const struct record *record)
{
    struct mirror *mirror = mirror_of(model, record->order.order_id);
    const struct fill *fill = &record->fill;
    if (!mirror) {
        model_fail(model, "C6 fill %s is of an order without a row", fill->exec_id);
        return;
    }
    if (fill->kind == FILL_TRADE)
        check_trade(model, mirror, fill);
    note_reversal(model, fill);
    int sign = fill->kind == FILL_REVERSAL ? -1 : 1;
    int64_t qty = sign * lots(model, fill->qty);
    struct book *book = &slot_of(model, record->instance_id)->books[record->instrument];
    mirror->booked += qty;
    book->qty += mirror->side * qty;
    book->flow -= sign * mirror->side * notional_of(model, fill);
    book->fees += sign * units(model, fill->fee, MONEY_SCALE);
    model->fills++;
}

/* How many on_fill an order's fills of one turn make: none for a correction, else one when more is
 * filled than was known. */
static void expect_callbacks(struct model *model, const struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].kind != RECORD_FILL)
            continue;
        const struct fill *first = &records[i].fill;
        money news = 0;
        bool correction = first->kind == FILL_REVERSAL && strcmp(first->replaces, "inferred") != 0;
        size_t k = i;
        for (; k < count && records[k].kind != RECORD_POSITION; k++) {
            const struct fill *fill = &records[k].fill;
            if (records[k].kind == RECORD_FILL) /* a halt that it causes is told in between */
                news += (fill->kind == FILL_REVERSAL ? -1 : 1) * units(model, fill->qty, QTY_SCALE);
        }
        if (!correction && news > 0)
            slot_of(model, records[i].instance_id)->expected++;
        i = k - 1;
    }
}

static void apply_position(struct model *model, const struct record *record)
{
    struct book *book = &slot_of(model, record->instance_id)->books[record->instrument];
    int64_t qty = lots(model, record->position.qty);
    if (qty != book->qty)
        model_fail(model,
                   "C5 position of instance %" PRIu32 " in market %" PRIu32 " is %" PRId64
                   " lots, its fills add up to %" PRId64,
                   record->instance_id, record->instrument, qty, book->qty);
    if (book->adjusted)
        return;
    money flow = units(model, record->position.realized_pnl, MONEY_SCALE) -
                 units(model, record->position.cost, MONEY_SCALE);
    if (flow != book->flow || units(model, record->position.fees, MONEY_SCALE) != book->fees)
        model_fail(model,
                   "C5 money of instance %" PRIu32 " in market %" PRIu32
                   " is not the sum of its fills",
                   record->instance_id, record->instrument);
}

static bool agrees(const struct model *model, uint32_t market)
{
    int64_t qty = 0;
    for (size_t i = 0; i < model->slot_count; i++)
        qty += model->slots[i].books[market].qty;
    return qty == model->exchange->markets[market].position;
}

/* Of a halt: the market's index, or the place of the session's; beyond it: of a limit's scope,
 * which is the referee's. */
static uint32_t scope_of(const struct model *model, const char *scope)
{
    if (strcmp(scope, "session") == 0)
        return MARKETS_MAX;
    if (scope[0] < 'A' || scope[0] > 'Z')
        return MARKETS_MAX + 1;
    uint32_t market = (uint32_t)(scope[0] - 'A');
    ASSERT(market < model->exchange->market_count);
    return market;
}

/* Set by a limit or by the operator: nothing at the venue gave the reason. */
static bool is_by_limit(const char *body)
{
    static const char *const codes[] = { "\"code\":\"daily_loss_limit\"",
                                         "\"code\":\"drawdown_limit\"",
                                         "\"code\":\"repeated_executions\"",
                                         "\"code\":\"operator\"" };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (strstr(body, codes[i]))
            return true;
    return false;
}

static void apply_halt(struct model *model, const struct record *record)
{
    uint32_t scope = scope_of(model, record->name);
    bool is_lifted = strstr(record->body, "\"lifted_by\"") != NULL;
    if (scope > MARKETS_MAX)
        return;
    model->halts[scope] = is_lifted ? STANDS_NOT : STANDS;
    model->by_limit[scope] = is_by_limit(record->body);
    if (is_lifted && scope == MARKETS_MAX)
        model->halted = false;
    else if (is_lifted)
        model->halted_market[scope] = false;
    if (is_lifted || !strstr(record->body, "position_mismatch"))
        return;
    bool differs = false;
    for (uint32_t k = 0; k < model->exchange->market_count; k++)
        differs |= (scope == MARKETS_MAX || scope == k) && !agrees(model, k);
    if (!differs)
        model_fail(model, "C14 halted, and our books and the venue agree: %s", record->body);
}

static void apply_adjustment(struct model *model, const struct record *record)
{
    if (agrees(model, record->instrument))
        model_fail(model, "C14 market %" PRIu32 " was adjusted, and our books and the venue agreed",
                   record->instrument);
    struct book *book = &slot_of(model, record->instance_id)->books[record->instrument];
    const struct adjustment *adjustment = &record->adjustment;
    if (lots(model, adjustment->qty_before) != book->qty)
        model_fail(model, "C5 adjustment %.12s begins at another quantity", adjustment->id);
    book->qty = lots(model, adjustment->qty_after);
    book->adjusted = true;
}

static void apply_state(struct model *model, const struct record *record)
{
    struct slot *slot = slot_of(model, record->instance_id);
    const char *at = record->body ? strstr(record->body, "\"fills\":") : NULL;
    if (!at)
        return;
    slot->heard = strtoll(at + 8, NULL, 10);
    slot->counts = true;
}

static void apply(struct model *model, const struct record *records, size_t count, int64_t now_ns)
{
    for (size_t i = 0; i < count; i++) {
        referee_record(model->referee, &records[i], now_ns);
        switch (records[i].kind) {
        case RECORD_ORDER:
            apply_order(model, &records[i].order);
            break;
        case RECORD_FILL:
            apply_fill(model, &records[i]);
            break;
        case RECORD_POSITION: /* several of one turn each tell its end */
            break;
        case RECORD_ADJUSTMENT:
            apply_adjustment(model, &records[i]);
            break;
        case RECORD_HALT:
            apply_halt(model, &records[i]);
            break;
        case RECORD_STATE:
            apply_state(model, &records[i]);
            break;
        case RECORD_BLOCKED:
            model->refused++;
            break;
        default:
            break;
        }
    }
    expect_callbacks(model, records, count);
    for (size_t i = count; i-- > 0;) { /* the last word on each */
        if (records[i].kind == RECORD_ORDER)
            check_order(model, mirror_of(model, records[i].order.order_id));
        if (records[i].kind != RECORD_POSITION)
            continue;
        bool later = false;
        for (size_t k = i + 1; k < count; k++)
            later |= records[k].kind == RECORD_POSITION &&
                     records[k].instance_id == records[i].instance_id &&
                     records[k].instrument == records[i].instrument;
        if (!later)
            apply_position(model, &records[i]);
    }
    referee_turn(model->referee);
    model->dirty = true;
}

void model_commit(struct model *model, const struct turn *turn)
{
    apply(model, turn->records, turn->count, turn->time_ns);
}

void model_commit_unsure(struct model *model, const struct turn *turn)
{
    forget_unsure(model);
    model->unsure = memory_new((turn->count + 1) * sizeof(struct record));
    memcpy(model->unsure, turn->records, turn->count * sizeof(struct record));
    model->unsure_count = turn->count;
    model->unsure_ns = turn->time_ns;
    for (size_t i = 0; i < turn->count; i++) {
        if (turn->records[i].kind == RECORD_HALT) { /* its words do not outlive the process */
            uint32_t scope = scope_of(model, turn->records[i].name);
            referee_halt_unsure(model->referee, turn->records[i].name);
            if (scope <= MARKETS_MAX) {
                model->halts[scope] = STANDS_PERHAPS;
                model->by_limit[scope] |= is_by_limit(turn->records[i].body);
            }
            model->unsure[i].kind = RECORD_JOURNAL;
        }
        if (turn->records[i].kind != RECORD_STATE)
            continue;
        char *copy = memory_new(turn->records[i].body_length + 1);
        memcpy(copy, turn->records[i].body, turn->records[i].body_length);
        model->unsure[i].body = copy;
    }
}

static bool is_booked(const struct model *model, const struct fill *fill)
{
    uint64_t id = fill->exec_id[0] == 't' ? strtoull(fill->exec_id + 1, NULL, 10) : 0;
    return fill->kind == FILL_TRADE && id < model->seen_capacity && model->seen[id];
}

/* Whether the ledger holds the order as this record says, where that is news. */
static int order_is_there(const struct model *model, const struct ledger_port *ledger,
                          const struct order *said)
{
    const struct mirror *mirror = mirror_of(model, said->order_id);
    struct order found;
    bool is_known = ledger->find_order(ledger->self, said->client_order_id, &found) &&
                    found.order_id == said->order_id; /* not one that had that name for a while */
    if (!is_known || !mirror)
        return is_known;
    int known = (int)said->known, status = (int)order_status(said);
    if (known == mirror->known && status == mirror->status)
        return -1;
    return (int)found.known == known && (int)order_status(&found) == status;
}

/* Whether the ledger holds what this record says; negative: it cannot tell. */
static int is_there(const struct model *model, const struct ledger_port *ledger,
                    const struct record *record)
{
    if (record->kind == RECORD_FILL && is_booked(model, &record->fill))
        return 0; /* a turn that would book it again cannot be committed */
    if (record->kind == RECORD_FILL)
        return ledger->find_fill(ledger->self, record->instrument, record->fill.exec_id, NULL,
                                 NULL) != BOOKED_NOT;
    return record->kind == RECORD_ORDER ? order_is_there(model, ledger, &record->order) : -1;
}

void model_settle_unsure(struct model *model, const struct ledger_port *ledger)
{
    int there = -1;
    for (size_t i = 0; i < model->unsure_count && there < 0; i++)
        there = is_there(model, ledger, &model->unsure[i]);
    if (there > 0)
        apply(model, model->unsure, model->unsure_count, model->unsure_ns);
    for (size_t i = 0; there < 0 && i < model->unsure_count; i++) {
        const struct record *record = &model->unsure[i];
        if (record->kind != RECORD_ADJUSTMENT)
            continue;
        slot_of(model, record->instance_id)->books[record->instrument].adjusted = true;
        model->lost_power = true; /* as if: the next start says */
    }
    forget_unsure(model);
}

/* ---- what leaves ---- */

/* Whether a part of it is beyond what its instance holds the other way. */
static bool opens(const struct model *model, const struct mirror *mirror, uint32_t instance_id)
{
    int64_t left = mirror->qty - mirror->filled;
    if (mirror->reduce_only)
        return false;
    for (size_t i = 0; i < model->slot_count; i++) {
        if (model->slots[i].instance_id != instance_id)
            continue;
        int64_t held = model->slots[i].books[mirror->market].qty;
        return mirror->side * held >= 0 || left > (held < 0 ? -held : held);
    }
    return true;
}

static bool adds_risk(const struct model *model, const struct order *order)
{
    const struct mirror *mirror = mirror_of(model, order->order_id);
    return !order->reduce_only && mirror && opens(model, mirror, order->instance_id);
}

void model_limit_orders(struct model *model, int64_t usd)
{
    model->limit_usd = usd;
}

static bool is_too_large(const struct model *model, const struct order *order)
{
    if (model->limit_usd == 0 || order->type != ORDER_LIMIT)
        return false;
    money worth = units(model, order->qty, QTY_SCALE) * units(model, order->price, PRICE_SCALE);
    return worth > (money)model->limit_usd * 100000; /* a tick times a lot is 0.00001 */
}

/* The referee looks at every order, and what it says of one that left in this way stays. */
static void judge(struct model *model, const struct referee_send *send)
{
    const char *why = referee_send(model->referee, send);
    if (why[0])
        model_fail(model, "%.3s order %s: %s", why, send->order->client_order_id, why + 3);
}

void model_send(struct model *model, const struct referee_send *send)
{
    const struct order *order = send->order;
    if (send->kind == SEND_QUERY)
        return;
    struct mirror *mirror = mirror_of(model, order->order_id);
    if (mirror)
        judge(model, send);
    if (send->kind != SEND_SUBMIT)
        return;
    if (!mirror) {
        model_fail(model, "C6 order %s leaves and is not in the ledger", order->client_order_id);
        return;
    }
    if (strcmp(order->tag, "must_not_leave") == 0)
        model_fail(model, "C8 an order of a failed callback leaves: %s", order->client_order_id);
    bool stands = model->halts[MARKETS_MAX] == STANDS || model->halts[order->instrument] == STANDS;
    mirror->was_out |= stands;
    if (!adds_risk(model, order))
        return;
    if (stands || model->halted || model->halted_market[order->instrument])
        model_fail(model, "C8 order %s adds risk and leaves while halted", order->client_order_id);
    if (is_too_large(model, order) && mirror->status == ORDER_PENDING_NEW)
        model_fail(model, "C9 order %s leaves above the operator's limit", order->client_order_id);
    if (model->reconciling)
        model_fail(model, "C8 order %s adds risk and leaves while the books are compared",
                   order->client_order_id);
}

/* ---- after each event ---- */

static void check_intents(struct model *model)
{
    const struct exchange *exchange = model->exchange;
    for (; model->orders_checked < exchange->order_count; model->orders_checked++) {
        const struct exchange_order *order = &exchange->orders[model->orders_checked];
        for (size_t i = 0; i < model->orders_checked; i++)
            if (strcmp(exchange->orders[i].first_id, order->first_id) == 0)
                model_fail(model, "C2 order %s is at the venue twice", order->first_id);
    }
    for (; model->trades_checked < exchange->trade_count; model->trades_checked++) {
        const struct exchange_order *order =
            exchange_order(exchange, exchange->trades[model->trades_checked].order);
        const struct mirror *mirror = mirror_of_client(model, order->first_id);
        if (mirror && order->cum > mirror->most + wire_overfilled(model->wire, order->first_id))
            model_fail(model, "C12 order %s filled %" PRId64 " lots, %" PRId64 " were asked for",
                       order->first_id, order->cum, mirror->most);
    }
}

static void check_positions(struct model *model, const struct session *session)
{
    for (int i = 0; i < session->instance_count; i++) {
        struct slot *slot = slot_of(model, session->instances[i].record.instance_id);
        for (uint32_t k = 0; k < session->instruments.count; k++) {
            const struct position *position = engine_position(session->engine, i, k);
            if (position && lots(model, position->qty) != slot->books[k].qty)
                model_fail(model,
                           "C5 the engine's position of instance %d in market %" PRIu32
                           " is %" PRId64 " lots, the ledger's fills add up to %" PRId64,
                           i, k, lots(model, position->qty), slot->books[k].qty);
        }
    }
}

static void check_callbacks(struct model *model, const struct session *session)
{
    for (int i = 0; i < session->instance_count; i++) {
        struct slot *slot = slot_of(model, session->instances[i].record.instance_id);
        if (!engine_instance_alive(session->engine, i, NULL, NULL))
            slot->lost = true;
        if (!slot->lost && slot->heard != slot->expected)
            model_fail(model,
                       "C11 instance %d (%s) heard of %" PRId64 " fills, there were %" PRId64, i,
                       session->instances[i].record.strategy, slot->heard, slot->expected);
    }
}

static void note_trade(struct model *model, uint32_t market, int64_t price)
{
    for (size_t i = 0; i < model->order_count && model->held > 0; i++) {
        struct mirror *mirror = &model->orders[i];
        bool open = is_open(mirror);
        if (open && mirror->held && mirror->market == market && mirror->trigger > 0)
            mirror->due = mirror->side * (price - mirror->trigger) >= 0;
    }
}

static void note_bust(struct model *model, const struct report *report)
{
    uint64_t id = trade_number(report->fill.exec_id);
    if (id < model->seen_capacity && model->seen[id] == SEEN)
        model->bust = id;
}

void model_event(struct model *model, const struct event *event)
{
    referee_event(model->referee, event);
    if (event->kind == EVENT_TRADE)
        note_trade(model, event->instrument, event->trade.price);
    const struct mirror *mirror = event->kind == EVENT_REPORT && event->report->ticket == 0
                                      ? mirror_of_client(model, event->report->client_order_id)
                                      : NULL;
    if (mirror && mirror->waits)
        referee_answer(model->referee, event->report, event->time_ns);
    if (event->kind == EVENT_REPORT && event->report->kind == REPORT_BUST)
        note_bust(model, event->report);
}

/* The other exit of a position ends at the venue before this one may leave. */
static bool waits_for_other(const struct model *model, const struct mirror *mirror)
{
    bool other = false;
    for (size_t i = 0; i < model->order_count; i++) {
        const struct mirror *at = &model->orders[i];
        bool open = is_open(at);
        other |= open && !at->held && at->pending && at->instance_id == mirror->instance_id &&
                 at->market == mirror->market;
    }
    return mirror->role != ROLE_PLAIN && other;
}

static void check_heard(struct model *model)
{
    if (model->bust && model->seen[model->bust] == SEEN)
        model_fail(model, "C15 the bust of trade t%" PRIu64 " was told, and it stands",
                   model->bust);
    model->bust = 0;
    for (size_t i = 0; i < model->order_count && model->held > 0; i++) {
        struct mirror *mirror = &model->orders[i];
        bool open = is_open(mirror);
        if (mirror->due && mirror->held && open && !waits_for_other(model, mirror))
            model_fail(model, "C16 order %s waits on, and the price went through its trigger",
                       mirror->client_id);
        mirror->due = false;
    }
}

void model_step(struct model *model, const struct session *session)
{
    check_intents(model);
    check_heard(model);
    if (model->dirty) {
        check_positions(model, session);
        if (!model->silent)
            check_callbacks(model, session);
        model->dirty = false;
    }
    size_t open = engine_open_orders(session->engine);
    if (open > OPEN_ORDERS_MAX * (size_t)session->instance_count)
        model_fail(model, "C10 %zu orders are open", open);
    model->halted = engine_is_halted(session->engine, NULL);
    for (uint32_t k = 0; k < session->instruments.count; k++)
        model->halted_market[k] = engine_is_instrument_halted(session->engine, k);
    model->reconciling = engine_is_reconciling(session->engine);
}

void model_loses_power(struct model *model)
{
    model->lost_power = true;
}

/* The engine's index; of what is nobody's: it follows the others. */
static int instance_index(const struct session *session, uint32_t instance_id)
{
    int i = 0;
    while (i < session->instance_count && session->instances[i].record.instance_id != instance_id)
        i++;
    return i;
}

static bool is_in_the_books(void *self, uint64_t order_id)
{
    return engine_order(((const struct session *)self)->engine, order_id) != NULL;
}

/* What the lost turns told is heard again: it is no step of the order. */
static void forget_lost_turns(struct model *model, const struct session *session)
{
    for (size_t i = 0; i < model->order_count; i++) {
        struct mirror *mirror = &model->orders[i];
        const struct order *order = engine_order(session->engine, mirror->order_id);
        if (!order)
            continue;
        referee_order_is(model->referee, order);
        mirror->known = (int)order->known;
        mirror->status = (int)order_status(order);
        mirror->held = order->held;
        mirror->qty = lots(model, order->qty);
    }
    for (size_t i = 0; i < model->slot_count; i++)
        for (uint32_t k = 0; k < session->instruments.count; k++) {
            struct slot *slot = &model->slots[i];
            const struct position *position =
                engine_position(session->engine, instance_index(session, slot->instance_id), k);
            if (position)
                referee_position_is(model->referee, slot->instance_id, k, position);
            if (position && slot->books[k].adjusted)
                slot->books[k].qty = lots(model, position->qty);
        }
    referee_forget_orders(model->referee, is_in_the_books, (void *)(uintptr_t)session);
    model->lost_power = false;
}

/* What the process before could not finish counts no more. */
static void forget_heard(struct model *model)
{
    model->bust = 0;
    for (size_t i = 0; i < model->order_count; i++)
        model->orders[i].due = false;
}

static void check_halts(struct model *model, const struct session *session)
{
    for (uint32_t k = 0; k <= MARKETS_MAX; k++) {
        bool stands = k == MARKETS_MAX ? engine_is_halted(session->engine, NULL)
                                       : k < session->instruments.count &&
                                             engine_is_instrument_halted(session->engine, k);
        if (model->halts[k] != STANDS_PERHAPS && !model->lost_power &&
            stands != (model->halts[k] == STANDS))
            model_fail(model, "Q4 the halt of %s %s after a restart",
                       k == MARKETS_MAX ? "the session" : "a market",
                       stands ? "stands, though it was lifted," : "is forgotten");
        model->halts[k] = stands ? STANDS : STANDS_NOT;
    }
}

void model_restart(struct model *model)
{
    referee_restart(model->referee);
}

void model_breaker(struct model *model, bool open)
{
    referee_breaker(model->referee, open);
}

static void tell_referee(struct model *model, const struct rules *rules,
                         const struct session *session, const char *const *symbols)
{
    struct referee_instances instances = { .count = (size_t)session->instance_count,
                                           .symbols = symbols,
                                           .venue = session->world->venue,
                                           .now_ns = session->now_ns,
                                           .leverage = model->exchange->profile.is_spot
                                                           ? 1
                                                           : rules->leverage };
    ASSERT(instances.count <= RULE_STRATEGIES_MAX);
    for (size_t i = 0; i < instances.count; i++) {
        instances.ids[i] = session->instances[i].record.instance_id;
        instances.names[i] = session->strategies[session->instances[i].strategy].code->info.name;
    }
    referee_begin(model->referee, rules, &instances);
}

void model_reopened(struct model *model, const struct rules *rules, const struct session *session,
                    const char *const *symbols)
{
    forget_heard(model);
    check_halts(model, session);
    if (model->lost_power)
        referee_forget_figures(model->referee);
    tell_referee(model, rules, session, symbols);
    if (model->lost_power)
        forget_lost_turns(model, session);
    if (model->silent) { /* who was not called has not counted */
        for (size_t i = 0; i < model->slot_count; i++)
            model->slots[i].lost = true;
        model->silent = false;
    }
    for (int i = 0; i < session->instance_count; i++) {
        struct slot *slot = slot_of(model, session->instances[i].record.instance_id);
        if (slot->lost) { /* it lives again, and goes on counting from what it kept */
            slot->lost = false;
            slot->expected = slot->heard;
        }
    }
    check_positions(model, session);
    for (size_t i = 0; i < model->order_count; i++) {
        const struct mirror *mirror = &model->orders[i];
        bool open = is_open(mirror);
        const struct order *order = engine_order(session->engine, mirror->order_id);
        if (open && !order)
            model_fail(model, "Q4 open order %s is not known after a restart", mirror->client_id);
        else if (open && lots(model, order->filled_qty) != mirror->filled)
            model_fail(model, "Q4 order %s has another filled quantity after a restart",
                       mirror->client_id);
    }
}

/* ---- at rest ---- */

void model_silence(struct model *model, bool silent)
{
    model->silent = silent;
}

static bool is_flagged(const struct session *session, uint32_t market)
{
    return engine_is_halted(session->engine, NULL) ||
           engine_is_instrument_halted(session->engine, market);
}

static void rest_orders(struct model *model, const struct session *session)
{
    const struct exchange *exchange = model->exchange;
    for (size_t i = 0; i < exchange->open_count; i++) {
        const struct exchange_order *order = exchange_order(exchange, exchange->open[i]);
        const struct mirror *mirror = mirror_of_client(model, order->client_id);
        if (order->client_id[0] == 'r' && mirror && !order->reduce_only && !mirror->was_out &&
            opens(model, mirror, mirror->instance_id) && is_flagged(session, order->market))
            model_fail(model, "C8 order %s adds risk and works on, and no new risk is allowed",
                       order->client_id);
        if (order->client_id[0] != 'r' || is_flagged(session, order->market))
            continue;
        if (!mirror || (mirror->known != ORDER_NEW && mirror->known != ORDER_PARTIALLY_FILLED))
            model_fail(model, "Q1 order %s works at the venue; here it is %s", order->client_id,
                       mirror ? order_status_name((enum order_status)mirror->status) : "unknown");
        else if (mirror->filled != order->cum)
            model_fail(model, "Q1 order %s has %" PRId64 " lots filled, here %" PRId64,
                       order->client_id, order->cum, mirror->filled);
    }
    for (size_t i = 0; i < model->order_count; i++) {
        const struct mirror *mirror = &model->orders[i];
        bool open = is_open(mirror);
        if (!open || mirror->held)
            continue;
        const struct exchange_order *order = exchange_find(exchange, mirror->current_id);
        if ((!order || !exchange_is_open(order)) && !is_flagged(session, mirror->market))
            model_fail(model, "Q1 order %s is %s here, and does not work at the venue",
                       mirror->client_id, order_status_name((enum order_status)mirror->status));
        if (mirror->pending || mirror->known == ORDER_PENDING_NEW)
            model_fail(model, "Q2 order %s is still %s", mirror->client_id,
                       order_status_name((enum order_status)mirror->status));
    }
}

/* reconciliation.qty_tolerance is a hundredth of what we hold; none when we think we are flat. */
static bool is_tolerated(int64_t own, int64_t venue)
{
    int64_t difference = own > venue ? own - venue : venue - own;
    return 100 * difference <= (own < 0 ? -own : own);
}

static void rest_positions(struct model *model, const struct session *session, bool exact)
{
    const struct exchange *exchange = model->exchange;
    exact &= exchange->profile.tells_trades;
    money flow = 0, fees = 0, venue_flow = 0;
    for (uint32_t k = 0; k < exchange->market_count; k++) {
        int64_t qty = 0;
        for (size_t i = 0; i < model->slot_count; i++) {
            const struct book *book = &model->slots[i].books[k];
            qty += book->qty;
            flow += book->flow;
            fees += book->fees;
            exact &= !book->adjusted;
        }
        venue_flow += exchange->markets[k].flow;
        if (qty == exchange->markets[k].position)
            continue;
        exact = false;
        if (!is_flagged(session, k) && !is_tolerated(qty, exchange->markets[k].position))
            model_fail(model,
                       "Q1 market %" PRIu32 " is %" PRId64 " lots here and %" PRId64
                       " at the venue, and nobody says so",
                       k, qty, exchange->markets[k].position);
    }
    int digits = MONEY_SCALE - PRICE_SCALE - QTY_SCALE - 6;
    money scale = 1;
    while (digits-- > 0)
        scale *= 10;
    if (exact && (flow != venue_flow * scale || fees != exchange->fees * scale))
        model_fail(model, "Q3 money is not the venue's to the last digit");
}

static void rest_needless(struct model *model, const struct session *session)
{
    for (uint32_t k = 0; k < model->exchange->market_count; k++) {
        if (is_flagged(session, k) && !model->by_limit[k] && !model->by_limit[MARKETS_MAX])
            model_fail(model, "Q1 market %" PRIu32 " is halted, and the venue gave no reason", k);
        for (size_t i = 0; i < model->slot_count; i++)
            if (model->slots[i].books[k].adjusted)
                model_fail(model,
                           "Q1 market %" PRIu32 " was adjusted, and the venue gave no reason", k);
    }
}

/* Of two plain orders that are linked one fills. */
static void rest_pairs(struct model *model)
{
    for (size_t i = 0; i < model->order_count; i++) {
        const struct mirror *mirror = &model->orders[i];
        bool is_plain = mirror->group != 0 && mirror->role == ROLE_PLAIN;
        for (size_t k = 0; is_plain && mirror->known == ORDER_FILLED && k < model->order_count;
             k++) {
            const struct mirror *other = &model->orders[k];
            bool open = is_open(other);
            if (open && other->group == mirror->group && other->instance_id == mirror->instance_id)
                model_fail(model, "Q6 order %s works on, and %s, its other, is filled",
                           other->client_id, mirror->client_id);
        }
    }
}

/* What the exits of one role have left, of an instance all of whose entries are protected. Those
 * whose cancel was refused do not count: the engine forgets them where another stands for them. */
static void rest_exits(struct model *model, const struct slot *slot, uint32_t market,
                       enum order_role role)
{
    int64_t held = slot->books[market].qty, left = 0;
    for (size_t i = 0; i < model->order_count; i++) {
        const struct mirror *mirror = &model->orders[i];
        bool open = is_open(mirror);
        if (open && mirror->instance_id == slot->instance_id && mirror->market == market &&
            mirror->role == role)
            left -= mirror->side * (mirror->qty - mirror->filled);
    }
    if (left != 0 && (held < 0 ? left < held || left > 0 : left > held || left < 0))
        model_fail(model, "Q6 exits of %" PRId64 " lots guard a position of %" PRId64 " lots", left,
                   held);
}

static void rest_protected(struct model *model, const struct session *session)
{
    for (int i = 0; i < session->instance_count; i++) {
        if (strcmp(session->instances[i].record.strategy, "protected") != 0)
            continue;
        const struct slot *slot = slot_of(model, session->instances[i].record.instance_id);
        for (uint32_t k = 0; k < model->exchange->market_count; k++) {
            rest_exits(model, slot, k, ROLE_STOP);
            rest_exits(model, slot, k, ROLE_TAKE);
        }
    }
}

void model_rest(struct model *model, const struct session *session,
                const struct model_excuses *excuses)
{
    if (!excuses->quantity)
        rest_needless(model, session);
    if (engine_orders_in_flight(session->engine) > 0)
        model_fail(model, "Q2 %zu orders are still in flight",
                   engine_orders_in_flight(session->engine));
    rest_orders(model, session);
    rest_pairs(model);
    rest_protected(model, session);
    rest_positions(model, session, !excuses->money);
}
