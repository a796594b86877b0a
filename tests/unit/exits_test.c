/* exits_test.c - the stop and take of protected entries: they follow what is held, whatever
 * happens.
 *
 * Most claims hold on both kinds of venue, where a group of orders is linked (oco) and where not
 * (then the stop rests there and the take is watched by the engine), and for both sides: `each`
 * runs a test on all four. Prices are given for a long entry at 100 with
 * its stop at 90 and its take at 120; a short's are mirrored at 100. */
#include "tests/unit/fakes.h"

#include "runtime/base/random.h"

#define A 0
#define BIT(x) (1u << (x))

struct case_of {
    bool oco;
    enum order_side side; /* of the entry */
};

static struct stage *stage_of(struct case_of c)
{
    struct stage *s = stage_new(NULL);
    stage_add(s, instance_defaults());
    s->abilities.oco = s->abilities.reduce_only = c.oco;
    s->quiet = true;
    trade(s, BTC, "100");
    s->quiet = false;
    return s;
}

static void each(void (*test)(struct stage *s, struct case_of c))
{
    for (int i = 0; i < 4; i++) {
        struct case_of c = { .oco = i & 1, .side = i & 2 ? SIDE_BUY : SIDE_SELL };
        struct stage *s = stage_of(c);
        test(s, c);
        stage_free(s);
    }
}

static enum order_side out_of(struct case_of c)
{
    return c.side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

static const char *stop_price(struct case_of c)
{
    return c.side == SIDE_BUY ? "90" : "110";
}

static const char *take_price(struct case_of c)
{
    return c.side == SIDE_BUY ? "120" : "80";
}

/* A market entry with both exits, not yet filled. */
static uint64_t enter(struct stage *s, struct case_of c, const char *qty)
{
    struct order_request request = request_of(c.side, qty);
    request.stop = D(stop_price(c));
    request.take = D(take_price(c));
    request.stop_on = TRIGGER_MARK;
    text_copy(request.tag, sizeof(request.tag), "entry");
    uint64_t id = submit(s, A, request);
    assert_true(id != 0);
    tell(s, id, REPORT_ACK);
    return id;
}

/* The open exit of an entry in this role; NULL when there is none. Two of them are a bug. */
struct looking {
    uint64_t entry_id;
    enum order_role role;
    const struct order *found;
};

static bool look(void *self, const struct order *order)
{
    struct looking *looking = self;
    if (order->parent_order_id == looking->entry_id && order->role == looking->role) {
        assert_null(looking->found);
        looking->found = order;
    }
    return true;
}

static const struct order *exit_of(struct stage *s, uint64_t entry_id, enum order_role role)
{
    struct looking looking = { entry_id, role, NULL };
    engine_each_order(s->engine, A, false, look, &looking);
    return looking.found;
}

static const struct order *stop_of(struct stage *s, uint64_t entry_id)
{
    return exit_of(s, entry_id, ROLE_STOP);
}

static const struct order *take_of(struct stage *s, uint64_t entry_id)
{
    return exit_of(s, entry_id, ROLE_TAKE);
}

static void ack_exits(struct stage *s, uint64_t entry_id)
{
    const struct order *order = stop_of(s, entry_id);
    if (order)
        tell(s, order->order_id, REPORT_ACK);
    if ((order = take_of(s, entry_id)) != NULL)
        tell(s, order->order_id, REPORT_ACK);
}

/* Entry filled, both exits rest. */
static uint64_t entered(struct stage *s, struct case_of c, const char *qty)
{
    uint64_t id = enter(s, c, qty);
    fill(s, id, qty, "100");
    ack_exits(s, id);
    return id;
}

/* Answers a resize that was asked of an exit, and says what it asked for. One that the engine
 * watches is resized already. */
static void assert_resized(struct stage *s, uint64_t order_id, const char *qty)
{
    const struct order *order = order_at(s, order_id);
    if (order->held) {
        assert_decimal(order->qty, qty);
        return;
    }
    assert_string_equal(order_status_name(order_status(order)), "pending_replace");
    assert_decimal(order->pending_qty, qty);
    tell(s, order_id, REPORT_REPLACED);
    assert_decimal(order_at(s, order_id)->qty, qty);
}

static void assert_canceling(struct stage *s, uint64_t order_id)
{
    assert_string_equal(status_of(s, order_id), "pending_cancel");
}

static bool was_sent(const struct stage *s, uint64_t order_id)
{
    for (size_t i = 0; i < s->sent_count; i++)
        if (s->sent[i].order.order_id == order_id)
            return true;
    return false;
}

/* Canceled, or asked to be; one that the venue never saw is gone at once. */
static void end_exit(struct stage *s, uint64_t order_id)
{
    if (!was_sent(s, order_id)) {
        assert_string_equal(status_of(s, order_id), "canceled");
        return;
    }
    assert_canceling(s, order_id);
    tell(s, order_id, REPORT_CANCELED);
}

/* The take's price is there: where the engine watches it the stop goes first. */
static void reach_take(struct stage *s, struct case_of c, uint64_t entry_id)
{
    if (c.oco)
        return;
    trade(s, BTC, take_price(c));
    const struct order *stop = stop_of(s, entry_id);
    assert_canceling(s, stop->order_id);
    assert_true(take_of(s, entry_id)->held);
    tell(s, stop->order_id, REPORT_CANCELED);
    assert_string_equal(status_of(s, take_of(s, entry_id)->order_id), "pending_new");
    tell(s, take_of(s, entry_id)->order_id, REPORT_ACK);
}

/* ---- placed, grown ------------------------------------------------------------------------------
 */

static void check_placed(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "3");
    assert_null(stop_of(s, id)); /* nothing is held: nothing is protected */
    text_clear(&s->script);
    fill(s, id, "2", "100");
    /* entry and its fill and position, two exits; they are told of nothing new in this turn */
    assert_script(s, c.oco ? "A order\nA fill\nA position\ncommit 5\nsubmit 2\nsubmit 3\n"
                           : "A order\nA fill\nA position\nA order\ncommit 5\nsubmit 2\n");
    assert_true(take_of(s, id)->held == !c.oco);
    const struct order *stop = stop_of(s, id), *take = take_of(s, id);
    assert_int_equal(stop->type, ORDER_STOP);
    assert_int_equal(stop->stop_on, TRIGGER_MARK);
    assert_decimal(stop->trigger_price, stop_price(c));
    assert_false(decimal_valid(stop->price));
    assert_int_equal(take->type, ORDER_LIMIT);
    assert_decimal(take->price, take_price(c));
    assert_false(decimal_valid(take->trigger_price));
    const struct order *both[] = { stop, take };
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        assert_decimal(both[i]->qty, "2");
        assert_true(both[i]->reduce_only && both[i]->side == out_of(c));
        assert_true(both[i]->group_id == id && both[i]->parent_order_id == id);
        assert_string_equal(both[i]->tag, "entry");
        assert_false(decimal_valid(both[i]->stop) || decimal_valid(both[i]->take));
    }
}

