/* wire.c - see wire.h.
 *
 * Everything that travels is a message in one heap, by its time and then by its number. A call is a
 * request and what became of it: answered, timed out, or nothing yet. One advance delivers one
 * message, so that whoever looks on sees each event by itself. */
#include "tests/simulation/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_WITHIN (5 * NS_PER_SECOND) /* then a request has timed out */
#define YOUNG (5 * NS_PER_SECOND)         /* an order that queries may not find yet */
#define START_CASH 1000000

enum channel { CHANNEL_REQUESTS, CHANNEL_ANSWERS, CHANNEL_PRIVATE, CHANNEL_PUBLIC, CHANNELS };

struct call {
    enum wire_send kind;
    struct exchange_request request; /* SUBMIT; market and ids of the others */
    char new_id[CLIENT_ORDER_ID_MAX];
    int64_t qty, price; /* AMEND */
    enum venue_query_kind query;
    uint64_t ticket, limit;
    int64_t from_ns, to_ns, tf_ns;
    uint64_t process;
    bool all_markets;  /* FILLS */
    int64_t answer_ns; /* when the next event of its answer is due, 0: not answered */
    bool answered, silent;
};

enum message_kind { MESSAGE_REQUEST, MESSAGE_EVENT, MESSAGE_TIMEOUT, MESSAGE_DOWN, MESSAGE_UP };

struct message {
    int64_t due_ns;
    uint64_t number;
    enum message_kind kind;
    enum channel channel;
    uint64_t epoch, process;
    size_t call; /* SIZE_MAX: none */
    enum fault fault;
    struct event event;
    struct report report;
};

struct overfill {
    char first_id[CLIENT_ORDER_ID_MAX];
    int64_t lots;
};

struct wire {
    struct exchange *exchange;
    struct fault_plan plan;
    struct wire_watch watch;
    struct random random;
    uint64_t seed;
    struct venue_abilities abilities;

    struct message **heap, **spare;
    size_t count, capacity, spare_count, spare_capacity;
    uint64_t numbers;
    struct call *calls;
    size_t call_count, call_capacity;

    int64_t now_ns, offset_ns, tick_ns;
    bool running, attached, healed;
    uint64_t process;
    struct event_sink sink;
    int64_t last_ns[CHANNELS];
    uint64_t epoch[CHANNELS];
    bool down[CHANNELS];
    int64_t public_back_ns;
    bool outage;

    size_t asking;   /* the call whose effects are told now, SIZE_MAX */
    int64_t hold_ns; /* what is told now is told so much later */
    uint64_t strangers;
    bool lagged; /* the last answer about positions did */
    struct overfill *overfills;
    size_t overfill_count, overfill_capacity;
};

decimal wire_price(int64_t ticks)
{
    return decimal_make(ticks, PRICE_SCALE);
}

decimal wire_qty(int64_t lots)
{
    return decimal_make(lots, QTY_SCALE);
}

static decimal money_decimal(money amount) /* 1e-11: tick, lot and a millionth */
{
    char text[64];
    bool negative = amount < 0;
    money whole = (negative ? -amount : amount) / 100000000000;
    money rest = (negative ? -amount : amount) % 100000000000;
    int length = snprintf(text, sizeof(text), "%s%lld.%011lld", negative ? "-" : "",
                          (long long)whole, (long long)rest);
    decimal value;
    if (decimal_parse(text, (size_t)length, &value) < 0)
        return DECIMAL_NONE;
    return value;
}

/* ---- chance ---- */

static int64_t between(struct wire *wire, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&wire->random, (uint64_t)(high - low + 1));
}

/* Whether the fault happens at this pass. */
static bool fault(struct wire *wire, enum fault kind, const char *client_id)
{
    if (!wire->plan.on[kind] || wire->healed ||
        random_below(&wire->random, 100) >= wire->plan.percent[kind])
        return false;
    if (wire->watch.fault)
        wire->watch.fault(wire->watch.self, kind, client_id);
    return true;
}

/* Of chances that come each second: a twentieth. */
static bool rare_fault(struct wire *wire, enum fault kind, const char *client_id)
{
    return random_below(&wire->random, 20) == 0 && fault(wire, kind, client_id);
}

/* ---- the heap ---- */

