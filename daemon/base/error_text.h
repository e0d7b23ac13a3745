/*
 * One way to tell an errno. strerror() may write into a buffer that all threads share;
 * strerrordesc_np() gives NULL for a number that it does not know, as FUSE file systems return.
 */
#ifndef BASE_ERROR_TEXT_H
#define BASE_ERROR_TEXT_H

/* "No such file or directory" for ENOENT; "unknown error" for a number that is no errno. The text
 * is in English, lives as long as the program and is not to be freed. Any thread. */
const char *error_text(int error);

#endif
