/*
 * With a small window a broker sends nothing more until it has acknowledgements, and those wait
 * for a commit. A commit of three messages takes nearly as long as one of twenty, and the other
 * seventeen, which come just after it has begun, wait for two. So the writer waits a moment for
 * them: while fewer have come than went round last time, and never longer for one message than a
 * quarter of what a commit takes. Where the wait is in vain, that is what it costs, once: the next
 * round expects what really came.
 *
 * With a large window messages come all the time and fill the next batch during the commit; waiting
 * would only leave the disk idle.
 */
#include "base/pace.h"

#define WAIT_SHARE  4    /* of a commit's time */
#define WAIT_MAX_US 1000 /* on a slow disk */

void pace_note(struct pace *pace, uint64_t messages, uint64_t arrived, uint64_t in_flight,
               int64_t commit_us)
{
    int64_t wait_us = commit_us / WAIT_SHARE;

    pace->expected = messages + arrived;
    pace->in_flight = in_flight;
    pace->wait_us = wait_us < WAIT_MAX_US ? wait_us : WAIT_MAX_US;
}

bool pace_lockstep(const struct pace *pace)
{
    return pace->expected <= PACE_LOCKSTEP_MAX && pace->in_flight <= PACE_LOCKSTEP_MAX;
}

int64_t pace_wait_us(const struct pace *pace, uint64_t messages)
{
    return pace_lockstep(pace) && messages < pace->expected ? pace->wait_us : 0;
}