static bool is_before(const struct message *a, const struct message *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static struct message *message_new(struct wire *wire)
{
    struct message *message =
        wire->spare_count ? wire->spare[--wire->spare_count] : memory_new(sizeof(*message));
    memset(message, 0, sizeof(*message));
    message->fault = FAULTS;
    message->call = SIZE_MAX;
    message->process = wire->process;
    return message;
}

static void message_free(struct wire *wire, struct message *message)
{
    wire->spare = memory_grow(wire->spare, &wire->spare_capacity, wire->spare_count + 1,
                              sizeof(wire->spare[0]));
    wire->spare[wire->spare_count++] = message;
}

static void push(struct wire *wire, struct message *message)
{
    message->number = ++wire->numbers;
    message->epoch = wire->epoch[message->channel];
    wire->heap = memory_grow(wire->heap, &wire->capacity, wire->count + 1, sizeof(wire->heap[0]));
    size_t at = wire->count++;
    while (at > 0 && is_before(message, wire->heap[(at - 1) / 2])) {
        wire->heap[at] = wire->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    wire->heap[at] = message;
}

static struct message *pop(struct wire *wire)
{
    struct message *top = wire->heap[0], *last = wire->heap[--wire->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= wire->count)
            break;
        if (child + 1 < wire->count && is_before(wire->heap[child + 1], wire->heap[child]))
            child++;
        if (!is_before(wire->heap[child], last))
            break;
        wire->heap[at] = wire->heap[child];
        at = child;
    }
    if (wire->count > 0)
        wire->heap[at] = last;
    return top;
}

/* ---- travelling ---- */

static int64_t latency(struct wire *wire, enum channel channel)
{
    static const int64_t most_ms[CHANNELS] = { 60, 60, 100, 50 };
    int64_t delay = between(wire, NS_PER_MS, most_ms[channel] * NS_PER_MS);
    if (channel != CHANNEL_PUBLIC && fault(wire, FAULT_DELAY, ""))
        delay += between(wire, NS_PER_SECOND / 2, 8 * NS_PER_SECOND);
    return delay;
}

/* Puts it on its way: in the channel's order, unless it may overtake. */
static void send_message(struct wire *wire, struct message *message, enum channel channel,
                         int64_t extra_ns, bool may_overtake)
{
    message->channel = channel;
    message->due_ns = wire->now_ns + latency(wire, channel) + extra_ns;
    if (!may_overtake && message->due_ns <= wire->last_ns[channel])
        message->due_ns = wire->last_ns[channel] + 1;
    if (!may_overtake)
        wire->last_ns[channel] = message->due_ns;
    push(wire, message);
}

static struct message *event_message(struct wire *wire, enum event_kind kind, uint32_t market)
{
    struct message *message = message_new(wire);
    message->kind = MESSAGE_EVENT;
    message->event.kind = kind;
    message->event.instrument = market;
    return message;
}

static struct message *report_message(struct wire *wire, enum report_kind kind, uint32_t market,
                                      const char *client_id)
{
    struct message *message = event_message(wire, EVENT_REPORT, market);
    struct report *report = &message->report;
    report->kind = kind;
    report->qty = report->price = report->cum_qty = report->avg_price = DECIMAL_NONE;
    report->fill.qty = report->fill.price = report->fill.fee = DECIMAL_ZERO;
    report->transact_ns = wire->now_ns;
    text_copy(report->client_order_id, sizeof(report->client_order_id), client_id);
    return message;
}

static void copy_message(struct wire *wire, const struct message *message, int64_t later_ns)
{
    struct message *copy = message_new(wire);
    *copy = *message;
    copy->due_ns += later_ns;
    push(wire, copy);
}

/* The stream's word. */
static void stream(struct wire *wire, struct message *message, enum channel channel)
{
    const char *id = message->report.client_order_id;
    if (wire->down[channel] || !wire->attached) {
        message_free(wire, message);
        return;
    }
    if (channel == CHANNEL_PRIVATE && fault(wire, FAULT_STREAM_LOSS, id)) {
        message_free(wire, message);
        return;
    }
    bool reorder = channel == CHANNEL_PRIVATE && fault(wire, FAULT_REORDER, id);
    int64_t extra = wire->hold_ns + (reorder ? between(wire, 0, 2 * NS_PER_SECOND) : 0);
    if (reorder)
        message->fault = FAULT_REORDER;
    send_message(wire, message, channel, extra, reorder || wire->hold_ns > 0);
    if (channel == CHANNEL_PRIVATE && fault(wire, FAULT_DUPLICATE, id)) {
        message->fault = FAULT_DUPLICATE;
        copy_message(wire, message, between(wire, 1, 3 * NS_PER_SECOND));
    }
}

static void answer(struct wire *wire, size_t call, struct message *message, int64_t extra_ns)
{
    struct call *asked = &wire->calls[call];
    message->call = call;
    message->process = asked->process;
    if (asked->answer_ns == 0) /* one response, whole; responses do not wait for each other */
        asked->answer_ns = wire->now_ns + latency(wire, CHANNEL_ANSWERS) + extra_ns;
    message->channel = CHANNEL_ANSWERS;
    message->due_ns = asked->answer_ns++;
    push(wire, message);
}

/* ---- what the exchange says ---- */

static enum order_status status_of(const struct exchange_order *order)
{
    static const enum order_status statuses[] = {
        [EX_NEW] = ORDER_NEW,         [EX_PARTIAL] = ORDER_PARTIALLY_FILLED,
        [EX_FILLED] = ORDER_FILLED,   [EX_CANCELED] = ORDER_CANCELED,
        [EX_EXPIRED] = ORDER_EXPIRED, [EX_REJECTED] = ORDER_REJECTED,
    };
    return statuses[order->status];
}

static void fill_order(struct report *report, const struct exchange_order *order)
{
    snprintf(report->venue_order_id, sizeof(report->venue_order_id), "v%" PRIu64, order->id);
    report->side = order->side > 0 ? SIDE_BUY : SIDE_SELL;
    if (order->reason)
        text_copy(report->reason, sizeof(report->reason), order->reason);
}

static void fill_status(struct report *report, const struct exchange_order *order)
{
    fill_order(report, order);
    report->status = status_of(order);
    report->qty = wire_qty(order->qty);
    if (order->price > 0)
        report->price = wire_price(order->price);
    report->cum_qty = wire_qty(order->cum);
    if (order->cum > 0)
        report->avg_price = decimal_div(decimal_make((int64_t)order->notional, PRICE_SCALE),
                                        decimal_int(order->cum), 18, ROUND_HALF_EVEN);
}

static void fill_trade(struct report *report, const struct exchange_trade *trade)
{
    struct fill *fill = &report->fill;
    snprintf(fill->exec_id, sizeof(fill->exec_id), "t%" PRIu64, trade->id);
    fill->qty = wire_qty(trade->qty);
    fill->price = wire_price(trade->price);
    fill->fee = money_decimal(trade->fee);
    fill->liquidity = trade->is_maker ? LIQUIDITY_MAKER : LIQUIDITY_TAKER;
    fill->transact_ns = trade->time_ns;
}

static const enum report_kind KIND_OF_NEWS[] = {
    [NEWS_ACK] = REPORT_ACK,           [NEWS_TRADE] = REPORT_FILL,
    [NEWS_CANCELED] = REPORT_CANCELED, [NEWS_EXPIRED] = REPORT_EXPIRED,
    [NEWS_REPLACED] = REPORT_REPLACED, [NEWS_RESTATED] = REPORT_RESTATED,
    [NEWS_BUST] = REPORT_BUST,         [NEWS_CORRECT] = REPORT_CORRECT,
};

static void tell(struct wire *wire, enum report_kind kind, const struct exchange_order *order,
                 const struct exchange_trade *trade)
{
    struct message *message = report_message(wire, kind, order->market, order->client_id);
    if (kind == REPORT_STATUS)
        fill_status(&message->report, order);
    else
        fill_order(&message->report, order);
    if (kind == REPORT_REPLACED || kind == REPORT_RESTATED) {
        message->report.qty = wire_qty(order->qty);
        if (order->price > 0)
            message->report.price = wire_price(order->price);
    }
    if (trade)
        fill_trade(&message->report, trade);
    stream(wire, message, CHANNEL_PRIVATE);
}

static void on_news(void *self, enum exchange_news news, const struct exchange_order *order,
                    const struct exchange_trade *trade)
{
    struct wire *wire = self;
    const struct exchange_profile *profile = &wire->exchange->profile;
    bool is_answer = wire->asking != SIZE_MAX &&
                     (news == NEWS_ACK || news == NEWS_REPLACED ||
                      (news == NEWS_CANCELED && wire->calls[wire->asking].kind == SEND_CANCEL));
    if (is_answer && !profile->tells_twice)
        return;
    if (news == NEWS_TRADE && !profile->tells_trades)
        tell(wire, REPORT_STATUS, order, NULL);
    else
        tell(wire, KIND_OF_NEWS[news], order, trade);
    if (news == NEWS_TRADE && profile->tells_trades &&
        fault(wire, FAULT_ZERO_FILL, order->client_id)) {
        struct message *message =
            report_message(wire, REPORT_FILL, order->market, order->client_id);
        snprintf(message->report.fill.exec_id, sizeof(message->report.fill.exec_id), "z%" PRIu64,
                 trade->id);
        message->fault = FAULT_ZERO_FILL;
        stream(wire, message, CHANNEL_PRIVATE);
    }
}

static void on_trade(void *self, uint32_t market, int64_t price, int64_t qty, int side)
{
    struct wire *wire = self;
    struct message *message = event_message(wire, EVENT_TRADE, market);
    message->event.trade = (struct trade_event){ .price = price, .qty = qty, .side = side };
    stream(wire, message, CHANNEL_PUBLIC);
}

/* A crossed quote is a venue's fault that the gateway keeps from the engine: a quote has its bid
 * below its ask (event.h). */
static void on_quote(void *self, uint32_t market, const struct exchange_quote *quote)
{
    struct wire *wire = self;
    if (quote->bid >= quote->ask)
        return;
    struct message *message = event_message(wire, EVENT_QUOTE, market);
    message->event.quote = (struct quote_event){
        .bid = quote->bid, .ask = quote->ask, .bid_qty = quote->bid_qty, .ask_qty = quote->ask_qty
    };
    stream(wire, message, CHANNEL_PUBLIC);
}

/* ---- requests arrive ---- */

static void answer_report(struct wire *wire, size_t index, enum report_kind kind,
                          const char *client_id, const struct exchange_order *order,
                          const char *reason)
{
    const struct call *call = &wire->calls[index];
    struct message *message = report_message(wire, kind, call->request.market, client_id);
    if (order)
        fill_order(&message->report, order);
    if (kind == REPORT_REPLACED) {
        message->report.qty = wire_qty(order->qty);
        if (order->price > 0)
            message->report.price = wire_price(order->price);
    }
    if (reason)
        text_copy(message->report.reason, sizeof(message->report.reason), reason);
    answer(wire, index, message, 0);
}

static void doubt(struct wire *wire, size_t index, const char *reason)
{
    answer_report(wire, index, REPORT_DOUBT, wire->calls[index].request.client_id, NULL, reason);
}

static void fill_before_cancel(struct wire *wire, const char *client_id)
{
    const struct exchange_order *order = exchange_find(wire->exchange, client_id);
    if (!order || !exchange_is_open(order) || order->qty - order->cum < 2 || order->reduce_only ||
        (wire->exchange->profile.is_spot && order->side < 0) ||
        !fault(wire, FAULT_LATE_FILL, client_id))
        return;
    wire->hold_ns = between(wire, NS_PER_SECOND / 2, 4 * NS_PER_SECOND);
    exchange_fill_late(wire->exchange, order->id, (order->qty - order->cum) / 2);
    wire->hold_ns = 0;
}

static enum report_kind kind_of_answer(enum wire_send kind, bool accepted)
{
    if (kind == SEND_SUBMIT)
        return accepted ? REPORT_ACK : REPORT_REJECTED;
    if (kind == SEND_CANCEL)
        return accepted ? REPORT_CANCELED : REPORT_CANCEL_REJECT;
    return accepted ? REPORT_REPLACED : REPORT_REPLACE_REJECT;
}

static const char *execute(struct wire *wire, const struct call *call)
{
    const char *client_id = call->request.client_id;
    switch (call->kind) {
    case SEND_SUBMIT:
        return exchange_submit(wire->exchange, &call->request);
    case SEND_CANCEL:
        fill_before_cancel(wire, client_id);
        return exchange_cancel(wire->exchange, client_id);
    default:
        return exchange_amend(wire->exchange, client_id, call->new_id, call->qty, call->price);
    }
}

static void arrive_order(struct wire *wire, size_t index)
{
    struct call call = wire->calls[index]; /* the array may move */
    const char *id = call.request.client_id;
    wire->asking = index;
    const char *reason = execute(wire, &call);
    wire->asking = SIZE_MAX;
    if (fault(wire, FAULT_SERVER_ERROR, id)) {
        doubt(wire, index, "502");
        return;
    }
    if (fault(wire, FAULT_ANSWER_LOST, id))
        return;
    if (fault(wire, FAULT_SILENCE, id)) {
        wire->calls[index].silent = true;
        return;
    }
    const char *known = !reason && call.kind == SEND_AMEND && call.new_id[0] ? call.new_id : id;
    const struct exchange_order *order = reason ? NULL : exchange_find(wire->exchange, known);
    answer_report(wire, index, kind_of_answer(call.kind, !reason), known, order, reason);
}

/* ---- questions ---- */

static void answer_end(struct wire *wire, size_t index, bool complete, const char *reason,
                       int64_t extra_ns)
{
    struct message *message = event_message(wire, EVENT_ANSWER, wire->calls[index].request.market);
    message->event.answer.ticket = wire->calls[index].ticket;
    message->event.answer.complete = complete;
    text_copy(message->event.answer.reason, sizeof(message->event.answer.reason), reason);
    answer(wire, index, message, extra_ns);
}

static void answer_status(struct wire *wire, size_t index, const struct exchange_order *order,
                          int64_t extra_ns)
{
    struct message *message = report_message(wire, REPORT_STATUS, order->market, order->client_id);
    message->report.ticket = wire->calls[index].ticket;
    fill_status(&message->report, order);
    answer(wire, index, message, extra_ns);
}

static bool hides(struct wire *wire, const struct exchange_order *order)
{
    return wire->now_ns - order->accepted_ns < YOUNG &&
           fault(wire, FAULT_NOT_FOUND, order->client_id);
}

static void answer_order(struct wire *wire, size_t index, int64_t extra_ns)
{
    const struct call *call = &wire->calls[index];
    const struct exchange_order *order = exchange_find(wire->exchange, call->request.client_id);
    if (order && !hides(wire, order)) {
        answer_status(wire, index, order, extra_ns);
        return;
    }
    struct message *message =
        report_message(wire, REPORT_NOT_FOUND, call->request.market, call->request.client_id);
    message->report.ticket = call->ticket;
    answer(wire, index, message, extra_ns);
}

static void answer_open_orders(struct wire *wire, size_t index, int64_t extra_ns)
{
    for (size_t i = 0; i < wire->exchange->open_count; i++) {
        const struct exchange_order *order =
            exchange_order(wire->exchange, wire->exchange->open[i]);
        if (!hides(wire, order) && !fault(wire, FAULT_ABSENT, order->client_id))
            answer_status(wire, index, order, extra_ns);
    }
}

static void answer_fills(struct wire *wire, size_t index, int64_t extra_ns)
{
    for (size_t i = 0; i < wire->exchange->trade_count; i++) {
        const struct call *call = &wire->calls[index];
        const struct exchange_trade *trade = &wire->exchange->trades[i];
        const struct exchange_order *order = exchange_order(wire->exchange, trade->order);
        if ((trade->market != call->request.market && !call->all_markets) ||
            trade->time_ns < call->from_ns || trade->qty == 0 ||
            (call->request.client_id[0] && strcmp(order->client_id, call->request.client_id) != 0))
            continue;
        struct message *message =
            report_message(wire, REPORT_FILL, trade->market, order->client_id);
        message->report.ticket = call->ticket;
        fill_order(&message->report, order);
        fill_trade(&message->report, trade);
        answer(wire, index, message, extra_ns);
    }
}

/* The account's position as it was, but for what was taken back since. */
static int64_t position_at(const struct wire *wire, uint32_t market, int64_t time_ns)
{
    const struct exchange *exchange = wire->exchange;
    int64_t held = exchange->markets[market].position;
    for (size_t i = exchange->trade_count; i-- > 0;) {
        const struct exchange_trade *trade = &exchange->trades[i];
        if (trade->time_ns <= time_ns)
            break;
        if (trade->market == market)
            held -= trade->side * trade->qty;
    }
    return held;
}

/* Never twice in a row: what two looks agree on may be acted on. */
static void answer_positions(struct wire *wire, size_t index, int64_t extra_ns)
{
    int64_t as_of_ns = wire->now_ns;
    wire->lagged = !wire->lagged && fault(wire, FAULT_LAG, "");
    if (wire->lagged)
        as_of_ns -= between(wire, NS_PER_SECOND / 2, 10 * NS_PER_SECOND);
    for (uint32_t i = 0; i < wire->exchange->market_count; i++) {
        int64_t held = position_at(wire, i, as_of_ns);
        if (held == 0)
            continue;
        struct message *message = event_message(wire, EVENT_POSITION, i);
        message->event.position = (struct position_event){ .ticket = wire->calls[index].ticket,
                                                           .qty = wire_qty(held),
                                                           .avg_price = DECIMAL_NONE };
        answer(wire, index, message, extra_ns);
    }
}

static void answer_cash(struct wire *wire, size_t index, int64_t extra_ns)
{
    struct message *message = event_message(wire, EVENT_CASH, INSTRUMENT_NONE);
    message->event.cash.ticket = wire->calls[index].ticket;
    text_copy(message->event.cash.currency, sizeof(message->event.cash.currency), "USDT");
    message->event.cash.amount =
        decimal_add(decimal_int(START_CASH), money_decimal(exchange_cash(wire->exchange)));
    answer(wire, index, message, extra_ns);
}

/* Bars of the past: flat around today's price, the same whenever they are asked for. */
static void answer_bars(struct wire *wire, size_t index)
{
    struct call call = wire->calls[index];
    int64_t mid = wire->exchange->markets[call.request.market].mid;
    int64_t last = call.to_ns / call.tf_ns, count = (int64_t)call.limit;
    for (int64_t i = last - count + 1; i <= last; i++) {
        struct message *message = event_message(wire, EVENT_BAR, call.request.market);
        int64_t close = mid + (int64_t)(hash64(wire->seed, call.request.market, (uint64_t)i) % 21);
        message->event.bar = (struct bar_event){ .open_ns = (i - 1) * call.tf_ns,
                                                 .open = mid,
                                                 .high = mid + 21,
                                                 .low = mid - 1,
                                                 .close = close,
                                                 .volume = 100,
                                                 .is_history = true };
        message->event.time_ns = i * call.tf_ns;
        answer(wire, index, message, 0);
    }
}

static void arrive_query(struct wire *wire, size_t index)
{
    enum venue_query_kind kind = wire->calls[index].query;
    if (kind != QUERY_BARS && fault(wire, FAULT_ANSWER_LOST, ""))
        return;
    bool fails = kind != QUERY_BARS && fault(wire, FAULT_QUERY_FAILS, "");
    int64_t extra = kind != QUERY_BARS && fault(wire, FAULT_STALE, "")
                        ? between(wire, NS_PER_SECOND / 2, 3 * NS_PER_SECOND)
                        : 0;
    bool in_part = fails && random_below(&wire->random, 2) == 0;
    if (!fails || in_part) {
        switch (kind) {
        case QUERY_BARS:
            answer_bars(wire, index);
            break;
        case QUERY_ORDER:
            answer_order(wire, index, extra);
            break;
        case QUERY_OPEN_ORDERS:
            answer_open_orders(wire, index, extra);
            break;
        case QUERY_FILLS:
            answer_fills(wire, index, extra);
            break;
        case QUERY_POSITIONS:
            answer_positions(wire, index, extra);
            break;
        case QUERY_BALANCES:
            answer_cash(wire, index, extra);
            break;
        }
    }
    answer_end(wire, index, !fails, fails ? "503" : "", extra);
}

/* ---- delivering ---- */

static bool is_dead(const struct wire *wire, const struct message *message)
{
    if (!wire->attached || message->process != wire->process)
        return true;
    if (message->channel >= CHANNEL_PRIVATE && message->epoch != wire->epoch[message->channel])
        return true; /* lost with its line */
    return message->call != SIZE_MAX && message->kind == MESSAGE_EVENT &&
           wire->calls[message->call].silent;
}

static void put(struct wire *wire, struct message *message)
{
    bool is_history = message->event.kind == EVENT_BAR && message->event.bar.is_history;
    if (!is_history)
        message->event.time_ns = wire->now_ns + wire->offset_ns;
    if (message->event.kind == EVENT_REPORT)
        message->event.report = &message->report;
    if (wire->watch.event)
        wire->watch.event(wire->watch.self, &message->event, message->fault);
    wire->sink.put(wire->sink.self, &message->event);
}

static void deliver_event(struct wire *wire, struct message *message)
{
    if (is_dead(wire, message))
        return;
    if (message->call != SIZE_MAX) {
        struct call *call = &wire->calls[message->call];
        if (call->silent)
            return;
        call->answered = true;
    }
    put(wire, message);
}

static void time_out(struct wire *wire, const struct message *message)
{
    struct call *call = &wire->calls[message->call];
    if (call->answered || call->silent || call->process != wire->process || !wire->attached)
        return;
    call->silent = true; /* what comes later is not listened to */
    struct message *said;
    if (call->kind == SEND_QUERY) {
        said = event_message(wire, EVENT_ANSWER, call->request.market);
        said->event.answer.ticket = call->ticket;
        text_copy(said->event.answer.reason, sizeof(said->event.answer.reason), "timed out");
    } else {
        said = report_message(wire, REPORT_DOUBT, call->request.market, call->request.client_id);
        text_copy(said->report.reason, sizeof(said->report.reason), "timed out");
    }
    put(wire, said);
    message_free(wire, said);
}

static void connection(struct wire *wire, bool up)
{
    struct message *message = event_message(wire, EVENT_CONNECTION, 0);
    message->event.connection.up = up;
    text_copy(message->event.connection.reason, sizeof(message->event.connection.reason),
              up ? "" : "lost");
    put(wire, message);
    message_free(wire, message);
}

static void deliver(struct wire *wire, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_REQUEST:
        if (wire->calls[message->call].kind == SEND_QUERY)
            arrive_query(wire, message->call);
        else
            arrive_order(wire, message->call);
        break;
    case MESSAGE_EVENT:
        deliver_event(wire, message);
        break;
    case MESSAGE_TIMEOUT:
        time_out(wire, message);
        break;
    case MESSAGE_DOWN:
        if (wire->attached && message->process == wire->process)
            connection(wire, false);
        break;
    case MESSAGE_UP:
        if (wire->attached && message->process == wire->process) {
            wire->outage = false;
            for (int i = 0; i < CHANNELS; i++)
                wire->down[i] = false;
            connection(wire, true);
        }
        break;
    }
}

