/* decimal.c - exact decimal arithmetic on 128-bit coefficients.
 *
 * Invariants of every valid decimal made here:
 *   1. |coefficient| < 2^127: the most negative int128 is never used, so a magnitude always exists
 *   2. 0 <= scale <= DECIMAL_SCALE_MAX
 *   3. a scale above 0 means that the last digit is not 0 (equal values are equal bytes)
 *
 * Work is done on unsigned magnitudes: their overflow is defined, and compilers check it inline. */
#include "runtime/base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

#define COEFFICIENT_MAX (((uint128)1 << 127) - 1)
#define P19 ((uint128)UINT64_C(10000000000000000000))
#define DIGITS_MAX 38 /* the largest power of ten below 2^127 */

static const uint128 POWER10[DIGITS_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    P19,
    P19 * 10,
    P19 * 100,
    P19 * 1000,
    P19 * 10000,
    P19 * 100000,
    P19 * 1000000,
    P19 * 10000000,
    P19 * 100000000,
    P19 * 1000000000,
    P19 * 10000000000,
    P19 * 100000000000,
    P19 * 1000000000000,
    P19 * 10000000000000,
    P19 * 100000000000000,
    P19 * 1000000000000000,
    P19 * 10000000000000000,
    P19 * 100000000000000000,
    P19 * 1000000000000000000,
    P19 *UINT64_C(10000000000000000000),
};

