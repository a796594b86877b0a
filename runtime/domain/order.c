/* order.c - the order state machine: one diagram, one table, one small function a step.
 *
 *     submitted
 *         |
 *  +------|------------------------------- open ----------------------------------------------+
 *  |      v           ack                 fill                                                |
 *  |  PENDING_NEW -----------> NEW --------------> PARTIALLY_FILLED <--+                      |
 *  |      |                     ^                    ^    ^      |     | fill                 |
 *  |      +------------------- fill -----------------+    |      +-----+                      |
 *  |                            +---- all busted ----------------+                            |
 *  +--------|--------------------|------------------------|--------------|-------------|------+
 *           | rejected,          | fill to qty, or        | replaced to  | canceled;   | expired
 *           | unfilled           | terms at or below      | more; bust   | rejected    |
 *           |                    | filled_qty             | (in doubt)   | once filled |
 *           v                    v                        |              v             v
 *        REJECTED              FILLED --------------------+          CANCELED       EXPIRED
 *        (a fill is booked       ^                                       |             |
 *        and suspect)            +------ late fills, if complete --------+-------------+
 *
 * A status is not an edge of its own: its sum is a fill, its word the report it stands for.
 *
 * Beside the known status stand two facts. `pending`: a cancel or replace we sent is not answered.
 * `doubt`: an answer is missing, and only the venue knows. A held order rests in the engine; all
 * that a venue says of one is refused, but for trades, which are booked and suspect.
 *
 * Where this says more than the matrices of FIX 4.4 do, and why:
 *   - a replace refused as too late leads to doubt as a cancel does: the order is gone, and how is
 *     not known (CxlRejReason 102 is one field for both);
 *   - a fill beyond the quantity, but within what a replace under way asks for, is no overfill: it
 *     proves that the replace was made, and its word is on the way;
 *   - the end of the old order while a replace makes a new one under another name is no end: only
 *     the new one's word is; a rejection of the new one ends the replace;
 *   - a status that tells an end with a sum below ours is old in its sum only: it is asked about,
 *     and the answer to that is the end;
 *   - a status that calls an order filled at another quantity, or answers a question with one,
 *     restates it: the report that did was lost;
 *   - a trade that an answer tells with other numbers than we booked was corrected: that word was
 *     lost;
 *   - a bust or correction of a trade that we lack is refused and told; so is the correction of a
 *     busted one.
 *
 * Invariants:
 *   1. A step works on a copy, which is kept whole or not at all.
 *   2. filled_qty, notional and fees are the sums of exactly the fills of the outcomes, reversals
 *      taken off. inferred_qty and inferred_notional are the part of them that only a cumulative
 *      report told; a real trade first takes back as much of it as it explains.
 *   3. A done order is in no doubt and has nothing pending, except a FILLED one whose replace is
 *      still on the way: the venue may have raised its quantity before it filled, and reopens it.
 *   4. The doubt of a new order ends with an ack or a fill. The doubt of a cancel or replace ends
 *      with its own answer or with the order: that the order lived a moment ago says nothing about
 *      them. A doubt with nothing pending (not found, canceled too late) ends with an ack, which is
 *      how a query says "it is working"; not with a fill, which may be older than the question.
 *   5. A cumulative quantity below what is booked is old news: it changes nothing, but for the end
 *      of an order in doubt that was asked for.
 *   6. ORDER_ASK is said when doubt begins, not after each failed answer (a caller would ask in a
 *      circle): whoever asks goes on while order->doubt is set. A restated FILLED order is not in
 *      doubt: that is a single question. */
#include "runtime/domain/order.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

/* ---- what the steps share ---- */

static bool is_positive(decimal a)
{
    return decimal_valid(a) && decimal_sign(a) > 0;
}

static bool is_price(decimal a) /* spreads and power trade below 0; 0 is an empty field */
{
    return decimal_valid(a) && decimal_sign(a) != 0;
}

static bool is_same(decimal a, decimal b) /* equal values are equal bytes; none equals none */
{
    return a.coefficient == b.coefficient && a.scale == b.scale;
}

static int filled_against_qty(const struct order *order)
{
    return decimal_cmp(order->filled_qty, order->qty);
}

/* A cancel or replace was answered. With nothing else under way no doubt is left, but for whether
 * the order arrived at all. */
static void settle(struct order *next, enum order_pending bit)
{
    if (!(next->pending & bit))
        return;
    next->pending &= ~(unsigned)bit;
    if (bit == PENDING_REPLACE) {
        next->pending_qty = next->pending_price = DECIMAL_NONE;
        next->pending_client_order_id[0] = '\0';
    }
    if (next->pending == PENDING_NONE && next->known != ORDER_PENDING_NEW)
        next->doubt = false;
}

static void finish(struct order *next, enum order_status status, const char *reason)
{
    next->known = status;
    settle(next, PENDING_CANCEL);
    if (status != ORDER_FILLED) /* invariant 3 */
        settle(next, PENDING_REPLACE);
    next->doubt = false;
    text_copy(next->reason, sizeof(next->reason), reason);
}

