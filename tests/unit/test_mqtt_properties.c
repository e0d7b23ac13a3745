/* The properties of MQTT 5: which blocks are good, what is read of them, and that no byte beyond
 * the block decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mqtt/paho/properties_internal.h"

#define BYTES(literal) (literal), sizeof(literal) - 1

/* A block with its length in front, and what is said of it; NULL: it is good. */
struct block {
    enum mqtt_packet_type packet;
    const char *bytes;
    size_t length;
    const char *said;
};

static const char *const LONGER = "a property is longer than the properties";
static const char *const BEYOND = "its properties are longer than the packet";

/* Reads a copy that ends where the block ends, so that a sanitizer sees a read beyond it. */
static const char *read_copy(const struct block *block, struct mqtt_properties *out, size_t *size)
{
    unsigned char *copy = malloc(block->length > 0 ? block->length : 1);
    const char *said;

    assert_non_null(copy);
    memcpy(copy, block->bytes, block->length);
    said = mqtt_properties_read(block->packet, copy, block->length, out, size);
    free(copy);
    return said;
}

/* Reads the block in parts of so many bytes. */
static const char *walk_parts(const struct block *block, size_t head, size_t part)
{
    const char *said = NULL;
    struct mqtt_properties_walk walk;

    mqtt_properties_begin(&walk, block->packet, block->length - head);
    for (size_t at = head; at < block->length && said == NULL; at += part) {
        size_t some = part < block->length - at ? part : block->length - at;

        said = mqtt_properties_walk(&walk, (const unsigned char *)block->bytes + at, some);
    }
    assert_true(said != NULL || walk.left == 0);
    return said;
}

/* A block that is all there, and nothing behind it, is judged in the same way in any parts. */
static void check_in_parts(const struct block *block, const char *said)
{
    size_t head = 1;
    size_t size;

    if (!mqtt_properties_size((const unsigned char *)block->bytes, block->length, &size) ||
        size != block->length) {
        return;
    }
    while ((block->bytes[head - 1] & 0x80) != 0) {
        head++;
    }
    for (size_t part = 1; part <= block->length; part++) {
        const char *again = walk_parts(block, head, part);

        assert_string_equal(again != NULL ? again : "", said != NULL ? said : "");
    }
}

static void check(const struct block *block)
{
    struct mqtt_properties out;
    size_t size = 4711;
    const char *said = read_copy(block, &out, &size);

    check_in_parts(block, said);
    if (block->said == NULL) {
        assert_null(said);
        assert_int_equal(size, block->length);
    } else {
        assert_non_null(said);
        assert_string_equal(said, block->said);
        assert_int_equal(size, 4711);
    }
}

#define CHECK_ALL(blocks)                                                                          \
    for (size_t i = 0; i < sizeof(blocks) / sizeof((blocks)[0]); i++) {                            \
        check(&(blocks)[i]);                                                                       \
    }

static void good_blocks(void **state)
{
    static const struct block blocks[] = {
        {MQTT_CONNACK, BYTES("\0"), NULL},
        {MQTT_CONNACK, BYTES("\x80\0"), NULL}, /* more bytes for the length than needed */
        {MQTT_CONNACK, BYTES("\5\x11\0\0\0\1"), NULL},
        {MQTT_CONNACK, BYTES("\3\x21\0\x14"), NULL},
        {MQTT_CONNACK, BYTES("\3\x22\0\0"), NULL},
        {MQTT_CONNACK, BYTES("\2\x24\1"), NULL},
        {MQTT_CONNACK, BYTES("\2\x25\1"), NULL},
        {MQTT_CONNACK, BYTES("\5\x27\0\1\0\0"), NULL},
        {MQTT_CONNACK, BYTES("\4\x12\0\1x"), NULL},
        {MQTT_CONNACK, BYTES("\3\x1F\0\0"), NULL}, /* an empty text */
        {MQTT_CONNACK, BYTES("\6\x28\1\x29\0\x2A\1"), NULL},
        {MQTT_CONNACK, BYTES("\x9\x13\0\x0A\x1A\0\0\x1C\0\0"), NULL},
        {MQTT_CONNACK, BYTES("\6\x15\0\0\x16\0\0"), NULL},
        {MQTT_PUBLISH, BYTES("\2\1\7"), NULL}, /* a value that MQTT does not have */
        {MQTT_PUBLISH, BYTES("\5\2\0\0\0\1"), NULL},
        {MQTT_PUBLISH, BYTES("\x0C\3\0\1x\x8\0\1y\x9\0\1\0"), NULL},
        {MQTT_PUBLISH, BYTES("\6\x0B\1\x0B\xff\xff\x7f"), NULL}, /* often */
        {MQTT_PUBLISH, BYTES("\x0B\x26\0\1a\0\0\x26\0\0\0\0"), NULL},
        {MQTT_PUBLISH, BYTES("\3\x23\0\1"), NULL}, /* packet.c refuses a Topic Alias */
        {MQTT_PUBREL, BYTES("\3\x1F\0\0"), NULL},
        {MQTT_SUBACK, BYTES("\3\x1F\0\0"), NULL},
        {MQTT_UNSUBACK, BYTES("\5\x26\0\0\0\0"), NULL},
        {MQTT_DISCONNECT, BYTES("\x0B\x11\0\0\0\1\x1C\0\0\x1F\0\0"), NULL},
    };

    (void)state;
    CHECK_ALL(blocks);
}

