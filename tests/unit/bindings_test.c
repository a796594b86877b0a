/* bindings_test.c - a strategy in a session: callbacks, ctx, orders, events, series. */
#include "tests/unit/bindings_fixture.h"

#include "runtime/config/calendars.h"

/* Runs a body in on_tick of the first trade and asserts that it did not fail. */
static struct fixture *ticked(const char *body)
{
    char text[8192];
    snprintf(text, sizeof(text), HEAD "function S.on_tick(ctx, tick, p)\n%s\nend\nreturn S", body);
    struct fixture *fixture = fixture_run(text);
    fixture_trade(fixture, 0, 100, 1);
    return fixture;
}

static void assert_ticks(const char *body)
{
    struct fixture *fixture = ticked(body);
    if (fixture_failure(fixture)[0])
        fail_msg("%s", fixture_failure(fixture));
    fixture_close(fixture);
}

static void assert_tick_fails(const char *body, const char *part)
{
    struct fixture *fixture = ticked(body);
    if (!strstr(fixture_failure(fixture), part))
        fail_msg("'%s': '%s' does not contain '%s'", body, fixture_failure(fixture), part);
    assert_contains(fixture_failure(fixture), "test.lua:3");
    fixture_close(fixture);
}

/* ---- callbacks ---- */

static void callbacks_get_what_the_contract_says(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(
        HEAD
        "S.params = { n = { 3 } }\nlocal seen = {}\n"
        "local function note(what) seen[#seen + 1] = what end\n"
        "function S.on_start(ctx, p) assert(p.n == 3) note('start') ctx:timer('beat', 60) end\n"
        "function S.on_tick(ctx, tick, p)\n"
        "  assert(tick.symbol == 'BTC' and tick.price == 100.5 and tick.qty == 0.25)\n"
        "  assert(tick.side == 'buy' and tick.time == 1704067201.0 and p.n == 3)\n"
        "  assert(tick.time_ns == 1704067201000000000 and ctx:now() == tick.time)\n"
        "  note('tick') ctx:buy(2, { tag = 'entry' })\nend\n"
        "function S.on_quote(ctx, quote, p)\n"
        "  assert(quote.bid == 100 and quote.ask == 101 and quote.bid_qty == 1.5)\n"
        "  assert(quote.ask_qty == nil and quote.symbol == 'BTC' and p.n == 3)\n"
        "  note('quote')\nend\n"
        "function S.on_order(ctx, order, p)\n"
        "  assert(order.tag == 'entry' and p.n == 3) note(order.status)\nend\n"
        "function S.on_fill(ctx, fill, p)\n"
        "  assert(fill.qty == 2 and fill.price == 100.5 and fill.fee == 0.1)\n"
        "  assert(fill.side == 'buy' and fill.liquidity == 'taker' and fill.tag == 'entry')\n"
        "  assert(fill.order.status == 'filled' and fill.order_id == fill.order.id and p.n == 3)\n"
        "  assert(fill.fee_currency == 'USDT' and #fill.exec_id > 0) note('fill')\nend\n"
        "function S.on_position(ctx, position, p)\n"
        "  assert(position == ctx:position() and position.qty == 2 and p.n == 3)\n"
        "  note('position')\nend\n"
        "function S.on_timer(ctx, name, p) assert(p.n == 3) note(name) end\n"
        "function S.on_stop(ctx, why) note(why) ctx.state.seen = table.concat(seen, ' ') end\n"
        "return S");
    fixture_trade(fixture, 0, 100.5, 1);
    fixture_report(fixture, REPORT_ACK, NULL, NULL);
    fixture_report(fixture, REPORT_FILL, "2", "100.5");
    fixture_quote(fixture, 100, 101);
    fixture_advance(fixture, FIXTURE_START_NS + 61 * NS_PER_SECOND);
    struct error err = { 0 };
    assert_string_equal(fixture_failure(fixture), "");
    assert_int_equal(engine_stop(fixture->engine, fixture->now_ns, POLICY_LEAVE, "done", &err), 0);
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture->state,
                        "{\"seen\":\"start tick new filled fill position quote beat done\"}");
    fixture_close(fixture);
}

static void rejections_and_verdicts_are_told(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new(
        HEAD
        "S.limits = { max_order_size_usd = 1000 }\n"
        "function S.on_tick(ctx)\n"
        "  if not ctx.state.handle then ctx.state.handle = true ctx:buy(1, { tag = 'x' })\n"
        "  else local o, why, code = ctx:buy(5000)\n"
        "    ctx.state.refused = code end\nend\n"
        "function S.on_reject(ctx, order, reason, p)\n"
        "  ctx.state.reason = reason assert(order.status == 'rejected' and order.tag == 'x')\nend\n"
        "function S.on_risk(ctx, verdict, p)\n"
        "  ctx.state.verdict = verdict.verdict .. ' ' .. verdict.code\n"
        "  assert(verdict.side == 'buy' and verdict.type == 'market' and #verdict.reason > 0)\n"
        "  assert(verdict.price == nil and verdict.symbol == 'BTC')\nend\n"
        "return S");
    struct error err = { 0 };
    assert_int_equal(fixture_open(fixture, &err), 0);
    fixture_trade(fixture, 0, 100, 1);
    fixture_report(fixture, REPORT_REJECTED, NULL, NULL);
    fixture_trade(fixture, 0, 100, 1);
    assert_string_equal(fixture_failure(fixture), "");
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_contains(fixture->state, "\"reason\":\"no margin\"");
    assert_contains(fixture->state, "\"verdict\":\"reduce max_order_size");
    fixture_close(fixture);
}

