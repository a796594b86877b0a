/* value.c - what each kind of value looks like, and what to say when it does not.
 *
 * Types are decided here, not by YAML: true and false, plain decimal numbers, and text. `yes`,
 * 0x10, 010, 1_000, 1e3, .5 and 1:30 are text, and so refused wherever a number is wanted. */
#include "runtime/config/value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/clock.h"
#include "runtime/base/utf8.h"
#include "runtime/domain/instrument.h"

#define DIGITS_MAX 18 /* on either side of the point: far from what a decimal can hold */
#define SHOWN_MAX 60  /* bytes of a wrong value that a message shows */

char *value_clone(const char *text)
{
    char *copy = strdup(text);
    ASSERT(copy);
    return copy;
}

void value_release(struct value *value)
{
    for (size_t i = 0; i < value->count; i++)
        free(value->items[i]);
    free(value->items);
    free(value->path);
    free(value->origin);
    free(value->text);
    *value = (struct value){ 0 };
}

/* ---- words ---- */

/* The word of "a|b|c" that equals `text`, as a copy, or NULL. */
static char *find_choice(const char *choices, const char *text, bool fold)
{
    size_t length = strlen(text);
    for (const char *at = choices; *at; at += *at == '|') {
        size_t size = strcspn(at, "|");
        if (size == length && (fold ? strncasecmp(at, text, size) : strncmp(at, text, size)) == 0) {
            char *word = strndup(at, size);
            ASSERT(word);
            return word;
        }
        at += size;
    }
    return NULL;
}

static bool is_one_of(const char *const *words, const char *text)
{
    for (; *words; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

static bool is_name(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

/* Any text that is one line of UTF-8. */
static bool is_text(const char *text)
{
    size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        size_t size = utf8_length(text + at, length - at);
        if (size == 0 || (unsigned char)text[at] < 0x20 || text[at] == 0x7f)
            return false;
        at += size;
    }
    return length > 0;
}

static bool is_symbol(const char *text, venue_names venues)
{
    const char *at = strchr(text, '@');
    size_t length = at ? (size_t)(at - text) : strlen(text);
    if (length == 0 || length >= SYMBOL_MAX || (at && !is_one_of(venues, at + 1)))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f ||
            strchr(",\"'*\\[]{}", text[i]))
            return false;
    return true;
}

static bool is_date(const char *text)
{
    int64_t time_ns;
    return strlen(text) == 10 && time_parse(text, 10, &time_ns);
}

/* https://host[:port][/path]; a user or a password before the host would be a secret. */
static bool is_url(const char *text)
{
    static const char *const schemes[] = { "https://", "http://", "wss://", "ws://", "tcp://" };
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        if (!text_starts_with(text, schemes[i]))
            continue;
        const char *host = text + strlen(schemes[i]);
        size_t length = strcspn(host, "/?#");
        return length > 0 && *host != ':' && !memchr(host, '@', length) && !strpbrk(host, " \"<>");
    }
    return false;
}

static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text)
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] || strtol(colon + 1, NULL, 10) > 65535)
        return false;
    if (*text == '[')
        return colon > text + 2 && colon[-1] == ']';
    return !memchr(text, ':', (size_t)(colon - text)) && !strpbrk(text, " /@[]");
}

/* ---- numbers ---- */

/* [-]digits[.digits], without a leading zero that some would read as octal. */
static bool parse_number(const char *text, decimal *number)
{
    const char *digits = text + (*text == '-');
    size_t whole = strspn(digits, "0123456789");
    size_t part = digits[whole] == '.' ? strspn(digits + whole + 1, "0123456789") : 0;
    size_t length = whole + (digits[whole] == '.' ? 1 + part : 0);
    bool plain = whole > 0 && !digits[length] && (digits[whole] != '.' || part > 0) &&
                 (whole == 1 || *digits != '0');
    return plain && whole <= DIGITS_MAX && part <= DIGITS_MAX &&
           decimal_parse(text, strlen(text), number) == 0;
}

static decimal parse_bound(enum kind kind, const char *text, size_t length)
{
    char copy[32];
    ASSERT(length < sizeof(copy));
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (kind != KIND_DURATION)
        return decimal_text(copy);
    int64_t duration_ns;
    ASSERT(duration_parse(copy, &duration_ns));
    return decimal_int(duration_ns);
}

