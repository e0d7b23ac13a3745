/*
 * The sections [view NAME]: the messages of a type that has no table of its own, as a view with a
 * column for each configured path.
 *
 * The names become identifiers in SQL that other people write, and in the store's CREATE VIEW. So a
 * name is ASCII letters, digits and _, and none of SQL's reserved words; a view's is none of the
 * daemon's own tables and views, a column's none of the columns that every view has. It works
 * without quotes everywhere, and nothing of a name or a path can leave its place in a statement.
 * The store quotes them nevertheless (store/sqlite/views.c).
 *
 * Paths and factors are those of [fields] (lib/source.c). Two characters that [fields] allows are
 * refused here: SQLite has no way to write a " or a \ in a quoted name of a JSON path.
 */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source.h"

#define NAME_MAX_LENGTH 44 /* what fits into a section's name */
#define LETTERS         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS          "0123456789"

static bool is_one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(word, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* SQLite's keywords but for those that it takes for a name where one is expected; a unit test
 * compares. */
bool config_views_reserved(const char *word)
{
    static const char words[] =
        " add all alter and as autoincrement between case cast check collate commit"
        " constraint create current_date current_time current_timestamp default"
        " deferrable delete distinct drop else escape except exists foreign from group"
        " having in index insert intersect into is isnull join limit not nothing"
        " notnull null on or order primary raise references returning select set table"
        " then to transaction union unique update using values when where ";
    char bounded[NAME_MAX_LENGTH + 3];

    return (size_t)snprintf(bounded, sizeof(bounded), " %s ", word) < sizeof(bounded) &&
           strcasestr(words, bounded) != NULL;
}

/* The tables and views of foxtrackrd's own database; a unit test compares. */
bool config_views_own(const char *word)
{
    static const char *const own[] = {"battery",
                                      "battery_daily",
                                      "battery_days",
                                      "battery_latest",
                                      "battery_pieces",
                                      "battery_trend",
                                      "battery_trends",
                                      "calendar",
                                      "coverage_daily",
                                      "day_offsets",
                                      "days",
                                      "device_groups",
                                      "device_habits",
                                      "devices",
                                      "expired",
                                      "fleet",
                                      "fleet_daily",
                                      "fleet_days",
                                      "foxtrackr_backup",
                                      "gaps",
                                      "group_daily",
                                      "group_days",
                                      "inbox",
                                      "inbox_position",
                                      "limits",
                                      "messages",
                                      "quarantine",
                                      "quarantine_summary",
                                      "reporting_gaps",
                                      "rollup_dirty",
                                      "rollup_state",
                                      "runs",
                                      "sessions",
                                      "silent_devices",
                                      "subscriptions",
                                      "temperature",
                                      "temperature_daily",
                                      "temperature_days",
                                      "temperature_excursions",
                                      "temperature_latest",
                                      "temperature_pieces",
                                      "typed_views",
                                      "usual_intervals"};

    return is_one_of(word, own, sizeof(own) / sizeof(own[0]));
}

/* Returns 0 for a name that can be used in SQL without quotes; or 1 and a reason. */
static int check_name(const char *name, char *reason)
{
    size_t length = strlen(name);

    if (length == 0 || strspn(name, LETTERS DIGITS "_") < length ||
        strchr(DIGITS, name[0]) != NULL || length > NAME_MAX_LENGTH) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "is no name for SQL: write letters, digits and _, no digit first, %d characters "
                 "at most",
                 NAME_MAX_LENGTH);
        return 1;
    }
    if (config_views_reserved(name)) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 "is a word of SQL, which would need quotes in every query: choose another name");
        return 1;
    }
    return 0;
}

/* --- the section --------------------------------------------------------------------------- */

static struct config_view *view_of(struct config_loading *loading)
{
    return &loading->config->views->list[loading->view];
}

/* Notes a problem of the current view; `key` NULL: with the section itself. */
static int fail(struct config_loading *loading, int line, const char *key, const char *reason)
{
    char name[CONFIG_REASON_SIZE];

    loading->view_wrong[loading->view] = true;
    snprintf(name, sizeof(name), "view %s%s%.48s", view_of(loading)->name, key != NULL ? "." : "",
             key != NULL ? key : "");
    return config_fail(loading, line, name, "%s", reason);
}