static void connections_and_differences_are_told(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new(
        HEAD "S.needs = { warmup = false }\n"
             "local kept\nfunction S.on_connection(ctx, venue, what, p)\n"
             "  if kept then return kept.own end\n"
             "  ctx.state.line = venue .. ' ' .. what .. ' ' .. type(p)\nend\n"
             "function S.on_reconcile(ctx, d, p)\n"
             "  kept = d.symbol and d or nil\n"
             "  assert(d.time == ctx:now() and d.time_ns == ctx:now_ns() and p)\n"
             "  local list = ctx.state.list or {}\n"
             "  list[#list + 1] = (d.symbol or 'cash') .. ' ' .. d.own .. ' ' .. d.venue .. "
             "' ' .. d.action\n  ctx.state.list = list\nend\n"
             "function S.on_tick() end\nreturn S");
    struct error err = { 0 };
    assert_int_equal(fixture_open(fixture, &err), 0);
    assert_string_equal(fixture->info.notes, "");
    const struct guest *guest = engine_guest(fixture->engine, fixture->instance);
    struct difference cash = { .instrument = INSTRUMENT_NONE,
                               .own = decimal_text("-2.5"),
                               .venue = decimal_text("0.25"),
                               .action = "block" };
    struct difference held = {
        .instrument = 1, .own = decimal_int(0), .venue = decimal_text("1.5"), .action = "adjust"
    };
    struct guest_event event = { .time_ns = fixture->now_ns, .instrument = 1, .name = "down" };
    fixture_trade(fixture, 0, 100, 1);
    event.time_ns = engine_now(fixture->engine);
    assert_int_equal(guest->call(guest->self, GUEST_CONNECTION, &event, &err), 0);
    event.difference = &cash;
    assert_int_equal(guest->call(guest->self, GUEST_RECONCILE, &event, &err), 0);
    event.difference = &held;
    assert_int_equal(guest->call(guest->self, GUEST_RECONCILE, &event, &err), 0);
    fixture_trade(fixture, 0, 100, 1); /* so that the state is asked for */
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_contains(fixture->state, "\"line\":\"sim down table\"");
    assert_contains(fixture->state, "\"list\":[\"cash -2.5 0.25 block\",\"ETH 0.0 1.5 adjust\"]");
    assert_true(guest->call(guest->self, GUEST_CONNECTION, &event, &err) < 0);
    assert_contains(err.message, "this difference's callback has ended; copy what you keep");
    fixture_close(fixture);
}

/* 2024-01-01 is a Monday; the market trades 09:00-17:00 UTC. 1704099600 is its 09:00. */
static void sessions_are_told_and_can_be_asked(void **state)
{
    (void)state;
    static const char hours[] = "zone: { offset: +00:00 }\n"
                                "sessions: [ { days: mon-fri, hours: 09:00-17:00 } ]\n";
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", hours, strlen(hours), &calendar, &err), 0);
    const struct calendar *list[] = { calendar, calendar };
    struct fixture *fixture = fixture_new_in(
        HEAD "local function text(s)\n"
             "  return ('%s %d %d %d'):format(s.state, s.opens, s.closes, s.day_end)\nend\n"
             "function S.on_start(ctx) ctx.state.start = text(ctx:session()) end\n"
             "function S.on_session(ctx, venue, what, p)\n"
             "  assert(p == ctx.params)\n"
             "  ctx.state[what] = venue .. ' ' .. ctx:now() .. ' ' .. text(ctx:session(venue))\n"
             "  ctx:session().state = 'mine'\n"
             "  if what == 'closed' then ctx:session('nyse') end\nend\nreturn S",
        list);
    assert_int_equal(fixture_open(fixture, &err), 0);
    assert_string_equal(fixture->info.notes, "");
    fixture_advance(fixture, FIXTURE_START_NS + 17 * NS_PER_HOUR - 1);
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_contains(fixture->state, "\"start\":\"closed 1704099600 1704128400 1704128400\"");
    assert_contains(fixture->state, "\"open\":\"sim 1704099600.0 open 1704186000 1704128400 "
                                    "1704128400\"");
    fixture_advance(fixture, FIXTURE_START_NS + 17 * NS_PER_HOUR);
    assert_contains(fixture_failure(fixture), "ctx:session: 'nyse' is not a venue of this "
                                              "strategy's symbols; those are 'sim'");
    fixture_close(fixture);
    calendar_release(calendar);
}

/* Always open: there is no next opening and no closing; the day is the UTC day. */
static void a_market_without_a_calendar_is_open(void **state)
{
    (void)state;
    assert_ticks("for _, s in ipairs{ ctx:session(), ctx:session('sim'), ctx:session(nil) } do\n"
                 "  assert(s.state == 'open' and s.opens == nil and s.closes == nil)\n"
                 "  assert(s.day_end == 1704067200 + 86400)\nend");
    assert_tick_fails("ctx:session('binance')", "'binance' is not a venue");
    assert_tick_fails("ctx:session(1)", "ctx:session: venue");
    assert_tick_fails("ctx.session()", "call it with a colon: ctx:session(...)");
}

/* "copy what you keep": a kept event would otherwise silently show another one. */
static void an_event_ends_with_its_callback(void **state)
{
    (void)state;
    struct fixture *fixture =
        fixture_run(HEAD "local kept\nfunction S.on_tick(ctx, tick) kept = tick end\n"
                         "function S.on_quote(ctx, quote) return kept.price end\nreturn S");
    fixture_trade(fixture, 0, 100, 1);
    fixture_quote(fixture, 100, 101);
    assert_contains(fixture_failure(fixture), "this tick's callback has ended; copy what you keep");
    assert_contains(fixture_failure(fixture), "test.lua:4");
    fixture_close(fixture);
}

