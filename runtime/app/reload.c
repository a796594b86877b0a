/* reload.c - a changed strategy file, swapped in between two events while orders and state stay.
 *
 *   watch     a file's content rested for 200 ms and is another than what runs
 *   prepare   described, checked against what runs, opened as rehearsal guests on a copy of
 *             ctx.state; on_start registers series, which warm up on the bars the market kept
 *   swap      when every rehearsal is warm: fresh guests on the current ctx.state (migrated),
 *             on_start, pointers changed between two events, on_reload
 *
 * Whatever is wrong before on_reload: the old code goes on, and the reason is logged and alerted.
 * Prepare and swap are journalled, so that a replay does both at the same events. */
#include "runtime/app/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REST_NS (200 * NS_PER_MS) /* editors write in steps */

/* ---- watching
 * ------------------------------------------------------------------------------------- */

static void stamp_file(const char *path, int64_t stamp[3])
{
    struct stat status;
    if (stat(path, &status) < 0)
        return;
    stamp[0] += status.st_mtim.tv_sec * NS_PER_SECOND + status.st_mtim.tv_nsec;
    stamp[1] += status.st_size;
    stamp[2] += (int64_t)status.st_ino;
}

/* The file and the modules it runs with, as three sums that change when any of them does. */
static void stamp_strategy(const struct strategy *strategy, int64_t stamp[3])
{
    memset(stamp, 0, 3 * sizeof(int64_t));
    stamp_file(strategy->path, stamp);
    const char *slash = strrchr(strategy->path, '/');
    size_t folder = slash ? (size_t)(slash - strategy->path) + 1 : 0;
    for (size_t i = 0; i < strategy->code->source.module_count; i++) {
        char path[700];
        snprintf(path, sizeof(path), "%.*slib/%s.lua", (int)folder, strategy->path,
                 strategy->code->source.modules[i].name);
        stamp_file(path, stamp);
    }
}

static bool has_rested(struct strategy *strategy, int64_t wall_ns)
{
    struct watched_file *file = &strategy->watched;
    int64_t stamp[3];
    stamp_strategy(strategy, stamp);
    if (memcmp(stamp, file->stamp, sizeof(stamp)) != 0) {
        memcpy(file->stamp, stamp, sizeof(stamp));
        file->changed_ns = wall_ns;
        return false;
    }
    if (file->changed_ns == 0 || wall_ns - file->changed_ns < REST_NS)
        return false;
    file->changed_ns = 0;
    return true;
}

/* Alerted and journalled in one turn: a refusal comes from outside, so a replay repeats its record.
 */
static int record_refusal(struct session *session, size_t index, const char *name,
                          const char *reason, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    char text[1200];
    snprintf(text, sizeof(text), "reload of %s refused, the old code goes on: %s", strategy->path,
             reason);
    engine_alert(session->engine, strategy->first_instance, text);
    reload_abandon(session, index); /* a newer save, even a bad one, ends a rehearsal under way */
    return session_journal(session, name, strategy, "reason", reason, err);
}

static int refuse(struct session *session, size_t index, const char *name, const struct error *why,
                  struct error *err)
{
    char reason[1100];
    snprintf(reason, sizeof(reason), "%s%s%s", why->where, why->where[0] ? ": " : "", why->message);
    LOG(session->log, LOG_ERROR, "reload", "the new file is not used, the old code goes on",
        F_STR("file", session->strategies[index].path), F_STR("where", why->where),
        F_STR("reason", why->message));
    if (session->refused)
        text_add(session->refused, reason);
    return record_refusal(session, index, name, reason, err);
}

static int look_at(struct session *session, size_t index, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    struct source source;
    struct error why = { 0 };
    if (source_read(strategy->path, &source, &why) < 0)
        return refuse(session, index, "reload_refused", &why, err);
    const struct strategy_code *newest = strategy->next ? strategy->next : strategy->code;
    if (strcmp(source.hash, newest->source.hash) == 0) {
        source_release(&source);
        return 0;
    }
    return reload_prepare(session, index, &source, err);
}

/* In live a file that changed waits for a person's word, unless the configuration says otherwise.
 */
static bool is_watching(const struct session *session)
{
    return config_bool(session->config, "reload.watch") &&
           (strcmp(session->mode, "live") != 0 ||
            strcmp(config_string(session->config, "reload.live"), "watch") == 0);
}

