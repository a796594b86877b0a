/* pattern.c - Lua's patterns (find, match, gmatch, gsub), matched in a bounded number of steps.
 *
 * The language is that of the reference manual, 6.4.1. Each character tested and each alternative
 * tried is a step; a search that needs more than limits.pattern_steps of them is an error, and ten
 * steps are charged as one instruction. A plain search takes linear time. */
#include "bindings/lib_string.h"

#include <ctype.h>
#include <string.h>

#define CAPTURES_MAX 32
#define DEPTH_MAX 200
#define STEPS_A_LOOK 4096
#define STEPS_AN_INSTRUCTION 10
#define OPEN (-1)     /* length of a capture that is not closed yet */
#define POSITION (-2) /* a position capture */

struct matcher {
    lua_State *L;
    uint64_t steps, limit;
    int depth;
    const char *text, *text_end;
    const char *pattern_end;
    int level; /* captures, closed or not */
    struct {
        const char *start;
        ptrdiff_t length;
    } captures[CAPTURES_MAX];
};

static const char *match(struct matcher *m, const char *s, const char *p);

static void look(struct matcher *m)
{
    sandbox_charge(m->L, STEPS_A_LOOK / STEPS_AN_INSTRUCTION);
    if (m->steps > m->limit)
        luaL_error(m->L, "pattern too complex: more than %I steps (sandbox.pattern_steps)",
                   (LUAI_UACINT)m->limit);
}

static inline void step(struct matcher *m)
{
    if (++m->steps % STEPS_A_LOOK == 0)
        look(m);
}

/* ---- one character ---- */

