/* The status file and the metrics file: what they say of a session's protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status/file_internal.h"

#define FILE_SIZE 65536

static char host[] = "localhost";
static char database_path[] = "fox.db";
static char name[] = "";
static char client_id[] = "id-a-01";
static char filter[] = "a/#";
static char *filters[] = {filter};
static struct config config;
static struct status_snapshot snapshot;
static int granted[] = {2};

static int begin(void **state)
{
    (void)state;
    config.broker.host = host;
    config.database.path = database_path;
    config.session_count = 1;
    config.sessions[0].name = name;
    config.sessions[0].client_id = client_id;
    config.sessions[0].filters = filters;
    config.sessions[0].filter_count = 1;
    snapshot = (struct status_snapshot){.state = "subscribed", .session_count = 1};
    snapshot.granted[0] = granted;
    snapshot.sessions[0] = (struct session_status){.connected_since_ms = 1,
                                                   .protocol = PAHO_MQTT_5,
                                                   .receive_maximum = 1000,
                                                   .session_expiry_s = UINT32_MAX,
                                                   .keepalive_s = 20};
    return 0;
}

/* Returns the file of the snapshot, for free(). */
static char *written(enum own_file_kind kind)
{
    char path[] = "/tmp/foxtrackr-status.XXXXXX";
    char *text = calloc(1, FILE_SIZE);
    struct own_file file;
    FILE *stream;
    int fd = mkstemp(path);

    assert_non_null(text);
    assert_true(fd >= 0);
    close(fd);
    own_file_init(&file, path, kind, 0600);
    if ((kind == OWN_FILE_STATUS ? status_file_write_json(&file, &config, &snapshot)
                                 : status_file_write_metrics(&file, &config, &snapshot)) != 0) {
        fail_msg("%s", file.problem);
    }
    stream = fopen(path, "r");
    assert_non_null(stream);
    assert_true(fread(text, 1, FILE_SIZE - 1, stream) > 0);
    fclose(stream);
    own_file_remove(&file);
    return text;
}

/* Checks members of the session in the status file, as one line of JSON. */
static void assert_json(const char *expected)
{
    char *text = written(OWN_FILE_STATUS);
    json_t *root = json_loads(text, 0, NULL);
    const json_t *session = json_array_get(json_object_get(root, "sessions"), 0);
    char told[256];

    assert_non_null(session);
    told[0] = '\0';
    for (const char *member = "protocol\0receive_maximum\0session_expiry_ms\0"
                              "session_expiry_told\0keepalive_s\0";
         *member != '\0'; member += strlen(member) + 1) {
        const json_t *value = json_object_get(session, member);
        char *one = json_dumps(value, JSON_ENCODE_ANY);

        assert_non_null(one);
        snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s ", one);
        free(one);
    }
    assert_string_equal(told, expected);
    json_decref(root);
    free(text);
}

/* Checks that the metrics file has a session's sample; NULL: none. `label` is its second label. */
static void assert_metric(const char *metric, const char *label, const char *value)
{
    char *text = written(OWN_FILE_METRICS);
    char sample[256];

    snprintf(sample, sizeof(sample),
             "\nfoxtrackrd_%s{database=\"fox.db\",client_id=\"id-a-01\"%s} ", metric, label);
    if (value == NULL) {
        assert_null(strstr(text, metric));
    } else {
        strcat(sample, value);
        strcat(sample, "\n");
        if (strstr(text, sample) == NULL) {
            fail_msg("no %s in: %s", sample, text);
        }
    }
    free(text);
}

static void mqtt_5_with_what_was_agreed_on(void **state)
{
    (void)state;
    assert_json("\"5\" 1000 4294967295000 false 20 ");
    snapshot.sessions[0].has_said_expiry = true;
    assert_json("\"5\" 1000 4294967295000 true 20 ");
    assert_metric("session_protocol_info", ",protocol=\"5\"", "1");
    assert_metric("session_receive_maximum_messages", "", "1000");
    assert_metric("session_expiry_seconds", "", "4294967295");
}

static void mqtt_3_1_1_knows_no_window_and_no_expiry(void **state)
{
    (void)state;
    snapshot.sessions[0].protocol = PAHO_MQTT_3_1_1;
    assert_json("\"3.1.1\" null null null 20 ");
    assert_metric("session_protocol_info", ",protocol=\"3.1.1\"", "1");
    assert_metric("session_receive_maximum_messages", "", NULL);
    assert_metric("session_expiry_seconds", "", NULL);
}

static void a_session_without_a_connection_has_none(void **state)
{
    (void)state;
    snapshot.sessions[0].connected_since_ms = 0;
    assert_json("null null null null null ");
    assert_metric("session_protocol_info", "", NULL);
    assert_metric("session_receive_maximum_messages", "", NULL);
    assert_metric("session_expiry_seconds", "", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mqtt_5_with_what_was_agreed_on, begin),
        cmocka_unit_test_setup(mqtt_3_1_1_knows_no_window_and_no_expiry, begin),
        cmocka_unit_test_setup(a_session_without_a_connection_has_none, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