static void exits_are_placed_with_the_first_fill(void **state)
{
    (void)state;
    each(check_placed);
}

static int on_fill_look(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call == GUEST_FILL)
        assert_non_null(stop_of(guest->stage, event->order->order_id));
    return 0;
}

static void check_before_on_fill(struct stage *s, struct case_of c)
{
    s->guests[A].on = on_fill_look;
    fill(s, enter(s, c, "1"), "1", "100");
    assert_int_equal(s->guests[A].calls[GUEST_FILL], 1);
}

static void exits_stand_before_on_fill_runs(void **state)
{
    (void)state;
    each(check_before_on_fill);
}

static void check_grow(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "10");
    fill(s, id, "2", "100");
    fill(s, id, "3", "100"); /* the venue has not confirmed the exits: nothing to change yet */
    assert_null(last_sent(s, SENT_AMEND));
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    tell(s, stop, REPORT_ACK);
    assert_resized(s, stop, "5");
    if (c.oco)
        tell(s, take, REPORT_ACK);
    fill(s, id, "1", "100"); /* while the take's change is under way */
    if (c.oco) {
        assert_decimal(order_at(s, take)->pending_qty, "5");
        tell(s, take, REPORT_REPLACED);
    }
    assert_resized(s, take, "6");
    assert_resized(s, stop, "6");
    fill(s, id, "4", "100");
    assert_resized(s, stop, "10");
    assert_resized(s, take, "10");
    assert_int_equal(count_sent(s, SENT_SUBMIT), c.oco ? 3 : 2);
}

static void exits_grow_with_each_fill(void **state)
{
    (void)state;
    each(check_grow);
}

static void check_one_only(struct stage *s, struct case_of c)
{
    struct order_request request = request_of(c.side, "1");
    request.take = D(take_price(c));
    uint64_t id = submit(s, A, request);
    fill(s, id, "1", "100");
    assert_null(stop_of(s, id));
    uint64_t take = take_of(s, id)->order_id;
    tell(s, take, REPORT_ACK);
    fill(s, take, "1", "120");
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
}

static void an_entry_may_have_one_exit(void **state)
{
    (void)state;
    each(check_one_only);
}

/* ---- exits that fill
 * ------------------------------------------------------------------------------ */

static void check_stop_fills(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "5");
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    fill(s, stop, "2", stop_price(c));
    if (c.oco) {
        assert_null(last_sent(s, SENT_AMEND)); /* the venue does it by itself */
        tell_terms(s, take, REPORT_RESTATED, D("3"));
        assert_int_equal(count_records(s, RECORD_ALERT), 0);
    } else {
        assert_resized(s, take, "3");
    }
    assert_decimal(order_remaining(order_at(s, stop)), "3");
    assert_decimal(order_remaining(order_at(s, take)), "3");
    fill(s, stop, "3", stop_price(c));
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    if (c.oco)
        tell(s, take, REPORT_CANCELED);
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_decimal(held(s, BTC), "0");
    assert_int_equal(count_sent(s, SENT_SUBMIT), c.oco ? 3 : 2);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    assert_int_equal(engine_counts(s->engine)->trips, 1);
}

static void when_one_exit_fills_the_other_follows(void **state)
{
    (void)state;
    each(check_stop_fills);
}

/* The entry fills on after its first part was closed: what comes is protected again. */
static void check_entry_fills_on(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    reach_take(s, c, id);
    fill(s, take, "2", take_price(c));
    if (c.oco)
        tell(s, stop, REPORT_CANCELED);
    assert_null(stop_of(s, id));
    if (!c.oco)
        trade(s, BTC, "100");
    fill(s, id, "3", "100");
    assert_decimal(stop_of(s, id)->qty, "3");
    assert_decimal(take_of(s, id)->qty, "3");
    ack_exits(s, id);
    fill(s, stop_of(s, id)->order_id, "3", stop_price(c));
    assert_decimal(held(s, BTC), "0");
}

static void what_fills_after_an_exit_is_protected_anew(void **state)
{
    (void)state;
    each(check_entry_fills_on);
}

/* An exit that filled while its growth was under way leaves the rest without protection. */
static void check_exit_fills_while_growing(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    fill(s, id, "3", "100");           /* both are asked to grow to 5 */
    fill(s, stop, "2", stop_price(c)); /* the old 2 were faster */
    tell(s, stop, REPORT_REPLACE_REJECT);
    if (c.oco)
        tell(s, take, REPORT_CANCELED);
    assert_decimal(held(s, BTC), c.side == SIDE_BUY ? "3" : "-3");
    assert_decimal(order_remaining(stop_of(s, id)), "3");
    const struct order *rest = take_of(s, id);
    assert_decimal(rest->pending ? rest->pending_qty : order_remaining(rest), "3");
}

static void an_exit_that_fills_while_it_grows_is_placed_for_the_rest(void **state)
{
    (void)state;
    each(check_exit_fills_while_growing);
}