static const char *item_end(struct matcher *m, const char *p)
{
    char c = *p++;
    if (c == '%') {
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (c != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do { /* a ']' first in a set is a character */
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%') {
            if (p == m->pattern_end)
                luaL_error(m->L, "malformed pattern (missing ']')");
            p++;
        }
    } while (p == m->pattern_end || *p != ']');
    return p + 1;
}

static bool in_class(unsigned char c, unsigned char class)
{
    bool is;
    switch (tolower(class)) {
    case 'a':
        is = isalpha(c);
        break;
    case 'c':
        is = iscntrl(c);
        break;
    case 'd':
        is = isdigit(c);
        break;
    case 'g':
        is = isgraph(c);
        break;
    case 'l':
        is = islower(c);
        break;
    case 'p':
        is = ispunct(c);
        break;
    case 's':
        is = isspace(c);
        break;
    case 'u':
        is = isupper(c);
        break;
    case 'w':
        is = isalnum(c);
        break;
    case 'x':
        is = isxdigit(c);
        break;
    case 'z': /* deprecated in Lua, and still there */
        is = c == '\0';
        break;
    default:
        return class == c;
    }
    return isupper(class) ? !is : is;
}

/* p at '[', end one past the ']'. */
static bool in_set(struct matcher *m, unsigned char c, const char *p, const char *end)
{
    bool wanted = true;
    const char *last = end - 1;
    p++;
    if (*p == '^') {
        wanted = false;
        p++;
    }
    for (; p < last; p++) {
        step(m);
        if (*p == '%') {
            p++;
            if (in_class(c, (unsigned char)*p))
                return wanted;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

/* Does the single-character item p..end match at s? */
static bool matches_one(struct matcher *m, const char *s, const char *p, const char *end)
{
    step(m);
    if (s >= m->text_end)
        return false;
    unsigned char c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(m, c, p, end);
    default:
        return (unsigned char)*p == c;
    }
}

/* ---- captures ---- */

static const char *open_capture(struct matcher *m, const char *s, const char *p, ptrdiff_t kind)
{
    if (m->level >= CAPTURES_MAX)
        luaL_error(m->L, "too many captures");
    m->captures[m->level].start = s;
    m->captures[m->level].length = kind;
    m->level++;
    const char *end = match(m, s, p);
    if (!end)
        m->level--;
    return end;
}

static const char *close_capture(struct matcher *m, const char *s, const char *p)
{
    int at = m->level - 1;
    while (at >= 0 && m->captures[at].length != OPEN)
        at--;
    if (at < 0)
        luaL_error(m->L, "invalid pattern capture");
    m->captures[at].length = s - m->captures[at].start;
    const char *end = match(m, s, p);
    if (!end)
        m->captures[at].length = OPEN;
    return end;
}

static const char *match_back(struct matcher *m, const char *s, char digit)
{
    int at = digit - '1';
    if (at < 0 || at >= m->level || m->captures[at].length == OPEN)
        luaL_error(m->L, "invalid capture index %%%d", at + 1);
    ptrdiff_t length = m->captures[at].length;
    if (length == POSITION)
        return NULL;                   /* as in Lua: a position has no text to repeat */
    m->steps += (uint64_t)length / 16; /* compared at once */
    step(m);
    if (m->text_end - s < length || memcmp(m->captures[at].start, s, (size_t)length) != 0)
        return NULL;
    return s + length;
}

/* ---- items that are more than a character ---- */

/* %bxy, p at x. */
static const char *match_balance(struct matcher *m, const char *s, const char *p)
{
    if (m->pattern_end - p < 2)
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->text_end || *s != *p)
        return NULL;
    int64_t deep = 1;
    while (++s < m->text_end) {
        step(m);
        if (*s == p[1]) {
            if (--deep == 0)
                return s + 1;
        } else if (*s == *p) {
            deep++;
        }
    }
    return NULL;
}

/* %f[set], p at '['. */
static bool at_frontier(struct matcher *m, const char *s, const char *p, const char *end)
{
    unsigned char before = s == m->text ? '\0' : (unsigned char)s[-1];
    unsigned char here = s < m->text_end ? (unsigned char)*s : '\0';
    return !in_set(m, before, p, end) && in_set(m, here, p, end);
}

static const char *expand_most(struct matcher *m, const char *s, const char *p, const char *end)
{
    ptrdiff_t count = 0;
    while (matches_one(m, s + count, p, end))
        count++;
    for (; count >= 0; count--) {
        const char *rest = match(m, s + count, end + 1);
        if (rest)
            return rest;
    }
    return NULL;
}

static const char *expand_least(struct matcher *m, const char *s, const char *p, const char *end)
{
    for (;; s++) {
        const char *rest = match(m, s, end + 1);
        if (rest)
            return rest;
        if (!matches_one(m, s, p, end))
            return NULL;
    }
}

/* ---- the whole ---- */

/* What an item that is tried at s leads to: the end of the match, no match, or go on behind it. */
enum outcome { ENDED, GO_ON };

static enum outcome match_item(struct matcher *m, const char **s, const char **p)
{
    const char *end = item_end(m, *p);
    char quantifier = end < m->pattern_end ? *end : '\0';
    switch (quantifier) {
    case '?':
        if (matches_one(m, *s, *p, end)) {
            const char *rest = match(m, *s + 1, end + 1);
            if (rest) {
                *s = rest;
                return ENDED;
            }
        }
        *p = end + 1;
        return GO_ON;
    case '+':
        *s = matches_one(m, *s, *p, end) ? expand_most(m, *s + 1, *p, end) : NULL;
        return ENDED;
    case '*':
        *s = expand_most(m, *s, *p, end);
        return ENDED;
    case '-':
        *s = expand_least(m, *s, *p, end);
        return ENDED;
    default:
        if (!matches_one(m, *s, *p, end)) {
            *s = NULL;
            return ENDED;
        }
        (*s)++;
        *p = end;
        return GO_ON;
    }
}

/* %b, %f and %1 at *p; plain classes are items. */
static enum outcome match_escape(struct matcher *m, const char **s, const char **p)
{
    char kind = *p + 1 < m->pattern_end ? (*p)[1] : '\0';
    if (kind == 'b') {
        *s = match_balance(m, *s, *p + 2);
        *p += 4;
        return *s ? GO_ON : ENDED;
    }
    if (kind == 'f') {
        *p += 2;
        if (*p >= m->pattern_end || **p != '[')
            luaL_error(m->L, "missing '[' after '%%f' in pattern");
        const char *end = item_end(m, *p);
        if (!at_frontier(m, *s, *p, end)) {
            *s = NULL;
            return ENDED;
        }
        *p = end;
        return GO_ON;
    }
    if (isdigit((unsigned char)kind)) {
        *s = match_back(m, *s, kind);
        *p += 2;
        return *s ? GO_ON : ENDED;
    }
    return match_item(m, s, p);
}

static const char *match_from(struct matcher *m, const char *s, const char *p)
{
    while (p < m->pattern_end) {
        enum outcome outcome;
        step(m);
        switch (*p) {
        case '(':
            if (p + 1 < m->pattern_end && p[1] == ')')
                return open_capture(m, s, p + 2, POSITION);
            return open_capture(m, s, p + 1, OPEN);
        case ')':
            return close_capture(m, s, p + 1);
        case '$':
            if (p + 1 == m->pattern_end)
                return s == m->text_end ? s : NULL;
            outcome = match_item(m, &s, &p);
            break;
        case '%':
            outcome = match_escape(m, &s, &p);
            break;
        default:
            outcome = match_item(m, &s, &p);
        }
        if (outcome == ENDED)
            return s;
    }
    return s;
}

/* The end of the match of the pattern from p on with the text from s on, or NULL. */
static const char *match(struct matcher *m, const char *s, const char *p)
{
    if (++m->depth > DEPTH_MAX)
        luaL_error(m->L, "pattern too complex: its parts nest deeper than %d", DEPTH_MAX);
    const char *end = match_from(m, s, p);
    m->depth--;
    return end;
}

static void matcher_open(struct matcher *m, lua_State *L, const char *text, size_t length,
                         const char *pattern, size_t pattern_length)
{
    m->L = L;
    m->steps = 0;
    m->limit = sandbox_of(L)->limits.pattern_steps;
    m->text = text;
    m->text_end = text + length;
    m->pattern_end = pattern + pattern_length;
}

static const char *match_at(struct matcher *m, const char *s, const char *p)
{
    m->level = 0;
    m->depth = 0;
    return match(m, s, p);
}

static void charge_rest(struct matcher *m)
{
    sandbox_charge(m->L, m->steps % STEPS_A_LOOK / STEPS_AN_INSTRUCTION);
}

/* ---- results ---- */

static void push_capture(struct matcher *m, int at, const char *s, const char *end)
{
    if (at >= m->level) {
        if (at != 0)
            luaL_error(m->L, "invalid capture index %%%d", at + 1);
        lua_pushlstring(m->L, s, (size_t)(end - s)); /* the whole match */
        return;
    }
    ptrdiff_t length = m->captures[at].length;
    if (length == OPEN)
        luaL_error(m->L, "unfinished capture");
    if (length == POSITION)
        lua_pushinteger(m->L, m->captures[at].start - m->text + 1);
    else
        lua_pushlstring(m->L, m->captures[at].start, (size_t)length);
}

/* All captures; the whole match (s..end) when there are none and s is given. */
static int push_captures(struct matcher *m, const char *s, const char *end)
{
    int count = m->level == 0 && s ? 1 : m->level;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(m, i, s, end);
    return count;
}

/* ---- find, match ---- */

static size_t start_of(lua_Integer position, size_t length)
{
    if (position > 0)
        return (size_t)position - 1;
    if (position == 0 || position < -(lua_Integer)length)
        return 0;
    return length - (size_t)-position;
}

static bool is_plain(const char *pattern, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]))
            return false;
    return true;
}

