/*
 * Reading the file. libinih tells sections, keys and indented lines apart, and is lenient: it cuts
 * values off at a ';' and long sections short, knows nothing of a section without keys, and takes
 * an indented [section] for the continuation of a value. An operator's mistake must not become a
 * silent default, so read_line(), which passes each line to it, checks the line first and counts
 * line numbers.
 *
 * A problem does not end the reading: libinih gets an empty line in place of a wrong one, and the
 * next line is checked.
 */
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error_text.h"
#include "base/escape.h"
#include "config/config_internal.h"
#include "utf8.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* --- lines --- */

/* [session] or [session NAME]; `name` is the text between the brackets. A session with a wrong name
 * is entered too, so that its keys are checked. */
static int enter_session(struct config_loading *loading, const char *name)
{
    struct config *config = loading->config;
    char reason[CONFIG_REASON_SIZE];

    name += strlen("session");
    if (*name != '\0' && !config_value_is_name(++name)) {
        config_note(loading, loading->line, NULL,
                    "[session %s]: a session's name is letters, digits, - and _", name);
    }
    for (size_t i = 0; i < config->session_count; i++) {
        if (strcmp(config->sessions[i].name, name) == 0) {
            loading->session = i;
            return config_fail(loading, loading->line, NULL,
                               "section [session%s%s] is there already, on line %d: put the "
                               "keys there",
                               *name != '\0' ? " " : "", name, loading->session_lines[i]);
        }
    }
    if (config->session_count == CONFIG_SESSIONS_MAX) {
        loading->skipping = true;
        return config_fail(loading, loading->line, NULL, "more than %d sessions",
                           CONFIG_SESSIONS_MAX);
    }
    loading->session = config->session_count;
    if (config_value_copy(name, strlen(name), &config->sessions[loading->session].name, reason) !=
        0) {
        return config_fail(loading, loading->line, NULL, "%s", reason);
    }
    loading->session_lines[config->session_count++] = loading->line;
    return 0;
}

/* The section of this name, or CONFIG_SECTION_COUNT. */
static enum config_section find_section(const char *name)
{
    int section = 0;

    while (section < CONFIG_SECTION_COUNT &&
           strcmp(name, config_keys_section((enum config_section)section)) != 0) {
        section++;
    }
    if (section == CONFIG_SECTION_COUNT && strncmp(name, "session ", 8) == 0) {
        section = CONFIG_SESSION;
    }
    if (section == CONFIG_SECTION_COUNT && strncmp(name, "view ", 5) == 0) {
        section = CONFIG_VIEW;
    }
    return (enum config_section)section;
}

/* Handles an unknown section: enters the known one that was probably meant, or skips the section's
 * lines. */
static int enter_unknown(struct config_loading *loading, const char *name)
{
    char meant[CONFIG_SECTION_MAX + 1];
    char hint[CONFIG_REASON_SIZE];

    config_keys_section_hint(name, meant, hint);
    config_note(loading, loading->line, NULL, "there is no section [%s]%s", name, hint);
    if (meant[0] == '\0') {
        loading->skipping = true;
        return 1;
    }
    loading->section = find_section(meant);
    if (loading->section == CONFIG_SESSION) {
        return enter_session(loading, meant);
    }
    if (loading->section == CONFIG_VIEW) {
        return config_views_enter(loading, meant);
    }
    if (loading->section_lines[loading->section] == 0) {
        loading->section_lines[loading->section] = loading->line;
    }
    return 1;
}

static int enter_section(struct config_loading *loading, const char *name)
{
    enum config_section section = find_section(name);

    loading->in_section = true;
    loading->skipping = false;
    loading->section_has_key = false;
    loading->value_dropped = false;
    if (section == CONFIG_SECTION_COUNT) {
        return enter_unknown(loading, name);
    }
    loading->section = section;
    if (section == CONFIG_SESSION) {
        return enter_session(loading, name);
    }
    if (section == CONFIG_VIEW) {
        return config_views_enter(loading, name);
    }
    if (loading->section_lines[section] != 0) {
        return config_fail(loading, loading->line, NULL,
                           "section [%s] is there already, on line %d: put the keys there", name,
                           loading->section_lines[section]);
    }
    loading->section_lines[section] = loading->line;
    return 0;
}

