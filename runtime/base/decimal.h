/* decimal.h - exact decimal numbers for money, price and quantity.
 *
 * A decimal describes itself: coefficient * 10^-scale, coefficient in 128 bits, scale 0..36.
 * Results are normalised (no trailing zeros in the coefficient), so equal values are equal bytes.
 * Overflow is not a wrap: the result is invalid, and everything computed from an invalid decimal is
 * invalid too. Check decimal_valid() once, before a change is committed. Nothing here allocates. */
#ifndef RUNTIME_BASE_DECIMAL_H
#define RUNTIME_BASE_DECIMAL_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

__extension__ typedef __int128 int128;

typedef struct {
    int128 coefficient;
    int32_t scale; /* 0..DECIMAL_SCALE_MAX; DECIMAL_INVALID when the value does not exist */
} decimal;

#define DECIMAL_SCALE_MAX 36
#define DECIMAL_INVALID (-1)
#define DECIMAL_TEXT_MAX 64 /* bytes any decimal needs as text, with the final NUL */

enum rounding {
    ROUND_DOWN /* toward zero */,
    ROUND_UP /* away */,
    ROUND_FLOOR,
    ROUND_CEILING,
    ROUND_HALF_EVEN
};

extern const decimal DECIMAL_ZERO;
extern const decimal DECIMAL_NONE; /* the invalid decimal: also "not given" in optional fields */

decimal decimal_int(int64_t value);
decimal decimal_make(int64_t coefficient, int scale); /* coefficient * 10^-scale, if it fits */

/* Plain or scientific text: [+-]digits[.digits][e[+-]digits], the whole of `length` bytes. Strict:
 * ".5" and "5." are refused; "+1", "-0" and "007" are numbers.
 * ERROR_DATA not a number (also inf, nan, empty, blanks); ERROR_RANGE does not fit 128 bits, or is
 * finer than 10^-36 (1e-400 is not quietly 0). On failure *out is DECIMAL_NONE. */
MUST_CHECK int decimal_parse(const char *text, size_t length, decimal *out);
decimal decimal_text(const char *text); /* for constants: ASSERTs that it parses */

/* The shortest decimal that reads back as the same double. DECIMAL_NONE for NaN, infinity, and what
 * does not fit (1e300, 1e-40). */
decimal decimal_from_double(double value);
double decimal_to_double(decimal a); /* correctly rounded; NaN if invalid */

/* Canonical text: no exponent, no trailing zeros, never "-0". Invalid prints "invalid".
 * Returns `buffer`. */
char *decimal_format(decimal a, char buffer[DECIMAL_TEXT_MAX]);

static inline bool decimal_valid(decimal a)
{
    return a.scale >= 0;
}
int decimal_sign(decimal a);           /* -1, 0, 1 */
int decimal_cmp(decimal a, decimal b); /* -1, 0, 1; ASSERTs both valid */
static inline bool decimal_is_zero(decimal a)
{
    return decimal_valid(a) && a.coefficient == 0;
}

decimal decimal_add(decimal a, decimal b);
decimal decimal_sub(decimal a, decimal b);
decimal decimal_mul(decimal a, decimal b);
decimal decimal_neg(decimal a);
decimal decimal_abs(decimal a);
decimal decimal_min(decimal a, decimal b);
decimal decimal_max(decimal a, decimal b);

/* a / b rounded to `scale` digits after the point. Division by zero is invalid. */
decimal decimal_div(decimal a, decimal b, int scale, enum rounding rounding);
decimal decimal_round(decimal a, int scale, enum rounding rounding);

/* The multiple of step (> 0) next to a in the given direction. A value within 1e-6 of a step of a
 * multiple is that multiple, whatever the direction (CONTRACT section 2, Rounding). */
decimal decimal_to_multiple(decimal a, decimal step, enum rounding rounding);
bool decimal_is_multiple(decimal a, decimal step); /* exactly */

/* a as an integer count of 10^-scale. ERROR_RANGE if digits would be lost or it does not fit. */
MUST_CHECK int decimal_mantissa(decimal a, int scale, int64_t *out);

#endif
