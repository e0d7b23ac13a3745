/*
 * `foxtrackrctl report --serve`: the report as a live page, for a browser on this machine.
 *
 * serve.c is the command: main's thread makes pages and waits for the end. serve_http.c answers
 * requests on a thread of libmicrohttpd's, and ends connections that take too long on one of its
 * own. serve_check.c decides which requests are answered, serve_listen.c where they come from.
 *
 * Never is there a page for a client that does not know the token (or, on a Unix socket, may not
 * open it); nor for a web site that a browser on this machine visits, which a foreign Host or
 * Origin tells. Clients that do not know the token, however many and however slow, keep nobody
 * waiting; those that know it take memory with a bound. Nothing is written to the database or its
 * directory.
 */
#ifndef CTL_SERVE_INTERNAL_H
#define CTL_SERVE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "ctl/words_internal.h"

#define SERVE_PROBLEM_SIZE 512

/* Serve the report that the words ask for until SIGINT, SIGTERM or SIGHUP. `config` may be NULL
 * where they name a FILE. Returns the exit status: that of ctl_report(), EX_USAGE for a wrong
 * address, or 1 when it cannot listen there. */
int ctl_serve(const struct config *config, const struct ctl_words *words);

/* --- serve_listen.c: the address -------------------------------------------------------------- */

#define SERVE_URL_SIZE 256

struct serve_listener {
    int fd;                   /* listens; -1: closed, or given away */
    char url[SERVE_URL_SIZE]; /* "http://127.0.0.1:8080"; "http://localhost" for a Unix socket */
    char *path;               /* of the Unix socket; NULL: TCP */
    bool loopback;            /* only this machine reaches it */
};

/*
 * Listen on `address`: NULL (a free port of 127.0.0.1), PORT, HOST:PORT with a numeric host or
 * localhost, or unix:PATH for a Unix socket, which this user alone can open. A socket that a server
 * which has ended left behind is replaced; nothing else is. Returns 0; 1 when `address` is none, or
 * -1 when it cannot be used, and sets `problem` to a sentence.
 */
int serve_listen(const char *address, struct serve_listener *out, char problem[SERVE_PROBLEM_SIZE]);

/* Stop listening and remove the Unix socket. Of a listener that is all zero with fd -1: nothing. */
void serve_listen_close(struct serve_listener *listener);

/* --- serve_check.c: the request. Any thread --------------------------------------------------- */

#define SERVE_TOKEN_SIZE 33 /* 128 random bits in hexadecimal, and a NUL */

/* Make a token that cannot be guessed. Returns 0; or -1, errno is set. */
int serve_check_token(char token[SERVE_TOKEN_SIZE]);

/* Returns true when `path` is that of the page: "/TOKEN/", or "/" where `token` is "". The time
 * that it takes tells nothing about the token. */
bool serve_check_path(const char *path, const char *token);

/*
 * Returns true when a browser that sends this Host has not been led here by a foreign name (DNS
 * rebinding): localhost, or an address as digits, of loopback unless `any_address`; any port, or
 * none. NULL is false.
 */
bool serve_check_host(const char *host, bool any_address);

/* Returns true when `origin` is NULL, or the page's own: "http://" and the Host. */
bool serve_check_origin(const char *origin, const char *host);

/* --- serve_http.c: the answers ---------------------------------------------------------------- */

struct serve_http;

struct serve_http_options {
    int listen_fd; /* taken */
    const char *token;
    bool any_address;    /* for serve_check_host() */
    int fresh_ms;        /* how long a page is an answer; longer if making it took longer, or if it
                            is large */
    unsigned clients;    /* connections at a time; for a further one the oldest ends that has not
                            asked for the page */
    int client_idle_ms;  /* a connection without progress ends, and one that has not asked for the
                            page by then; in whole seconds */
    int client_total_ms; /* every connection ends */
};

/* Begin to answer. The strings are borrowed until serve_http_stop(). Returns 0; or -1, and the
 * listening socket is closed. */
int serve_http_start(const struct serve_http_options *options, struct serve_http **out);

/* Returns a descriptor that can be read when a client waits for a page. Then make one, and call
 * serve_http_publish() or serve_http_refuse(). Main's thread, as all below. */
int serve_http_fd(const struct serve_http *http);

/* Returns true when a client waits for a page since the last call. */
bool serve_http_is_wanted(struct serve_http *http);

/* Answer with this page from now on. `html` is taken, and freed when its last client has it;
 * `policy` (the Content-Security-Policy) is copied. */
void serve_http_publish(struct serve_http *http, char *html, size_t length, const char *policy);

/* Answer 503 with this sentence from now on; it is asked for a page again as often as otherwise. */
void serve_http_refuse(struct serve_http *http, const char *sentence);

/* Stop: closes every connection, also in the middle of a page. NULL is allowed. */
void serve_http_stop(struct serve_http *http);

#endif
