/* export.c - the day's CSV files: trading_events, told again for spreadsheets.
 *
 * A row goes to the file of the UTC day in its first column. A day is rewritten beside the old file
 * and renamed; later rows are appended. Nothing is synced: after a power cut the next start
 * rewrites what its session touched. An append that failed is followed by a rewrite, never by a
 * second row. */
#include "runtime/ledger/export_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/clock.h"

enum csv { CSV_ORDERS, CSV_FILLS, CSV_TRADES, CSVS };

/* Columns are keys of the row's body, but for those that cell() knows. */
static const struct {
    const char *name;
    const char *columns[18];
} files[CSVS] = {
    [CSV_ORDERS] = { "orders.csv",
                     { "time", "order_id", "client_order_id", "strategy", "venue", "symbol", "side",
                       "type", "qty", "price", "trigger_price", "tif", "status", "filled_qty",
                       "avg_price", "reason", "tag", NULL } },
    [CSV_FILLS] = { "fills.csv",
                    { "time", "exec_id", "order_id", "client_order_id", "strategy", "venue",
                      "symbol", "side", "qty", "price", "fee", "fee_currency", "liquidity",
                      NULL } },
    [CSV_TRADES] = { "trades.csv",
                     { "opened", "closed", "strategy", "symbol", "side", "qty", "entry_price",
                       "exit_price", "gross_pnl", "fees", "net_pnl", "bars_held", "tag", NULL } },
};

#define STARTED_NS_COLUMN 3 /* of SELECT_SESSION */
#define DAY_LENGTH 10       /* "2024-01-01" */
struct day {
    char name[DAY_LENGTH + 1];
    bool begun; /* its new files have their headers */
};

struct days { /* to rewrite, ascending */
    struct day *list;
    size_t count, capacity;
};

/* ---- one row as text ---- */

static void add_quoted(struct text *line, const char *value)
{
    if (!value[strcspn(value, ",\"\r\n")]) {
        text_add(line, value);
        return;
    }
    text_add(line, "\"");
    for (const char *at = value; *at; at++) {
        if (*at == '"')
            text_add(line, "\"");
        text_append(line, at, 1);
    }
    text_add(line, "\"");
}

static void add_cell(struct text *line, const char *column, const char *kind, const char *order_id,
                     const struct json *row)
{
    bool blocked = strcmp(kind, "blocked") == 0; /* it never was an order */
    if (strcmp(column, "order_id") == 0) {
        text_add(line, blocked ? "" : order_id);
        return;
    }
    if (blocked && strcmp(column, "status") == 0) {
        text_add(line, "blocked");
        return;
    }
    if (blocked && strcmp(column, "filled_qty") == 0) {
        text_add(line, "0");
        return;
    }
    const struct json *value = json_get(row, strcmp(column, "closed") == 0 ? "time" : column);
    const char *text = json_as_string(value);
    if (!text)
        text = json_as_number_text(value);
    add_quoted(line, text ? text : ""); /* null: not given */
}

static void add_header(struct text *line, enum csv file)
{
    text_clear(line);
    for (const char *const *column = files[file].columns; *column; column++)
        text_printf(line, "%s%s", column == files[file].columns ? "" : ",", *column);
    text_add(line, "\n");
}

/* An event that changed no status (more filled, a venue's id) makes no line. */
static bool has_line(const char *kind, const struct json *row)
{
    if (strcmp(kind, "order") != 0)
        return true;
    const char *status = json_as_string(json_get(row, "status"));
    const char *before = json_as_string(json_get(row, "status_before"));
    return !status || !before || strcmp(status, before) != 0;
}

static enum csv file_of(const char *kind)
{
    if (strcmp(kind, "fill") == 0)
        return CSV_FILLS;
    return strcmp(kind, "trip") == 0 ? CSV_TRADES : CSV_ORDERS;
}

/* ---- files ---- */

static int file_failed(const struct export *export, const char *day, enum csv file,
                       struct error *err)
{
    return error_set(err, ERROR_IO, "cannot write %s/%s/%s: %s", export->root, day,
                     files[file].name, strerror(errno ? errno : EIO));
}

/* Flushes, or closes, the files of the day; the first failure is told. */
static int finish_files(struct export *export, bool close, struct error *err)
{
    int code = 0;
    for (int i = 0; i < CSVS; i++) {
        FILE *file = export->open[i];
        if (!file)
            continue;
        errno = 0;
        bool bad = fflush(file) != 0 || ferror(file);
        if (bad && code == 0)
            code = file_failed(export, export->day, (enum csv)i, err);
        if (!close)
            continue;
        bad = fclose(file) != 0;
        if (bad && code == 0)
            code = file_failed(export, export->day, (enum csv)i, err);
        export->open[i] = NULL;
    }
    if (close)
        export->day[0] = '\0';
    return code;
}

