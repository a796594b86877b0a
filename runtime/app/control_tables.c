/* control_tables.c - answers about a run as tables of at most 80 columns. */
#include <stdio.h>
#include <string.h>

#include "runtime/app/control_client.h"

static const char *text_of(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    const char *text = json_as_string(value);
    if (!text)
        text = json_as_number_text(value);
    return text && text[0] ? text : "-";
}

/* "2024-01-01T00:00:00.000000000Z" as "2024-01-01 00:00:00". */
static const char *time_of(const struct json *object, const char *key, char out[24])
{
    text_copy_span(out, 24, text_of(object, key), 19);
    for (char *at = out; *at; at++)
        if (*at == 'T')
            *at = ' ';
    return out;
}

/* A long decimal is cut to what a person reads. */
static const char *money_of(const struct json *object, const char *key, char out[40])
{
    text_copy(out, 40, text_of(object, key));
    char *point = strchr(out, '.');
    if (point && strlen(point) > 3)
        point[3] = '\0';
    return out;
}

#define COLUMNS 80

/* A sentence, broken at blanks. The first line has `at` columns already, the others begin with
 * `indent` blanks. */
static void put_rest(struct text *out, int at, int indent, const char *sentence)
{
    bool is_first = true;
    while (*sentence) {
        size_t length = strlen(sentence), most = at < COLUMNS ? (size_t)(COLUMNS - at) : 1;
        if (length > most) {
            length = most;
            while (length > 0 && sentence[length] != ' ')
                length--;
            if (length == 0) /* one word: it is not broken */
                length = strcspn(sentence, " ");
        }
        text_printf(out, "%*s%.*s\n", is_first ? 0 : indent, "", (int)length, sentence);
        sentence += length;
        sentence += strspn(sentence, " ");
        is_first = false;
        at = indent;
    }
}

/* Each line begins with so many blanks. */
static void put_sentence(struct text *out, int indent, const char *sentence)
{
    text_printf(out, "%*s", indent, "");
    put_rest(out, indent, indent, sentence);
}

/* ---- positions, orders ---- */

#define POSITION_LINE "%-12.12s %-18.18s %12.12s %12.12s %12.12s %9.9s\n"

static void positions(const struct json *list, struct text *out)
{
    if (json_count(list) == 0) {
        text_add(out, "no position\n");
        return;
    }
    text_printf(out, POSITION_LINE, "strategy", "symbol", "qty", "avg_price", "mark", "open_pnl");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        char pnl[40];
        text_printf(out, POSITION_LINE, text_of(one, "strategy"), text_of(one, "symbol"),
                    text_of(one, "qty"), text_of(one, "avg_price"), text_of(one, "mark_price"),
                    money_of(one, "unrealized_pnl", pnl));
    }
}

#define ORDER_LINE "%-9.9s %-18.18s %-4.4s %-10.10s %9.9s %10.10s %.12s\n"

static void orders(const struct json *list, struct text *out)
{
    if (json_count(list) == 0) {
        text_add(out, "no open order\n");
        return;
    }
    text_printf(out, ORDER_LINE, "strategy", "symbol", "side", "type", "left", "price", "status");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        bool is_stop = text_of(one, "price")[0] == '-';
        char left[DECIMAL_TEXT_MAX];
        decimal qty, filled;
        const char *asked = text_of(one, "qty"), *done = text_of(one, "filled_qty");
        text_copy(left, sizeof(left), asked);
        if (decimal_parse(asked, strlen(asked), &qty) == 0 &&
            decimal_parse(done, strlen(done), &filled) == 0)
            decimal_format(decimal_sub(qty, filled), left);
        text_printf(out, ORDER_LINE, text_of(one, "strategy"), text_of(one, "symbol"),
                    text_of(one, "side"), text_of(one, "type"), left,
                    text_of(one, is_stop ? "trigger_price" : "price"), text_of(one, "status"));
    }
}

/* ---- why ---- */

static void verdicts(const struct json *list, struct text *out)
{
    char time[24];
    if (json_count(list) == 0) {
        text_add(out, "every order left as it was asked\n");
        return;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        text_printf(out, "%s  %-6s %-24s %s\n", time_of(one, "time", time), text_of(one, "verdict"),
                    text_of(one, "code"), text_of(one, "strategy"));
        if (text_of(one, "side")[0] != '-')
            text_printf(out, "    %s %s %s, allowed %s\n", text_of(one, "side"),
                        text_of(one, "asked"), text_of(one, "symbol"), text_of(one, "allowed"));
        put_sentence(out, 4, text_of(one, "reason"));
    }
}

/* ---- status ---- */

#define LABEL "%-11s "
#define LABEL_WIDTH 12