/* Checks a line that begins with '[', which is at `open`. */
static int check_header(struct config_loading *loading, const char *open)
{
    const char *close = strchr(open, ']');
    const char *rest;
    char name[CONFIG_SECTION_MAX + 1];

    if (loading->indented) {
        config_note(loading, loading->line, NULL,
                    "a [section] must stand at the beginning of its line");
    }
    if (close == NULL) {
        config_note(loading, loading->line, NULL, "the ] of the section is missing");
        close = open + strcspn(open, " \t\r\n");
        snprintf(name, sizeof(name), "%.*s", (int)(close - open - 1), open + 1);
        return enter_section(loading, name);
    }
    rest = close + 1 + strspn(close + 1, " \t\r\n");
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        config_note(loading, loading->line, NULL, "nothing may follow a [section] on its line");
    }
    if (close - open - 1 > CONFIG_SECTION_MAX) {
        loading->in_section = true;
        loading->skipping = true;
        return config_fail(loading, loading->line, NULL,
                           "the name of the section is longer than %d characters",
                           CONFIG_SECTION_MAX);
    }
    snprintf(name, sizeof(name), "%.*s", (int)(close - open - 1), open + 1);
    return enter_section(loading, name);
}

/* Keeps the text of the line's value, beginning where inih's own value begins. */
static void keep_value(struct config_loading *loading, const char *start)
{
    bool goes_on = loading->indented && loading->section_has_key;
    const char *text = goes_on ? start : start + strcspn(start, "=:");
    size_t length;

    text += !goes_on && *text != '\0';
    length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    loading->value_has_blanks_behind =
        length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t');
    text = config_text_trim(text, &length);
    snprintf(loading->value, sizeof(loading->value), "%.*s", (int)length, text);
}

/* Returns true when inih will find the end of a key in this line. */
static bool has_separator(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '=' || *at == ':') {
            return true;
        }
        if (*at == ';' && at > text && (at[-1] == ' ' || at[-1] == '\t')) {
            return false;
        }
    }
    return false;
}

/* Checks a line that is neither a [section] nor a comment nor blank. */
static int check_pair(struct config_loading *loading, const char *start)
{
    bool goes_on = loading->indented && loading->section_has_key;

    if (goes_on && *start == '#' && start[1 + strspn(start + 1, ", \t\r\n")] == '\0') {
        return config_fail(loading, loading->line, NULL,
                           "a # at the beginning of a line is a comment: write the filter # behind "
                           "filters =");
    }
    if (goes_on || strchr("#;\r\n", *start) != NULL || has_separator(start)) {
        return 0;
    }
    loading->value_dropped = true;
    return config_fail(loading, loading->line, NULL,
                       "neither a [section], a key = value nor a # comment");
}

/* Checks a line for the mistakes that inih tolerates. Returns 0 when inih may read the line. */
static int check_line(struct config_loading *loading, const char *text, size_t length)
{
    const char *start = text;

    for (size_t at = 0; at < length;) {
        size_t taken = foxtrackr__utf8_length(text + at, length - at);

        if (taken == 0) {
            return config_fail(loading, loading->line, NULL, "the line is not valid UTF-8");
        }
        /* A carriage return is allowed in CR LF and at the end only: elsewhere it would be an
         * invisible part of a value. */
        if (escape_is_control(text + at, taken) && strchr("\t\n", text[at]) == NULL &&
            strcmp(text + at, "\r\n") != 0 && strcmp(text + at, "\r") != 0) {
            return config_fail(loading, loading->line, NULL, "the line holds a control character");
        }
        at += taken;
    }
    if (loading->line == 1 && strncmp(text, BYTE_ORDER_MARK, 3) == 0) {
        start += 3;
    }
    loading->indented = *start == ' ' || *start == '\t';
    start += strspn(start, " \t");
    keep_value(loading, start);
    return *start == '[' ? check_header(loading, start) : check_pair(loading, start);
}

