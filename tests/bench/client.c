/*
 * The Paho client that the daemon is compared with, as a program with MQTTAsync usually looks.
 *
 * usage: client --port P --client-id ID [--ca FILE] [--qos 2] [--store DB]
 *
 * Without --store it stores nothing: the ceiling of the library. With it, the textbook way to lose
 * nothing: every message is parsed and committed before messageArrived returns, because Paho
 * acknowledges it then. Until SIGTERM.
 */
#include <MQTTAsync.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "client_options.h"
#include "mqtt/paho/lean_internal.h"

struct client {
    MQTTAsync handle;
    int qos;
    sqlite3 *db; /* NULL: store nothing */
    sqlite3_stmt *battery;
    sqlite3_stmt *temperature;
    uint64_t messages;
};

_Noreturn void paho_out_of_memory(void)
{
    _exit(EX_OSERR);
}

_Noreturn static void die(const char *what, const char *why)
{
    fprintf(stderr, "client: %s: %s\n", what, why);
    _exit(EX_SOFTWARE);
}

/* --- the store ----------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        die(sql, sqlite3_errmsg(db));
    }
    return statement;
}

static void open_store(struct client *client, const char *path)
{
    static const char schema[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE IF NOT EXISTS battery (device TEXT, time_ms INTEGER, voltage_v REAL,"
        " level_pct REAL, PRIMARY KEY (device, time_ms)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS temperature (device TEXT, time_ms INTEGER, celsius REAL,"
        " PRIMARY KEY (device, time_ms)) WITHOUT ROWID;";

    if (sqlite3_open(path, &client->db) != SQLITE_OK ||
        sqlite3_exec(client->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
        die(path, sqlite3_errmsg(client->db));
    }
    client->battery = prepare(client->db, "INSERT OR IGNORE INTO battery VALUES (?, ?, ?, ?)");
    client->temperature = prepare(client->db, "INSERT OR IGNORE INTO temperature VALUES (?, ?, ?)");
}

/* One message, one transaction. */
static void store(struct client *client, const char *payload, size_t length)
{
    json_t *body = json_loadb(payload, length, 0, NULL);
    json_t *battery = json_object_get(body, "battery");
    json_t *temperature = json_object_get(body, "temperature");
    sqlite3_stmt *statement = battery != NULL ? client->battery : client->temperature;

    if (body == NULL) {
        die("JSON", "not understood");
    }
    sqlite3_bind_text(statement, 1, json_string_value(json_object_get(body, "deviceId")), -1,
                      SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 2, json_integer_value(json_object_get(body, "timeMs")));
    if (battery != NULL) {
        sqlite3_bind_double(statement, 3, json_number_value(json_object_get(battery, "voltage")));
        sqlite3_bind_double(statement, 4, json_number_value(json_object_get(battery, "level")));
    } else {
        sqlite3_bind_double(statement, 3,
                            json_number_value(json_object_get(temperature, "celsius")));
    }
    if (sqlite3_step(statement) != SQLITE_DONE) {
        die("INSERT", sqlite3_errmsg(client->db));
    }
    sqlite3_reset(statement);
    json_decref(body);
}

/* --- Paho ---------------------------------------------------------------------------------- */

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    struct client *client = context;

    (void)topic_length;
    client->messages++;
    if (client->db != NULL) {
        store(client, message->payload, (size_t)message->payloadlen);
    }
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    die("refused", data != NULL && data->message != NULL ? data->message : "no reason");
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    struct client *client = context;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;

    (void)data;
    response.onFailure = on_failure;
    MQTTAsync_subscribe(client->handle, "foxtrackr/#", client->qos, &response);
}

static void on_lost(void *context, char *cause)
{
    (void)context;
    die("connection lost", cause != NULL ? cause : "");
}

static void connect_to(struct client *client, const struct client_options *from)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
    char uri[64];

    snprintf(uri, sizeof(uri), "%s://localhost:%d", from->ca != NULL ? "ssl" : "tcp", from->port);
    MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_ERROR);
    if (MQTTAsync_create(&client->handle, uri, from->client_id, MQTTCLIENT_PERSISTENCE_NONE,
                         NULL) != MQTTASYNC_SUCCESS ||
        MQTTAsync_setCallbacks(client->handle, client, on_lost, on_message, NULL) !=
            MQTTASYNC_SUCCESS) {
        die(uri, "Paho would not");
    }
    ssl.trustStore = from->ca;
    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.cleansession = 0;
    options.keepAliveInterval = 60;
    options.ssl = from->ca != NULL ? &ssl : NULL;
    options.onSuccess = on_connected;
    options.onFailure = on_failure;
    options.context = client;
    if (MQTTAsync_connect(client->handle, &options) != MQTTASYNC_SUCCESS) {
        die(uri, "cannot connect");
    }
}

int main(int argc, char **argv)
{
    struct client_options options = {.qos = 2};
    struct client client = {0};
    sigset_t signals;
    int number;

    if (!client_options_parse(argc, argv,
                              "client --port P --client-id ID [--ca FILE] [--qos 2] [--store DB]",
                              &options)) {
        return EX_USAGE;
    }
    client.qos = options.qos;
    if (options.store != NULL) {
        open_store(&client, options.store);
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    connect_to(&client, &options);
    sigwait(&signals, &number);
    printf("%" PRIu64 " messages\n", client.messages);
    fflush(stdout);
    _exit(EX_OK); /* the broker keeps the session */
}
