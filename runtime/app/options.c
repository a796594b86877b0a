/* options.c - the command line: one table for parsing, for --help and for suggestions. */
#include "runtime/app/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/app/help.h"
#include "runtime/base/clock.h"
#include "runtime/base/decimal.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"

#define COLUMN 26 /* of --help: where explanations begin */
#define WIDTH 80
#define SPEED_LEAST 0.001
#define SPEED_MOST 1e6
#define DURATION_MOST INT64_C(3155760000)                    /* seconds: 100 years */
#define CLOCK_START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01T00:00:00Z */
#define CLOCK_END_NS (INT64_C(7258118400) * NS_PER_SECOND)   /* 2200-01-01T00:00:00Z */

enum kind {
    KIND_FLAG,    /* bool */
    KIND_TEXT,    /* const char *, the last one given counts */
    KIND_LIST,    /* struct option_list */
    KIND_COUNT,   /* uint64_t */
    KIND_SPEED,   /* double */
    KIND_TIME,    /* int64_t, ns */
    KIND_MODE,    /* the mode is its value, or its own name */
    KIND_PLANNED, /* of the contract, but not of this version */
};

enum section { SECTION_TRADING, SECTION_MARKET, SECTION_STATE, SECTION_OUTPUT, SECTION_COMMAND };

/* One option. Without `help` it is understood but not listed. */
struct option {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* what its value is called; NULL: takes none */
    enum kind kind;
    size_t offset;                         /* of the field in struct options */
    bool (*is_allowed)(const char *value); /* NULL: any text but an empty one */
    const char *allowed;                   /* in words, for the message */
    enum section section;
    const char *help;
};

static bool is_number(const char *value, decimal *number)
{
    return decimal_parse(value, strlen(value), number) == 0;
}

static bool is_amount(const char *value)
{
    decimal number;
    return is_number(value, &number) && decimal_sign(number) > 0;
}

static bool is_duration(const char *value)
{
    decimal number;
    return is_number(value, &number) && decimal_sign(number) >= 0 &&
           decimal_cmp(number, decimal_int(DURATION_MOST)) <= 0;
}

static bool is_level(const char *value)
{
    enum log_level level;
    return log_level_parse(value, &level);
}

static bool is_timeframe(const char *value)
{
    int64_t tf_ns;
    return timeframe_parse(value, &tf_ns);
}

/* Words with commas between, none of them empty. */
static bool is_words(const char *value)
{
    for (const char *word = value;; word++) {
        size_t length = strcspn(word, ",");
        if (strspn(word, " \t") >= length)
            return false;
        word += length;
        if (!*word)
            return true;
    }
}

/* [FILE:|SYMBOL:]NAME=VALUE. The value may be empty: an empty string is one. */
static bool is_assignment(const char *value)
{
    const char *equals = strchr(value, '=');
    return equals && equals > value && equals[-1] != ':';
}

static bool is_feed(const char *value)
{
    const char *equals = strchr(value, '=');
    return *value && (!equals || (equals > value && equals[1]));
}

#define FIELD(name) offsetof(struct options, name)
#define WORDS_ALLOWED "names with commas between them, none empty"
#define FEED_ALLOWED "FILE, or SYMBOL=FILE"