static int find_plain(lua_State *L, const char *text, size_t length, size_t start,
                      const char *wanted, size_t wanted_length)
{
    sandbox_charge(L, (length - start) / 256);
    const char *at = memmem(text + start, length - start, wanted, wanted_length);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - text + 1);
    lua_pushinteger(L, at - text + (ptrdiff_t)wanted_length);
    return 2;
}

static int search(lua_State *L, bool find)
{
    struct matcher m;
    size_t length, pattern_length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &pattern_length);
    size_t start = start_of(luaL_optinteger(L, 3, 1), length);
    if (start > length) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_length)))
        return find_plain(L, text, length, start, pattern, pattern_length);

    matcher_open(&m, L, text, length, pattern, pattern_length);
    bool anchored = pattern_length > 0 && *pattern == '^';
    pattern += anchored;
    for (const char *s = text + start; s <= m.text_end; s++) {
        const char *end = match_at(&m, s, pattern);
        if (end) {
            charge_rest(&m);
            if (!find)
                return push_captures(&m, s, end);
            lua_pushinteger(L, s - text + 1);
            lua_pushinteger(L, end - text);
            return push_captures(&m, NULL, NULL) + 2;
        }
        if (anchored)
            break;
    }
    charge_rest(&m);
    lua_pushnil(L);
    return 1;
}

int string_find(lua_State *L)
{
    return search(L, true);
}

int string_match(lua_State *L)
{
    return search(L, false);
}

