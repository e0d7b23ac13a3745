/*
 * `foxtrackrctl report --serve`: main's thread makes a page when somebody asks for one and the last
 * one is no longer fresh; see ctl/serve_internal.h for the parts.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/clock.h"
#include "ctl/page_internal.h"
#include "ctl/report_internal.h"
#include "ctl/say_internal.h"
#include "ctl/serve_internal.h"
#include "ctl/work_internal.h"

#define FRESH_MS        5000   /* one page answers everybody who asks within this time */
#define CLIENTS         256    /* connections at a time; a request takes one */
#define CLIENT_IDLE_MS  15000  /* without a byte in either direction, or until it has asked */
#define CLIENT_TOTAL_MS 120000 /* 5 MB at 43 kB/s */
#define LIVE_S          30     /* how often a page that is open fetches itself */

/* Makes a page and lets the server answer with it, or with the reason why there is none. Returns
 * the exit status of the page. */
static int make_page(const struct config *config, const struct ctl_words *words,
                     struct serve_http *http)
{
    struct ctl_page_request request;
    struct ctl_page page = {0};
    char moment[CTL_MOMENT_PROBLEM_SIZE];
    char problem[CTL_PAGE_PROBLEM_SIZE];
    char text[CTL_PAGE_PROBLEM_SIZE + 1];
    int status = EX_USAGE;

    /* Anew for each page: --since counts back from now. */
    if (ctl_report_request(config, words, clock_wall_ms(), &request, moment) != 0) {
        snprintf(problem, sizeof(problem), "report: %s", moment);
    } else {
        request.live_s = LIVE_S;
        status = ctl_page_make(&request, &page, problem, sizeof(problem));
    }
    if (status == EX_OK) {
        serve_http_publish(http, page.html, page.length, page.policy);
    } else if (!ctl_work_stopped()) {
        ctl_say("%s", problem);
        snprintf(text, sizeof(text), "%s\n", problem);
        serve_http_refuse(http, text);
    }
    return status;
}

/* Prints where the report is. The token is printed here and nowhere else. */
static void say_where(const struct serve_listener *listener, const char *token)
{
    if (listener->path != NULL) {
        printf("unix:%s\n", listener->path);
    } else {
        printf("%s/%s/\n", listener->url, token);
    }
    fflush(stdout);
    if (listener->path != NULL) {
        ctl_say("for example: curl --unix-socket %s %s/", listener->path, listener->url);
    }
    if (!listener->loopback) {
        ctl_say(
            "warning: other machines reach %s, too: everybody who gets to know this address with "
            "its token can read the report, and it travels in clear",
            listener->url);
    }
    ctl_say("Ctrl-C ends it");
}

/* Answers until a signal ends it. The signals are blocked except while main's thread waits or makes
 * a page, so that none is missed between the look at it and the wait. */
static void serve(const struct config *config, const struct ctl_words *words,
                  struct serve_http *http, const sigset_t *open)
{
    struct pollfd fd = {.fd = serve_http_fd(http), .events = POLLIN};
    sigset_t blocked;

    while (!ctl_work_stopped()) {
        (void)ppoll(&fd, 1, NULL, open);
        if (serve_http_is_wanted(http) && !ctl_work_stopped()) {
            pthread_sigmask(SIG_SETMASK, open, &blocked);
            make_page(config, words, http);
            pthread_sigmask(SIG_SETMASK, &blocked, NULL);
        }
    }
}

int ctl_serve(const struct config *config, const struct ctl_words *words)
{
    struct serve_http_options options = {
        .fresh_ms = FRESH_MS,
        .clients = CLIENTS,
        .client_idle_ms = CLIENT_IDLE_MS,
        .client_total_ms = CLIENT_TOTAL_MS,
    };
    char problem[SERVE_PROBLEM_SIZE];
    char token[SERVE_TOKEN_SIZE] = "";
    struct serve_listener listener;
    struct serve_http *http;
    struct ctl_work work;
    sigset_t blocked, open;
    int status, result;

    if (words->output != NULL) {
        ctl_say("report: --serve and --output exclude each other");
        return EX_USAGE;
    }
    result = serve_listen(words->serve, &listener, problem);
    if (result != 0) {
        ctl_say("%s", problem);
        return result > 0 ? EX_USAGE : 1;
    }
    if (listener.path == NULL && serve_check_token(token) != 0) {
        ctl_say("getrandom: no random numbers");
        serve_listen_close(&listener);
        return EX_OSERR;
    }
    options.token = token;
    options.any_address = !listener.loopback;
    options.listen_fd = listener.fd;
    listener.fd = -1;

    ctl_work_begin(&work);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &blocked, &open); /* the server's thread inherits it */
    if (serve_http_start(&options, &http) != 0) {
        ctl_say("the server cannot be started: out of memory or of descriptors");
        serve_listen_close(&listener);
        return EX_OSERR;
    }
    pthread_sigmask(SIG_SETMASK, &open, NULL);
    status = make_page(config, words, http); /* first, so that what is wrong is said at once */
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (status == EX_OK) {
        say_where(&listener, token);
        serve(config, words, http, &open);
    }
    serve_http_stop(http);
    serve_listen_close(&listener);
    return ctl_work_stopped() ? EX_OK : status;
}