static void events_are_read_only_and_know_their_fields(void **state)
{
    (void)state;
    assert_tick_fails("return tick.pric", "a tick has no 'pric'; did you mean 'price'?");
    assert_tick_fails("return tick[1]", "a tick has named fields");
    assert_tick_fails("tick.price = 1", "tick is read-only");
    assert_tick_fails("ctx.foo = 1", "ctx is read-only");
    assert_tick_fails("p.x = 1", "");
    assert_ticks("assert(getmetatable(tick) == false and getmetatable(ctx) == false)");
}

/* A callback is a transaction: orders and state of a failed one are dropped. */
static void a_failed_callback_is_taken_back(void **state)
{
    (void)state;
    struct fixture *fixture = ticked("ctx.state.n = 1 ctx:buy(1) error('oops')");
    assert_contains(fixture_failure(fixture), "oops");
    assert_int_equal(fixture->sent_count, 0);
    assert_string_equal(fixture->state, "");
    fixture_close(fixture);
}

static void state_is_written_when_it_changed(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(
        HEAD "function S.on_tick(ctx, tick) ctx.state.n = (ctx.state.n or 0) + 1 end\nreturn S");
    struct error err = { 0 };
    fixture_trade(fixture, 0, 100, 1);
    fixture_trade(fixture, 0, 100, 1);
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture->state, "{\"n\":2}");
    fixture->state[0] = '\0';
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture->state, "");
    fixture_close(fixture);
}

/* ---- ctx ---- */

static void ctx_reads_the_session(void **state)
{
    (void)state;
    assert_ticks(
        "assert(ctx.symbol == 'BTC' and #ctx.symbols == 2 and ctx.symbols[2] == 'ETH')\n"
        "assert(ctx.mode == 'paper' and ctx.params == p)\n"
        "assert(ctx:last() == 100 and ctx:last('ETH') == nil and ctx:quote() == nil)\n"
        "assert(ctx:last('BTC@sim') == 100 and ctx:book() == nil)\n"
        "assert(ctx:now_ns() == tick.time_ns and ctx:session('sim').state == 'open')\n"
        "assert(ctx:equity() == 100000 and ctx:cash() == 100000 and ctx:capital() == 100000)\n"
        "local i = ctx:instrument('ETH')\n"
        "assert(i == ctx:instrument('ETH') and i.tick_size == 0.5 and i.lot_size == 0.001)\n"
        "assert(i.currency == 'USDT' and i.multiplier == 1 and i.min_notional == 5)\n"
        "local x = ctx:position()\n"
        "assert(x == ctx:position('BTC') and x ~= ctx:position('ETH'))\n"
        "assert(x.qty == 0 and x.avg_price == nil and x.unrealized_pnl == 0 and x.value == 0)\n"
        "assert(#ctx:positions() == 0 and #ctx:orders() == 0 and ctx:order(99) == nil)\n"
        "local r = ctx:risk()\n"
        "assert(r.equity == 100000 and r.exposure == 0 and r.open_positions == 0)\n"
        "assert(ctx:signal('x') == nil)");
    struct fixture *fixture =
        fixture_run(HEAD "local q\nfunction S.on_quote(ctx, quote)\n"
                         "  q = q or ctx:quote() assert(q == ctx:quote() and q.bid == quote.bid)\n"
                         "  assert(q.time == ctx:now() and ctx:last() == nil)\nend\nreturn S");
    fixture_quote(fixture, 100, 101);
    fixture_quote(fixture, 101, 102);
    assert_string_equal(fixture_failure(fixture), "");
    fixture_close(fixture);
}

static void mistakes_raise_with_the_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        { "ctx:positon()", "ctx has no 'positon'; did you mean 'position'?" },
        { "ctx:when()", "ctx:when is not in this version" },
        { "ctx.buy(1)", "call it with a colon: ctx:buy(...)" },
        { "ctx:last('BTX')", "'BTX' is not among this strategy's symbols; did you mean 'BTC'" },
        { "return p.fast", "params has no 'fast'" },
        { "return ctx:instrument().tick", "instrument has no 'tick'" },
        { "return ctx:position().quantity", "a position has no 'quantity'" },
        { "ctx:buy('x')", "qty must be a number, not the string 'x'" },
        { "ctx:buy({})", "qty must be a number, not table" },
        { "ctx:buy(0/0)", "qty must be a finite number, not nan" },
        { "ctx:buy(1/0)", "qty must be a finite number, not infinity" },
        { "ctx:buy(-1)", "qty is negative" },
        { "ctx:buy()", "qty is missing" },
        { "ctx:buy(1e60)", "more digits than fit" },
        { "ctx:buy(1, { notional = 5 })", "not both" },
        { "ctx:buy(1, { pric = 5 })", "have no 'pric'; did you mean 'price'?" },
        { "ctx:buy(1, { side = 'buy' })", "have no 'side'" },
        { "ctx:buy(1, { price = 5 })", "add type = \"limit\"" },
        { "ctx:buy(1, { type = 'limit' })", "a limit order needs a price" },
        { "ctx:buy(1, { type = 'limt', price = 5 })", "cannot be 'limt'; allowed: market, limit" },
        { "ctx:buy(1, { type = 'stop' })", "a stop order needs a trigger_price" },
        { "ctx:buy(1, { tif = 'fak' })", "cannot be 'fak'; allowed: gtc, day, ioc, fok, gtd" },
        { "ctx:buy(1, { trail = 5 })", "add type = \"trailing\"" },
        { "ctx:buy(1, { stop = 0/0 })", "stop must be a finite number" },
        { "ctx:buy(1, { post_only = true })", "post_only is for limit orders" },
        { "ctx:buy(1, { tag = 5 })", "tag must be a string" },
        { "ctx:buy(1, { tag = ('x'):rep(64) })", "64 bytes, more than the 63 allowed" },
        { "ctx:buy(1, { tag = 'a\\nb' })", "plain text" },
        { "ctx:buy(1, { reduce_only = 1 })", "reduce_only must be true or false" },
        { "ctx:buy(1, { stop_on = 'last' })", "there is neither" },
        { "ctx:buy(1, 5)", "options must be a table, not number" },
        { "ctx:submit{ qty = 1 }", "side is missing" },
        { "ctx:submit{ side = 'long', qty = 1 }", "side cannot be 'long'; allowed: buy, sell" },
        { "ctx:target('x')", "ctx:target: qty" },
        { "ctx:target(1, { notional = 5 })", "have no 'notional'" },
        { "ctx:cancel('x')", "an order is wanted, not string" },
        { "ctx:amend(1, {})", "nothing to change" },
        { "ctx:size(0, 5)", "risk_percent must be above 0" },
        { "ctx:size(1)", "stop_distance must be a number, not no value" },
        { "ctx:timer('x', -1)", "seconds must be above 0" },
        { "ctx:plot('x', 0/0)", "value must be a finite number" },
        { "ctx:plot('x')", "value must be a number" },
        { "ctx:log()", "a text is missing" },
        { "ctx:bars('1m')", "ctx:bars belongs in on_start" },
        { "ctx:orders({ staus = 'new' })", "did you mean 'status'?" },
        { "ctx:orders({ status = 'done' })", "allowed: pending_new, new" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_tick_fails(cases[i].body, cases[i].part);
}

