/*
 * The pace of commits: decides how long a batch waits for one more message. Pure; used by the
 * writer's thread only.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Up to this many messages in flight are committed together ("lockstep"); see gate/gate.c. With
 * more, the window counts as large, and a slow broker may use only a part of it at a time. */
#define PACE_LOCKSTEP_MAX 64U

struct pace {
    uint64_t expected;  /* messages in the last round: committed, or arrived during the commit */
    uint64_t in_flight; /* the largest number of any session */
    int64_t wait_us;    /* the longest useful wait for one more message */
};

/*
 * Note that `messages` were committed in `commit_us`, and that `arrived` more arrived during the
 * commit. The sum is the number that the next round expects. `in_flight` is the most of
 * intake_item.in_flight among the messages.
 */
void pace_note(struct pace *pace, uint64_t messages, uint64_t arrived, uint64_t in_flight,
               int64_t commit_us);

/* Returns true while all messages in flight fit into one commit (PACE_LOCKSTEP_MAX), and before the
 * first commit. */
bool pace_lockstep(const struct pace *pace);

/* How long to wait, in µs, for one more message before `messages` are committed; 0: commit now. */
int64_t pace_wait_us(const struct pace *pace, uint64_t messages);

#endif