/* range is ">0 <=1": each part must hold. */
static bool in_range(enum kind kind, const char *range, decimal number)
{
    while (range && *range) {
        bool above = *range == '>';
        bool equal = range[1] == '=';
        range += equal ? 2 : 1;
        size_t length = strcspn(range, " ");
        int order = decimal_cmp(number, parse_bound(kind, range, length));
        if (order == 0 ? !equal : (order > 0) != above)
            return false;
        range += length + (range[length] == ' ');
    }
    return true;
}

bool value_number_allowed(const struct schema_key *key, decimal number)
{
    int64_t whole;
    if (!decimal_valid(number) || !in_range(key->kind, key->allowed, number))
        return false;
    if (key->kind == KIND_INTEGER)
        return decimal_mantissa(number, 0, &whole) == 0;
    return decimal_is_zero(number) ||
           decimal_cmp(decimal_abs(number), decimal_make(1, DIGITS_MAX)) >= 0;
}

static bool read_number(struct value *value, const char *text)
{
    char buffer[DECIMAL_TEXT_MAX];
    if (!parse_number(text, &value->number) ||
        !in_range(value->key->kind, value->key->allowed, value->number))
        return false;
    if (value->key->kind == KIND_INTEGER &&
        (strchr(text, '.') || decimal_mantissa(value->number, 0, &value->integer) != 0))
        return false;
    value->text = value_clone(decimal_format(value->number, buffer));
    return true;
}

static bool read_duration(struct value *value, const char *text, enum value_form form)
{
    char buffer[TIME_TEXT_MAX];
    decimal seconds;
    int64_t duration_ns;
    bool known = duration_parse(text, &duration_ns);
    if (!known && form == VALUE_OUTSIDE && (value->key->flags & FLAG_SECONDS))
        known = parse_number(text, &seconds) && decimal_mantissa(seconds, 9, &duration_ns) == 0;
    if (!known || !in_range(KIND_DURATION, value->key->allowed, decimal_int(duration_ns)))
        return false;
    value->integer = duration_ns;
    value->text = value_clone(duration_format(duration_ns, buffer));
    return true;
}

static bool read_bool(struct value *value, const char *text, enum value_form form)
{
    bool outside = form == VALUE_OUTSIDE;
    char *word =
        find_choice(value->key->allowed ? value->key->allowed : "true|false", text, outside);
    if (!word && outside && (strcmp(text, "1") == 0 || strcmp(text, "0") == 0))
        word = value_clone(*text == '1' ? "true" : "false");
    value->text = word;
    value->integer = word && strcmp(word, "true") == 0;
    return word;
}

/* ---- any value ---- */

static bool is_word_allowed(const struct schema_key *key, const char *text, venue_names venues)
{
    int64_t tf_ns;
    switch (key->kind) {
    case KIND_NAME:
        return is_name(text);
    case KIND_DATE:
        return is_date(text);
    case KIND_URL:
        return is_url(text);
    case KIND_ADDRESS:
        return is_address(text);
    case KIND_VENUE:
        return is_one_of(venues, text);
    case KIND_PROVIDER:
        return strcmp(text, "broker") == 0 || is_one_of(venues, text);
    case KIND_SYMBOL:
        return is_symbol(text, venues);
    case KIND_TIMEFRAME:
        return timeframe_parse(text, &tf_ns);
    default:
        ASSERT(key->kind == KIND_TEXT || key->kind == KIND_ANY);
        return true;
    }
}

/* Without quotes a number or a truth value is not text. */
static bool looks_typed(const char *text)
{
    decimal number;
    return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || parse_number(text, &number);
}

static bool read_word(struct value *value, const char *text, enum value_form form,
                      venue_names venues)
{
    bool typed = form == VALUE_PLAIN && value->key->kind != KIND_ANY && looks_typed(text);
    if (typed || !is_text(text) || !is_word_allowed(value->key, text, venues))
        return false;
    value->text = value_clone(text);
    return true;
}

bool value_read(struct value *value, const char *text, enum value_form form, venue_names venues)
{
    switch (value->key->kind) {
    case KIND_INTEGER:
    case KIND_DECIMAL:
    case KIND_FRACTION:
        return form != VALUE_QUOTED && read_number(value, text);
    case KIND_DURATION:
        return read_duration(value, text, form);
    case KIND_BOOL:
        return form != VALUE_QUOTED && read_bool(value, text, form);
    case KIND_CHOICE:
        value->text = find_choice(value->key->allowed, text, form == VALUE_OUTSIDE);
        return value->text;
    default:
        return read_word(value, text, form, venues);
    }
}

