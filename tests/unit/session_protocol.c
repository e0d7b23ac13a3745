/* See session_protocol.h. */
#include "session_protocol.h"

void remember_protocol(struct fixture *fixture, int version, int64_t asked_ms)
{
    const struct store_protocol protocol = {.version = version, .asked_ms = asked_ms};

    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_session_settled(fixture->store, CLIENT, STORE_GAP_NONE, &protocol, 1),
                     STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fake_mqtt_begin(fixture->store);
}

void assert_on_record(struct fixture *fixture, int version, int64_t asked_ms)
{
    struct store_session record;

    assert_int_equal(store_session_find(fixture->store, CLIENT, &record), STORE_OK);
    assert_int_equal(record.protocol.version, version);
    assert_int_equal(record.protocol.asked_ms, asked_ms);
}

void know_with(struct fixture *fixture, enum config_protocol protocol)
{
    fixture->config.broker.protocol = protocol;
    fixture_know(fixture);
}

void begin_and_return(struct fixture *fixture)
{
    begin_subscribed(fixture);
    lose_and_return(fixture);
}

void begin_and_fail(struct fixture *fixture, const char *says)
{
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, says);
}
