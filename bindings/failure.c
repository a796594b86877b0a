/* failure.c - an error value of a script as a message with a place.
 *
 * Everything is written into the sandbox's own buffer at the moment of the error: no allocation, no
 * metamethod, whatever the value is. */
#include "bindings/sandbox_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#define CALLERS_MAX 4     /* lines of a traceback */
#define LEVELS_MAX 250    /* frames looked at; calls of C functions nest 200 deep */
#define MESSAGE_SHARE 520 /* bytes the error value itself may take; the rest is for its callers */

static bool is_hidden(const char *bytes, size_t length)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (length == 1)
        return b[0] < 0x20 || b[0] == 0x7f;
    if (length == 2) /* C1 controls; Arabic letter mark */
        return (b[0] == 0xc2 && b[1] < 0xa0) || (b[0] == 0xd8 && b[1] == 0x9c);
    if (length == 3 && b[0] == 0xe2) /* marks, separators, embeddings, overrides, isolates */
        return (b[1] == 0x80 && (b[2] == 0x8e || b[2] == 0x8f || (b[2] >= 0xa8 && b[2] <= 0xae))) ||
               (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9);
    return false;
}

size_t text_escape(char *out, size_t size, const char *bytes, size_t length)
{
    size_t at = 0;
    while (length > 0) {
        size_t step = utf8_length(bytes, length);
        bool plain = step > 0 && !is_hidden(bytes, step);
        if (step == 0)
            step = 1;
        size_t need = plain ? step : 4 * step;
        if (step == 1 && (*bytes == '\n' || *bytes == '\t' || *bytes == '\r'))
            need = 2;
        if (at + need + 4 > size) { /* room for "..." and NUL */
            memcpy(out + at, "...", 4);
            return at + 3;
        }
        if (plain)
            memcpy(out + at, bytes, step);
        else if (need == 2)
            snprintf(out + at, 3, "\\%c", *bytes == '\n' ? 'n' : *bytes == '\t' ? 't' : 'r');
        else
            for (size_t i = 0; i < step; i++)
                snprintf(out + at + 4 * i, 5, "\\x%02x", (unsigned char)bytes[i]);
        at += need;
        bytes += step;
        length -= step;
    }
    out[at] = '\0';
    return at;
}

/* ---- places ---- */

static void place_of(const lua_Debug *ar, char *where, size_t size)
{
    const char *name = *ar->source == '@' ? ar->source + 1 : ar->short_src;
    char text[200];
    text_escape(text, sizeof text, name, strlen(name));
    snprintf(where, size, "%s:%d", text, ar->currentline);
}

/* The next frame of script code at or above *level. */
static bool script_frame(lua_State *L, int *level, lua_Debug *ar)
{
    for (; *level < LEVELS_MAX && lua_getstack(L, *level, ar); ++*level)
        if (lua_getinfo(L, "Sl", ar) && ar->currentline > 0)
            return true;
    return false;
}

void failure_place(lua_State *L, char *where, size_t size)
{
    lua_Debug ar;
    int level = 0;
    where[0] = '\0';
    if (script_frame(L, &level, &ar))
        place_of(&ar, where, size);
}

/* "lib/x.lua:12: text" as Lua writes it, where the name may be cut in front ("...ies/x.lua"): the
 * length of the place with its ": ", 0 when the message begins with none of our chunks. */
static size_t place_prefix(const struct sandbox *sandbox, const char *message, size_t length,
                           char *where, size_t size)
{
    for (size_t i = 0; i < sandbox->chunk_count; i++) {
        const char *name = sandbox->chunks[i] + 1;
        size_t n = strlen(name);
        size_t shown = n;
        const char *rest = message;
        if (n >= LUA_IDSIZE) { /* "..." and the last bytes: lobject.c, luaO_chunkid */
            shown = LUA_IDSIZE - 4;
            if (length < 3 || memcmp(message, "...", 3) != 0)
                continue;
            rest += 3;
        }
        size_t left = length - (size_t)(rest - message);
        if (left < shown + 3 || memcmp(rest, name + n - shown, shown) != 0 || rest[shown] != ':')
            continue;
        const char *digit = rest + shown + 1;
        const char *end = message + length;
        int line = 0;
        while (digit < end && *digit >= '0' && *digit <= '9' && line < 10000000)
            line = 10 * line + (*digit++ - '0');
        if (line == 0 || digit + 1 >= end || digit[0] != ':' || digit[1] != ' ')
            continue;
        char text[200];
        text_escape(text, sizeof text, name, n);
        snprintf(where, size, "%s:%d", text, line);
        return (size_t)(digit + 2 - message);
    }
    return 0;
}