/* ---- each second ---- */

static void push_connection(struct wire *wire, enum message_kind kind, int64_t due_ns)
{
    struct message *message = message_new(wire);
    message->kind = kind;
    message->channel = CHANNEL_REQUESTS;
    message->due_ns = due_ns;
    push(wire, message);
}

static void break_channel(struct wire *wire, enum channel channel)
{
    wire->down[channel] = true;
    wire->epoch[channel]++;
}

static void break_lines(struct wire *wire)
{
    bool all = rare_fault(wire, FAULT_DISCONNECT, ""),
         one = !all && rare_fault(wire, FAULT_PRIVATE_DOWN, "");
    bool unnoticed = !all && !one && rare_fault(wire, FAULT_HALF_OPEN, "");
    if (wire->outage || !(all || one || unnoticed))
        return;
    wire->outage = true;
    break_channel(wire, CHANNEL_PRIVATE);
    if (all) {
        break_channel(wire, CHANNEL_PUBLIC);
        wire->down[CHANNEL_REQUESTS] = true;
    }
    int64_t told =
        wire->now_ns + (unnoticed ? between(wire, NS_PER_SECOND, 20 * NS_PER_SECOND) : 1);
    push_connection(wire, MESSAGE_DOWN, told);
    push_connection(wire, MESSAGE_UP, told + between(wire, NS_PER_MS, 15 * NS_PER_SECOND));
}

