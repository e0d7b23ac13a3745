/* Names and dates of certificates as text for messages. Any thread. */
#ifndef NET_TLS_CERTIFICATE_INTERNAL_H
#define NET_TLS_CERTIFICATE_INTERNAL_H

#include <openssl/x509.h>
#include <stdint.h>

#define TLS_NAME_SIZE 96

/* Milliseconds since the epoch; 0 when the certificate's time makes no sense. */
int64_t tls_certificate_time_ms(const ASN1_TIME *time);

/* Write the common name of a subject or an issuer, escaped for a log. Without a common name, or
 * when it is no text: all parts of the name on one line. A text that is too long is cut. */
void tls_certificate_name(const X509_NAME *full_name, char name[TLS_NAME_SIZE]);

/* The host names and addresses that the certificate is for: "a.example, b.example". Its common name
 * when it lists none. Cut with "..." where it does not fit. */
void tls_certificate_hosts(const X509 *certificate, char *out, size_t size);

#endif
