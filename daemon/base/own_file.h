/* The files that this program replaces again and again, and how it recognises them. */
#ifndef BASE_OWN_FILE_H
#define BASE_OWN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define OWN_FILE_REASON_SIZE 256

enum own_file_kind {
    OWN_FILE_STATUS,  /* the status file, JSON */
    OWN_FILE_METRICS, /* the metrics file, Prometheus text */
    OWN_FILE_LOG,     /* lines of text */
    OWN_FILE_LOCK,    /* the lock of a database; never replaced, only judged */
};

enum own_file_verdict {
    OWN_FILE_FINE,   /* there is no file, an empty one, or one of the kind */
    OWN_FILE_OTHER,  /* something else, which must not be changed */
    OWN_FILE_IN_USE, /* one of the kind, which another process writes */
};

/*
 * Judge the file at a path by its first bytes. Except for OWN_FILE_FINE, `reason` says what is
 * there instead ("is an SQLite database and no status file of foxtrackrd: …"). A status or metrics
 * file that is a symbolic link or no regular file is OWN_FILE_OTHER. *error is the errno of a
 * failed check, or 0. Any thread.
 */
enum own_file_verdict own_file_judge(const char *path, enum own_file_kind kind, int *error,
                                     char reason[OWN_FILE_REASON_SIZE]);

/* The same for a file that is open for reading; never OWN_FILE_IN_USE. */
enum own_file_verdict own_file_judge_open(int fd, enum own_file_kind kind,
                                          char reason[OWN_FILE_REASON_SIZE]);

/* A file of ours. One thread. */
struct own_file {
    const char *path; /* the caller's; absolute */
    enum own_file_kind kind;
    mode_t mode;
    int fd; /* of the newest file, or -1; its flock() tells other processes that the writer still
             * runs */
    char problem[OWN_FILE_REASON_SIZE]; /* of the last failure */
};

/* Initialises `file`. Opens nothing. */
void own_file_init(struct own_file *file, const char *path, enum own_file_kind kind, mode_t mode);

/*
 * Replace the file at the path, with the mode of `file` whatever the umask is: a reader sees the
 * old file or the new one, never a mixture. A file that is not ours is left alone. Returns 0; or 1
 * with file->problem set and nothing replaced.
 */
int own_file_replace(struct own_file *file, const char *bytes, size_t length);

/* Remove the file, if the one at the path is the one that was written last, and close the
 * descriptor. */
void own_file_remove(struct own_file *file);

#endif
