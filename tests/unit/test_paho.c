/*
 * A Paho that does otherwise than expected on the way of a message ends the process, before it
 * acknowledges. The linker puts this file between mqtt/client.c and Paho (--wrap), so that the
 * callbacks are at hand; each case runs in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "mqtt/paho/lean_internal.h"

#define GOES_ON 0

int real_create(MQTTAsync *handle, const char *uri, const char *client_id, int type,
                void *context) __asm__("__real_MQTTAsync_create");
int spy_create(MQTTAsync *handle, const char *uri, const char *client_id, int type,
               void *context) __asm__("__wrap_MQTTAsync_create");
int real_callbacks(MQTTAsync handle, void *context, MQTTAsync_connectionLost *lost,
                   MQTTAsync_messageArrived *arrived,
                   MQTTAsync_deliveryComplete *delivered) __asm__("__real_MQTTAsync_setCallbacks");
int spy_callbacks(MQTTAsync handle, void *context, MQTTAsync_connectionLost *lost,
                  MQTTAsync_messageArrived *arrived,
                  MQTTAsync_deliveryComplete *delivered) __asm__("__wrap_MQTTAsync_setCallbacks");

static const MQTTClient_persistence *plugin;
static MQTTAsync_messageArrived *on_message;
static void *message_context;

int spy_create(MQTTAsync *handle, const char *uri, const char *client_id, int type, void *context)
{
    plugin = context;
    return real_create(handle, uri, client_id, type, context);
}

int spy_callbacks(MQTTAsync handle, void *context, MQTTAsync_connectionLost *lost,
                  MQTTAsync_messageArrived *arrived, MQTTAsync_deliveryComplete *delivered)
{
    on_message = arrived;
    message_context = context;
    return real_callbacks(handle, context, lost, arrived, delivered);
}

static unsigned messages;
static unsigned releases;
static size_t last_topic_length;
static size_t last_payload_length;

static void count_message(void *context, const struct paho_message *message)
{
    (void)context;
    messages++;
    last_topic_length = message->topic_length;
    last_payload_length = message->payload_length;
    assert_int_equal(message->full_length, message->payload_length);
    assert_null(message->digest);
}

static void count_release(void *context)
{
    (void)context;
    releases++;
}

static int put(const char *key, int count, const char *header, const char *body, int length)
{
    char key_copy[16];
    char *buffers[] = {(char *)(uintptr_t)header, (char *)(uintptr_t)body};
    int lengths[] = {2, length};

    strcpy(key_copy, key);
    return plugin->pput(plugin->context, key_copy, count, buffers, lengths);
}

static void drop(const char *key)
{
    char key_copy[16];

    strcpy(key_copy, key);
    assert_int_equal(plugin->premove(plugin->context, key_copy), 0);
}

static void arrive(int qos, int id)
{
    MQTTAsync_message given = MQTTAsync_message_initializer;
    MQTTAsync_message *message = MQTTAsync_malloc(sizeof(*message));
    char *topic = MQTTAsync_malloc(4);

    strcpy(topic, "a/b");
    *message = given;
    message->payload = MQTTAsync_malloc(1);
    message->payloadlen = 1;
    message->qos = qos;
    message->msgid = id;
    on_message(message_context, topic, 0, message);
}

/* The exit status of a process that does `what`. */
static int status_of(void (*what)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        what();
        _exit(GOES_ON);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define PUBLISH_7   "\0\3a/b\0\7payload"
#define PUBLISH_7_5 "\0\3a/b\0\7\2\1\1payload"

static void unknown_key(void)
{
    put("r6-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void one_buffer(void)
{
    put("r-7", 1, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void three_buffers(void)
{
    put("r-7", 3, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void key_of_another(void)
{
    put("r-8", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void key_without_a_number(void)
{
    put("r-", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void qos_1_is_put(void)
{
    put("r-7", 2, "\x32\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void no_publish_is_put(void)
{
    put("r-7", 2, "\x62\x02", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void short_packet(void)
{
    put("r-7", 2, "\x34\x01", "\0", 1);
}

static void packet_without_its_identifier(void)
{
    put("r-7", 2, "\x34\x05", "\0\3a/b", 5);
}

static void length_below_zero(void)
{
    put("r-7", 2, "\x34\x0E", PUBLISH_7, -1);
}

static void key_of_another_in_5(void)
{
    put("r5-8", 2, "\x34\x11", PUBLISH_7_5, sizeof(PUBLISH_7_5) - 1);
}

static void key_of_5_without_a_number(void)
{
    put("r5-", 2, "\x34\x11", PUBLISH_7_5, sizeof(PUBLISH_7_5) - 1);
}

static void packet_without_its_properties(void)
{
    put("r5-7", 2, "\x34\x07", PUBLISH_7_5, 7);
}

static void properties_beyond_the_packet(void)
{
    put("r5-7", 2, "\x34\x09", PUBLISH_7_5, 9);
}

static void unknown_qos(void)
{
    arrive(3, 7);
}

static void release_without_a_put(void)
{
    arrive(2, 8);
}

static void release_after_the_removal(void)
{
    put("r-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
    drop("r5-7");
    arrive(2, 7);
}

static void no_message(void)
{
    on_message(message_context, NULL, 0, NULL);
}

static void whatever_is_unexpected_ends_the_process(void **state)
{
    void (*const cases[])(void) = {
        unknown_key,
        one_buffer,
        three_buffers,
        key_of_another,
        short_packet,
        key_without_a_number,
        qos_1_is_put,
        unknown_qos,
        packet_without_its_identifier,
        no_publish_is_put,
        no_message,
        release_without_a_put,
        length_below_zero,
        key_of_another_in_5,
        key_of_5_without_a_number,
        packet_without_its_properties,
        properties_beyond_the_packet,
        release_after_the_removal,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (status_of(cases[i]) != EX_SOFTWARE) {
            fail_msg("case %zu goes on", i);
        }
    }
    assert_int_equal(status_of(paho_out_of_memory), EX_OSERR);
}

static void what_is_expected_goes_on(void **state)
{
    static const char *const others[] = {"c-1",  "q-1",  "s-1",  "sc-1",
                                         "c5-1", "q5-1", "s5-1", "sc5-1"};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(put(others[i], 2, "\x62\x02", "\0\1", 2), 0);
        drop(others[i]);
    }
    assert_int_equal(messages, 0);
    assert_int_equal(put("r-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1), 0);
    assert_int_equal(messages, 1);
    assert_int_equal(last_topic_length, 3);
    assert_int_equal(last_payload_length, 7);
    arrive(2, 7);
    assert_int_equal(messages, 1);
    assert_int_equal(releases, 0);
    drop("r5-7"); /* Paho removes the key of either version */
    drop("r-7");
    assert_int_equal(releases, 1);
    drop("r5-7");
    drop("r5-8");
    drop("r5-70000");
    drop("r5-x");
    assert_int_equal(releases, 1);
    arrive(1, 9);
    arrive(0, 0);
    assert_int_equal(messages, 3);
    assert_int_equal(last_payload_length, 1);
    assert_int_equal(put("r-65535", 2, "\x3C\x04", "\0\0\xff\xff", 4), 0);
    arrive(2, 65535);
    drop("r5-65535");
    assert_int_equal(messages, 4);
    assert_int_equal(releases, 2);
}

/* MQTT 5: Paho delivers a message when its PUBLISH has come, long before its PUBREL. */
static void a_message_of_5_is_released_by_its_pubrel(void **state)
{
    (void)state;
    messages = releases = 0;
    assert_int_equal(put("r5-7", 2, "\x34\x11", PUBLISH_7_5, sizeof(PUBLISH_7_5) - 1), 0);
    assert_int_equal(last_topic_length, 3);
    assert_int_equal(last_payload_length, 7);
    arrive(2, 7);
    assert_int_equal(put("r5-8", 2, "\x34\x05", "\0\0\0\x8\0", 5), 0);
    assert_int_equal(last_topic_length, 0);
    assert_int_equal(last_payload_length, 0);
    arrive(2, 8);
    assert_int_equal(messages, 2);
    assert_int_equal(releases, 0);
    drop("r5-8");
    drop("r-8");
    assert_int_equal(releases, 1);
    drop("r5-7");
    drop("r-7");
    assert_int_equal(releases, 2);
}

/* Memory that Paho has not set is zero, whatever it held before. */
void *mymalloc(char *file, int line, size_t size) __attribute__((weak));
void *myrealloc(char *file, int line, void *pointer, size_t size) __attribute__((weak));
void myfree(char *file, int line, void *pointer) __attribute__((weak));

static void assert_all(const unsigned char *bytes, size_t from, size_t to, unsigned char value)
{
    for (size_t i = from; i < to; i++) {
        assert_int_equal(bytes[i], value);
    }
}

static void memory_is_zeroed(void **state)
{
    char file[] = "";

    (void)state;
    if (paho_lean == NULL) {
        skip(); /* the shared library has an allocator of its own */
    }
    for (size_t size = 16; size < 4096; size += 48) {
        unsigned char *bytes = mymalloc(file, 0, size);

        assert_all(bytes, 0, size, 0);
        memset(bytes, 0x5A, size);
        bytes = myrealloc(file, 0, bytes, 3 * size);
        assert_all(bytes, 0, size, 0x5A);
        assert_all(bytes, size + 16, 3 * size, 0); /* malloc() may have given a little more */
        memset(bytes, 0x5A, 3 * size);
        myfree(file, 0, bytes);
        bytes = mymalloc(file, 0, size);
        assert_all(bytes, 0, size, 0);
        bytes = myrealloc(file, 0, bytes, size / 2);
        myfree(file, 0, bytes);
    }
}

static int set_up(void **state)
{
    const struct paho_options options = {.uri = "tcp://127.0.0.1:1", .client_id = "id-test-01"};
    char problem[256];

    log_open(LOG_TARGET_STDERR, NULL, LOG_CRIT, problem, sizeof(problem));
    paho_library_init();
    assert_int_equal(paho_new((struct paho **)state, &options, count_message, count_release, NULL),
                     0);
    return 0;
}

static int tear_down(void **state)
{
    paho_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_unexpected_ends_the_process),
        cmocka_unit_test(what_is_expected_goes_on),
        cmocka_unit_test(a_message_of_5_is_released_by_its_pubrel),
        cmocka_unit_test(memory_is_zeroed),
    };

    return cmocka_run_group_tests_name("paho", tests, set_up, tear_down);
}
