/* runtime_testing.c - the program as a Lua module, for the busted specs.
 *
 * There is no second implementation of the API: run() opens the same session as the command line,
 * drives it to its end in this process, and hands back what the engine knows. The interpreter that
 * loads this module lends it its own Lua. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "runtime/app/describe.h"
#include "runtime/app/session.h"

int luaopen_runtime_testing(lua_State *L);

/* What must be given back whatever happens. */
struct run {
    struct options options;
    struct log *log;
    struct session *session;
    char result_hash[SHA256_TEXT_MAX];
    struct error err;
};

/* ---- the command line ---- */

/* The words of the table at 1 as argv. Lua owns the memory: it stays as long as the stack does. */
static char **push_words(lua_State *L, int *count)
{
    lua_Integer words = luaL_len(L, 1);
    luaL_argcheck(L, words >= 1 && words <= 256, 1, "1 to 256 words are wanted");
    char **list = lua_newuserdatauv(L, (size_t)words * sizeof(*list), 1);
    lua_createtable(L, (int)words, 0);
    for (lua_Integer i = 1; i <= words; i++) {
        size_t length;
        lua_geti(L, 1, i);
        const char *word = luaL_checklstring(L, -1, &length);
        list[i - 1] = lua_newuserdatauv(L, length + 1, 0);
        memcpy(list[i - 1], word, length + 1);
        lua_rawseti(L, -3, i);
        lua_pop(L, 1);
    }
    lua_setiuservalue(L, -2, 1);
    *count = (int)words;
    return list;
}

/* ---- driving ---- */

/* A file that was written since is reloaded, as saving it would. */
static int reload_changed(struct run *run)
{
    struct session *session = run->session;
    for (size_t i = 0; i < session->strategy_count; i++) {
        const struct strategy *strategy = &session->strategies[i];
        struct source source;
        int code = source_read(strategy->path, &source, &run->err);
        if (code < 0)
            return code;
        if (strcmp(source.hash, strategy->code->source.hash) == 0)
            source_release(&source);
        else if ((code = reload_prepare(session, i, &source, &run->err)) < 0)
            return code;
    }
    return 0;
}

/* Runs to each pause of the list at 2, and calls it there. Nothing here raises while the session is
 * open: the caller has looked at the list. */
