/*
 * With a small in-flight window the broker sends no further message until it gets acknowledgements,
 * and those wait for a commit. A commit of three messages takes nearly as long as one of twenty;
 * seventeen messages that arrive just after it has begun wait for two commits. So the writer delays
 * the commit until as many messages have arrived as in the previous round, but waits at most a
 * quarter of a commit's time for each. A wait in vain costs that much once: the next round expects
 * the number that really arrived.
 *
 * With a large window messages arrive continuously and fill the next batch during the commit;
 * waiting would only leave the disk idle.
 */
#include "base/pace.h"

#define WAIT_SHARE  4    /* the longest wait is this fraction of a commit's time */
#define WAIT_MAX_US 1000 /* upper bound, for slow disks */

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
