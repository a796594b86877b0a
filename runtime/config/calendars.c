/* calendars.c - a calendar's YAML into rules, every fault told; and where the files are.
 *
 * Each mapping of the format is a table of its keys, with what may stand there and how it is read.
 * What keys mean together is looked at when a whole mapping is right. */
#include "runtime/config/calendars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/dates.h"
#include "runtime/config/faults.h"
#include "runtime/config/places.h"
#include "runtime/config/value.h"
#include "runtime/config/yaml.h"

#define PATH_MAX_BYTES 256
#define MESSAGE_MAX 1024
#define FIELDS_MAX 12         /* keys of one mapping */
#define YEARS_MAX 200         /* listed ones */
#define MORE_MAX 32           /* "\nand 99 more" */
#define PLAIN_MAX 40          /* a longer value is shown in quotes, and cut */
#define NAME_BYTES_MAX 100    /* of a day */
#define STEP_MAX_S (3 * 3600) /* between standard and daylight time */

struct field {
    const char *name;
    const char *allowed;
    bool (*read)(const char *text, void *target); /* NULL: a mapping, see `inside` */
    bool is_list;                                 /* or one value */
    bool is_required;
    const struct table *inside; /* keys of the mapping; they are read into the same target */
};

struct table {
    struct field fields[FIELDS_MAX]; /* up to the first without a name */
};

struct place {
    int line, column;
};

struct reading {
    struct faults faults;
    struct calendar_rules rules;
    struct place *places; /* one for each exception */
    size_t place_capacity;
    size_t computed, explicit_days;
    int years[YEARS_MAX];
    size_t year_count;
};

/* ---- readers of one value ---- */

static bool read_offset(const char *text, void *target)
{
    return dates_offset(text, &((struct calendar_zone *)target)->standard_s);
}

static bool read_daylight_offset(const char *text, void *target)
{
    return dates_offset(text, &((struct calendar_zone *)target)->daylight_s);
}

static bool read_zone_begins(const char *text, void *target)
{
    struct calendar_zone *zone = target;
    zone->has_daylight = true;
    return dates_switch(text, &zone->begins, &zone->begins_at);
}

static bool read_zone_ends(const char *text, void *target)
{
    struct calendar_zone *zone = target;
    return dates_switch(text, &zone->ends, &zone->ends_at);
}

static bool read_from_year(const char *text, void *target)
{
    return dates_year(text, &((struct calendar_zone *)target)->from_year);
}

static bool read_week_from(const char *text, void *target)
{
    return dates_day(text, &((struct calendar_week *)target)->from);
}

static bool read_week_until(const char *text, void *target)
{
    return dates_day(text, &((struct calendar_week *)target)->until);
}

static bool read_week_days(const char *text, void *target)
{
    unsigned set;
    if (!dates_weekdays(text, &set))
        return false;
    ((struct calendar_week *)target)->weekdays |= set;
    return true;
}

static bool read_season_begins(const char *text, void *target)
{
    struct calendar_week *week = target;
    week->has_season = true;
    return dates_yearly(text, &week->begins);
}

static bool read_season_ends(const char *text, void *target)
{
    return dates_yearly(text, &((struct calendar_week *)target)->ends);
}

/* The next one of a day: after the one before it. */
static bool add_hours(const char *text, struct calendar_hours *list, int *count)
{
    struct calendar_hours *next = &list[*count];
    if (*count == CALENDAR_HOURS_MAX || !dates_hours(text, next) ||
        (*count > 0 && next->open <= next[-1].close))
        return false;
    ++*count;
    return true;
}

static bool read_week_hours(const char *text, void *target)
{
    struct calendar_week *week = target;
    return add_hours(text, week->hours, &week->count);
}

static bool read_special_hours(const char *text, void *target)
{
    struct calendar_exception *exception = target;
    return add_hours(text, exception->hours, &exception->count);
}

static bool read_day(const char *text, void *target)
{
    return dates_day(text, &((struct calendar_exception *)target)->day);
}

static bool read_rule(const char *text, void *target)
{
    struct calendar_exception *exception = target;
    exception->is_computed = true;
    return dates_yearly(text, &exception->yearly);
}