static bool is_empty(FILE *file)
{
    struct stat info;
    return fstat(fileno(file), &info) == 0 && info.st_size == 0;
}

/* Makes the three files of a day the current ones. `suffix` is ".tmp" while rewriting; `anew`
 * throws away what is there. */
static int open_day(struct export *export, const char *day, const char *suffix, bool anew,
                    struct error *err)
{
    int code = finish_files(export, true, err);
    if (code < 0)
        return code;
    text_clear(&export->path);
    text_printf(&export->path, "%s/%s", export->root, day);
    size_t directory = export->path.length;
    code = text_make_directories(export->path.data, err);
    if (code < 0)
        return code;

    text_copy(export->day, sizeof(export->day), day);
    for (int i = 0; i < CSVS; i++) {
        export->path.length = directory;
        text_printf(&export->path, "/%s%s", files[i].name, suffix);
        FILE *file = fopen(export->path.data, anew ? "we" : "ae");
        if (!file)
            return file_failed(export, day, (enum csv)i, err);
        export->open[i] = file;
        if (is_empty(file)) {
            add_header(&export->line, (enum csv)i);
            fwrite(export->line.data, 1, export->line.length, file); /* told when flushed */
        }
    }
    return 0;
}

/* ---- rows ---- */

/* EXPORT_ROWS */
enum { ROW_KIND, ROW_ORDER_ID, ROW_BODY, ROW_DAY };

static int write_row(struct export *export, sqlite3_stmt *row, struct error *err)
{
    struct json *body = NULL;
    int code = json_parse(column_text(row, ROW_BODY), (size_t)sqlite3_column_bytes(row, ROW_BODY),
                          &body, err);
    if (code < 0)
        return error_wrap(err, "ledger %s: trading_events", export->ledger->path);

    const char *kind = column_text(row, ROW_KIND);
    if (has_line(kind, body)) {
        enum csv file = file_of(kind);
        text_clear(&export->line);
        for (const char *const *column = files[file].columns; *column; column++) {
            text_add(&export->line, column == files[file].columns ? "" : ",");
            add_cell(&export->line, *column, kind, column_text(row, ROW_ORDER_ID), body);
        }
        text_add(&export->line, "\n");
        ASSERT(!export->line.overflow);
        fwrite(export->line.data, 1, export->line.length, export->open[file]);
    }
    json_release(body);
    return 0;
}

static int compare_days(const void *a, const void *b)
{
    const struct day *x = a;
    const struct day *y = b;
    return strcmp(x->name, y->name);
}

/* Brings the file of a row's day to hand. False and code 0: the day is not to be written. */
static bool turn_to_day(struct export *export, struct days *rewrite, const char *name, int *code,
                        struct error *err)
{
    *code = 0;
    if (!rewrite) {
        if (strcmp(name, export->day) != 0)
            *code = open_day(export, name, "", false, err);
        return *code == 0;
    }
    struct day key = { 0 };
    text_copy(key.name, sizeof(key.name), name);
    struct day *day = bsearch(&key, rewrite->list, rewrite->count, sizeof(key), compare_days);
    if (!day)
        return false;
    if (strcmp(name, export->day) != 0)
        *code = open_day(export, name, ".tmp", !day->begun, err);
    day->begun = true;
    return *code == 0;
}

/* Writes the rows after `from` up to `to`; all of them, or those of the days to rewrite. */
static int write_rows(struct export *export, struct days *rewrite, int64_t from, int64_t to,
                      struct error *err)
{
    struct binder rows = bind_begin(export->ledger, EXPORT_ROWS);
    bind_int(&rows, from);
    bind_int(&rows, to);
    int found, code = 0;
    while (code == 0 && (found = ledger_step(export->ledger, rows.statement, err)) != 0) {
        if (found < 0)
            code = found;
        else if (turn_to_day(export, rewrite, column_text(rows.statement, ROW_DAY), &code, err))
            code = write_row(export, rows.statement, err);
    }
    sqlite3_reset(rows.statement);
    return code;
}

/* ---- rewriting ---- */

static void add_day(struct days *days, const char *name)
{
    struct day key = { 0 };
    text_copy(key.name, sizeof(key.name), name);
    for (size_t i = 0; i < days->count; i++)
        if (compare_days(&days->list[i], &key) == 0)
            return;
    days->list = memory_grow(days->list, &days->capacity, days->count + 1, sizeof(*days->list));
    days->list[days->count++] = key;
}

static int find_days(struct export *export, struct days *days, struct error *err)
{
    struct ledger *ledger = export->ledger;
    struct binder rows = bind_begin(ledger, EXPORT_DAYS);
    /* Of the session before too: a crash may have kept its last rows from the files. */
    bind_int(&rows, ledger->session_id - 1);
    int found;
    while ((found = ledger_step(ledger, rows.statement, err)) > 0)
        add_day(days, column_text(rows.statement, 0));
    return found;
}

