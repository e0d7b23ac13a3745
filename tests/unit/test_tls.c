/* Real handshakes over a socket pair against servers with something wrong with each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net.h"

#define DAY_S      86400L
#define TIMEOUT_MS 10000

static char directory[] = "/tmp/test_tls.XXXXXX";

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* Made once: a good authority, one nobody trusts, and what they issued. */
static struct identity authority;
static struct identity stranger;
static struct identity good;
static struct identity client;

static const char *path_of(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* A certificate of that name, valid from and until so many seconds from now; self-signed where
 * `issuer` is NULL. `rsa_bits` 0 means an elliptic curve. Takes no ownership. */
static struct identity issue(const char *name, const struct identity *issuer, bool is_authority,
                             const char *hosts, long from_s, long until_s, unsigned rsa_bits)
{
    static long serial = 1;
    struct identity made = {.certificate = X509_new()};
    X509_NAME *subject = X509_get_subject_name(made.certificate);

    made.key = rsa_bits > 0 ? EVP_RSA_gen(rsa_bits) : EVP_EC_gen("P-256");
    assert_non_null(made.key);
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), until_s);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(made.certificate,
                         issuer != NULL ? X509_get_subject_name(issuer->certificate) : subject);
    add_extension(made.certificate, NID_basic_constraints,
                  is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (hosts != NULL) {
        add_extension(made.certificate, NID_subject_alt_name, hosts);
    }
    assert_true(X509_sign(made.certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()) >
                0);
    return made;
}

static void forget(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static const char *write_certificates(const char *name, const struct identity *const *identities,
                                      size_t count)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(PEM_write_X509(file, identities[i]->certificate), 1);
    }
    fclose(file);
    return path;
}

static const char *write_certificate(const char *name, const struct identity *identity)
{
    return write_certificates(name, &identity, 1);
}

static const char *write_key(const char *name, const struct identity *identity,
                             const char *passphrase)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key,
                                          passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0,
                                          NULL, (void *)(uintptr_t)passphrase),
                     1);
    fclose(file);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    return path;
}

static int make_identities(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    authority = issue("Test Root", NULL, true, NULL, -DAY_S, 30 * DAY_S, 0);
    stranger = issue("Strange Root", NULL, true, NULL, -DAY_S, 30 * DAY_S, 0);
    good = issue("mqtt.example", &authority, false, "DNS:mqtt.example,DNS:*.fleet.example,IP:::1",
                 -DAY_S, 20 * DAY_S, 0);
    client = issue("a client", &authority, false, NULL, -DAY_S, 20 * DAY_S, 0);
    write_certificate("ca.pem", &authority);
    return 0;
}

static int forget_identities(void **state)
{
    char command[300];

    (void)state;
    forget(&authority);
    forget(&stranger);
    forget(&good);
    forget(&client);
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command); /* NOLINT(cert-env33-c): a fixed command of our own */
}

/* --- files --- */

static void assert_says(const char *problem, const char *part)
{
    if (strstr(problem, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", problem, part);
    }
}

static void test_ca_file_counts(void **state)
{
    struct identity old = issue("Old Root", NULL, true, NULL, -9 * DAY_S, -2 * DAY_S, 0);
    const struct identity *both[] = {&old, &authority};
    const char *path = write_certificates("mixed.pem", both, 2);
    int64_t now_ms = clock_wall_ms();
    struct tls_certificates counts = {0};
    char problem[TLS_PROBLEM_SIZE] = "";

    (void)state;
    assert_int_equal(tls_check_ca_file(path, now_ms, &counts, problem), 0);
    assert_int_equal(counts.count, 2);
    assert_int_equal(counts.expired, 1);
    assert_true(counts.last_expiry_ms > now_ms + 29 * DAY_S * 1000);
    assert_true(counts.last_expiry_ms <= now_ms + 30 * DAY_S * 1000);
    assert_int_equal(tls_check_ca_file(path, now_ms, NULL, problem), 0);
    forget(&old);
}

static void test_ca_file_expired(void **state)
{
    struct identity old = issue("DST Root CA X3", NULL, true, NULL, -9 * DAY_S, -2 * DAY_S, 0);
    const char *path = write_certificate("expired.pem", &old);
    char problem[TLS_PROBLEM_SIZE] = "";

    (void)state;
    assert_int_equal(tls_check_ca_file(path, clock_wall_ms(), NULL, problem), 1);
    assert_says(problem, "ca_file /tmp/");
    assert_says(problem, "every certificate in it has expired (the last, \"DST Root CA X3\", on 2");
    assert_says(problem, "use the system bundle, ca_file = /etc/ssl/certs/ca-certificates.crt");
    forget(&old);
}

static void test_ca_file_unusable(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } files[] = {
        {"", "holds no certificate"},
        {"not a certificate\n", "holds no certificate"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "certificate 1 of it is damaged"},
        {"-----BEGIN CERTIFICATE-----\nAAAA", "certificate 1 of it is damaged"},
    };
    char problem[TLS_PROBLEM_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        problem[0] = '\0';
        assert_int_equal(tls_check_ca_file(write_text("unusable.pem", files[i].text),
                                           clock_wall_ms(), NULL, problem),
                         1);
        assert_says(problem, files[i].says);
    }
    assert_int_equal(tls_check_ca_file(path_of("absent.pem"), 0, NULL, problem), 1);
    assert_says(problem, "absent.pem: cannot read: No such file or directory; correct it, or leave "
                         "ca_file out");
    assert_int_equal(tls_check_ca_file(directory, 0, NULL, problem), 1);
    assert_says(problem, "cannot read: Is a directory");
}