static bool read_observed(const char *text, void *target)
{
    static const char *const words[] = { "as_is", "nearest", "monday_if_sunday", "next_monday" };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        ((struct calendar_exception *)target)->observed = (enum observed)i;
        return true;
    }
    return false;
}

static bool read_only(const char *text, void *target)
{
    struct calendar_exception *exception = target;
    unsigned set;
    if (!dates_weekdays(text, &set))
        return false;
    exception->weekdays |= set;
    return true;
}

static bool read_from(const char *text, void *target)
{
    return dates_day(text, &((struct calendar_exception *)target)->from);
}

static bool read_until(const char *text, void *target)
{
    return dates_day(text, &((struct calendar_exception *)target)->until);
}

static bool read_open(const char *text, void *target)
{
    return dates_time(text, &((struct calendar_exception *)target)->open);
}

static bool read_close(const char *text, void *target)
{
    return dates_time(text, &((struct calendar_exception *)target)->close);
}

static bool read_name(const char *text, void *target)
{
    (void)target; /* for people alone */
    return *text && strlen(text) <= NAME_BYTES_MAX;
}

static bool read_listed_year(const char *text, void *target)
{
    struct reading *reading = target;
    size_t count = reading->year_count;
    int *year = &reading->years[count];
    if (count == YEARS_MAX || !dates_year(text, year) || (count > 0 && *year != year[-1] + 1))
        return false;
    reading->year_count++;
    return true;
}

/* ---- the keys ---- */

#define DAY_ALLOWED "a day such as 2026-01-31, of the years 1678 to 2261"
#define TIME_ALLOWED "a time such as 13:00, up to 24:00"
#define HOURS_ALLOWED                                                                              \
    "hours such as 09:15-15:30, each after the one before, at most 8 a day (18:00-17:00 opens on " \
    "the day before)"
#define WEEKDAYS_ALLOWED "weekdays such as mon-fri, or a list of them"
#define YEARLY_ALLOWED                                                                             \
    "a day of each year such as 25 december, third monday of january, last monday of may, "        \
    "good friday, easter, each with day after or day before in front"
#define SWITCH_ALLOWED "a switch such as second sunday of march at 02:00, in february to november"
#define OFFSET_ALLOWED "an offset from UTC such as +05:30 or -05:00, at most 14 hours"
#define YEAR_ALLOWED "a year, 1678 to 2261"
#define NAME_ALLOWED "a name of at most 100 bytes"

static const struct table DAYLIGHT = { {
    { .name = "offset",
      .allowed = OFFSET_ALLOWED,
      .read = read_daylight_offset,
      .is_required = true },
    { .name = "begins", .allowed = SWITCH_ALLOWED, .read = read_zone_begins, .is_required = true },
    { .name = "ends", .allowed = SWITCH_ALLOWED, .read = read_zone_ends, .is_required = true },
} };

static const struct table ZONE = { {
    { .name = "offset", .allowed = OFFSET_ALLOWED, .read = read_offset, .is_required = true },
    { .name = "daylight", .allowed = "a mapping of offset, begins, ends", .inside = &DAYLIGHT },
    { .name = "from_year", .allowed = YEAR_ALLOWED, .read = read_from_year },
} };

static const struct table SEASON = { {
    { .name = "begins",
      .allowed = YEARLY_ALLOWED,
      .read = read_season_begins,
      .is_required = true },
    { .name = "ends", .allowed = YEARLY_ALLOWED, .read = read_season_ends, .is_required = true },
} };

static const struct table WEEK = { {
    { .name = "from", .allowed = DAY_ALLOWED, .read = read_week_from },
    { .name = "until", .allowed = DAY_ALLOWED, .read = read_week_until },
    { .name = "days",
      .allowed = WEEKDAYS_ALLOWED,
      .read = read_week_days,
      .is_list = true,
      .is_required = true },
    { .name = "hours",
      .allowed = HOURS_ALLOWED,
      .read = read_week_hours,
      .is_list = true,
      .is_required = true },
    { .name = "season", .allowed = "a mapping of begins, ends", .inside = &SEASON },
} };