/* Both may fill in a race, whatever the venue promises: the excess is closed, and told. */
static void when_both_exits_fill_the_excess_is_closed(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = entered(s, c, "5");
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    fill(s, stop, "5", "90");
    fill(s, take, "5", "120");
    assert_decimal(held(s, BTC), "-5");
    const struct order *back = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(back->side == SIDE_BUY && back->type == ORDER_MARKET && back->reduce_only);
    assert_decimal(back->qty, "5");
    assert_int_equal(count_records(s, RECORD_ALERT), 1);
    fill(s, back->order_id, "5", "121");
    assert_decimal(held(s, BTC), "0");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

/* ---- when something else reduces
 * -------------------------------------------------------------------- */

static void check_shrink(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "5");
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    bought(s, out_of(c), "2", "100");
    assert_resized(s, stop, "3");
    assert_resized(s, take, "3");
    fill(s, stop, "1", stop_price(c)); /* 2 left */
    if (c.oco)
        tell_terms(s, take, REPORT_RESTATED, D("2"));
    else
        assert_resized(s, take, "2");
    bought(s, out_of(c), "1", "100");
    assert_resized(s, stop, "2"); /* 1 filled, 1 left */
    assert_resized(s, take, "1");
    bought(s, out_of(c), "1", "100");
    end_exit(s, stop);
    end_exit(s, take);
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
}

static void exits_shrink_with_any_reduction(void **state)
{
    (void)state;
    each(check_shrink);
}

/* What others reduced is gone for good: a new entry without exits must not inherit them. */
static void check_no_revival(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "5");
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    bought(s, out_of(c), "3", "100");
    assert_resized(s, stop, "2");
    assert_resized(s, take, "2");
    bought(s, c.side, "3", "100"); /* unprotected */
    assert_decimal(order_at(s, stop)->qty, "2");
    bought(s, out_of(c), "5", "100"); /* flat */
    end_exit(s, stop);
    end_exit(s, take);
    bought(s, c.side, "4", "100");
    assert_int_equal(engine_open_orders(s->engine), 0);
}

static void exits_do_not_revive(void **state)
{
    (void)state;
    each(check_no_revival);
}

/* A message told twice after all is over begins nothing. */
static void check_repeats(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "2");
    struct report entry_fill = fill_report(s, id, D("2"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &entry_fill));
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    struct report exit_fill = fill_report(s, stop, D("2"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &exit_fill));
    tell(s, take, REPORT_CANCELED);
    bought(s, c.side, "3", "100"); /* something else is held, without exits */
    text_clear(&s->script);
    assert_done(s, tell_code(s, &entry_fill));
    assert_done(s, tell_code(s, &exit_fill));
    tell(s, id, REPORT_ACK);
    tell(s, stop, REPORT_ACK);
    tell(s, take, REPORT_CANCELED);
    assert_script(s, "");
    assert_int_equal(engine_open_orders(s->engine), 0);
}

static void repeated_reports_revive_no_exits(void **state)
{
    (void)state;
    each(check_repeats);
}

static void check_two_entries(struct stage *s, struct case_of c)
{
    uint64_t first = entered(s, c, "5"), second = entered(s, c, "3");
    bought(s, out_of(c), "2", "100"); /* 6 left: 3 and 3 */
    assert_resized(s, stop_of(s, first)->order_id, "3");
    assert_resized(s, take_of(s, first)->order_id, "3");
    assert_decimal(stop_of(s, second)->qty, "3");
    bought(s, out_of(c), "4", "100"); /* 2 left: 0 and 2 */
    uint64_t take = c.oco ? take_of(s, first)->order_id : 0;
    end_exit(s, stop_of(s, first)->order_id);
    if (c.oco)
        end_exit(s, take);
    assert_null(take_of(s, first));
    assert_resized(s, stop_of(s, second)->order_id, "2");
    assert_resized(s, take_of(s, second)->order_id, "2");
    /* Of two, the fill of one's exit leaves the other's alone. */
    uint64_t third = entered(s, c, "4");
    fill(s, stop_of(s, second)->order_id, "2", stop_price(c));
    assert_decimal(stop_of(s, third)->qty, "4");
    assert_int_equal(stop_of(s, third)->pending, 0);
}

static void of_two_entries_the_oldest_gives_way(void **state)
{
    (void)state;
    each(check_two_entries);
}

static void check_flip(struct stage *s, struct case_of c)
{
    uint64_t first = entered(s, c, "5");
    struct case_of other = { c.oco, out_of(c) };
    uint64_t flip = enter(s, other, "8");
    fill(s, flip, "4", "100"); /* still only reduces */
    assert_null(stop_of(s, flip));
    assert_resized(s, stop_of(s, first)->order_id, "1");
    fill(s, flip, "4", "100"); /* 3 on the other side */
    assert_canceling(s, stop_of(s, first)->order_id);
    assert_decimal(stop_of(s, flip)->qty, "3");
    assert_true(stop_of(s, flip)->side == c.side);
}

static void of_a_flip_only_what_it_opened_is_protected(void **state)
{
    (void)state;
    each(check_flip);
}

/* ---- a venue that does not do as asked
 * ---------------------------------------------------------------- */

static void check_rejected(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    uint64_t stop = stop_of(s, id)->order_id;
    text_clear(&s->script);
    tell_why(s, stop, REPORT_REJECTED, "price");
    /* Alerted: it protects less; and no longer wanted by the entry. The take rests there alone. */
    assert_script(s, c.oco ? "A order\nA reject\ncommit 3\n"
                           : "A order\nA reject\nA order\ncommit 4\nsubmit 3\n");
    assert_int_equal(count_records(s, RECORD_ALERT), 1);
    assert_false(decimal_valid(order_at(s, id)->stop));
    tell(s, take_of(s, id)->order_id, REPORT_ACK);
    fill(s, id, "3", "100");
    assert_null(stop_of(s, id));
    assert_resized(s, take_of(s, id)->order_id, "5");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 3);
}

static void a_rejected_exit_is_alerted_and_not_repeated(void **state)
{
    (void)state;
    each(check_rejected);
}

/* Not even when the rejected order itself is long forgotten. */
static void a_rejected_exit_is_not_repeated_ever(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    s->quiet = true;
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    uint64_t stop = stop_of(s, id)->order_id;
    tell(s, stop, REPORT_REJECTED);
    tell(s, take_of(s, id)->order_id, REPORT_ACK);
    for (int i = 0; i < 9000; i++)
        tell(s, market_order(s, SIDE_BUY, "1"), REPORT_REJECTED);
    assert_null(engine_order(s->engine, stop));
    fill(s, id, "3", "100");
    assert_null(stop_of(s, id));
    stage_free(s);
}