enum line { LINE_READ, LINE_DROPPED, LINE_NONE };

/* Reads a line into `buffer`. One that does not fit is noted and dropped. */
static enum line get_line(struct config_loading *loading, char *buffer, int size, size_t *length)
{
    FILE *file = loading->stream;
    enum line result = LINE_READ;
    int used = 0;
    int c = EOF;

    while (c != '\n' && (c = getc(file)) != EOF) {
        if (c == '\0') {
            config_note(loading, loading->line, NULL,
                        "the line holds a NUL byte: save the file as UTF-8 if it is UTF-16");
            loading->given_up = true;
            return LINE_NONE;
        }
        if (result == LINE_READ && used + (c == '\n' ? 1 : 2) >= size) {
            config_note(loading, loading->line, NULL,
                        "the line is longer than %d characters: break a comment, let filters go on "
                        "on indented lines, put a long password into password_file",
                        size - 2);
            result = LINE_DROPPED;
        }
        if (result == LINE_READ) {
            buffer[used++] = (char)c;
        }
    }
    if (ferror(file)) {
        config_note(loading, 0, NULL, "cannot be read: %s", error_text(errno));
        loading->given_up = true;
        return LINE_NONE;
    }
    buffer[used] = '\0';
    *length = (size_t)used;
    return used == 0 ? LINE_NONE : result;
}

/* An ini_reader: like fgets(), but notes the problems of a line and replaces a wrong line by a
 * blank one. */
static char *read_line(char *buffer, int size, void *context)
{
    struct config_loading *loading = context;
    size_t length = 0;
    bool good;
    enum line result;

    loading->line++;
    result = get_line(loading, buffer, size, &length);
    if (result == LINE_NONE) {
        return NULL;
    }
    good = result == LINE_READ && check_line(loading, buffer, length) == 0;
    if (buffer[strspn(buffer, " \t\xef\xbb\xbf")] == '[') {
        snprintf(buffer, (size_t)size, "[]\n"); /* check_header() has read the name */
    } else if (!good) {
        snprintf(buffer, (size_t)size, "\n");
    }
    return buffer;
}

/* --- keys --- */

static int take_field(struct config_loading *loading, const char *column)
{
    struct foxtrackr_problem problem;
    char name[CONFIG_REASON_SIZE];
    char source[CONFIG_LINE_SIZE];
    char reason[CONFIG_REASON_SIZE];
    int result;

    snprintf(name, sizeof(name), "fields.%s", column);
    if (config_text_take(loading->value, strlen(loading->value), source, reason) != 0) {
        return config_fail(loading, loading->line, name, "%s", reason);
    }
    result = foxtrackr_fields_add(loading->config->fields, column, source, &problem);
    if (result == 0) {
        return config_doubt_field(loading, name, source);
    }
    return config_fail(loading, loading->line, name, "%s",
                       result > 0 ? problem.detail : "out of memory");
}

/* Refuses an indented line that cannot continue the value above it. */
static int check_indented(struct config_loading *loading, const struct config_key *key,
                          const char *name)
{
    if (!key->type->continues) {
        return config_fail(loading, loading->line, name,
                           "an indented line goes on with the value above it, which only filters "
                           "can have: remove the indentation");
    }
    /* " qos = 1" below filters: a filter may contain '=', but such a line is meant as a key. */
    if (strchr(loading->value, '=') != NULL) {
        return config_fail(loading, loading->line, name,
                           "an indented line goes on with the filters above it: remove the "
                           "indentation of a new key");
    }
    return 0;
}