/* The files may hold what a crash kept from the ledger (turns that were gathered): of every day
 * that this session can have written. */
static int find_days_on_disk(struct export *export, struct days *days, struct error *err)
{
    struct binder get = bind_begin(export->ledger, SELECT_SESSION);
    bind_int(&get, export->ledger->session_id);
    int found = ledger_step(export->ledger, get.statement, err);
    if (found < 0)
        return found;
    char first[DAY_TEXT_MAX];
    time_format_day(column_int(get.statement, STARTED_NS_COLUMN), first);
    sqlite3_reset(get.statement);
    DIR *root = opendir(export->root);
    if (!root) /* none: nothing was written yet */
        return errno == ENOENT
                   ? 0
                   : error_set(err, ERROR_IO, "cannot read %s: %s", export->root, strerror(errno));
    for (struct dirent *entry; (entry = readdir(root)) != NULL;)
        if (strlen(entry->d_name) == DAY_LENGTH && strcmp(entry->d_name, first) >= 0)
            add_day(days, entry->d_name);
    closedir(root);
    return 0;
}

static int rename_files(struct export *export, const char *day, struct error *err)
{
    struct text *path = &export->path;
    struct text *from = &export->line;
    for (int i = 0; i < CSVS; i++) {
        text_clear(path);
        text_printf(path, "%s/%s/%s", export->root, day, files[i].name);
        text_clear(from);
        text_printf(from, "%s.tmp", path->data);
        if (rename(from->data, path->data) != 0)
            return file_failed(export, day, (enum csv)i, err);
    }
    return 0;
}

static int rewrite_days(struct export *export, struct error *err)
{
    struct days days = { 0 };
    int64_t to = export->ledger->seq;
    int code = finish_files(export, true, err);
    if (code == 0)
        code = find_days(export, &days, err);
    if (code == 0)
        code = find_days_on_disk(export, &days, err);
    if (days.count > 0)
        qsort(days.list, days.count, sizeof(*days.list), compare_days);
    if (code == 0 && days.count > 0)
        code = write_rows(export, &days, 0, to, err);
    for (size_t i = 0; i < days.count && code == 0; i++)
        if (!days.list[i].begun) /* a day of which the ledger knows nothing: headers alone */
            code = open_day(export, days.list[i].name, ".tmp", true, err);
    if (code == 0)
        code = finish_files(export, true, err);
    for (size_t i = 0; i < days.count && code == 0; i++)
        code = rename_files(export, days.list[i].name, err);
    if (code == 0)
        export->exported_seq = to;
    free(days.list);
    return code;
}

/* ---- the header's functions ---- */

int export_open(struct ledger *ledger, const char *state_dir, const char *mode, struct export **out,
                struct error *err)
{
    ASSERT(ledger->session_id != 0);
    *out = NULL;
    struct export *export = memory_new(sizeof(*export));
    export->ledger = ledger;
    text_init(&export->line, 2 * (size_t)ROW_BODY_MAX);
    text_init(&export->path, EXPORT_PATH_MAX);
    text_printf(&export->path, "%s/%s", state_dir, strcmp(mode, "live") == 0 ? "live" : "journal");
    export->root = strdup(export->path.data);
    text_clear(&export->path);
    text_printf(&export->path, "%s/checkpoints", state_dir);
    export->checkpoint_dir = strdup(export->path.data);
    text_copy(export->mode, sizeof(export->mode), mode);
    ASSERT(export->root && export->checkpoint_dir);

    int code =
        export->path.overflow
            ? error_set(err, ERROR_IO, "state directory %.80s...: the name is too long", state_dir)
            : rewrite_days(export, err);
    if (code < 0) {
        export_close(export);
        return code;
    }
    *out = export;
    return 0;
}

int export_update(struct export *export, struct error *err)
{
    struct ledger *ledger = export->ledger;
    if (export->exported_seq == ledger->seq && !export->failed)
        return 0;
    int code;
    if (export->failed) {
        code = rewrite_days(export, err);
    } else {
        int64_t to = ledger->seq;
        code = write_rows(export, NULL, export->exported_seq, to, err);
        if (code == 0)
            code = finish_files(export, false, err);
        if (code == 0)
            export->exported_seq = to;
    }
    export->failed = code < 0;
    if (export->failed)
        (void)finish_files(export, true, NULL);
    return code;
}

void export_close(struct export *export)
{
    if (!export)
        return;
    (void)finish_files(export, true, NULL); /* each update flushed and told already */
    text_release(&export->line);
    text_release(&export->path);
    free(export->root);
    free(export->checkpoint_dir);
    free(export->open_before);
    free(export);
}
