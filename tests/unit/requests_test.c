/* requests_test.c - what a session answers to whoever reaches its socket: friends, and fools. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/control.h"

#define ANSWER_MAX (1u << 20)
#define PEER "uid 1, pid 2"

static const char strategy_text[] =
    "local S = { api = 1, name = 'quiet', version = '1' }\n"
    "local seen = 0\n"
    "function S.on_tick(ctx, tick)\n"
    "  seen = seen + 1\n"
    "  if seen == 2 then ctx:buy(0.01, { stop = tick.price / 2, take = tick.price * 2 }) end\n"
    "  if seen > 2 then ctx:buy(0.01, { type = 'limit', price = tick.price / 2 }) end\n"
    "end\n"
    "return S\n";

struct fixture {
    char folder[64], strategy[96], state[96];
    struct options options;
    struct session *session;
};

static int enter(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct error err = { 0 };
    strcpy(fixture->folder, "/tmp/requests_test_XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    snprintf(fixture->strategy, sizeof(fixture->strategy), "%s/quiet.lua", fixture->folder);
    snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder);
    assert_int_equal(text_write_file(fixture->strategy, strategy_text, strlen(strategy_text), &err),
                     0);
    char *argv[] = {
        fixture->strategy, "--symbols",           "BTC/USDT:USDT", "--state", fixture->state,
        "--config",        "config/runtime.yaml", "--capital",     "10000"
    };
    assert_int_equal(options_parse(ARRAY_SIZE(argv), argv, &fixture->options, &err), 0);

    int code = session_open(&fixture->options, NULL, NULL, &fixture->session, &err);
    if (code < 0)
        print_error("%s %s\n", err.where, err.message);
    *state = fixture;
    return code;
}

static int leave(void **state)
{
    struct fixture *fixture = *state;
    char command[160];
    session_close(fixture->session);
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
    int code = system(command);
    free(fixture);
    return code;
}

static void run(struct fixture *fixture, int64_t seconds)
{
    struct error err = { 0 };
    struct session *session = fixture->session;
    assert_int_equal(session_run(session, session->now_ns + seconds * NS_PER_SECOND, 100000, &err),
                     0);
}

/* The answer, read: every answer is one object without a line's end. */
static struct json *ask_bytes(struct fixture *fixture, const char *request, size_t length)
{
    struct error err = { 0 };
    struct text answer;
    struct json *root;
    text_init(&answer, ANSWER_MAX);
    assert_int_equal(session_control_answer(fixture->session, request, length, PEER, &answer, &err),
                     0);
    assert_false(answer.overflow);
    assert_null(strchr(answer.data, '\n'));
    assert_int_equal(json_parse(answer.data, answer.length, &root, &err), 0);
    assert_int_equal(json_kind(root), JSON_OBJECT);
    assert_non_null(json_get(root, "ok"));
    text_release(&answer);
    return root;
}

static struct json *ask(struct fixture *fixture, const char *request)
{
    return ask_bytes(fixture, request, strlen(request));
}

static void is_refused(struct fixture *fixture, const char *request, const char *code)
{
    struct json *answer = ask(fixture, request);
    assert_false(json_as_bool(json_get(answer, "ok")));
    assert_string_equal(json_as_number_text(json_get(answer, "code")), code);
    assert_non_null(json_as_string(json_get(answer, "message")));
    json_release(answer);
}

static void is_done(struct fixture *fixture, const char *request)
{
    struct json *answer = ask(fixture, request);
    assert_true(json_as_bool(json_get(answer, "ok")));
    json_release(answer);
}

static void what_is_no_request_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const garbage[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "null",
        "halt",
        "\"halt\"",
        "[\"halt\"]",
        "{}",
        "{\"command\":}",
        "{\"command\":\"halt\"}}",
        "{\"command\":\"halt\"} {\"command\":\"halt\"}",
        "{\"command\":\"\\u0000halt\"}",
        "\xff\xfe{\"command\":\"halt\"}",
        "{\"command\":\"halt\",\"command\":\"stop\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        struct json *answer = ask(fixture, garbage[i]);
        assert_false(json_as_bool(json_get(answer, "ok")));
        json_release(answer);
    }
    static const char *const odd[] = { "{\"command\":7}", "{\"command\":null}",
                                       "{\"command\":{\"command\":\"halt\"}}",
                                       "{\"Command\":\"halt\"}" };
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
        is_refused(fixture, odd[i], "64");
    is_refused(fixture, "{\"command\":\"no such thing\"}", "64");
    is_refused(fixture, "{\"command\":\"\"}", "64");
    assert_false(engine_is_halted(fixture->session->engine, NULL));
    assert_null(fixture->session->stop_asked);
}

