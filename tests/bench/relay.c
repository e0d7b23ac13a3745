/*
 * A network with a delay, for kernels without netem: a relay that holds all bytes for a while in
 * each direction. One thread; it costs a system call or two for what arrives together.
 *
 * usage: relay --to PORT --delay-ms MS [--nagle] --port-file FILE --clock-file FILE
 *
 * --delay-ms is for one direction, so a round trip takes twice as long. TCP itself is not delayed:
 * both ends have their bytes acknowledged at once. On a real network that takes a round trip, and a
 * broker that leaves Nagle's algorithm on, as mosquitto does at its defaults, keeps a small segment
 * back until then. --nagle does that in its place (RFC 896), in the direction to the client. The
 * client's own segments are never kept back, whether it turns Nagle's algorithm off or not.
 *
 * The clock file holds a struct relay_clock, which is updated in place.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4 /* one is measured; the others show that the client has come again */
#define BUFFER_SIZE ((size_t)8 * 1024 * 1024)
#define CHUNKS      ((size_t)64 * 1024)
#define SEGMENT     ((size_t)1448) /* of TCP on Ethernet, with timestamps */
#define GREETINGS   2 /* a TLS 1.3 client speaks twice before the broker can send messages */

/* Written for others to read; CLOCK_MONOTONIC. */
struct relay_clock {
    int64_t begin_ns; /* the broker spoke after the client had spoken twice: CONNACK. 0: not yet */
    int64_t last_ns;  /* bytes were handed over last, in whichever direction */
    uint64_t to_client;
    uint64_t to_broker;
    uint64_t connections;
};

struct chunk {
    int64_t due_ns;
    size_t length;
};

/* Bytes under way from one socket to another: due, not yet due, and held by Nagle's algorithm. */
struct way {
    int from;
    int to;
    bool to_client;
    bool nagle;
    bool ended;              /* nothing more comes from `from` */
    bool passed;             /* and `to` was told so */
    bool blocked;            /* `to` takes no more for now */
    int64_t acknowledged_ns; /* when what was sent last is acknowledged, as on the network */
    uint64_t first;          /* positions in the stream; first <= due <= sent <= end */
    uint64_t due;
    uint64_t sent;
    uint64_t end;
    uint8_t *bytes;       /* a ring */
    struct chunk *chunks; /* a ring, of what was sent and is not due */
    size_t chunk_first;
    size_t chunk_count;
};

struct connection {
    bool taken;
    unsigned greetings;
    bool client_spoke_last;
    struct way ways[2]; /* to the broker, to the client */
};

static struct relay {
    int listen_fd;
    uint16_t to_port;
    int64_t delay_ns;
    bool nagle;
    struct relay_clock *clock;
    struct connection connections[CONNECTIONS];
} relay;

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- one way ------------------------------------------------------------------------------- */

static void way_open(struct way *way, int from, int to, bool to_client)
{
    uint8_t *bytes = way->bytes != NULL ? way->bytes : malloc(BUFFER_SIZE);
    struct chunk *chunks = way->chunks != NULL ? way->chunks : calloc(CHUNKS, sizeof(*chunks));

    if (bytes == NULL || chunks == NULL) {
        fputs("relay: out of memory\n", stderr);
        exit(EX_OSERR);
    }
    *way = (struct way){.from = from,
                        .to = to,
                        .to_client = to_client,
                        .nagle = to_client && relay.nagle,
                        .bytes = bytes,
                        .chunks = chunks};
}

static bool has_room(const struct way *way)
{
    return !way->ended && way->end - way->first < BUFFER_SIZE && way->chunk_count < CHUNKS;
}

/* Send up to `end`: from now on it is on the network. */
static void depart(struct way *way, uint64_t end, int64_t now)
{
    way->chunks[(way->chunk_first + way->chunk_count++) % CHUNKS] =
        (struct chunk){.due_ns = now + relay.delay_ns, .length = (size_t)(end - way->sent)};
    way->sent = end;
    way->acknowledged_ns = now + 2 * relay.delay_ns;
}

/* Send what may leave: all, or with Nagle's algorithm whole segments, and the rest when nothing is
 * unacknowledged. */
static void send_on(struct way *way, int64_t now)
{
    uint64_t whole = (way->end - way->sent) / SEGMENT * SEGMENT;

    if (way->end == way->sent || way->chunk_count == CHUNKS) {
        return;
    }
    if (!way->nagle || now >= way->acknowledged_ns) {
        depart(way, way->end, now);
    } else if (whole > 0) {
        depart(way, way->sent + whole, now);
    }
}

