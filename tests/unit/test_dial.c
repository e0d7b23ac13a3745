/* Which address comes first, how addresses are written, and what TLS is to know of a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "net/net.h"

/* The answer of this program's getaddrinfo(): addresses separated by blanks. */
static const char *answer;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out);
void freeaddrinfo(struct addrinfo *list);

static struct sockaddr_in sockets[DIAL_ADDRESSES_MAX + 4];
static struct addrinfo infos[DIAL_ADDRESSES_MAX + 4];

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    size_t count = 0;

    (void)name;
    (void)service;
    (void)hints;
    for (const char *at = answer; *at != '\0'; at++, count++) {
        sockets[count] = (struct sockaddr_in){.sin_family = AF_INET};
        sockets[count].sin_addr.s_addr = (in_addr_t)*at; /* a letter stands for an address */
        infos[count] = (struct addrinfo){.ai_family = AF_INET,
                                         .ai_addr = (struct sockaddr *)&sockets[count],
                                         .ai_addrlen = sizeof(sockets[count])};
        if (count > 0) {
            infos[count - 1].ai_next = &infos[count];
        }
    }
    *out = count > 0 ? infos : NULL;
    return count > 0 ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    assert_ptr_equal(list, infos);
}

/* The order in which the addresses of `answer` are tried, as letters. */
static void order(const struct dial_history *history, struct dial_list *list, char *letters)
{
    char problem[DIAL_PROBLEM_SIZE];

    assert_int_equal(dial_resolve(DIAL_BROKER, "many.example", 8883, history, list, problem), 0);
    for (size_t i = 0; i < list->count; i++) {
        struct sockaddr_in socket;

        memcpy(&socket, &list->entries[i].socket, sizeof(socket));
        *letters++ = (char)socket.sin_addr.s_addr;
    }
    *letters = '\0';
}

static void test_the_resolvers_order_stays(void **state)
{
    struct dial_history history = {0};
    struct dial_list list;
    char letters[32];

    (void)state;
    answer = "cab";
    order(NULL, &list, letters);
    assert_string_equal(letters, "cab");
    order(&history, &list, letters);
    assert_string_equal(letters, "cab");
}

static void test_a_good_address_is_first_and_a_bad_one_last(void **state)
{
    struct dial_history history = {0};
    struct dial_list list;
    char letters[32];

    (void)state;
    answer = "abcd";
    order(&history, &list, letters);
    dial_remember_good(&history, &list.entries[2]);
    order(&history, &list, letters);
    assert_string_equal(letters, "cabd");
    dial_remember_bad(&history);
    order(&history, &list, letters);
    assert_string_equal(letters, "abdc");
    dial_remember_good(&history, &list.entries[1]);
    order(&history, &list, letters);
    assert_string_equal(letters, "badc");
    dial_remember_good(&history, &list.entries[3]);
    order(&history, &list, letters);
    assert_string_equal(letters, "cabd");
    answer = "xy"; /* the name server's answer has changed */
    order(&history, &list, letters);
    assert_string_equal(letters, "xy");
}

static void test_bad_without_a_good_one_changes_nothing(void **state)
{
    struct dial_history history = {0};
    struct dial_list list;
    char letters[32];

    (void)state;
    answer = "ab";
    dial_remember_bad(&history);
    order(&history, &list, letters);
    assert_string_equal(letters, "ab");
}

static void test_more_addresses_than_room(void **state)
{
    struct dial_list list;
    char letters[32];

    (void)state;
    answer = "abcdefghijklmnopqrs";
    order(NULL, &list, letters);
    assert_string_equal(letters, "abcdefghijklmnop");
}

static void test_text_of_a_list(void **state)
{
    struct dial_list list = {.count = 3};
    char text[32];

    (void)state;
    snprintf(list.entries[0].name, DIAL_NAME_SIZE, "127.0.0.1:1883");
    snprintf(list.entries[1].name, DIAL_NAME_SIZE, "[::1]:1883");
    snprintf(list.entries[2].name, DIAL_NAME_SIZE, "[2001:db8::1717]:1883");
    dial_list_text(&list, text, sizeof(text));
    assert_string_equal(text, "127.0.0.1, ::1, ...");
}

static void test_identities(void **state)
{
    static const struct {
        const char *host;
        const char *name;
        bool is_address;
    } cases[] = {
        {"broker.example.org", "broker.example.org", false},
        {"broker.example.org.", "broker.example.org", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"::1", "::1", true},
        {"2001:db8::17", "2001:db8::17", true},
        {"fe80::1%eth0", "fe80::1", true},
        {"1.2.3", "1.2.3", false},
        {".", ".", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct host_identity identity;

        host_identity(cases[i].host, &identity);
        assert_string_equal(identity.name, cases[i].name);
        assert_int_equal(identity.is_address, cases[i].is_address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_resolvers_order_stays),
        cmocka_unit_test(test_a_good_address_is_first_and_a_bad_one_last),
        cmocka_unit_test(test_bad_without_a_good_one_changes_nothing),
        cmocka_unit_test(test_more_addresses_than_room),
        cmocka_unit_test(test_text_of_a_list),
        cmocka_unit_test(test_identities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