/* Converts text to a value. A list of filters converts its own text, filter by filter. */
static int parse_value(struct config_loading *loading, const struct config_key *key,
                       const char *name)
{
    void *field = config_keys_field(key, loading->config, loading->session);
    unsigned lookalike = config_text_lookalike(loading->value, strlen(loading->value), false);
    char text[CONFIG_LINE_SIZE];
    char reason[CONFIG_REASON_SIZE];

    snprintf(text, sizeof(text), "%s", loading->value);
    if (!key->type->continues &&
        config_text_take(loading->value, strlen(loading->value), text, reason) != 0) {
        return config_fail(loading, loading->line, name, "%s%s", reason,
                           key->type->secret ? "; or use password_file" : "");
    }
    if (text[0] == '\0' && !key->type->may_be_empty) {
        return config_fail(loading, loading->line, name,
                           "has no value: write one, or leave the line out");
    }
    if (key->type->parse(key, text, field, reason) != 0) {
        return config_fail(loading, loading->line, name, "%s", reason);
    }
    if (lookalike != 0 &&
        config_warn(
            loading, loading->line, name,
            "holds the character U+%04X, which looks like a blank or like nothing and is part "
            "of the value: write a blank if one was meant",
            lookalike) != 0) {
        return 1;
    }
    if (key->type->secret) {
        explicit_bzero(text, sizeof(text));
        explicit_bzero(loading->value, sizeof(loading->value));
        if (loading->value_has_blanks_behind) {
            return config_warn(loading, loading->line, name,
                               "the blanks behind it are not part of it: use password_file for a "
                               "password that ends with a blank, or remove them");
        }
    }
    return 0;
}

static int take_value(struct config_loading *loading, const struct config_key *key, int *key_line)
{
    const struct config_session *session = &loading->config->sessions[loading->session];
    bool goes_on = loading->indented && loading->section_has_key;
    char name[CONFIG_REASON_SIZE];

    config_keys_full_name(key, session, name);
    if (goes_on && check_indented(loading, key, name) != 0) {
        return 1;
    }
    if (!goes_on && *key_line != 0) {
        return config_fail(loading, loading->line, name,
                           "is there already, on line %d: keep one of them", *key_line);
    }
    *key_line = loading->line;
    return parse_value(loading, key, name);
}

static int take_pair(struct config_loading *loading, const char *name)
{
    size_t row = loading->section == CONFIG_SESSION ? loading->session : 0;
    unsigned lookalike = config_text_lookalike(name, strlen(name), false);
    char hint[CONFIG_REASON_SIZE];
    int index;

    if (lookalike != 0) {
        return config_fail(loading, loading->line, NULL,
                           "the character U+%04X in front of the = looks like a blank and is none: "
                           "remove it",
                           lookalike);
    }
    if (!loading->in_section) {
        const char *home = config_keys_home(name);

        return config_fail(loading, loading->line, NULL,
                           "a key must stand in a section: write [%s] above it",
                           home != NULL ? home : config_keys_section(CONFIG_BROKER));
    }
    if (name[0] == '\0') {
        return config_fail(loading, loading->line, NULL, "there is no key in front of the =");
    }
    if (loading->section == CONFIG_FIELDS || loading->section == CONFIG_VIEW) {
        if (loading->indented && loading->section_has_key) {
            return config_fail(loading, loading->line, config_keys_section(loading->section),
                               "remove the indentation");
        }
        if (loading->section == CONFIG_FIELDS) {
            return take_field(loading, name);
        }
        config_views_take(loading, name);
        return 0;
    }
    index = config_keys_find(loading->section, name);
    if (index < 0) {
        index = config_keys_hint(loading->section, name, hint);
        if (index >= 0) {
            loading->key_wrong[row][index] = true;
        }
        loading->value_dropped = true;
        return config_fail(loading, loading->line, NULL, "[%s] has no key %.40s%s",
                           config_keys_section(loading->section), name, hint);
    }
    if (take_value(loading, &config_keys[index], &loading->key_lines[row][index]) != 0) {
        loading->key_wrong[row][index] = true;
    }
    return 0;
}

