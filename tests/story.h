/*
 * The story that a fleet tells: which readings there are, and what must become of them.
 *
 * Everything follows from the options and the seed. See story.c.
 */
#ifndef STORY_H
#define STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct story_options {
    int devices;
    int groups;
    int grouped;       /* the first devices, which are in a group */
    bool group_topics; /* every reading of theirs on the topic of its group too */
    int64_t span_ms;   /* the readings end at end_ms and began this long before */
    int64_t end_ms;
    int64_t readings;   /* without the copies on group topics */
    int64_t garbage;    /* messages that nobody can understand, one of each kind in turn */
    int64_t other;      /* messages of a type without columns */
    int64_t oversize;   /* payloads over max_payload */
    size_t max_payload; /* the daemon's limit, bytes */
    int silent;         /* devices that fall silent before the end */
    int pauses;         /* devices that report nothing for an eighth of the story */
    int warm;           /* devices that become too warm, the first of them until the end */
    uint64_t seed;
};

/* Emits a message, to the broker or to standard output. */
typedef void story_emit(void *context, const char *topic, const void *payload, size_t length);

/*
 * Tell the story, calling `emit` for each message in order. `manifest` may be NULL; it gets a line
 * of JSON for every row that must be there in the end: battery, temperature, messages,
 * device_groups and quarantine, with `copies`, the number of messages that lead to it. `truth` may
 * be NULL; it gets a line for every device that has reported: how fast it discharges, when it was
 * charged, was silent or too warm. Ends the process with a sentence when memory runs out.
 */
void story_tell(const struct story_options *options, FILE *manifest, FILE *truth, story_emit *emit,
                void *context);

#endif
