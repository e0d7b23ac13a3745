/*
 * Reads and checks files of certificates. A server's certificates are checked in net/tls_explain.c.
 */
#include "net/net.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/moment.h"
#include "config/config.h"
#include "net/tls_certificate_internal.h"

static FILE *open_file(const char *what, const char *path, char problem[TLS_PROBLEM_SIZE])
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        snprintf(problem, TLS_PROBLEM_SIZE, "%s %.200s: cannot read: %s", what, path,
                 error_text(errno));
    }
    return file;
}

/* After a PEM reader returned NULL: returns true when that was simply the end of the file. */
static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* Returns the number of certificates that `each` was called for. */
static int read_each(FILE *file, tls_each_function *each, void *context)
{
    char name[TLS_NAME_SIZE];
    X509 *certificate;
    int count = 0;

    for (; (certificate = PEM_read_X509_AUX(file, NULL, NULL, NULL)) != NULL; count++) {
        tls_certificate_name(X509_get_subject_name(certificate), name);
        each(context, name, tls_certificate_time_ms(X509_get0_notBefore(certificate)),
             tls_certificate_time_ms(X509_get0_notAfter(certificate)));
        X509_free(certificate);
    }
    return count;
}

int tls_each_certificate(const char *key, const char *path, tls_each_function *each, void *context,
                         char problem[TLS_PROBLEM_SIZE])
{
    FILE *file = open_file(key, path, problem);
    int count;
    int result = 1;

    if (file == NULL) {
        return 1;
    }
    ERR_clear_error();
    errno = 0;
    count = read_each(file, each, context);
    if (ferror(file)) {
        snprintf(problem, TLS_PROBLEM_SIZE, "%s %.200s: cannot read: %s", key, path,
                 error_text(errno));
    } else if (!is_end_of_pem()) {
        snprintf(problem, TLS_PROBLEM_SIZE, "%s %.200s: certificate %d of it is damaged: %s", key,
                 path, count + 1, ERR_reason_error_string(ERR_peek_last_error()));
    } else if (count == 0) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "%s %.200s: holds no certificate (PEM, -----BEGIN CERTIFICATE-----)", key, path);
    } else {
        result = 0;
    }
    fclose(file);
    ERR_clear_error();
    return result;
}

/* The counts of tls_check_ca_file(), and the name of the certificate that expires last. */
struct ca_count {
    struct tls_certificates counts;
    int64_t now_ms;
    char last_name[TLS_NAME_SIZE];
};

static void count_certificate(void *context, const char *name, int64_t from_ms, int64_t until_ms)
{
    struct ca_count *ca = context;

    (void)from_ms;
    if (ca->counts.count == 0 || until_ms > ca->counts.last_expiry_ms) {
        ca->counts.last_expiry_ms = until_ms;
        snprintf(ca->last_name, sizeof(ca->last_name), "%s", name);
    }
    ca->counts.expired += until_ms < ca->now_ms;
    ca->counts.count++;
}

static void explain_expired(const char *path, const struct tls_certificates *counts,
                            const char *last_name, int64_t now_ms, char problem[TLS_PROBLEM_SIZE])
{
    char expired[MOMENT_SIZE];
    char today[MOMENT_SIZE];

    moment_date(counts->last_expiry_ms, expired);
    moment_date(now_ms, today);
    if (strcmp(path, CONFIG_SYSTEM_BUNDLE) == 0) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "ca_file %s: every certificate in it has expired (the last, \"%s\", on %s): is "
                 "the clock right (%s)? If so, update the package ca-certificates",
                 path, last_name, expired, today);
    } else {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "ca_file %.200s: every certificate in it has expired (the last, \"%s\", on %s): "
                 "use the system bundle, ca_file = " CONFIG_SYSTEM_BUNDLE,
                 path, last_name, expired);
    }
}

int tls_check_ca_file(const char *path, int64_t now_ms, struct tls_certificates *out,
                      char problem[TLS_PROBLEM_SIZE])
{
    struct ca_count ca = {.now_ms = now_ms};
    int result = tls_each_certificate("ca_file", path, count_certificate, &ca, problem);

    if (result != 0 && access(path, F_OK) != 0 && errno == ENOENT) {
        size_t length = strlen(problem);

        snprintf(problem + length, TLS_PROBLEM_SIZE - length, "%s",
                 strcmp(path, CONFIG_SYSTEM_BUNDLE) == 0
                     ? "; install the package ca-certificates, or set ca_file"
                     : "; correct it, or leave ca_file out for the system's bundle");
    }
    if (result == 0 && out != NULL) {
        *out = ca.counts;
    }
    if (result == 0 && ca.counts.expired == ca.counts.count) {
        explain_expired(path, &ca.counts, ca.last_name, now_ms, problem);
        result = 1;
    }
    return result;
}

