/*
 * The reader of bodies: RFC 8259 in one pass, without memory for what trackers send.
 *
 * A general JSON library makes a hash table of each object and an allocation of each name and
 * value, which was a quarter of all that the daemon did for a message; and one that does not report
 * every failed allocation can change a value in silence. This reader puts its values into the
 * body's own array, lets strings without escapes be slices of the payload, and allocates only for
 * more than FOXTRACKR__BODY_VALUES values and for escapes in long payloads. Every failed allocation
 * is -ENOMEM.
 *
 * The first fault in the order of the text is reported. A name that occurs twice is found at once
 * in an object of up to LINEAR_MAX members; a larger object is sorted when it ends, or when a fault
 * behind it is found, so that the time is not quadratic in the number of members.
 */
#include <errno.h>
#include <string.h>

#include "columns.h"

#define LINEAR_MAX 16

struct reader {
    const char *at;
    const char *end;
    const char *payload;
    struct foxtrackr__body *body;
    struct foxtrackr__value *unused; /* up to unused_end */
    struct foxtrackr__value *unused_end;
    char *decoded; /* where the next decoded string goes; NULL: no room yet */
    int levels;
    struct foxtrackr__fault *fault;
};

static bool fail_at(struct reader *reader, const char *at, const char *text)
{
    *reader->fault = (struct foxtrackr__fault){FOXTRACKR_E_JSON, at, text, 0};
    return false;
}

static bool fail(struct reader *reader, const char *text)
{
    return fail_at(reader, reader->at, text);
}

