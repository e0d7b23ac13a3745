/*
 * The rows of `foxtrackrctl migrate`: their keys as texts that the target notes, and a digest that
 * is the same on both sides when the rows are. A digest covers the kind of each value, so that 1
 * and '1' differ; JSON is compared as its text, which both sides keep byte for byte.
 */
#include "ctl/migrate_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_ROWS 1000

int migrate_table_read(struct store *store, const char *name, struct migrate_table *out)
{
    int result;

    *out = (struct migrate_table){.name = name};
    result = store_relation_read(store, name, &out->relation);
    if (result != STORE_OK) {
        return result;
    }
    for (int i = 0; i < out->relation->count && i < MIGRATE_COLUMNS; i++) {
        const struct store_column *column = &out->relation->columns[i];

        out->columns[out->count++] = column->name;
        if (column->key > 0 && column->key <= MIGRATE_KEY_MOST) {
            out->key[column->key - 1] = column->name;
            out->key_cells[column->key - 1] = i;
            out->key_count++;
        }
    }
    return STORE_OK;
}

void migrate_table_free(struct migrate_table *table)
{
    store_relation_free(table->relation);
}

/* --- keys ------------------------------------------------------------------------------------ */

static void put_hex(FILE *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        fprintf(out, "%02x", (unsigned char)bytes[i]);
    }
}