/* A pem_password_cb that refuses: a daemon cannot ask for a passphrase. */
static int refuse_passphrase(char *buffer, int size, int for_writing, void *context)
{
    bool *asked = context;

    (void)buffer;
    (void)size;
    (void)for_writing;
    *asked = true;
    return -1;
}

static EVP_PKEY *read_key(const char *what, const char *path, char problem[TLS_PROBLEM_SIZE])
{
    FILE *file = open_file(what, path, problem);
    EVP_PKEY *key;
    bool asked = false;

    if (file == NULL) {
        return NULL;
    }
    ERR_clear_error();
    key = PEM_read_PrivateKey(file, NULL, refuse_passphrase, &asked);
    if (key == NULL && asked) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "%s %.200s: the private key is encrypted: store it without a passphrase", what,
                 path);
    } else if (key == NULL) {
        snprintf(problem, TLS_PROBLEM_SIZE, "%s %.200s: holds no private key (PEM)", what, path);
    }
    ERR_clear_error();
    fclose(file);
    return key;
}

static X509 *read_certificate(const char *path, char problem[TLS_PROBLEM_SIZE])
{
    FILE *file = open_file("cert_file", path, problem);
    X509 *certificate;

    if (file == NULL) {
        return NULL;
    }
    ERR_clear_error();
    certificate = PEM_read_X509_AUX(file, NULL, NULL, NULL);
    if (certificate == NULL) {
        snprintf(problem, TLS_PROBLEM_SIZE,
                 "cert_file %.200s: holds no certificate (PEM, -----BEGIN CERTIFICATE-----)", path);
    }
    ERR_clear_error();
    fclose(file);
    return certificate;
}

/* Checks that the client certificate is valid at now_ms. */
static int check_dates(const X509 *certificate, const char *path, int64_t now_ms,
                       char problem[TLS_PROBLEM_SIZE])
{
    int64_t from_ms = tls_certificate_time_ms(X509_get0_notBefore(certificate));
    int64_t until_ms = tls_certificate_time_ms(X509_get0_notAfter(certificate));
    char name[TLS_NAME_SIZE];
    char date[MOMENT_SIZE];

    tls_certificate_name(X509_get_subject_name(certificate), name);
    if (until_ms < now_ms) {
        snprintf(problem, TLS_PROBLEM_SIZE, "cert_file %.200s: \"%s\" expired on %s", path, name,
                 moment_date(until_ms, date));
        return 1;
    }
    if (from_ms > now_ms) {
        snprintf(problem, TLS_PROBLEM_SIZE, "cert_file %.200s: \"%s\" is not valid before %s", path,
                 name, moment_date(from_ms, date));
        return 1;
    }
    return 0;
}

int tls_read_expiry(const char *cert_file, int64_t *expiry_ms, char problem[TLS_PROBLEM_SIZE])
{
    X509 *certificate = read_certificate(cert_file, problem);

    if (certificate == NULL) {
        return 1;
    }
    *expiry_ms = tls_certificate_time_ms(X509_get0_notAfter(certificate));
    X509_free(certificate);
    return 0;
}

int tls_check_client(const char *cert_file, const char *key_file, int64_t now_ms,
                     char problem[TLS_PROBLEM_SIZE])
{
    X509 *certificate = read_certificate(cert_file, problem);
    EVP_PKEY *key = NULL;
    int result = 1;

    if (certificate != NULL) {
        key = key_file != NULL ? read_key("key_file", key_file, problem)
                               : read_key("cert_file", cert_file, problem);
    }
    if (key != NULL) {
        if (X509_check_private_key(certificate, key) == 1) {
            result = check_dates(certificate, cert_file, now_ms, problem);
        } else {
            snprintf(problem, TLS_PROBLEM_SIZE,
                     "key_file %.200s: is not the key of the certificate in cert_file %.200s",
                     key_file != NULL ? key_file : cert_file, cert_file);
        }
        ERR_clear_error();
    }
    EVP_PKEY_free(key);
    X509_free(certificate);
    return result;
}