static void orders_do_not_belong_in_on_start(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(HEAD "function S.on_start(ctx) ctx:log('a %d', 1)\n"
                                               " ctx:plot('x', 1) ctx:buy(1) end\nreturn S");
    assert_contains(fixture_failure(fixture), "orders cannot be placed in on_start");
    assert_string_equal(fixture->plotted, "plot x 1");
    fixture_close(fixture);
}

static void ctx_stop_ends_the_instance(void **state)
{
    (void)state;
    struct fixture *fixture = ticked("ctx:stop('enough')");
    assert_string_equal(fixture_failure(fixture), "enough");
    fixture_close(fixture);
}

static void log_and_print_take_anything(void **state)
{
    (void)state;
    assert_ticks(
        "ctx:log('100%') ctx:log('warn') ctx:log('error', 'x') ctx:log('debug', '%s', tick)\n"
        "ctx:log(nil) ctx:log({}) ctx:log('a %s %d', nil, 3) print('x', 1, ctx)\n"
        "ctx:metric('m', 2) ctx:alert('hello') for i = 1, 5000 do ctx:log('many') end");
}

/* 1,000 lines at once, then 100 a second: the same in every run of the same events. */
static void the_log_is_limited_on_market_time(void **state)
{
    (void)state;
    struct bucket bucket = { 0 };
    int taken = 0;
    for (int i = 0; i < 3000; i++)
        taken += bucket_take(&bucket, FIXTURE_START_NS, 100, 1000);
    assert_int_equal(taken, 1000);
    assert_int_equal(bucket.dropped, 2000);
    for (int i = 0; i < 3000; i++)
        taken += bucket_take(&bucket, FIXTURE_START_NS + NS_PER_SECOND / 2, 100, 1000);
    assert_int_equal(taken, 1050);
    for (int i = 0; i < 3000; i++)
        taken += bucket_take(&bucket, FIXTURE_START_NS + NS_PER_DAY, 100, 1000);
    assert_int_equal(taken, 2050);
}

/* ---- orders ---- */

static void market_facts_come_back_as_nil_reason_code(void **state)
{
    (void)state;
    assert_ticks("local o, why, code = ctx:buy(0)\n"
                 "assert(o == nil and code == 'zero_qty' and #why > 0)\n"
                 "o, why, code = ctx:buy(1, { symbol = 'ETH' })\n"
                 "assert(o == nil and #code > 0)\n"
                 "o, why, code = ctx:target_weight(1, { symbol = 'ETH' })\n"
                 "assert(o == nil and code == 'no_quote')\n"
                 "assert(select('#', ctx:close()) == 1 and ctx:close() == nil)\n"
                 "assert(select('#', ctx:target(0)) == 1)\n"
                 "o, why, code = ctx:sell(1, { reduce_only = true })\n"
                 "assert(o == nil and code == 'nothing_to_reduce')\n"
                 "o, why, code = ctx:cancel(12345)\n"
                 "assert(o == nil and code == 'no_order')\n"
                 "local qty\n"
                 "qty, why, code = ctx:size(1, 0)\n"
                 "assert(qty == 0 and code == 'stop_distance')\n"
                 "qty = ctx:size(1, 0/0) assert(qty == 0)\n"
                 "assert(ctx:size(1, 10) == 100)\n"
                 "assert(#ctx:close_all() == 0)");
}