static void test_client_files(void **state)
{
    struct identity old = issue("old client", &authority, false, NULL, -9 * DAY_S, -DAY_S, 0);
    const char *cert = write_certificate("client.pem", &client);
    const char *key = write_key("client.key", &client, NULL);
    int64_t now_ms = clock_wall_ms();
    char problem[TLS_PROBLEM_SIZE] = "";

    (void)state;
    assert_int_equal(tls_check_client(cert, key, now_ms, problem), 0);
    assert_int_equal(tls_check_client(cert, NULL, now_ms, problem), 1);
    assert_says(problem, "client.pem: holds no private key");
    assert_int_equal(tls_check_client(cert, write_key("other.key", &good, NULL), now_ms, problem),
                     1);
    assert_says(problem, "is not the key of the certificate in cert_file");
    assert_int_equal(
        tls_check_client(cert, write_key("locked.key", &client, "secret"), now_ms, problem), 1);
    assert_says(problem, "store it without a passphrase");
    assert_int_equal(tls_check_client(write_certificate("old.pem", &old),
                                      write_key("old.key", &old, NULL), now_ms, problem),
                     1);
    assert_says(problem, "\"old client\" expired on 2");
    assert_int_equal(tls_check_client(cert, key, now_ms - 2 * DAY_S * 1000, problem), 1);
    assert_says(problem, "\"a client\" is not valid before 2");
    assert_int_equal(tls_check_client(key, key, now_ms, problem), 1);
    assert_says(problem, "holds no certificate");
    forget(&old);
}

/* --- handshakes --- */

struct server {
    int fd;
    const struct identity *identity;
    int max_version;        /* 0: the newest */
    bool demands_client;    /* a certificate from "Test Root" */
    const char *plain_text; /* say this instead of TLS */
    bool silent;            /* say nothing, close when the client does */
    bool hangs_up;          /* close after the first bytes */
    bool trusts_nobody;     /* refuse every client certificate */
};