/* ---- the steps: each changes *next and answers with enum order_change bits ---- */

static int alert(struct order_outcome *out, const char *name) /* of two the first is told */
{
    if (!out->alert)
        out->alert = name;
    return ORDER_ALERT;
}

static int suspect(struct order_outcome *out, const char *name) /* before any alert */
{
    out->alert = name;
    return ORDER_ALERT | ORDER_SUSPECT;
}

/* A message that this order outlived: late or told twice. */
static int ignore(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)next, (void)report, (void)out;
    return ORDER_UNCHANGED;
}

static int acknowledge(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)report, (void)out;
    next->known = is_positive(next->filled_qty) ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
    if (next->pending == PENDING_NONE) /* invariant 4 */
        next->doubt = false;
    return ORDER_CHANGED;
}

/* The venue says again that an open order is working. */
static int confirm(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)report, (void)out;
    if (!next->doubt || next->pending != PENDING_NONE) /* invariant 4 */
        return ORDER_UNCHANGED;
    next->doubt = false;
    return ORDER_CHANGED;
}

/* The venue works an order it had rejected. The caller sends a cancel. */
static int revive(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)next, (void)report;
    return ORDER_REVIVED | alert(out, "bad_venue_data");
}

/* ---- booking: fills into the sums, and into the outcome ---- */

/* Adds a fill to the sums, or takes a reversal off. False when one of them would not fit. */
static bool book(struct order *next, const struct fill *fill, struct order_outcome *out)
{
    ASSERT(out->fill_count < ORDER_FILLS_MAX);
    out->fills[out->fill_count++] = *fill;
    bool off = fill->kind == FILL_REVERSAL;
    decimal (*sum)(decimal a, decimal b) = off ? decimal_sub : decimal_add;
    next->filled_qty = sum(next->filled_qty, fill->qty);
    next->notional = sum(next->notional, fill_notional(fill));
    next->fees = sum(next->fees, fill->fee);
    return decimal_valid(fill->price) && decimal_valid(next->filled_qty) &&
           decimal_valid(next->notional) && decimal_valid(next->fees); /* overflow is sticky */
}

/* As exact as 128 bits allow, up to ORDER_PRICE_DIGITS: a digit that does not fit is no reason to
 * lose sight of a fill. DECIMAL_NONE when not even whole numbers fit. */
static decimal price_from(decimal notional, decimal qty)
{
    decimal price = DECIMAL_NONE;
    for (int digits = ORDER_PRICE_DIGITS; digits >= 0 && !decimal_valid(price); digits--)
        price = decimal_div(notional, qty, digits, ROUND_HALF_EVEN);
    return price;
}

/* About total * part / whole; what it rounds off stays in the rest, so that nothing is lost. */
static decimal share_of(decimal total, decimal part, decimal whole)
{
    decimal share = DECIMAL_NONE;
    for (int digits = ORDER_PRICE_DIGITS; digits >= 0 && !decimal_valid(share); digits--) {
        decimal each = decimal_div(total, whole, digits, ROUND_HALF_EVEN);
        share = decimal_round(decimal_mul(each, part), digits, ROUND_HALF_EVEN);
    }
    return share;
}

/* What of a cumulative quantity at its average is not in `booked`. */
static decimal missing_notional(decimal cum_qty, decimal avg_price, decimal booked)
{
    decimal missing = DECIMAL_NONE;
    for (int digits = ORDER_PRICE_DIGITS; digits >= 0 && !decimal_valid(missing); digits--) {
        decimal average = decimal_round(avg_price, digits, ROUND_HALF_EVEN);
        missing = decimal_sub(decimal_mul(cum_qty, average), booked);
    }
    return missing;
}

/* A fill of our own making: its price follows from its notional. */
static struct fill make_fill(struct order *next, enum fill_kind kind, decimal qty, decimal notional,
                             int64_t transact_ns)
{
    struct fill fill = { .kind = kind,
                         .qty = qty,
                         .price = price_from(notional, qty),
                         .notional = notional,
                         .fee = DECIMAL_ZERO,
                         .transact_ns = transact_ns };
    snprintf(fill.exec_id, sizeof(fill.exec_id), "%s-%s-%u", fill_kind_name(kind),
             next->client_order_id, ++next->revision);
    return fill;
}

/* Takes back what a trade of `qty` explains of the part that only a sum told. Which inferred fills
 * that part came from is not kept: together they are worth what is left of it. *known is how much
 * was taken back. */
static int take_back_inferred(struct order *next, decimal qty, int64_t transact_ns, decimal *known,
                              struct order_outcome *out)
{
    *known = decimal_min(next->inferred_qty, qty);
    if (!is_positive(*known))
        return 0;
    bool whole = decimal_cmp(*known, next->inferred_qty) == 0;
    decimal notional = whole ? next->inferred_notional
                             : share_of(next->inferred_notional, *known, next->inferred_qty);
    struct fill fill = make_fill(next, FILL_REVERSAL, *known, notional, transact_ns);
    text_copy(fill.replaces, sizeof(fill.replaces), fill_kind_name(FILL_INFERRED));
    next->inferred_qty = decimal_sub(next->inferred_qty, *known);
    next->inferred_notional = decimal_sub(next->inferred_notional, notional);
    return book(next, &fill, out) ? 0 : ERROR_RANGE;
}