/* Powers of ten that a double holds exactly. */
static const double POWER10_DOUBLE[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

const decimal DECIMAL_ZERO = { .coefficient = 0, .scale = 0 };
const decimal DECIMAL_NONE = { .coefficient = 0, .scale = DECIMAL_INVALID };

static uint128 magnitude(decimal a)
{
    return a.coefficient < 0 ? -(uint128)a.coefficient : (uint128)a.coefficient;
}

/* Drops trailing zeros while the scale allows. Odd numbers, half of all, leave at the first test,
 * and most others fit 64 bits, where a division is cheap. */
static uint128 strip_zeros(uint128 m, int *scale)
{
    while (*scale > 0 && (m & 1) == 0 && m > UINT64_MAX) {
        if (m % 10 != 0)
            return m;
        m /= 10;
        --*scale;
    }
    if (m > UINT64_MAX)
        return m;
    uint64_t small = (uint64_t)m;
    while (*scale > 0 && (small & 1) == 0 && small % 10 == 0) {
        small /= 10;
        --*scale;
    }
    return small;
}

/* The decimal negative? -m : m times 10^-scale, whatever the scale, or DECIMAL_NONE. */
static decimal make(bool negative, uint128 m, int scale)
{
    if (m == 0)
        return DECIMAL_ZERO;
    m = strip_zeros(m, &scale);
    if (scale < 0) {
        if (scale < -DIGITS_MAX || __builtin_mul_overflow(m, POWER10[-scale], &m))
            return DECIMAL_NONE;
        scale = 0;
    }
    if (m > COEFFICIENT_MAX || scale > DECIMAL_SCALE_MAX)
        return DECIMAL_NONE;
    return (decimal){ .coefficient = negative ? -(int128)m : (int128)m, .scale = scale };
}

decimal decimal_int(int64_t value)
{
    return (decimal){ .coefficient = value, .scale = 0 };
}

decimal decimal_make(int64_t coefficient, int scale)
{
    uint64_t m = coefficient < 0 ? -(uint64_t)coefficient : (uint64_t)coefficient;
    return make(coefficient < 0, m, scale);
}

/* ---- text ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What has been read of a number: m * 10^zeros, of whose digits `fraction` stand after the point.
 * Zeros are counted first and multiplied in only when another digit follows, so that a long tail
 * of them never overflows. */
struct digits {
    uint128 m;
    int64_t zeros;
    int64_t fraction;
    bool overflow;
};

static void add_digit(struct digits *digits, unsigned digit)
{
    if (digit == 0) {
        digits->zeros++;
        return;
    }
    if (digits->m == 0)
        digits->zeros = 0;
    if (digits->zeros >= DIGITS_MAX ||
        __builtin_mul_overflow(digits->m, POWER10[digits->zeros + 1], &digits->m) ||
        __builtin_add_overflow(digits->m, (uint128)digit, &digits->m))
        digits->overflow = true;
    digits->zeros = 0;
}

/* Reads one or more digits; NULL when there is none. */
static const char *read_digits(const char *at, const char *end, struct digits *digits)
{
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        if (!digits->overflow)
            add_digit(digits, (unsigned)(*at - '0'));
    return at;
}

/* Reads [+-]digits up to the end; false when it is something else. Huge ones are clamped. */
static bool read_exponent(const char *at, const char *end, int64_t *exponent)
{
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return false;
    int64_t value = 0;
    for (; at < end && is_digit(*at); at++)
        if (value < INT64_C(1000000000000))
            value = 10 * value + (*at - '0');
    *exponent = negative ? -value : value;
    return at == end;
}

/* Everything but the sign: false when it is not a number. */
static bool read_number(const char *at, const char *end, struct digits *digits, int64_t *exponent)
{
    at = read_digits(at, end, digits);
    if (at && at < end && *at == '.') {
        const char *first = at + 1;
        at = read_digits(first, end, digits);
        if (at)
            digits->fraction = at - first;
    }
    if (!at)
        return false;
    if (at < end && (*at == 'e' || *at == 'E'))
        return read_exponent(at + 1, end, exponent);
    return at == end;
}

int decimal_parse(const char *text, size_t length, decimal *out)
{
    const char *at = text;
    const char *end = text + length;
    *out = DECIMAL_NONE;

    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    struct digits digits = { 0 };
    int64_t exponent = 0;
    if (!read_number(at, end, &digits, &exponent))
        return ERROR_DATA;
    if (digits.overflow)
        return ERROR_RANGE;

    if (digits.m == 0) { /* also 0e400 */
        *out = DECIMAL_ZERO;
        return 0;
    }
    int64_t scale = digits.fraction - digits.zeros - exponent;
    if (scale > DECIMAL_SCALE_MAX || scale < -DIGITS_MAX) /* the last digit of m is not 0 */
        return ERROR_RANGE;
    *out = make(negative, digits.m, (int)scale);
    return decimal_valid(*out) ? 0 : ERROR_RANGE;
}

decimal decimal_text(const char *text)
{
    decimal value;
    int code = decimal_parse(text, strlen(text), &value);
    ASSERT(code == 0);
    return value;
}

/* Digits of m, written so that they end before `end`; returns the first. */
static char *write_digits(char *end, uint128 m)
{
    while (m > UINT64_MAX) {
        *--end = (char)('0' + (int)(m % 10));
        m /= 10;
    }
    uint64_t small = (uint64_t)m;
    do {
        *--end = (char)('0' + (int)(small % 10));
        small /= 10;
    } while (small > 0);
    return end;
}

char *decimal_format(decimal a, char buffer[DECIMAL_TEXT_MAX])
{
    if (!decimal_valid(a))
        return memcpy(buffer, "invalid", sizeof("invalid"));

    char digits[DECIMAL_TEXT_MAX];
    char *end = digits + sizeof(digits);
    char *first = write_digits(end, magnitude(a));
    while (end - first <= a.scale) /* at least one digit before the point */
        *--first = '0';

    char *at = buffer;
    if (a.coefficient < 0)
        *at++ = '-';
    size_t whole = (size_t)(end - first) - (size_t)a.scale;
    memcpy(at, first, whole);
    at += whole;
    if (a.scale > 0) {
        *at++ = '.';
        memcpy(at, first + whole, (size_t)a.scale);
        at += a.scale;
    }
    *at = '\0';
    return buffer;
}

/* ---- doubles ---- */

/* The usual double, a price or a quantity of up to 15 digits, without text. At 15 digits and less
 * the product is off by far less than 1/2, so its nearest integer is the only candidate, and the
 * division, correctly rounded, tells whether it reads back. The first scale that does is shortest.
 */
static bool from_double_short(double value, decimal *out)
{
    double size = fabs(value);
    for (int scale = 0; scale <= 22; scale++) {
        double scaled = size * POWER10_DOUBLE[scale];
        if (scaled > 1e15)
            return false;
        double whole = nearbyint(scaled);
        if (whole / POWER10_DOUBLE[scale] == size) {
            *out = make(value < 0, (uint128)whole, scale);
            return true;
        }
    }
    return false;
}

decimal decimal_from_double(double value)
{
    decimal result;
    if (!isfinite(value))
        return DECIMAL_NONE;
    if (from_double_short(value, &result))
        return result;

    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (decimal_parse(text, strlen(text), &result) != 0)
        return DECIMAL_NONE; /* too large, or too fine for 36 digits after the point */
    return result;
}

double decimal_to_double(decimal a)
{
    if (!decimal_valid(a))
        return NAN;
    uint128 m = magnitude(a);
    if (m < ((uint128)1 << 53) && a.scale < (int)ARRAY_SIZE(POWER10_DOUBLE)) {
        double size = (double)(uint64_t)m / POWER10_DOUBLE[a.scale]; /* one rounding: correct */
        return a.coefficient < 0 ? -size : size;
    }
    char text[DECIMAL_TEXT_MAX];
    return strtod(decimal_format(a, text), NULL);
}

/* ---- comparing ---- */

int decimal_sign(decimal a)
{
    return (a.coefficient > 0) - (a.coefficient < 0);
}

static int compare_magnitudes(decimal a, decimal b)
{
    uint128 x = magnitude(a);
    uint128 y = magnitude(b);
    /* The coarser one is brought to the finer scale. If it does not fit there it is the larger. */
    if (a.scale < b.scale && __builtin_mul_overflow(x, POWER10[b.scale - a.scale], &x))
        return 1;
    if (b.scale < a.scale && __builtin_mul_overflow(y, POWER10[a.scale - b.scale], &y))
        return -1;
    return (x > y) - (x < y);
}

int decimal_cmp(decimal a, decimal b)
{
    ASSERT(decimal_valid(a) && decimal_valid(b));
    if (a.scale == b.scale)
        return (a.coefficient > b.coefficient) - (a.coefficient < b.coefficient);

    int sign = decimal_sign(a);
    if (sign != decimal_sign(b))
        return sign > decimal_sign(b) ? 1 : -1;
    return sign * compare_magnitudes(a, b);
}

decimal decimal_min(decimal a, decimal b)
{
    if (!decimal_valid(a) || !decimal_valid(b))
        return DECIMAL_NONE;
    return decimal_cmp(b, a) < 0 ? b : a;
}

decimal decimal_max(decimal a, decimal b)
{
    if (!decimal_valid(a) || !decimal_valid(b))
        return DECIMAL_NONE;
    return decimal_cmp(b, a) > 0 ? b : a;
}

/* ---- arithmetic ---- */

decimal decimal_neg(decimal a)
{
    if (!decimal_valid(a))
        return DECIMAL_NONE;
    return (decimal){ .coefficient = -a.coefficient, .scale = a.scale };
}

decimal decimal_abs(decimal a)
{
    return a.coefficient < 0 ? decimal_neg(a) : a;
}

decimal decimal_add(decimal a, decimal b)
{
    if (!decimal_valid(a) || !decimal_valid(b))
        return DECIMAL_NONE;

    int scale = a.scale > b.scale ? a.scale : b.scale;
    uint128 x, y, m;
    if (__builtin_mul_overflow(magnitude(a), POWER10[scale - a.scale], &x) ||
        __builtin_mul_overflow(magnitude(b), POWER10[scale - b.scale], &y))
        return DECIMAL_NONE;

    bool a_negative = a.coefficient < 0;
    bool b_negative = b.coefficient < 0;
    if (a_negative != b_negative)
        return x >= y ? make(a_negative, x - y, scale) : make(b_negative, y - x, scale);
    if (__builtin_add_overflow(x, y, &m))
        return DECIMAL_NONE;
    return make(a_negative, m, scale);
}

decimal decimal_sub(decimal a, decimal b)
{
    return decimal_add(a, decimal_neg(b));
}

/* Takes the tens out of a product before it is formed: a factor holds twos, the other fives. */
static void cancel_tens(uint128 *x, uint128 *y, int *scale)
{
    *x = strip_zeros(*x, scale);
    *y = strip_zeros(*y, scale);
    for (; *scale > 0 && *x % 2 == 0 && *y % 5 == 0; --*scale) {
        *x /= 2;
        *y /= 5;
    }
    for (; *scale > 0 && *x % 5 == 0 && *y % 2 == 0; --*scale) {
        *x /= 5;
        *y /= 2;
    }
}

decimal decimal_mul(decimal a, decimal b)
{
    if (!decimal_valid(a) || !decimal_valid(b))
        return DECIMAL_NONE;

    bool negative = (a.coefficient < 0) != (b.coefficient < 0);
    int scale = a.scale + b.scale;
    uint128 x = magnitude(a);
    uint128 y = magnitude(b);
    uint128 m;
    if (!__builtin_mul_overflow(x, y, &m))
        return make(negative, m, scale);

    cancel_tens(&x, &y, &scale); /* 2^100 * 5^-20 fits, though the plain product does not */
    if (__builtin_mul_overflow(x, y, &m))
        return DECIMAL_NONE;
    return make(negative, m, scale);
}

/* ---- division and rounding ---- */

/* x / y * 10^power = whole * 10^-pending + a rest below one unit of it, which is rest / divisor. */
struct quotient {
    uint128 whole;
    uint128 rest;
    uint128 divisor;
    int pending;   /* powers not multiplied in, because the division came out even before */
    bool overflow; /* whole is meaningless; rest is still right */
};

/* One step of long division: the next digit of rest * 10 / divisor. Ten times the rest may exceed
 * 128 bits, so it is doubled, doubled, increased and doubled, and reduced each time. */
static unsigned next_digit(uint128 *rest, uint128 divisor)
{
    static const bool adds[] = { false, true, false };
    uint128 one = *rest;
    uint128 r = one << 1;
    unsigned digit = r >= divisor;
    r -= digit ? divisor : 0;
    for (size_t i = 0; i < ARRAY_SIZE(adds); i++) {
        unsigned carry;
        r = adds[i] ? r + one : r << 1;
        carry = r >= divisor;
        r -= carry ? divisor : 0;
        digit = (adds[i] ? digit : 2 * digit) + carry;
    }
    *rest = r;
    return digit;
}

/* x / y * 10^-power: the divisor grows. Where it would not fit, digits leave the dividend instead,
 * rounded up: the quotient is then 0, and a rest is never mistaken for none. */
static struct quotient divide_down(uint128 x, uint128 y, int power)
{
    uint128 divisor;
    while (__builtin_mul_overflow(y, POWER10[power], &divisor)) {
        x = x / 10 + (x % 10 != 0);
        power--;
    }
    return (struct quotient){ .whole = x / divisor, .rest = x % divisor, .divisor = divisor };
}

static struct quotient divide(uint128 x, uint128 y, int power)
{
    ASSERT(y > 0 && y <= COEFFICIENT_MAX && x <= COEFFICIENT_MAX);
    if (power < 0)
        return divide_down(x, y, -power);

    struct quotient q = { .whole = x / y, .rest = x % y, .divisor = y };
    for (; power > 0 && q.rest != 0; power--) {
        unsigned digit = next_digit(&q.rest, y);
        if (__builtin_mul_overflow(q.whole, (uint128)10, &q.whole) ||
            __builtin_add_overflow(q.whole, (uint128)digit, &q.whole))
            q.overflow = true;
    }
    q.pending = power;
    return q;
}

/* Whether a magnitude with this rest goes to the next integer. */
static bool goes_up(const struct quotient *q, bool negative, enum rounding rounding)
{
    uint128 missing = q->divisor - q->rest;
    if (q->rest == 0)
        return false;
    switch (rounding) {
    case ROUND_DOWN:
        return false;
    case ROUND_UP:
        return true;
    case ROUND_FLOOR:
        return negative;
    case ROUND_CEILING:
        return !negative;
    case ROUND_HALF_EVEN:
        return q->rest > missing || (q->rest == missing && (q->whole & 1));
    }
    ASSERT(!"a rounding");
    return false;
}

/* Rounds to an integer count of 10^-scale. */
static decimal settle(const struct quotient *q, bool negative, int scale, enum rounding rounding)
{
    if (q->overflow || q->whole > COEFFICIENT_MAX)
        return DECIMAL_NONE;
    return make(negative, q->whole + goes_up(q, negative, rounding), scale - q->pending);
}

decimal decimal_div(decimal a, decimal b, int scale, enum rounding rounding)
{
    ASSERT(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
    if (!decimal_valid(a) || !decimal_valid(b) || b.coefficient == 0)
        return DECIMAL_NONE;

    bool negative = (a.coefficient < 0) != (b.coefficient < 0);
    struct quotient q = divide(magnitude(a), magnitude(b), scale + b.scale - a.scale);
    return settle(&q, negative, scale, rounding);
}

decimal decimal_round(decimal a, int scale, enum rounding rounding)
{
    ASSERT(scale >= 0);
    if (a.scale <= scale) /* invalid ones too */
        return a;
    struct quotient q = divide_down(magnitude(a), 1, a.scale - scale);
    return settle(&q, a.coefficient < 0, scale, rounding);
}

decimal decimal_to_multiple(decimal a, decimal step, enum rounding rounding)
{
    if (!decimal_valid(a) || !decimal_valid(step))
        return DECIMAL_NONE;
    ASSERT(step.coefficient > 0);

    bool negative = a.coefficient < 0;
    struct quotient q = divide(magnitude(a), magnitude(step), step.scale - a.scale);
    if (q.rest == 0)
        return a;
    uint128 near = q.divisor / 1000000;
    if (q.divisor - q.rest <= near) { /* floats miss a multiple by a hair, on either side */
        q.whole++;
        q.rest = 0;
    } else if (q.rest <= near) {
        q.rest = 0;
    }
    return decimal_mul(settle(&q, negative, 0, rounding), step);
}

bool decimal_is_multiple(decimal a, decimal step)
{
    if (!decimal_valid(a) || !decimal_valid(step))
        return false;
    ASSERT(step.coefficient > 0);
    return divide(magnitude(a), magnitude(step), step.scale - a.scale).rest == 0;
}

int decimal_mantissa(decimal a, int scale, int64_t *out)
{
    ASSERT(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
    uint128 m;
    if (!decimal_valid(a) || a.scale > scale ||
        __builtin_mul_overflow(magnitude(a), POWER10[scale - a.scale], &m))
        return ERROR_RANGE;

    bool negative = a.coefficient < 0;
    if (m > (uint128)INT64_MAX + negative)
        return ERROR_RANGE;
    *out = negative ? (int64_t) - (uint64_t)m : (int64_t)m;
    return 0;
}