static void bad_blocks(void **state)
{
    const struct block blocks[] = {
        {MQTT_CONNACK, BYTES(""), BEYOND},
        {MQTT_CONNACK, BYTES("\1"), BEYOND},
        {MQTT_CONNACK, BYTES("\x80"), BEYOND},
        {MQTT_CONNACK, BYTES("\x80\x80\x80\x80\0"), BEYOND}, /* a length of five bytes */
        {MQTT_CONNACK, BYTES("\xff\xff\xff\x7f\0"), BEYOND},
        {MQTT_CONNACK, BYTES("\1\x21"), LONGER},
        {MQTT_CONNACK, BYTES("\2\x21\1"), LONGER},
        {MQTT_CONNACK, BYTES("\4\x11\0\0\1"), LONGER},
        {MQTT_CONNACK, BYTES("\1\x24"), LONGER},
        {MQTT_CONNACK, BYTES("\2\x1F\0"), LONGER},
        {MQTT_CONNACK, BYTES("\3\x1F\0\1"), LONGER},
        {MQTT_CONNACK, BYTES("\4\x1F\xff\xffx"), LONGER},
        {MQTT_CONNACK, BYTES("\3\x26\0\0"), LONGER},
        {MQTT_CONNACK, BYTES("\4\x26\0\0\0"), LONGER},
        {MQTT_CONNACK, BYTES("\5\x26\0\0\0\1"), LONGER},
        {MQTT_CONNACK, BYTES("\5\x26\0\2ab"), LONGER},
        {MQTT_PUBLISH, BYTES("\1\x0B"), LONGER},
        {MQTT_PUBLISH, BYTES("\3\x0B\x80\x80"), LONGER},
        {MQTT_PUBLISH, BYTES("\6\x0B\x80\x80\x80\x80\1"), LONGER}, /* five bytes */
        {MQTT_CONNACK, BYTES("\2\0\0"), "it has an unknown property"},
        {MQTT_CONNACK, BYTES("\2\4\0"), "it has an unknown property"},
        {MQTT_CONNACK, BYTES("\2\x17\0"), "it has an unknown property"}, /* only CONNECT has it */
        {MQTT_CONNACK, BYTES("\2\x2B\0"), "it has an unknown property"},
        {MQTT_CONNACK, BYTES("\2\xff\0"), "it has an unknown property"},
        {MQTT_CONNACK, BYTES("\2\1\0"), "it has a property of another packet"},
        {MQTT_PUBLISH, BYTES("\3\x1F\0\0"), "it has a property of another packet"},
        {MQTT_PUBLISH, BYTES("\3\x21\0\1"), "it has a property of another packet"},
        {MQTT_PUBREL, BYTES("\3\x1C\0\0"), "it has a property of another packet"},
        {MQTT_DISCONNECT, BYTES("\3\x21\0\1"), "it has a property of another packet"},
        {MQTT_CONNACK, BYTES("\6\x21\0\1\x21\0\1"), "it has a property twice"},
        {MQTT_DISCONNECT, BYTES("\6\x1F\0\0\x1F\0\0"), "it has a property twice"},
    };

    (void)state;
    CHECK_ALL(blocks);
}