/* Books a trade. What of it a cumulative report had told before is taken back first, so that it
 * counts once; the rest is news. */
static int book_trade(struct order *next, const struct fill *fill, struct order_outcome *out)
{
    decimal known;
    int code = take_back_inferred(next, fill->qty, fill->transact_ns, &known, out);
    if (code == 0 && !book(next, fill, out))
        code = ERROR_RANGE;
    out->news = decimal_sub(fill->qty, known);
    return code;
}

/* Books what a cumulative report tells beyond the fills we have. Its notional is what is missing to
 * the average that the venue says. */
static int book_inferred(struct order *next, const struct report *report, struct order_outcome *out)
{
    decimal qty = decimal_sub(report->cum_qty, next->filled_qty);
    decimal notional = missing_notional(report->cum_qty, report->avg_price, next->notional);
    if (!decimal_valid(qty) || !decimal_valid(notional))
        return ERROR_RANGE;
    struct fill fill = make_fill(next, FILL_INFERRED, qty, notional, report->transact_ns);
    next->inferred_qty = decimal_add(next->inferred_qty, qty);
    next->inferred_notional = decimal_add(next->inferred_notional, notional);
    out->news = qty;
    return book(next, &fill, out) ? 0 : ERROR_RANGE;
}

/* ---- terms ---- */

static bool names_replacement(const struct order *order, const struct report *report)
{
    return order->pending_client_order_id[0] != '\0' &&
           strcmp(report->client_order_id, order->pending_client_order_id) == 0;
}

/* What the order will be when its replace is done. */
static decimal wanted_qty(const struct order *order)
{
    return is_positive(order->pending_qty) ? order->pending_qty : order->qty;
}

static decimal wanted_price(const struct order *order)
{
    return is_price(order->pending_price) ? order->pending_price : order->price;
}

/* New terms: as the report says; where it is silent, as asked for; else as they were. */
static void take_terms(struct order *next, decimal qty, decimal price)
{
    bool asked = next->pending & PENDING_REPLACE;
    if (is_positive(qty))
        next->qty = qty;
    else if (asked)
        next->qty = wanted_qty(next);
    if (is_price(price))
        next->price = price;
    else if (asked)
        next->price = wanted_price(next);
    if (next->pending_client_order_id[0] != '\0')
        memcpy(next->current_client_order_id, next->pending_client_order_id,
               sizeof(next->current_client_order_id));
    settle(next, PENDING_REPLACE);
}

/* ---- what the fills mean for the status ---- */

/* A fill beyond the quantity, but not beyond the one that a replace under way asks for: the venue
 * has made the replace, and its word is on the way. */
static void take_terms_that_filled(struct order *next)
{
    if (next->pending & PENDING_REPLACE && filled_against_qty(next) > 0 &&
        decimal_cmp(next->filled_qty, wanted_qty(next)) <= 0)
        take_terms(next, DECIMAL_NONE, DECIMAL_NONE);
}

/* Of an open order, or of a filled one whose terms were raised a moment ago. */
static int judge_open(struct order *next, struct order_outcome *out)
{
    if (next->known == ORDER_PENDING_NEW && next->pending == PENDING_NONE) /* invariant 4 */
        next->doubt = false;
    int against_qty = filled_against_qty(next);
    if (against_qty >= 0)
        finish(next, ORDER_FILLED, "");
    else
        next->known = ORDER_PARTIALLY_FILLED;
    return against_qty > 0 ? suspect(out, "overfill") : 0;
}

/* After the end that a cancel or a clock made: the two raced, and the money moved. */
static int judge_late(struct order *next, struct order_outcome *out)
{
    int against_qty = filled_against_qty(next);
    if (against_qty >= 0)
        finish(next, ORDER_FILLED, "");
    return against_qty > 0 ? suspect(out, "overfill") : alert(out, "late_fill");
}

static int judge(struct order *next, struct order_outcome *out)
{
    bool is_news = is_positive(out->news); /* not a trade that a sum had told before */
    int said = 0;
    take_terms_that_filled(next);
    if (next->known == ORDER_REJECTED) /* a venue that fills what it rejected */
        said = is_news ? suspect(out, "late_fill") : 0;
    else if (next->known == ORDER_CANCELED || next->known == ORDER_EXPIRED)
        said = is_news ? judge_late(next, out) : 0;
    else if (order_is_open(next) || is_news)
        said = judge_open(next, out);
    return ORDER_CHANGED | ORDER_BOOKED | said;
}

/* The answer is on its way or lost, or the order is. */
static int begin_doubt(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)report, (void)out;
    if (next->doubt)
        return ORDER_UNCHANGED; /* being asked already: invariant 6 */
    next->doubt = true;
    return ORDER_CHANGED | ORDER_ASK;
}

