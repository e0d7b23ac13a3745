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
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "mqtt/paho/check_internal.h"
#include "mqtt/paho/lean_internal.h"

#define GOES_ON 0

int real_create(MQTTAsync *handle, const char *uri, const char *client_id, int type, void *context,
                MQTTAsync_createOptions *options) __asm__("__real_MQTTAsync_createWithOptions");
int spy_create(MQTTAsync *handle, const char *uri, const char *client_id, int type, void *context,
               MQTTAsync_createOptions *options) __asm__("__wrap_MQTTAsync_createWithOptions");
void real_destroy(MQTTAsync *handle) __asm__("__real_MQTTAsync_destroy");
void spy_destroy(MQTTAsync *handle) __asm__("__wrap_MQTTAsync_destroy");
int real_callbacks(MQTTAsync handle, void *context, MQTTAsync_connectionLost *lost,
                   MQTTAsync_messageArrived *arrived,
                   MQTTAsync_deliveryComplete *delivered) __asm__("__real_MQTTAsync_setCallbacks");
int spy_callbacks(MQTTAsync handle, void *context, MQTTAsync_connectionLost *lost,
                  MQTTAsync_messageArrived *arrived,
                  MQTTAsync_deliveryComplete *delivered) __asm__("__wrap_MQTTAsync_setCallbacks");

bool spy_restore(struct paho_message *message, unsigned id) __asm__("__wrap_paho_check_restore");

static bool is_of_packet = true; /* what paho_check_restore() says */

bool spy_restore(struct paho_message *message, unsigned id)
{
    (void)message;
    (void)id;
    return is_of_packet;
}

static const MQTTClient_persistence *plugin;
static MQTTAsync_messageArrived *on_message;
static void *message_context;

static unsigned clients_made;
static unsigned clients;    /* now */
static int clients_version; /* of the last one */
static bool threads_ended;  /* the last client was destroyed, and with it Paho's threads */

int spy_create(MQTTAsync *handle, const char *uri, const char *client_id, int type, void *context,
               MQTTAsync_createOptions *options)
{
    plugin = context;
    clients_made++;
    clients++;
    clients_version = options->MQTTVersion;
    return real_create(handle, uri, client_id, type, context, options);
}