bool value_has(const struct value *value, const char *item)
{
    for (size_t i = 0; i < value->count; i++)
        if (strcmp(value->items[i], item) == 0)
            return true;
    return false;
}

bool value_add(struct value *value, const char *item, enum value_form form, venue_names venues)
{
    struct value one = { .key = value->key };
    if (!read_word(&one, item, form, venues))
        return false;
    value->items =
        memory_grow(value->items, &value->capacity, value->count + 1, sizeof(*value->items));
    value->items[value->count++] = one.text;
    return true;
}

bool value_name_allowed(const char *allowed, const char *name, venue_names venues)
{
    for (const char *at = allowed; *at; at += *at == '|') {
        size_t size = strcspn(at, "|");
        if (strncmp(at, "venue", size) == 0 && is_one_of(venues, name))
            return true;
        if (strncmp(at, "symbol", size) == 0 && is_symbol(name, venues))
            return true;
        if (strncmp(at, "name", size) == 0 && is_name(name))
            return true;
        at += size;
    }
    return false;
}

/* ---- what to say ---- */

void value_quote(struct text *out, const char *text)
{
    size_t length = strlen(text), shown = utf8_cut(text, length, SHOWN_MAX);
    text_add(out, "\"");
    for (size_t at = 0; at < shown;) {
        size_t size = utf8_length(text + at, shown - at);
        if (size == 0 || (unsigned char)text[at] < 0x20 || text[at] == 0x7f)
            text_printf(out, "\\x%02x", (unsigned char)text[at]);
        else
            text_append(out, text + at, size);
        at += size ? size : 1;
    }
    text_add(out, shown < length ? "...\"" : "\"");
}

void value_join(struct text *out, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        text_printf(out, "%s%s", i ? ", " : "", words[i]);
}

/* "a|b|c" as "a, b or c". */
static void add_choices(struct text *out, const char *choices)
{
    for (const char *at = choices; *at; at += *at == '|') {
        size_t size = strcspn(at, "|");
        const char *before = at == choices ? "" : strchr(at, '|') ? ", " : " or ";
        text_add(out, before);
        text_append(out, at, size);
        at += size;
    }
}

static void add_range(struct text *out, const char *what, const char *range)
{
    text_printf(out, "%s%s%s", what, range ? " " : "", range ? range : "");
}

static void add_kind(struct text *out, const struct schema_key *key, enum value_form form,
                     venue_names venues)
{
    bool seconds = form == VALUE_OUTSIDE && (key->flags & FLAG_SECONDS);
    switch (key->kind) {
    case KIND_INTEGER:
        add_range(out, "a whole number", key->allowed);
        break;
    case KIND_DECIMAL:
        add_range(out, "a number", key->allowed);
        break;
    case KIND_FRACTION:
        add_range(out, "a fraction", key->allowed);
        text_add(out, " (0.02 = 2 %)");
        break;
    case KIND_DURATION:
        add_range(out, "a duration", key->allowed);
        text_add(out, seconds ? " in seconds" : " with its unit (250ms, 30s, 5m, 1h, 1d)");
        break;
    case KIND_BOOL:
        add_choices(out, key->allowed ? key->allowed : "true|false");
        break;
    case KIND_CHOICE:
        add_choices(out, key->allowed);
        break;
    case KIND_DATE:
        text_add(out, "a day such as 2024-01-31");
        break;
    case KIND_NAME:
        text_add(out, "a name of letters, digits and _");
        break;
    case KIND_URL:
        text_add(out, "an address such as https://host/path, without user or password");
        break;
    case KIND_ADDRESS:
        text_add(out, "HOST:PORT such as 127.0.0.1:9464");
        break;
    case KIND_PROVIDER:
        text_add(out, "broker, ");
        value_join(out, venues);
        break;
    case KIND_VENUE:
        value_join(out, venues);
        break;
    case KIND_SYMBOL:
        text_add(out, "a symbol such as BTC/USDT:USDT");
        break;
    case KIND_TIMEFRAME:
        text_add(out, "1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 6h 12h or 1d");
        break;
    default:
        text_add(out,
                 form == VALUE_OUTSIDE ? "text" : "text (in quotes when it looks like a number)");
    }
}