/* In the order of --help: what is used most comes first. */
static const struct option table[] = {
    { "paper", 0, NULL, KIND_MODE, 0, NULL, NULL, SECTION_TRADING,
      "trade with simulated money (the default)" },
    { "live", 0, NULL, KIND_MODE, 0, NULL, NULL, SECTION_TRADING, NULL },
    { "backtest", 0, NULL, KIND_MODE, 0, NULL, NULL, SECTION_TRADING, NULL },
    { "mode", 0, "MODE", KIND_MODE, 0, NULL, "paper, live or backtest", SECTION_TRADING, NULL },
    { "param", 0, "NAME=VALUE", KIND_LIST, FIELD(params), is_assignment,
      "NAME=VALUE, FILE:NAME=VALUE or SYMBOL:NAME=VALUE", SECTION_TRADING,
      "set a parameter of the strategy; FILE:NAME=VALUE for one of several "
      "strategies, SYMBOL:NAME=VALUE for one symbol; repeatable" },
    { "symbols", 0, "A,B", KIND_TEXT, FIELD(symbols), is_words, WORDS_ALLOWED, SECTION_TRADING,
      "what to trade, such as BTC/USDT:USDT,ETH/USDT:USDT" },
    { "capital", 0, "USD", KIND_TEXT, FIELD(capital), is_amount, "an amount above 0",
      SECTION_TRADING, "money to begin with (default 100)" },
    { "duration", 0, "SECONDS", KIND_TEXT, FIELD(duration), is_duration,
      "seconds of market time, 0 for no end, at most 3155760000", SECTION_TRADING,
      "stop after so much market time (default 0: no end)" },
    { "config", 0, "FILE", KIND_TEXT, FIELD(config), NULL, "a file", SECTION_TRADING,
      "configuration (default CONFIG_PATH, else the first config/runtime.yaml found)" },
    { "broker", 0, "NAME", KIND_TEXT, FIELD(broker), is_words, WORDS_ALLOWED, SECTION_TRADING,
      "venue (default EXCHANGES, else sim: a simulated market)" },
    { "speed", 0, "max|N", KIND_SPEED, FIELD(speed), NULL,
      "max, or market seconds per wall second from 0.001 to 1000000", SECTION_MARKET,
      "market seconds per wall second, on sim and with --feed (default 1)" },
    { "feed", 0, "[SYMBOL=]FILE", KIND_LIST, FIELD(feeds), is_feed, FEED_ALLOWED, SECTION_MARKET,
      "trade on recorded market data; repeatable" },
    { "data", 0, "[SYMBOL=]FILE", KIND_LIST, FIELD(feeds), is_feed, FEED_ALLOWED, SECTION_MARKET,
      NULL },
    { "timeframe", 0, "TF", KIND_TEXT, FIELD(timeframe), is_timeframe,
      "1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 6h 12h or 1d", SECTION_MARKET,
      "of the bars in the data (default: their smallest spacing)" },
    { "columns", 0, "A,B,...", KIND_TEXT, FIELD(columns), is_words, WORDS_ALLOWED, SECTION_MARKET,
      "names of the columns of a CSV file without header: "
      "time,open,high,low,close,volume" },
    { "skip-bad-rows", 0, "N", KIND_COUNT, FIELD(skip_bad_rows), NULL, "a whole number from 0",
      SECTION_MARKET, "go on after up to N rows that cannot be read (default 0)" },
    { "sort", 0, NULL, KIND_FLAG, FIELD(sort), NULL, NULL, SECTION_MARKET,
      "accept data that is out of time order" },
    { "seed", 0, "N", KIND_COUNT, FIELD(seed), NULL, "a whole number from 1 to 9223372036854775807",
      SECTION_MARKET, "another sim market, other random numbers (default 1)" },
    { "clock-start", 0, "TIME", KIND_TIME, FIELD(clock_start_ns), NULL,
      "an ISO 8601 time from 1970 to 2199, such as 2024-01-01T00:00:00Z", SECTION_MARKET,
      "when the sim market begins (default 2024-01-01T00:00:00Z)" },
    { "state", 0, "DIR", KIND_TEXT, FIELD(state), NULL, "a directory", SECTION_STATE,
      "where ledger, journal and logs are kept (default artifacts)" },
    { "fresh", 0, NULL, KIND_FLAG, FIELD(fresh), NULL, NULL, SECTION_STATE,
      "move the old session into backups/ and start anew" },
    { "record", 0, NULL, KIND_FLAG, FIELD(record), NULL, NULL, SECTION_STATE,
      "record the market data of this run" },
    { "exact-budget", 0, NULL, KIND_FLAG, FIELD(exact_budget), NULL, NULL, SECTION_STATE,
      "limit callbacks by instructions instead of time" },
    { "json", 0, NULL, KIND_FLAG, FIELD(json), NULL, NULL, SECTION_OUTPUT,
      "print the result as one JSON object, and nothing else, to stdout" },
    { "quiet", 'q', NULL, KIND_FLAG, FIELD(quiet), NULL, NULL, SECTION_OUTPUT,
      "log only warnings and errors" },
    { "log-level", 0, "LEVEL", KIND_TEXT, FIELD(log_level), is_level, "debug, info, warn or error",
      SECTION_OUTPUT, "debug, info, warn or error (default info)" },
    { "help", 'h', NULL, KIND_FLAG, FIELD(help), NULL, NULL, SECTION_OUTPUT, "this text" },
    { "version", 0, NULL, KIND_FLAG, FIELD(version), NULL, NULL, SECTION_OUTPUT,
      "versions of the program and its libraries" },
    { "emergency", 0, NULL, KIND_FLAG, FIELD(emergency), NULL, NULL, SECTION_COMMAND, NULL },
    { "dashboard", 0, NULL, KIND_PLANNED, 0, NULL, NULL, SECTION_OUTPUT, NULL },
    { "date", 0, NULL, KIND_PLANNED, 0, NULL, NULL, SECTION_OUTPUT, NULL },
    { "symbol", 0, NULL, KIND_PLANNED, 0, NULL, NULL, SECTION_OUTPUT, NULL },
    { "zone", 0, NULL, KIND_PLANNED, 0, NULL, NULL, SECTION_OUTPUT, NULL },
    { "stamp", 0, NULL, KIND_PLANNED, 0, NULL, NULL, SECTION_OUTPUT, NULL },
};