static int run_pauses(lua_State *L, struct run *run, lua_Integer pauses)
{
    for (lua_Integer i = 1; i <= pauses; i++) {
        lua_rawgeti(L, 2, i);
        lua_rawgeti(L, -1, 1);
        int64_t at_ns = (int64_t)(lua_tonumber(L, -1) * 1e9);
        lua_rawgeti(L, -2, 2);
        int code = session_run(run->session, at_ns, UINT64_MAX, &run->err);
        if (code < 0)
            return code;
        if (lua_pcall(L, 0, 0, 0) != LUA_OK)
            return error_set(&run->err, ERROR_INTERNAL, "a pause failed: %s",
                             lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
        lua_pop(L, 2);
        if ((code = reload_changed(run)) < 0)
            return code;
    }
    return 0;
}

static int drive(lua_State *L, struct run *run, lua_Integer pauses)
{
    int code = session_open(&run->options, NULL, run->log, &run->session, &run->err);
    if (code == 0)
        code = run_pauses(L, run, pauses);
    if (code >= 0)
        code = session_run(run->session, TIME_NEVER - 1, UINT64_MAX, &run->err);
    struct error failure = { 0 };
    if (code >= 0)
        session_failure(run->session, &failure); /* told when all has ended in order */
    if (code >= 0)
        code = session_stop(run->session, POLICY_LEAVE, "end of data", &run->err);
    if (code >= 0)
        code = session_end(run->session, run->result_hash, &run->err);
    if (code < 0 || failure.code == 0)
        return code;
    run->err = failure;
    return failure.code;
}

/* ---- what came of it ---- */

static void set_text(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    set_integer(L, name, (int64_t)value);
}

/* Exact, as text; absent when there is none. */
static void set_decimal(lua_State *L, const char *name, decimal value)
{
    char text[DECIMAL_TEXT_MAX];
    if (decimal_valid(value))
        set_text(L, name, decimal_format(value, text));
}

struct order_list {
    lua_State *L;
    const struct session *session;
    int instance;
};

static bool put_order(void *self, const struct order *order)
{
    const struct order_list *list = self;
    lua_State *L = list->L;
    lua_createtable(L, 0, 20);
    set_count(L, "id", order->order_id);
    set_count(L, "parent_id", order->parent_order_id);
    set_integer(L, "instance", list->instance + 1);
    set_text(L, "symbol", list->session->instruments.list[order->instrument].symbol);
    set_text(L, "side", order_side_name(order->side));
    set_text(L, "type", order_type_name(order->type));
    set_text(L, "tif", order_tif_name(order->tif));
    set_text(L, "role", order_role_name(order->role));
    set_text(L, "status", order_status_name(order_status(order)));
    set_text(L, "tag", order->tag);
    set_text(L, "reason", order->reason);
    set_decimal(L, "qty", order->qty);
    set_decimal(L, "filled_qty", order->filled_qty);
    set_decimal(L, "price", order->price);
    set_decimal(L, "trigger_price", order->trigger_price);
    set_decimal(L, "avg_price", order_avg_price(order));
    set_decimal(L, "stop", order->stop);
    set_decimal(L, "take", order->take);
    set_decimal(L, "fees", order->fees);
    set_integer(L, "time_ns", order->created_ns);
    lua_pushboolean(L, order->reduce_only);
    lua_setfield(L, -2, "reduce_only");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return true;
}

static void push_orders(lua_State *L, const struct session *session)
{
    lua_newtable(L);
    for (int i = 0; i < session->instance_count; i++) {
        struct order_list list = { .L = L, .session = session, .instance = i };
        engine_each_order(session->engine, i, true, put_order, &list);
    }
}

static void push_positions(lua_State *L, const struct session *session)
{
    lua_newtable(L);
    for (int i = 0; i < session->instance_count; i++)
        for (uint32_t k = 0; k < session->instruments.count; k++) {
            const struct instrument *instrument = &session->instruments.list[k];
            const struct position *position = engine_position(session->engine, i, k);
            if (!position || decimal_is_zero(position->qty))
                continue;
            lua_createtable(L, 0, 5);
            set_integer(L, "instance", i + 1);
            set_text(L, "symbol", instrument->symbol);
            set_decimal(L, "qty", position->qty);
            set_decimal(L, "avg_price", position_avg_price(position, instrument->multiplier));
            set_decimal(L, "realized_pnl", position->realized_pnl);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
}

static void push_counts(lua_State *L, const struct engine_counts *counts)
{
    lua_createtable(L, 0, 16);
    set_count(L, "events", counts->events);
    set_count(L, "trades", counts->trades);
    set_count(L, "quotes", counts->quotes);
    set_count(L, "bars", counts->bars);
    set_count(L, "submitted", counts->submitted);
    set_count(L, "filled", counts->filled);
    set_count(L, "canceled", counts->canceled);
    set_count(L, "rejected", counts->rejected);
    set_count(L, "blocked", counts->blocked);
    set_count(L, "reduced", counts->reduced);
    set_count(L, "expired", counts->expired);
    set_count(L, "fills", counts->fills);
    set_count(L, "trips", counts->trips);
    set_count(L, "alerts", counts->alerts);
    set_count(L, "illegal_reports", counts->illegal_reports);
}

/* Per instance: is it alive, why not, its symbol, its ctx.state as JSON. */
static void set_instances(lua_State *L, const struct session *session)
{
    struct text body;
    lua_newtable(L);
    for (int i = 0; i < session->instance_count; i++) {
        const char *why = "";
        lua_createtable(L, 0, 4);
        lua_pushboolean(L, engine_instance_alive(session->engine, i, NULL, &why));
        lua_setfield(L, -2, "alive");
        set_text(L, "why", why);
        set_text(L, "symbol", session->instances[i].record.symbol);
        set_decimal(L, "equity", engine_equity(session->engine, i));
        const struct guest *guest = engine_guest(session->engine, i);
        text_init(&body, 32u << 20);
        if (guest->self)
            guest_state(guest, &body);
        lua_pushlstring(L, body.data, body.length); /* raises only without memory */
        text_release(&body);
        lua_setfield(L, -2, "state");
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "instances");
}

static int push_result(lua_State *L)
{
    const struct run *run = lua_touserdata(L, 1);
    const struct session *session = run->session;
    struct engine_totals totals;
    engine_totals(session->engine, &totals);
    lua_createtable(L, 0, 16);
    push_orders(L, session);
    lua_setfield(L, -2, "orders");
    push_positions(L, session);
    lua_setfield(L, -2, "positions");
    push_counts(L, engine_counts(session->engine));
    lua_setfield(L, -2, "counts");
    set_instances(L, session);
    set_count(L, "fills", engine_counts(session->engine)->fills);
    set_decimal(L, "equity_start", engine_equity_start(session->engine));
    set_decimal(L, "equity", totals.equity);
    set_decimal(L, "cash", totals.cash);
    set_decimal(L, "fees", totals.fees);
    set_decimal(L, "realized_pnl", totals.realized_pnl);
    set_decimal(L, "unrealized_pnl", totals.unrealized_pnl);
    set_integer(L, "ended_ns", session->now_ns);
    set_text(L, "result_hash", run->result_hash);
    return 1;
}

/* ---- the functions ---- */

static int push_error(lua_State *L, const struct error *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err->message);
    lua_pushinteger(L, err->code);
    lua_pushstring(L, err->where);
    return 4;
}

/* The pauses at 2: { { seconds, function }, ... }; raises before anything is open. */
static lua_Integer check_pauses(lua_State *L)
{
    if (lua_isnoneornil(L, 2)) {
        lua_settop(L, 1);
        lua_newtable(L);
        return 0;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_argcheck(L, lua_rawgeti(L, 2, i) == LUA_TTABLE, 2, "a pause is a table");
        luaL_argcheck(L, lua_rawgeti(L, -1, 1) == LUA_TNUMBER, 2, "a pause has a time");
        luaL_argcheck(L, lua_rawgeti(L, -2, 2) == LUA_TFUNCTION, 2, "a pause has a function");
        lua_pop(L, 3);
    }
    lua_settop(L, 2);
    return count;
}

/* run(words [, pauses]): one session as `runtime WORDS...` makes it, driven to its end
 *
 *   words    the command line, in an array
 *   pauses   { { UTC seconds, function }, ... }: called when the market has come so far; strategy
 *            files that differ afterwards are reloaded
 *   -> table orders, positions, counts, instances, fills, equity, cash, ..., result_hash
 *   -> nil, message, code, where */
static int run_session(lua_State *L)
{
    int argc;
    lua_Integer pauses = check_pauses(L);
    char **argv = push_words(L, &argc);
    struct run run = { .session = NULL };
    int code = options_parse(argc, argv, &run.options, &run.err);
    if (code < 0)
        return push_error(L, &run.err);
    luaL_checkstack(L, 16, "run");
    run.log = log_open(&(struct log_options){ .level = LOG_ERROR, .clock = clock_wall() });
    code = drive(L, &run, pauses);
    int status = LUA_OK;
    if (code >= 0) {
        lua_pushcfunction(L, push_result);
        lua_pushlightuserdata(L, &run);
        status = lua_pcall(L, 1, 1, 0);
    }
    session_close(run.session);
    log_close(run.log);
    if (status != LUA_OK)
        return lua_error(L);
    return code < 0 ? push_error(L, &run.err) : 1;
}

/* check(path): what `runtime check` finds
 *
 *   -> table name, version, notes
 *   -> nil, message, code, where */
static int check_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct error err = { 0 };
    struct description description;
    int code = description_open(path, &description, &err);
    if (code >= 0)
        code = description_rehearse(&description, &err);
    if (code >= 0) {
        lua_createtable(L, 0, 3);
        set_text(L, "name", description.info->name);
        set_text(L, "version", description.info->version);
        set_text(L, "notes", description.info->notes);
    }
    description_release(&description);
    return code < 0 ? push_error(L, &err) : 1;
}

int luaopen_runtime_testing(lua_State *L)
{
    static const luaL_Reg functions[] = { { "run", run_session },
                                          { "check", check_file },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
