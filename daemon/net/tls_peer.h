/*
 * The peer of this process's TLS handshakes: whom they ask for, and what it has shown. Paho does
 * the TLS of a session. It asks for an address by SNI, which is for names alone (RFC 6066 §3), and
 * it has no call that tells of the server's certificate. So OpenSSL itself is asked to report the
 * beginning of each handshake, where it gets its host, and the end of each that succeeds.
 */
#ifndef NET_TLS_PEER_H
#define NET_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/* Begin to watch: every client handshake expects `host` (copied; as broker.host has it). Once for
 * the process, before its first connection and before any thread. */
void tls_peer_watch(const char *host);

/* Expect a certificate for this host, and ask for it by SNI if it is a name. For an object whose
 * handshake has not begun. Returns false when OpenSSL refuses: then nothing may be sent. */
bool tls_expect_host(SSL *ssl, const char *host);

/* When the certificate of the last server that was accepted expires, in ms since the epoch; 0: no
 * handshake has been done yet. Any thread. */
int64_t tls_peer_expiry_ms(void);

#endif