/* Whether this end follows from what was sent: a cancel, a tif that ends by itself, a market order,
 * whose rest never stays, or a group, whose other member filled. */
static bool is_end_asked(const struct order *order, enum report_kind kind)
{
    if ((order->pending & PENDING_CANCEL) || order->group_id != 0)
        return true;
    if (order->type == ORDER_MARKET || order->tif == TIF_IOC || order->tif == TIF_FOK)
        return true;
    return kind == REPORT_EXPIRED && order->tif != TIF_GTC;
}

/* A venue that renames replaced orders ends the old one to make the new one: only the new one's
 * word says how it went, and the old one's end may come after it, or again. */
static bool is_half_of_a_replace(const struct order *order, const struct report *report)
{
    const char *now = order->current_client_order_id;
    if (order->pending_client_order_id[0] != '\0')
        return !names_replacement(order, report);
    return now[0] != '\0' && report->client_order_id[0] != '\0' &&
           strcmp(report->client_order_id, now) != 0;
}

/* Canceled or expired before it was acknowledged: what venues do with an IOC that finds nothing. */
static int end_new(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (is_half_of_a_replace(next, report))
        return begin_doubt(next, report, out);
    if (names_replacement(next, report))
        take_terms(next, DECIMAL_NONE, DECIMAL_NONE);
    finish(next, report->kind == REPORT_EXPIRED ? ORDER_EXPIRED : ORDER_CANCELED, report->reason);
    return ORDER_CHANGED;
}

static int end_live(struct order *next, const struct report *report, struct order_outcome *out)
{
    bool asked = is_end_asked(next, report->kind);
    int change = end_new(next, report, out);
    return change | (asked || order_is_open(next) ? 0 : alert(out, "unsolicited_cancel"));
}

/* The new order of a replace was rejected. Whether the old one still works is another question. */
static int reject_replacement(struct order *next, const struct report *report,
                              struct order_outcome *out)
{
    settle(next, PENDING_REPLACE);
    return ORDER_CHANGED | begin_doubt(next, report, out);
}

static int reject_new(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (names_replacement(next, report))
        return reject_replacement(next, report, out);
    finish(next, ORDER_REJECTED, report->reason);
    return ORDER_CHANGED;
}

/* Rejected after it was accepted. What has filled cannot be rejected: then only the rest ended. */
static int reject_live(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (names_replacement(next, report))
        return reject_replacement(next, report, out);
    finish(next, is_positive(next->filled_qty) ? ORDER_CANCELED : ORDER_REJECTED, report->reason);
    return ORDER_CHANGED | alert(out, "unsolicited_cancel");
}

/* A time-out concerns a resting order only while it has something under way. */
static int doubt_in_flight(struct order *next, const struct report *report,
                           struct order_outcome *out)
{
    return next->pending == PENDING_NONE ? ORDER_UNCHANGED : begin_doubt(next, report, out);
}

/* Whether a cancel or replace was refused because the order is gone, and the message that says how
 * is late or lost. FIX 102=0 "too late to cancel" and 102=1 "unknown order", as venues spell them.
 */
static bool is_gone(const char *reason)
{
    static const char *const words[] = { "too late",      "too_late",  "toolate",   "unknown order",
                                         "unknown_order", "not found", "not_found", "not exist",
                                         "already",       "filled" };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasestr(reason, words[i]))
            return true;
    return false;
}

/* A cancel or replace was refused: the order works on, or it is gone and how is not yet known. */
static int refuse(struct order *next, const struct report *report, enum order_pending bit)
{
    if (!(next->pending & bit))
        return ORDER_UNCHANGED; /* told twice */
    settle(next, bit);
    if (!is_gone(report->reason))
        return ORDER_CHANGED;
    next->doubt = true;
    return ORDER_CHANGED | ORDER_ASK;
}

static int reject_cancel(struct order *next, const struct report *report, struct order_outcome *out)
{
    (void)out;
    return refuse(next, report, PENDING_CANCEL);
}

static int reject_replace(struct order *next, const struct report *report,
                          struct order_outcome *out)
{
    (void)out;
    return refuse(next, report, PENDING_REPLACE);
}

static bool has_terms(const struct order *order, const struct report *report)
{
    return is_same(report->qty, order->qty) && is_same(report->price, order->price);
}

/* A replace before the one under way, told late or again: under another name, where the venue
 * renames, or with the terms that the order has already while others are asked for. */
static bool is_of_an_earlier_replace(const struct order *order, const struct report *report)
{
    if (order->pending_client_order_id[0] != '\0' && report->client_order_id[0] != '\0')
        return !names_replacement(order, report);
    bool asks_the_same =
        is_same(wanted_qty(order), order->qty) && is_same(wanted_price(order), order->price);
    return has_terms(order, report) && !asks_the_same;
}

static int replace_terms(struct order *next, const struct report *report, struct order_outcome *out)
{
    bool asked = next->pending & PENDING_REPLACE;
    decimal qty = next->qty;
    decimal price = next->price;

    if (asked && is_of_an_earlier_replace(next, report))
        return ORDER_UNCHANGED;
    take_terms(next, report->qty, report->price);
    if (!asked && is_same(next->qty, qty) && is_same(next->price, price))
        return ORDER_UNCHANGED; /* told twice, on two channels */
    if (filled_against_qty(next) >= 0)
        finish(next, ORDER_FILLED, "");
    return ORDER_CHANGED | (asked ? 0 : alert(out, "unsolicited_replace"));
}