int reload_look(struct session *session, struct error *err)
{
    int code = 0;
    if (!is_watching(session))
        return 0;
    for (size_t i = 0; code == 0 && i < session->strategy_count; i++)
        code = look_at(session, i, err);
    return code;
}

int reload_watch(struct session *session, int64_t wall_ns, struct error *err)
{
    if (!is_watching(session) || ledger_replaying(session->ledger))
        return 0;
    for (size_t i = 0; i < session->strategy_count; i++) {
        int code;
        if (has_rested(&session->strategies[i], wall_ns) && (code = look_at(session, i, err)) < 0)
            return code;
    }
    return 0;
}

int reload_ask(struct session *session, size_t strategy, struct text *refused, struct error *err)
{
    session->refused = refused;
    int code = look_at(session, strategy, err);
    session->refused = NULL;
    return code;
}

/* ---- the checks of a new file
 * ---------------------------------------------------------------------- */

static bool has_open_orders(struct session *session, const struct strategy *strategy);

static bool stop_at_first(void *self, const struct order *order)
{
    (void)order;
    *(bool *)self = true;
    return false;
}

static bool has_open_orders(struct session *session, const struct strategy *strategy)
{
    bool any = false;
    for (int i = 0; i < strategy->instance_count && !any; i++)
        engine_each_order(session->engine, strategy->first_instance + i, false, stop_at_first,
                          &any);
    return any;
}

static int check_callbacks(struct session *session, const struct strategy *strategy,
                           const struct strategy_info *next, struct error *err)
{
    static const struct {
        enum guest_call call;
        const char *name;
    } needed[] = { { GUEST_ORDER, "on_order" },
                   { GUEST_FILL, "on_fill" },
                   { GUEST_REJECT, "on_reject" } };
    if (!has_open_orders(session, strategy))
        return 0;
    unsigned dropped = strategy->code->info.calls & ~next->calls;
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (dropped & (1u << needed[i].call))
            return error_at(err, ERROR_DATA, strategy->path,
                            "the new file drops %s, which open orders need; keep it, or cancel "
                            "the orders first",
                            needed[i].name);
    return 0;
}

static int check_identity(const struct strategy *strategy, const struct strategy_info *next,
                          struct error *err)
{
    const struct strategy_info *now = &strategy->code->info;
    if (strcmp(now->name, next->name) != 0)
        return error_at(err, ERROR_DATA, strategy->path,
                        "the name changed from '%s' to '%s'; orders and state are kept under the "
                        "name, so restart to rename",
                        now->name, next->name);
    if (now->portfolio != next->portfolio)
        return error_at(err, ERROR_DATA, strategy->path,
                        "scope changed; instances would change, so restart instead");
    return 0;
}

/* ---- prepare
 * ------------------------------------------------------------------------------------------ */

static void close_rehearsal(struct strategy *strategy)
{
    for (int i = 0; strategy->rehearsal && i < strategy->instance_count; i++)
        if (strategy->rehearsal[i].self)
            strategy->rehearsal[i].close(strategy->rehearsal[i].self);
    free(strategy->rehearsal);
    strategy->rehearsal = NULL;
}

static void update_any_reloading(struct session *session)
{
    session->any_reloading = false;
    for (size_t i = 0; i < session->strategy_count; i++)
        session->any_reloading |= session->strategies[i].next != NULL;
}

void reload_abandon(struct session *session, size_t index)
{
    struct strategy *strategy = &session->strategies[index];
    close_rehearsal(strategy);
    strategy_code_release(strategy->next);
    strategy->next = NULL;
    update_any_reloading(session);
}

/* ctx.state as it stands: the running guest's, or the ledger's when none ever ran. */
static int current_state(struct session *session, int index, struct text *body, struct error *err)
{
    const struct guest *guest = engine_guest(session->engine, index);
    text_clear(body);
    if (guest->self) {
        guest_state(guest, body);
        return 0;
    }
    char *json = NULL;
    size_t length = 0;
    int code = ledger_state(session->ledger, session->instances[index].record.instance_id, &json,
                            &length, err);
    if (code == 0 && json)
        text_append(body, json, length);
    free(json);
    return code;
}