#define COMPUTED_FIELDS                                                                            \
    { .name = "day", .allowed = DAY_ALLOWED, .read = read_day },                                   \
        { .name = "rule", .allowed = YEARLY_ALLOWED, .read = read_rule },                          \
        { .name = "name", .allowed = NAME_ALLOWED, .read = read_name },                            \
        { .name = "observed",                                                                      \
          .allowed = "as_is, nearest, monday_if_sunday or next_monday",                            \
          .read = read_observed },                                                                 \
        { .name = "only", .allowed = WEEKDAYS_ALLOWED, .read = read_only, .is_list = true },       \
        { .name = "from", .allowed = DAY_ALLOWED, .read = read_from },                             \
    {                                                                                              \
        .name = "until", .allowed = DAY_ALLOWED, .read = read_until                                \
    }

static const struct table CLOSED = { { COMPUTED_FIELDS } };

static const struct table SHORTENED = { {
    COMPUTED_FIELDS,
    { .name = "open", .allowed = TIME_ALLOWED, .read = read_open },
    { .name = "close", .allowed = TIME_ALLOWED, .read = read_close },
} };

static const struct table SPECIAL = { {
    { .name = "day", .allowed = DAY_ALLOWED, .read = read_day, .is_required = true },
    { .name = "name", .allowed = NAME_ALLOWED, .read = read_name },
    { .name = "hours",
      .allowed = HOURS_ALLOWED,
      .read = read_special_hours,
      .is_list = true,
      .is_required = true },
} };

static const struct field LISTED_YEARS = {
    .name = "listed_years",
    .allowed = "years, one after the other, such as [2025, 2026]",
    .read = read_listed_year,
    .is_list = true,
};

static size_t field_count(const struct table *table)
{
    size_t count = 0;
    while (count < FIELDS_MAX && table->fields[count].name)
        count++;
    return count;
}

/* ---- faults ---- */

static void fault(struct reading *reading, const struct yaml_node *node, const char *path,
                  const char *format, ...) PRINTF_LIKE(4, 5);

static void fault(struct reading *reading, const struct yaml_node *node, const char *path,
                  const char *format, ...)
{
    struct text message;
    text_init(&message, MESSAGE_MAX);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&message, format, arguments);
    va_end(arguments);
    faults_add(&reading->faults, node->line, node->column, path, "%s", message.data);
    text_release(&message);
}

static void wrong_value(struct reading *reading, const struct yaml_node *node, const char *path,
                        const char *allowed)
{
    struct text found;
    text_init(&found, MESSAGE_MAX);
    if (node->kind != YAML_SCALAR)
        text_add(&found, node->kind == YAML_LIST ? "a list" : "a mapping");
    else if (yaml_is_null(node))
        text_add(&found, "nothing");
    else if (node->quoted || strlen(node->text) > PLAIN_MAX)
        value_quote(&found, node->text);
    else
        text_add(&found, node->text);
    fault(reading, node, path, "found %s; allowed %s", found.data, allowed);
    text_release(&found);
}

static void unknown_key(struct reading *reading, const struct yaml_entry *entry, const char *path,
                        const char *const *names)
{
    struct text message;
    text_init(&message, MESSAGE_MAX);
    text_add(&message, "found an unknown key; allowed ");
    value_join(&message, names);
    const char *nearest = text_nearest(entry->key, names);
    if (nearest)
        text_printf(&message, "; did you mean %s?", nearest);
    faults_add(&reading->faults, entry->line, entry->column, path, "%s", message.data);
    text_release(&message);
}

static void join(char out[PATH_MAX_BYTES], const char *path, const char *name)
{
    char whole[2 * PATH_MAX_BYTES];
    snprintf(whole, sizeof(whole), "%s%s%s", path, *path ? "." : "", name);
    text_copy(out, PATH_MAX_BYTES, whole);
}

static void join_number(char out[PATH_MAX_BYTES], const char *path, size_t number)
{
    char name[24];
    snprintf(name, sizeof(name), "%zu", number);
    join(out, path, name);
}

/* ---- mappings by their table ---- */

