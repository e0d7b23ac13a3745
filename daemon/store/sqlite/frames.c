/*
 * Finds the last commit of a WAL (SQLite's file format, §4 "The Write-Ahead Log").
 *
 * A WAL is a header of 32 bytes and frames: 24 bytes of header and a page each. A frame counts when
 * it repeats the salts of the WAL's header and its checksum, which goes on over all frames before
 * it, is right. The last frame of a transaction has the size of the database in its header, every
 * other one 0. So the size of the database after the WAL's last commit can be read without SQLite,
 * which has no function for it.
 */
#include "store/sqlite/frames_internal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pulse.h"

#define MAGIC        0x377f0682U /* or 1 more: checksums of big-endian words */
#define HEADER_SIZE  32
#define FRAME_HEADER 24
#define PAGE_LEAST   512U
#define PAGE_MOST    65536U

struct checksum {
    bool big_endian;
    uint32_t first;
    uint32_t second;
};

static uint32_t big(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little(const unsigned char *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add(struct checksum *sum, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint32_t one = sum->big_endian ? big(bytes + i) : little(bytes + i);
        uint32_t two = sum->big_endian ? big(bytes + i + 4) : little(bytes + i + 4);

        sum->first += one + sum->second;
        sum->second += two + sum->first;
    }
}

static bool matches(const struct checksum *sum, const unsigned char *at)
{
    return sum->first == big(at) && sum->second == big(at + 4);
}

/* The page that is searched for. */
struct wanted {
    uint32_t page; /* 0: none */
    store_frame_fn each;
    void *context;
};

/* Walks over the valid frames. */
static uint32_t walk(int fd, const unsigned char *header, struct checksum *sum, uint32_t page_size,
                     const struct wanted *wanted)
{
    size_t frame_size = FRAME_HEADER + page_size;
    unsigned char *frame = malloc(frame_size);
    off_t offset = HEADER_SIZE;
    uint32_t last = 0;

    while (frame != NULL && pread(fd, frame, frame_size, offset) == (ssize_t)frame_size &&
           memcmp(frame + 8, header + 16, 8) == 0) {
        add(sum, frame, 8);
        add(sum, frame + FRAME_HEADER, page_size);
        if (!matches(sum, frame + 16)) {
            break;
        }
        if (wanted->page != 0 && big(frame) == wanted->page) {
            wanted->each(wanted->context, frame + FRAME_HEADER, page_size);
        }
        if (big(frame + 4) != 0) {
            last = big(frame + 4);
        }
        offset += (off_t)frame_size;
        pulse_beat();
    }
    free(frame);
    return last;
}

static uint32_t read_wal(const char *wal_path, const struct wanted *wanted)
{
    int fd = open(wal_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unsigned char header[HEADER_SIZE];
    struct checksum sum = {0};
    uint32_t page_size;
    uint32_t last = 0;

    if (fd < 0) {
        return 0;
    }
    if (pread(fd, header, sizeof(header), 0) == HEADER_SIZE && (big(header) & ~1U) == MAGIC) {
        page_size = big(header + 8);
        sum.big_endian = (big(header) & 1U) != 0;
        add(&sum, header, 24);
        if (matches(&sum, header + 24) && page_size >= PAGE_LEAST && page_size <= PAGE_MOST &&
            (page_size & (page_size - 1)) == 0) {
            last = walk(fd, header, &sum, page_size, wanted);
        }
    }
    close(fd);
    return last;
}

uint32_t store_frames_last_size(const char *wal_path)
{
    const struct wanted none = {0};

    return read_wal(wal_path, &none);
}

void store_frames_each(const char *wal_path, uint32_t page, store_frame_fn each, void *context)
{
    const struct wanted wanted = {page, each, context};

    (void)read_wal(wal_path, &wanted);
}
