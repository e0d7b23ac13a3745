/*
 * Detects a database file that is older than its WAL.
 *
 * SQLite moves the WAL of a killed program into the file that has the database's name. A database
 * file does not say which WAL belongs to it, and two states of one database of the same size are
 * combined without an error: the changes between them are lost.
 *
 * But the row of the current run in `runs` changes with every batch, and its numbers only grow.
 * When the whole WAL has moved into the file and the file was synced, the number of messages of the
 * newest run is a lower bound: the row's page in the file never holds less later. The page is read
 * without SQLite (file format, §1.6 "B-tree Pages" and §2.1 "Record Format"), because SQLite always
 * reads through the WAL.
 *
 * A legitimate file must never be called older: after a kill or a power failure within a checkpoint
 * the page is as it was, as a frame of the WAL has it, or some of its sectors are the one and some
 * the other. So it is called older only where
 *   - every frame of the WAL for this page is still a page of `runs`, has at least as many rows and
 *     holds the run with at least that number: the page was not split, moved or reused since, and
 *     no frame is older than the bound;
 *   - the page in the file is no page of table rows or has fewer of them (its header lies in one
 *     sector, and both the old and the new sector would show such a page with at least as many), or
 *     its row of the run, with the same start as in the WAL, has a smaller number.
 */
#include "store/sqlite/base_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite/frames_internal.h"

#define HEADER_SIZE    100
#define COUNTER_AT     24   /* in the header */
#define INTERIOR       0x05 /* of a table */
#define LEAF           0x0d
#define LEAF_HEADER    8
#define DEPTH_MOST     8
#define COLUMNS        8 /* of runs */
#define COLUMN_START   1
#define COLUMN_COUNT   4
#define VARINT_LONGEST 9

struct page {
    unsigned char *bytes;
    size_t size;
};

/* A row of runs. */
struct row {
    int64_t run;
    int64_t started_ms;
    int64_t received;
};

static uint32_t big16(const unsigned char *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big32(const unsigned char *at)
{
    return big16(at) << 16 | big16(at + 2);
}

/* Returns the size of a page, or 0. */
static size_t page_size(int fd)
{
    unsigned char header[HEADER_SIZE];
    size_t size;

    if (pread(fd, header, sizeof(header), 0) != HEADER_SIZE ||
        memcmp(header, "SQLite format 3", 16) != 0) {
        return 0;
    }
    size = big16(header + 16) == 1 ? 65536 : big16(header + 16);
    return size >= 512 && (size & (size - 1)) == 0 ? size : 0;
}

bool store_base_is_database(int fd)
{
    return page_size(fd) > 0;
}

uint32_t store_base_counter(int fd)
{
    unsigned char bytes[4];

    return pread(fd, bytes, sizeof(bytes), COUNTER_AT) == sizeof(bytes) ? big32(bytes) : 0;
}

static bool read_page(int fd, uint32_t number, struct page *page)
{
    off_t at = (off_t)(number - 1) * (off_t)page->size;

    return number > 1 && pread(fd, page->bytes, page->size, at) == (ssize_t)page->size;
}

/* The same, but a page behind the end of the file reads as zeros. */
static bool read_or_end(int fd, uint32_t number, struct page *page)
{
    off_t at = (off_t)(number - 1) * (off_t)page->size;
    ssize_t got = pread(fd, page->bytes, page->size, at);

    return number > 1 && (got == 0 || got == (ssize_t)page->size);
}

/* Reads a number of 1 to 9 bytes at *at. Returns false when the page ends before it. */
static bool take_varint(const struct page *page, size_t *at, uint64_t *number)
{
    uint64_t value = 0;

    for (int i = 0; i < VARINT_LONGEST && *at < page->size; i++) {
        unsigned char byte = page->bytes[(*at)++];

        if (i == VARINT_LONGEST - 1) {
            *number = value << 8 | byte;
            return true;
        }
        value = value << 7 | (byte & 0x7f);
        if (byte < 0x80) {
            *number = value;
            return true;
        }
    }
    return false;
}

/* Returns the size in bytes of a value of that type. */
static size_t type_size(uint64_t type)
{
    static const unsigned char sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};

    return type < sizeof(sizes) ? sizes[type] : (size_t)((type - 12) / 2);
}

static bool take_integer(const struct page *page, size_t at, uint64_t type, int64_t *number)
{
    size_t size = type_size(type);
    uint64_t value;

    if (type == 8 || type == 9) {
        *number = (int64_t)type - 8;
        return true;
    }
    if (type < 1 || type > 6 || size > page->size || at > page->size - size) {
        return false;
    }
    value = (page->bytes[at] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | page->bytes[at + i];
    }
    *number = (int64_t)value;
    return true;
}