void spy_destroy(MQTTAsync *handle)
{
    clients--;
    threads_ended = threads_ended || clients == 0;
    real_destroy(handle);
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
static unsigned repeated;

static void count_message(void *context, const struct paho_message *message)
{
    (void)context;
    messages++;
    repeated += message->is_repeated;
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

static void put_of_another_packet(void)
{
    is_of_packet = false;
    put("r-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1);
}

static void delivery_of_another_packet(void)
{
    is_of_packet = false;
    arrive(1, 7);
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
        put_of_another_packet,
        delivery_of_another_packet,
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

/* Until its PUBREL has come. */
static void a_message_that_comes_again_is_known(void **state)
{
    (void)state;
    messages = repeated = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put("r-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1), 0);
        assert_int_equal(repeated, i);
    }
    drop("r5-7");
    assert_int_equal(put("r-7", 2, "\x34\x0E", PUBLISH_7, sizeof(PUBLISH_7) - 1), 0);
    assert_int_equal(messages, 4);
    assert_int_equal(repeated, 2);
    drop("r5-7");
}

/* --- connections ----------------------------------------------------------------------------- */

#define CONNECTIONS 10 /* each may wait a second for Paho's receive thread */
#define WARM_UP     4
#define PAYLOAD     15000

/* Returns a socket with a port of the loopback, at which nothing listens yet. */
static int reserve_port(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void read_bytes(int fd, unsigned char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t got = read(fd, bytes, count);

        if (got <= 0) {
            return; /* the test's own assertions tell */
        }
        bytes += got;
        count -= (size_t)got;
    }
}

/* A broker that sends a message of QoS 2 on each connection, and closes it after PUBREC. */
static void *play_broker(void *argument)
{
    static char publish[3 + 5 + PAYLOAD] = "\x34\0\0\0\1t\0\7";
    unsigned char bytes[128];
    int listener = *(int *)argument;

    publish[1] = (char)((5 + PAYLOAD) % 128 | 0x80);
    publish[2] = (char)((5 + PAYLOAD) / 128);
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = accept(listener, NULL, NULL);

        read_bytes(fd, bytes, 2); /* CONNECT */
        read_bytes(fd, bytes + 2, bytes[1]);
        (void)!write(fd, "\x20\2\1\0", 4);
        (void)!write(fd, publish, sizeof(publish));
        read_bytes(fd, bytes, 4);
        close(fd);
    }
    return NULL;
}

/* Nothing of a connection is left for the next one: neither a message whose PUBREL did not come,
 * nor memory. */
static void each_connection_has_a_client_of_its_own(void **state)
{
    struct paho *paho = *state;
    char uri[64];
    char problem[PAHO_PROBLEM_SIZE];
    struct paho_options options = {.uri = uri,
                                   .client_id = "id-test-01",
                                   .version = PAHO_MQTT_3_1_1,
                                   .keepalive_s = 60,
                                   .connect_timeout_s = 10};
    struct paho_answer answer;
    size_t before = 0;
    pthread_t thread;
    unsigned port;
    int listener = reserve_port(&port);

    assert_int_equal(listen(listener, 1), 0);
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%u", port);
    assert_int_equal(pthread_create(&thread, NULL, play_broker, &listener), 0);
    messages = repeated = clients_made = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i == WARM_UP) {
            before = mallinfo2().uordblks;
        }
        assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_OK);
        assert_true(answer.session_present);
        assert_int_equal(paho_wait(paho, 60000), PAHO_LOST);
        assert_int_equal(clients, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(listener);
    assert_true(mallinfo2().uordblks < before + (size_t)(CONNECTIONS - WARM_UP) / 2 * PAYLOAD);
    assert_int_equal(clients_made, CONNECTIONS);
    assert_int_equal(clients_version, MQTTVERSION_3_1_1);
    assert_false(threads_ended);
    assert_int_equal(messages, CONNECTIONS);
    assert_int_equal(repeated, 0);
}

#define ATTEMPTS  60
#define BEGIN     20
#define LONG_USER 8000

/* MQTTAsync_connect() copies the proxy's URL, and a client of Paho's frees the last copy only.
 * Where mallinfo2() counts nothing, under AddressSanitizer, the copies are a leak to it. */
static void a_proxys_url_is_kept_once(void **state)
{
    struct paho *paho = *state;
    char user[LONG_USER + 1];
    char url[LONG_USER + 64];
    char problem[PAHO_PROBLEM_SIZE];
    struct paho_answer answer;
    size_t before = 0;
    unsigned port;
    int fd = reserve_port(&port);

    memset(user, 'u', LONG_USER);
    user[LONG_USER] = '\0';
    for (int i = 0; i < ATTEMPTS; i++) {
        bool tls = i % 2 == 1;
        struct paho_options options = {.uri = tls ? "ssl://localhost:1" : "tcp://localhost:1",
                                       .client_id = "id-test-01",
                                       .proxy_url = url,
                                       .tls = tls,
                                       .version = PAHO_MQTT_3_1_1,
                                       .keepalive_s = 60,
                                       .connect_timeout_s = 10};

        snprintf(url, sizeof(url), "%s://%s:p@127.0.0.1:%u", tls ? "https" : "http", user, port);
        if (i == BEGIN) {
            before = mallinfo2().uordblks;
        }
        assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_E_FAILED);
    }
    close(fd);
    assert_true(mallinfo2().uordblks < before + (size_t)(ATTEMPTS - BEGIN) / 2 * LONG_USER);
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
    const struct paho_options options = {
        .uri = "tcp://127.0.0.1:1", .client_id = "id-test-01", .version = PAHO_MQTT_3_1_1};
    const struct paho_handler handler = {.message = count_message, .released = count_release};
    char problem[256];

    log_open(LOG_TARGET_STDERR, NULL, LOG_CRIT, problem, sizeof(problem));
    paho_library_init();
    assert_int_equal(paho_new((struct paho **)state, &options, &handler), 0);
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
        cmocka_unit_test(a_message_that_comes_again_is_known),
        cmocka_unit_test(each_connection_has_a_client_of_its_own),
        cmocka_unit_test(a_proxys_url_is_kept_once),
        cmocka_unit_test(memory_is_zeroed),
    };

    return cmocka_run_group_tests_name("paho", tests, set_up, tear_down);
}
