/* The client of fake_mqtt.h: the functions of mqtt/mqtt.h. Those that wait for the broker do both
 * sides' work in the calling thread, which is the session's. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_mqtt_internal.h"
#include "shifted_clock.h"

struct fake_mqtt fake = {
    .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .stop_fd = -1};

/* --- packets -------------------------------------------------------------------------------- */

/* Calls the hook if it is for this packet. */
static void call_hook(const char *packet)
{
    void (*hook)(void *context) = NULL;

    pthread_mutex_lock(&fake.mutex);
    if (fake.hook_name != NULL && strncmp(packet, fake.hook_name, strlen(fake.hook_name)) == 0) {
        hook = fake.hook;
        fake.hook_name = NULL;
    }
    pthread_mutex_unlock(&fake.mutex);
    if (hook != NULL) {
        hook(fake.hook_context);
    }
}

/* Takes packets at the broker up to this one. */
static bool receive(const char *packet, int stop_fd)
{
    char line[FAKE_LINE_SIZE];

    do {
        if (!fake_link_read(&fake.link, stop_fd, line)) {
            return false;
        }
        fake_note_packet(line);
    } while (strcmp(line, packet) != 0);
    call_hook(packet);
    return true;
}

/* Sends a packet and waits until the broker has it; a stop ends the wait. */
static bool carry(const char *packet)
{
    return fake_link_write(&fake.link, packet) && receive(packet, fake.stop_fd);
}

/* --- CONNECT -------------------------------------------------------------------------------- */

static enum fake_answer next_answer(void)
{
    enum fake_answer answer = FAKE_KEPT;

    pthread_mutex_lock(&fake.mutex);
    if (fake.answers_used < fake.answers_given) {
        answer = fake.answers[fake.answers_used++];
    }
    fake.lost = false;
    fake.complaint[0] = '\0';
    fake.disconnect_code = 0;
    pthread_mutex_unlock(&fake.mutex);
    return answer;
}

static void wait_for(const bool *condition)
{
    pthread_mutex_lock(&fake.mutex);
    while (!*condition) {
        pthread_cond_wait(&fake.changed, &fake.mutex);
    }
    pthread_mutex_unlock(&fake.mutex);
}

/* Makes of a CONNECT that has arrived what a script's answer says. */
static int answer_connect(enum fake_answer answer, bool *session_present)
{
    switch (answer) {
    case FAKE_KEPT:
    case FAKE_NEW:
        if (fake_link_answer(&fake.link)) {
            *session_present = answer == FAKE_KEPT;
            fake.connected = true;
            return PAHO_OK;
        }
        break;
    case FAKE_BYPASS:
        *session_present = false;
        return PAHO_OK;
    case FAKE_REFUSED:
        return fake_link_answer(&fake.link) ? PAHO_E_REFUSED : PAHO_E_FAILED;
    case FAKE_VERSION:
        return fake_link_answer(&fake.link) ? PAHO_E_VERSION : PAHO_E_FAILED;
    case FAKE_OLD:
        return fake_link_answer(&fake.link) ? PAHO_E_OLD_ANSWER : PAHO_E_FAILED;
    case FAKE_TLS_ALERT:
        fake_link_answer(&fake.link);
        fake_close_at_broker();
        break;
    case FAKE_CLOSED:
        fake_close_at_broker();
        break;
    case FAKE_MALFORMED:
        fake_complain("the broker sent a malformed CONNACK");
        break;
    case FAKE_SILENT:
        shifted_clock_pass(fake.connect_timeout_s * INT64_C(1000));
        break;
    case FAKE_ABSENT:
        wait_for(fake.asks ? &fake.question_stopped : &fake.stopping);
        break;
    case FAKE_STUCK:
        wait_for(&fake.unstuck);
        break;
    }
    return PAHO_E_FAILED;
}

static const char *name_of_connect(const struct paho_options *options)
{
    if (options->version != PAHO_MQTT_5) {
        return "CONNECT";
    }
    return options->clean_session ? "ASK" : "CONNECT5";
}

/* The CONNACK that accepts a CONNECT. */
static struct paho_answer accept_connect(const struct paho_options *options, bool session_present)
{
    bool is_5 = options->version == PAHO_MQTT_5;