static void check_canceled_by_venue(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "2");
    uint64_t stop = stop_of(s, id)->order_id;
    tell(s, stop, REPORT_CANCELED);
    assert_int_not_equal(stop_of(s, id)->order_id, stop);
    assert_decimal(stop_of(s, id)->qty, "2");
    tell(s, stop_of(s, id)->order_id, REPORT_ACK);
    tell(s, take_of(s, id)->order_id, REPORT_EXPIRED);
    assert_decimal(take_of(s, id)->qty, "2");
}

static void an_exit_that_the_venue_ended_is_placed_again(void **state)
{
    (void)state;
    each(check_canceled_by_venue);
}

/* A change that is refused is not asked for again until something changes: the answer would be the
 * same, for ever, at the speed of the venue. */
static void check_refused_change(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    fill(s, id, "1", "100");
    size_t amends = c.oco ? 2 : 1;
    assert_int_equal(count_sent(s, SENT_AMEND), amends);
    tell(s, stop, REPORT_REPLACE_REJECT);
    tell(s, stop, REPORT_REPLACE_REJECT);
    if (c.oco)
        tell(s, take, REPORT_REPLACED);
    assert_int_equal(count_sent(s, SENT_AMEND), amends);
    assert_int_equal(count_records(s, RECORD_ALERT), 1); /* less is protected than is held */
    fill(s, id, "2", "100");
    assert_resized(s, stop, "5");
    bought(s, out_of(c), "5", "100");
    assert_canceling(s, stop);
    size_t cancels = count_sent(s, SENT_CANCEL);
    tell_why(s, stop, REPORT_CANCEL_REJECT, "busy");
    tell_why(s, stop, REPORT_CANCEL_REJECT, "busy");
    assert_int_equal(count_sent(s, SENT_CANCEL), cancels);
}

static void a_refused_change_is_not_asked_for_again(void **state)
{
    (void)state;
    each(check_refused_change);
}

/* The same when the port itself takes nothing: its answer comes within the turn. */
static void check_port_refuses(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "2");
    uint64_t more = enter(s, c, "1");
    fill(s, more, "1", "100");
    ack_exits(s, more);
    s->refuse[SENT_AMEND] = s->refuse[SENT_CANCEL] = true;
    text_clear(&s->script);
    uint64_t out = market_order(s, out_of(c), "1");
    fill(s, out, "1", "100");
    assert_int_equal(stop_of(s, id)->pending & PENDING_REPLACE, 0);
    assert_decimal(stop_of(s, id)->qty, "2");
    out = market_order(s, out_of(c), "2");
    fill(s, out, "2", "100"); /* four cancels, refused one and all */
    assert_int_equal(count_sent(s, SENT_AMEND) + count_sent(s, SENT_CANCEL), 0);
    assert_true(stop_of(s, more)->doubt); /* sent again when the venue says how it stands */
}

static void a_port_that_refuses_changes_ends_the_turn_all_the_same(void **state)
{
    (void)state;
    each(check_port_refuses);
}

/* Nothing leaves before it is stored, also not what a refusal made necessary. */
static void what_a_refusal_causes_is_committed_before_it_leaves(void **state)
{
    (void)state;
    struct case_of c = { .oco = false, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = entered(s, c, "5");
    uint64_t stop = stop_of(s, id)->order_id;
    bought(s, SIDE_SELL, "1", "100"); /* both are asked to shrink to 4 */
    s->refuse[SENT_AMEND] = true;
    uint64_t out = market_order(s, SIDE_SELL, "2");
    fill(s, out, "2", "100"); /* 2 left; their changes are under way */
    text_clear(&s->script);
    tell(s, stop, REPORT_REPLACED); /* asked to shrink to 2: refused by the port */
    assert_script(s, "A order\ncommit 2\nrefused amend 2\nA order\ncommit 2\n");
    s->refuse[SENT_AMEND] = false;
    fill(s, market_order(s, SIDE_SELL, "1"), "1", "100");
    assert_resized(s, stop, "1");
    stage_free(s);
}

/* Orders of one group: the old one goes first. */
static void linked_exits_that_cannot_be_amended_are_placed_anew(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    s->abilities.amend = AMEND_NONE;
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id;
    fill(s, id, "3", "100");
    assert_null(last_sent(s, SENT_AMEND));
    assert_canceling(s, stop);
    tell(s, stop, REPORT_CANCELED);
    assert_decimal(stop_of(s, id)->qty, "5");
    stage_free(s);
}

/* ---- the guest's own hand
 * ------------------------------------------------------------------------------ */

static void check_guest_cancels(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "2");
    uint64_t stop = stop_of(s, id)->order_id;
    assert_int_equal(engine_cancel_all(s->engine, A, INSTRUMENT_NONE), 0); /* exits stay */
    assert_true(engine_cancel(s->engine, A, stop, &s->refusal));
    settle(s);
    tell(s, stop, REPORT_CANCELED);
    assert_null(stop_of(s, id)); /* it is gone as asked */
    assert_decimal(take_of(s, id)->qty, "2");
}

static void an_exit_that_the_guest_cancels_is_gone(void **state)
{
    (void)state;
    each(check_guest_cancels);
}

static void check_guest_moves(struct stage *s, struct case_of c)
{
    uint64_t id = entered(s, c, "2");
    uint64_t take = take_of(s, id)->order_id;
    assert_true(engine_amend(s->engine, A, take, DECIMAL_NONE, D("105"), &s->refusal));
    settle(s);
    if (c.oco) {
        tell(s, take, REPORT_REPLACED);
        tell(s, take, REPORT_CANCELED); /* by the venue: placed again where the guest wants it */
    } else {
        tell(s, stop_of(s, id)->order_id, REPORT_CANCELED);
        trade(s, BTC, c.side == SIDE_BUY ? "105" : "99");
        tell(s, stop_of(s, id)->order_id, REPORT_CANCELED);
        assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, take);
    }
    assert_decimal(take_of(s, id)->price, "105");
}

static void a_take_stays_where_the_guest_moved_it(void **state)
{
    (void)state;
    each(check_guest_moves);
}

static int on_trade_cancel_exits(struct fake_guest *guest, enum guest_call call,
                                 const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    engine_cancel(s->engine, A, stop_of(s, 1)->order_id, &s->refusal);
    engine_cancel(s->engine, A, take_of(s, 1)->order_id, &s->refusal);
    return error_set(err, ERROR_DATA, "it broke");
}

