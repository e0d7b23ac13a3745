/* The network: names and sockets, and TLS before and around Paho. */
#ifndef NET_NET_H
#define NET_NET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* --- dial -------------------------------------------------------------------------------- */

/*
 * Name resolution and TCP connections, with errors that a person can act on. Any thread; blocks.
 *
 * A host may have several addresses, and an address can fail at every stage: TCP, the TLS
 * handshake, CONNECT. So the caller resolves once an attempt, and goes on to another address after
 * any failure: through the list itself, or with dial_race(). A struct dial_history records between
 * attempts which address to try first.
 */

#define DIAL_PROBLEM_SIZE  256
#define DIAL_NAME_SIZE     80
#define DIAL_ADDRESSES_MAX 16

/* The host that is dialled, for the advice in a problem. */
enum dial_peer { DIAL_BROKER, DIAL_PROXY };

/* One address of a host. */
struct dial_address {
    struct sockaddr_storage socket;
    socklen_t length;          /* of `socket`; 0: none */
    char name[DIAL_NAME_SIZE]; /* with the port: "192.0.2.7:8883", "[2001:db8::1]:8883" */
    enum dial_peer peer;
};

struct dial_list {
    struct dial_address entries[DIAL_ADDRESSES_MAX];
    size_t count; /* at least 1 */
};

/* The results of earlier attempts at a host's addresses; zeroed: none. */
struct dial_history {
    struct dial_address good; /* the last address that worked: tried first */
    struct dial_address bad;  /* the last address that accepted TCP and then failed: tried last */
};

/*
 * Resolve the addresses of a host, without a cache, in the order in which to try them: that of the
 * resolver (RFC 6724), changed by `history` unless that is NULL. Addresses beyond
 * DIAL_ADDRESSES_MAX are dropped. The wait for a name server is not interrupted. Returns 0 and
 * fills *out, or -1 with `problem` set.
 */
int dial_resolve(enum dial_peer peer, const char *host, int port,
                 const struct dial_history *history, struct dial_list *out,
                 char problem[DIAL_PROBLEM_SIZE]);

/*
 * Connect to one address within timeout_ms. `stop_fd` ends the attempt when it becomes readable
 * (-1: none). Returns a connected, non-blocking, close-on-exec socket that the caller owns, or -1
 * with errno set, and `problem` to the reason without the address (to "" when stop_fd ended it).
 */
int dial_connect(const struct dial_address *address, int timeout_ms, int stop_fd,
                 char problem[DIAL_PROBLEM_SIZE]);

/*
 * Tells of an address of a race: EINPROGRESS when it does not answer yet and the next one is
 * started beside it, with `problem` ""; else it is over, with its errno and the reason without the
 * address. `index` is its place in the list.
 */
typedef void dial_tell_fn(void *context, size_t index, int error, const char *problem);

/* One attempt to reach a host at any of its addresses. */
struct dial_race {
    const struct dial_list *list;
    int head_start_ms; /* of each address over the next one */
    int timeout_ms;    /* of each address */
    int stop_fd;       /* ends the race when it becomes readable; -1: none */
    dial_tell_fn *tell;
    void *context;                    /* of `tell` */
    bool is_over[DIAL_ADDRESSES_MAX]; /* not to be tried any more; the caller may set this too */
};

enum {
    DIAL_RACE_LOST = -2,    /* every address is over */
    DIAL_RACE_STOPPED = -3, /* stop_fd became readable */
};

/*
 * Connect to the first address that answers, of those that are not over, in the order of the list.
 * The next one is started when the one before has failed, or has had its head start. Returns the
 * index of the connected address and sets *fd as dial_connect() returns it; addresses that have not
 * answered yet are closed, and are not over. Otherwise returns a value of the enum above.
 */
int dial_race(struct dial_race *race, int *fd);

/* Record that the address has worked: it is tried first from now on. */
void dial_remember_good(struct dial_history *history, const struct dial_address *address);

/* Record that the good address has failed: it is tried last from now on. */
void dial_remember_bad(struct dial_history *history);

/* Write the addresses, separated by commas and without their ports; "..." replaces those that do
 * not fit. */
void dial_list_text(const struct dial_list *list, char *out, size_t size);

/* --- host_identity ----------------------------------------------------------------------- */

/* The host that the broker's certificate must name, and SNI too if it is a name: broker.host
 * without its zone. Pure. */

#define HOST_IDENTITY_SIZE 256

struct host_identity {
    char name[HOST_IDENTITY_SIZE]; /* never with brackets, a zone or a dot at its end */
    bool is_address;               /* an IPv4 or IPv6 address, not a name */
};

/*
 * The identity of a host as the configuration writes it: a name, an IPv4 address, or an IPv6
 * address, which may have a zone ("fe80::1%eth0"). The zone names an interface of this machine and
 * no certificate holds it. Any thread; no errors: `host` passed the configuration's check.
 */
void host_identity(const char *host, struct host_identity *out);

/* --- proxy ------------------------------------------------------------------------------- */

/*
 * The way to a broker through a proxy: CONNECT of an HTTP proxy (RFC 9110 §9.3.6), or SOCKS 5 (RFC
 * 1928 and 1929). The proxy resolves the broker's name. User name and password travel to the proxy
 * in clear. Any thread.
 */

#define PROXY_PROBLEM_SIZE 384
#define PROXY_SECRET_MAX   255 /* bytes of a user name, and of a password (RFC 1929 §2) */

enum proxy_kind { PROXY_NONE, PROXY_HTTP, PROXY_SOCKS5 };