    return (struct paho_answer){
        .session_present = session_present,
        .keepalive_s = is_5 && fake.keepalive_s >= 0 ? fake.keepalive_s : options->keepalive_s,
        .session_expiry_s = !is_5                ? 0
                            : fake.expiry_s >= 0 ? (uint32_t)fake.expiry_s
                                                 : options->session_expiry_s,
        .has_said_expiry = is_5 && fake.expiry_s >= 0,
        .has_shared = true,
        .has_wildcards = true,
    };
}

/* Hands CONNACK over, as Paho's thread does. */
static void hand_over(struct paho *paho, const struct paho_answer *answer)
{
    void (*then)(void *context);
    void *context;

    if (paho->handler.accepted != NULL) {
        paho->handler.accepted(paho->handler.context, answer);
    }
    pthread_mutex_lock(&fake.mutex);
    then = fake.after_connack;
    context = fake.after_connack_context;
    fake.after_connack = NULL;
    pthread_mutex_unlock(&fake.mutex);
    if (then != NULL) {
        then(context);
    }
}

int paho_connect(struct paho *paho, const struct paho_options *options, struct paho_answer *answer,
                 char problem[PAHO_PROBLEM_SIZE])
{
    enum fake_answer scripted = next_answer();
    bool session_present = false;
    int result = PAHO_E_FAILED;

    fake.connect_timeout_s = options->connect_timeout_s;
    fake.asked_keepalive_s = options->keepalive_s;
    fake.asks = options->clean_session;
    fake.sent_connect = false;
    if (scripted == FAKE_BYPASS || (fake_link_open(&fake.link, options->proxy_url, options->uri) &&
                                    carry(name_of_connect(options)))) {
        fake.sent_connect = scripted != FAKE_TLS_ALERT;
        result = answer_connect(scripted, &session_present);
    }
    if (result == PAHO_OK) {
        *answer = accept_connect(options, session_present);
        hand_over(paho, answer);
    } else if (result == PAHO_E_VERSION || result == PAHO_E_OLD_ANSWER) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "the broker does not speak this version");
    } else if (result == PAHO_E_REFUSED) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "the broker does not let this client in");
    } else if (result == PAHO_E_FAILED && !paho_complaint(paho, problem)) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to CONNECT");
    }
    return result;
}

void paho_disconnect(struct paho *paho, int timeout_ms)
{
    (void)paho;
    (void)timeout_ms;
    if (fake.connected && fake_link_write(&fake.link, "DISCONNECT")) {
        receive("DISCONNECT", -1);
    }
    fake.connected = false;
    fake_link_close(&fake.link);
}

/* --- SUBSCRIBE ------------------------------------------------------------------------------ */

/* Returns the QoS that the script grants for a filter, `asked` at most, or one of its answers. */
static int grant_of(const char *filter, int asked)
{
    int granted = asked;

    pthread_mutex_lock(&fake.mutex);
    for (int i = 0; i < FAKE_GRANTS; i++) {
        if (fake.grants[i].filter != NULL && strcmp(fake.grants[i].filter, filter) == 0 &&
            fake.grants[i].qos < granted) {
            granted = fake.grants[i].qos;
        }
    }
    pthread_mutex_unlock(&fake.mutex);
    return granted;
}

int paho_subscribe(struct paho *paho, const char *filter, int qos, int *granted_qos,
                   char problem[PAHO_PROBLEM_SIZE])
{
    char packet[FAKE_LINE_SIZE];
    int granted;

    (void)paho;
    snprintf(packet, sizeof(packet), "SUBSCRIBE(%s,%d)", filter, qos);
    granted = carry(packet) ? grant_of(filter, qos) : FAKE_UNANSWERED;
    if (granted == FAKE_UNANSWERED || !fake_link_answer(&fake.link)) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "no answer to SUBSCRIBE to %s", filter);
        return PAHO_E_FAILED;
    }
    if (granted == FAKE_REFUSES) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "the broker refuses %s", filter);
        return PAHO_E_REFUSED;
    }
    *granted_qos = granted;
    return PAHO_OK;
}

int paho_unsubscribe(struct paho *paho, const char *filter)
{
    char packet[FAKE_LINE_SIZE];
    int granted;

    (void)paho;
    snprintf(packet, sizeof(packet), "UNSUBSCRIBE(%s)", filter);
    granted = carry(packet) ? grant_of(filter, 0) : FAKE_UNANSWERED;
    if (granted == FAKE_UNANSWERED || !fake_link_answer(&fake.link)) {
        return PAHO_E_FAILED;
    }
    return granted == FAKE_REFUSES ? PAHO_E_REFUSED : PAHO_OK;
}