/* The order filled while its replace was under way, and the venue had raised the quantity. Unasked
 * it would bring a finished order back to life: refused. */
static int reopen(struct order *next, const struct report *report, struct order_outcome *out)
{
    bool asked = next->pending & PENDING_REPLACE;

    if (asked && is_of_an_earlier_replace(next, report))
        return ORDER_UNCHANGED;
    take_terms(next, report->qty, report->price);
    if (filled_against_qty(next) >= 0)
        return ORDER_COUNTED;
    if (!asked)
        return ORDER_COUNTED | alert(out, "unsolicited_replace");
    next->known = ORDER_PARTIALLY_FILLED;
    return ORDER_CHANGED;
}

/* The venue changed the quantity of its own accord. */
static int restate(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (is_same(next->qty, report->qty))
        return ORDER_UNCHANGED; /* brokers restate what rests each morning (FIX 378=1) */
    next->qty = report->qty;
    if (filled_against_qty(next) >= 0)
        finish(next, ORDER_FILLED, "");
    return ORDER_CHANGED | alert(out, "restated");
}

static int restate_filled(struct order *next, const struct report *report,
                          struct order_outcome *out)
{
    (void)next, (void)report;
    return alert(out, "restated") | ORDER_ASK;
}

/* ---- how it stands: the answer to a query, or a stream that tells sums instead of trades ---- */

static bool is_live(enum order_status status)
{
    return status <= ORDER_PARTIALLY_FILLED;
}

/* Whether it stands as a replace under way asked for: under the new name, or with a term that only
 * the replace gave it, and none that contradicts. */
static bool shows_replaced(const struct order *order, const struct report *report)
{
    decimal qty = wanted_qty(order);
    decimal price = wanted_price(order);
    if (!(order->pending & PENDING_REPLACE))
        return false;
    if (order->pending_client_order_id[0] != '\0')
        return names_replacement(order, report);
    if ((is_positive(report->qty) && !is_same(report->qty, qty)) ||
        (is_price(report->price) && !is_same(report->price, price)))
        return false;
    return (is_positive(report->qty) && !is_same(qty, order->qty)) ||
           (is_price(report->price) && !is_same(price, order->price));
}

/* Where a status tells less than is booked it is old. */
static bool is_stale(const struct order *order, const struct report *report)
{
    return decimal_valid(report->cum_qty) && decimal_cmp(report->cum_qty, order->filled_qty) < 0;
}

/* Whether the venue has changed the quantity and its word for it was lost: it calls the order
 * filled at another quantity, or answers a question with one. What was pushed may be older than the
 * terms we have, and so may anything while a replace is under way. */
static bool shows_restated(const struct order *order, const struct report *report)
{
    if (!order_is_open(order) || is_stale(order, report) || !is_positive(report->qty) ||
        is_same(report->qty, order->qty))
        return false;
    if (report->status == ORDER_FILLED)
        return is_same(report->qty, report->cum_qty);
    return is_live(report->status) && report->ticket != 0 && !(order->pending & PENDING_REPLACE);
}

/* What the status says about terms comes first: fills are judged against them. */
static int status_terms(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (!shows_replaced(next, report))
        return shows_restated(next, report) ? restate(next, report, out) : ORDER_UNCHANGED;
    take_terms(next, report->qty, report->price);
    if (filled_against_qty(next) < 0 && next->known == ORDER_FILLED)
        next->known = ORDER_PARTIALLY_FILLED; /* invariant 3 */
    else if (filled_against_qty(next) >= 0)
        finish(next, ORDER_FILLED, "");
    return ORDER_CHANGED;
}

/* More is filled than we have, and nobody says for how much. */
static bool lacks_average(const struct order *order, const struct report *report)
{
    return decimal_valid(report->cum_qty) && !is_price(report->avg_price) &&
           decimal_cmp(report->cum_qty, order->filled_qty) > 0;
}

static int status_without_average(struct order *next, const struct report *report,
                                  struct order_outcome *out)
{
    return alert(out, "bad_venue_data") |
           (order_is_open(next) ? begin_doubt(next, report, out) : ORDER_ASK);
}

static int status_of_open(struct order *next, const struct report *report,
                          struct order_outcome *out)
{
    struct report end = *report;
    end.kind = report->status == ORDER_EXPIRED ? REPORT_EXPIRED : REPORT_CANCELED;
    bool is_new = next->known == ORDER_PENDING_NEW;
    switch (report->status) {
    case ORDER_CANCELED:
    case ORDER_EXPIRED:
        return is_new ? end_new(next, &end, out) : end_live(next, &end, out);
    case ORDER_REJECTED:
        return is_new ? reject_new(next, report, out) : reject_live(next, report, out);
    case ORDER_FILLED: /* and yet less than its quantity: only asking again can tell */
        return begin_doubt(next, report, out) | alert(out, "bad_venue_data");
    case ORDER_PENDING_NEW:
        return confirm(next, report, out);
    default:
        return is_new ? acknowledge(next, report, out) : confirm(next, report, out);
    }
}

