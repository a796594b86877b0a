/* options_test.c - the command line: what is understood, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "runtime/app/help.h"
#include "runtime/app/options.h"

#define ARGUMENTS_MAX 80

/* Parses the words between blanks. The words stay: options borrow them. */
static int parse(const char *line, struct options *options, struct error *err)
{
    static char words[4096];
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    *err = (struct error){ 0 };
    return options_parse(argc, argv, options, err);
}

static struct options parsed(const char *line)
{
    struct options options;
    struct error err;
    int code = parse(line, &options, &err);
    if (code < 0)
        print_error("%s: %s\n", line, err.message);
    assert_int_equal(code, 0);
    return options;
}

/* The refusal must say `words`: a message that does not name the fault helps nobody. */
static void refused(const char *line, const char *words)
{
    struct options options;
    struct error err;
    assert_int_equal(parse(line, &options, &err), ERROR_USAGE);
    if (!strstr(err.message, words))
        print_error("%s\n  says %s\n  lacks %s\n", line, err.message, words);
    assert_non_null(strstr(err.message, words));
}

static void nothing_said_is_the_defaults(void **state)
{
    (void)state;
    struct options options = parsed("");
    assert_null(options.mode);
    assert_string_equal(options.state, "artifacts");
    assert_true(options.speed == 1);
    assert_false(options.speed_given);
    assert_int_equal(options.clock_start_ns, INT64_C(1704067200) * NS_PER_SECOND);
    assert_int_equal(options.seed, 0);
    assert_int_equal(options.strategies.count, 0);
}

/* runtime momentum.lua --paper and runtime --paper momentum.lua are the same. */
static void options_may_follow_operands(void **state)
{
    (void)state;
    struct options before = parsed("--capital 500 a.lua --json b.lua data.csv");
    assert_int_equal(before.strategies.count, 2);
    assert_string_equal(before.strategies.items[1], "b.lua");
    assert_string_equal(before.operands.items[0], "data.csv");
    assert_string_equal(before.capital, "500");
    assert_true(before.json);
    struct options after = parsed("a.lua b.lua data.csv --json --capital=500");
    assert_int_equal(after.strategies.count, 2);
    assert_string_equal(after.capital, "500");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct options options = parsed("--quiet -- --json --fresh.lua -");
    assert_false(options.json);
    assert_true(options.quiet);
    assert_string_equal(options.operands.items[0], "--json");
    assert_string_equal(options.strategies.items[0], "--fresh.lua");
    assert_string_equal(options.operands.items[1], "-");
}

static void a_mode_is_a_flag_or_a_word(void **state)
{
    (void)state;
    assert_string_equal(parsed("a.lua --paper").mode, "paper");
    assert_string_equal(parsed("--mode paper").mode, "paper");
    assert_string_equal(parsed("--mode=live").mode, "live");
    assert_string_equal(parsed("--backtest data.csv").mode, "backtest");
    assert_string_equal(parsed("--paper --paper").mode, "paper");
    refused("--mode demo", "paper, live or backtest");
    refused("--paper --backtest", "--backtest goes with no other mode");
    refused("--live --mode backtest", "--backtest goes with no other mode");
}

/* Paper trading on a real venue's data, in either order: never live by accident. */
static void live_and_paper_is_paper(void **state)
{
    (void)state;
    const char *const lines[] = { "--live --paper", "--paper --live", "--mode live --paper" };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct options options = parsed(lines[i]);
        assert_string_equal(options.mode, "paper");
        assert_true(options.live_and_paper);
    }
    assert_false(parsed("--live").live_and_paper);
}

static void repeatable_options_gather(void **state)
{
    (void)state;
    struct options options = parsed("--feed a.csv --data BTC/USDT:USDT=b.csv --param fast=3 "
                                    "--param BTC/USDT:USDT:slow=9 --param note=");
    assert_int_equal(options.feeds.count, 2);
    assert_string_equal(options.feeds.items[1], "BTC/USDT:USDT=b.csv");
    assert_int_equal(options.params.count, 3);
    assert_string_equal(options.params.items[1], "BTC/USDT:USDT:slow=9");
    refused("--param fast", "NAME=VALUE");
    refused("--param =3", "NAME=VALUE");
    refused("--param a.lua:=3", "NAME=VALUE");
    refused("--feed =a.csv", "SYMBOL=FILE");
    refused("--feed BTC/USDT=", "SYMBOL=FILE");
}

static void a_list_has_an_end(void **state)
{
    (void)state;
    char line[4096] = "";
    for (int i = 0; i <= OPTION_LIST_MAX; i++)
        strcat(line, "s.lua ");
    refused(line, "more than 64");
}

