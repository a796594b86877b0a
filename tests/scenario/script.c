/* script.c - a JSON file read into steps. */
#include "tests/scenario/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (4u << 20)

const char *member_text(const struct json *object, const char *key)
{
    const struct json *member = json_get(object, key);
    if (!member)
        return NULL;
    const char *text = json_as_string(member);
    return text ? text : json_as_number_text(member);
}

decimal member_decimal(const struct json *object, const char *key)
{
    const char *text = member_text(object, key);
    decimal value;
    if (!text || decimal_parse(text, strlen(text), &value) < 0)
        return DECIMAL_NONE;
    return value;
}

int64_t member_int(const struct json *object, const char *key, int64_t otherwise)
{
    const char *text = member_text(object, key);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

bool type_named(const char *name, enum order_type *type)
{
    static const char *const stops[] = { "stop_market", "stop_loss", NULL };
    static const char *const limits[] = { "take_profit", "take_profit_limit", "limit_maker", NULL };
    if (is_one_of(name, stops))
        *type = ORDER_STOP;
    else if (is_one_of(name, limits))
        *type = ORDER_LIMIT;
    else
        return order_type_parse(name, type);
    return true;
}

static int read_step(const struct json *node, struct step *step, struct error *err)
{
    static const char *const names[] = { "strategy", "operator", "runtime", "venue", "fault" };
    static const char *const verbs[] = { "do", "do", "do", "ev", "what" };
    const char *who = member_text(node, "who");
    for (size_t i = 0; who && i < ARRAY_SIZE(names); i++) {
        if (strcmp(who, names[i]) != 0)
            continue;
        *step = (struct step){ .node = node,
                               .who = (enum who)i,
                               .verb = member_text(node, verbs[i]),
                               .cl = member_text(node, "cl"),
                               .t_ns = member_int(node, "t", 0) * NS_PER_MS };
        if (!step->cl)
            step->cl = "";
        if (!step->verb)
            return error_set(err, ERROR_DATA, "a step of \"%s\" lacks \"%s\"", who, verbs[i]);
        return 0;
    }
    return error_set(err, ERROR_DATA, "a step is by \"%s\"", who ? who : "nobody");
}

static int read_steps(struct script *script, struct error *err)
{
    const struct json *steps = json_get(script->root, "steps");
    script->count = json_count(steps);
    script->steps = memory_new((script->count + 1) * sizeof(struct step));
    for (size_t i = 0; i < script->count; i++)
        if (read_step(json_at(steps, i), &script->steps[i], err) < 0)
            return error_wrap(err, "step %zu", i + 1);
    return 0;
}

int script_read(const char *path, struct script *script, struct error *err)
{
    size_t length;
    *script = (struct script){ .id = "?", .mode = "warn" };
    text_copy(script->path, sizeof(script->path), path);
    int code = text_read_file(path, FILE_MAX, &script->bytes, &length, err);
    if (code < 0 || (code = json_parse(script->bytes, length, &script->root, err)) < 0)
        return code;
    const char *id = member_text(script->root, "id");
    const char *mode = member_text(script->root, "mode");
    script->id = id ? id : path;
    script->mode = mode ? mode : "warn";
    script->start = json_get(script->root, "start");
    script->expect = json_get(script->root, "expect");
    return read_steps(script, err);
}

void script_release(struct script *script)
{
    json_release(script->root);
    free(script->bytes);
    free(script->steps);
}