void value_allowed(struct text *out, const struct schema_key *key, venue_names venues)
{
    if (key->flags & FLAG_LIST)
        text_add(out, "a list, each ");
    add_kind(out, key, VALUE_PLAIN, venues);
}

/* Choices as separate words, for text_nearest. */
static const char *nearest_choice(const char *choices, const char *found, char *copy, size_t size)
{
    const char *words[16];
    size_t count = 0;
    text_copy(copy, size, choices);
    for (char *save, *word = strtok_r(copy, "|", &save); word && count < ARRAY_SIZE(words) - 1;
         word = strtok_r(NULL, "|", &save))
        words[count++] = word;
    words[count] = NULL;
    return text_nearest(found, words);
}

static bool is_number(enum kind kind)
{
    return kind == KIND_INTEGER || kind == KIND_DECIMAL || kind == KIND_FRACTION;
}

/* "5%" as the number 5; otherwise like parse_number. */
static bool parse_percentage(enum kind kind, const char *text, decimal *number)
{
    char copy[2 * DIGITS_MAX + 4];
    size_t length = strlen(text);
    if (kind != KIND_FRACTION || !text_ends_with(text, "%"))
        return parse_number(text, number);
    return text_copy_span(copy, sizeof(copy), text, length - 1) && parse_number(copy, number);
}

/* A number without its unit, a percentage that is no fraction, a number that is written in a way
 * that some would read as another one (or cannot be kept exactly). */
static bool add_correction(struct text *out, const struct schema_key *key, const char *found)
{
    char buffer[DECIMAL_TEXT_MAX];
    decimal number;
    if (!parse_percentage(key->kind, found, &number)) {
        if (!is_number(key->kind) || decimal_parse(found, strlen(found), &number) == ERROR_DATA)
            return false;
        text_printf(out, "; write it in digits, at most %d before the point and %d after it",
                    DIGITS_MAX, DIGITS_MAX);
        return true;
    }
    if (decimal_sign(number) <= 0)
        return false;
    decimal fraction = decimal_mul(number, decimal_make(1, 2));
    if (key->kind == KIND_DURATION)
        text_printf(out, "; did you mean %ss?", found);
    else if (key->kind == KIND_FRACTION && in_range(key->kind, key->allowed, fraction))
        text_printf(out, "; did you mean %s?", decimal_format(fraction, buffer));
    else
        return false;
    return true;
}

static void add_nearest(struct text *out, const struct schema_key *key, const char *found,
                        venue_names venues)
{
    char copy[128];
    const char *nearest = NULL;
    if (add_correction(out, key, found))
        return;
    if (key->kind == KIND_VENUE || key->kind == KIND_PROVIDER)
        nearest = text_nearest(found, venues);
    else if (key->kind == KIND_CHOICE)
        nearest = nearest_choice(key->allowed, found, copy, sizeof(copy));
    else if (key->kind == KIND_SYMBOL && strchr(found, '@'))
        nearest = text_nearest(strchr(found, '@') + 1, venues);
    if (nearest && strcmp(nearest, found) != 0)
        text_printf(out, "; did you mean %s?", nearest);
}

void value_explain(struct text *out, const struct schema_key *key, const char *found,
                   enum value_form form, venue_names venues)
{
    text_add(out, "found ");
    if (key->flags & FLAG_SHY)
        text_add(out, "something else (not shown: it may be a secret)");
    else if (form == VALUE_PLAIN && *found && strlen(found) <= SHOWN_MAX)
        text_add(out, found);
    else
        value_quote(out, found);
    text_add(out, "; allowed ");
    add_kind(out, key, form, venues);
    if (form == VALUE_OUTSIDE && !*found)
        text_add(out, ", or leave it unset");
    else if (!(key->flags & FLAG_SHY))
        add_nearest(out, key, found, venues);
}

void value_show(struct text *out, const struct value *value)
{
    if (value->key->flags & FLAG_LIST) {
        text_add(out, "[");
        for (size_t i = 0; i < value->count; i++)
            text_printf(out, "%s%s", i ? ", " : "", value->items[i]);
        text_add(out, "]");
    } else if (value->null) {
        text_add(out, "null");
    } else {
        text_add(out, value->key->flags & FLAG_HIDDEN ? "(hidden)" : value->text);
    }
}
