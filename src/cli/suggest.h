/* suggest: which known word a mistyped one was meant to be. */
#ifndef INF_CLI_SUGGEST_H
#define INF_CLI_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *name; /* the nearest so far; NULL: none is near enough */
    size_t distance;
};

/* Takes `name` when it is nearer to the typed word (len bytes) than what was offered before, and near
 * enough to be meant: a letter in three may differ, or it begins with the word. '-' and '_' are one
 * letter. NULL is no name. */
void suggest(struct suggestion *best, const char *word, size_t len, const char *name);

#endif
