/* instrument.h - what can be traded: its name, its steps, its money.
 *
 * Market events carry prices and quantities as integers (mantissas) at the instrument's scale, so
 * that the hot path compares integers; orders, fills and positions are decimals. The scales are
 * fixed for a session; the tick may change while a position is open. */
#ifndef RUNTIME_DOMAIN_INSTRUMENT_H
#define RUNTIME_DOMAIN_INSTRUMENT_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"

#define SYMBOL_MAX 48
#define VENUE_MAX 16
#define CURRENCY_MAX 12
#define INSTRUMENTS_MAX 256
#define INSTRUMENT_NONE UINT32_MAX

struct instrument {
    char symbol[SYMBOL_MAX];     /* "BTC/USDT:USDT" */
    char venue[VENUE_MAX];       /* "sim" */
    char currency[CURRENCY_MAX]; /* of price, P&L and fees: the settle currency, "USDT" */
    decimal tick_size;           /* > 0, quote units */
    decimal lot_size;            /* > 0, base units */
    decimal min_notional;        /* >= 0, quote units */
    decimal multiplier;          /* > 0, base units a contract */
    decimal leverage;            /* >= 1; 1 = no borrowing */
    bool short_allowed;
    int price_scale;             /* digits after the point of event prices */
    int qty_scale;               /* of event quantities */
    double price_unit, qty_unit; /* 10^scale, exactly; set by instruments_add */
    char origin[64]; /* where tick and lot come from: "sim", "instruments:", "finest decimals in
                        FILE" */
};

/* The instruments of one session. An instrument is known by its index, which never changes. */
struct instruments {
    struct instrument list[INSTRUMENTS_MAX];
    uint32_t count;
};

/* Adds a copy. Currency is taken from the symbol when empty (after ':', else after '/', else USD).
 * ERROR_CONFIG naming the field when a value is not allowed, the symbol is known already, or
 * there are too many. */
MUST_CHECK int instruments_add(struct instruments *instruments, const struct instrument *instrument,
                               uint32_t *index, struct error *err);
uint32_t instruments_find(const struct instruments *instruments, const char *symbol,
                          const char *venue /* or NULL: any */);

static inline double instrument_price(const struct instrument *instrument, int64_t mantissa)
{
    return (double)mantissa / instrument->price_unit;
}
static inline double instrument_qty(const struct instrument *instrument, int64_t mantissa)
{
    return (double)mantissa / instrument->qty_unit;
}

#endif
