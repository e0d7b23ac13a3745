/*
 * Every SSL object of the process gets an info callback when it is made: OpenSSL calls the
 * constructor of an application's data slot for each (CRYPTO_get_ex_new_index(3)), whoever makes
 * the object. The callback of an object goes before that of its context, which Paho uses to trace.
 */
#include "tls_peer.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "tls_certificate.h"

static _Atomic int64_t expiry_ms;

/* On the thread that does the handshake. */
static void on_info(const SSL *ssl, int where, int value)
{
    const X509 *certificate;

    (void)value;
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

void tls_peer_watch(void)
{
    /* When it fails (out of memory) the date stays unknown, and nothing else is amiss. */
    (void)SSL_get_ex_new_index(0, NULL, on_new_ssl, NULL, NULL);
}

int64_t tls_peer_expiry_ms(void)
{
    return atomic_load(&expiry_ms);
}
