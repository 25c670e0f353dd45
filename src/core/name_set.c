/* name_set: see the header. */
#include "core/name_set.h"

#include "core/growing.h"

#include <string.h>

/* Where the name stands, or would. */
static size_t find(const struct name_set *set, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(set->items[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < set->n && strcmp(set->items[low], name) == 0;
    return low;
}

bool name_set_has(const struct name_set *set, const char *name)
{
    bool found = false;

    find(set, name, &found);
    return found;
}

bool name_set_add(struct name_set *set, const char *name)
{
    bool found = false;
    size_t at = find(set, name, &found);
    char *copy = found ? NULL : mem_strdup(name);

    if (found)
        return true;
    if (!copy || !GROW(set->items, set->capacity, set->n + 1)) {
        mem_free(copy);
        return false;
    }
    memmove(set->items + at + 1, set->items + at, (set->n - at) * sizeof *set->items);
    set->items[at] = copy;
    set->n++;
    return true;
}

void name_set_remove(struct name_set *set, const char *name)
{
    bool found = false;
    size_t at = find(set, name, &found);

    if (!found)
        return;
    mem_free(set->items[at]);
    set->n--;
    memmove(set->items + at, set->items + at + 1, (set->n - at) * sizeof *set->items);
}

void name_set_free(struct name_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        mem_free(set->items[i]);
    mem_free(set->items);
    *set = (struct name_set){0};
}
