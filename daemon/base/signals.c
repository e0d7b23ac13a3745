/*
 * Signals are blocked for the whole life of the daemon and read from a descriptor.
 *
 * They are blocked before main() (main.c puts signals_block() in front of every constructor): a
 * service manager may send SIGTERM or SIGHUP as soon as it has started the process, and the default
 * action of both is to end it. A SIGTERM that came early is acted upon before the database is
 * opened. While the dynamic loader works, which is before any code of this program, the default
 * action still holds: no file is open and no connection made then, so nothing can be lost, and the
 * process ends as SIGTERM asks for; after a SIGHUP the unit starts it again
 * (RestartForceExitStatus=).
 *
 * Must never happen: an endless wait while signals are blocked. So only regular files are read
 * before the descriptor is.
 */
#include "base/signals.h"

#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Signal 1 is bit 0. */
#define BIT(number) (UINT64_C(1) << (number) >> 1)

/* Makes the system call directly: this early, a sanitizer's wrapper for instance may not be
 * initialised. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static void change(int how)
{
    const uint64_t kernel_set = BIT(SIGTERM) | BIT(SIGINT) | BIT(SIGHUP);

    (void)!syscall(SYS_rt_sigprocmask, how, &kernel_set, NULL, sizeof(kernel_set));
}

__attribute__((no_sanitize("address", "undefined", "thread"))) void signals_block(void)
{
    change(SIG_BLOCK);
}

void signals_unblock(void)
{
    change(SIG_UNBLOCK);
}

int signals_open(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool signals_stop_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}