static void a_failed_callback_leaves_the_exits_as_they_were(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = entered(s, c, "2");
    s->guests[A].on = on_trade_cancel_exits;
    trade(s, BTC, "100");
    assert_int_equal(engine_instances_alive(s->engine), 0);
    assert_int_equal(stop_of(s, id)->pending, 0);
    /* And they go on following what is held. */
    fill(s, stop_of(s, id)->order_id, "1", "90");
    tell_terms(s, take_of(s, id)->order_id, REPORT_RESTATED, D("1"));
    tell(s, take_of(s, id)->order_id, REPORT_CANCELED);
    assert_decimal(take_of(s, id)->qty, "1");
    stage_free(s);
}

/* ---- a restart
 * ------------------------------------------------------------------------------------------- */

static bool take_order(void *self, const struct order *order)
{
    struct stage *fresh = self;
    assert_int_equal(engine_restore_order(fresh->engine, order, &fresh->err), 0);
    return true;
}

/* A second engine that knows what the ledger of the first would tell. */
static struct stage *restarted(struct stage *s, struct case_of c)
{
    struct stage *fresh = stage_of(c);
    fresh->next_id = s->next_id;
    fresh->next_exec = s->next_exec;
    assert_int_equal(engine_restore_position(fresh->engine, A, BTC,
                                             engine_position(s->engine, A, BTC), &fresh->err),
                     0);
    engine_each_order(s->engine, A, false, take_order, fresh);
    return fresh;
}

static void check_restart(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "3", "100");
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    fill(s, stop, "1", stop_price(c));
    if (c.oco)
        tell_terms(s, take, REPORT_RESTATED, D("2"));
    else
        assert_resized(s, take, "2");

    struct stage *fresh = restarted(s, c);
    assert_int_equal(fresh->sent_count, 0);
    fill(fresh, id, "2", "100"); /* the entry goes on: 4 are held */
    assert_resized(fresh, stop, "5");
    assert_resized(fresh, take, "4");
    bought(fresh, out_of(c), "3", "100");
    assert_resized(fresh, stop, "2");
    assert_resized(fresh, take, "1");
    fill(fresh, stop, "1", stop_price(c));
    if (c.oco)
        tell(fresh, take, REPORT_CANCELED);
    assert_int_equal(engine_open_orders(fresh->engine), 0);
    assert_int_equal(count_sent(fresh, SENT_SUBMIT), 1);
    stage_free(fresh);
}

static void exits_go_on_after_a_restart(void **state)
{
    (void)state;
    each(check_restart);
}

/* The entry is done and not told any more: its exits say what is protected. */
static void check_restart_of_exits_alone(struct stage *s, struct case_of c)
{
    uint64_t first = entered(s, c, "2"), second = entered(s, c, "3");
    struct stage *fresh = restarted(s, c);
    bought(fresh, out_of(c), "1", "100");
    assert_resized(fresh, stop_of(fresh, first)->order_id, "1");
    assert_resized(fresh, take_of(fresh, first)->order_id, "1");
    assert_decimal(stop_of(fresh, second)->qty, "3");
    uint64_t stop = stop_of(fresh, second)->order_id;
    tell(fresh, stop, REPORT_CANCELED); /* by the venue */
    assert_decimal(stop_of(fresh, second)->trigger_price, stop_price(c));
    assert_decimal(stop_of(fresh, second)->qty, "3");
    assert_true(stop_of(fresh, second)->group_id == second);
    assert_string_equal(stop_of(fresh, second)->tag, "entry");
    assert_int_equal(stop_of(fresh, second)->stop_on, TRIGGER_MARK);
    stage_free(fresh);
}

static void exits_alone_know_what_they_protect(void **state)
{
    (void)state;
    each(check_restart_of_exits_alone);
}

static void an_exit_without_an_entry_is_refused(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = entered(s, c, "2");
    struct order order = *stop_of(s, id);
    order.parent_order_id = 0;
    struct stage *fresh = stage_of(c);
    assert_int_equal(engine_restore_order(fresh->engine, &order, &fresh->err), ERROR_IO);
    stage_free(fresh);
    stage_free(s);
}

/* A strategy that gave an exit up does not get it back by a crash: the entry that goes on filling
 * says so. */
static void check_restart_after_guest_cancels(struct stage *s, struct case_of c)
{
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    uint64_t take = take_of(s, id)->order_id, stop = stop_of(s, id)->order_id;
    assert_true(engine_cancel(s->engine, A, stop, &s->refusal));
    settle(s);
    assert_false(decimal_valid(last_record(s, RECORD_ORDER)->order.stop));
    tell(s, stop, REPORT_CANCELED);
    struct stage *fresh = restarted(s, c);
    assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
    fill(fresh, id, "3", "100");
    assert_null(stop_of(fresh, id));
    if (!c.oco)
        tell(s, take, REPORT_ACK);
    if (order_at(fresh, take)->pending)
        assert_resized(fresh, take, "5");
    stage_free(fresh);
}

static void an_exit_that_the_guest_canceled_stays_gone_after_a_restart(void **state)
{
    (void)state;
    each(check_restart_after_guest_cancels);
}

static void a_failed_callback_gives_up_no_exit(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = enter(s, c, "5");
    fill(s, id, "2", "100");
    ack_exits(s, id);
    s->guests[A].on = on_trade_cancel_exits;
    trade(s, BTC, "100");
    assert_decimal(order_at(s, id)->stop, "90");
    assert_decimal(order_at(s, id)->take, "120");
    stage_free(s);
}

/* The crash came between a fill and the growth of exits that were still on their way. */
static void what_was_under_way_is_protected_after_a_restart(void **state)
{
    (void)state;
    struct case_of c = { .oco = true, .side = SIDE_BUY };
    struct stage *s = stage_of(c);
    uint64_t id = enter(s, c, "9");
    fill(s, id, "2", "100");
    fill(s, id, "3", "100"); /* the exits of 2 are not confirmed: no change can be asked yet */
    struct stage *fresh = restarted(s, c);
    assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
    ack_exits(fresh, id);
    assert_resized(fresh, stop_of(fresh, id)->order_id, "5");
    assert_resized(fresh, take_of(fresh, id)->order_id, "5");
    stage_free(fresh);
    stage_free(s);
}

