/*
 * Decides when the inbox opens, how large a lot is, and how much is sorted in with a batch.
 *
 * Every lot changes the last pages of every device, so a lot has to be the larger the more devices
 * there are. It grows with the fleet, beyond the size of memory, within two limits. A lot takes no
 * more bytes than the tables take already: so a short catch-up, and the beginning of a long one, is
 * in its tables soon. And a lot takes no more than an eighth of the free space of the disk.
 */
#include "store/sqlite/inbox_sizes_internal.h"

#include "store/sqlite/inbox_internal.h"

#define STEP_LEAST 1    /* sorted in with every batch beyond its share of what arrived */
#define STEP_DRAIN 4000 /* the same while the inbox is being drained */

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
    /* Twice, because messages of the lot before the waiting one may not all be deleted yet. */
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

/* Returns how many messages sorting in is behind a schedule that ends after INBOX_SORT_MS. */
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
 * With each batch a quarter more messages are sorted in than arrived, of a large lot less: so a lot
 * is done shortly before the next one is filled. When fewer arrive than before, late_by() makes the
 * steps larger, so that the lot does not take longer than INBOX_SORT_MS.
 *
 * Steps below INBOX_STEP_WORTH are put off: each commit writes the pages that its messages change,
 * and 25 messages change about as many as 100. While the writer is idle, small steps cost less than
 * a step of 500 would make new messages wait; and twice as many as arrived cost hardly more than a
 * quarter more, and need not be done at the end of the catch-up, when everything waits for them.
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