static int open_on_state(struct session *session, int index, const struct strategy_code *code,
                         bool rehearsal, struct guest *out, struct error *err)
{
    const struct strategy *strategy = &session->strategies[session->instances[index].strategy];
    struct text state;
    text_init(&state, 4u << 20);
    int failure = current_state(session, index, &state, err);
    struct guest_options options = session_guest_options(session, index, code);
    options.rehearsal = rehearsal;
    options.state_json = state.length > 0 ? state.data : NULL;
    options.migrate_from = strategy->code->info.version;
    if (failure == 0)
        failure = guest_open(&options, out, err);
    text_release(&state);
    return failure;
}

static int rehearse(struct session *session, size_t index, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    strategy->rehearsal = memory_new((size_t)strategy->instance_count * sizeof(struct guest));
    for (int i = 0; i < strategy->instance_count; i++) {
        struct guest *guest = &strategy->rehearsal[i];
        int code =
            open_on_state(session, strategy->first_instance + i, strategy->next, true, guest, err);
        if (code < 0) {
            guest->self = NULL;
            return code;
        }
        if ((code = guest_rehearse(guest, err)) < 0 ||
            (code = session_history(session, guest, err)) < 0)
            return code;
    }
    return 0;
}

static int check_and_rehearse(struct session *session, size_t index, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    struct strategy_code *next = strategy->next;
    int code = strategy_describe(&next->source, &session->limits, &next->info, err);
    if (code < 0 || (code = check_identity(strategy, &next->info, err)) < 0 ||
        (code = check_callbacks(session, strategy, &next->info, err)) < 0 ||
        (code = session_params(session, index, next, err)) < 0)
        return code;
    return rehearse(session, index, err);
}

int reload_prepare(struct session *session, size_t index, struct source *source, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    reload_abandon(session, index); /* a newer save replaces a rehearsal under way */
    strategy->next = memory_new(sizeof(*strategy->next));
    strategy->next->source = *source;
    struct error why = { 0 };
    if (check_and_rehearse(session, index, &why) < 0) {
        return refuse(session, index, "reload_refused", &why, err);
    }
    update_any_reloading(session);
    LOG(session->log, LOG_INFO, "reload", "the new file is accepted; it runs when it is warm",
        F_STR("file", strategy->path), F_STR("old_version", strategy->code->info.version),
        F_STR("new_version", strategy->next->info.version));
    int code = session_store_source(session, &strategy->next->source, err);
    return code < 0 ? code
                    : session_journal(session, "reload_prepare", strategy, "hash",
                                      strategy->next->source.hash, err);
}

/* ---- swap
 * ------------------------------------------------------------------------------------------------
 */

static bool is_warm(struct session *session, const struct strategy *strategy)
{
    for (int i = 0; i < strategy->instance_count; i++) {
        const struct guest *guest = &strategy->rehearsal[i];
        size_t count;
        const uint32_t *instruments =
            engine_instance_instruments(session->engine, strategy->first_instance + i, &count);
        for (size_t k = 0; strategy->next->info.warmup && k < count; k++)
            if (!guest->ready(guest->self, instruments[k]))
                return false;
    }
    return true;
}

static int open_fresh(struct session *session, struct strategy *strategy, struct guest *fresh,
                      struct error *err)
{
    for (int i = 0; i < strategy->instance_count; i++) {
        int code = open_on_state(session, strategy->first_instance + i, strategy->next, false,
                                 &fresh[i], err);
        if (code < 0) {
            while (i-- > 0)
                fresh[i].close(fresh[i].self);
            return code;
        }
    }
    return 0;
}

static void close_guests(struct guest *guests, int count)
{
    for (int i = 0; i < count; i++)
        if (guests[i].self)
            guests[i].close(guests[i].self);
}

static int tell_instance(struct session *session, int instance, const struct strategy_code *code,
                         const char *old_version, struct error *err)
{
    struct instance_record *record = &session->instances[instance].record;
    int failure = engine_begin(session->engine, instance, session->now_ns, old_version, err);
    text_copy(record->version, sizeof(record->version), code->info.version);
    text_copy(record->hash, sizeof(record->hash), code->source.hash);
    bool is_new;
    return failure < 0 ? failure : ledger_instance(session->ledger, record, &is_new, err);
}

/* The new guests run. The rehearsal is closed last: its references keep the warm series until the
 * fresh guests have theirs. */
