/* Files that this program replaces again and again, and how it knows its own. */
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
    OWN_FILE_FINE,   /* there is none, or an empty one, or one of the kind */
    OWN_FILE_OTHER,  /* something else, which must stay as it is */
    OWN_FILE_IN_USE, /* one of the kind, which another process writes */
};

/*
 * Judge the file at a path by its first bytes. Except for OWN_FILE_FINE, `reason` is set to what is
 * there instead ("is an SQLite database and no status file of foxtrackrd: …"). A status or metrics
 * file that is a symbolic link or no regular file is OWN_FILE_OTHER. *error is the errno of a look
 * that failed, or 0. Any thread.
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
    int fd; /* of what was written last, -1 before: its lock tells others that the writer lives */
    char problem[OWN_FILE_REASON_SIZE]; /* of the last failure */
};

/* Makes `file` ready. Nothing is opened yet. */
void own_file_init(struct own_file *file, const char *path, enum own_file_kind kind, mode_t mode);

/*
 * Put bytes in its place, with its mode whatever the umask is: a reader sees the old file or the
 * new one, never half of one. What is not ours is left alone. Returns 0; or 1 with file->problem
 * set, and the place as it was.
 */
int own_file_replace(struct own_file *file, const char *bytes, size_t length);

/* Remove it, if what stands at its path is what was written last, and release everything. */
void own_file_remove(struct own_file *file);

#endif