/* It works at the venue and is done for us: of a rejected order that cannot be; of another the
 * answer may be older than its end, and whoever compares the lists looks twice. */
static int status_of_done(struct order *next, const struct report *report,
                          struct order_outcome *out)
{
    bool undead = is_live(report->status) && next->known == ORDER_REJECTED;
    return undead ? revive(next, report, out) : ORDER_UNCHANGED;
}

/* An order in doubt was asked about, and it is over: that the sum is less than ours means that a
 * trade was taken back unheard. What is booked too much shows in the position. */
static bool is_final_answer(const struct order *order, const struct report *report)
{
    return order->doubt && report->ticket != 0 &&
           (report->status == ORDER_CANCELED || report->status == ORDER_EXPIRED);
}

/* Invariant 5: the sum is old. An end is no old news of an open order: it is asked about. */
static int status_stale(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (!order_is_open(next) || is_live(report->status))
        return ORDER_UNCHANGED;
    return is_final_answer(next, report) ? status_of_open(next, report, out)
                                         : begin_doubt(next, report, out);
}

/* The part of the sum that is new. */
static int status_sum(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (!decimal_valid(report->cum_qty) || decimal_cmp(report->cum_qty, next->filled_qty) <= 0)
        return ORDER_UNCHANGED;
    int code = book_inferred(next, report, out);
    return code < 0 ? code : judge(next, out);
}

static int status(struct order *next, const struct report *report, struct order_outcome *out)
{
    int change = status_terms(next, report, out);
    if (is_stale(next, report))
        return change | status_stale(next, report, out);
    if (lacks_average(next, report))
        return change | status_without_average(next, report, out);
    int booked = status_sum(next, report, out);
    if (booked < 0)
        return booked;
    change |= booked;
    return change | (order_is_open(next) ? status_of_open(next, report, out)
                                         : status_of_done(next, report, out));
}

/* ---- trades that were not, or not so ---- */

/* After trades were taken back or changed: a filled order lives again where it is no longer full,
 * and only the venue knows whether it really does. */
static int judge_again(struct order *next)
{
    int change = ORDER_CHANGED | ORDER_BOOKED | ORDER_ALERT;
    take_terms_that_filled(next);
    if (next->known == ORDER_REJECTED)
        return change;
    int against_qty = filled_against_qty(next);
    if (against_qty >= 0) {
        finish(next, ORDER_FILLED, "");
        return change | (against_qty > 0 ? ORDER_SUSPECT : 0);
    }
    if (next->known == ORDER_FILLED) {
        next->doubt = true;
        change |= ORDER_ASK;
    }
    if (next->known == ORDER_FILLED || order_is_open(next))
        next->known = is_positive(next->filled_qty) ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
    return change;
}

/* Not a trade that the books lack, or that is another order's. */
static bool is_known_trade(const struct order *order, const struct report *report)
{
    return report->booked_state != BOOKED_NOT &&
           decimal_cmp(report->booked.qty, order->filled_qty) <= 0;
}

static int reverse(struct order *next, const struct fill *booked, int64_t transact_ns,
                   struct order_outcome *out)
{
    struct fill fill =
        make_fill(next, FILL_REVERSAL, booked->qty, fill_notional(booked), transact_ns);
    fill.price = booked->price;
    fill.fee = booked->fee;
    fill.liquidity = booked->liquidity;
    memcpy(fill.replaces, booked->exec_id, sizeof(fill.replaces));
    return book(next, &fill, out) ? 0 : ERROR_RANGE;
}

static int bust(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (report->booked_state == BOOKED_REVERSED)
        return ORDER_UNCHANGED; /* told twice */
    if (!is_known_trade(next, report))
        return ORDER_COUNTED | alert(out, "trade_bust");
    int code = reverse(next, &report->booked, report->transact_ns, out);
    if (code < 0)
        return code;
    alert(out, "trade_bust");
    return judge_again(next);
}

/* What the trade really was. Its own id is taken by the row that was wrong; `replaces` keeps it, so
 * that a second word on the same trade finds this row. */
static struct fill make_truth(struct order *next, const struct report *report)
{
    struct fill truth = report->fill;
    truth.kind = FILL_TRADE;
    if (!decimal_valid(truth.fee)) /* not said */
        truth.fee = report->booked.fee;
    if (report->transact_ns != 0) /* tells an older correction, told again, from a newer one */
        truth.transact_ns = report->transact_ns;
    memcpy(truth.replaces, report->fill.exec_id, sizeof(truth.replaces));
    snprintf(truth.exec_id, sizeof(truth.exec_id), "%s-%s-%u", report_kind_name(REPORT_CORRECT),
             next->client_order_id, ++next->revision);
    return truth;
}

