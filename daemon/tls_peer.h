/*
 * The server's certificate as the handshakes of this process have shown it. Paho does the TLS of a
 * session and has no call that tells: OpenSSL itself is asked to report each handshake that is
 * done. Only a certificate that was accepted is ever seen here.
 */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <stdint.h>

/* Begin to watch. Once for the process, before its first connection and before any thread. */
void tls_peer_watch(void);

/* When the certificate of the last server that was accepted expires, in ms since the epoch; 0: no
 * handshake has been done yet. Any thread. */
int64_t tls_peer_expiry_ms(void);

#endif