static void orders_reach_the_venue_rounded_once(void **state)
{
    (void)state;
    static const struct {
        const char *call, *sent;
    } cases[] = {
        { "ctx:buy(1)", "buy 1 BTC market" },
        { "ctx:sell(0.1 + 0.2)", "sell 0.3 BTC market" },
        { "ctx:buy('1.2345')", "buy 1.234 BTC market" },
        { "ctx:buy(nil, { notional = 250 })", "buy 2.5 BTC market" },
        { "ctx:buy(1, { type = 'limit', price = 99.7, tif = 'gtc' })", "buy 1 BTC limit" },
        { "ctx:submit{ side = 'sell', qty = 2, tag = 'x' }", "sell 2 BTC market" },
        { "ctx:target(-3)", "sell 3 BTC market" },
        { "ctx:target_weight(0.5)", "buy 500 BTC market" },
        { "ctx:target_weight(-0.25)", "sell 250 BTC market" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture *fixture = ticked(cases[i].call);
        assert_string_equal(fixture_failure(fixture), "");
        assert_int_equal(fixture->sent_count, 1);
        assert_string_equal(fixture->sent[0], cases[i].sent);
        fixture_close(fixture);
    }
}

static void a_handle_follows_its_order(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(
        HEAD
        "local o\nlocal step = 0\nfunction S.on_tick(ctx)\n"
        "  step = step + 1\n"
        "  if step == 1 then\n"
        "    o = ctx:buy(2, { type = 'limit', price = 99, tag = 'rest', stop = 90, take = 120 })\n"
        "    assert(o.id == 1 and o.status == 'pending_new' and o.side == 'buy' and o.type == "
        "'limit')\n"
        "    assert(o.qty == 2 and o.filled_qty == 0 and o.remaining_qty == 2 and o.price == 99)\n"
        "    assert(o.avg_price == nil and o.reason == nil and o.tag == 'rest' and o.symbol == "
        "'BTC')\n"
        "    assert(o.tif == 'gtc' and o.stop == 90 and o.take == 120 and o.trigger_price == nil)\n"
        "    assert(o.client_order_id == 'c1' and o.reduce_only == false and o.time == ctx:now())\n"
        "    assert(ctx:order(1) == o and #ctx:orders() == 1 and ctx:orders()[1] == o)\n"
        "    assert(({ [o] = 5 })[ctx:order(1)] == 5)\n"
        "    assert(#ctx:orders({ side = 'sell' }) == 0 and #ctx:orders({ tag = 'rest' }) == 1)\n"
        "    assert(#ctx:orders({ symbol = 'ETH' }) == 0)\n"
        "    assert(tostring(o) == 'order 1 (buy 2 BTC, pending_new)')\n"
        "  elseif step == 2 then\n"
        "    assert(o.status == 'partially_filled' and o.filled_qty == 0.5 and o.avg_price == 99)\n"
        "    assert(o.remaining_qty == 1.5 and ctx:position().qty == 0.5)\n"
        "    assert(ctx:position().avg_price == 99 and ctx:positions()[1].symbol == 'BTC')\n"
        "    assert(ctx:position().unrealized_pnl == 0.5 and ctx:position().value == 50)\n"
        "    assert(ctx:amend(o, { price = 98.5 }) == o)\n"
        "  elseif step == 3 then\n"
        "    local x, why, code = ctx:amend(o, { price = 98 }) assert(code == 'pending')\n"
        "  elseif step == 4 then\n"
        "    assert(ctx:cancel(o) == o and o.status == 'pending_cancel')\n"
        "    assert(ctx:cancel_all() == 0)\n"
        "  end\nend\nreturn S");
    fixture_trade(fixture, 0, 100, 1);
    fixture_report(fixture, REPORT_ACK, NULL, NULL);
    fixture_report(fixture, REPORT_FILL, "0.5", "99");
    struct order entry = fixture->newest;
    fixture_trade(fixture, 0, 100, 1);
    assert_string_equal(fixture_failure(fixture), "");
    fixture_trade(fixture, 0, 100, 1);
    fixture_trade(fixture, 0, 100, 1);
    assert_string_equal(fixture_failure(fixture), "");
    (void)entry;
    fixture_close(fixture);
}

/* ---- bars and series ---- */

static void series_follow_their_bars(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(
        HEAD
        "local bars, sma, bb, atr, hh, smooth\nlocal n = 0\n"
        "function S.on_start(ctx)\n"
        "  bars = ctx:bars('1m')\n"
        "  assert(bars == ctx:bars('1m') and bars.tf == '1m' and bars.symbol == 'BTC')\n"
        "  sma, bb, atr, hh = bars:sma(2), bars:bollinger(2, 1), bars:atr(1), bars:highest(2)\n"
        "  assert(sma == bars:sma(2) and sma[1] == nil and #sma == 0 and not sma.ready)\n"
        "  smooth = sma:ema(2)\nend\n"
        "function S.on_bar(ctx, bar, p)\n"
        "  n = n + 1\n"
        "  assert(bar.tf == '1m' and bar.symbol == 'BTC' and bar.time_end - bar.time == 60)\n"
        "  assert(bar.time_end == ctx:now() and bar.time_ns + 60000000000 == bar.time_end_ns)\n"
        "  assert(bar.close == bars.close[1] and bar.volume == bars.volume[1])\n"
        "  assert(bars.close == bars.close and sma.ready and smooth.ready and bb.ready)\n"
        "  assert(sma[1] == (bars.close[1] + bars.close[2]) / 2 and bb.middle[1] == sma[1])\n"
        "  assert(bb.upper[1] > bb.lower[1] and hh[1] == bars.high:highest(2))\n"
        "  assert(bars.close:change(1) == bars.close[1] - bars.close[2])\n"
        "  assert(bars.low:lowest(2) == math.min(bars.low[1], bars.low[2]))\n"
        "  assert(bars.close:highest(1000) == nil and bars.close[1000] == nil)\n"
        "  assert(math.abs(bars.close:zscore(2)) == 1 and #bars == n + 2)\n"
        "  ctx.state.up = bars.close:crossed_above(sma) and bars.close:crossed_above(102)\n"
        "end\nreturn S");
    const double closes[] = { 100, 102, 101, 104, 103 };
    for (size_t i = 0; i < ARRAY_SIZE(closes); i++)
        fixture_trade(fixture, 0, closes[i], i ? 60 : 1);
    fixture_advance(fixture, FIXTURE_START_NS + 241 * NS_PER_SECOND);
    assert_string_equal(fixture_failure(fixture), "");
    struct error err = { 0 };
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture->state, "{\"up\":true}"); /* on_bar ran, warmed up, at 104 */
    fixture_close(fixture);
}

