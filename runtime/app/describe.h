/* describe.h - what a strategy file says of itself, for `runtime check` and `runtime inspect`. */
#ifndef RUNTIME_APP_DESCRIBE_H
#define RUNTIME_APP_DESCRIBE_H

#include "bindings/strategy.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

#define DESCRIBE_BARS_MAX 256

/* Bars that on_start asked for, and how many of them its series need to be ready. */
struct described_bars {
    char symbol[SYMBOL_MAX];
    int64_t tf_ns;
    uint64_t needed;
};

struct description {
    const char *path;
    struct source source;
    struct strategy_info *info;
    struct described_bars bars[DESCRIBE_BARS_MAX];
    size_t bars_count;
};

/* Reads and describes a file. *description is released by description_release in any case.
 * ERROR_NO_INPUT there is none; ERROR_DATA it is not usable. */
MUST_CHECK int description_open(const char *path, struct description *description,
                                struct error *err);
void description_release(struct description *description);

/* Runs S.check with the defaults, then on_start on an empty market, to see what it subscribes to.
 * ERROR_DATA with file:line. */
MUST_CHECK int description_rehearse(struct description *description, struct error *err);

/* Each adds lines or members; nothing where there is nothing to say. */
void describe_params(const struct strategy_info *info, struct text *out);
void describe_params_json(const struct strategy_info *info, struct json_writer *writer);
void describe_callbacks(const struct strategy_info *info, struct text *out); /* "on_start on_bar" */
void describe_callbacks_json(const struct strategy_info *info, struct json_writer *writer);
void describe_bars_json(const struct description *description, struct json_writer *writer);

/* Visits the lines of info->notes in turn: *at begins at info->notes; false after the last. */
bool describe_note(const char **at, char *note, size_t size);

#endif
