/*
 * Goal: whatever a proxy answers, proxy_open() ends with a good result or with one sentence that
 * holds no secret; what it leaves unread is what followed the answer, and no shorter beginning of a
 * good answer is good.
 *
 * The first byte of the input chooses the protocol, the user name and the broker's host; the rest
 * is what the proxy sends before it closes.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuzz.h"
#include "net/net.h"

/* Does not begin with a digit that may end an escaped byte: "\\xab" and "attery" are not the
 * secret. */
#define SECRET     "staple-horse"
#define TIMEOUT_MS 8000 /* the proxy has closed, so nothing is waited for */

enum {
    VARIANT_SOCKS = 1,
    VARIANT_USER = 2,
    VARIANT_PASSWORD = 4,
    VARIANT_ADDRESS = 8,
    VARIANT_IPV6 = 16,
};

static const char *host_of(int variant)
{
    if ((variant & VARIANT_ADDRESS) == 0) {
        return "broker.test";
    }
    return (variant & VARIANT_IPV6) != 0 ? "fe80::1%lo" : "192.0.2.7";
}

/* Returns the result, and sets *left to the number of bytes that were not read. */
static enum proxy_result talk(int variant, const uint8_t *data, size_t size, size_t *left,
                              char problem[PROXY_PROBLEM_SIZE])
{
    const struct proxy proxy = {
        .kind = (variant & VARIANT_SOCKS) != 0 ? PROXY_SOCKS5 : PROXY_HTTP,
        .user = (variant & VARIANT_USER) != 0 ? "me" : NULL,
        .password = (variant & VARIANT_PASSWORD) != 0 ? SECRET : NULL,
    };
    enum proxy_result result;
    uint8_t unread[8192];
    int64_t begun_ms = clock_monotonic_ms();
    ssize_t got;
    int fds[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    FUZZ_CHECK(size == 0 || write(fds[1], data, size) == (ssize_t)size);
    FUZZ_CHECK(shutdown(fds[1], SHUT_WR) == 0);
    result = proxy_open(fds[0], &proxy, host_of(variant), 8883, TIMEOUT_MS, -1, problem);
    FUZZ_CHECK(clock_monotonic_ms() - begun_ms < TIMEOUT_MS);
    got = read(fds[0], unread, sizeof(unread));
    *left = got > 0 ? (size_t)got : 0;
    FUZZ_CHECK(*left <= size && memcmp(unread, data + (size - *left), *left) == 0);
    close(fds[0]);
    close(fds[1]);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[PROXY_PROBLEM_SIZE];
    size_t left;

    if (size == 0) {
        return 0;
    }
    memset(problem, 0x5A, sizeof(problem));
    if (talk(data[0], data + 1, size - 1, &left, problem) == PROXY_OK) {
        size_t length = size - 1 - left;
        size_t none;

        FUZZ_CHECK(length > 0);
        FUZZ_CHECK(talk(data[0], data + 1, length, &none, problem) == PROXY_OK);
        FUZZ_CHECK(none == 0);
        FUZZ_CHECK(talk(data[0], data + 1, length - 1, &none, problem) == PROXY_E_REFUSED);
    } else {
        size_t length = strnlen(problem, sizeof(problem));

        FUZZ_CHECK(length > 0 && length < sizeof(problem));
        FUZZ_CHECK(fuzz_is_one_line(problem));
        /* A sentence may quote the proxy, and the proxy may send the secret. */
        FUZZ_CHECK(!strstr(problem, SECRET) || memmem(data, size, SECRET, strlen(SECRET)));
    }
    return 0;
}