/* ---- values ---- */

enum mode_bit { MODE_PAPER = 1, MODE_LIVE = 2, MODE_BACKTEST = 4 };

struct parser {
    struct options *options;
    unsigned modes; /* enum mode_bit: all that were asked for */
};

static void *field_of(struct parser *parser, const struct option *option)
{
    return (char *)parser->options + option->offset;
}

static int refuse(const struct option *option, const char *value, struct error *err)
{
    return error_set(err, ERROR_USAGE, "--%s '%s' is not allowed: give %s", option->name, value,
                     option->allowed);
}

static int take_text(struct parser *parser, const struct option *option, const char *value,
                     struct error *err)
{
    if (!*value || (option->is_allowed && !option->is_allowed(value)))
        return refuse(option, value, err);
    *(const char **)field_of(parser, option) = value;
    return 0;
}

static int add_item(struct option_list *list, const char *name, const char *value,
                    struct error *err)
{
    if (list->count == OPTION_LIST_MAX)
        return error_set(err, ERROR_USAGE, "%s: more than %d of them, '%s' is too many", name,
                         OPTION_LIST_MAX, value);
    list->items[list->count++] = value;
    return 0;
}

static int take_item(struct parser *parser, const struct option *option, const char *value,
                     struct error *err)
{
    char name[32];
    if (!option->is_allowed(value))
        return refuse(option, value, err);
    text_copy(name, sizeof(name), "--");
    strncat(name, option->name, sizeof(name) - 3);
    return add_item(field_of(parser, option), name, value, err);
}

/* A seed of 0 would mean "not given"; the ledger keeps seeds as 63 bits. */
static int take_count(struct parser *parser, const struct option *option, const char *value,
                      struct error *err)
{
    uint64_t *field = field_of(parser, option);
    uint64_t least = field == &parser->options->seed ? 1 : 0;
    size_t digits = strspn(value, "0123456789");
    char *end;
    errno = 0;
    unsigned long long count = strtoull(value, &end, 10);
    if (digits == 0 || value[digits] || *end || errno == ERANGE || count < least ||
        count > INT64_MAX)
        return refuse(option, value, err);
    *field = count;
    return 0;
}

static int take_speed(struct parser *parser, const struct option *option, const char *value,
                      struct error *err)
{
    double *field = field_of(parser, option);
    decimal number;
    if (strcmp(value, "max") == 0) {
        *field = SPEED_MAX;
    } else {
        if (!is_number(value, &number))
            return refuse(option, value, err);
        double speed = decimal_to_double(number);
        if (!(speed >= SPEED_LEAST && speed <= SPEED_MOST))
            return refuse(option, value, err);
        *field = speed;
    }
    parser->options->speed_given = true;
    return 0;
}

static int take_time(struct parser *parser, const struct option *option, const char *value,
                     struct error *err)
{
    int64_t time_ns;
    if (!time_parse(value, strlen(value), &time_ns) || time_ns < 0 || time_ns >= CLOCK_END_NS)
        return refuse(option, value, err);
    *(int64_t *)field_of(parser, option) = time_ns;
    return 0;
}

static int take_mode(struct parser *parser, const struct option *option, const char *value,
                     struct error *err)
{
    if (strcmp(value, "paper") == 0)
        parser->modes |= MODE_PAPER;
    else if (strcmp(value, "live") == 0)
        parser->modes |= MODE_LIVE;
    else if (strcmp(value, "backtest") == 0)
        parser->modes |= MODE_BACKTEST;
    else
        return refuse(option, value, err);
    return 0;
}