static void deep_and_long_json_does_no_harm(void **state)
{
    struct fixture *fixture = *state;
    static char deep[65000];
    for (size_t depth = 10; depth < sizeof(deep); depth = depth * 3 + 1) {
        memset(deep, '[', depth);
        json_release(ask_bytes(fixture, deep, depth));
        for (size_t i = 0; i + 5 < depth; i += 5)
            memcpy(deep + i, "{\"a\":", 5);
        json_release(ask_bytes(fixture, deep, depth));
    }
    snprintf(deep, sizeof(deep), "{\"command\":\"flatten\",\"symbol\":\"%60000s\"}", "x");
    is_refused(fixture, deep, "64");
    snprintf(deep, sizeof(deep), "{\"command\":\"%60000s\"}", "x");
    is_refused(fixture, deep, "64");
    snprintf(deep, sizeof(deep), "{\"command\":\"halt\",\"reason\":\"%60000s\"}", "x");
    is_done(fixture, deep);
    const char *reason;
    assert_true(engine_is_halted(fixture->session->engine, &reason));
    assert_true(strlen(reason) < REASON_MAX);
}

static void arguments_of_another_kind_are_none(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, 60);
    is_done(fixture, "{\"command\":\"why\",\"count\":\"5\"}");
    is_done(fixture, "{\"command\":\"why\",\"count\":-5}");
    is_done(fixture, "{\"command\":\"why\",\"count\":1e300}");
    is_done(fixture, "{\"command\":\"why\",\"count\":99999999999999999999}");
    is_refused(fixture, "{\"command\":\"breaker\"}", "64");
    is_refused(fixture, "{\"command\":\"breaker\",\"do\":\"burn\"}", "64");
    is_refused(fixture, "{\"command\":\"breaker\",\"do\":\"open\",\"venue\":\"nowhere\"}", "64");
    is_refused(fixture, "{\"command\":\"flatten\",\"symbol\":\"nothing\"}", "64");
    is_done(fixture, "{\"command\":\"halt\",\"emergency\":\"yes\",\"reason\":[1,{\"a\":2}]}");
    assert_null(session_emergency_asked(fixture->session)); /* "yes" is no true */
}

/* What looks may be asked at any time: before the first event too. */
static void what_looks_answers_at_any_time(void **state)
{
    struct fixture *fixture = *state;
    static const char *const looks[] = { "status", "orders", "positions", "why" };
    for (int seconds = 0; seconds < 3; seconds++) {
        for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
            char request[64];
            snprintf(request, sizeof(request), "{\"command\":\"%s\"}", looks[i]);
            is_done(fixture, request);
        }
        run(fixture, seconds * 30);
    }
}

static size_t journalled(struct fixture *fixture)
{
    struct journal_entry *list;
    size_t count, found = 0;
    struct error err = { 0 };
    assert_int_equal(ledger_journal(fixture->session->ledger, &list, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        found += strcmp(list[i].name, "control") == 0 && strstr(list[i].body, PEER) != NULL;
    journal_release(list, count);
    return found;
}

static void what_changes_something_is_in_the_journal_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    run(fixture, 60);
    is_done(fixture, "{\"command\":\"status\"}");
    is_refused(fixture, "{\"command\":\"flatten\",\"symbol\":\"nothing\"}", "64");
    is_refused(fixture, "{\"command\":\"breaker\",\"do\":\"open\",\"venue\":\"nowhere\"}", "64");
    assert_int_equal(journalled(fixture), 0);
    static const char *const changes[] = { "{\"command\":\"halt\"}",
                                           "{\"command\":\"resume\"}",
                                           "{\"command\":\"flatten\"}",
                                           "{\"command\":\"breaker\",\"do\":\"open\"}",
                                           "{\"command\":\"breaker\",\"do\":\"close\"}",
                                           "{\"command\":\"reload\"}",
                                           "{\"command\":\"stop\"}" };
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        is_done(fixture, changes[i]);
        assert_int_equal(journalled(fixture), i + 1);
    }
    assert_string_equal(fixture->session->stop_asked, "runtime stop");
}

static void an_emergency_cancels_exits_too(void **state)
{
    struct fixture *fixture = *state;
    struct error err = { 0 };
    run(fixture, 60);
    assert_true(engine_open_orders(fixture->session->engine) > 2);
    is_done(fixture, "{\"command\":\"halt\",\"emergency\":true}");
    assert_non_null(session_emergency_asked(fixture->session));
    assert_int_equal(session_emergency(fixture->session, &err), 0);
    assert_int_equal(session_stop(fixture->session, POLICY_CANCEL, "emergency stop", &err), 0);
    assert_int_equal(engine_open_orders(fixture->session->engine), 0);
    assert_int_equal(journalled(fixture), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_request_is_refused),
        TEST(deep_and_long_json_does_no_harm),
        TEST(arguments_of_another_kind_are_none),
        TEST(what_looks_answers_at_any_time),
        TEST(what_changes_something_is_in_the_journal_and_nothing_else),
        TEST(an_emergency_cancels_exits_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