static bool read_scalar(struct reading *reading, const char *path, const struct yaml_node *node,
                        const struct field *field, void *target)
{
    if (node->kind == YAML_REFUSED)
        return false;
    if (node->kind == YAML_SCALAR && !yaml_is_null(node) && field->read(node->text, target))
        return true;
    wrong_value(reading, node, path, field->allowed);
    return false;
}

static bool read_list(struct reading *reading, const char *path, const struct yaml_node *node,
                      const struct field *field, void *target)
{
    if (node->kind != YAML_LIST)
        return read_scalar(reading, path, node, field, target);
    if (node->count == 0) {
        fault(reading, node, path, "found an empty list; allowed %s", field->allowed);
        return false;
    }
    bool right = true;
    for (size_t i = 0; i < node->count; i++) {
        char item[PATH_MAX_BYTES];
        join_number(item, path, i);
        right &= read_scalar(reading, item, node->entries[i].value, field, target);
    }
    return right;
}

static bool read_mapping(struct reading *reading, const char *path, const struct yaml_node *node,
                         const struct table *table, void *target, unsigned *seen);

static bool read_field(struct reading *reading, const char *path, const struct yaml_node *node,
                       const struct field *field, void *target)
{
    unsigned seen;
    if (field->inside)
        return read_mapping(reading, path, node, field->inside, target, &seen);
    return field->is_list ? read_list(reading, path, node, field, target)
                          : read_scalar(reading, path, node, field, target);
}

static void names_of(const struct table *table, const char *names[FIELDS_MAX + 1])
{
    size_t count = field_count(table);
    for (size_t i = 0; i < count; i++)
        names[i] = table->fields[i].name;
    names[count] = NULL;
}

static bool read_entry(struct reading *reading, const char *path, const struct yaml_entry *entry,
                       const struct table *table, void *target, unsigned *seen)
{
    char to[PATH_MAX_BYTES];
    join(to, path, entry->key);
    for (size_t i = 0; i < field_count(table); i++) {
        if (strcmp(table->fields[i].name, entry->key) != 0)
            continue;
        *seen |= 1u << i;
        return read_field(reading, to, entry->value, &table->fields[i], target);
    }
    const char *names[FIELDS_MAX + 1];
    names_of(table, names);
    unknown_key(reading, entry, to, names);
    return false;
}

/* True when all of it is right; *seen has a bit for each key that was there. */
static bool read_mapping(struct reading *reading, const char *path, const struct yaml_node *node,
                         const struct table *table, void *target, unsigned *seen)
{
    *seen = 0;
    if (node->kind == YAML_REFUSED)
        return false;
    if (node->kind != YAML_MAPPING) {
        const char *names[FIELDS_MAX + 1];
        struct text allowed;
        names_of(table, names);
        text_init(&allowed, MESSAGE_MAX);
        text_add(&allowed, "a mapping of ");
        value_join(&allowed, names);
        wrong_value(reading, node, path, allowed.data);
        text_release(&allowed);
        return false;
    }
    bool right = true;
    for (size_t i = 0; i < node->count; i++)
        right &= read_entry(reading, path, &node->entries[i], table, target, seen);
    for (size_t i = 0; i < field_count(table); i++) {
        const struct field *field = &table->fields[i];
        if (!field->is_required || (*seen & (1u << i)))
            continue;
        fault(reading, node, path, "found no %s; allowed %s", field->name, field->allowed);
        right = false;
    }
    return right;
}