static void speed_is_max_or_a_number(void **state)
{
    (void)state;
    struct options options = parsed("--speed max");
    assert_true(options.speed == SPEED_MAX);
    assert_true(options.speed_given);
    assert_true(parsed("--speed 60").speed == 60);
    assert_true(parsed("--speed 0.5").speed == 0.5);
    const char *const wrong[] = { "--speed 0",   "--speed -1",  "--speed fast", "--speed 1e9",
                                  "--speed nan", "--speed inf", "--speed 6x",   "--speed=" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(wrong[i], "max, or market seconds per wall second");
}

/* A number is the whole word: "10k" or "1,000" read as 10 or 1 would trade another amount. */
static void numbers_are_checked(void **state)
{
    (void)state;
    assert_int_equal(parsed("--seed 7").seed, 7);
    assert_int_equal(parsed("--skip-bad-rows 0").skip_bad_rows, 0);
    assert_string_equal(parsed("--duration 0").duration, "0");
    assert_string_equal(parsed("--capital 1e5").capital, "1e5");
    refused("--seed 0", "from 1 to");
    refused("--seed -3", "from 1 to");
    refused("--seed 9223372036854775808", "from 1 to");
    refused("--seed 99999999999999999999999", "from 1 to");
    refused("--skip-bad-rows 1.5", "a whole number");
    refused("--capital 10k", "'10k' is not allowed: give an amount above 0");
    refused("--capital 1,000", "above 0");
    refused("--capital 0", "above 0");
    refused("--capital -5", "above 0");
    refused("--duration 1h", "seconds of market time");
    refused("--duration -1", "seconds of market time");
    refused("--duration 1e30", "seconds of market time");
}

static void times_and_words_are_checked(void **state)
{
    (void)state;
    assert_int_equal(parsed("--clock-start 1970-01-02").clock_start_ns, NS_PER_DAY);
    refused("--clock-start yesterday", "ISO 8601");
    refused("--clock-start 1969-12-31", "from 1970");
    refused("--clock-start 2200-01-01", "to 2199");
    assert_string_equal(parsed("--log-level debug").log_level, "debug");
    refused("--log-level loud", "debug, info, warn or error");
    assert_string_equal(parsed("--timeframe 1h").timeframe, "1h");
    refused("--timeframe 7m", "1h");
    assert_string_equal(parsed("--symbols A,B").symbols, "A,B");
    refused("--symbols A,,B", "none empty");
    refused("--symbols=", "none empty");
    refused("--state=", "a directory");
    refused("--config=", "a file");
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    refused("--sped max", "did you mean --speed?");
    refused("--symbol-s=A", "did you mean --symbols?");
    refused("-paper", "did you mean --paper?");
    refused("--PARAM x=1", "did you mean --param?");
    refused("--zzzzzzzz", "runtime --help lists them");
    refused("-x", "unknown option -x");
    refused("--spee max", "did you mean --speed?"); /* no abbreviations: a typo may be another's */
    refused("---", "unknown option ---");
}

/* runtime why -5: the command says what it takes. */
static void a_negative_number_is_an_operand(void **state)
{
    (void)state;
    assert_string_equal(parsed("-5").operands.items[0], "-5");
    assert_string_equal(parsed("-.5").operands.items[0], "-.5");
    refused("-5x", "unknown option -5x");
}

static void values_are_where_they_belong(void **state)
{
    (void)state;
    refused("--json=yes", "--json takes no value");
    refused("--symbols", "--symbols needs a value");
    refused("--symbols --json", "--symbols needs a value");
    assert_true(parsed("-q").quiet);
    assert_true(parsed("-h").help);
    assert_true(parsed("--version").version);
}

/* Somebody who reads the contract gets an honest answer, not a guess at a typo. */
static void planned_options_say_so(void **state)
{
    (void)state;
    refused("--dashboard", "--dashboard: not in this version");
    refused("--dashboard=127.0.0.1:8480", "not in this version");
    refused("--zone UTC", "not in this version");
    refused("--symbol A", "--symbol: not in this version; did you mean --symbols?");
}

static void json_is_known_even_when_parsing_fails(void **state)
{
    (void)state;
    struct options options;
    struct error err;
    assert_int_equal(parse("--wrong --json", &options, &err), ERROR_USAGE);
    assert_true(options.json);
    assert_int_equal(parse("--wrong -- --json", &options, &err), ERROR_USAGE);
    assert_false(options.json);
}

/* What is listed can be used: help and parser share one table. */
static void help_lists_what_can_be_used(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 65536);
    options_help(&text);
    const char *const listed[] = { "--paper", "--feed [SYMBOL=]FILE", "--speed max|N",
                                   "-q, --quiet" };
    for (size_t i = 0; i < ARRAY_SIZE(listed); i++)
        assert_non_null(strstr(text.data, listed[i]));
    const char *const hidden[] = { "--live", "--backtest", "--dashboard", "--zone" };
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
        assert_null(strstr(text.data, hidden[i]));
    for (const char *line = text.data; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_the_defaults),
        cmocka_unit_test(options_may_follow_operands),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_mode_is_a_flag_or_a_word),
        cmocka_unit_test(live_and_paper_is_paper),
        cmocka_unit_test(repeatable_options_gather),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(speed_is_max_or_a_number),
        cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(times_and_words_are_checked),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(a_negative_number_is_an_operand),
        cmocka_unit_test(values_are_where_they_belong),
        cmocka_unit_test(planned_options_say_so),
        cmocka_unit_test(json_is_known_even_when_parsing_fails),
        cmocka_unit_test(help_lists_what_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
