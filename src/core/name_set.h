/* name_set: a sorted set of strings. Not thread-safe: its owner guards it. */
#ifndef INF_CORE_NAME_SET_H
#define INF_CORE_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>

struct name_set {
    char **items; /* sorted */
    size_t n, capacity;
};

void name_set_free(struct name_set *set);
bool name_set_has(const struct name_set *set, const char *name);
/* Adds it unless it is there. false: out of memory. */
bool name_set_add(struct name_set *set, const char *name);
void name_set_remove(struct name_set *set, const char *name);

#endif