/* Where the trade grew, a sum may have told it before: that counts once, as with any trade. */
static int correct_booked(struct order *next, const struct report *report, const struct fill *truth,
                          struct order_outcome *out)
{
    decimal more = decimal_sub(truth->qty, report->booked.qty);
    decimal known;
    int code = reverse(next, &report->booked, report->transact_ns, out);
    if (code == 0)
        code = take_back_inferred(next, more, report->transact_ns, &known, out);
    if (code == 0 && !book(next, truth, out))
        code = ERROR_RANGE;
    return code;
}

/* Told as it was booked. A silent fee is the one we have. */
static bool is_as_booked(const struct fill *fill, const struct fill *booked)
{
    return is_same(fill->qty, booked->qty) && is_same(fill->price, booked->price) &&
           (!decimal_valid(fill->fee) || is_same(fill->fee, booked->fee));
}

static int correct(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (report->booked_state == BOOKED_REVERSED || !is_known_trade(next, report))
        return ORDER_COUNTED | alert(out, "trade_correct"); /* what was busted stays so */
    if (report->transact_ns != 0 && report->transact_ns < report->booked.transact_ns)
        return ORDER_UNCHANGED; /* a newer one came before it */
    if (is_as_booked(&report->fill, &report->booked))
        return ORDER_UNCHANGED; /* told twice */
    struct fill truth = make_truth(next, report);
    int code = correct_booked(next, report, &truth, out);
    if (code < 0)
        return code;
    alert(out, "trade_correct");
    return judge_again(next);
}

/* A trade that is booked, told again. Where we asked for it and its numbers are others, its
 * correction was lost. What is pushed again, or is older, may be from before a correction. */
static int fill_again(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (report->booked_state == BOOKED_REVERSED || report->ticket == 0 ||
        is_as_booked(&report->fill, &report->booked))
        return ORDER_UNCHANGED;
    struct report word = *report;
    word.transact_ns = report->fill.transact_ns;
    return correct(next, &word, out);
}

/* A trade, whatever the status: the truth about holdings beats tidiness. */
static int fill(struct order *next, const struct report *report, struct order_outcome *out)
{
    if (report->booked_state != BOOKED_NOT)
        return fill_again(next, report, out);
    struct fill trade = report->fill;
    trade.kind = FILL_TRADE;
    trade.replaces[0] = '\0';
    if (!decimal_valid(trade.fee)) /* not said */
        trade.fee = DECIMAL_ZERO;
    int code = book_trade(next, &trade, out);
    return code < 0 ? code : judge(next, out);
}

/* ---- the table ---- */

#define STATUSES (ORDER_EXPIRED + 1)
#define KINDS (REPORT_DOUBT + 1)
#define none NULL /* not legal: counted, nothing changes */

/* The columns are the known statuses in their order. */
/* clang-format off */
static int (*const STEPS[KINDS][STATUSES])(struct order *next, const struct report *report, struct order_outcome *out) = {
    /*                          PENDING_NEW  NEW              PARTIALLY_FILLED FILLED          CANCELED   REJECTED EXPIRED */
    [REPORT_ACK]            = { acknowledge, confirm,         confirm,         ignore,         ignore,    revive,  ignore },
    [REPORT_FILL]           = { fill,        fill,            fill,            fill,           fill,      fill,    fill },
    [REPORT_CANCELED]       = { end_new,     end_live,        end_live,        ignore,         ignore,    none,    ignore },
    [REPORT_EXPIRED]        = { end_new,     end_live,        end_live,        ignore,         ignore,    none,    ignore },
    [REPORT_REJECTED]       = { reject_new,  reject_live,     reject_live,     none,           none,      ignore,  none },
    [REPORT_CANCEL_REJECT]  = { none,        reject_cancel,   reject_cancel,   ignore,         ignore,    ignore,  ignore },
    [REPORT_REPLACED]       = { none,        replace_terms,   replace_terms,   reopen,         none,      none,    none },
    [REPORT_REPLACE_REJECT] = { none,        reject_replace,  reject_replace,  ignore,         ignore,    ignore,  ignore },
    [REPORT_RESTATED]       = { restate,     restate,         restate,         restate_filled, none,      none,    none },
    [REPORT_STATUS]         = { status,      status,          status,          status,         status,    status,  status },
    [REPORT_BUST]           = { none,        bust,            bust,            bust,           bust,      bust,    bust },
    [REPORT_CORRECT]        = { none,        correct,         correct,         correct,        correct,   correct, correct },
    [REPORT_NOT_FOUND]      = { begin_doubt, begin_doubt,     begin_doubt,     ignore,         ignore,    ignore,  ignore },
    [REPORT_DOUBT]          = { begin_doubt, doubt_in_flight, doubt_in_flight, ignore,         ignore,    ignore,  ignore },
};
/* clang-format on */
#undef none