static void series_mistakes_raise(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        { "ctx:bars('2m')", "'2m' is no timeframe; allowed: 1s" },
        { "ctx:bars(60)", "must be a string such as '1m'" },
        { "ctx:bars('1m', 'XRP')", "'XRP' is not among" },
        { "ctx:bars('1m', { evnts = false })", "did you mean 'events'?" },
        { "ctx:bars('1m', { gaps = 'x' })", "allowed: none, flat" },
        { "ctx:bars('1m') ctx:bars('1m', { gaps = 'flat' })", "asked for with other gaps" },
        { "ctx:bars('1m'):ema()", "bars:ema: n must be a number" },
        { "ctx:bars('1m'):ema(0)", "bars:ema: n = 0" },
        { "ctx:bars('1m'):emma(3)", "bars has no 'emma'; did you mean 'ema'?" },
        { "ctx:bars('1m'):bolinger(20, 2)", "bars has no 'bolinger'; did you mean 'bollinger'?" },
        { "local x = ctx:bars('1m').clsoe", "bars has no 'clsoe'; did you mean 'close'?" },
        { "local x = ctx:bars('1m')[1]", "bars has named fields, not [number]" },
        { "ctx:bars('1m'):ema(3):crossed_abve(1)", "did you mean 'crossed_above'?" },
        { "ctx:bars('1m'):ema(3):crossed_above('x')", "a series is wanted" },
        { "local x = ctx:bars('1m'):ema(3)[0]", "a series is read by x[1]" },
        { "local x = ctx:bars('1m'):ema(3)[1.5]", "a series is read by x[1]" },
        { "local x = ctx:bars('1m'):ema(3)[1025]", "a series is read by x[1]" },
        { "ctx:bars('1m'):ema(3):highest(0)", "a whole number from 1" },
        { "ctx:bars('1m'):ema(3)[1] = 5", "series is read-only" },
        { "local x = ctx:bars('1m'):bollinger(3)[1]", "name one, such as .upper[1]" },
        { "local x = ctx:bars('1m'):bollinger(3).uper", "did you mean 'upper'?" },
        { "ctx:bars('1m').close:atr(3)", "a series has no 'atr'" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), HEAD "function S.on_start(ctx)\n%s\nend\nreturn S",
                 cases[i].body);
        struct fixture *fixture = fixture_run(text);
        if (!strstr(fixture_failure(fixture), cases[i].part))
            fail_msg("'%s': '%s' does not contain '%s'", cases[i].body, fixture_failure(fixture),
                     cases[i].part);
        fixture_close(fixture);
    }
}

/* { events = false }: series only. Symbols and timeframes are told apart. */
static void only_bars_asked_for_call_on_bar(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_run(
        HEAD "local count = {}\nfunction S.on_start(ctx)\n"
             "  ctx:bars('1m', { events = false }) ctx:bars('5m') ctx:bars('1m', 'ETH')\nend\n"
             "function S.on_bar(ctx, bar) local k = bar.symbol .. bar.tf\n"
             "  count[k] = (count[k] or 0) + 1 ctx.state.count = count end\nreturn S");
    for (int i = 0; i < 11; i++) {
        fixture_trade(fixture, 0, 100, 30);
        fixture_trade(fixture, 1, 10, 30);
    }
    struct error err = { 0 };
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture_failure(fixture), "");
    assert_string_equal(fixture->state, "{\"count\":{\"BTC5m\":2,\"ETH1m\":10}}");
    fixture_close(fixture);
}

/* What a guest took of the market it gives back: after a thousand reloads nothing is left over. */
static void closing_gives_bars_and_studies_back(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new(
        HEAD "function S.on_start(ctx) local b = ctx:bars('1m') b:ema(5) b:ema(5):sma(3)\n"
             "  b:bollinger(20) b.high:ema(7) end\nreturn S");
    struct bars *bars;
    struct study *study;
    struct error err = { 0 };
    assert_int_equal(market_bars(fixture->market, 0, 60 * NS_PER_SECOND, false, &bars, &err), 0);
    for (int i = 0; i < 3; i++) {
        struct guest guest;
        struct guest_options options = fixture_options(fixture);
        struct bars *const *list;
        options.rehearsal = true;
        assert_int_equal(guest_open(&options, &guest, &err), 0);
        assert_int_equal(guest_rehearse(&guest, &err), 0);
        assert_int_equal(guest_bars(&guest, &list), 1);
        assert_ptr_equal(list[0], bars);
        assert_int_equal(bars_needed(bars), 20);
        assert_false(guest.ready(guest.self, 0));
        assert_true(guest.ready(guest.self, 1));
        guest.close(guest.self);
        assert_int_equal(bars_needed(bars), 0);
    }
    struct indicator_spec spec = { .kind = INDICATOR_EMA, .params = { 5 } };
    assert_int_equal(bars_study(bars, &spec, BAR_CLOSE, &study, &err), 0);
    study_release(study);
    bars_release(bars);
    fixture_close(fixture);
}

/* ---- opening, migrating, rehearsing ---- */

static int open_with(struct fixture *fixture, const char *json, const char *from,
                     struct text *state, struct error *err)
{
    struct guest guest;
    struct guest_options options = fixture_options(fixture);
    options.state_json = json;
    options.migrate_from = from;
    int code = guest_open(&options, &guest, err);
    if (code < 0)
        return code;
    text_clear(state);
    guest_state(&guest, state);
    guest.close(guest.self);
    return 0;
}