/* ---- by what the venue can do -----------------------------------------------------------------
 */

/* Stops rest there, nothing is linked, spot or margin. */
static struct stage *stop_only(enum amend_kind amend, bool spot)
{
    struct stage *s = stage_of((struct case_of){ .oco = false, .side = SIDE_BUY });
    s->abilities.amend = amend;
    s->abilities.cash_is_spot = spot;
    return s;
}

static const struct case_of LONG = { .oco = false, .side = SIDE_BUY };

static void a_watched_take_sells_when_the_stop_is_gone(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, false);
    uint64_t id = entered(s, LONG, "5");
    uint64_t stop = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    trade(s, BTC, "119.9");
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    trade(s, BTC, "120");
    trade(s, BTC, "121");
    assert_canceling(s, stop);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    fill(s, stop, "1", "90"); /* it was faster by a part */
    assert_decimal(order_at(s, take)->qty, "4");
    tell(s, stop, REPORT_CANCELED);
    const struct order sent = last_sent(s, SENT_SUBMIT)->order;
    assert_true(sent.order_id == take && sent.type == ORDER_LIMIT && sent.tif == TIF_IOC);
    assert_decimal(sent.price, "120");
    assert_decimal(sent.qty, "4");
    /* Meanwhile the engine watches the stop: both at the venue could both fill. */
    assert_true(stop_of(s, id)->held);
    assert_decimal(stop_of(s, id)->qty, "4");
    tell(s, take, REPORT_ACK);
    fill(s, take, "3", "120");
    assert_decimal(stop_of(s, id)->qty, "1");
    tell(s, take, REPORT_CANCELED);     /* ioc: the rest found nobody */
    assert_false(stop_of(s, id)->held); /* it rests there again */
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_STOP);
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "1");
    assert_true(take_of(s, id)->held);
    assert_decimal(take_of(s, id)->qty, "1");
    tell(s, stop_of(s, id)->order_id, REPORT_ACK);
    fill(s, stop_of(s, id)->order_id, "1", "90");
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_decimal(held(s, BTC), "0");
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    stage_free(s);
}

static void a_stop_reached_while_the_take_works_goes_first(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, true);
    s->abilities.tifs = BIT(TIF_GTC); /* the take stays there until it fills */
    uint64_t id = entered(s, LONG, "5");
    uint64_t first = stop_of(s, id)->order_id, take = take_of(s, id)->order_id;
    trade(s, BTC, "120");
    tell(s, first, REPORT_CANCELED);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.tif, TIF_GTC);
    tell(s, take, REPORT_ACK);
    uint64_t stop = stop_of(s, id)->order_id;
    trade(s, BTC, "89");
    assert_canceling(s, take);
    assert_true(order_at(s, stop)->held);
    fill(s, take, "1", "120");
    tell(s, take, REPORT_CANCELED);
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(sent->order_id == stop && sent->type == ORDER_MARKET);
    assert_decimal(sent->qty, "4");
    fill(s, stop, "4", "88");
    assert_decimal(held(s, BTC), "0");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

static void where_no_stop_is_held_both_are_watched(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, false);
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT);
    uint64_t id = entered(s, LONG, "5");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    trade(s, BTC, "120");
    uint64_t take = take_of(s, id)->order_id, stop = stop_of(s, id)->order_id;
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, take);
    fill(s, take, "2", "120");
    trade(s, BTC, "90");
    assert_canceling(s, take);
    tell(s, take, REPORT_CANCELED);
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(sent->order_id == stop && sent->type == ORDER_MARKET);
    assert_decimal(sent->qty, "3");
    fill(s, stop, "3", "90");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

static void a_stop_that_is_through_already_is_sold_at_market(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, false);
    uint64_t id = enter(s, LONG, "5");
    trade(s, BTC, "89");
    fill(s, id, "5", "100");
    const struct order sent = last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(sent.type, ORDER_MARKET);
    assert_false(decimal_valid(sent.trigger_price));
    fill(s, sent.order_id, "5", "89");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

/* Many venues refuse a stop that would trigger at once. */
static void a_stop_refused_because_it_is_through_is_sold_at_market(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, false);
    uint64_t id = enter(s, LONG, "5");
    fill(s, id, "5", "100");
    uint64_t stop = stop_of(s, id)->order_id;
    trade(s, BTC, "89");
    tell_why(s, stop, REPORT_REJECTED, "would trigger immediately");
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(sent->order_id != stop && sent->type == ORDER_MARKET && sent->role == ROLE_STOP);
    assert_decimal(sent->qty, "5");
    stage_free(s);
}

/* The open stops of an entry, in order. */
struct stops {
    uint64_t entry_id, ids[4];
    size_t count;
};

static bool add_stop(void *self, const struct order *order)
{
    struct stops *stops = self;
    if (order->parent_order_id == stops->entry_id && order->role == ROLE_STOP)
        stops->ids[stops->count++] = order->order_id;
    return true;
}

static struct stops stops_of(struct stage *s, uint64_t entry_id)
{
    struct stops stops = { .entry_id = entry_id };
    engine_each_order(s->engine, A, false, add_stop, &stops);
    return stops;
}

static void on_margin_a_larger_exit_rests_before_the_old_one_goes(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_NONE, false);
    uint64_t id = enter(s, LONG, "5");
    fill(s, id, "2", "100");
    uint64_t old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    struct stops stops = stops_of(s, id);
    assert_int_equal(stops.count, 2);
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "5");
    tell(s, stops.ids[1], REPORT_ACK);
    assert_canceling(s, old);
    tell(s, old, REPORT_CANCELED);
    assert_decimal(stop_of(s, id)->qty, "5");
    assert_int_equal(stop_of(s, id)->order_id, stops.ids[1]);
    stage_free(s);
}

static void a_larger_exit_that_is_refused_leaves_the_old_one(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_NONE, false);
    uint64_t id = enter(s, LONG, "5");
    fill(s, id, "2", "100");
    uint64_t old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    tell_why(s, stops_of(s, id).ids[1], REPORT_REJECTED, "too many");
    assert_int_equal(stop_of(s, id)->order_id, old);
    size_t sent = s->sent_count;
    tell(s, old, REPORT_ACK);
    assert_int_equal(s->sent_count, sent);
    stage_free(s);
}