/* Whether the report's numbers can be true at all. */
static bool is_sound(const struct report *report)
{
    switch (report->kind) {
    case REPORT_FILL:
    case REPORT_CORRECT:
        return is_positive(report->fill.qty) && decimal_valid(report->fill.price);
    case REPORT_STATUS: /* a sum below zero, or a status that no venue can know */
        return (!decimal_valid(report->cum_qty) || decimal_sign(report->cum_qty) >= 0) &&
               report->status <= ORDER_EXPIRED;
    case REPORT_REPLACED: /* a venue may be silent about what did not change */
        return !decimal_valid(report->qty) || is_positive(report->qty);
    case REPORT_RESTATED:
        return is_positive(report->qty);
    default:
        return true;
    }
}

/* The venue's id comes with the first message that has one; some venues give another to a replaced
 * order. True when it is news. */
static bool learn_venue_order_id(const struct order *order, struct order *next,
                                 const struct report *report)
{
    bool replaced = order->pending & ~next->pending & PENDING_REPLACE;
    bool may_differ =
        report->kind == REPORT_REPLACED || (replaced && report->kind == REPORT_STATUS);
    if (report->venue_order_id[0] == '\0' || (next->venue_order_id[0] != '\0' && !may_differ) ||
        strcmp(next->venue_order_id, report->venue_order_id) == 0)
        return false;
    text_copy(next->venue_order_id, sizeof(next->venue_order_id), report->venue_order_id);
    return true;
}

int order_apply(struct order *order, const struct report *report, int64_t now_ns,
                struct order_outcome *outcome, struct error *err)
{
    ASSERT((unsigned)report->kind < KINDS && (unsigned)order->known < STATUSES);
    *outcome = (struct order_outcome){ .news = DECIMAL_ZERO };

    bool is_about_trades = report->kind == REPORT_FILL || report->kind == REPORT_BUST ||
                           report->kind == REPORT_CORRECT;
    if (!STEPS[report->kind][order->known] || (order->held && !is_about_trades))
        return ORDER_COUNTED; /* of a held order the venue knows nothing */
    if (!is_sound(report))
        return ORDER_COUNTED | alert(outcome, "bad_venue_data");

    struct order next = *order;
    int change = STEPS[report->kind][order->known](&next, report, outcome);
    if (change < 0) {
        *outcome = (struct order_outcome){ .news = DECIMAL_ZERO };
        return error_set(err, change, "order %s: %s %s is too large to add to what is filled",
                         order->client_order_id, report_kind_name(report->kind),
                         report->fill.exec_id);
    }
    if (change & ORDER_COUNTED)
        return change;
    if (order->held && change & ORDER_BOOKED)
        change |= suspect(outcome, "bad_venue_data");
    if (order->held && !order->doubt) { /* nobody can be asked about it */
        next.doubt = false;
        change &= ~ORDER_ASK;
    }
    if (learn_venue_order_id(order, &next, report))
        change |= ORDER_CHANGED;
    if (change & ORDER_CHANGED) {
        next.updated_ns = now_ns;
        if (next.doubt != order->doubt)
            next.doubt_since_ns = next.doubt ? now_ns : 0;
        *order = next;
    }
    return change;
}

/* ---- what we do to it ---- */

void order_mark_cancel(struct order *order, int64_t now_ns)
{
    ASSERT(order_is_open(order));
    order->pending |= PENDING_CANCEL;
    order->updated_ns = now_ns;
}

void order_mark_replace(struct order *order, decimal qty, decimal price, const char *new_id,
                        int64_t now_ns)
{
    ASSERT(order_is_open(order));
    order->pending |= PENDING_REPLACE;
    order->pending_qty = qty;
    order->pending_price = price;
    text_copy(order->pending_client_order_id, sizeof(order->pending_client_order_id), new_id);
    order->updated_ns = now_ns;
}

void order_hold(struct order *order, int64_t now_ns)
{
    ASSERT(order_is_open(order));
    order->held = true;
    order->known = ORDER_NEW;
    order->updated_ns = now_ns;
}

void order_end_held(struct order *order, enum order_status end, const char *reason, int64_t now_ns)
{
    ASSERT(order->held && order_is_open(order));
    order->held = false;
    finish(order, end, reason);
    order->updated_ns = now_ns;
}

void order_release(struct order *order, int64_t now_ns)
{
    ASSERT(order->held && order_is_open(order));
    order->held = false;
    order->known = ORDER_PENDING_NEW;
    order->updated_ns = now_ns;
}

void order_give_up(struct order *order, const char *reason, int64_t now_ns)
{
    ASSERT(order_is_open(order));
    bool arrived = order->known != ORDER_PENDING_NEW || is_positive(order->filled_qty);
    finish(order, arrived ? ORDER_CANCELED : ORDER_REJECTED, reason);
    order->doubt_since_ns = 0;
    order->updated_ns = now_ns;
}

void order_forget_replace(struct order *order, int64_t now_ns)
{
    settle(order, PENDING_REPLACE);
    if (!order->doubt)
        order->doubt_since_ns = 0;
    order->updated_ns = now_ns;
}

bool order_mark_doubt(struct order *order, int64_t now_ns)
{
    ASSERT(order_is_open(order));
    if (order->doubt)
        return false;
    order->doubt = true;
    order->doubt_since_ns = order->updated_ns = now_ns;
    return true;
}
