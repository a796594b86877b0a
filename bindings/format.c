/* format.c - string.format: widths and precisions of two digits, no addresses, no "-nan". */
#include "bindings/lib_string.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 512 /* "%.99f" of the largest double has 409 bytes */

struct spec {
    char text[16]; /* "%-08.3" */
    bool left;
    bool plain;           /* no flag, width or precision */
    int width, precision; /* -1: not given */
    char conversion;
};

static int two_digits(const char **at, const char *end)
{
    int value = -1;
    for (int i = 0; i < 2 && *at < end && isdigit((unsigned char)**at); i++)
        value = 10 * (value < 0 ? 0 : value) + (*(*at)++ - '0');
    return value;
}

/* at: behind the '%'. Returns behind the conversion. */
static const char *read_spec(lua_State *L, const char *at, const char *end, struct spec *spec)
{
    const char *start = at;
    *spec = (struct spec){ .width = -1, .precision = -1 };
    while (at < end && *at != '\0' && strchr("-+ #0", *at) && at - start < 5)
        spec->left |= *at++ == '-';
    spec->width = two_digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        spec->precision = two_digits(&at, end);
        if (spec->precision < 0)
            spec->precision = 0;
    }
    size_t length = (size_t)(at - start);
    if (at == end || !strchr("cdiuaAeEfgGoqsxX", *at) || *at == '\0') {
        char shown[32];
        size_t n = length + (at < end);
        text_escape(shown, sizeof shown, start, n < 12 ? n : 12);
        luaL_error(L, "invalid conversion '%%%s' to 'format'", shown);
    }
    spec->text[0] = '%';
    memcpy(spec->text + 1, start, length);
    spec->plain = length == 0;
    spec->conversion = *at;
    return at + 1;
}

static void add_padded(struct builder *out, const struct spec *spec, const char *bytes,
                       size_t length)
{
    if (spec->precision >= 0 && length > (size_t)spec->precision)
        length = (size_t)spec->precision;
    size_t pad = spec->width > 0 && (size_t)spec->width > length ? (size_t)spec->width - length : 0;
    static const char blanks[] = "                                                  "
                                 "                                                  ";
    if (!spec->left)
        builder_add(out, blanks, pad);
    builder_add(out, bytes, length);
    if (spec->left)
        builder_add(out, blanks, pad);
}

static void add_integer(lua_State *L, struct builder *out, struct spec *spec, int index)
{
    char number[NUMBER_MAX];
    lua_Integer value = luaL_checkinteger(L, index);
    size_t at = strlen(spec->text);
    char conversion = spec->conversion;
    if (conversion == 'i')
        conversion = 'd';
    snprintf(spec->text + at, sizeof spec->text - at, "%s%c", LUA_INTEGER_FRMLEN, conversion);
    int length = snprintf(number, sizeof number, spec->text, (LUAI_UACINT)value);
    builder_add(out, number, (size_t)length);
}

static void add_float(lua_State *L, struct builder *out, struct spec *spec, int index)
{
    char number[NUMBER_MAX];
    double value = luaL_checknumber(L, index);
    if (isnan(value))
        value = copysign(value, 1); /* never "-nan" */
    size_t at = strlen(spec->text);
    spec->text[at] = spec->conversion;
    spec->text[at + 1] = '\0';
    int length = snprintf(number, sizeof number, spec->text, value);
    builder_add(out, number, (size_t)length);
}

static void add_quoted_string(lua_State *L, struct builder *out, int index)
{
    size_t length;
    const char *at = lua_tolstring(L, index, &length);
    builder_add(out, "\"", 1);
    for (const char *end = at + length; at < end; at++) {
        char code[8];
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\' || c == '\n') {
            code[0] = '\\';
            code[1] = (char)c;
            builder_add(out, code, 2);
        } else if (iscntrl(c)) {
            bool digit_follows = at + 1 < end && isdigit((unsigned char)at[1]);
            int n = snprintf(code, sizeof code, digit_follows ? "\\%03d" : "\\%d", c);
            builder_add(out, code, (size_t)n);
        } else {
            builder_add(out, at, 1);
        }
    }
    builder_add(out, "\"", 1);
}

static void add_quoted_number(lua_State *L, struct builder *out, int index)
{
    char number[NUMBER_TEXT_MAX];
    int length;
    if (lua_isinteger(L, index)) {
        lua_Integer value = lua_tointeger(L, index);
        if (value == LUA_MININTEGER) /* has no decimal literal */
            length = snprintf(number, sizeof number, "0x%llx", (unsigned long long)value);
        else
            length = snprintf(number, sizeof number, "%lld", value);
    } else {
        double value = lua_tonumber(L, index);
        if (isnan(value))
            length = snprintf(number, sizeof number, "(0/0)");
        else if (isinf(value))
            length = snprintf(number, sizeof number, value > 0 ? "1e9999" : "-1e9999");
        else
            length = snprintf(number, sizeof number, "%a", value);
    }
    builder_add(out, number, (size_t)length);
}

static void add_quoted(lua_State *L, struct builder *out, const struct spec *spec, int index)
{
    if (!spec->plain)
        luaL_error(L, "specifier '%%q' cannot have modifiers");
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        add_quoted_string(L, out, index);
        break;
    case LUA_TNUMBER:
        add_quoted_number(L, out, index);
        break;
    case LUA_TNIL:
    case LUA_TBOOLEAN: {
        size_t length;
        const char *text = value_push_string(L, index, &length);
        builder_add(out, text, length);
        lua_pop(L, 1);
        break;
    }
    default:
        luaL_argerror(L, index, "value has no literal form");
    }
}

static void add_argument(lua_State *L, struct builder *out, struct spec *spec, int index)
{
    switch (spec->conversion) {
    case 'c': {
        char c = (char)luaL_checkinteger(L, index);
        spec->precision = -1;
        add_padded(out, spec, &c, 1);
        break;
    }
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
        add_integer(L, out, spec, index);
        break;
    case 'q':
        add_quoted(L, out, spec, index);
        break;
    case 's': {
        size_t length;
        const char *text = value_push_string(L, index, &length);
        add_padded(out, spec, text, length);
        lua_pop(L, 1);
        break;
    }
    default:
        add_float(L, out, spec, index);
    }
}

/* string.format(format, ...): as in the manual, without %p; at most limits.string_max bytes. */
int string_format(lua_State *L)
{
    struct builder out;
    size_t length;
    const char *at = luaL_checklstring(L, 1, &length);
    const char *end = at + length;
    int arguments = lua_gettop(L), used = 1;
    builder_open(L, &out);
    for (uint64_t turn = 1; at < end; turn++) {
        if (turn % 1024 == 0)
            sandbox_charge(L, 256);
        const char *percent = memchr(at, '%', (size_t)(end - at));
        const char *upto = percent ? percent : end;
        builder_add(&out, at, (size_t)(upto - at));
        if (!percent)
            break;
        if (percent + 1 < end && percent[1] == '%') {
            builder_add(&out, "%", 1);
            at = percent + 2;
            continue;
        }
        struct spec spec;
        at = read_spec(L, percent + 1, end, &spec);
        if (++used > arguments)
            return luaL_argerror(L, used, "no value");
        add_argument(L, &out, &spec, used);
    }
    builder_push(&out);
    return 1;
}
