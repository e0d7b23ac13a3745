/*
 * Certificates, read with OpenSSL so that an operator gets a sentence instead of an error code.
 *
 * Paho does the TLS of a session; it reports that a handshake failed, not why. tls_explain() does
 * the same handshake once more, sending nothing but it (no CONNECT, so no credentials), and says
 * what is wrong with which certificate. Any thread.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_PROBLEM_SIZE 512

/* What every connection asks of the peer, whatever the system's openssl.cnf says: security level
 * 2 means TLS 1.2 at least, keys of 112 bits at least, no SHA-1 signatures
 * (SSL_CTX_set_security_level(3)). */
#define TLS_CIPHERS "DEFAULT:@SECLEVEL=2"

/* What expires sooner is worth a word: a fortnight. */
#define TLS_EXPIRES_SOON_MS (INT64_C(14) * 24 * 3600 * 1000)

/* What a file of certificates holds. */
struct tls_certificates {
    int count;
    int expired;
    int64_t last_expiry_ms; /* when the last of them expires */
};

/* Told of one certificate: the name of its subject, safe for a terminal, and its dates. */
typedef void tls_each_function(void *context, const char *name, int64_t from_ms, int64_t until_ms);

/*
 * Call `each` for every certificate of a file (PEM), in its order. `key` is the one that names the
 * file. Returns 0, or 1 with `problem` set: it cannot be read, holds no certificate, or one of them
 * is damaged; those before it have been told then.
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
    TLS_E_REFUSED = 1, /* it cannot succeed: a certificate, a version, a file, or no TLS at all */
    TLS_E_BROKEN = 2,  /* it did not end this time: closed by the peer, no answer, network */
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

#endif
