/*
 * The functions that the private copy of Paho's archive calls in place of OpenSSL's, the C
 * library's and its own. mqtt/paho/redirections says which stands for which; mqtt/paho/adapt makes
 * the copy. Each has the signature and the meaning of the function that it stands for, except where
 * its file says otherwise, and calls that function by its name.
 *
 * Only Paho and the unit tests call these. They are weak: NULL in a program that is linked with
 * Paho's shared library. Paho's own types are void here, because Debian does not ship their
 * headers.
 */
#ifndef MQTT_PAHO_CALLS_INTERNAL_H
#define MQTT_PAHO_CALLS_INTERNAL_H

#include <openssl/ssl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAHO_CALL __attribute__((weak))

/* mqtt/paho/cork.c */
PAHO_CALL int paho_cork_write(SSL *ssl, const void *bytes, int length);
PAHO_CALL int paho_cork_shutdown(SSL *ssl);
PAHO_CALL void paho_cork_free(SSL *ssl);
PAHO_CALL int paho_cork_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
PAHO_CALL int paho_cork_usleep(useconds_t time_us);

/* mqtt/paho/ahead.c */
PAHO_CALL int paho_ahead_read(SSL *ssl, void *bytes, int length);
PAHO_CALL int paho_ahead_pending(const SSL *ssl);

/* mqtt/paho/shortcuts.c */
typedef int paho_compare_fn(const void *content, const void *key);

PAHO_CALL void *paho_shortcuts_find(void *list, const void *key, paho_compare_fn *compare);
PAHO_CALL void *paho_shortcuts_append(void *list, void *content, size_t size);
PAHO_CALL void paho_shortcuts_append_element(void *list, void *content, void *element, size_t size);
PAHO_CALL void *paho_shortcuts_insert(void *list, void *content, size_t size, void *index);
PAHO_CALL int paho_shortcuts_remove(void *list, void *content);
PAHO_CALL void paho_shortcuts_empty(void *list);
PAHO_CALL void paho_shortcuts_free(void *list);
PAHO_CALL void paho_shortcuts_free_no_content(void *list);
PAHO_CALL void paho_shortcuts_clear_error(void);

/* mqtt/paho/check.c */

/* PacketBuffers of Paho's Socket.h. */
struct paho_buffers {
    int count;
    char **buffers;
    size_t *lengths;
    int *frees;
    uint8_t mask[4];
};

PAHO_CALL int paho_check_getch(void *net, char *byte);
PAHO_CALL char *paho_check_getdata(void *net, size_t bytes, size_t *actual);
PAHO_CALL int paho_check_putdatas(void *net, char **header, size_t *header_length,
                                  struct paho_buffers *rest);
PAHO_CALL void paho_check_close(void *net, int status, const char *reason);

#endif