static void let_due(struct way *way, int64_t now)
{
    while (way->chunk_count > 0 && way->chunks[way->chunk_first].due_ns <= now) {
        way->due += way->chunks[way->chunk_first].length;
        way->chunk_first = (way->chunk_first + 1) % CHUNKS;
        way->chunk_count--;
    }
}

/* False: the peer has gone with an error. */
static bool read_some(struct way *way, int64_t now)
{
    const int on = 1;
    size_t at = (size_t)(way->end % BUFFER_SIZE);
    size_t room = BUFFER_SIZE - (size_t)(way->end - way->first);
    ssize_t got = recv(way->from, way->bytes + at,
                       room < BUFFER_SIZE - at ? room : BUFFER_SIZE - at, MSG_DONTWAIT);

    if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    /* Not to wait for data to acknowledge with, for up to 40 ms; Linux forgets it again. */
    setsockopt(way->from, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    way->ended = got == 0;
    way->end += (uint64_t)got;
    send_on(way, now);
    return true;
}

/* Hand over what is due. False: the peer has gone. */
static bool write_due(struct way *way, int64_t now)
{
    way->blocked = false;
    while (way->first < way->due) {
        size_t at = (size_t)(way->first % BUFFER_SIZE);
        size_t there = (size_t)(way->due - way->first);
        ssize_t sent =
            send(way->to, way->bytes + at, there < BUFFER_SIZE - at ? there : BUFFER_SIZE - at,
                 MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0) {
            way->blocked = errno == EAGAIN;
            return way->blocked || errno == EINTR;
        }
        way->first += (uint64_t)sent;
        *(way->to_client ? &relay.clock->to_client : &relay.clock->to_broker) += (uint64_t)sent;
        relay.clock->last_ns = now;
    }
    if (way->ended && !way->passed && way->first == way->end) {
        way->passed = true;
        shutdown(way->to, SHUT_WR);
    }
    return true;
}

/* When the way has to be looked at again; INT64_MAX: when bytes come. */
static int64_t way_next_ns(const struct way *way)
{
    int64_t next = way->chunk_count > 0 ? way->chunks[way->chunk_first].due_ns : INT64_MAX;

    if (way->end > way->sent && way->acknowledged_ns < next) {
        next = way->acknowledged_ns;
    }
    return next;
}

/* --- connections --------------------------------------------------------------------------- */

static void connection_close(struct connection *connection)
{
    close(connection->ways[0].from);
    close(connection->ways[0].to);
    connection->taken = false;
}

static void accept_one(void)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(relay.to_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = accept4(relay.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct connection *connection = relay.connections;

    while (connection < relay.connections + CONNECTIONS && connection->taken) {
        connection++;
    }
    if (client < 0 || broker < 0 || connection == relay.connections + CONNECTIONS ||
        connect(broker, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(client);
        close(broker);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(broker, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->taken = true;
    connection->greetings = 0;
    connection->client_spoke_last = false;
    way_open(&connection->ways[0], client, broker, false);
    way_open(&connection->ways[1], broker, client, true);
    relay.clock->connections++;
}

/* Note who spoke, to know when the broker's messages begin. */
static void note_speaker(struct connection *connection, bool client, int64_t now)
{
    if (client && !connection->client_spoke_last) {
        connection->greetings++;
    }
    connection->client_spoke_last = client;
    if (!client && connection->greetings >= GREETINGS && relay.clock->begin_ns == 0) {
        relay.clock->begin_ns = now;
    }
}

static void serve(struct connection *connection, const struct pollfd *polled)
{
    int64_t now = now_ns();
    bool alive = true;

    for (int i = 0; i < 2 && alive; i++) {
        struct way *way = &connection->ways[i];

        if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && has_room(way)) {
            uint64_t before = way->end;

            alive = read_some(way, now);
            if (way->end > before) {
                note_speaker(connection, !way->to_client, now);
            }
        }
        send_on(way, now);
        let_due(way, now);
        alive = alive && write_due(way, now);
    }
    if (!alive || (connection->ways[0].passed && connection->ways[1].passed)) {
        connection_close(connection);
    }
}

/* Until when to wait; NULL: for bytes alone. */
static const struct timespec *pause_for(struct timespec *out)
{
    int64_t next = INT64_MAX;
    int64_t left;

    for (int i = 0; i < CONNECTIONS; i++) {
        for (int j = 0; j < 2 && relay.connections[i].taken; j++) {
            int64_t each = way_next_ns(&relay.connections[i].ways[j]);

            next = each < next ? each : next;
        }
    }
    if (next == INT64_MAX) {
        return NULL;
    }
    left = next - now_ns();
    left = left > 0 ? left : 0;
    *out = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    return out;
}

/* Say what to wait for on both sockets of a connection. */
static void watch(const struct connection *connection, struct pollfd *polled)
{
    const struct way *ways = connection->ways;

    for (int i = 0; i < 2; i++) {
        short events = 0;

        if (connection->taken && has_room(&ways[i])) {
            events |= POLLIN;
        }
        if (connection->taken && ways[1 - i].blocked) {
            events |= POLLOUT;
        }
        /* A socket whose end was read would be ready for ever. */
        polled[i] = (struct pollfd){.fd = events != 0 ? ways[i].from : -1, .events = events};
    }
}

/* For ever. */
static void run(void)
{
    struct pollfd polled[2 * CONNECTIONS + 1];
    struct timespec pause;

    for (;;) {
        for (size_t i = 0; i < CONNECTIONS; i++) {
            watch(&relay.connections[i], polled + 2 * i);
        }
        polled[2 * CONNECTIONS] = (struct pollfd){.fd = relay.listen_fd, .events = POLLIN};
        if (ppoll(polled, 2 * CONNECTIONS + 1, pause_for(&pause), NULL) < 0) {
            perror("relay: ppoll");
            exit(EX_OSERR);
        }
        for (size_t i = 0; i < CONNECTIONS; i++) {
            if (relay.connections[i].taken) {
                serve(&relay.connections[i], polled + 2 * i);
            }
        }
        if (polled[2 * CONNECTIONS].revents != 0) {
            accept_one();
        }
    }
}

/* --- the command line ---------------------------------------------------------------------- */

static int set_up(const char *port_file, const char *clock_file)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int clock_fd = open(clock_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char temporary[4096];
    FILE *file;

    prctl(PR_SET_TIMERSLACK, 1UL); /* ns; a thread is woken up to 50 µs late otherwise */
    if (clock_fd < 0 || ftruncate(clock_fd, sizeof(*relay.clock)) != 0) {
        perror(clock_file);
        return -1;
    }
    relay.clock = mmap(NULL, sizeof(*relay.clock), PROT_READ | PROT_WRITE, MAP_SHARED, clock_fd, 0);
    close(clock_fd);
    relay.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay.clock == MAP_FAILED || relay.listen_fd < 0 ||
        bind(relay.listen_fd, (struct sockaddr *)&address, length) != 0 ||
        listen(relay.listen_fd, CONNECTIONS) != 0 ||
        getsockname(relay.listen_fd, (struct sockaddr *)&address, &length) != 0) {
        perror("relay: cannot listen");
        return -1;
    }
    snprintf(temporary, sizeof(temporary), "%s.new", port_file);
    file = fopen(temporary, "w");
    if (file == NULL || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0 ||
        rename(temporary, port_file) != 0) {
        perror(port_file);
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"to", required_argument, NULL, 't'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"nagle", no_argument, NULL, 'n'},
        {"port-file", required_argument, NULL, 'p'},
        {"clock-file", required_argument, NULL, 'c'},
        {0},
    };
    const char *port_file = NULL;
    const char *clock_file = NULL;
    double delay_ms = -1;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 't':
            relay.to_port = (uint16_t)atoi(optarg);
            break;
        case 'd':
            delay_ms = atof(optarg);
            break;
        case 'n':
            relay.nagle = true;
            break;
        case 'p':
            port_file = optarg;
            break;
        case 'c':
            clock_file = optarg;
            break;
        default:
            return EX_USAGE;
        }
    }
    if (optind < argc || relay.to_port == 0 || !(delay_ms >= 0 && delay_ms <= 10000) ||
        port_file == NULL || clock_file == NULL) {
        fputs("usage: relay --to PORT --delay-ms MS [--nagle] --port-file FILE --clock-file FILE\n",
              stderr);
        return EX_USAGE;
    }
    relay.delay_ns = (int64_t)(delay_ms * 1e6);
    if (set_up(port_file, clock_file) != 0) {
        return EX_OSERR;
    }
    run();
}