static void serve_tls(const struct server *server)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *ssl;
    char byte;

    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    if (server->max_version != 0) {
        SSL_CTX_set_max_proto_version(context, server->max_version);
    }
    SSL_CTX_use_certificate(context, server->identity->certificate);
    SSL_CTX_use_PrivateKey(context, server->identity->key);
    if (server->demands_client) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        if (!server->trusts_nobody) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.certificate);
        }
    }
    ssl = SSL_new(context);
    SSL_set_fd(ssl, server->fd);
    if (SSL_accept(ssl) == 1) {
        SSL_read(ssl, &byte, 1); /* until the client says goodbye */
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void *serve(void *context)
{
    const struct server *server = context;
    char bytes[4096];
    sigset_t pipe;

    /* Only here, where OpenSSL writes to sockets: the client's side must not raise it at all. */
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    if (server->plain_text != NULL) {
        if (read(server->fd, bytes, sizeof(bytes)) > 0) {
            send(server->fd, server->plain_text, strlen(server->plain_text), MSG_NOSIGNAL);
        }
    } else if (server->hangs_up) {
        if (read(server->fd, bytes, sizeof(bytes)) < 0) {
            abort();
        }
    } else if (server->silent) {
        while (read(server->fd, bytes, sizeof(bytes)) > 0) {
            continue;
        }
    } else {
        serve_tls(server);
    }
    close(server->fd);
    return NULL;
}

struct asking {
    const char *host;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    int timeout_ms;
};

/* Returns what tls_explain() does against that server. */
static enum tls_result ask(struct server server, struct asking asking, int64_t *expiry_ms,
                           char *problem)
{
    int sockets[2];
    pthread_t thread;
    enum tls_result result;

    problem[0] = '\0';
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    server.fd = sockets[1];
    assert_int_equal(pthread_create(&thread, NULL, serve, &server), 0);
    result =
        tls_explain(sockets[0], asking.host != NULL ? asking.host : "mqtt.example",
                    asking.ca_file != NULL ? asking.ca_file : path_of("ca.pem"), asking.cert_file,
                    asking.key_file, asking.timeout_ms != 0 ? asking.timeout_ms : TIMEOUT_MS,
                    expiry_ms, problem);
    close(sockets[0]);
    pthread_join(thread, NULL);
    return result;
}

static void assert_explains(struct server server, struct asking asking, const char *part)
{
    char problem[TLS_PROBLEM_SIZE];
    int64_t expiry_ms;

    assert_int_equal(ask(server, asking, &expiry_ms, problem), TLS_E_REFUSED);
    assert_says(problem, part);
}

/* The same for a handshake that another try may end well. */
static void assert_breaks(struct server server, struct asking asking, const char *part)
{
    char problem[TLS_PROBLEM_SIZE];
    int64_t expiry_ms;

    assert_int_equal(ask(server, asking, &expiry_ms, problem), TLS_E_BROKEN);
    assert_says(problem, part);
}

static void test_good_servers(void **state)
{
    static const char *const hosts[] = {"mqtt.example", "eu.fleet.example", "::1"};
    int64_t wanted_ms = clock_wall_ms() + 20 * DAY_S * 1000;
    char problem[TLS_PROBLEM_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            int64_t expiry_ms = 0;
            struct server server = {.identity = &good, .max_version = version};

            if (ask(server, (struct asking){.host = hosts[i]}, &expiry_ms, problem) != 0) {
                fail_msg("%s: %s", hosts[i], problem);
            }
            assert_true(expiry_ms > wanted_ms - DAY_S * 1000 && expiry_ms <= wanted_ms);
        }
    }
    assert_int_equal(ask((struct server){.identity = &good}, (struct asking){0}, NULL, problem), 0);
}

static void test_dates(void **state)
{
    struct identity expired =
        issue("mqtt.example", &authority, false, "DNS:mqtt.example", -9 * DAY_S, -2 * DAY_S, 0);
    struct identity early =
        issue("mqtt.example", &authority, false, "DNS:mqtt.example", 2 * DAY_S, 9 * DAY_S, 0);
    char problem[TLS_PROBLEM_SIZE];
    int64_t expiry_ms = 0;

    (void)state;
    assert_int_equal(
        ask((struct server){.identity = &expired}, (struct asking){0}, &expiry_ms, problem), 1);
    assert_says(problem, "the server's certificate \"mqtt.example\" expired on 2");
    assert_says(problem, "(this machine's clock says 2");
    assert_true(expiry_ms < clock_wall_ms() && expiry_ms > clock_wall_ms() - 3 * DAY_S * 1000);
    assert_explains((struct server){.identity = &early}, (struct asking){0},
                    "\"mqtt.example\" is not valid before 2");
    forget(&expired);
    forget(&early);
}

static void test_names(void **state)
{
    (void)state;
    assert_explains((struct server){.identity = &good}, (struct asking){.host = "other.example"},
                    "the server's certificate is for mqtt.example, *.fleet.example, ::1 and not "
                    "for other.example");
    assert_explains((struct server){.identity = &good}, (struct asking){.host = "127.0.0.1"},
                    "and not for 127.0.0.1");
}