int config_views_enter(struct config_loading *loading, const char *name)
{
    struct config_views *views = loading->config->views;
    char reason[CONFIG_REASON_SIZE];

    loading->skipping = true;
    name += strlen("view");
    if (*name == '\0') {
        return config_fail(loading, loading->line, NULL,
                           "[view] needs a name: write [view NAME], such as [view position]");
    }
    name++;
    if (check_name(name, reason) != 0) {
        return config_fail(loading, loading->line, NULL, "[view %s]: %s", name, reason);
    }
    if (strncasecmp(name, "sqlite_", 7) == 0 || strncasecmp(name, "pragma_", 7) == 0 ||
        strcasecmp(name, "json_each") == 0 || strcasecmp(name, "json_tree") == 0) {
        return config_fail(loading, loading->line, NULL,
                           "[view %s]: SQLite has that name for itself: choose another one", name);
    }
    if (config_views_own(name)) {
        return config_fail(
            loading, loading->line, NULL,
            "[view %s]: foxtrackrd has a table or a view of that name itself: choose "
            "another one",
            name);
    }
    for (size_t i = 0; i < views->count; i++) {
        if (strcasecmp(views->list[i].name, name) == 0) {
            return config_fail(loading, loading->line, NULL,
                               "section [view %s] is there already, on line %d: put the columns "
                               "there",
                               name, views->list[i].line);
        }
    }
    if (views->count == CONFIG_VIEWS_MAX) {
        return config_fail(loading, loading->line, NULL, "more than %d views", CONFIG_VIEWS_MAX);
    }
    loading->view = views->count;
    views->list[loading->view].line = loading->line;
    if (config_value_copy(name, strlen(name), &views->list[loading->view].name, reason) != 0) {
        return config_fail(loading, loading->line, NULL, "%s", reason);
    }
    views->count++;
    loading->skipping = false;
    return 0;
}

/* --- the key `type` ------------------------------------------------------------------------ */

/* Returns the table that has the messages of a type; NULL: `messages`. */
static const char *table_of(const char *type)
{
    return strcmp(type, "bat") == 0 ? "battery" : strcmp(type, "temp") == 0 ? "temperature" : NULL;
}

static int take_type(struct config_loading *loading, const char *text)
{
    struct config_view *view = view_of(loading);
    int *line = &loading->type_lines[loading->view];
    char reason[CONFIG_REASON_SIZE];
    const char *table;

    if (*line != 0) {
        snprintf(reason, sizeof(reason), "is there already, on line %d: keep one of them", *line);
        return fail(loading, loading->line, "type", reason);
    }
    *line = loading->line;
    if (text[0] == '\0' || strpbrk(text, "/+#") != NULL) {
        return fail(loading, loading->line, "type",
                    "is the last level of a topic, such as gps: write one without / + and #");
    }
    if (config_value_copy(text, strlen(text), &view->type, reason) != 0) {
        return fail(loading, loading->line, "type", reason);
    }
    for (char *at = view->type; *at != '\0'; at++) {
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    }
    table = table_of(view->type);
    if (table != NULL) {
        snprintf(reason, sizeof(reason),
                 "messages of type %s have a table of their own, %s, with columns by [fields]; a "
                 "view is for the types in the table messages",
                 view->type, table);
        return fail(loading, loading->line, "type", reason);
    }
    return 0;
}

/* --- columns ------------------------------------------------------------------------------- */

/* Checks that a column of this name can be added to the view: a good name, not taken, and fewer
 * than CONFIG_COLUMNS_MAX columns so far. Returns 0; or 1 with `reason` set (CONFIG_REASON_SIZE).
 */
static int check_column(const struct config_view *view, const char *name, char *reason)
{
    static const char *const own[] = {"device",   "family",      "device_id", "time_ms",
                                      "time_utc", "received_ms", "type"};

    if (check_name(name, reason) != 0) {
        return 1;
    }
    if (is_one_of(name, own, sizeof(own) / sizeof(own[0]))) {
        snprintf(reason, CONFIG_REASON_SIZE,
                 strcasecmp(name, "type") == 0
                     ? "write the key type in lower case; a column cannot "
                       "have that name"
                     : "every view has that column: choose another name");
        return 1;
    }
    for (size_t i = 0; i < view->column_count; i++) {
        if (strcasecmp(view->columns[i].name, name) == 0) {
            snprintf(reason, CONFIG_REASON_SIZE, "is there already, on line %d: keep one of them",
                     view->columns[i].line);
            return 1;
        }
    }
    if (view->column_count == CONFIG_COLUMNS_MAX) {
        snprintf(reason, CONFIG_REASON_SIZE, "more than %d columns in a view", CONFIG_COLUMNS_MAX);
        return 1;
    }
    return 0;
}