/* A good block of every property, cut short by any number of bytes, in a packet as long and in one
 * that goes on. */
static void no_block_is_good_when_it_is_cut(void **state)
{
    static const struct block whole = {
        MQTT_CONNACK,
        BYTES("\x2A\x11\0\0\0\1\x21\0\1\x12\0\1x\x26\0\1a\0\1b\x1F\0\2no\x24\1\x27\0\0\1\0\x13\0\5"
              "\x28\0\x2A\0\x1C\0\1s"),
        NULL};
    struct mqtt_properties out;
    size_t size;

    (void)state;
    check(&whole);
    for (size_t length = 0; length < whole.length; length++) {
        char shorter[64];
        struct block cut = {MQTT_CONNACK, whole.bytes, length, BEYOND};

        check(&cut);
        /* With the length that it has now, it is good only where a property ends. */
        memcpy(shorter, whole.bytes, length);
        if (length > 0) {
            shorter[0] = (char)(length - 1);
            cut = (struct block){MQTT_CONNACK, shorter, length, NULL};
            if (read_copy(&cut, &out, &size) == NULL) {
                assert_int_equal(size, length);
            }
        }
    }
}

static void values_are_read(void **state)
{
    static const struct block block = {
        MQTT_CONNACK,
        BYTES("\x25\x11\1\2\3\4\x21\x02\x01\x13\0\x3C\x24\1\x28\0\x2A\0\x1F\0\3why\x1C\0\6other:"
              "\x26\0\0\0\0"),
        NULL};
    static const struct block none = {MQTT_CONNACK, BYTES("\0"), NULL};
    static const struct block alias = {MQTT_PUBLISH, BYTES("\3\x23\0\1"), NULL};
    struct mqtt_properties out;
    size_t size;

    (void)state;
    assert_null(read_copy(&block, &out, &size));
    assert_true(out.has_session_expiry);
    assert_int_equal(out.session_expiry_s, 0x01020304);
    assert_true(out.has_receive_maximum);
    assert_int_equal(out.receive_maximum, 513);
    assert_true(out.has_server_keepalive);
    assert_int_equal(out.server_keepalive_s, 60);
    assert_int_equal(out.server_keepalive_at, 10);
    assert_int_equal(out.maximum_qos, 1);
    assert_false(out.wildcard_available);
    assert_false(out.shared_available);
    assert_false(out.has_topic_alias);
    assert_string_equal(out.reason, "why");
    assert_string_equal(out.server, "other:");
    assert_null(read_copy(&none, &out, &size));
    assert_false(out.has_session_expiry || out.has_receive_maximum || out.has_server_keepalive);
    assert_true(out.wildcard_available && out.shared_available);
    assert_int_equal(out.maximum_qos, 2);
    assert_string_equal(out.reason, "");
    assert_string_equal(out.server, "");
    assert_null(read_copy(&alias, &out, &size));
    assert_true(out.has_topic_alias);
}

/* A text is cut at a character. */
static void texts_are_cut(void **state)
{
    char bytes[3 + 3 + 300] = "\xAF\x02\x1F\x01\x2C"; /* 303 bytes, of which 300 are the text */
    struct block block = {MQTT_DISCONNECT, bytes, 5 + 300, NULL};
    struct mqtt_properties out;
    size_t size;

    (void)state;
    memset(bytes + 5, 'x', 300);
    assert_null(read_copy(&block, &out, &size));
    assert_int_equal(strlen(out.reason), MQTT_PROPERTIES_TEXT_SIZE - 1);
    memcpy(bytes + 5 + MQTT_PROPERTIES_TEXT_SIZE - 2, "\xC3\xA4", 2);
    assert_null(read_copy(&block, &out, &size));
    assert_int_equal(strlen(out.reason), MQTT_PROPERTIES_TEXT_SIZE - 2);
    bytes[5 + 4] = '\0';
    assert_null(read_copy(&block, &out, &size));
    assert_string_equal(out.reason, "xxxx");
}

/* Appends the length of a block, then its properties; returns the length of both. */
static size_t make_block(unsigned char *out, const unsigned char *properties, size_t length)
{
    size_t at = 0;

    for (size_t left = length;; left >>= 7) {
        out[at++] = (unsigned char)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
        if (left <= 0x7F) {
            break;
        }
    }
    memcpy(out + at, properties, length);
    return at + length;
}

