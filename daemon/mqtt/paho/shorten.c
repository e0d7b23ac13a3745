/*
 * Reads a large PUBLISH in Paho's place, so that nobody holds the whole of it.
 *
 * Paho takes memory for all of a packet before it reads it, and with MQTT 3.1.1 keeps a copy of the
 * payload until PUBREL: a broker with a window of 1,000 could make it hold 250 GiB. Of a payload
 * longer than parser.max_payload the database keeps the beginning, the length and the digest. So
 * a PUBLISH whose remaining length is above that limit is read here, in pieces, and fed to a cut
 * (mqtt/paho/cut.c). Paho gets a small PUBLISH in its place, the stand-in, with the same first byte
 * and packet identifier. Its topic is 16 random bytes in hexadecimal that no other process has; its
 * payload is one byte, because Paho drops a message for whose payload malloc(0) gives NULL. When
 * Paho passes the stand-in on, mqtt/client_messages.c puts the message in its place.
 *
 * Paho asks for a packet in the order that mqtt/paho/check.c describes: header, then the rest. It
 * gets the header of the stand-in, each time when it begins again. The rest of the large packet is
 * read with WebSocket_getdata(), PIECE bytes at a time:
 *  - A whole piece is fed to the cut. Paho has then forgotten the header that the broker sent.
 *  - Of a piece of which only a part is there, Paho keeps that part. The same length must be asked
 *    for again.
 *  - When nothing more is there, or ROUND bytes were read, Paho is told that nothing of the
 *    stand-in is there. Paho notes that the broker is alive, turns to its other connections, and
 *    comes again when there is more. It finds bytes that OpenSSL holds by SSL_pending() after a
 *    whole piece, and by mqtt/paho/ahead.c after a part.
 *
 * Must never happen: a stand-in is taken for a message, or a message for a stand-in; a byte of a
 * large PUBLISH is taken for a header. mqtt/client_messages.c ends the process where the topic of a
 * stand-in comes without a message for it, or a message without its stand-in.
 *
 * Relies on: what check.c relies on; SocketBuffer_getQueuedData() and its like of Paho 1.3, which
 * keep a part of a piece, and take other lengths in a row. Proved on Paho 1.3.12-1 (Debian 12) and
 * 1.3.14-2 (Debian 13). Checked when the program is built: mqtt/paho/probe.c takes a large message
 * through Paho.
 *
 * Threads. The limit may be set by any thread. The rest is under Paho's global lock, which it holds
 * when it reads, calls back and closes a connection.
 */
#include "mqtt/paho/shorten_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "mqtt/paho/lean_internal.h"

#define PIECE       16384   /* a record of TLS has as much */
#define ROUND       262144U /* bytes: then other connections are served */
#define NAME_BYTES  16
#define NAME_LENGTH 32 /* those in hexadecimal */

_Static_assert(2 + NAME_LENGTH + 2 + 1 + 1 == PAHO_SHORTEN_STAND_IN, "the longest: MQTT 5, QoS 2");
_Static_assert(PAHO_SHORTEN_STAND_IN < 128, "the length of a stand-in needs one byte");

/* Paho's own, with void for its types. */
char *WebSocket_getdata(void *net, size_t bytes, size_t *actual);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char name[NAME_LENGTH]; /* never changed after it was made */
static atomic_bool is_named;
static atomic_size_t limit = SIZE_MAX; /* lowered after the name was made */

/* Under the mutex. Returns false when the system has no random bytes. */
static bool make_name(void)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[NAME_BYTES];

    if (atomic_load(&is_named)) {
        return true;
    }
    if (getentropy(bytes, sizeof(bytes)) != 0) {
        return false;
    }
    for (size_t i = 0; i < NAME_BYTES; i++) {
        name[2 * i] = digits[bytes[i] >> 4];
        name[2 * i + 1] = digits[bytes[i] & 15];
    }
    atomic_store(&is_named, true);
    return true;
}