/* "i4711 t626174 b00ff": an integer, a text and a blob. */
char *migrate_key_text(const struct migrate_table *table, const struct store_cell *row)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        return NULL;
    }
    for (int i = 0; i < table->key_count; i++) {
        const struct store_cell *cell = &row[table->key_cells[i]];

        if (cell->kind == STORE_INTEGER) {
            fprintf(out, "i%" PRId64 " ", cell->integer);
        } else {
            fputc(cell->kind == STORE_BLOB ? 'b' : 't', out);
            put_hex(out, cell->bytes, cell->length);
            fputc(' ', out);
        }
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Returns the value of a hexadecimal digit; 16: it is none. */
static unsigned digit_of(char digit)
{
    static const char digits[] = "0123456789abcdef";
    unsigned value = 0;

    while (value < 16 && digits[value] != digit) {
        value++;
    }
    return value;
}

/* Decodes hexadecimal digits up to what is none into `to`. Returns the bytes. */
static size_t take_hex(const char **text, char *to)
{
    size_t length = 0;

    while (digit_of((*text)[0]) < 16 && digit_of((*text)[1]) < 16) {
        to[length++] = (char)(digit_of((*text)[0]) * 16 + digit_of((*text)[1]));
        *text += 2;
    }
    to[length] = '\0';
    return length;
}

char *migrate_key_cells(const struct migrate_table *table, const char *text,
                        struct store_cell cells[MIGRATE_KEY_MOST])
{
    char *bytes = malloc(strlen(text) + MIGRATE_KEY_MOST + 1);
    char *to = bytes;

    for (int i = 0; i < table->key_count && bytes != NULL; i++) {
        char kind = *text;
        char *end = NULL;

        if (kind == 'i') {
            cells[i] = store_cell_integer(strtoll(text + 1, &end, 10));
            text = end;
        } else {
            text++;
            cells[i] =
                (struct store_cell){.kind = kind == 'b' ? STORE_BLOB : STORE_TEXT, .bytes = to};
            cells[i].length = take_hex(&text, to);
            to += cells[i].length + 1;
        }
        if ((kind != 'i' && kind != 'b' && kind != 't') || *text != ' ') {
            free(bytes);
            return NULL;
        }
        text++;
    }
    return bytes;
}

size_t migrate_row_bytes(const struct migrate_table *table, const struct store_cell *row)
{
    size_t bytes = 0;

    for (int i = 0; i < table->count; i++) {
        bytes += row[i].kind == STORE_TEXT || row[i].kind == STORE_BLOB ? row[i].length : 8;
    }
    return bytes;
}

/* --- digests --------------------------------------------------------------------------------- */

static void add_cell(struct digest *digest, const struct store_cell *cell)
{
    char text[64] = "n ";

    switch (cell->kind) {
    case STORE_NULL:
        break;
    case STORE_INTEGER:
        snprintf(text, sizeof(text), "i%" PRId64 " ", cell->integer);
        break;
    case STORE_REAL:
        snprintf(text, sizeof(text), "r%.17g ", cell->real);
        break;
    case STORE_TEXT:
    case STORE_BLOB:
        snprintf(text, sizeof(text), "%c%zu ", cell->kind == STORE_TEXT ? 't' : 'b', cell->length);
    }
    digest_update(digest, text, strlen(text));
    if (cell->kind == STORE_TEXT || cell->kind == STORE_BLOB) {
        digest_update(digest, cell->bytes, cell->length);
    }
}

/* Columns to read: those of SQLite, and of the target the one for topics that are no text. */
static int choose_columns(const struct migrate_table *table, bool target,
                          const char *columns[MIGRATE_COLUMNS + 2])
{
    int count = 0;
    int bytes = -1;

    for (int i = 0; i < table->count; i++) {
        columns[count++] = table->columns[i];
        if (target && strcmp(table->name, "quarantine") == 0 &&
            strcmp(table->columns[i], "topic") == 0) {
            bytes = count;
            columns[count++] = "topic_bytes";
        }
    }
    columns[count] = NULL;
    return bytes;
}

/* `bytes` is the column for a topic that is no text, behind that for one that is; -1: none. */
static void add_row(struct digest *digest, const struct store_cell *row, int count, int bytes)
{
    for (int i = 0; i < count; i++) {
        bool is_elsewhere = (i + 1 == bytes || i == bytes) && row[i].kind == STORE_NULL;

        if (!is_elsewhere) {
            add_cell(digest, &row[i]);
        }
    }
}

int migrate_digest_read(struct store *store, const struct migrate_table *table, bool target,
                        const struct store_watcher *watcher, struct migrate_digest *out)
{
    const char *columns[MIGRATE_COLUMNS + 2];
    int bytes = choose_columns(table, target, columns);
    const struct store_select select = {
        .from = table->name, .columns = columns, .order = table->key};
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    struct digest digest = {0};
    int result = store_query_select(store, &select, &query);

    *out = (struct migrate_digest){0};
    out->failed = digest_begin(&digest) != 0;
    while (result == STORE_OK && !out->failed &&
           (result = store_query_next(query, &row)) == STORE_OK && row != NULL) {
        add_row(&digest, row, store_query_count(query), bytes);
        out->rows++;
        if (out->rows % LOOK_ROWS == 0 &&
            !watcher->progress(watcher->context, "comparing", STORE_ROWS, out->rows, 0)) {
            result = STORE_E_STOPPED;
        }
    }
    out->failed = out->failed || digest_end(&digest, out->digest) != 0;
    digest_free(&digest);
    store_query_close(query);
    return result;
}

int migrate_origin(struct store *store, char origin[MIGRATE_ORIGIN_SIZE])
{
    static const char *const columns[] = {"run", "started_ms", "received", NULL};
    static const char *const orders[][2] = {{"run", NULL}, {"-run", NULL}};
    size_t length = 0;
    int result = STORE_OK;

    origin[0] = '\0';
    for (int i = 0; i < 2 && result == STORE_OK; i++) {
        const struct store_select select = {
            .from = "runs", .columns = columns, .order = orders[i], .limit = 1};
        const struct store_cell *row = NULL;
        struct store_query *query = NULL;

        result = store_query_select(store, &select, &query);
        if (result == STORE_OK) {
            result = store_query_next(query, &row);
        }
        if (result == STORE_OK && row != NULL) {
            length += (size_t)snprintf(origin + length, MIGRATE_ORIGIN_SIZE - length,
                                       "run %" PRId64 " from %" PRId64 " with %" PRId64 "; ",
                                       row[0].integer, row[1].integer, row[2].integer);
        }
        store_query_close(query);
    }
    return result;
}
