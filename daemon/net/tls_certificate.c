/* Dates and names of a certificate, as text that is safe for a log; see its header. */
#include "net/tls_certificate_internal.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/escape.h"

int64_t tls_certificate_time_ms(const ASN1_TIME *time)
{
    struct tm utc;

    if (ASN1_TIME_to_tm(time, &utc) != 1) {
        return 0;
    }
    return (int64_t)timegm(&utc) * 1000;
}

void tls_certificate_name(const X509_NAME *full_name, char name[TLS_NAME_SIZE])
{
    int at = X509_NAME_get_index_by_NID(full_name, NID_commonName, -1);
    unsigned char *text = NULL;
    char line[256] = "";

    if (at >= 0 && ASN1_STRING_to_UTF8(
                       &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(full_name, at))) >= 0) {
        escape_line(name, TLS_NAME_SIZE, (const char *)text);
        OPENSSL_free(text);
        return;
    }
    X509_NAME_oneline(full_name, line, sizeof(line));
    escape_line(name, TLS_NAME_SIZE, line);
}

/* Returns false for kinds of names that are not host names or addresses. */
static bool host_text(const GENERAL_NAME *name, char *out, size_t size)
{
    const ASN1_STRING *value;
    char text[256];
    int length;

    if (name->type == GEN_DNS) {
        value = name->d.dNSName;
        snprintf(text, sizeof(text), "%.*s", ASN1_STRING_length(value),
                 (const char *)ASN1_STRING_get0_data(value));
        escape_line(out, size, text);
        return true;
    }
    if (name->type != GEN_IPADD) {
        return false;
    }
    value = name->d.iPAddress;
    length = ASN1_STRING_length(value);
    return (length == 4 || length == 16) &&
           inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), out,
                     (socklen_t)size) != NULL;
}

void tls_certificate_hosts(const X509 *certificate, char *out, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char host[128];
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (!host_text(sk_GENERAL_NAME_value(names, i), host, sizeof(host))) {
            continue;
        }
        if (used + strlen(host) + sizeof(", , ...") > size) {
            snprintf(out + used, size - used, ", ...");
            break;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", host);
    }
    GENERAL_NAMES_free(names);
    if (used == 0) {
        tls_certificate_name(X509_get_subject_name(certificate), host);
        snprintf(out, size, "%s", host);
    }
}