static bool out_of_memory(struct reader *reader)
{
    *reader->fault = (struct foxtrackr__fault){-ENOMEM, reader->at, "out of memory", 0};
    return false;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* Takes the next character if it is this one, with the space before it. */
static bool take(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

static bool read_word(struct reader *reader, const char *word, enum foxtrackr__kind kind,
                      struct foxtrackr__value *out)
{
    size_t length = strlen(word);

    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return fail(reader, "expected a value");
    }
    reader->at += length;
    out->kind = kind;
    return true;
}

/* Decoded strings are never longer than the payload. */
static bool make_room(struct reader *reader)
{
    reader->decoded = foxtrackr__body_room(reader->body, (size_t)(reader->end - reader->payload));
    return reader->decoded || out_of_memory(reader);
}

/* Returns true when the string contains an escape. */
static bool is_escaped(const struct reader *reader)
{
    const char *at = reader->at + foxtrackr__plain_span(reader->at, reader->end, false);

    return at < reader->end && *at == '\\';
}

/* Reads a string after its opening quotation mark. */
static bool read_string(struct reader *reader, const char **string, size_t *length)
{
    const char *start = reader->at;
    const char *at = start + foxtrackr__plain_span(start, reader->end, true);

    /* The short way: printable ASCII up to the quotation mark. */
    if (at < reader->end && *at == '"') {
        *string = start;
        *length = (size_t)(at - start);
        reader->at = at + 1;
        return true;
    }
    reader->at = at;
    if (!reader->decoded && is_escaped(reader) && !make_room(reader)) {
        return false;
    }
    return foxtrackr__string_read(start, &reader->at, reader->end, &reader->decoded, string, length,
                                  reader->fault);
}

static bool more_values(struct reader *reader)
{
    size_t count;
    struct foxtrackr__value *values = foxtrackr__body_more(reader->body, &count);

    if (!values) {
        return out_of_memory(reader);
    }
    reader->unused = values;
    reader->unused_end = values + count;
    return true;
}

static bool read_number(struct reader *reader, struct foxtrackr__value *out)
{
    const char *start = reader->at;

    if (!foxtrackr__number_read(&reader->at, reader->end, out)) {
        return fail(reader, "expected a value");
    }
    return out->kind != FOXTRACKR__OVERFLOW || fail_at(reader, start, "real number overflow");
}

static struct foxtrackr__value *new_value(struct reader *reader)
{
    struct foxtrackr__value *value;

    if (reader->unused == reader->unused_end && !more_values(reader)) {
        return NULL;
    }
    value = reader->unused++;
    value->name = NULL;
    value->name_length = 0;
    value->next = NULL;
    return value;
}

static bool same_name(const struct foxtrackr__value *one, const struct foxtrackr__value *other)
{
    return one->name_length == other->name_length && one->name[0] == other->name[0] &&
           memcmp(one->name, other->name, one->name_length) == 0;
}

static bool occurs(const struct foxtrackr__value *object, const struct foxtrackr__value *wanted)
{
    for (const struct foxtrackr__value *member = object->first; member; member = member->next) {
        if (same_name(member, wanted)) {
            return true;
        }
    }
    return false;
}

static bool read_value(struct reader *reader, struct foxtrackr__value *out);

/* Reads "name" : value, and puts the member at the end of the list as soon as it has its name. */
static bool read_member(struct reader *reader, struct foxtrackr__value *object,
                        struct foxtrackr__value **link)
{
    struct foxtrackr__value *member;
    const char *name;

    if (!take(reader, '"')) {
        return fail(reader, object->count == 0 ? "expected a name or '}'" : "expected a name");
    }
    name = reader->at - 1;
    member = new_value(reader);
    if (!member || !read_string(reader, &member->name, &member->name_length)) {
        return false;
    }
    reader->body->has_unit |= foxtrackr__may_be_unit(member);
    if (object->count < LINEAR_MAX && occurs(object, member)) {
        return fail_at(reader, name, "duplicate name");
    }
    *link = member;
    object->count++;
    member->kind = FOXTRACKR__NULL; /* until the value is read */
    return (take(reader, ':') || fail(reader, "expected ':'")) && read_value(reader, member);
}

/* Reads an object's members after its opening bracket. */
static bool read_members(struct reader *reader, struct foxtrackr__value *out)
{
    struct foxtrackr__value **link = &out->first;

    if (take(reader, '}')) {
        return true;
    }
    do {
        if (!read_member(reader, out, link)) {
            return false;
        }
        link = &(*link)->next;
    } while (take(reader, ','));
    return take(reader, '}') || fail(reader, "expected ',' or '}'");
}

/* Returns a name's place in the payload, if it was not decoded from escapes. */
static const char *place_of(const struct reader *reader, const struct foxtrackr__value *member)
{
    bool decoded = member->name < reader->payload || member->name > reader->end;

    return decoded ? reader->at : member->name - 1;
}

/* Sorts a large object, and fails if a name occurs twice. */
static bool find_twice(struct reader *reader, struct foxtrackr__value *object)
{
    foxtrackr__body_sort(object);
    for (const struct foxtrackr__value *member = object->first; member->next;
         member = member->next) {
        if (same_name(member, member->next)) {
            return !fail_at(reader, place_of(reader, member->next), "duplicate name");
        }
    }
    return false;
}

static bool read_object(struct reader *reader, struct foxtrackr__value *out)
{
    bool good;

    out->kind = FOXTRACKR__OBJECT;
    out->first = NULL;
    out->count = 0;
    good = read_members(reader, out);
    if (out->count > LINEAR_MAX && reader->fault->result >= 0 && find_twice(reader, out)) {
        return false;
    }
    return good;
}

static bool read_array(struct reader *reader, struct foxtrackr__value *out)
{
    struct foxtrackr__value **link = &out->first;

    out->kind = FOXTRACKR__ARRAY;
    out->first = NULL;
    out->count = 0;
    if (take(reader, ']')) {
        return true;
    }
    do {
        struct foxtrackr__value *element = new_value(reader);

        if (!element || !read_value(reader, element)) {
            return false;
        }
        *link = element;
        link = &element->next;
        out->count++;
    } while (take(reader, ','));
    return take(reader, ']') || fail(reader, "expected ',' or ']'");
}

/* Reads an object or an array. The recursion is bounded by FOXTRACKR__DEPTH_MAX. */
static bool read_nested(struct reader *reader, struct foxtrackr__value *out)
{
    bool object = *reader->at == '{';
    bool good;

    if (reader->levels == FOXTRACKR__DEPTH_MAX) {
        return fail(reader, "too many levels");
    }
    reader->levels++;
    reader->at++;
    good = object ? read_object(reader, out) : read_array(reader, out);
    reader->levels--;
    return good;
}

static bool read_value(struct reader *reader, struct foxtrackr__value *out)
{
    skip_space(reader);
    if (reader->at == reader->end) {
        return fail(reader, "expected a value");
    }
    switch (*reader->at) {
    case '{':
    case '[':
        return read_nested(reader, out);
    case '"':
        reader->at++;
        out->kind = FOXTRACKR__STRING;
        return read_string(reader, &out->string, &out->length);
    case 't':
        return read_word(reader, "true", FOXTRACKR__TRUE, out);
    case 'f':
        return read_word(reader, "false", FOXTRACKR__FALSE, out);
    case 'n':
        return read_word(reader, "null", FOXTRACKR__NULL, out);
    default:
        return read_number(reader, out);
    }
}

bool foxtrackr__body_scan(struct foxtrackr__body *body, const char *payload, size_t length,
                          struct foxtrackr__fault *fault)
{
    struct reader reader = {.at = payload,
                            .end = payload + length,
                            .payload = payload,
                            .body = body,
                            .unused = body->values,
                            .unused_end = body->values + FOXTRACKR__BODY_VALUES,
                            .fault = fault};

    *fault = (struct foxtrackr__fault){0};
    foxtrackr__body_init(body);
    reader.decoded = length <= sizeof(body->decoded) ? body->decoded : NULL;
    body->root = new_value(&reader);
    if (!body->root || !read_value(&reader, body->root)) {
        return false;
    }
    skip_space(&reader);
    return reader.at == reader.end || fail(&reader, "end of file expected");
}
