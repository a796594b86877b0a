/* stats.c - the global `stats`: small statistics over a list of numbers.
 *
 * A list is an array of finite numbers, oldest first; ctx.state tables are lists too. stdev is that
 * of the sample (n - 1), as it is quoted; zscore takes the population, as a series does. */
#include "bindings/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 100000 /* values; bounds the work of one call */

struct list {
    const double *values;
    size_t count;
};

/* Copies the list at index into userdata, which is left on the stack. */
static struct list check_list(lua_State *L, int index, const char *what)
{
    if (!lua_istable(L, index))
        luaL_error(L, "%s must be a list of numbers, not %s", what, luaL_typename(L, index));
    push_plain(L, index);
    int table = lua_gettop(L);
    size_t count = lua_rawlen(L, table);
    if (count > LIST_MAX)
        luaL_error(L, "%s has %d values, more than the %d allowed", what, (int)count, LIST_MAX);

    double *values = lua_newuserdatauv(L, count * sizeof(double) + 1, 0);
    for (size_t i = 0; i < count; i++) {
        char name[80];
        lua_rawgeti(L, table, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TNUMBER || !isfinite(lua_tonumber(L, -1))) {
            snprintf(name, sizeof(name), "%s[%zu]", what, i + 1);
            check_finite(L, -1, name); /* raises */
        }
        values[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return (struct list){ .values = values, .count = count };
}

static double mean_of(struct list list)
{
    double sum = 0, lost = 0; /* Kahan */
    for (size_t i = 0; i < list.count; i++) {
        double value = list.values[i] - lost;
        double next = sum + value;
        lost = (next - sum) - value;
        sum = next;
    }
    return sum / (double)list.count;
}

/* Sum of (x - mean x) * (y - mean y). */
static double products(struct list x, struct list y)
{
    double mean_x = mean_of(x), mean_y = mean_of(y), sum = 0;
    for (size_t i = 0; i < x.count; i++)
        sum += (x.values[i] - mean_x) * (y.values[i] - mean_y);
    return sum;
}

/* stats.mean(list) -> number; nil for an empty list */
static int stats_mean(lua_State *L)
{
    struct list list = check_list(L, 1, "stats.mean: list");
    push_double(L, list.count ? mean_of(list) : (double)NAN);
    return 1;
}

/* stats.stdev(list) -> sample standard deviation; nil below two values */
static int stats_stdev(lua_State *L)
{
    struct list list = check_list(L, 1, "stats.stdev: list");
    push_double(L, list.count > 1 ? sqrt(products(list, list) / (double)(list.count - 1))
                                  : (double)NAN);
    return 1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* stats.median(list) -> number; nil for an empty list */
static int stats_median(lua_State *L)
{
    struct list list = check_list(L, 1, "stats.median: list");
    double *sorted = lua_touserdata(L, -1); /* the copy is ours */
    size_t half = list.count / 2;
    qsort(sorted, list.count, sizeof(double), compare_doubles);
    if (list.count == 0)
        lua_pushnil(L);
    else
        lua_pushnumber(L, list.count % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2);
    return 1;
}

/* stats.correlation(x, y) -> Pearson's, -1..1; nil below two values or where one list is constant
 *
 *   raises when the lists differ in length */
static int stats_correlation(lua_State *L)
{
    struct list x = check_list(L, 1, "stats.correlation: x");
    struct list y = check_list(L, 2, "stats.correlation: y");
    if (x.count != y.count)
        return luaL_error(L, "stats.correlation: x has %d values, y has %d", (int)x.count,
                          (int)y.count);
    double scale = x.count > 1 ? sqrt(products(x, x) * products(y, y)) : 0;
    push_double(L, scale > 0 && isfinite(scale) ? fmax(-1, fmin(1, products(x, y) / scale))
                                                : (double)NAN);
    return 1;
}

/* stats.zscore(list) -> how many population deviations the last value is above the mean; nil below
 * two values or where all are equal */
static int stats_zscore(lua_State *L)
{
    struct list list = check_list(L, 1, "stats.zscore: list");
    double deviation = list.count > 1 ? sqrt(products(list, list) / (double)list.count) : 0;
    push_double(L, deviation > 0 ? (list.values[list.count - 1] - mean_of(list)) / deviation
                                 : (double)NAN);
    return 1;
}

const luaL_Reg stats_functions[] = {
    { "mean", stats_mean },     { "stdev", stats_stdev },
    { "median", stats_median }, { "correlation", stats_correlation },
    { "zscore", stats_zscore }, { NULL, NULL }
};

void stats_open(lua_State *L)
{
    lua_newtable(L);
    add_functions(L, stats_functions, NULL);
    sandbox_read_only(L, "stats");
}
