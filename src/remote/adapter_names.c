/* adapter_names: see the header. */
#include "remote/adapter_names.h"

#include "core/memory.h"
#include "core/provider.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ sets of names */

/* Where the name stands, or would. */
static size_t find_name(const struct name_set *set, const char *name, bool *found)
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

    find_name(set, name, &found);
    return found;
}

bool name_set_add(struct name_set *set, const char *name)
{
    bool found = false;
    size_t at = find_name(set, name, &found);
    char *copy = NULL;

    if (found)
        return true;
    if (set->n == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 16;
        char **grown = mem_realloc(set->items, capacity * sizeof *grown);

        if (!grown)
            return false;
        set->items = grown;
        set->capacity = capacity;
    }
    copy = mem_strdup(name);
    if (!copy)
        return false;
    memmove(set->items + at + 1, set->items + at, (set->n - at) * sizeof *set->items);
    set->items[at] = copy;
    set->n++;
    return true;
}

void name_set_remove(struct name_set *set, const char *name)
{
    bool found = false;
    size_t at = find_name(set, name, &found);

    if (!found)
        return;
    mem_free(set->items[at]);
    set->n--;
    memmove(set->items + at, set->items + at + 1, (set->n - at) * sizeof *set->items);
}

static void name_set_free(struct name_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        mem_free(set->items[i]);
    mem_free(set->items);
    *set = (struct name_set){0};
}

/* ------------------------------------------------------------------ what is ours */

static void free_placed(struct placed *p)
{
    mem_free(p->name);
    mem_free(p->path);
}

/* Where the name stands, or would. */
static size_t find_placed(const struct adapter_names *a, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = a->n_placed;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(a->placed[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < a->n_placed && strcmp(a->placed[low].name, name) == 0;
    return low;
}

struct placed *adapter_names_placed(const struct adapter_names *a, const char *name)
{
    bool found = false;
    size_t at = find_placed(a, name, &found);

    return found ? &a->placed[at] : NULL;
}

struct placed *adapter_names_place(struct adapter_names *a, const char *name, const char *path,
                                   uint64_t where)
{
    bool found = false;
    size_t at = find_placed(a, name, &found);
    struct placed p = {0};

    if (found) {
        a->placed[at].where |= where;
        return &a->placed[at];
    }
    if (a->n_placed == a->placed_capacity) {
        size_t capacity = a->placed_capacity ? a->placed_capacity * 2 : 16;
        struct placed *grown = mem_realloc(a->placed, capacity * sizeof *grown);

        if (!grown)
            return NULL;
        a->placed = grown;
        a->placed_capacity = capacity;
    }
    p = (struct placed){.name = mem_strdup(name),
                        .path = mem_strdup(path),
                        .where = where,
                        .held = adapter_names_by_name(a, name) != NULL};
    if (!p.name || !p.path) {
        free_placed(&p);
        return NULL;
    }
    memmove(a->placed + at + 1, a->placed + at, (a->n_placed - at) * sizeof p);
    a->placed[at] = p;
    a->n_placed++;
    return &a->placed[at];
}

void adapter_names_removed(struct adapter_names *a, const char *name, uint64_t where)
{
    bool found = false;
    size_t at = find_placed(a, name, &found);

    if (!found)
        return;
    a->placed[at].where &= ~where;
    if (a->placed[at].where != 0 || a->placed[at].loading)
        return;
    free_placed(&a->placed[at]);
    a->n_placed--;
    memmove(a->placed + at, a->placed + at + 1, (a->n_placed - at) * sizeof *a->placed);
}

/* ------------------------------------------------------------------ generations */

void adapter_names_init(struct adapter_names *a)
{
    *a = (struct adapter_names){.next_number = 1};
}

void adapter_names_free(struct adapter_names *a)
{
    while (a->all) {
        struct generation *g = a->all;

        a->all = g->next;
        generation_free(g);
    }
    name_set_free(&a->used);
    while (a->n_placed > 0)
        free_placed(&a->placed[--a->n_placed]);
    mem_free(a->placed);
    a->placed = NULL;
}

void adapter_names_choose(char out[NAME_MAX_LEN + 1], const struct adapter_names *a, const char *id)
{
    uint64_t k = 2;

    snprintf(out, NAME_MAX_LEN + 1, "%s", id);
    while (name_set_has(&a->used, out))
        snprintf(out, NAME_MAX_LEN + 1, "%s@%" PRIu64, id, k++);
}

struct generation *generation_make(const char *id, const char *name, const char *path)
{
    struct generation *g = mem_calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->id = mem_strdup(id);
    g->name = mem_strdup(name);
    g->path = mem_strdup(path);
    if (g->id && g->name && g->path)
        return g;
    generation_free(g);
    return NULL;
}

void generation_free(struct generation *g)
{
    if (!g)
        return;
    mem_free(g->id);
    mem_free(g->name);
    mem_free(g->path);
    mem_free(g);
}

static bool is_id(const struct generation *g, const char *id, size_t len)
{
    return strlen(g->id) == len && memcmp(g->id, id, len) == 0;
}

struct generation *adapter_names_find(const struct adapter_names *a, const char *id, size_t len)
{
    for (struct generation *g = a->all; g; g = g->next)
        if (g->current && is_id(g, id, len))
            return g;
    return NULL;
}

struct generation *adapter_names_by_name(const struct adapter_names *a, const char *name)
{
    for (struct generation *g = a->all; g; g = g->next)
        if (strcmp(g->name, name) == 0)
            return g;
    return NULL;
}

bool adapter_names_is_going(const struct adapter_names *a, const char *id, size_t len)
{
    bool living = false;

    for (struct generation *g = a->all; g; g = g->next) {
        if (!is_id(g, id, len))
            continue;
        if (g->current)
            return false;
        living = true;
    }
    return living;
}

static void hold(struct adapter_names *a, const char *name, bool held)
{
    struct placed *p = adapter_names_placed(a, name);

    if (p)
        p->held = held;
}

void adapter_names_commit(struct adapter_names *a, struct generation *g, struct generation **old)
{
    *old = adapter_names_find(a, g->id, strlen(g->id));
    if (*old)
        (*old)->current = false;
    g->number = a->next_number++;
    g->current = true;
    g->report.generation = g->number;
    g->report.replaced = *old != NULL;
    g->report.id = inf_str(g->id);
    g->next = a->all;
    a->all = g;
    hold(a, g->name, true);
}

void adapter_names_drop(struct adapter_names *a, struct generation *g)
{
    struct generation **at = &a->all;

    while (*at && *at != g)
        at = &(*at)->next;
    if (*at)
        *at = g->next;
    hold(a, g->name, false);
    generation_free(g);
}

int32_t adapter_names_list(const struct adapter_names *a, inf_adapter_list *list, inf_error *err)
{
    int32_t code = INF_OK;

    for (const struct generation *g = a->all; g && code == INF_OK; g = g->next)
        if (g->current)
            code = adapter_list_add(list, &g->report, err);
    return code;
}