static int take(struct parser *parser, const struct option *option, const char *value,
                struct error *err)
{
    switch (option->kind) {
    case KIND_FLAG:
        *(bool *)field_of(parser, option) = true;
        return 0;
    case KIND_TEXT:
        return take_text(parser, option, value, err);
    case KIND_LIST:
        return take_item(parser, option, value, err);
    case KIND_COUNT:
        return take_count(parser, option, value, err);
    case KIND_SPEED:
        return take_speed(parser, option, value, err);
    case KIND_TIME:
        return take_time(parser, option, value, err);
    case KIND_MODE:
        return take_mode(parser, option, value ? value : option->name, err);
    case KIND_PLANNED:
        break; /* parse_option refused it */
    }
    return 0;
}

/* ---- words ---- */

static const struct option *find_name(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strncmp(table[i].name, name, length) == 0 && !table[i].name[length])
            return &table[i];
    return NULL;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].letter == letter)
            return &table[i];
    return NULL;
}

static const char *nearest_option(const char *name)
{
    const char *names[ARRAY_SIZE(table) + 1];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].kind != KIND_PLANNED)
            names[count++] = table[i].name;
    names[count] = NULL;
    return text_nearest(name, names);
}

/* `name` without dashes and value. */
static int unknown_option(const char *spelled, const char *name, struct error *err)
{
    const char *nearest = nearest_option(name);
    if (nearest)
        return error_set(err, ERROR_USAGE, "unknown option %s; did you mean --%s?", spelled,
                         nearest);
    return error_set(err, ERROR_USAGE, "unknown option %s; runtime --help lists them", spelled);
}

static int planned_option(const struct option *option, struct error *err)
{
    const char *nearest = nearest_option(option->name);
    if (nearest)
        return error_set(err, ERROR_USAGE, "--%s: not in this version; did you mean --%s?",
                         option->name, nearest);
    return error_set(err, ERROR_USAGE, "--%s: not in this version", option->name);
}

static int no_option(const char *argument, struct error *err)
{
    char spelled[80], name[80];
    text_copy_span(spelled, sizeof(spelled), argument, strcspn(argument, "="));
    text_copy(name, sizeof(name), spelled + strspn(spelled, "-"));
    return unknown_option(spelled, name, err);
}

/* One option and, where it takes one, its value. *used counts the arguments it took. */
static int parse_option(struct parser *parser, int argc, char **argv, int *used, struct error *err)
{
    const char *argument = argv[0];
    const struct option *option = NULL;
    const char *value = NULL;
    if (argument[1] == '-') {
        size_t length = strcspn(argument + 2, "=");
        option = find_name(argument + 2, length);
        if (argument[2 + length] == '=')
            value = argument + 2 + length + 1;
    } else if (argument[2] == '\0') {
        option = find_letter(argument[1]);
    }
    if (!option)
        return no_option(argument, err);
    *used = 1;
    if (option->kind == KIND_PLANNED)
        return planned_option(option, err);
    if (!option->value && value)
        return error_set(err, ERROR_USAGE, "--%s takes no value", option->name);
    if (option->value && !value) {
        if (argc < 2 || (text_starts_with(argv[1], "--") && argv[1][2]))
            return error_set(err, ERROR_USAGE, "--%s needs a value: %s", option->name,
                             option->allowed);
        value = argv[1];
        *used = 2;
    }
    parser->options->given |= UINT64_C(1) << (option - table);
    return take(parser, option, value, err);
}

static int take_operand(struct options *options, const char *operand, struct error *err)
{
    if (text_ends_with(operand, ".lua"))
        return add_item(&options->strategies, "strategy files", operand, err);
    return add_item(&options->operands, "operands", operand, err);
}

static int settle_mode(const struct parser *parser, struct error *err)
{
    struct options *options = parser->options;
    switch (parser->modes) {
    case 0:
        return 0;
    case MODE_PAPER:
        options->mode = "paper";
        return 0;
    case MODE_LIVE:
        options->mode = "live";
        return 0;
    case MODE_BACKTEST:
        options->mode = "backtest";
        return 0;
    case MODE_LIVE | MODE_PAPER: /* paper trading on a real venue's market data */
        options->mode = "paper";
        options->live_and_paper = true;
        return 0;
    default:
        return error_set(err, ERROR_USAGE,
                         "--backtest goes with no other mode: give one of --paper, --live, "
                         "--backtest, or --live --paper");
    }
}

