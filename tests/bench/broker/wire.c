/* recv() and send(), or SSL_read() and SSL_write(), with the same results. */
#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *wire_context(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "broker: cannot use %s with %s: ", certificate, key);
        ERR_print_errors_fp(stderr);
        SSL_CTX_free(context);
        return NULL;
    }
    /* Paho sends a record for each acknowledgement: read many with one system call. */
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, (size_t)64 * 1024);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

int wire_open(struct wire *wire, int fd, SSL_CTX *context)
{
    wire->fd = fd;
    wire->ssl = NULL;
    if (context == NULL) {
        return 0;
    }
    wire->ssl = SSL_new(context);
    if (wire->ssl == NULL || SSL_set_fd(wire->ssl, fd) != 1) {
        wire_close(wire);
        return -1;
    }
    SSL_set_accept_state(wire->ssl);
    return 0;
}

void wire_close(struct wire *wire)
{
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    if (wire->fd >= 0) {
        close(wire->fd);
        wire->fd = -1;
    }
}

static ssize_t result_of_tls(const struct wire *wire, int result)
{
    if (result > 0) {
        return result;
    }
    switch (SSL_get_error(wire->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return WIRE_AGAIN;
    default:
        return WIRE_GONE;
    }
}

static ssize_t result_of_socket(ssize_t result)
{
    if (result > 0) {
        return result;
    }
    return result < 0 && (errno == EAGAIN || errno == EINTR) ? WIRE_AGAIN : WIRE_GONE;
}

ssize_t wire_read(struct wire *wire, void *bytes, size_t size)
{
    if (wire->ssl == NULL) {
        return result_of_socket(recv(wire->fd, bytes, size, 0));
    }
    ERR_clear_error();
    return result_of_tls(wire, SSL_read(wire->ssl, bytes, (int)size));
}

ssize_t wire_write(struct wire *wire, const void *bytes, size_t size)
{
    if (wire->ssl == NULL) {
        return result_of_socket(send(wire->fd, bytes, size, MSG_NOSIGNAL));
    }
    ERR_clear_error();
    return result_of_tls(wire, SSL_write(wire->ssl, bytes, (int)size));
}