struct proxy {
    enum proxy_kind kind;
    const char *user;     /* NULL: none. PROXY_SECRET_MAX bytes at most, like the password */
    const char *password; /* NULL: none */
};

enum proxy_result {
    PROXY_OK = 0,
    PROXY_E_REFUSED = 1, /* by the proxy, or it has failed; another attempt may succeed */
    PROXY_STOPPED = 2,   /* stop_fd became readable */
};

/*
 * Ask the proxy at the other end of `fd`, a connected and non-blocking socket, for a connection to
 * `host` (as the configuration writes it; an IPv6 address loses its zone), within timeout_ms.
 * `stop_fd` ends the attempt when it becomes readable (-1: none). Reads no byte beyond the proxy's
 * answer: what follows is the broker's. With PROXY_NONE nothing is sent. The caller keeps and
 * closes the socket.
 *
 * Returns PROXY_OK; or another enum proxy_result with `problem` set to a sentence that names the
 * proxy, to "" when the attempt was stopped. No problem holds the password.
 */
enum proxy_result proxy_open(int fd, const struct proxy *proxy, const char *host, int port,
                             int timeout_ms, int stop_fd, char problem[PROXY_PROBLEM_SIZE]);

/* --- tls --------------------------------------------------------------------------------- */

/*
 * Certificates, read with OpenSSL so that an operator gets a sentence instead of an error code.
 *
 * Paho does the TLS of a session; it reports that a handshake failed, not why. tls_explain()
 * repeats the handshake and nothing else (no CONNECT, so no credentials), and says which
 * certificate is wrong and why. Any thread.
 */

#define TLS_PROBLEM_SIZE 512

/* The requirements on every peer, whatever the system's openssl.cnf says: security level 2 means
 * TLS 1.2 at least, keys of 112 bits at least, no SHA-1 signatures
 * (SSL_CTX_set_security_level(3)). */
#define TLS_CIPHERS "DEFAULT:@SECLEVEL=2"

/* A certificate that expires within a fortnight causes a warning. */
#define TLS_EXPIRES_SOON_MS (INT64_C(14) * 24 * 3600 * 1000)

/* The number and dates of the certificates of a file. */
struct tls_certificates {
    int count;
    int expired;
    int64_t last_expiry_ms; /* when the last of them expires */
};

/* Called for one certificate with the name of its subject, safe for a terminal, and its dates. */
typedef void tls_each_function(void *context, const char *name, int64_t from_ms, int64_t until_ms);

/*
 * Call `each` for every certificate of a file (PEM), in its order. `key` is the configuration key
 * that names the file. Returns 0, or 1 with `problem` set: it cannot be read, holds no certificate,
 * or one of them is damaged; `each` was then called for those before it.
 */
int tls_each_certificate(const char *key, const char *path, tls_each_function *each, void *context,
                         char problem[TLS_PROBLEM_SIZE]);

/*
 * Read a CA file or bundle (PEM). Returns 0 and fills *out (which may be NULL); or 1 with `problem`
 * set: it cannot be read, holds no certificate, or every certificate in it has expired. In the last
 * case *out is filled too; in the others it stays as it is.
 */
int tls_check_ca_file(const char *path, int64_t now_ms, struct tls_certificates *out,
                      char problem[TLS_PROBLEM_SIZE]);

/*
 * Read a client certificate and its private key (NULL: in the same file) and check that they
 * belong together and have not expired. Returns 0, or 1 with `problem` set.
 */
int tls_check_client(const char *cert_file, const char *key_file, int64_t now_ms,
                     char problem[TLS_PROBLEM_SIZE]);

/* When a client certificate expires. Returns 0 and sets *expiry_ms, or 1 with `problem` set. */
int tls_read_expiry(const char *cert_file, int64_t *expiry_ms, char problem[TLS_PROBLEM_SIZE]);

enum tls_result {
    TLS_OK = 0,
    TLS_E_REFUSED = 1, /* no retry can succeed: a certificate, a version, a file, or no TLS at
                        * all */
    TLS_E_BROKEN = 2,  /* this attempt failed: closed by the peer, no answer, network */
};

/*
 * Do the handshake on a connected, blocking socket and say why it fails. Takes at most
 * timeout_ms; the caller keeps and closes the socket. `expiry_ms` may be NULL; it gets the
 * server certificate's notAfter if one was sent. Returns TLS_OK, or another enum tls_result with
 * `problem` set to a sentence that names the certificate and the date or name concerned.
 */
enum tls_result tls_explain(int fd, const char *host, const char *ca_file, const char *cert_file,
                            const char *key_file, int timeout_ms, int64_t *expiry_ms,
                            char problem[TLS_PROBLEM_SIZE]);

/* --- tls_peer ---------------------------------------------------------------------------- */

/*
 * The peer of this process's TLS handshakes: sets the host that they expect and keeps the server's
 * certificate's date. Paho does the TLS of a session, but sends SNI for an address too, though SNI
 * is for names only (RFC 6066 §3), and has no call that returns the server's certificate. So an
 * OpenSSL callback runs at the beginning of each handshake, to set the host, and at the end of each
 * successful one.
 */

/* Install the callback: from now on every client handshake expects `host` (copied; as broker.host
 * has it). Once for the process, before its first connection and before any thread. */
void tls_peer_watch(const char *host);

/* Make an object, whose handshake has not begun, expect a certificate for this host, and send SNI
 * if the host is a name. Returns false when OpenSSL fails: then nothing may be sent. */
bool tls_expect_host(SSL *ssl, const char *host);

/* Returns when the certificate of the last accepted server expires, in ms since the epoch; 0: no
 * handshake has succeeded yet. Any thread. */
int64_t tls_peer_expiry_ms(void);

#endif