/* --- waiting -------------------------------------------------------------------------------- */

enum paho_event paho_wait(struct paho *paho, int timeout_ms)
{
    enum paho_event event = PAHO_TIMEOUT;

    (void)paho;
    pthread_mutex_lock(&fake.mutex);
    if (!fake.lost && !fake.woken && !fake.stopping) {
        fake.waiting = true;
        fake.wait_ms = timeout_ms;
        fake.waits++;
        while (!fake.lost && !fake.woken && !fake.stopping && !fake.time_passes) {
            pthread_cond_wait(&fake.changed, &fake.mutex);
        }
        fake.waiting = false;
    }
    if (fake.woken || fake.stopping) {
        fake.woken = false;
        event = PAHO_WOKEN;
    } else if (fake.lost) {
        fake.lost = false;
        event = PAHO_LOST;
    }
    fake.time_passes = false;
    pthread_mutex_unlock(&fake.mutex);
    return event;
}

void paho_wake(struct paho *paho)
{
    (void)paho;
    fake_set(&fake.woken);
}

void paho_stop(struct paho *paho)
{
    const uint64_t one = 1;

    if (paho != fake.client) {
        fake_set(&fake.question_stopped);
        return;
    }
    (void)!write(fake.stop_fd, &one, sizeof(one));
    fake_set(&fake.stopping);
}

bool paho_complaint(struct paho *paho, char problem[PAHO_PROBLEM_SIZE])
{
    bool is_known;

    (void)paho;
    pthread_mutex_lock(&fake.mutex);
    is_known = fake.complaint[0] != '\0';
    if (is_known) {
        snprintf(problem, PAHO_PROBLEM_SIZE, "%s", fake.complaint);
    }
    pthread_mutex_unlock(&fake.mutex);
    return is_known;
}

bool paho_disconnect_reason(struct paho *paho, int *code, char sentence[PAHO_PROBLEM_SIZE])
{
    bool is_known;

    (void)paho;
    pthread_mutex_lock(&fake.mutex);
    is_known = fake.disconnect_code != 0;
    if (is_known) {
        *code = fake.disconnect_code;
        snprintf(sentence, PAHO_PROBLEM_SIZE, "%s", fake.disconnect);
        fake.disconnect_code = 0;
    }
    pthread_mutex_unlock(&fake.mutex);
    return is_known;
}

bool paho_sent_connect(struct paho *paho)
{
    (void)paho;
    return fake.sent_connect;
}

bool paho_speaks_5(void)
{
    return !fake.cannot_5;
}

/* --- the rest of the contract ---------------------------------------------------------------- */

int paho_new(struct paho **out, const struct paho_options *options,
             const struct paho_handler *handler)
{
    if (fake.fails_new) {
        fake.fails_new = false;
        return -1;
    }
    if (options->clean_session) {
        fake.question = *out = fake.fails_question ? NULL : calloc(1, sizeof(**out));
        fake.fails_question = fake.question_stopped = false;
        if (*out != NULL) {
            (*out)->handler = *handler;
        }
        return *out != NULL ? 0 : -1;
    }
    fake.client = calloc(1, sizeof(*fake.client));
    if (fake.client == NULL) {
        return -1;
    }
    fake.client->handler = *handler;
    fake.link = (struct fake_link){.paho_fd = -1, .broker_fd = -1};
    fake.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fake.connected = fake.lost = fake.woken = fake.stopping = false;
    *out = fake.client;
    return 0;
}

void paho_free(struct paho *paho)
{
    if (paho == NULL) {
        return;
    }
    fake_link_close(&fake.link);
    if (paho == fake.client) {
        close(fake.stop_fd);
        fake.stop_fd = -1;
        fake.client = NULL;
    } else {
        fake.question = NULL;
    }
    free(paho);
}

bool paho_checks_packets(void)
{
    return true;
}

bool paho_writes_at_once(bool tls)
{
    return tls;
}

void paho_set_relay(const struct paho_relay *relay)
{
    (void)relay;
}

void paho_flush(void)
{
}
