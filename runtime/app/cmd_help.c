/* cmd_help.c - `runtime help [COMMAND]`, and the texts of --help. */
#include "runtime/app/help.h"

#include <string.h>

#define HELP_MAX 65536

static const char usage_lines[] = "usage: runtime STRATEGY.lua [STRATEGY.lua ...] [options]\n"
                                  "       runtime COMMAND [...]\n";

static const char examples[] =
    "Examples:\n"
    "  runtime strategies/momentum.lua\n"
    "      paper trading on a simulated market, no keys needed\n"
    "  runtime strategies/momentum.lua --speed max --duration 86400 --json\n"
    "      a day of market time as fast as it goes, the result as JSON\n"
    "  runtime strategies/momentum.lua --feed BTC/USDT:USDT=trades.csv --speed max\n"
    "      on recorded market data\n"
    "  runtime strategies/momentum.lua --param fast=8 --symbols ETH/USDT:USDT\n"
    "      with another parameter, on another symbol\n";

static const char exit_codes[] =
    "Exit codes:\n"
    "   0 done    64 usage    65 bad data, strategy failed    66 no such input\n"
    "  69 unavailable, state in use    70 internal error    74 disk or ledger\n"
    "  75 halted by risk    77 refused    78 configuration    130 second Ctrl-C\n";

/* The form without a command word is not one of the commands. */
static void add_commands(struct text *out)
{
    size_t count;
    const struct command_entry *const *list = commands(&count);
    text_add(out, "Commands:\n");
    for (size_t i = 0; i < count; i++)
        if (list[i] != &command_run && !list[i]->is_hidden)
            help_row(out, list[i]->name, list[i]->summary);
}

static void print(FILE *out, struct text *text)
{
    ASSERT(!text->overflow);
    fwrite(text->data, 1, text->length, out);
    text_release(text);
}

void help_main(FILE *out)
{
    struct text text;
    text_init(&text, HELP_MAX);
    text_add(&text, "runtime - trade with strategies written in Lua\n\n");
    text_printf(&text, "%s\n%s\n", usage_lines, examples);
    options_help(&text);
    text_add(&text, "\n");
    add_commands(&text);
    text_printf(
        &text,
        "\n%s\nEnvironment: TRADING_SYMBOLS EXCHANGES EQUITY_USD TRADING_DURATION CONFIG_PATH\n"
        "EMERGENCY_STOP NO_COLOR. Options win over the environment.\n"
        "A strategy's own parameters: runtime inspect STRATEGY.lua\n",
        exit_codes);
    print(out, &text);
}

void help_short(FILE *out)
{
    struct text text;
    text_init(&text, HELP_MAX);
    text_printf(&text,
                "%s\n"
                "  runtime new NAME        writes a strategy to begin with\n"
                "  runtime NAME.lua        paper-trades it on a simulated market\n"
                "  runtime --help          all options and commands\n",
                usage_lines);
    print(out, &text);
}

void help_command(FILE *out, const struct command_entry *command)
{
    if (command == &command_run)
        help_main(out);
    else
        fputs(command->usage, out);
}

static int run_help(const struct options *options)
{
    struct error err = { 0 };
    if (options->operands.count == 0) {
        help_main(stdout);
        return 0;
    }
    const struct command_entry *command = command_require(options->operands.items[0], &err);
    if (!command)
        return app_fail(options, &err);
    help_command(stdout, command);
    return 0;
}

const struct command_entry command_help = {
    .name = "help",
    .summary = "show the usage of a command",
    .usage = "usage: runtime help [COMMAND]\n"
             "\n"
             "Shows how a command is used, with an example; without COMMAND all of --help.\n"
             "\n"
             "Example:\n"
             "  runtime help check\n",
    .run = run_help,
    .takes = "",
};