/* "LABEL       HEAD: SENTENCE", broken under its first word. */
static void put_labeled(struct text *out, const char *label, const char *head, const char *sentence)
{
    text_printf(out, LABEL "%s: ", label, head);
    put_rest(out, LABEL_WIDTH + (int)strlen(head) + 2, LABEL_WIDTH, sentence);
}

static void strategies(const struct json *list, struct text *out)
{
    char equity[40];
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        text_printf(out, LABEL "%-18.18s %-18.18s %-8.8s %10s  %s\n", i ? "" : "strategies",
                    text_of(one, "strategy"), text_of(one, "symbol"), text_of(one, "version"),
                    money_of(one, "equity", equity), text_of(one, "state"));
        if (json_as_string(json_get(one, "why")))
            put_sentence(out, LABEL_WIDTH + 2, text_of(one, "why"));
    }
}

static void halts(const struct json *answer, struct text *out)
{
    const struct json *halt = json_get(answer, "halt"), *narrow = json_get(answer, "halts");
    if (halt && json_kind(halt) == JSON_OBJECT)
        put_labeled(out, "HALTED", text_of(halt, "code"), text_of(halt, "reason"));
    for (size_t i = 0; i < json_count(narrow); i++) {
        const struct json *one = json_at(narrow, i);
        text_printf(out, LABEL "%s: %s\n", i ? "" : "no new risk", text_of(one, "scope"),
                    text_of(one, "code"));
        put_sentence(out, LABEL_WIDTH, text_of(one, "reason"));
    }
    const struct json *breakers = json_get(answer, "breakers");
    for (size_t i = 0; i < json_count(breakers); i++) {
        const struct json *one = json_at(breakers, i);
        char head[96];
        snprintf(head, sizeof(head), "%s %s", text_of(one, "venue"), text_of(one, "state"));
        if (strcmp(text_of(one, "state"), "closed") != 0)
            put_labeled(out, i ? "" : "breakers", head, text_of(one, "why"));
        else
            text_printf(out, LABEL "%s\n", i ? "" : "breakers", head);
    }
}

static void day(const struct json *day, struct text *out)
{
    char pnl[40], volume[40];
    if (day)
        text_printf(out, LABEL "%s: P&L %s, volume %s, orders filled %s\n", "day",
                    text_of(day, "date"), money_of(day, "pnl", pnl),
                    money_of(day, "volume", volume), text_of(day, "trades"));
}

static void status(const struct json *answer, struct text *out)
{
    char time[24], equity[40], start[40], cash[40];
    bool running = json_as_bool(json_get(answer, "running"));
    text_printf(out, LABEL "%s on %s, session %s, %s", running ? "running" : "stopped",
                text_of(answer, "mode"), text_of(answer, "source"), text_of(answer, "session"),
                text_of(answer, "phase"));
    if (running)
        text_printf(out, ", pid %s", text_of(answer, "pid"));
    text_printf(out, "\n" LABEL "%s\n", "time", time_of(answer, "time", time));
    halts(answer, out);
    text_printf(out, LABEL "%s", "equity", money_of(answer, "equity", equity));
    if (running)
        text_printf(out, ", began with %s", money_of(answer, "equity_start", start));
    text_printf(out, ", cash %s\n", money_of(answer, "cash", cash));
    day(json_get(answer, "day"), out);
    text_printf(out, LABEL "%s open", "orders", text_of(answer, "open_orders"));
    const struct json *counts = json_get(answer, "counts");
    if (counts)
        text_printf(out, "; %s submitted, %s blocked, %s reduced; %s fills",
                    text_of(counts, "submitted"), text_of(counts, "blocked"),
                    text_of(counts, "reduced"), text_of(counts, "fills"));
    text_add(out, "\n");
    strategies(json_get(answer, "strategies"), out);
    text_add(out, "\n");
    positions(json_get(answer, "positions"), out);
}

/* ---- all others say a sentence ---- */

static void files(const struct json *list, struct text *out)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        text_printf(out, "%-9s %s\n", text_of(one, "result"), text_of(one, "file"));
        if (json_as_string(json_get(one, "reason")))
            text_printf(out, "          %s\n", text_of(one, "reason"));
    }
}

void control_table(const char *what, const struct json *answer, struct text *out)
{
    if (strcmp(what, "status") == 0)
        status(answer, out);
    else if (strcmp(what, "orders") == 0)
        orders(json_get(answer, "orders"), out);
    else if (strcmp(what, "positions") == 0)
        positions(json_get(answer, "positions"), out);
    else if (strcmp(what, "why") == 0)
        verdicts(json_get(answer, "verdicts"), out);
    else if (strcmp(what, "reload") == 0)
        files(json_get(answer, "files"), out);
    else
        text_printf(out, "%s\n", text_of(answer, "message"));
}
