/*
 * Every SSL object of the process gets an info callback when it is created: OpenSSL calls the
 * constructor of an application's data slot (CRYPTO_get_ex_new_index(3)) for each object, also for
 * Paho's. An object's callback takes precedence over that of its context, which Paho uses for
 * tracing.
 *
 * The callback runs before ClientHello is built. It sets SNI and the host that OpenSSL verifies in
 * the certificate, replacing Paho's values: so Paho's handshakes and those of net/tls_explain.c
 * accept the same certificates. Paho checks the certificate again after the handshake.
 */
#include "net/net.h"

#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "net/tls_certificate_internal.h"

static _Atomic int64_t expiry_ms;
static char expected_host[HOST_IDENTITY_SIZE]; /* written before any thread */

bool tls_expect_host(SSL *ssl, const char *host)
{
    struct host_identity identity;

    host_identity(host, &identity);
    if (identity.is_address) {
        return SSL_set_tlsext_host_name(ssl, NULL) == 1 && SSL_set1_host(ssl, NULL) == 1 &&
               X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), identity.name) == 1;
    }
    return SSL_set1_host(ssl, identity.name) == 1 &&
           SSL_set_tlsext_host_name(ssl, identity.name) == 1;
}

/* The info callback. Called on the thread that does the handshake. */
static void on_info(const SSL *ssl, int where, int value)
{
    const X509 *certificate;

    (void)value;
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_in_before(ssl)) {
        /* On failure (out of memory) Paho's own check of the certificate still decides. */
        (void)tls_expect_host((SSL *)ssl, expected_host);
    }
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0) {
        return;
    }
    certificate = SSL_get0_peer_certificate(ssl);
    if (certificate != NULL) {
        atomic_store(&expiry_ms, tls_certificate_time_ms(X509_get0_notAfter(certificate)));
    }
}

static void on_new_ssl(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                       void *argument)
{
    (void)pointer;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    SSL_set_info_callback(parent, on_info);
}

void tls_peer_watch(const char *host)
{
    snprintf(expected_host, sizeof(expected_host), "%s", host);
    /* On failure (out of memory) only the date stays unknown. */
    (void)SSL_get_ex_new_index(0, NULL, on_new_ssl, NULL, NULL);
}

int64_t tls_peer_expiry_ms(void)
{
    return atomic_load(&expiry_ms);
}