static void test_issuers(void **state)
{
    struct identity foreign =
        issue("mqtt.example", &stranger, false, "DNS:mqtt.example", -DAY_S, DAY_S, 0);
    struct identity alone =
        issue("mqtt.example", NULL, false, "DNS:mqtt.example", -DAY_S, DAY_S, 0);

    (void)state;
    assert_explains((struct server){.identity = &foreign}, (struct asking){0},
                    "\"mqtt.example\" was issued by \"Strange Root\", which ca_file /tmp/");
    assert_explains((struct server){.identity = &alone}, (struct asking){0},
                    "\"mqtt.example\" is self-signed, and ca_file /tmp/");
    forget(&foreign);
    forget(&alone);
}

/* The authority's own certificate is the one that has run out. */
static void test_expired_authority(void **state)
{
    struct identity old = issue("Old Root", NULL, true, NULL, -9 * DAY_S, -2 * DAY_S, 0);
    struct identity server =
        issue("mqtt.example", &old, false, "DNS:mqtt.example", -DAY_S, DAY_S, 0);
    const struct identity *both[] = {&old, &authority};

    (void)state;
    assert_explains((struct server){.identity = &server},
                    (struct asking){.ca_file = write_certificates("both.pem", both, 2)},
                    "the certificate authority's certificate \"Old Root\" expired on 2");
    forget(&server);
    forget(&old);
}

/* The peer is gone before the first byte is sent: no SIGPIPE, which would end this test. */
static void test_gone_before(void **state)
{
    char problem[TLS_PROBLEM_SIZE] = "";
    int sockets[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    close(sockets[1]);
    assert_int_equal(tls_explain(sockets[0], "mqtt.example", path_of("ca.pem"), NULL, NULL,
                                 TIMEOUT_MS, NULL, problem),
                     TLS_E_BROKEN);
    assert_says(problem, "closed the connection during the TLS handshake");
    close(sockets[0]);
}

static void test_weak_key(void **state)
{
    struct identity weak =
        issue("mqtt.example", &authority, false, "DNS:mqtt.example", -DAY_S, DAY_S, 1024);

    (void)state;
    assert_explains((struct server){.identity = &weak}, (struct asking){0},
                    "\"mqtt.example\" has a key of 1024 bits, which is too weak");
    forget(&weak);
}

static void test_not_tls_enough(void **state)
{
    (void)state;
    assert_explains((struct server){.identity = &good, .max_version = TLS1_1_VERSION},
                    (struct asking){0}, "the server's TLS is too old");
    assert_explains((struct server){.plain_text = "HTTP/1.1 400 Bad\r\n\r\n"}, (struct asking){0},
                    "does not speak TLS on this port (it sent \"HTTP/1.1 400 Bad\\x0d");
    assert_breaks((struct server){.hangs_up = true}, (struct asking){0},
                  "closed the connection during the TLS handshake");
    assert_breaks((struct server){.silent = true}, (struct asking){.timeout_ms = 50},
                  "did not answer the TLS handshake within 50 ms");
}

static void test_client_certificate(void **state)
{
    const char *cert = write_certificate("mine.pem", &client);
    const char *key = write_key("mine.key", &client, NULL);
    char problem[TLS_PROBLEM_SIZE];

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct server server = {.identity = &good, .max_version = version, .demands_client = true};
        struct asking with = {.cert_file = cert, .key_file = key};

        assert_explains(server, (struct asking){0},
                        "demands a client certificate: set cert_file and key_file");
        if (ask(server, with, NULL, problem) != 0) {
            fail_msg("%s", problem);
        }
        server.trusts_nobody = true;
        assert_explains(server, with, "refuses the client certificate in cert_file /tmp/");
    }
}

static void test_own_files_first(void **state)
{
    (void)state;
    assert_explains((struct server){.silent = true}, (struct asking){.ca_file = "/nonexistent"},
                    "ca_file /nonexistent: cannot read");
    assert_explains((struct server){.silent = true}, (struct asking){.cert_file = "/nonexistent"},
                    "cert_file /nonexistent: cannot read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ca_file_counts),
        cmocka_unit_test(test_ca_file_expired),
        cmocka_unit_test(test_ca_file_unusable),
        cmocka_unit_test(test_client_files),
        cmocka_unit_test(test_good_servers),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_issuers),
        cmocka_unit_test(test_weak_key),
        cmocka_unit_test(test_not_tls_enough),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_expired_authority),
        cmocka_unit_test(test_gone_before),
        cmocka_unit_test(test_own_files_first),
    };

    return cmocka_run_group_tests(tests, make_identities, forget_identities);
}