static void state_is_migrated(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct text text;
    text_init(&text, 65536);
    struct fixture *fixture =
        fixture_new(HEAD "function S.migrate(state, old)\n"
                         "  if old == '0.9' then state.n = state.n + 1 state.old = old\n"
                         "  elseif old == '0.8' then return { fresh = true, n = state.n }\n"
                         "  elseif old == '0.7' then return 5\n"
                         "  else error('cannot') end end\nreturn S");
    assert_int_equal(open_with(fixture, "{\"n\":1}", NULL, &text, &err), 0);
    assert_string_equal(text.data, "{\"n\":1}");
    assert_int_equal(open_with(fixture, "{\"n\":1}", "0.9", &text, &err), 0);
    assert_string_equal(text.data, "{\"n\":2,\"old\":\"0.9\"}");
    assert_int_equal(open_with(fixture, "{\"n\":1}", "0.8", &text, &err), 0);
    assert_string_equal(text.data, "{\"fresh\":true,\"n\":1}");
    assert_int_equal(open_with(fixture, "{\"n\":1}", "0.7", &text, &err), ERROR_DATA);
    assert_contains(err.message, "returns a table or nothing, not number");
    assert_int_equal(open_with(fixture, "{\"n\":1}", "0.1", &text, &err), ERROR_DATA);
    assert_contains(err.message, "migrate ctx.state from version 0.1");
    assert_int_equal(open_with(fixture, "{\"n\":", NULL, &text, &err), ERROR_DATA);
    text_release(&text);
    fixture_close(fixture);
}

static void a_rehearsal_is_mute_but_tells_failures(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        { "ctx:log('x') ctx:plot('a', 1) ctx:timer('t', 1) ctx:alert('x') print('x')", NULL },
        { "error('broken')", "broken" },
        { "ctx:stop('no')", "on_start stops the strategy: no" },
        { "ctx:buy(1)", "orders cannot be placed in on_start" },
        { "while true do end", "" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        struct error err = { 0 };
        struct guest guest;
        snprintf(text, sizeof(text), HEAD "function S.on_start(ctx)\n%s\nend\nreturn S",
                 cases[i].body);
        struct fixture *fixture = fixture_new(text);
        struct guest_options options = fixture_options(fixture);
        options.rehearsal = true;
        assert_int_equal(guest_open(&options, &guest, &err), 0);
        int code = guest_rehearse(&guest, &err);
        assert_int_equal(code == 0, cases[i].part == NULL);
        if (cases[i].part)
            assert_contains(err.message, cases[i].part);
        assert_string_equal(fixture->plotted, "");
        assert_true(engine_due_ns(fixture->engine) == TIME_NEVER);
        guest.close(guest.self);
        fixture_close(fixture);
    }
}

static void on_reload_gets_the_old_version(void **state)
{
    (void)state;
    struct fixture *fixture =
        fixture_run(HEAD "S.params = { n = { 1 } }\nfunction S.on_reload(ctx, old, p)\n"
                         "  ctx.state.from = old assert(p.n == 1) end\nreturn S");
    struct guest guest;
    struct guest_options options = fixture_options(fixture);
    struct error err = { 0 };
    assert_int_equal(guest_open(&options, &guest, &err), 0);
    struct guest old = engine_set_guest(fixture->engine, fixture->instance, guest);
    old.close(old.self);
    assert_int_equal(engine_begin(fixture->engine, fixture->instance, fixture->now_ns, "0.9", &err),
                     0);
    assert_int_equal(engine_flush(fixture->engine, fixture->now_ns, &err), 0);
    assert_string_equal(fixture->state, "{\"from\":\"0.9\"}");
    fixture_close(fixture);
}

static void live_params_change_while_it_runs(void **state)
{
    (void)state;
    struct fixture *fixture =
        fixture_new(HEAD "S.params = { a = { 1, live = true }, b = { 2 } }\n"
                         "function S.on_params(ctx, p, changed)\n"
                         "  assert(p.a == 5 and p.b == 2 and changed.a == 1 and changed.b == nil)\n"
                         "  ctx.state.a = p.a end\nreturn S");
    struct guest guest;
    struct guest_options options = fixture_options(fixture);
    struct error err = { 0 };
    assert_int_equal(guest_open(&options, &guest, &err), 0);
    struct params params = fixture->params;
    params.values[1].integer = 9;
    assert_int_equal(guest_set_params(&guest, &params, &err), ERROR_REFUSED);
    params = fixture->params;
    params.values[0].integer = 5;
    assert_int_equal(guest_set_params(&guest, &params, &err), 0);
    struct guest_event event = { .time_ns = fixture->now_ns };
    if (guest.call(guest.self, GUEST_PARAMS, &event, &err) < 0)
        fail_msg("%s", err.message);
    struct text text;
    text_init(&text, 4096);
    assert_true(guest.state(guest.self, &text));
    assert_string_equal(text.data, "{\"a\":5}");
    assert_false(guest.state(guest.self, &text));
    text_release(&text);
    guest.close(guest.self);
    fixture_close(fixture);
}