/* ---- values ---- */

static void value_text(struct sandbox *sandbox, lua_State *L, int index)
{
    struct failure *failure = &sandbox->failure;
    char *out = failure->message;
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        size_t length;
        const char *message = lua_tolstring(L, index, &length);
        size_t skip = place_prefix(sandbox, message, length, failure->where, sizeof failure->where);
        text_escape(out, MESSAGE_SHARE, message + skip, length - skip);
        break;
    }
    case LUA_TNUMBER: {
        char number[NUMBER_TEXT_MAX];
        number_text(L, index, number);
        snprintf(out, MESSAGE_SHARE, "%s", number);
        break;
    }
    case LUA_TNIL:
        snprintf(out, MESSAGE_SHARE, "error without a value (nil)");
        break;
    case LUA_TBOOLEAN:
        snprintf(out, MESSAGE_SHARE, "%s", lua_toboolean(L, index) ? "true" : "false");
        break;
    default:
        snprintf(out, MESSAGE_SHARE, "error value is a %s, not a text", luaL_typename(L, index));
    }
}

static void add_callers(struct failure *failure, lua_State *L)
{
    lua_Debug ar;
    int shown = 0;
    for (int level = 0; shown < CALLERS_MAX && script_frame(L, &level, &ar); level++) {
        char where[256];
        place_of(&ar, where, sizeof where);
        if (!failure->where[0]) {
            text_copy(failure->where, sizeof failure->where, where);
            continue;
        }
        if (shown == 0 && strcmp(where, failure->where) == 0)
            continue;
        size_t length = strlen(failure->message);
        size_t more = strlen(where);
        if (length + more + 20 > ERROR_TEXT_MAX)
            break;
        snprintf(failure->message + length, sizeof failure->message - length, "%s%s",
                 shown == 0 ? " (called from " : ", ", where);
        shown++;
    }
    if (shown > 0) {
        size_t length = strlen(failure->message);
        snprintf(failure->message + length, sizeof failure->message - length, ")");
    }
}

void failure_take(struct sandbox *sandbox, lua_State *L, int index)
{
    struct failure *failure = &sandbox->failure;
    if (sandbox->stop != STOP_NONE)
        return; /* placed where it was stopped */
    failure->is_set = true;
    failure->where[0] = '\0';
    failure->message[0] = '\0';
    value_text(sandbox, L, index);
    add_callers(failure, L);
}

int failure_handler(lua_State *L)
{
    failure_take(sandbox_of(L), L, 1);
    return 1;
}

/* ---- the report ---- */

static int report_stop(struct sandbox *sandbox, enum stop stop, struct error *err)
{
    const struct sandbox_limits *limits = &sandbox->limits;
    const char *where = sandbox->failure.where;
    if (stop == STOP_TIME && sandbox->loading)
        return error_at(err, ERROR_RANGE, where, "stopped: loading takes too long");
    if (stop == STOP_TIME)
        return error_at(err, ERROR_TIME, where,
                        "stopped: it ran longer than the %" PRId64
                        " ms allowed (sandbox.callback_hard_ms)",
                        limits->callback_hard_ns / NS_PER_MS);
    if (stop == STOP_INSTRUCTIONS)
        return error_at(err, ERROR_RANGE, where,
                        "stopped: it ran more than the %" PRIu64 " instructions allowed%s",
                        sandbox->limit,
                        sandbox->loading ? " while loading" : " (sandbox.instructions)");
    where = sandbox->memory_where;
    if (sandbox->memory.refused_slots)
        return error_at(err, ERROR_RANGE, where,
                        "stopped: a table needs more than the %" PRIu32
                        " keys allowed outside its list part (sandbox.table_slots)",
                        limits->table_slots);
    return error_at(err, ERROR_RANGE, where,
                    "stopped: it needs more than the %zu KiB of memory allowed "
                    "(sandbox.memory_mb)",
                    limits->memory >> 10);
}

int failure_report(struct sandbox *sandbox, int status, struct error *err)
{
    if (sandbox->stop != STOP_NONE)
        return report_stop(sandbox, sandbox->stop, err);
    if (status == LUA_ERRMEM)
        return report_stop(sandbox, STOP_MEMORY, err);
    if (!sandbox->failure.is_set)
        return error_set(err, ERROR_DATA, "an error while handling an error");
    return error_at(err, ERROR_DATA, sandbox->failure.where, "%s", sandbox->failure.message);
}
