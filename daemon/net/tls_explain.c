/*
 * Repeats a failed TLS handshake and describes in a sentence why it fails.
 *
 * TLS runs over memory buffers and this file moves the bytes: OpenSSL's own socket code knows no
 * deadline and raises SIGPIPE. The verify callback keeps the first refused certificate; the
 * server's first bytes are kept to recognise one that does not speak TLS. The sentence uses the
 * most specific of these findings.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/escape.h"
#include "base/moment.h"
#include "net/net.h"
#include "net/tls_certificate_internal.h"

/* The time that a TLS 1.3 server gets to refuse our certificate, which it checks after the
 * handshake.
 */
#define VERDICT_MS 2000

/* OpenSSL's error code for a received alert: this offset plus the alert's number (RFC 8446 §6). */
#define ALERT(number) (SSL_AD_REASON_OFFSET + (number))

enum ending { ENDED_WELL, ENDED_BY_TLS, ENDED_BY_PEER, ENDED_BY_TIME, ENDED_BY_ERRNO };

struct handshake {
    int fd;
    int64_t deadline_ms;
    SSL_CTX *context;
    SSL *ssl;
    BIO *from_peer; /* owned by ssl */
    BIO *to_peer;

    char first[48]; /* the server's first bytes */
    size_t first_length;
    bool certificate_wanted; /* the server asked for ours */
    int io_errno;
    unsigned long tls_error; /* of ERR_get_error(3); 0: none */

    int verify_error; /* X509_V_ERR_*, of the first certificate refused */
    int verify_depth;
    X509 *culprit;
    int64_t expiry_ms;
};

/* The arguments of tls_explain(), for the sentences. */
struct question {
    const char *host;
    const char *ca_file;
    const char *cert_file;
    int timeout_ms;
};

/* --- moving bytes --- */

