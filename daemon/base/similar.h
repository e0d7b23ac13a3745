/*
 * Finds the known word that is nearest to a mistyped one, for "did you mean ...?". Pure; any
 * thread.
 */
#ifndef BASE_SIMILAR_H
#define BASE_SIMILAR_H

/* A search. Begin with {.word = WORD}; `best` is NULL until a known word is near enough. */
struct similar {
    const char *word; /* borrowed, as is every known word */
    const char *best;
    unsigned slips; /* how far `best` is from `word` */
};

/*
 * Compare the word with a known one, which becomes the best when it is nearer than the best so far.
 * A known word that begins with the word (retention, of retention_days) is near too, but farther
 * than every typing error.
 */
void similar_try(struct similar *search, const char *known);

#endif