/* Without random bytes nothing is shortened: that costs memory, and a stand-in whose topic can be
 * guessed could cost a message. */
void paho_shorten_limit(size_t bytes)
{
    pthread_mutex_lock(&mutex);
    if (make_name()) {
        atomic_store(&limit, bytes);
    }
    pthread_mutex_unlock(&mutex);
}

bool paho_shorten_applies(unsigned char first, size_t length)
{
    return first >> 4 == MQTT_PUBLISH && length > atomic_load(&limit);
}

bool paho_shorten_is_stand_in(const char *topic, size_t length)
{
    return length == NAME_LENGTH && atomic_load(&is_named) && memcmp(topic, name, NAME_LENGTH) == 0;
}

static size_t put_number(char *out, unsigned number)
{
    out[0] = (char)(number >> 8);
    out[1] = (char)(number & 0xFF);
    return 2;
}

/* A PUBLISH without its header (MQTT 5 §3.3.2). finish() sets its identifier. */
static void make_stand_in(struct paho_shorten *shorten, enum mqtt_version version)
{
    char *out = shorten->stand_in;
    size_t length = put_number(out, NAME_LENGTH);

    memcpy(out + length, name, NAME_LENGTH);
    length += NAME_LENGTH;
    if ((shorten->header[0] & 6) != 0) {
        length += put_number(out + length, 0);
    }
    if (version == MQTT_5) {
        out[length++] = 0; /* no properties */
    }
    out[length++] = '-';
    shorten->stand_in_length = length;
}

void paho_shorten_begin(struct paho_shorten *shorten, enum mqtt_version version,
                        unsigned char first, size_t length)
{
    *shorten = (struct paho_shorten){.header = {first}};
    make_stand_in(shorten, version);
    shorten->header[1] = (unsigned char)shorten->stand_in_length;
    shorten->cut = mqtt_cut_new(version, first, length, atomic_load(&limit));
    if (shorten->cut == NULL) {
        paho_out_of_memory();
    }
}

/* All bytes have come. */
static void finish(struct paho_shorten *shorten)
{
    if (mqtt_cut_end(shorten->cut, &shorten->message) != 0) {
        paho_out_of_memory();
    }
    if (shorten->message.qos > 0) {
        put_number(shorten->stand_in + 2 + NAME_LENGTH, shorten->message.id);
    }
    shorten->is_whole = true;
}

enum paho_shorten_result paho_shorten_read(struct paho_shorten *shorten, void *net,
                                           atomic_uint *pieces,
                                           char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    size_t had = SIZE_MAX; /* bytes of the present piece at the last look */

    problem[0] = '\0';
    for (size_t read = 0; read < ROUND;) {
        size_t left = mqtt_cut_left(shorten->cut);
        size_t asked = left < PIECE ? left : PIECE; /* the same until a whole piece has come */
        size_t got = 0;
        char *data = WebSocket_getdata(net, asked, &got);

        if (data == NULL) {
            return PAHO_SHORTEN_FAILED;
        }
        if (got < asked && (got == had || got == 0)) {
            return PAHO_SHORTEN_PART;
        }
        (*pieces)++;
        if (got < asked) {
            had = got; /* the rest may be in the next record of TLS */
            continue;
        }
        if (mqtt_cut_feed(shorten->cut, (const unsigned char *)data, got, problem) !=
            MQTT_PACKET_OK) {
            return PAHO_SHORTEN_FAILED;
        }
        read += got;
        had = SIZE_MAX;
        if (mqtt_cut_left(shorten->cut) == 0) {
            finish(shorten);
            return PAHO_SHORTEN_WHOLE;
        }
    }
    return PAHO_SHORTEN_PART;
}

void paho_shorten_end(struct paho_shorten *shorten)
{
    mqtt_cut_free(shorten->cut);
    *shorten = (struct paho_shorten){0};
}
