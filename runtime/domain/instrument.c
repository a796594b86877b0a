/* instrument.c - the list of what can be traded, and the checks at its door. */
#include "runtime/domain/instrument.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

#define SCALE_MAX 18 /* 10^18 is the largest power of ten that an int64 mantissa holds */

/* "instrument SYMBOL: FIELD: found X, allowed Y" */
static int refuse(const struct instrument *instrument, const char *field, const char *found,
                  const char *allowed, struct error *err)
{
    return error_set(err, ERROR_CONFIG, "instrument %s: %s: found %s, allowed %s",
                     instrument->symbol[0] ? instrument->symbol : "(unnamed)", field, found,
                     allowed);
}

static int refuse_decimal(const struct instrument *instrument, const char *field, decimal found,
                          const char *allowed, struct error *err)
{
    char text[DECIMAL_TEXT_MAX];
    return refuse(instrument, field, decimal_valid(found) ? decimal_format(found, text) : "none",
                  allowed, err);
}

/* ---- names ---- */

/* Names are parted by ',' in lists, and by '@' from the venue. */
static bool is_name(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == ',' || *at == '@')
            return false;
    return text[0] != '\0';
}

/* The currency that profit comes in: of "BTC/USDT:USDT" the part after ':', of "BTC/USDT" after
 * '/'; a date that follows, as in "BTC/USD:BTC-240628", is not part of it. A plain "AAPL" trades in
 * USD. False when the part is empty or too long. */
static bool derive_currency(struct instrument *instrument)
{
    const char *part = strchr(instrument->symbol, ':');
    if (!part)
        part = strchr(instrument->symbol, '/');
    if (!part)
        return text_copy(instrument->currency, sizeof(instrument->currency), "USD");
    part++;
    size_t length = strcspn(part, "-:/");
    return length > 0 &&
           text_copy_span(instrument->currency, sizeof(instrument->currency), part, length);
}

static int check_names(const struct instruments *instruments, const struct instrument *instrument,
                       struct error *err)
{
    char found[SYMBOL_MAX + 3];
    snprintf(found, sizeof(found), "\"%s\"", instrument->symbol);
    if (!is_name(instrument->symbol))
        return refuse(instrument, "symbol", found,
                      "a name without blanks, ',' and '@', for instance BTC/USDT:USDT", err);
    if (!is_name(instrument->venue)) {
        snprintf(found, sizeof(found), "\"%s\"", instrument->venue);
        return refuse(instrument, "venue", found, "the name of a venue, for instance sim", err);
    }
    if (instruments_find(instruments, instrument->symbol, instrument->venue) != INSTRUMENT_NONE)
        return refuse(instrument, "symbol", "it twice", "once at each venue", err);
    return 0;
}

/* ---- numbers ---- */

/* A step and the scale of the integers that count it: each multiple of the step has one. */
static int check_step(const struct instrument *instrument, const char *step_name, decimal step,
                      const char *scale_name, int scale, struct error *err)
{
    char found[16], allowed[64];
    if (!decimal_valid(step) || decimal_sign(step) <= 0)
        return refuse_decimal(instrument, step_name, step, "a number above 0", err);
    if (step.scale > SCALE_MAX)
        return refuse_decimal(instrument, step_name, step, "18 digits after the point", err);
    if (scale >= step.scale && scale <= SCALE_MAX)
        return 0;
    snprintf(found, sizeof(found), "%d", scale);
    snprintf(allowed, sizeof(allowed), "%d (the digits of %s) to %d", (int)step.scale, step_name,
             SCALE_MAX);
    return refuse(instrument, scale_name, found, allowed, err);
}

static int check_numbers(const struct instrument *instrument, struct error *err)
{
    int code = check_step(instrument, "tick_size", instrument->tick_size, "price_scale",
                          instrument->price_scale, err);
    if (!code)
        code = check_step(instrument, "lot_size", instrument->lot_size, "qty_scale",
                          instrument->qty_scale, err);
    if (code)
        return code;
    if (!decimal_valid(instrument->min_notional) || decimal_sign(instrument->min_notional) < 0)
        return refuse_decimal(instrument, "min_notional", instrument->min_notional,
                              "0 or a number above 0", err);
    if (!decimal_valid(instrument->multiplier) || decimal_sign(instrument->multiplier) <= 0)
        return refuse_decimal(instrument, "multiplier", instrument->multiplier, "a number above 0",
                              err);
    if (!decimal_valid(instrument->leverage) ||
        decimal_cmp(instrument->leverage, decimal_int(1)) < 0)
        return refuse_decimal(instrument, "leverage", instrument->leverage,
                              "1 (no borrowing) or more", err);
    return 0;
}

static double power_of_ten(int scale) /* exact: doubles hold 10^22 */
{
    double power = 1;
    while (scale-- > 0)
        power *= 10;
    return power;
}

/* ---- the list ---- */

int instruments_add(struct instruments *instruments, const struct instrument *instrument,
                    uint32_t *index, struct error *err)
{
    if (instruments->count == INSTRUMENTS_MAX)
        return error_set(err, ERROR_CONFIG, "instrument %s: found %d others, allowed %d in all",
                         instrument->symbol, INSTRUMENTS_MAX, INSTRUMENTS_MAX);
    int code = check_names(instruments, instrument, err);
    if (!code)
        code = check_numbers(instrument, err);
    if (code)
        return code;

    struct instrument added = *instrument;
    if (added.currency[0] == '\0' && !derive_currency(&added))
        return refuse(instrument, "currency", "none in the symbol",
                      "1 to 11 letters after ':' or '/', or its own field", err);
    added.price_unit = power_of_ten(added.price_scale);
    added.qty_unit = power_of_ten(added.qty_scale);
    instruments->list[instruments->count] = added;
    *index = instruments->count++;
    return 0;
}

uint32_t instruments_find(const struct instruments *instruments, const char *symbol,
                          const char *venue)
{
    for (uint32_t i = 0; i < instruments->count; i++) {
        const struct instrument *instrument = &instruments->list[i];
        if (strcmp(instrument->symbol, symbol) == 0 &&
            (!venue || strcmp(instrument->venue, venue) == 0))
            return i;
    }
    return INSTRUMENT_NONE;
}
