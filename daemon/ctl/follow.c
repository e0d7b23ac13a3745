/*
 * `foxtrackrctl status --follow`.
 *
 * On a terminal it draws on the alternate screen, so that the previous content returns at the end.
 * The terminal is always restored before the end: signals are read from a descriptor and never
 * interrupt the drawing, and ^Z restores the terminal before the process stops. Without a terminal
 * (a pipe, a file) each new status is one line.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/escape.h"
#include "base/moment.h"
#include "ctl/say_internal.h"
#include "ctl/status_internal.h"

#define LOOK_PERIOD_MS 1000

#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define CURSOR_HOME  "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"

struct follow {
    const struct ctl_status_source *source;
    bool json;
    bool drawing; /* standard output is a terminal */
    bool keys;    /* standard input is one */
    struct termios before;
    int signal_fd;
    int64_t shown_ms;                            /* updated_ms of the last line */
    char shown_problem[CTL_STATUS_PROBLEM_SIZE]; /* the last problem that was printed as a line */
};

/* --- the terminal --------------------------------------------------------------------------- */

static void enter(struct follow *follow)
{
    struct termios raw;

    if (follow->drawing) {
        fputs(SCREEN_ENTER, stdout);
    }
    if (follow->keys) {
        raw = follow->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
}

static void leave(struct follow *follow)
{
    if (follow->keys) {
        tcsetattr(STDIN_FILENO, TCSANOW, &follow->before);
    }
    if (follow->drawing) {
        fputs(SCREEN_LEAVE, stdout);
        fflush(stdout);
    }
}

/* Prints as much of the line as fits into one row, and returns the number of bytes printed.
 * Characters that could move the cursor become '?'. A UTF-8 character counts as one column. */
static size_t draw_row(const char *line, size_t length, int columns)
{
    int column = 0;
    size_t i;

    for (i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];

        column += (byte & 0xc0) != 0x80;
        if (column > columns && columns > 0) {
            break;
        }
        putchar(byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    fputs(CLEAR_LINE, stdout);
    return i;
}

/* Draws as much of the text as fits on the screen; a longer line continues in the next row. */
static void draw(const char *text)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int row = 0;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fputs(CURSOR_HOME, stdout);
    while (*text != '\0' && row < size.ws_row) {
        if (row > 0) {
            fputs("\r\n", stdout);
        }
        text += draw_row(text, strcspn(text, "\n"), size.ws_col);
        text += *text == '\n';
        row++;
    }
    fputs(CLEAR_BELOW, stdout);
    fflush(stdout);
}

/* --- one status ------------------------------------------------------------------------------- */

static void draw_status(const json_t *root, const char *problem, bool quit_by_key)
{
    char *text = NULL;
    char *escaped;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        return;
    }
    fprintf(out, "%s\n", quit_by_key ? "q ends this view" : "^C ends this view");
    if (problem[0] != '\0') {
        fprintf(out, "%s\n", problem);
    }
    if (root != NULL) {
        ctl_status_print(out, root);
        ctl_status_print_quarantine(out, root, NULL, NULL);
    }
    escaped = fclose(out) == 0 ? escape_text(text) : NULL;
    if (escaped != NULL) {
        draw(escaped);
    }
    free(escaped);
    free(text);
}

/* Prints a line for each new status, and one when there is none. */
static void print_line(struct follow *follow, const json_t *root, const char *problem)
{
    int64_t updated_ms = ctl_status_integer(root, "updated_ms");
    char when[MOMENT_SIZE];

    if (strcmp(problem, follow->shown_problem) != 0) {
        snprintf(follow->shown_problem, sizeof(follow->shown_problem), "%s", problem);
        if (problem[0] != '\0') {
            ctl_say("%s", problem);
        }
    }
    if (root == NULL || updated_ms == follow->shown_ms) {
        return;
    }
    follow->shown_ms = updated_ms;
    if (follow->json) {
        ctl_say_json(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    } else {
        printf("%s ", moment_iso(updated_ms, when));
        ctl_say_text(ctl_status_string(root, "text"));
        putchar('\n');
    }
    fflush(stdout);
}

static void show(struct follow *follow)
{
    char problem[CTL_STATUS_PROBLEM_SIZE];
    bool good;
    json_t *root = ctl_status_read(follow->source, &good, problem);

    if (follow->drawing) {
        draw_status(root, problem, follow->keys);
    } else {
        print_line(follow, root, problem);
    }
    json_decref(root);
}

/* --- until it ends -------------------------------------------------------------------------- */

/* ^Z: restores the terminal, stops the process, and draws again when continued. */
static void suspend(struct follow *follow)
{
    leave(follow);
    raise(SIGSTOP);
    enter(follow);
}

/* Handles pending signals and a key. Returns false when one of them ends the view. */
static bool go_on(struct follow *follow, const struct pollfd fds[2])
{
    struct signalfd_siginfo info;
    char key;

    while (read(follow->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTSTP) {
            suspend(follow);
        } else if (info.ssi_signo != SIGWINCH) {
            return false;
        }
    }
    if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
    }
    return true;
}

static bool set_up(struct follow *follow)
{
    sigset_t mask;

    follow->drawing = !follow->json && isatty(STDOUT_FILENO) == 1;
    follow->keys = follow->drawing && tcgetattr(STDIN_FILENO, &follow->before) == 0;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    if (follow->drawing) {
        sigaddset(&mask, SIGTSTP);
        sigaddset(&mask, SIGWINCH);
    }
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader that closes the pipe is no error */
    follow->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (follow->signal_fd < 0) {
        ctl_say("signalfd: %s", error_text(errno));
        return false;
    }
    return true;
}

int ctl_status_follow(const struct ctl_status_source *source, bool json)
{
    struct follow follow = {.source = source, .json = json};
    struct pollfd fds[2];

    if (source->file == NULL) {
        return ctl_status(source, json); /* reports why there is nothing to follow */
    }
    if (!set_up(&follow)) {
        return EX_OSERR;
    }
    enter(&follow);
    do {
        show(&follow);
        fds[0] = (struct pollfd){.fd = follow.signal_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = follow.keys ? STDIN_FILENO : -1, .events = POLLIN};
        poll(fds, 2, LOOK_PERIOD_MS);
    } while (go_on(&follow, fds) && ferror(stdout) == 0);
    leave(&follow);
    close(follow.signal_fd);
    return EX_OK;
}