/* The properties of a block of a PUBLISH, which is good. */
static unsigned count_properties(const unsigned char *block, size_t length)
{
    struct mqtt_properties_walk walk;
    unsigned count = 0;
    size_t at = 0;

    while ((block[at++] & 0x80) != 0) {
    }
    mqtt_properties_begin(&walk, MQTT_PUBLISH, length - at);
    for (; at < length; at++) {
        count += walk.skip == 0 && walk.variable == 0 && walk.lengths == 0;
        assert_null(mqtt_properties_walk(&walk, block + at, 1));
    }
    return count;
}

#define MANY_BYTES 600000 /* five user properties of the greatest length */

/* Makes the block thin: as long as before, good, with `most` properties, and this expiry and
 * content type if there are any. */
static void check_thin(const unsigned char *properties, size_t length, unsigned most)
{
    unsigned char *block = malloc(MANY_BYTES + 4);
    struct mqtt_properties out;
    size_t whole;
    size_t size;

    assert_non_null(block);
    whole = make_block(block, properties, length);
    assert_null(mqtt_properties_read(MQTT_PUBLISH, block, whole, &out, &size));
    mqtt_properties_thin(block, whole);
    assert_null(mqtt_properties_read(MQTT_PUBLISH, block, whole, &out, &size));
    assert_int_equal(size, whole);
    assert_in_range(count_properties(block, whole), 0, most);
    free(block);
}

static void many_properties_become_few(void **state)
{
    static unsigned char many[MANY_BYTES];
    static const unsigned char mixed[] =
        "\x26\0\0\0\0\2\0\0\0\1\x0B\x80\1\3\0\1x\x26\0\1a\0\0\x0B\7";
    unsigned char block[sizeof(mixed) + 1];
    size_t length = make_block(block, mixed, sizeof(mixed) - 1);

    (void)state;
    check_thin(many, 0, 0);
    check_thin((const unsigned char *)"\x0B\1\x0B\2", 4, 2); /* too short for a user property */
    check_thin((const unsigned char *)"\x0B\1\x0B\2\x0B\3", 6, 1);
    for (size_t at = 0; at < sizeof(many); at += 5) {
        memcpy(many + at, "\x26\0\0\0\0", 5);
    }
    /* In 131,075 bytes is the longest one; 131,080 and 131,076 to 131,079 need a second one. */
    for (size_t pairs = 1; pairs <= sizeof(many) / 5;
         pairs += pairs < 26210 || pairs > 26220 ? 601 : 1) {
        check_thin(many, 5 * pairs, (unsigned)(5 * pairs / 131070 + 1));
    }
    for (size_t at = 0; at < sizeof(many); at += 2) {
        memcpy(many + at, "\x0B\1", 2);
    }
    for (size_t size = 131070; size <= 131084; size += 2) {
        check_thin(many, size, 2);
    }
    /* The others come first, as they were. */
    mqtt_properties_thin(block, length);
    assert_memory_equal(block + 1, "\2\0\0\0\1\3\0\1x\x26\0\x0B", 12);
}

static void sizes(void **state)
{
    size_t size = 0;

    (void)state;
    assert_true(mqtt_properties_size((const unsigned char *)"\0x", 2, &size));
    assert_int_equal(size, 1);
    assert_true(mqtt_properties_size((const unsigned char *)"\1x", 2, &size));
    assert_int_equal(size, 2);
    assert_true(mqtt_properties_size((const unsigned char *)"\x81\0x", 3, &size));
    assert_int_equal(size, 3);
    assert_false(mqtt_properties_size((const unsigned char *)"\2x", 2, &size));
    assert_false(mqtt_properties_size((const unsigned char *)"", 0, &size));
    assert_false(mqtt_properties_size((const unsigned char *)"\x80\x80\x80\x80\0", 5, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_blocks),
        cmocka_unit_test(bad_blocks),
        cmocka_unit_test(no_block_is_good_when_it_is_cut),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(texts_are_cut),
        cmocka_unit_test(many_properties_become_few),
        cmocka_unit_test(sizes),
    };

    return cmocka_run_group_tests_name("mqtt_properties", tests, NULL, NULL);
}