/* Returns true when the socket is ready in time. */
static bool wait_for(const struct handshake *handshake, short events)
{
    struct pollfd waiting = {.fd = handshake->fd, .events = events};
    int ready;

    do {
        int64_t left_ms = handshake->deadline_ms - clock_monotonic_ms();

        ready = poll(&waiting, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static enum ending send_pending(struct handshake *handshake)
{
    char bytes[4096];
    int length;

    while ((length = BIO_read(handshake->to_peer, bytes, sizeof(bytes))) > 0) {
        for (int sent = 0; sent < length;) {
            ssize_t now = send(handshake->fd, bytes + sent, (size_t)(length - sent),
                               MSG_NOSIGNAL | MSG_DONTWAIT);

            if (now >= 0) {
                sent += (int)now;
            } else if (errno == EAGAIN) {
                if (!wait_for(handshake, POLLOUT)) {
                    return ENDED_BY_TIME;
                }
            } else if (errno != EINTR) {
                handshake->io_errno = errno;
                return ENDED_BY_ERRNO;
            }
        }
    }
    return ENDED_WELL;
}

static enum ending receive_some(struct handshake *handshake)
{
    char bytes[4096];
    ssize_t length;

    do {
        if (!wait_for(handshake, POLLIN)) {
            return ENDED_BY_TIME;
        }
        length = recv(handshake->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    } while (length < 0 && (errno == EAGAIN || errno == EINTR));
    if (length == 0 || (length < 0 && errno == ECONNRESET)) {
        return ENDED_BY_PEER;
    }
    if (length < 0) {
        handshake->io_errno = errno;
        return ENDED_BY_ERRNO;
    }
    for (ssize_t i = 0; i < length && handshake->first_length < sizeof(handshake->first); i++) {
        handshake->first[handshake->first_length++] = bytes[i];
    }
    BIO_write(handshake->from_peer, bytes, (int)length);
    return ENDED_WELL;
}

static enum ending shake_hands(struct handshake *handshake)
{
    for (;;) {
        int result;
        int error;
        enum ending ending;

        ERR_clear_error();
        result = SSL_do_handshake(handshake->ssl);
        error = SSL_get_error(handshake->ssl, result);
        handshake->tls_error = ERR_peek_error();
        ending = send_pending(handshake);
        if (result == 1) {
            return ending;
        }
        if (error != SSL_ERROR_WANT_READ) {
            return ENDED_BY_TLS;
        }
        /* A peer that refuses us closes its end while we still write: read its alert first.
         */
        if (ending == ENDED_BY_TIME) {
            return ending;
        }
        ending = receive_some(handshake);
        if (ending != ENDED_WELL) {
            return ending;
        }
    }
}

/*
 * In TLS 1.3 the client's handshake ends before the server has checked the client's certificate. A
 * server that refuses it sends an alert, one that accepts it usually sends session tickets.
 */
static enum ending await_verdict(struct handshake *handshake)
{
    int64_t limit_ms = clock_monotonic_ms() + VERDICT_MS;
    bool heard = false;

    if (handshake->deadline_ms > limit_ms) {
        handshake->deadline_ms = limit_ms;
    }
    for (;;) {
        char byte;
        int result;
        int error;
        enum ending ending;

        ERR_clear_error();
        result = SSL_read(handshake->ssl, &byte, 1);
        error = SSL_get_error(handshake->ssl, result);
        handshake->tls_error = ERR_peek_error();
        if (result > 0 || (heard && error == SSL_ERROR_WANT_READ)) {
            return ENDED_WELL;
        }
        if (error == SSL_ERROR_ZERO_RETURN) {
            return ENDED_BY_PEER;
        }
        if (error != SSL_ERROR_WANT_READ) {
            return ENDED_BY_TLS;
        }
        ending = receive_some(handshake);
        if (ending != ENDED_WELL) {
            return ending == ENDED_BY_TIME ? ENDED_WELL : ending;
        }
        heard = true;
    }
}

/* --- sentences --- */

/* Returns true when the server's first bytes are a TLS record (alert or handshake, version 3.x). */
static bool peer_speaks_tls(const struct handshake *handshake)
{
    return handshake->first_length >= 2 &&
           (handshake->first[0] == 0x15 || handshake->first[0] == 0x16) && handshake->first[1] == 3;
}

static void say_validity(const struct handshake *handshake, const char *which, const char *name,
                         char *problem)
{
    bool expired = handshake->verify_error == X509_V_ERR_CERT_HAS_EXPIRED;
    char date[MOMENT_SIZE];
    char today[MOMENT_SIZE];

    moment_date(tls_certificate_time_ms(expired ? X509_get0_notAfter(handshake->culprit)
                                                : X509_get0_notBefore(handshake->culprit)),
                date);
    moment_date(clock_wall_ms(), today);
    snprintf(problem, TLS_PROBLEM_SIZE, "%s \"%s\" %s %s (this machine's clock says %s)", which,
             name, expired ? "expired on" : "is not valid before", date, today);
}

/* Describes a chain that does not lead to an authority of ca_file. */
static void say_untrusted(const struct handshake *handshake, const struct question *question,
                          const char *which, const char *name, char *problem)
{
    char issuer[TLS_NAME_SIZE];

    switch (handshake->verify_error) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server's certificate \"%s\" is self-signed, and ca_file %.120s does not hold "
                 "it: set broker.ca_file to a copy of it if it is yours",
                 name, question->ca_file);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server's chain ends in \"%s\", which ca_file %.120s does not hold: set "
                 "broker.ca_file to a file with that authority's certificate",
                 name, question->ca_file);
        break;
    default:
        tls_certificate_name(X509_get_issuer_name(handshake->culprit), issuer);
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "%s \"%.90s\" was issued by \"%.90s\", which ca_file %.120s does not hold (or the "
                 "server does not send an intermediate certificate): set broker.ca_file to a file "
                 "with that authority's certificate",
                 which, name, issuer, question->ca_file);
        break;
    }
}