static bool was_seen(const struct table *table, unsigned seen, const char *name)
{
    for (size_t i = 0; i < field_count(table); i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return seen & (1u << i);
    return false;
}

/* ---- zones ---- */

static bool daylight_right(struct reading *reading, const char *path, const struct yaml_node *node,
                           const struct calendar_zone *zone)
{
    int step = abs(zone->daylight_s - zone->standard_s);
    int apart = abs(zone->begins.month - zone->ends.month);
    if (step == 0 || step > STEP_MAX_S) {
        fault(reading, node, path,
              "found a daylight offset that differs from the standard one by %d minutes; allowed 1 "
              "to 180",
              step / 60);
        return false;
    }
    if (apart < 2) {
        fault(reading, node, path,
              "found daylight time that begins and ends in neighboring months; allowed two months "
              "apart or more");
        return false;
    }
    return true;
}

static void read_zone(struct reading *reading, const char *path, const struct yaml_node *node)
{
    struct calendar_rules *rules = &reading->rules;
    struct calendar_zone zone = { 0 };
    unsigned seen;
    if (!read_mapping(reading, path, node, &ZONE, &zone, &seen) ||
        (zone.has_daylight && !daylight_right(reading, path, node, &zone)))
        return;
    size_t count = rules->zone_count;
    bool dated = was_seen(&ZONE, seen, "from_year");
    if (count == 0 && dated) {
        fault(reading, node, path,
              "found a from_year in the first entry; allowed none there: it speaks of all years "
              "before the second");
    } else if (count > 0 && (!dated || zone.from_year <= rules->zones[count - 1].from_year)) {
        fault(reading, node, path,
              "found %s; allowed entries in order, each from the second on with a later from_year",
              dated ? "a from_year that is not after the one before" : "no from_year");
    } else {
        rules->zones = memory_grow(rules->zones, &rules->zone_capacity, count + 1, sizeof(zone));
        rules->zones[rules->zone_count++] = zone;
    }
}

/* ---- weeks ---- */

static void read_week(struct reading *reading, const char *path, const struct yaml_node *node)
{
    struct calendar_rules *rules = &reading->rules;
    struct calendar_week week = { .from = CALENDAR_DAY_MIN, .until = CALENDAR_DAY_MAX };
    unsigned seen;
    if (!read_mapping(reading, path, node, &WEEK, &week, &seen))
        return;
    if (week.from > week.until) {
        fault(reading, node, path, "found until before from; allowed the same day or later");
        return;
    }
    rules->weeks =
        memory_grow(rules->weeks, &rules->week_capacity, rules->week_count + 1, sizeof(week));
    rules->weeks[rules->week_count++] = week;
}

/* ---- days that are different ---- */

static bool is_second(struct reading *reading, const char *path, const struct yaml_node *node,
                      int64_t day)
{
    const struct calendar_rules *rules = &reading->rules;
    for (size_t i = 0; i < rules->exception_count; i++) {
        if (rules->exceptions[i].is_computed || rules->exceptions[i].day != day)
            continue;
        fault(reading, node, path,
              "found a day a second time; allowed one entry for a day (the first is in line %d)",
              reading->places[i].line);
        return true;
    }
    return false;
}

static bool too_many(struct reading *reading, const char *path, const struct yaml_node *node,
                     bool is_computed)
{
    size_t *count = is_computed ? &reading->computed : &reading->explicit_days;
    size_t most = is_computed ? CALENDAR_COMPUTED_MAX : CALENDAR_DAYS_MAX;
    if (++*count == most + 1)
        fault(reading, node, path, "found more than %zu %s; allowed fewer", most,
              is_computed ? "rules" : "days");
    return *count > most;
}

static void add_exception(struct reading *reading, const char *path, const struct yaml_node *node,
                          const struct calendar_exception *exception)
{
    struct calendar_rules *rules = &reading->rules;
    if (too_many(reading, path, node, exception->is_computed) ||
        (!exception->is_computed && is_second(reading, path, node, exception->day)))
        return;
    size_t count = rules->exception_count;
    rules->exceptions =
        memory_grow(rules->exceptions, &rules->exception_capacity, count + 1, sizeof(*exception));
    reading->places =
        memory_grow(reading->places, &reading->place_capacity, count + 1, sizeof(struct place));
    rules->exceptions[count] = *exception;
    reading->places[count] = (struct place){ .line = node->line, .column = node->column };
    rules->exception_count++;
}

static struct calendar_exception empty_exception(enum exception_kind kind)
{
    return (struct calendar_exception){
        .kind = kind,
        .from = CALENDAR_DAY_MIN,
        .until = CALENDAR_DAY_MAX,
        .open = -1,
        .close = -1,
    };
}

/* A day or a rule, and beside a day nothing that only a rule can have. */
static bool day_or_rule(struct reading *reading, const char *path, const struct yaml_node *node,
                        const struct table *table, unsigned seen)
{
    static const char *const of_rules[] = { "observed", "only", "from", "until" };
    bool day = was_seen(table, seen, "day"), rule = was_seen(table, seen, "rule");
    if (day == rule) {
        fault(reading, node, path, "found %s; allowed one of day and rule",
              day ? "a day and a rule" : "neither day nor rule");
        return false;
    }
    for (size_t i = 0; day && i < ARRAY_SIZE(of_rules); i++) {
        if (!was_seen(table, seen, of_rules[i]))
            continue;
        fault(reading, node, path, "found %s beside a day; allowed beside a rule alone",
              of_rules[i]);
        return false;
    }
    return true;
}

static void read_different(struct reading *reading, const char *path, const struct yaml_node *node,
                           const struct table *table, enum exception_kind kind)
{
    struct calendar_exception exception = empty_exception(kind);
    unsigned seen;
    if (!read_mapping(reading, path, node, table, &exception, &seen) ||
        !day_or_rule(reading, path, node, table, seen))
        return;
    if (!was_seen(table, seen, "only"))
        exception.weekdays = WEEKDAY(7) - 1;
    bool open = exception.open >= 0, close = exception.close >= 0;
    if (exception.from > exception.until)
        fault(reading, node, path, "found until before from; allowed the same day or later");
    else if (kind == EXCEPTION_SHORTENED && !open && !close)
        fault(reading, node, path, "found neither open nor close; allowed one or both");
    else if (open && close && exception.open >= exception.close)
        fault(reading, node, path, "found a close that is not after open; allowed a later time");
    else
        add_exception(reading, path, node, &exception);
}

static void read_closed(struct reading *reading, const char *path, const struct yaml_node *node)
{
    read_different(reading, path, node, &CLOSED, EXCEPTION_CLOSED);
}

static void read_shortened(struct reading *reading, const char *path, const struct yaml_node *node)
{
    read_different(reading, path, node, &SHORTENED, EXCEPTION_SHORTENED);
}

static void read_special(struct reading *reading, const char *path, const struct yaml_node *node)
{
    struct calendar_exception exception = empty_exception(EXCEPTION_SPECIAL);
    unsigned seen;
    if (read_mapping(reading, path, node, &SPECIAL, &exception, &seen))
        add_exception(reading, path, node, &exception);
}

/* ---- the document ---- */

struct section {
    const char *name;
    void (*row)(struct reading *reading, const char *path, const struct yaml_node *node);
    size_t most; /* rows */
    bool is_required;
    bool or_mapping; /* one entry may stand without a list */
};

static const struct section SECTIONS[] = {
    { "zone", read_zone, CALENDAR_ZONES_MAX, true, true },
    { "sessions", read_week, CALENDAR_WEEKS_MAX, true, false },
    { "closed", read_closed, YAML_ENTRIES_MAX, false, false },
    { "shortened", read_shortened, YAML_ENTRIES_MAX, false, false },
    { "special", read_special, YAML_ENTRIES_MAX, false, false },
};

static void read_section(struct reading *reading, const struct yaml_node *node,
                         const struct section *section)
{
    if (node->kind == YAML_REFUSED)
        return;
    if (node->kind == YAML_MAPPING && section->or_mapping) {
        section->row(reading, section->name, node);
        return;
    }
    if (node->kind != YAML_LIST || (section->is_required && node->count == 0)) {
        if (node->kind == YAML_LIST)
            fault(reading, node, section->name, "found an empty list; allowed one entry or more");
        else
            wrong_value(reading, node, section->name, "a list of mappings");
        return;
    }
    if (node->count > section->most) {
        fault(reading, node, section->name, "found %zu entries; allowed at most %zu", node->count,
              section->most);
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        char path[PATH_MAX_BYTES];
        join_number(path, section->name, i);
        section->row(reading, path, node->entries[i].value);
    }
}

static void read_top(struct reading *reading, const struct yaml_entry *entry, unsigned *seen)
{
    const char *names[ARRAY_SIZE(SECTIONS) + 2];
    for (size_t i = 0; i < ARRAY_SIZE(SECTIONS); i++) {
        names[i] = SECTIONS[i].name;
        if (strcmp(entry->key, names[i]) != 0)
            continue;
        *seen |= 1u << i;
        read_section(reading, entry->value, &SECTIONS[i]);
        return;
    }
    names[ARRAY_SIZE(SECTIONS)] = LISTED_YEARS.name;
    names[ARRAY_SIZE(SECTIONS) + 1] = NULL;
    if (strcmp(entry->key, LISTED_YEARS.name) == 0)
        read_list(reading, LISTED_YEARS.name, entry->value, &LISTED_YEARS, reading);
    else
        unknown_key(reading, entry, entry->key, names);
}

static bool is_listed(const struct reading *reading, int64_t day)
{
    int year = calendar_year(day);
    return reading->year_count > 0 && year >= reading->years[0] &&
           year <= reading->years[reading->year_count - 1];
}

/* Each closed day lies in a listed year; without rules the years must be listed. */
static bool check_closed_days(struct reading *reading, bool has_closed_in[YEARS_MAX])
{
    bool ruled = false, any = false;
    for (size_t i = 0; i < reading->rules.exception_count; i++) {
        const struct calendar_exception *exception = &reading->rules.exceptions[i];
        ruled |= exception->is_computed;
        if (exception->is_computed || exception->kind != EXCEPTION_CLOSED)
            continue;
        any = true;
        if (is_listed(reading, exception->day))
            has_closed_in[calendar_year(exception->day) - reading->years[0]] = true;
        else if (reading->year_count > 0)
            faults_add(&reading->faults, reading->places[i].line, reading->places[i].column,
                       "closed", "found a day of %d; allowed days of listed_years",
                       calendar_year(exception->day));
    }
    return ruled || !any || reading->year_count > 0;
}

static void check_years(struct reading *reading, const struct yaml_node *root)
{
    bool has_closed_in[YEARS_MAX] = { false };
    if (!check_closed_days(reading, has_closed_in))
        fault(reading, root, "listed_years",
              "found closed days without a rule and no listed_years; allowed the years whose "
              "closed days are all here, such as [2025, 2026]");
    for (size_t i = 0; i < reading->year_count; i++)
        if (!has_closed_in[i])
            fault(reading, root, "listed_years",
                  "found %d without a closed day; allowed years "
                  "whose closed days are all here",
                  reading->years[i]);
    reading->rules.covers_until =
        reading->year_count == 0 ? INT64_MAX
                                 : calendar_days(reading->years[reading->year_count - 1], 12, 31);
}

static void read_document(struct reading *reading, const struct yaml_node *root)
{
    unsigned seen = 0;
    if (root->kind != YAML_MAPPING) {
        if (root->kind != YAML_REFUSED)
            wrong_value(reading, root, "",
                        "a mapping of zone, sessions, closed, shortened, "
                        "special, listed_years");
        return;
    }
    for (size_t i = 0; i < root->count; i++)
        read_top(reading, &root->entries[i], &seen);
    for (size_t i = 0; i < ARRAY_SIZE(SECTIONS); i++)
        if (SECTIONS[i].is_required && !(seen & (1u << i)))
            fault(reading, root, SECTIONS[i].name, "found none; allowed one entry or more");
    if (reading->faults.count == 0)
        check_years(reading, root);
}

/* ---- what is told ---- */

/* The first fault is err's own; the others follow it, a line each, as many as fit. */
static int tell(struct faults *faults, struct text *told, struct error *err)
{
    int code = faults_tell(faults, ERROR_CONFIG, told, err);
    for (size_t i = 1; err && i < faults->count; i++) {
        const struct fault *next = &faults->list[i];
        size_t used = strlen(err->message), left = sizeof(err->message) - used;
        if (strlen(next->where) + strlen(next->message) + 3 + MORE_MAX > left) {
            snprintf(err->message + used, left, "\nand %zu more",
                     faults->count - i + faults->dropped);
            break;
        }
        snprintf(err->message + used, left, "\n%s: %s", next->where, next->message);
    }
    return code;
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length < CALENDAR_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static int refuse_name(const char *name, struct error *err)
{
    struct text shown;
    text_init(&shown, MESSAGE_MAX);
    value_quote(&shown, name);
    int code = error_set(err, ERROR_CONFIG,
                         "found %s as the name of a calendar; allowed at most %d small letters, "
                         "digits and _",
                         shown.data, CALENDAR_NAME_MAX - 1);
    text_release(&shown);
    return code;
}

static int parse(const char *name, const char *file, const char *text, size_t length,
                 struct calendar **out, struct text *told, struct error *err)
{
    *out = NULL;
    if (!is_name(name))
        return refuse_name(name, err);
    struct reading reading = { .faults = { .file = file } };
    int code = 0;
    if (length > CALENDAR_FILE_MAX) {
        faults_add(&reading.faults, 1, 1, "", "found %zu bytes; allowed at most %d", length,
                   CALENDAR_FILE_MAX);
    } else {
        struct yaml_node *root = yaml_parse(text, length, &reading.faults);
        if (root)
            read_document(&reading, root);
        yaml_release(root);
    }
    if (reading.faults.count > 0) {
        code = tell(&reading.faults, told, err);
    } else {
        text_copy(reading.rules.name, sizeof(reading.rules.name), name);
        *out = calendar_make(&reading.rules);
    }
    faults_release(&reading.faults);
    calendar_rules_release(&reading.rules);
    free(reading.places);
    return code;
}

int calendar_parse(const char *name, const char *text, size_t length, struct calendar **out,
                   struct error *err)
{
    return parse(name, name, text, length, out, NULL, err);
}

int calendar_check(const char *name, const char *text, size_t length, struct calendar **out,
                   struct text *faults, struct error *err)
{
    return parse(name, name, text, length, out, faults, err);
}

/* ---- files ---- */

/* 1 when the file is there and right, 0 when it is not there. */
static int try_file(const char *name, const char *path, struct calendar **out, struct error *err)
{
    char *bytes;
    size_t length;
    struct error why = { 0 };
    int code = text_read_file(path, CALENDAR_FILE_MAX, &bytes, &length, &why);
    if (code == ERROR_NO_INPUT)
        return 0;
    if (code)
        return error_at(err, ERROR_CONFIG, path, "%s; allowed a calendar file of at most %d bytes",
                        why.message, CALENDAR_FILE_MAX);
    code = parse(name, path, bytes, length, out, NULL, err);
    free(bytes);
    return code ? code : 1;
}

static int load_file(const char *name, const char *(*environment)(void *self, const char *name),
                     void *self, struct calendar **out, struct error *err)
{
    char directories[3][1024], path[1100];
    size_t count = 0;
    struct text searched;
    text_copy(directories[count++], sizeof(directories[0]), "config/calendars");
    if (places_user(environment, self, path, sizeof(directories[0]) - sizeof("/calendars")))
        snprintf(directories[count++], sizeof(directories[0]), "%.1000s/calendars", path);
    snprintf(directories[count++], sizeof(directories[0]), "%.1000s/calendars", places_installed());

    int code = 0;
    text_init(&searched, 8192);
    for (size_t i = 0; i < count && code == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s.yaml", directories[i], name);
        text_printf(&searched, "%s%s", i ? ", " : "", path);
        code = try_file(name, path, out, err);
    }
    if (code == 0)
        code =
            error_set(err, ERROR_CONFIG,
                      "found no calendar %s; allowed 24x7, or a name whose file is there (looked "
                      "for %s)",
                      name, searched.data);
    text_release(&searched);
    return code > 0 ? 0 : code;
}

int calendar_load(const char *name, const char *(*environment)(void *self, const char *name),
                  void *self, struct calendar **out, struct error *err)
{
    *out = NULL;
    if (!is_name(name))
        return refuse_name(name, err);
    if (strcmp(name, "24x7") == 0) {
        struct calendar_rules rules = { .name = "24x7", .is_always = true };
        *out = calendar_make(&rules);
        return 0;
    }
    return load_file(name, environment, self, out, err);
}