static void on_spot_the_old_exit_goes_first_and_the_engine_watches(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_NONE, true);
    uint64_t id = enter(s, LONG, "5");
    fill(s, id, "2", "100");
    uint64_t old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    assert_canceling(s, old);
    struct stops stops = stops_of(s, id);
    assert_int_equal(stops.count, 2);
    assert_true(order_at(s, stops.ids[1])->held);
    tell(s, old, REPORT_CANCELED);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, stops.ids[1]);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_STOP);
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "5");
    stage_free(s);

    s = stop_only(AMEND_NONE, true);
    id = enter(s, LONG, "5");
    fill(s, id, "2", "100");
    old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    trade(s, BTC, "90"); /* the trigger, while nothing is confirmed */
    trade(s, BTC, "95");
    tell(s, old, REPORT_CANCELED);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "5");
    stage_free(s);
}

static void an_old_exit_that_does_not_go_stays(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_NONE, true);
    uint64_t id = enter(s, LONG, "5");
    fill(s, id, "2", "100");
    uint64_t old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    tell_why(s, old, REPORT_CANCEL_REJECT, "busy");
    assert_int_equal(stop_of(s, id)->order_id, old);
    assert_int_equal(count_records(s, RECORD_ALERT), 1);
    stage_free(s);
}

static void two_of_a_kind_survive_a_restart(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_NONE, true);
    uint64_t id = enter(s, LONG, "9");
    fill(s, id, "2", "100");
    uint64_t old = stop_of(s, id)->order_id;
    tell(s, old, REPORT_ACK);
    fill(s, id, "3", "100");
    struct stage *fresh = restarted(s, LONG);
    fresh->abilities = s->abilities;
    assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
    tell(fresh, old, REPORT_CANCELED);
    assert_false(stop_of(fresh, id)->held);
    assert_decimal(stop_of(fresh, id)->qty, "5");
    assert_decimal(take_of(fresh, id)->qty, "5");
    stage_free(fresh);
    stage_free(s);
}

static void an_exit_in_doubt_is_not_touched(void **state)
{
    (void)state;
    struct stage *s = stop_only(AMEND_IN_PLACE, false);
    uint64_t id = entered(s, LONG, "5");
    uint64_t stop = stop_of(s, id)->order_id;
    bought(s, SIDE_SELL, "1", "100");
    tell(s, stop, REPORT_DOUBT);
    size_t sent = s->sent_count;
    bought(s, SIDE_SELL, "1", "100");
    trade(s, BTC, "120");
    assert_int_equal(s->sent_count, sent + 1); /* the sale alone */
    tell(s, stop, REPORT_REPLACED);
    assert_canceling(s, stop); /* now the take's price counts */
    stage_free(s);
}

/* ---- a long random life
 * ------------------------------------------------------------------------------------- */

/* A slow venue: it works orders, and answers what waits in any order of orders, but in order for
 * one. A willing one refuses nothing. */
struct venue {
    struct stage *s;
    bool willing;
    struct random random;
    size_t seen; /* of s->sent */
    uint64_t live[256];
    size_t count;
};

static void venue_take(struct venue *venue)
{
    for (; venue->seen < venue->s->sent_count; venue->seen++) {
        if (venue->s->sent[venue->seen].kind != SENT_SUBMIT)
            continue;
        assert_true(venue->count < ARRAY_SIZE(venue->live));
        venue->live[venue->count++] = venue->s->sent[venue->seen].order.order_id;
    }
}

static decimal some_of(struct venue *venue, decimal qty)
{
    int64_t lots;
    assert_int_equal(decimal_mantissa(qty, 3, &lots), 0);
    return decimal_make(1 + (int64_t)random_below(&venue->random, (uint64_t)lots), 3);
}

static bool refuses(struct venue *venue)
{
    return !venue->willing && random_below(&venue->random, 8) == 0;
}

/* Answers what is asked of an order. False: nothing is. */
static bool venue_answer(struct venue *venue, const struct order *order)
{
    struct stage *s = venue->s;
    uint64_t id = order->order_id;
    if (!order_is_open(order))
        return false;
    if (order->known == ORDER_PENDING_NEW)
        tell(s, id, refuses(venue) ? REPORT_REJECTED : REPORT_ACK);
    else if (order->pending & PENDING_CANCEL)
        tell(s, id, refuses(venue) ? REPORT_CANCEL_REJECT : REPORT_CANCELED);
    else if (order->pending & PENDING_REPLACE)
        tell(s, id, refuses(venue) ? REPORT_REPLACE_REJECT : REPORT_REPLACED);
    else
        return false;
    return true;
}

/* Something happens to one live order. */
static void venue_act(struct venue *venue)
{
    struct stage *s = venue->s;
    size_t at = random_below(&venue->random, venue->count);
    uint64_t id = venue->live[at];
    const struct order *order = order_at(s, id);
    bool fills = order->role == ROLE_PLAIN || random_below(&venue->random, 4) == 0;
    if (!order_is_open(order)) {
        venue->live[at] = venue->live[--venue->count];
    } else if (fills && random_below(&venue->random, 2)) { /* also while an answer is due */
        struct report report =
            fill_report(s, id, some_of(venue, order_remaining(order)), D("100"), DECIMAL_ZERO);
        assert_done(s, tell_code(s, &report));
    } else if (!venue_answer(venue, order) && order->role != ROLE_PLAIN &&
               random_below(&venue->random, 20) == 0) {
        tell(s, id, REPORT_CANCELED);
    }
}

/* Until it owes no answer. */
static void venue_answer_all(struct venue *venue)
{
    bool again = true;
    while (again) {
        again = false;
        venue_take(venue);
        for (size_t i = 0; i < venue->count; i++)
            again |= venue_answer(venue, order_at(venue->s, venue->live[i]));
    }
}

struct coverage {
    decimal stops, takes;
    bool settled; /* nothing of the exits is under way */
};

static bool add_coverage(void *self, const struct order *order)
{
    struct coverage *coverage = self;
    if (order->role == ROLE_PLAIN)
        return true;
    coverage->settled &=
        !order->pending && order->known != ORDER_PENDING_NEW && order->type != ORDER_MARKET;
    decimal *sum = order->role == ROLE_STOP ? &coverage->stops : &coverage->takes;
    *sum = decimal_add(*sum, order_remaining(order));
    return true;
}