/* Describes why we refused a certificate. */
static void say_verification(const struct handshake *handshake, const struct question *question,
                             char *problem)
{
    const char *which = handshake->verify_depth == 0 ? "the server's certificate"
                                                     : "the certificate authority's certificate";
    char name[TLS_NAME_SIZE];
    char hosts[200];

    tls_certificate_name(X509_get_subject_name(handshake->culprit), name);
    switch (handshake->verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say_validity(handshake, which, name, problem);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        say_untrusted(handshake, question, which, name, problem);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        tls_certificate_hosts(handshake->culprit, hosts, sizeof(hosts));
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server's certificate is for %s and not for %.120s, the host asked for: set "
                 "broker.host to a name in the certificate, or have one made for this one",
                 hosts, question->host);
        break;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "%s \"%s\" has a key of %d bits, which is too weak (RSA: 2048 at least)", which,
                 name, EVP_PKEY_get_bits(X509_get0_pubkey(handshake->culprit)));
        break;
    case X509_V_ERR_CA_MD_TOO_WEAK:
        snprintf(problem, TLS_PROBLEM_SIZE, "%s \"%s\" is signed with %s, which is too weak", which,
                 name, OBJ_nid2ln(X509_get_signature_nid(handshake->culprit)));
        break;
    default:
        snprintf(problem, TLS_PROBLEM_SIZE, "%s \"%s\" is refused: %s", which, name,
                 X509_verify_cert_error_string(handshake->verify_error));
        break;
    }
}

/* Quotes the first bytes of a server that does not speak TLS; they often show the protocol. */
static void say_not_tls(const struct handshake *handshake, char *problem)
{
    char text[sizeof(handshake->first) + 1];
    char escaped[100];

    memcpy(text, handshake->first, handshake->first_length);
    text[handshake->first_length] = '\0';
    escape_line(escaped, sizeof(escaped), text);
    snprintf(problem, TLS_PROBLEM_SIZE,
             "the server does not speak TLS on this port (it sent \"%s\"): check port and tls",
             escaped);
}

/* Describes an alert of the server, or a TLS version or cipher mismatch. */
static void say_tls(const struct handshake *handshake, const struct question *question,
                    char *problem)
{
    const char *text = ERR_reason_error_string(handshake->tls_error);
    int reason =
        ERR_GET_LIB(handshake->tls_error) == ERR_LIB_SSL ? ERR_GET_REASON(handshake->tls_error) : 0;
    bool no_certificate = handshake->certificate_wanted && question->cert_file == NULL;

    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case ALERT(SSL_AD_PROTOCOL_VERSION):
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server's TLS is too old: it offers no TLS 1.2 or 1.3, the least that is "
                 "allowed");
        return;
    case SSL_R_DH_KEY_TOO_SMALL:
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server's Diffie-Hellman parameters are too weak (2048 bits at least)");
        return;
    default:
        break;
    }
    if (no_certificate && reason >= SSL_AD_REASON_OFFSET) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server demands a client certificate: set cert_file and key_file");
    } else if (handshake->certificate_wanted && reason >= SSL_AD_REASON_OFFSET) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server refuses the client certificate in cert_file %.120s: %s",
                 question->cert_file, text != NULL ? text : "unknown alert");
    } else if (reason == ALERT(SSL_AD_HANDSHAKE_FAILURE)) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server refuses the handshake: it has no TLS cipher in common with this side");
    } else {
        snprintf(problem, TLS_PROBLEM_SIZE, "the TLS handshake failed: %s",
                 text != NULL ? text : "unknown error");
    }
}

static void say(const struct handshake *handshake, enum ending ending,
                const struct question *question, char *problem)
{
    if (handshake->culprit != NULL) {
        say_verification(handshake, question, problem);
    } else if (handshake->first_length > 0 && !peer_speaks_tls(handshake)) {
        say_not_tls(handshake, problem);
    } else if (ending == ENDED_BY_TLS) {
        say_tls(handshake, question, problem);
    } else if (ending == ENDED_BY_PEER && handshake->certificate_wanted) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "the server closed the connection when it saw %s client certificate",
                 question->cert_file != NULL ? "our" : "no");
    } else if (ending == ENDED_BY_PEER) {
        snprintf(
            problem, TLS_PROBLEM_SIZE,
            "the server closed the connection during the TLS handshake: is this its TLS port?");
    } else if (ending == ENDED_BY_TIME) {
        snprintf(problem, TLS_PROBLEM_SIZE, "the server %s within %d ms",
                 handshake->first_length == 0 ? "did not answer the TLS handshake"
                                              : "did not end the TLS handshake",
                 question->timeout_ms);
    } else {
        snprintf(problem, TLS_PROBLEM_SIZE, "the TLS handshake failed: %s",
                 error_text(handshake->io_errno));
    }
}