/* ---- gmatch: upvalues text, pattern, and where to go on ---- */

struct progress {
    size_t start;    /* offset of the next try */
    size_t last_end; /* of the last match; SIZE_MAX before the first */
};

static int gmatch_step(lua_State *L)
{
    struct matcher m;
    size_t length, pattern_length;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &length);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_length);
    struct progress *progress = lua_touserdata(L, lua_upvalueindex(3));
    matcher_open(&m, L, text, length, pattern, pattern_length);
    for (size_t start = progress->start; start <= length; start++) {
        const char *end = match_at(&m, text + start, pattern);
        if (end && (size_t)(end - text) != progress->last_end) {
            progress->start = progress->last_end = (size_t)(end - text);
            charge_rest(&m);
            return push_captures(&m, text + start, end);
        }
    }
    progress->start = length + 1;
    charge_rest(&m);
    return 0;
}

int string_gmatch(lua_State *L)
{
    size_t length;
    luaL_checklstring(L, 1, &length);
    luaL_checkstring(L, 2);
    size_t start = start_of(luaL_optinteger(L, 3, 1), length);
    lua_settop(L, 2);
    struct progress *progress = lua_newuserdatauv(L, sizeof *progress, 0);
    progress->start = start;
    progress->last_end = SIZE_MAX;
    lua_pushcclosure(L, gmatch_step, 3);
    return 1;
}

/* ---- gsub ---- */

static void add_template(struct matcher *m, struct builder *out, const char *s, const char *end)
{
    lua_State *L = m->L;
    size_t length;
    const char *news = lua_tolstring(L, 3, &length);
    for (const char *stop = news + length; news < stop;) {
        const char *escape = memchr(news, '%', (size_t)(stop - news));
        const char *upto = escape ? escape : stop;
        builder_add(out, news, (size_t)(upto - news));
        if (!escape)
            return;
        char what = escape + 1 < stop ? escape[1] : '\0';
        if (what == '%') {
            builder_add(out, "%", 1);
        } else if (what == '0') {
            builder_add(out, s, (size_t)(end - s));
        } else if (isdigit((unsigned char)what)) {
            size_t size;
            push_capture(m, what - '1', s, end);
            const char *bytes = lua_tolstring(L, -1, &size); /* a position becomes text */
            builder_add(out, bytes, size);
            lua_pop(L, 1);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
        news = escape + 2;
    }
}

/* Adds what replaces s..end. */
static void add_replacement(struct matcher *m, struct builder *out, const char *s, const char *end,
                            int kind)
{
    lua_State *L = m->L;
    size_t length;
    if (kind == LUA_TSTRING) {
        add_template(m, out, s, end);
        return;
    }
    if (kind == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end), 1);
    } else {
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        builder_add(out, s, (size_t)(end - s)); /* keeps what was there */
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        const char *bytes = lua_tolstring(L, -1, &length);
        builder_add(out, bytes, length);
    }
    lua_pop(L, 1);
}

int string_gsub(lua_State *L)
{
    struct matcher m;
    struct builder out;
    size_t length, pattern_length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &pattern_length);
    int kind = lua_type(L, 3);
    luaL_argexpected(L,
                     kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION ||
                         kind == LUA_TTABLE,
                     3, "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)length + 1);
    lua_settop(L, 4);
    if (kind == LUA_TNUMBER) {
        lua_tolstring(L, 3, NULL);
        kind = LUA_TSTRING;
    }
    builder_open(L, &out);
    matcher_open(&m, L, text, length, pattern, pattern_length);
    bool anchored = pattern_length > 0 && *pattern == '^';
    pattern += anchored;

    const char *s = text, *last_end = NULL;
    lua_Integer count = 0;
    while (count < most) {
        const char *end = match_at(&m, s, pattern);
        if (end && end != last_end) {
            count++;
            charge_rest(&m);
            m.steps = 0; /* the limit is that of one step from match to match */
            add_replacement(&m, &out, s, end, kind);
            s = last_end = end;
        } else if (s < m.text_end) {
            builder_add(&out, s++, 1);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    charge_rest(&m);
    if (count == 0) {
        lua_pushvalue(L, 1);
    } else {
        builder_add(&out, s, (size_t)(m.text_end - s));
        builder_push(&out);
    }
    lua_pushinteger(L, count);
    return 2;
}