static int conclude(struct session *session, size_t index, struct guest *gone, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    struct strategy_code *old = strategy->code;
    char old_version[sizeof(old->info.version)];
    memcpy(old_version, old->info.version, sizeof(old_version));
    strategy->code = strategy->next;
    strategy->next = NULL;
    int code =
        session_journal(session, "reload_swap", strategy, "hash", strategy->code->source.hash, err);
    for (int i = 0; code == 0 && i < strategy->instance_count; i++)
        code =
            tell_instance(session, strategy->first_instance + i, strategy->code, old_version, err);
    close_guests(gone, strategy->instance_count);
    close_rehearsal(strategy);
    strategy_code_release(old);
    session_lift_quarantine(session);
    LOG(session->log, LOG_INFO, "reload", "strategy swapped", F_STR("file", strategy->path),
        F_STR("old_version", old_version), F_STR("new_version", strategy->code->info.version),
        F_STR("hash", strategy->code->source.hash));
    return code < 0 ? code : session_drain(session, err);
}

/* on_start passed its rehearsal on a copy of the state as it was then; now it runs on the state as
 * it is. All instances or none change. */
static int swap(struct session *session, size_t index, struct error *err)
{
    struct strategy *strategy = &session->strategies[index];
    int count = strategy->instance_count;
    struct guest *fresh = memory_new((size_t)count * sizeof(struct guest));
    struct risk_limits limits = session_limits(strategy, strategy->next);
    struct error why = { 0 };
    int code = open_fresh(session, strategy, fresh, &why);
    if (code == 0) {
        code = engine_try_guests(session->engine, strategy->first_instance, count, fresh, &limits,
                                 strategy->next->info.warmup, session->now_ns, &why);
        if (code < 0)
            close_guests(fresh, count);
    }
    /* A replay comes to a failure by itself: its record must not be repeated as from outside. */
    code = code < 0 ? refuse(session, index, "reload_failed", &why, err)
                    : conclude(session, index, fresh, err);
    free(fresh);
    return code;
}

int reload_swap_ready(struct session *session, struct error *err)
{
    for (size_t i = 0; i < session->strategy_count; i++) {
        int code;
        if (session->strategies[i].next && is_warm(session, &session->strategies[i]) &&
            (code = swap(session, i, err)) < 0)
            return code;
    }
    update_any_reloading(session);
    return 0;
}

/* ---- replay
 * -------------------------------------------------------------------------------------------------
 */

static int repeat_prepare(struct session *session, size_t index, const char *hash,
                          struct error *err)
{
    char *json = NULL;
    size_t length;
    struct source source;
    int code = ledger_get_source(session->ledger, hash, &json, &length, err);
    if (code == 0 && !json)
        code = error_set(err, ERROR_IO, "the ledger lacks the source %s of %s", hash,
                         session->strategies[index].path);
    if (code == 0)
        code = source_parse(json, length, &source, err);
    if (code == 0)
        code = reload_prepare(session, index, &source, err);
    free(json);
    return code;
}

/* What came from outside is repeated: an accepted file is prepared, a refusal is recorded. A swap
 * follows from its preparing at the same event by itself, and is compared like every record. */
static int repeat(struct session *session, const struct journal_entry *entry, struct error *err)
{
    struct json *root;
    int code = json_parse(entry->body, strlen(entry->body), &root, err);
    if (code < 0)
        return error_wrap(err, "read the ledger's journal");
    const char *file = json_as_string(json_get(root, "file"));
    const char *hash = json_as_string(json_get(root, "hash"));
    const char *reason = json_as_string(json_get(root, "reason"));
    bool prepared = strcmp(entry->name, "reload_prepare") == 0 && hash;
    bool refused = strcmp(entry->name, "reload_refused") == 0 && reason;
    for (size_t i = 0; code == 0 && file && i < session->strategy_count; i++) {
        if (strcmp(session->strategies[i].path, file) != 0)
            continue;
        if (prepared)
            code = repeat_prepare(session, i, hash, err);
        else if (refused)
            code = record_refusal(session, i, entry->name, reason, err);
    }
    json_release(root);
    return code;
}

int reload_replay(struct session *session, struct error *err)
{
    uint64_t event = engine_counts(session->engine)->events;
    while (session->journal_next < session->journal_count) {
        const struct journal_entry *entry = &session->journal[session->journal_next];
        if (entry->event > event)
            break;
        session->journal_next++;
        int code = strcmp(entry->name, "control") == 0
                       ? session_control_repeat(session, entry->body, err)
                       : repeat(session, entry, err);
        if (code < 0)
            return code;
    }
    return 0;
}