/* When all answers are in exits of a role never exceed what is held. */
static void check_coverage(struct stage *s)
{
    struct coverage coverage = { DECIMAL_ZERO, DECIMAL_ZERO, true };
    engine_each_order(s->engine, A, false, add_coverage, &coverage);
    if (!coverage.settled)
        return;
    decimal most = decimal_abs(held(s, BTC));
    assert_true(decimal_cmp(coverage.stops, most) <= 0);
    assert_true(decimal_cmp(coverage.takes, most) <= 0);
}

static void live_long(uint64_t seed, bool willing)
{
    struct stage *s = stage_of((struct case_of){ .oco = false, .side = SIDE_BUY });
    struct venue venue = { .s = s, .willing = willing };
    random_seed(&venue.random, seed);
    s->quiet = true;
    for (int i = 0; i < 3000; i++) {
        if (venue.count < 20 && random_below(&venue.random, 6) == 0) {
            struct order_request request =
                request_of(random_below(&venue.random, 2) ? SIDE_BUY : SIDE_SELL, "1");
            request.qty = decimal_make(1 + (int64_t)random_below(&venue.random, 3000), 3);
            if (random_below(&venue.random, 2)) {
                request.stop = D("90");
                request.take = D("110");
            }
            submit(s, A, request);
        }
        venue_take(&venue);
        if (venue.count > 0)
            venue_act(&venue);
        if (i % 4 == 0)
            venue_answer_all(&venue);
        if (willing)
            check_coverage(s);
    }
    /* Everything is sold: at rest nothing is left that could open a position. */
    for (int i = 0; i < 2000; i++) {
        if (i % 100 == 0)
            assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_FLATTEN, "end", &s->err));
        venue_take(&venue);
        if (venue.count > 0)
            venue_act(&venue);
    }
    if (willing) {
        assert_decimal(held(s, BTC), "0");
        assert_int_equal(engine_open_orders(s->engine), 0);
    }
    stage_free(s);
}

/* What is held beside it, 5 of another order, does not make room for what the entry never had. */
static void a_bust_of_the_entry_shrinks(struct stage *s, struct case_of c)
{
    uint64_t other = submit(s, A, request_of(c.side, "5"));
    fill(s, other, "5", "100");
    uint64_t id = enter(s, c, "3");
    fill(s, id, "2", "100");
    struct report last = fill_report(s, id, D("1"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &last));
    ack_exits(s, id);
    uint64_t stop = stop_of(s, id)->order_id;
    assert_resized(s, stop, "3");
    last.kind = REPORT_BUST;
    assert_done(s, tell_code(s, &last));
    assert_resized(s, stop, "2");
}

static void exits_shrink_when_their_entry_is_busted(void **state)
{
    (void)state;
    each(a_bust_of_the_entry_shrinks);
}

static void exits_never_exceed_what_is_held(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        live_long(seed, seed % 4 != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exits_are_placed_with_the_first_fill),
        cmocka_unit_test(exits_stand_before_on_fill_runs),
        cmocka_unit_test(exits_grow_with_each_fill),
        cmocka_unit_test(an_entry_may_have_one_exit),
        cmocka_unit_test(when_one_exit_fills_the_other_follows),
        cmocka_unit_test(what_fills_after_an_exit_is_protected_anew),
        cmocka_unit_test(an_exit_that_fills_while_it_grows_is_placed_for_the_rest),
        cmocka_unit_test(when_both_exits_fill_the_excess_is_closed),
        cmocka_unit_test(exits_shrink_with_any_reduction),
        cmocka_unit_test(exits_do_not_revive),
        cmocka_unit_test(repeated_reports_revive_no_exits),
        cmocka_unit_test(of_two_entries_the_oldest_gives_way),
        cmocka_unit_test(of_a_flip_only_what_it_opened_is_protected),
        cmocka_unit_test(a_rejected_exit_is_alerted_and_not_repeated),
        cmocka_unit_test(a_rejected_exit_is_not_repeated_ever),
        cmocka_unit_test(an_exit_that_the_venue_ended_is_placed_again),
        cmocka_unit_test(a_refused_change_is_not_asked_for_again),
        cmocka_unit_test(a_port_that_refuses_changes_ends_the_turn_all_the_same),
        cmocka_unit_test(what_a_refusal_causes_is_committed_before_it_leaves),
        cmocka_unit_test(linked_exits_that_cannot_be_amended_are_placed_anew),
        cmocka_unit_test(an_exit_that_the_guest_cancels_is_gone),
        cmocka_unit_test(a_take_stays_where_the_guest_moved_it),
        cmocka_unit_test(a_failed_callback_leaves_the_exits_as_they_were),
        cmocka_unit_test(exits_go_on_after_a_restart),
        cmocka_unit_test(exits_alone_know_what_they_protect),
        cmocka_unit_test(an_exit_without_an_entry_is_refused),
        cmocka_unit_test(an_exit_that_the_guest_canceled_stays_gone_after_a_restart),
        cmocka_unit_test(a_failed_callback_gives_up_no_exit),
        cmocka_unit_test(what_was_under_way_is_protected_after_a_restart),
        cmocka_unit_test(a_watched_take_sells_when_the_stop_is_gone),
        cmocka_unit_test(a_stop_reached_while_the_take_works_goes_first),
        cmocka_unit_test(where_no_stop_is_held_both_are_watched),
        cmocka_unit_test(a_stop_that_is_through_already_is_sold_at_market),
        cmocka_unit_test(a_stop_refused_because_it_is_through_is_sold_at_market),
        cmocka_unit_test(on_margin_a_larger_exit_rests_before_the_old_one_goes),
        cmocka_unit_test(a_larger_exit_that_is_refused_leaves_the_old_one),
        cmocka_unit_test(on_spot_the_old_exit_goes_first_and_the_engine_watches),
        cmocka_unit_test(an_old_exit_that_does_not_go_stays),
        cmocka_unit_test(two_of_a_kind_survive_a_restart),
        cmocka_unit_test(an_exit_in_doubt_is_not_touched),
        cmocka_unit_test(exits_never_exceed_what_is_held),
        cmocka_unit_test(exits_shrink_when_their_entry_is_busted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
