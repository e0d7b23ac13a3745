/* The JSON body of a message, as a tree of values. Private to the library; any thread. */
#ifndef FOXTRACKR_BODY_H
#define FOXTRACKR_BODY_H

#include "fields.h"
#include "text.h"

/* Size of the buffer of foxtrackr__body_describe(). */
#define FOXTRACKR__DESCRIBE_SIZE 96

/* A body with at most this many values needs no memory but its struct's: trackers send fewer. */
#define FOXTRACKR__BODY_VALUES 32

/* A payload of at most this many bytes needs no memory but its struct's for decoded strings. */
#define FOXTRACKR__BODY_DECODED 1024

/* The most levels of nesting. SQLite's JSON functions read 1000 (older releases 2000), and fail for
 * a query as soon as it meets one row with more. */
#define FOXTRACKR__DEPTH_MAX 512

enum foxtrackr__kind {
    FOXTRACKR__OBJECT,
    FOXTRACKR__ARRAY,
    FOXTRACKR__STRING,
    FOXTRACKR__INTEGER,
    FOXTRACKR__REAL,
    FOXTRACKR__DECIMAL,  /* an integer beyond int64_t, a real below the least double: its text */
    FOXTRACKR__OVERFLOW, /* a real beyond the largest double; never in a body */
    FOXTRACKR__TRUE,
    FOXTRACKR__FALSE,
    FOXTRACKR__NULL
};

/* A value. Its texts are not NUL-terminated and contain no NUL. */
struct foxtrackr__value {
    enum foxtrackr__kind kind;
    const char *name; /* a member's; NULL for an element of an array and for the root */
    size_t name_length;
    struct foxtrackr__value *next; /* of the same object or array */
    union {
        struct {
            struct foxtrackr__value *first;
            size_t count;
        }; /* of an object or an array */
        struct {
            const char *string;
            size_t length;
        }; /* of a string or a decimal */
        int64_t integer;
        double real;
    };
};

struct foxtrackr__block; /* further values, which do not fit the struct */

/* A body. The struct must not be copied: its values point to each other, into `decoded` and into
 * the payload. */
struct foxtrackr__body {
    struct foxtrackr__value *root; /* any JSON value */
    struct foxtrackr__block *blocks;
    char *long_decoded; /* in place of `decoded`, for a payload that is too long for it */
    bool has_unit;      /* there may be a member that gives a unit, see columns.c */
    struct foxtrackr__value values[FOXTRACKR__BODY_VALUES];
    char decoded[FOXTRACKR__BODY_DECODED]; /* the strings that contain escapes, decoded */
};

/* The place and the kind of a payload's first fault. */
struct foxtrackr__fault {
    int result; /* -ENOMEM, FOXTRACKR_E_ENCODING or FOXTRACKR_E_JSON */
    const char *at;
    const char *text;
    int unit; /* the surrogate that stands alone; 0: it is another fault */
};

/*
 * Read a payload, which is borrowed as long as the body is used. Returns 0, and the caller passes
 * the body to foxtrackr__body_clear(); or -ENOMEM, FOXTRACKR_E_EMPTY, FOXTRACKR_E_ENCODING or
 * FOXTRACKR_E_JSON with *problem filled in, and the body holds nothing.
 */
int foxtrackr__body_read(struct foxtrackr__body *body, const char *payload, size_t length,
                         struct foxtrackr_problem *problem);

/* The parser of foxtrackr__body_read() (body_reader.c). Returns false with *fault set. The caller
 * passes the body to foxtrackr__body_clear() in either case. */
bool foxtrackr__body_scan(struct foxtrackr__body *body, const char *payload, size_t length,
                          struct foxtrackr__fault *fault);

void foxtrackr__body_clear(struct foxtrackr__body *body);

/* For the reader (body_memory.c): make a body empty; allocate *count further values, uninitialised;
 * allocate the room for decoded strings, once. The memory belongs to the body; NULL: out of memory.
 */
void foxtrackr__body_init(struct foxtrackr__body *body);
struct foxtrackr__value *foxtrackr__body_more(struct foxtrackr__body *body, size_t *count);
char *foxtrackr__body_room(struct foxtrackr__body *body, size_t length);

/*
 * Read the JSON number that begins at *at (body_number.c). Returns false if there is none; else
 * sets kind and value of *out and moves *at behind the number. A decimal's text is borrowed.
 */
bool foxtrackr__number_read(const char **at, const char *end, struct foxtrackr__value *out);

/*
 * Read the string that begins at `start`, behind its opening quotation mark, and is printable ASCII
 * up to *at (body_string.c). A string with escapes is decoded to *decoded, which has room for the
 * whole payload. Returns false with *fault filled in; else sets *string and *length, and moves *at
 * behind the closing quotation mark and *decoded behind the decoded string.
 */
bool foxtrackr__string_read(const char *start, const char **at, const char *end, char **decoded,
                            const char **string, size_t *length, struct foxtrackr__fault *fault);

/* Describe a value for a detail: `string "abc"`, `nothing` for NULL. Returns `out`. */
const char *foxtrackr__body_describe(char out[FOXTRACKR__DESCRIBE_SIZE],
                                     const struct foxtrackr__value *value);

/* Returns a member of an object; NULL if there is none, or `object` is not an object. */
struct foxtrackr__value *foxtrackr__body_member(struct foxtrackr__value *object, const char *name);

/* Returns the value at a field's path, or NULL. */
struct foxtrackr__value *foxtrackr__body_find(struct foxtrackr__value *root,
                                              const struct foxtrackr__field *field);

/* Remove a member, if the object has it. */
void foxtrackr__body_remove_member(struct foxtrackr__value *object, const char *name);

/* Remove the value at a field's path, and every object on the path that becomes empty. */
void foxtrackr__body_remove(struct foxtrackr__value *root, const struct foxtrackr__field *field);

/* Sort an object's members by name, as strcmp() does. */
void foxtrackr__body_sort(struct foxtrackr__value *object);

/* Print an object, without its member `skip` (NULL: with all), compact and with sorted keys. */
void foxtrackr__body_print(struct foxtrackr__text *text, struct foxtrackr__value *object,
                           const char *skip);

#endif