/* An error is told as JSON wherever --json stands, also behind the option that is wrong. */
static void look_for_json(int argc, char **argv, struct options *options)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            options->json = true;
}

/* "-5": no option looks like that, and a command that takes a number says itself which. */
static bool is_negative_number(const char *argument)
{
    size_t digits = strspn(argument + 1, "0123456789.");
    return argument[0] == '-' && digits > 0 && !argument[1 + digits];
}

static int parse_all(struct parser *parser, int argc, char **argv, struct error *err)
{
    bool options_end = false;
    for (int i = 0; i < argc;) {
        const char *argument = argv[i];
        int used = 1, code = 0;
        if (options_end || argument[0] != '-' || !argument[1] || is_negative_number(argument))
            code = take_operand(parser->options, argument, err);
        else if (strcmp(argument, "--") == 0)
            options_end = true;
        else
            code = parse_option(parser, argc - i, argv + i, &used, err);
        if (code < 0)
            return code;
        i += used;
    }
    return settle_mode(parser, err);
}

int options_parse(int argc, char **argv, struct options *options, struct error *err)
{
    struct parser parser = { .options = options };
    *options =
        (struct options){ .state = "artifacts", .speed = 1, .clock_start_ns = CLOCK_START_NS };
    int code = parse_all(&parser, argc, argv, err);
    if (code < 0)
        look_for_json(argc, argv, options);
    return code;
}

/* ---- which options are whose ---- */

_Static_assert(ARRAY_SIZE(table) <= 64, "options.given has a bit for each option");

static bool is_word_of(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t span = strcspn(at, " ");
        if (span == length && memcmp(at, word, length) == 0)
            return true;
        at += span;
    }
    return false;
}

static bool is_taken(const struct option *option, const char *takes)
{
    static const char always[] = "json help version";
    if (is_word_of(always, option->name))
        return true;
    if (!takes)
        return option->section != SECTION_COMMAND;
    return is_word_of(takes, option->kind == KIND_MODE ? "mode" : option->name);
}

int options_check(const struct options *options, const char *command, const char *takes,
                  struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (options->given & (UINT64_C(1) << i) && !is_taken(&table[i], takes))
            return error_set(err, ERROR_USAGE,
                             "runtime %s does not take --%s; runtime help %s shows what it takes",
                             command, table[i].name, command);
    return 0;
}

/* ---- help ---- */

static const char *section_title(enum section section)
{
    switch (section) {
    case SECTION_TRADING:
        return "Trading";
    case SECTION_MARKET:
        return "Market";
    case SECTION_STATE:
        return "State";
    case SECTION_OUTPUT:
        return "Output";
    case SECTION_COMMAND: /* of one command, which explains it itself */
        break;
    }
    return "";
}

void help_row(struct text *out, const char *left, const char *words)
{
    size_t column = 2 + strlen(left);
    text_printf(out, "  %s", left);
    if (column + 2 > COLUMN) {
        text_add(out, "\n");
        column = 0;
    }
    text_printf(out, "%*s", (int)(COLUMN - column), "");
    column = COLUMN;
    for (const char *word = words; *word;) {
        size_t length = strcspn(word, " ");
        if (column > COLUMN && column + 1 + length > WIDTH) {
            text_printf(out, "\n%*s", COLUMN, "");
            column = COLUMN;
        } else if (column > COLUMN) {
            text_add(out, " ");
            column++;
        }
        text_append(out, word, length);
        column += length;
        word += length + strspn(word + length, " ");
    }
    text_add(out, "\n");
}

/* "--speed max|N", "-q, --quiet" */
static void add_spelling(struct text *out, const struct option *option)
{
    if (option->letter)
        text_printf(out, "-%c, ", option->letter);
    text_printf(out, "--%s", option->name);
    if (option->value)
        text_printf(out, " %s", option->value);
}

void options_help(struct text *out)
{
    struct text spelling;
    text_init(&spelling, 80);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct option *option = &table[i];
        if (option->section == SECTION_COMMAND)
            continue;
        if (i == 0 || option->section > option[-1].section)
            text_printf(out, "%s%s:\n", i == 0 ? "" : "\n", section_title(option->section));
        if (!option->help)
            continue;
        text_clear(&spelling);
        add_spelling(&spelling, option);
        help_row(out, spelling.data, option->help);
    }
    text_release(&spelling);
}