/* Reads a row's record: its types, then its values. */
static bool take_record(const struct page *page, size_t at, struct row *row)
{
    size_t types_at = at;
    size_t values_at = at;
    uint64_t header = 0;
    int column = 0;
    bool good = take_varint(page, &types_at, &header) && header < page->size;

    for (values_at += header; good && types_at < at + header && column < COLUMNS; column++) {
        uint64_t type = 0;

        good = take_varint(page, &types_at, &type) && type < 2 * page->size;
        if (good && column == COLUMN_START) {
            good = take_integer(page, values_at, type, &row->started_ms);
        } else if (good && column == COLUMN_COUNT) {
            good = take_integer(page, values_at, type, &row->received);
        }
        values_at += type_size(type);
    }
    return good && column == COLUMNS && types_at == at + header;
}

static int64_t count_rows(const struct page *page)
{
    return page->bytes[0] == LEAF ? (int64_t)big16(page->bytes + 3) : -1;
}

/* Reads the row number `index` of a leaf. */
static bool take_row(const struct page *page, int64_t index, struct row *row)
{
    size_t pointer = LEAF_HEADER + 2 * (size_t)index;
    uint64_t length = 0;
    uint64_t run = 0;
    size_t at;

    if (pointer + 2 > page->size) {
        return false;
    }
    at = big16(page->bytes + pointer);
    if (!take_varint(page, &at, &length) || !take_varint(page, &at, &run)) {
        return false;
    }
    row->run = (int64_t)run;
    return take_record(page, at, row);
}

static bool find_row(const struct page *page, int64_t run, struct row *row)
{
    int64_t rows = count_rows(page);

    for (int64_t i = 0; i < rows; i++) {
        if (take_row(page, i, row) && row->run == run) {
            return true;
        }
    }
    return false;
}

static bool open_page(int fd, struct page *page)
{
    page->size = page_size(fd);
    page->bytes = page->size > 0 ? malloc(page->size) : NULL;
    return page->bytes != NULL;
}

bool store_base_read(int fd, uint32_t root, struct store_base *base)
{
    struct page page;
    struct row row = {0};
    uint32_t number = root;
    bool found = false;

    if (!open_page(fd, &page)) {
        return false;
    }
    for (int depth = 0; depth < DEPTH_MOST && read_page(fd, number, &page); depth++) {
        int64_t rows = count_rows(&page);

        if (rows > 0 && take_row(&page, rows - 1, &row)) {
            *base = (struct store_base){number, rows, row.run, row.received};
            found = true;
        }
        if (page.bytes[0] != INTERIOR) {
            break;
        }
        number = big32(page.bytes + 8); /* to the right: the newest */
    }
    free(page.bytes);
    return found;
}

bool store_base_matches(int fd, const struct store_base *base)
{
    struct page page;
    struct row row = {0};
    bool matches;

    if (!open_page(fd, &page)) {
        return false;
    }
    matches = read_page(fd, base->page, &page) && count_rows(&page) == base->rows &&
              find_row(&page, base->run, &row) && row.received == base->received;
    free(page.bytes);
    return matches;
}

bool store_base_went_back(int fd, const struct store_base *base)
{
    struct page page;
    struct row row = {0};
    bool back;

    if (base->page == 0 || !open_page(fd, &page)) {
        return false;
    }
    back = read_page(fd, base->page, &page) && find_row(&page, base->run, &row) &&
           row.received < base->received;
    free(page.bytes);
    return back;
}

/* The result of the WAL's frames of the page. */
struct frames {
    const struct store_base *base;
    int64_t started_ms; /* of the run */
    int64_t count;
    bool good;
};

static void look_at_frame(void *context, unsigned char *bytes, uint32_t size)
{
    struct frames *frames = context;
    const struct page page = {bytes, size};
    struct row row = {0};

    frames->count++;
    frames->good = frames->good && count_rows(&page) >= frames->base->rows &&
                   find_row(&page, frames->base->run, &row) &&
                   row.received >= frames->base->received &&
                   (frames->count == 1 || row.started_ms == frames->started_ms);
    frames->started_ms = row.started_ms;
}

static bool is_older(const struct page *page, const struct frames *frames)
{
    const struct store_base *base = frames->base;
    struct row row = {0};

    return count_rows(page) < base->rows ||
           (find_row(page, base->run, &row) && row.started_ms == frames->started_ms &&
            row.received < base->received);
}

/* Returns true when the page lacks something of `base`. Only the frames of the page tell whether it
 * may. */
static bool has_less(const struct page *page, const struct store_base *base)
{
    struct row row = {0};

    return count_rows(page) < base->rows ||
           (find_row(page, base->run, &row) && row.received < base->received);
}

bool store_base_is_older(int fd, const char *wal_path, const struct store_base *base)
{
    struct frames frames = {.base = base, .good = true};
    struct page page;
    bool older;

    if (base->page == 0 || !open_page(fd, &page)) {
        return false;
    }
    memset(page.bytes, 0, page.size); /* a file that ends before the page has no row either */
    older = read_or_end(fd, base->page, &page) && has_less(&page, base);
    if (older) { /* only then is the WAL read, which may be long */
        store_frames_each(wal_path, base->page, look_at_frame, &frames);
        older = frames.good && frames.count > 0 && is_older(&page, &frames);
    }
    free(page.bytes);
    return older;
}