static void break_market(struct wire *wire)
{
    static const struct {
        enum fault fault;
        enum market_mood mood;
        int64_t seconds;
    } moods[] = { { FAULT_CROSSED, MOOD_CROSSED, 10 },
                  { FAULT_TENFOLD, MOOD_TENFOLD, 3 },
                  { FAULT_QUIET, MOOD_SILENT, 90 },
                  { FAULT_BURST, MOOD_BURST, 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(moods); i++)
        if (rare_fault(wire, moods[i].fault, ""))
            exchange_mood(
                wire->exchange, (uint32_t)random_below(&wire->random, wire->exchange->market_count),
                moods[i].mood, wire->now_ns + between(wire, 1, moods[i].seconds) * NS_PER_SECOND);
    if (!wire->outage && !wire->down[CHANNEL_PUBLIC] && rare_fault(wire, FAULT_PUBLIC_DOWN, "")) {
        break_channel(wire, CHANNEL_PUBLIC);
        wire->public_back_ns = wire->now_ns + between(wire, 2, 30) * NS_PER_SECOND;
    }
    if (!wire->outage && wire->down[CHANNEL_PUBLIC] && wire->now_ns >= wire->public_back_ns)
        wire->down[CHANNEL_PUBLIC] = false;
}

static void note_overfill(struct wire *wire, const char *first_id, int64_t lots)
{
    wire->overfills = memory_grow(wire->overfills, &wire->overfill_capacity,
                                  wire->overfill_count + 1, sizeof(wire->overfills[0]));
    struct overfill *overfill = &wire->overfills[wire->overfill_count++];
    memcpy(overfill->first_id, first_id, sizeof(overfill->first_id));
    overfill->lots = lots;
}

static void overfill(struct wire *wire)
{
    struct exchange *exchange = wire->exchange;
    for (size_t i = exchange->order_count; i-- > 0;) {
        const struct exchange_order *order = &exchange->orders[i];
        if (order->status != EX_FILLED || order->client_id[0] != 'r' || order->reduce_only ||
            (exchange->profile.is_spot && order->side < 0))
            continue;
        if (fault(wire, FAULT_OVERFILL, order->client_id)) {
            int64_t lots = between(wire, 1, 5);
            note_overfill(wire, order->first_id, lots);
            exchange_fill_late(exchange, order->id, lots);
        }
        return;
    }
}

static const struct exchange_order *any_open(struct wire *wire)
{
    const struct exchange *exchange = wire->exchange;
    if (exchange->open_count == 0)
        return NULL;
    return exchange_order(exchange,
                          exchange->open[random_below(&wire->random, exchange->open_count)]);
}

/* One of the newest trades: what venues take back is fresh. */
static size_t a_trade(struct wire *wire)
{
    size_t count = wire->exchange->trade_count;
    return count ? count - 1 - random_below(&wire->random, count < 8 ? count : 8) : SIZE_MAX;
}

static const char *name_of_trade(const struct wire *wire, size_t trade)
{
    return exchange_order(wire->exchange, wire->exchange->trades[trade].order)->client_id;
}

static void stranger(struct wire *wire)
{
    struct exchange_request request = {
        .market = 0, .side = 1, .type = ORDER_LIMIT, .tif = TIF_GTC, .qty = 1, .price = 10
    };
    snprintf(request.client_id, sizeof(request.client_id), "hand-%" PRIu64, ++wire->strangers);
    exchange_submit(wire->exchange, &request);
}

static void act_unasked(struct wire *wire)
{
    struct exchange *exchange = wire->exchange;
    const struct exchange_order *order = any_open(wire);
    size_t trade = a_trade(wire);
    if (order && rare_fault(wire, FAULT_CANCEL_UNASKED, order->client_id))
        exchange_cancel_unasked(exchange, order->id);
    order = any_open(wire);
    if (order && !order->reduce_only && order->qty - order->cum > 2 &&
        rare_fault(wire, FAULT_RESTATE, order->client_id))
        exchange_restate(exchange, order->id, order->qty - 1);
    bool tells_trades = exchange->profile.tells_trades;
    bool long_enough =
        trade != SIZE_MAX && (!exchange->profile.is_spot || exchange->trades[trade].side < 0);
    if (tells_trades && long_enough && rare_fault(wire, FAULT_BUST, name_of_trade(wire, trade)))
        exchange_bust(exchange, trade);
    if (tells_trades && long_enough && rare_fault(wire, FAULT_CORRECT, name_of_trade(wire, trade)))
        exchange_correct(exchange, trade, exchange->trades[trade].qty,
                         exchange->trades[trade].price + between(wire, 1, 9));
    if (random_below(&wire->random, 20) == 0)
        overfill(wire);
    if (rare_fault(wire, FAULT_STRANGER, ""))
        stranger(wire);
}

static void tick(struct wire *wire)
{
    wire->tick_ns += NS_PER_SECOND;
    break_market(wire);
    if (wire->healed || !wire->attached)
        return;
    break_lines(wire);
    act_unasked(wire);
}

/* ---- time ---- */

static int64_t due(const struct wire *wire)
{
    int64_t at = exchange_due_ns(wire->exchange);
    if (wire->tick_ns < at)
        at = wire->tick_ns;
    if (wire->count > 0 && wire->heap[0]->due_ns < at)
        at = wire->heap[0]->due_ns;
    return at > wire->now_ns ? at : wire->now_ns;
}

static void advance_to(struct wire *wire, int64_t now_ns)
{
    wire->now_ns = now_ns;
    if (wire->tick_ns <= now_ns) {
        wire->exchange->now_ns = now_ns;
        tick(wire);
    } else if (wire->count > 0 && wire->heap[0]->due_ns <= now_ns) {
        wire->exchange->now_ns = now_ns;
        struct message *message = pop(wire);
        deliver(wire, message);
        message_free(wire, message);
    } else if (exchange_due_ns(wire->exchange) <= now_ns) {
        exchange_advance(wire->exchange, now_ns);
    }
}

void wire_run_alone(struct wire *wire, int64_t until_ns)
{
    ASSERT(!wire->attached);
    while (due(wire) <= until_ns)
        advance_to(wire, due(wire));
    wire->now_ns = until_ns;
}

/* ---- the port ---- */

static void set_now(struct wire *wire, int64_t now_ns)
{
    if (wire->running && now_ns - wire->offset_ns > wire->now_ns)
        wire->now_ns = now_ns - wire->offset_ns;
}

static size_t call_new(struct wire *wire, enum wire_send kind, uint32_t market,
                       const char *client_id)
{
    wire->calls = memory_grow(wire->calls, &wire->call_capacity, wire->call_count + 1,
                              sizeof(wire->calls[0]));
    struct call *call = &wire->calls[wire->call_count];
    memset(call, 0, sizeof(*call));
    call->kind = kind;
    call->process = wire->process;
    call->request.market = market;
    text_copy(call->request.client_id, sizeof(call->request.client_id), client_id);
    return wire->call_count++;
}

static void reject_at_the_door(struct wire *wire, size_t index)
{
    if (wire->calls[index].kind == SEND_QUERY)
        answer_end(wire, index, false, "429", 0);
    else
        answer_report(wire, index, kind_of_answer(wire->calls[index].kind, false),
                      wire->calls[index].request.client_id, NULL, "rate limit");
}

static void leave(struct wire *wire, size_t index)
{
    const char *id = wire->calls[index].request.client_id;
    struct message *late = message_new(wire);
    late->kind = MESSAGE_TIMEOUT;
    late->call = index;
    late->channel = CHANNEL_ANSWERS;
    late->due_ns = wire->now_ns + ANSWER_WITHIN;
    push(wire, late);
    if (fault(wire, FAULT_RATE_LIMIT, id)) {
        reject_at_the_door(wire, index);
        return;
    }
    if (fault(wire, FAULT_REQUEST_LOST, id))
        return;
    struct message *message = message_new(wire);
    message->kind = MESSAGE_REQUEST;
    message->call = index;
    send_message(wire, message, CHANNEL_REQUESTS, 0, true);
}

/* 1: go on, 0: the process ended here and nothing left, negative: it cannot be taken. */
static int may_leave(struct wire *wire, enum wire_send kind, const struct order *order,
                     const struct venue_query *query, decimal qty, decimal price, int64_t now_ns,
                     struct error *err)
{
    set_now(wire, now_ns);
    if (!wire->attached)
        return 0;
    if (wire->down[CHANNEL_REQUESTS])
        return error_set(err, ERROR_UNAVAILABLE, "no line to the venue");
    if (kind != SEND_QUERY && fault(wire, FAULT_REFUSED, order->client_order_id))
        return error_set(err, ERROR_UNAVAILABLE, "no free connection");
    bool left = true;
    if (wire->watch.send &&
        !wire->watch.send(wire->watch.self, kind, order, query, qty, price, &left)) {
        wire->attached = false;
        return left;
    }
    return 1;
}

static int64_t ticks_of(decimal price)
{
    int64_t ticks = 0;
    if (decimal_valid(price) && decimal_mantissa(price, PRICE_SCALE, &ticks) < 0)
        ASSERT(!"a price off the tick");
    return ticks;
}

static int64_t lots_of(decimal qty)
{
    int64_t lots = 0;
    if (decimal_valid(qty) && decimal_mantissa(qty, QTY_SCALE, &lots) < 0)
        ASSERT(!"a quantity off the lot");
    return lots;
}

static const struct venue_abilities *port_abilities(void *self, uint32_t instrument)
{
    (void)instrument;
    return &((struct wire *)self)->abilities;
}

static int port_submit(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct wire *wire = self;
    int code = may_leave(wire, SEND_SUBMIT, order, NULL, DECIMAL_NONE, DECIMAL_NONE, now_ns, err);
    if (code <= 0)
        return code;
    size_t index = call_new(wire, SEND_SUBMIT, order->instrument, order->current_client_order_id);
    struct exchange_request *request = &wire->calls[index].request;
    request->side = order->side == SIDE_BUY ? 1 : -1;
    request->type = order->type;
    request->tif = order->tif;
    request->post_only = order->post_only;
    request->reduce_only = order->reduce_only && wire->abilities.reduce_only;
    request->group = order->group_id;
    request->qty = lots_of(order->qty);
    request->price = ticks_of(order->price);
    request->trigger = ticks_of(order->trigger_price);
    request->expires_ns =
        order->expires_ns == TIME_NEVER ? TIME_NEVER : order->expires_ns - wire->offset_ns;
    leave(wire, index);
    return 0;
}

static int port_cancel(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct wire *wire = self;
    int code = may_leave(wire, SEND_CANCEL, order, NULL, DECIMAL_NONE, DECIMAL_NONE, now_ns, err);
    if (code <= 0)
        return code;
    leave(wire, call_new(wire, SEND_CANCEL, order->instrument, order->current_client_order_id));
    return 0;
}

static int port_amend(void *self, const struct order *order, decimal qty, decimal price,
                      int64_t now_ns, struct error *err)
{
    struct wire *wire = self;
    int code = may_leave(wire, SEND_AMEND, order, NULL, qty, price, now_ns, err);
    if (code <= 0)
        return code;
    size_t index = call_new(wire, SEND_AMEND, order->instrument, order->current_client_order_id);
    struct call *call = &wire->calls[index];
    call->qty = lots_of(qty);
    call->price = ticks_of(price);
    text_copy(call->new_id, sizeof(call->new_id), order->pending_client_order_id);
    leave(wire, index);
    return 0;
}

static int port_query(void *self, const struct venue_query *query, int64_t now_ns,
                      struct error *err)
{
    struct wire *wire = self;
    int code = may_leave(wire, SEND_QUERY, NULL, query, DECIMAL_NONE, DECIMAL_NONE, now_ns, err);
    if (code <= 0)
        return code;
    uint32_t market = query->instrument < wire->exchange->market_count ? query->instrument : 0;
    size_t index =
        call_new(wire, SEND_QUERY, market, query->client_order_id ? query->client_order_id : "");
    struct call *call = &wire->calls[index];
    call->query = query->kind;
    call->all_markets = query->instrument == INSTRUMENT_NONE;
    call->ticket = query->ticket;
    call->limit = query->limit;
    call->from_ns = query->from_ns;
    call->to_ns = query->to_ns;
    call->tf_ns = query->tf_ns;
    leave(wire, index);
    return 0;
}

static int64_t port_due(void *self)
{
    const struct wire *wire = self;
    return wire->attached && wire->running ? due(wire) + wire->offset_ns : TIME_NEVER;
}

static void port_advance(void *self, int64_t now_ns)
{
    struct wire *wire = self;
    if (wire->attached)
        advance_to(wire, now_ns - wire->offset_ns);
}

static void port_close(void *self)
{
    wire_detach(self);
}

/* ---- open, attach, close ---- */

struct wire *wire_open(const struct wire_options *options)
{
    struct wire *wire = memory_new(sizeof(*wire));
    const struct exchange_profile *profile = &options->exchange->profile;
    wire->exchange = options->exchange;
    wire->plan = options->plan;
    wire->watch = options->watch;
    wire->seed = options->seed;
    wire->now_ns = options->now_ns;
    wire->tick_ns = options->now_ns + NS_PER_SECOND;
    wire->asking = SIZE_MAX;
    random_seed(&wire->random, options->seed);
    wire->abilities = (struct venue_abilities){
        .types = profile->types,
        .tifs = profile->tifs,
        .oco = profile->oco,
        .reduce_only = profile->reduce_only,
        .amend = !profile->amends   ? AMEND_NONE
                 : profile->renames ? AMEND_NEW_ID
                                    : AMEND_IN_PLACE,
        .post_only = profile->post_only,
        .cash_is_spot = profile->is_spot,
        .answer_within_ns = 3 * ANSWER_WITHIN,
    };
    wire->exchange->listener = (struct exchange_listener){
        .self = wire, .news = on_news, .trade = on_trade, .quote = on_quote
    };
    return wire;
}

void wire_close(struct wire *wire)
{
    if (!wire)
        return;
    for (size_t i = 0; i < wire->count; i++)
        free(wire->heap[i]);
    for (size_t i = 0; i < wire->spare_count; i++)
        free(wire->spare[i]);
    free(wire->heap);
    free(wire->spare);
    free(wire->calls);
    free(wire->overfills);
    free(wire);
}

void wire_attach(struct wire *wire, struct event_sink sink, struct venue_port *out)
{
    wire->sink = sink;
    wire->attached = true;
    wire->running = false;
    wire->outage = false;
    wire->process++;
    for (int i = 0; i < CHANNELS; i++)
        wire->down[i] = false;
    push_connection(wire, MESSAGE_UP,
                    wire->now_ns + between(wire, 10 * NS_PER_MS, 500 * NS_PER_MS));
    *out = (struct venue_port){ .self = wire,
                                .abilities = port_abilities,
                                .submit = port_submit,
                                .amend = port_amend,
                                .cancel = port_cancel,
                                .query = port_query,
                                .due_ns = port_due,
                                .advance = port_advance,
                                .close = port_close };
}

void wire_set_offset(struct wire *wire, int64_t offset_ns)
{
    wire->offset_ns = offset_ns;
    wire->running = true;
}

void wire_detach(struct wire *wire)
{
    wire->attached = false;
    wire->running = false;
}

int64_t wire_now_ns(const struct wire *wire)
{
    return wire->now_ns;
}

void wire_heal(struct wire *wire)
{
    wire->healed = true;
}

int64_t wire_overfilled(const struct wire *wire, const char *first_id)
{
    int64_t sum = 0;
    for (size_t i = 0; i < wire->overfill_count; i++)
        if (strcmp(wire->overfills[i].first_id, first_id) == 0)
            sum += wire->overfills[i].lots;
    return sum;
}

size_t wire_pending(const struct wire *wire)
{
    return wire->count;
}