/* Whatever the cap: the guest opens, or says why not and leaves nothing behind. */
static void a_small_memory_cap_fails_cleanly(void **state)
{
    (void)state;
    struct fixture *fixture =
        fixture_new(HEAD "local t = {} for i = 1, 500 do t[i] = { i } end\n"
                         "function S.on_start(ctx) ctx:bars('1m'):ema(5) end\nreturn S");
    int opened = 0, refused = 0;
    for (size_t memory = 40000; memory < 400000; memory += 3000) {
        struct guest guest;
        struct error err = { 0 };
        fixture->limits.memory = memory;
        struct guest_options options = fixture_options(fixture);
        options.rehearsal = true;
        options.state_json = "{\"list\":[1,2,3]}";
        if (guest_open(&options, &guest, &err) < 0) {
            assert_true(err.code == ERROR_RANGE || err.code == ERROR_DATA);
            refused++;
            continue;
        }
        opened += guest_rehearse(&guest, &err) == 0;
        guest.close(guest.self);
    }
    assert_true(opened > 10 && refused > 5);
    fixture_close(fixture);
}

/* ---- ta, stats ---- */

static void stand_alone_indicators_are_fed_by_hand(void **state)
{
    (void)state;
    assert_ticks("local e = ta.ema(3)\n"
                 "assert(e:update(1) == nil and e.value == nil and not e.ready)\n"
                 "assert(e:update(2) == nil and e:update(3) == 2 and e.value == 2 and e.ready)\n"
                 "local a = ta.atr(1) a:update(10, 8, 9) assert(a:update(12, 9, 11) == 3)\n"
                 "local b = ta.bollinger(2, 1) b:update(1)\n"
                 "local u, m, l = b:update(3)\n"
                 "assert(u == 3 and m == 2 and l == 1 and b.upper == 3 and b.lower == 1)\n"
                 "assert(ta.rsi() ~= nil and #tostring(e) > 0)");
    assert_tick_fails("ta.emma(3)", "");
    assert_tick_fails("ta.ema('3')", "ta.ema: n must be a number, not string");
    assert_tick_fails("ta.ema(0)", "ta.ema: n = 0");
    assert_tick_fails("ta.ema(3):update(0/0)", "finite");
    assert_tick_fails("ta.ema(3).update(5)", "with a colon");
    assert_tick_fails("return ta.ema(3).valeu", "ema has no 'valeu'; did you mean 'value'?");
    assert_tick_fails("ta.ema = 1", "");
    assert_tick_fails("for i = 1, 2000 do ta.sma(1) end", "too many stand-alone indicators");
    assert_tick_fails("for i = 1, 2000 do ta.sma(10000) end", "too many stand-alone indicators");
}

static void stats_know_small_lists(void **state)
{
    (void)state;
    assert_ticks("assert(stats.mean({ 1, 2, 3, 4 }) == 2.5 and stats.mean({}) == nil)\n"
                 "assert(stats.stdev({ 2, 4, 4, 4, 5, 5, 7, 9 })^2 - 32 / 7 < 1e-12)\n"
                 "assert(stats.stdev({ 1 }) == nil and stats.median({ 3, 1, 2 }) == 2)\n"
                 "assert(stats.median({ 4, 1, 2, 3 }) == 2.5 and stats.median({}) == nil)\n"
                 "assert(stats.correlation({ 1, 2, 3 }, { 2, 4, 6 }) == 1)\n"
                 "assert(stats.correlation({ 1, 2, 3 }, { 6, 4, 2 }) == -1)\n"
                 "assert(stats.correlation({ 1, 1 }, { 1, 2 }) == nil)\n"
                 "assert(stats.zscore({ 1, 3 }) == 1 and stats.zscore({ 2, 2 }) == nil)\n"
                 "ctx.state.list = { 1, 2, 3 } assert(stats.mean(ctx.state.list) == 2)");
    assert_tick_fails("stats.mean(1)", "must be a list of numbers, not number");
    assert_tick_fails("stats.mean({ 1, 'x' })", "list[2] must be a number");
    assert_tick_fails("stats.mean({ 1, 0/0 })", "list[2] must be a finite");
    assert_tick_fails("stats.correlation({ 1 }, { 1, 2 })", "x has 1 values, y has 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callbacks_get_what_the_contract_says),
        cmocka_unit_test(rejections_and_verdicts_are_told),
        cmocka_unit_test(connections_and_differences_are_told),
        cmocka_unit_test(sessions_are_told_and_can_be_asked),
        cmocka_unit_test(a_market_without_a_calendar_is_open),
        cmocka_unit_test(an_event_ends_with_its_callback),
        cmocka_unit_test(events_are_read_only_and_know_their_fields),
        cmocka_unit_test(a_failed_callback_is_taken_back),
        cmocka_unit_test(state_is_written_when_it_changed),
        cmocka_unit_test(ctx_reads_the_session),
        cmocka_unit_test(mistakes_raise_with_the_nearest_name),
        cmocka_unit_test(orders_do_not_belong_in_on_start),
        cmocka_unit_test(ctx_stop_ends_the_instance),
        cmocka_unit_test(log_and_print_take_anything),
        cmocka_unit_test(the_log_is_limited_on_market_time),
        cmocka_unit_test(market_facts_come_back_as_nil_reason_code),
        cmocka_unit_test(orders_reach_the_venue_rounded_once),
        cmocka_unit_test(a_handle_follows_its_order),
        cmocka_unit_test(series_follow_their_bars),
        cmocka_unit_test(series_mistakes_raise),
        cmocka_unit_test(only_bars_asked_for_call_on_bar),
        cmocka_unit_test(closing_gives_bars_and_studies_back),
        cmocka_unit_test(state_is_migrated),
        cmocka_unit_test(a_rehearsal_is_mute_but_tells_failures),
        cmocka_unit_test(on_reload_gets_the_old_version),
        cmocka_unit_test(live_params_change_while_it_runs),
        cmocka_unit_test(a_small_memory_cap_fails_cleanly),
        cmocka_unit_test(stand_alone_indicators_are_fed_by_hand),
        cmocka_unit_test(stats_know_small_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
