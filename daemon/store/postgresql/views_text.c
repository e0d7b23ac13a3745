/*
 * The text of a typed view. Names and values cannot be parameters there, so libpq quotes them.
 *
 * A column without a factor is what ->> gives: a text; 0 or 1 for false and true; an object or an
 * array as JSON. A view has one type a column, so that a number is a text here, where SQLite gives
 * the number. With a factor the column is double precision (foxtrackr_scaled() of the schema).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/views_internal.h"

static void put_quoted(FILE *out, struct store *store, const char *text, size_t length, bool name)
{
    char *quoted = name ? PQescapeIdentifier(store->db, text, length)
                        : PQescapeLiteral(store->db, text, length);

    fputs(quoted != NULL ? quoted : "NULL", out); /* NULL: a view that is wrong, and then refused */
    PQfreemem(quoted);
}

/* Writes the value at a path of names joined by dots, as JSON. An object's member, never an
 * element of an array: -> with a text. */
static void put_value(FILE *out, struct store *store, const char *path)
{
    fputs("m.body", out);
    for (const char *at = path;; at += strcspn(at, ".") + 1) {
        size_t length = strcspn(at, ".");

        fputs(" -> ", out);
        put_quoted(out, store, at, length, false);
        if (at[length] == '\0') {
            return;
        }
    }
}

static void put_column(FILE *out, struct store *store, const struct config_column *column)
{
    fputs(column->factor != NULL ? "\n           foxtrackr_scaled("
                                 : "\n           foxtrackr_text(",
          out);
    put_value(out, store, column->path);
    if (column->factor != NULL) {
        fputs(", ", out);
        put_quoted(out, store, column->factor, strlen(column->factor), false);
        fputs("::numeric", out);
    }
    fputs(") AS ", out);
    put_quoted(out, store, column->name, strlen(column->name), true);
    fputc(',', out);
}

char *pg_view_text(struct store *store, const struct config_view *view)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return NULL;
    }
    fputs("CREATE VIEW ", out);
    put_quoted(out, store, view->name, strlen(view->name), true);
    fputs(" AS\n    SELECT d.device, d.family, d.device_id,"
          " m.time_ms, foxtrackr_utc(m.time_ms) AS time_utc,",
          out);
    for (size_t i = 0; i < view->column_count; i++) {
        put_column(out, store, &view->columns[i]);
    }
    fputs("\n           m.received_ms\n      FROM devices AS d\n"
          "      JOIN messages AS m ON m.device = d.device\n     WHERE m.type = ",
          out);
    put_quoted(out, store, view->type, strlen(view->type), false);
    if (ferror(out) || fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
