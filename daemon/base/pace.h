/*
 * The pace of commits: when a batch is worth waiting a moment for one more message. Pure, and the
 * writer's thread's own.
 */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Up to so many messages in flight at once, all of them go round in one commit; see gate/gate.c.
 * More of them, and the window is a large one, of which a slow broker may show only a little at a
 * time. */
#define PACE_LOCKSTEP_MAX 64U

struct pace {
    uint64_t expected;  /* messages that went round with the last commit */
    uint64_t in_flight; /* the most that a session had */
    int64_t wait_us;    /* how long a wait for one more is worth it */
};

/*
 * `messages` were committed in `commit_us`, and `arrived` more came while they were: so many go
 * round, and will again. `in_flight` is the most of intake_item.in_flight among the messages.
 */
void pace_note(struct pace *pace, uint64_t messages, uint64_t arrived, uint64_t in_flight,
               int64_t commit_us);

/* Is everything in flight few enough to go round in step? True before the first commit. */
bool pace_lockstep(const struct pace *pace);

/* How long to wait, in µs, for one more message before `messages` are committed; 0: commit now. */
int64_t pace_wait_us(const struct pace *pace, uint64_t messages);

#endif
