/* Declarations shared by restore.c, which describes the steps, and restore_copy.c. Only for these
 * two files.
 */
#ifndef STORE_SQLITE_RESTORE_INTERNAL_H
#define STORE_SQLITE_RESTORE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store/tools.h"

struct restore {
    struct store *store; /* only its paths, lock and error are used */
    struct store_restore *request;
    const struct store_watcher *watcher;
    store_finding_fn finding;
    void *context;
    char *work; /* the copy, and after the exchange the old database; NULL: none */
    char *aside;
    int fd;          /* of the copy */
    struct stat old; /* of the database; st_nlink 0: there is none */
    bool exchanged;
    int version;       /* schema of the file */
    int64_t page_size; /* bytes */
    int bad;           /* findings */
    bool damaged;      /* by one of them */
};

/* The companions of a database that hold some of its data: WAL and journal. */
enum { RESTORE_COMPANIONS = 2 };
extern const char *const store_restore_companions[RESTORE_COMPANIONS];

/*
 * Check the file and the free space, and copy it to restore->work, marked as "restored" with its
 * moment. restore->work, aside, fd, version and page_size are set; the caller removes the copy
 * after an error. Results as sqlite_restore().
 */
int store_restore_make_copy(struct restore *restore);

/* Verify the copy as foxtrackrctl verify does, telling each finding. STORE_FATAL for one that
 * restore->request->force does not allow. */
int store_restore_verify(struct restore *restore);

/* Set the store's error to a sentence and return its result, for an errno or */
int store_restore_problem(struct restore *restore, const char *path, const char *doing);
int store_restore_no_memory(struct restore *restore);
int store_restore_stopped(struct restore *restore);

/* A name with a suffix, for free(); NULL: out of memory. */
char *store_restore_join(const char *first, const char *last);

#endif
