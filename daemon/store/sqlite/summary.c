/*
 * The numbers about the database's content in the status.
 */
#include <stdio.h>
#include <string.h>

#include "store/sqlite/answers_internal.h"
#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

static int read_gaps(struct store *store, struct store_summary *summary)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_GAPS];
    bool row = false;
    int result = store_step(store, STATEMENT_GAPS, NULL, 0, &row);

    if (result == STORE_OK && row) {
        summary->gaps = (uint64_t)sqlite3_column_int64(statement, 0);
        snprintf(summary->gap_client_id, sizeof(summary->gap_client_id), "%s",
                 (const char *)sqlite3_column_text(statement, 1));
        snprintf(summary->gap_reason, sizeof(summary->gap_reason), "%s",
                 (const char *)sqlite3_column_text(statement, 2));
        summary->gap_from_ms = sqlite3_column_int64(statement, 3);
        summary->gap_to_ms = sqlite3_column_int64(statement, 4);
    }
    store_reset(store, STATEMENT_GAPS);
    return result;
}

/* Reads the last restoration from `gaps`, a short table: one row for each loss of a session. */
static int read_restored(struct store *store, struct store_summary *summary)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_RESTORED];
    bool row = false;
    int result = store_step(store, STATEMENT_RESTORED, NULL, 0, &row);

    if (result == STORE_OK && row) {
        summary->restored = true;
        summary->restored_backup = sqlite3_column_int(statement, 0) != 0;
        summary->restored_ms = sqlite3_column_int64(statement, 1);
        summary->restored_from_ms = sqlite3_column_int64(statement, 2);
    }
    store_reset(store, STATEMENT_RESTORED);
    return result;
}

static int read_number(struct store *store, enum store_statement id,
                       const struct store_value *values, int count, int64_t *number)
{
    bool row = false;
    int result = store_step(store, id, values, count, &row);

    if (result == STORE_OK && row) {
        *number = sqlite3_column_int64(store->statements[id], 0);
    }
    store_reset(store, id);
    return result;
}

int sqlite_summary(struct store *store, struct store_summary *out)
{
    const struct store_value limit = store_integer(STORE_QUARANTINE_COUNTED);
    struct store_summary summary = {0};
    int64_t entries = 0;
    int result = read_gaps(store, &summary);

    if (result == STORE_OK) {
        result = read_restored(store, &summary);
    }
    if (result == STORE_OK) {
        result = read_number(store, STATEMENT_QUARANTINE_SIZE, &limit, 1, &entries);
    }
    if (result == STORE_OK) {
        summary.quarantine_entries = (uint64_t)entries;
        store->entries = store->entries_durable = entries;
        *out = summary;
    }
    return result;
}

/* At the limit of the count the real number is unknown, so changes are not added until the next
 * count. */
void store_note_entries(struct store *store, int64_t change)
{
    if (store->entries >= 0 && store->entries < STORE_QUARANTINE_COUNTED) {
        store->entries += change;
        if (store->entries < 0) { /* another program has removed some */
            store->entries = 0;
        }
    }
}

int64_t sqlite_quarantine_entries(const struct store *store)
{
    return store->entries_durable;
}

int sqlite_version_of_others(struct store *store, int64_t *version)
{
    return read_number(store, STATEMENT_DATA_VERSION, NULL, 0, version);
}

int store_used_bytes(struct store *store, int64_t *used_bytes)
{
    return read_number(store, STATEMENT_SIZE, NULL, 0, used_bytes);
}

int sqlite_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                              int64_t counts[FOXTRACKR_E_FIELD])
{
    int64_t found[FOXTRACKR_E_FIELD] = {0};
    int64_t rows = 0;
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = answers_open(store, "SELECT reason FROM quarantine",
                              "count the quarantine by reason", NULL, 0, &query);

    if (result != STORE_OK) {
        return result;
    }
    while ((result = store_query_next(query, &row)) == STORE_OK && row != NULL) {
        int reason = row[0].kind == STORE_TEXT ? foxtrackr_reason_from_name(row[0].bytes) : -1;

        if (reason > 0 && reason < FOXTRACKR_E_FIELD) {
            found[reason]++;
        }
        if (!watcher->progress(watcher->context, "quarantine", STORE_ROWS, ++rows, 0)) {
            result = store_refuse(store, STORE_E_STOPPED, "stopped before the end");
            break;
        }
    }
    store_query_close(query);
    if (result == STORE_OK) {
        memcpy(counts, found, sizeof(found));
    }
    return result;
}

int sqlite_growth(struct store *store, int64_t since_ms, int64_t now_ms, struct store_growth *out)
{
    const struct store_value since[] = {store_integer(since_ms), store_integer(now_ms)};
    sqlite3_stmt *statement = store->statements[STATEMENT_GROWTH];
    bool row = false;
    int result = store_step(store, STATEMENT_GROWTH, since, 2, &row);

    if (result == STORE_OK) {
        *out = (struct store_growth){.bytes = sqlite3_column_int64(statement, 0),
                                     .received = sqlite3_column_int64(statement, 1),
                                     .lately = sqlite3_column_int64(statement, 2),
                                     .span_ms = sqlite3_column_int64(statement, 3)};
    }
    store_reset(store, STATEMENT_GROWTH);
    return result;
}