/* An ini_handler. The section is known from check_header() and the value from keep_value(), where
 * inih may have cut them short. */
static int take(void *context, const char *section, const char *name, const char *value)
{
    struct config_loading *loading = context;
    bool goes_on = loading->indented && loading->section_has_key;

    (void)section;
    (void)value;
    if (!goes_on) {
        loading->value_dropped = false;
    }
    if (!loading->skipping && !loading->value_dropped) {
        (void)take_pair(loading, name); /* a problem is noted */
    }
    loading->section_has_key = true;
    return 1;
}

/* --- files --- */

static void read_file(struct config_loading *loading)
{
    int result = ini_parse_stream(read_line, loading, take, loading);

    /* check_line() has already refused every line that inih cannot split. */
    if (result != 0 && loading->problems->count == 0) {
        config_note(loading, result > 0 ? result : 0, NULL,
                    "neither a [section], a key = value nor a # comment");
    }
}

static FILE *open_file(struct config_loading *loading)
{
    const char *path = loading->config->path;
    FILE *file = fopen(path, "re");
    struct stat status;

    if (file == NULL && errno == ENOENT) {
        config_note(loading, 0, NULL, "there is no such file: name another one with -c FILE");
    } else if (file == NULL && errno == EACCES) {
        config_note(loading, 0, NULL,
                    "cannot be read: %s: run this as root or as a member of the file's group",
                    error_text(errno));
    } else if (file == NULL) {
        config_note(loading, 0, NULL, "cannot be read: %s", error_text(errno));
    } else if (fstat(fileno(file), &status) == 0) {
        loading->others_read_it = (status.st_mode & S_IROTH) != 0;
    }
    return file;
}

static struct config *new_config(const char *path)
{
    struct config *config = calloc(1, sizeof(*config));

    if (config == NULL) {
        return NULL;
    }
    config->path = strdup(path);
    config->views = calloc(1, sizeof(*config->views));
    if (config->path == NULL || config->views == NULL ||
        foxtrackr_fields_new(&config->fields) != 0) {
        config_free(config);
        return NULL;
    }
    return config;
}

int config_load(const char *path, struct config **out, struct config_problems *problems)
{
    struct config_loading loading = {.problems = problems, .config = new_config(path)};
    FILE *file;

    problems->count = 0;
    if (loading.config == NULL) {
        problems->count = 1;
        snprintf(problems->sentences[0], CONFIG_PROBLEM_SIZE, "%s: out of memory", path);
        return 1;
    }
    file = open_file(&loading);
    if (file != NULL) {
        loading.stream = file;
        read_file(&loading);
        if (!loading.given_up) {
            config_check_all(&loading);
        }
        fclose(file);
    }
    if (problems->count == 0 && config_doubt_all(&loading) == 0) {
        foxtrackr_fields_set_version_slash(loading.config->fields,
                                           loading.config->parser.version_slash);
        *out = loading.config;
        return 0;
    }
    config_free(loading.config);
    return 1;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        size_t rows = key->section == CONFIG_SESSION ? config->session_count : 1;

        for (size_t row = 0; row < rows && key->type->clear != NULL; row++) {
            key->type->clear(config_keys_field(key, config, row));
        }
    }
    config_value_secret.clear(&config->broker.proxy_password);
    config_value_secret.clear(&config->database.password);
    for (size_t i = 0; i < config->session_count; i++) {
        free(config->sessions[i].name);
    }
    for (size_t i = 0; i < config->warning_count; i++) {
        free(config->warnings[i]);
    }
    free(config->warnings);
    foxtrackr_fields_free(config->fields);
    config_views_free(config->views);
    free(config->path);
    free(config);
}