static enum tls_result judge(const struct handshake *handshake, enum ending ending)
{
    if (ending == ENDED_WELL) {
        return TLS_OK;
    }
    return handshake->culprit != NULL || ending == ENDED_BY_TLS ||
                   (handshake->first_length > 0 && !peer_speaks_tls(handshake))
               ? TLS_E_REFUSED
               : TLS_E_BROKEN;
}

/* --- setting up --- */

static int on_verify(int accepted, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct handshake *handshake = SSL_get_app_data(ssl);
    X509 *culprit = X509_STORE_CTX_get_current_cert(store);

    handshake->expiry_ms =
        tls_certificate_time_ms(X509_get0_notAfter(X509_STORE_CTX_get0_cert(store)));
    if (!accepted && handshake->culprit == NULL) {
        handshake->verify_error = X509_STORE_CTX_get_error(store);
        handshake->verify_depth = X509_STORE_CTX_get_error_depth(store);
        if (culprit == NULL) {
            culprit = X509_STORE_CTX_get0_cert(store);
        }
        if (X509_up_ref(culprit) == 1) {
            handshake->culprit = culprit;
        }
    }
    return accepted;
}

/* Called when the server asks for a client certificate. */
static int on_certificate_wanted(SSL *ssl, void *context)
{
    struct handshake *handshake = context;

    (void)ssl;
    handshake->certificate_wanted = true;
    return 1;
}

static bool set_up(struct handshake *handshake, const struct question *question,
                   const char *key_file)
{
    const char *cert_file = question->cert_file;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    handshake->context = context;
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, TLS_CIPHERS) != 1 ||
        SSL_CTX_load_verify_locations(context, question->ca_file, NULL) != 1) {
        return false;
    }
    if (cert_file != NULL &&
        (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, key_file != NULL ? key_file : cert_file,
                                     SSL_FILETYPE_PEM) != 1)) {
        return false;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_cert_cb(context, on_certificate_wanted, handshake);

    handshake->ssl = SSL_new(context);
    handshake->from_peer = BIO_new(BIO_s_mem());
    handshake->to_peer = BIO_new(BIO_s_mem());
    if (handshake->ssl == NULL || handshake->from_peer == NULL || handshake->to_peer == NULL) {
        BIO_free(handshake->from_peer);
        BIO_free(handshake->to_peer);
        return false;
    }
    SSL_set_bio(handshake->ssl, handshake->from_peer, handshake->to_peer);
    SSL_set_app_data(handshake->ssl, handshake);
    SSL_set_connect_state(handshake->ssl);
    return tls_expect_host(handshake->ssl, question->host);
}

enum tls_result tls_explain(int fd, const char *host, const char *ca_file, const char *cert_file,
                            const char *key_file, int timeout_ms, int64_t *expiry_ms,
                            char problem[TLS_PROBLEM_SIZE])
{
    struct handshake handshake = {.fd = fd, .deadline_ms = clock_monotonic_ms() + timeout_ms};
    const struct question question = {host, ca_file, cert_file, timeout_ms};
    enum ending ending = ENDED_BY_TLS;
    enum tls_result result;
    int64_t now_ms = clock_wall_ms();

    if (tls_check_ca_file(ca_file, now_ms, NULL, problem) != 0 ||
        (cert_file != NULL && tls_check_client(cert_file, key_file, now_ms, problem) != 0)) {
        return TLS_E_REFUSED;
    }
    ERR_clear_error();
    if (set_up(&handshake, &question, key_file)) {
        ending = shake_hands(&handshake);
        if (ending == ENDED_WELL && handshake.certificate_wanted &&
            SSL_version(handshake.ssl) >= TLS1_3_VERSION) {
            ending = await_verdict(&handshake);
        }
        if (ending == ENDED_WELL && SSL_shutdown(handshake.ssl) >= 0) {
            send_pending(&handshake);
        }
    } else {
        handshake.tls_error = ERR_peek_error();
    }
    if (ending != ENDED_WELL) {
        say(&handshake, ending, &question, problem);
    }
    result = judge(&handshake, ending);
    if (expiry_ms != NULL && handshake.expiry_ms != 0) {
        *expiry_ms = handshake.expiry_ms;
    }
    X509_free(handshake.culprit);
    SSL_free(handshake.ssl);
    SSL_CTX_free(handshake.context);
    ERR_clear_error();
    return result;
}