static void clear_column(struct config_column *column)
{
    free(column->name);
    free(column->path);
    free(column->factor);
}

/* Adds a column whose name and source were found good. */
static int add_column(struct config_view *view, const char *name,
                      const struct foxtrackr__source *source, int line, char *reason)
{
    size_t size = (view->column_count + 1) * sizeof(*view->columns);
    struct config_column *longer = realloc(view->columns, size);
    struct config_column column = {.divisor = source->divisor, .line = line};

    if (longer == NULL) {
        snprintf(reason, CONFIG_REASON_SIZE, "out of memory");
        return 1;
    }
    view->columns = longer;
    if (config_value_copy(name, strlen(name), &column.name, reason) != 0 ||
        config_value_copy(source->path, source->path_length, &column.path, reason) != 0 ||
        (source->factor != NULL &&
         config_value_copy(source->factor, source->factor_length, &column.factor, reason) != 0)) {
        clear_column(&column);
        return 1;
    }
    view->columns[view->column_count++] = column;
    return 0;
}

static int take_column(struct config_loading *loading, const char *name, const char *text)
{
    struct config_view *view = view_of(loading);
    struct foxtrackr__source source;
    struct foxtrackr_problem problem;
    char reason[CONFIG_REASON_SIZE];
    int result;

    if (check_column(view, name, reason) != 0) {
        return fail(loading, loading->line, name, reason);
    }
    result = foxtrackr__source_parse(text, &source, &problem);
    if (result != 0) {
        return fail(loading, loading->line, name, result > 0 ? problem.detail : "out of memory");
    }
    for (size_t i = 0; i < source.path_length; i++) {
        if (source.path[i] == '"' || source.path[i] == '\\') {
            return fail(loading, loading->line, name,
                        "a path in a view cannot hold a quotation mark or a backslash: SQLite has "
                        "no way to write them there");
        }
    }
    if (add_column(view, name, &source, loading->line, reason) != 0) {
        return fail(loading, loading->line, name, reason);
    }
    snprintf(reason, sizeof(reason), "view %s.%s", view->name, name);
    return config_doubt_field(loading, reason, text);
}

void config_views_take(struct config_loading *loading, const char *name)
{
    char text[CONFIG_LINE_SIZE];
    char reason[CONFIG_REASON_SIZE];

    if (config_text_take(loading->value, strlen(loading->value), text, reason) != 0) {
        (void)fail(loading, loading->line, name, reason);
    } else if (strcmp(name, "type") == 0) {
        (void)take_type(loading, text);
    } else {
        (void)take_column(loading, name, text);
    }
}

/* --- the whole ----------------------------------------------------------------------------- */

void config_views_check(struct config_loading *loading)
{
    const struct config_views *views = loading->config->views;

    for (size_t i = 0; i < views->count; i++) {
        const struct config_view *view = &views->list[i];

        loading->view = i;
        if (loading->type_lines[i] == 0 && !loading->view_wrong[i]) {
            (void)fail(loading, view->line, NULL,
                       "type is required: write the last level of the topics, such as type = gps");
        } else if (view->column_count == 0 && !loading->view_wrong[i]) {
            (void)fail(loading, view->line, NULL,
                       "has no column: write COLUMN = PATH, such as latitude = gps.lat");
        }
    }
}

void config_views_free(struct config_views *views)
{
    if (views == NULL) {
        return;
    }
    for (size_t i = 0; i < views->count; i++) {
        struct config_view *view = &views->list[i];

        for (size_t j = 0; j < view->column_count; j++) {
            clear_column(&view->columns[j]);
        }
        free(view->columns);
        free(view->name);
        free(view->type);
    }
    free(views);
}
