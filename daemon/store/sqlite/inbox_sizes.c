/*
 * The more devices there are the larger a lot has to be: every device's last pages are changed by
 * every lot. So it grows with the fleet, beyond what memory holds; but not to more than the tables
 * take already, so that a short catch-up, and the beginning of a long one, are soon in their
 * tables, and not to more than an eighth of what is free on the disk.
 */
#include "store/sqlite/inbox_sizes_internal.h"

#include "store/sqlite/inbox_internal.h"

#define STEP_LEAST 1 /* beyond what came, and some of it */
#define STEP_DRAIN 4000

void inbox_sizes_begin(struct inbox_sizes *sizes)
{
    *sizes = (struct inbox_sizes){.counted_since_ms = INT64_MIN / 2};
}

bool inbox_sizes_pay(struct inbox_sizes *sizes, uint64_t messages, int pages, int64_t now_ms)
{
    bool pay;

    if (now_ms - sizes->counted_since_ms > INBOX_OPEN_WITHIN_MS) {
        sizes->counted_since_ms = now_ms;
        sizes->counted_messages = 0;
        sizes->counted_pages = 0;
    }
    sizes->counted_messages += messages;
    sizes->counted_pages += (uint64_t)pages;
    pay = sizes->counted_messages >= INBOX_OPEN_MESSAGES &&
          sizes->counted_pages >= sizes->counted_messages / INBOX_OPEN_SHARE;
    if (pay) {
        sizes->counted_since_ms = INT64_MIN / 2;
    }
    return pay;
}

/* --- a lot ----------------------------------------------------------------------------------- */

void inbox_sizes_new_lot(struct inbox_sizes *sizes, uint32_t devices, int64_t used_bytes,
                         uint64_t waiting_bytes, int64_t free_bytes)
{
    /* Of the lot before the one that waits some rows may not be deleted yet. */
    int64_t in_tables = used_bytes - 2 * (int64_t)waiting_bytes;
    uint64_t messages = (uint64_t)devices * INBOX_LOT_A_DEVICE;

    sizes->most_bytes = in_tables < free_bytes / 8 ? in_tables : free_bytes / 8;
    if (sizes->most_bytes > INBOX_LOT_MOST_BYTES) {
        sizes->most_bytes = INBOX_LOT_MOST_BYTES;
    }
    messages = messages > INBOX_LOT_LEAST ? messages : INBOX_LOT_LEAST;
    sizes->most = messages < INBOX_LOT_MOST ? (uint32_t)messages : INBOX_LOT_MOST;
}

bool inbox_sizes_enough(const struct inbox_sizes *sizes, const struct inbox_lot *lot)
{
    int64_t bytes = (int64_t)lot->bytes;

    return lot->count >= sizes->most ||
           (bytes >= sizes->most_bytes &&
            (lot->count >= INBOX_LOT_LEAST || bytes >= INBOX_LOT_LEAST_BYTES));
}

bool inbox_sizes_old(const struct inbox_lot *lot, int64_t age_ms)
{
    return age_ms >= (lot->count < INBOX_LOT_LEAST ? INBOX_LOT_AGE_MS : INBOX_LOT_AGE_LARGE_MS);
}

/* --- a batch --------------------------------------------------------------------------------- */

void inbox_sizes_next_lot(struct inbox_sizes *sizes)
{
    sizes->since_ms = 0;
}

/* How many messages are not sorted in that would be, if the lot took as long as it may. */
static uint64_t late_by(struct inbox_sizes *sizes, const struct inbox_lot *lot, int64_t now_ms)
{
    int64_t goal;

    if (sizes->since_ms == 0) {
        sizes->since_ms = now_ms;
    }
    goal = lot->count * (now_ms - sizes->since_ms) / INBOX_SORT_MS;
    goal = goal < lot->count ? goal : lot->count;
    return goal > lot->done ? (uint64_t)(goal - lot->done) : 0;
}

/*
 * A quarter more than came, and of a large lot less, so that it is done not long before the next
 * one begins; and more when fewer come than before, so that it does not take longer than
 * INBOX_SORT_MS. Few have to wait for more: each commit writes the pages that its messages change,
 * and 25 of them change about as many as 100. While the writer would be idle that costs less than
 * it costs those who come to wait for 500, and twice as many as came cost hardly more than a
 * quarter more: they are not left for the end, when all wait for them.
 */
uint64_t inbox_sizes_step(struct inbox_sizes *sizes, const struct inbox_lot *lot, bool draining,
                          bool idle, uint64_t most, int64_t now_ms)
{
    uint64_t large = lot->count > INBOX_LOT_LEAST ? lot->count : INBOX_LOT_LEAST;
    uint64_t late = late_by(sizes, lot, now_ms);
    uint64_t least = idle ? INBOX_STEP_MEANWHILE : INBOX_STEP_WORTH;
    uint64_t more = idle ? sizes->arrived : sizes->arrived * INBOX_LOT_LEAST / 4 / large;
    uint64_t step;

    sizes->due += sizes->arrived + more + STEP_LEAST;
    sizes->due = sizes->due > late ? sizes->due : late;
    if (draining) {
        sizes->due = 2 * sizes->arrived + STEP_DRAIN;
    } else if (sizes->due < least) {
        return 0;
    }
    step = sizes->due < most ? sizes->due : most;
    sizes->due = 0;
    return step;
}
