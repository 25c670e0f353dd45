/* adapter_names: see the header. */
#include "remote/adapter_names.h"

#include "core/growing.h"
#include "core/provider.h"

#include <inttypes.h>
#include <string.h>

/* ------------------------------------------------------------------ finding */

/* Where the name stands, or would. */
static size_t place_of(const struct adapter_names *a, const char *name)
{
    size_t low = 0;
    size_t high = a->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(a->items[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct generation *adapter_names_find(const struct adapter_names *a, const char *name)
{
    size_t at = place_of(a, name);

    return at < a->n && strcmp(a->items[at]->name, name) == 0 ? a->items[at] : NULL;
}

static bool is_id(const struct generation *g, const char *id, size_t len)
{
    return strlen(g->id) == len && memcmp(g->id, id, len) == 0;
}

/* The next of that id behind *at, or NULL. Its name begins with the id. */
static struct generation *next_of(const struct adapter_names *a, const char *id, size_t len,
                                  size_t *at)
{
    while (*at < a->n && strncmp(a->items[*at]->name, id, len) == 0) {
        struct generation *g = a->items[(*at)++];

        if (is_id(g, id, len))
            return g;
    }
    return NULL;
}

struct generation *adapter_names_current(const struct adapter_names *a, const char *id, size_t len)
{
    size_t at = place_of(a, id);
    struct generation *g = NULL;

    while ((g = next_of(a, id, len, &at)) != NULL && g->state != GENERATION_CURRENT)
        continue;
    return g;
}

bool adapter_names_is_going(const struct adapter_names *a, const char *id, size_t len)
{
    size_t at = place_of(a, id);
    struct generation *g = NULL;

    while ((g = next_of(a, id, len, &at)) != NULL && g->state != GENERATION_GOING)
        continue;
    return g && !adapter_names_current(a, id, len);
}

/* ------------------------------------------------------------------ a generation's life */

static void free_generation(struct generation *g)
{
    mem_free(g->id);
    mem_free(g->name);
    mem_free(g->path);
    mem_free(g);
}

void adapter_names_init(struct adapter_names *a)
{
    *a = (struct adapter_names){.next_number = 1};
}

void adapter_names_free(struct adapter_names *a)
{
    while (a->n > 0)
        free_generation(a->items[--a->n]);
    mem_free(a->items);
    name_set_free(&a->used);
}

/* A name for the id that was never used, from mem_*. */
static char *fresh_name(const struct adapter_names *a, const char *id)
{
    struct buffer name;
    uint64_t k = 2;
    bool ok = true;

    buffer_init(&name, BUFFER_NO_LIMIT);
    ok = buffer_append_str(&name, id);
    while (ok && name_set_has(&a->used, name.data)) {
        buffer_clear(&name);
        ok = buffer_printf(&name, "%s@%" PRIu64, id, k++);
    }
    if (!ok)
        buffer_free(&name);
    return name.data;
}

static bool insert(struct adapter_names *a, struct generation *g)
{
    size_t at = place_of(a, g->name);

    if (!GROW(a->items, a->capacity, a->n + 1) || !name_set_add(&a->used, g->name))
        return false;
    memmove(a->items + at + 1, a->items + at, (a->n - at) * sizeof *a->items);
    a->items[at] = g;
    a->n++;
    return true;
}

struct generation *adapter_names_add(struct adapter_names *a, const char *id, const char *path)
{
    struct generation *g = mem_calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->id = mem_strdup(id);
    g->path = mem_strdup(path);
    g->name = fresh_name(a, id);
    if (g->id && g->path && g->name && insert(a, g))
        return g;
    free_generation(g);
    return NULL;
}

struct generation *adapter_names_commit(struct adapter_names *a, struct generation *g)
{
    struct generation *old = adapter_names_current(a, g->id, strlen(g->id));

    if (old)
        old->state = GENERATION_GOING;
    g->state = GENERATION_CURRENT;
    g->report.generation = a->next_number++;
    g->report.replaced = old != NULL;
    g->report.id = inf_str(g->id);
    return old;
}

bool adapter_names_restore(struct adapter_names *a, struct generation *g)
{
    if (adapter_names_current(a, g->id, strlen(g->id)))
        return false;
    g->state = GENERATION_CURRENT;
    return true;
}

static void forget_if_nowhere(struct adapter_names *a, struct generation *g)
{
    size_t at = place_of(a, g->name);

    if (g->state != GENERATION_LEFT || g->where != 0)
        return;
    a->n--;
    memmove(a->items + at, a->items + at + 1, (a->n - at) * sizeof *a->items);
    free_generation(g);
}

void adapter_names_leave(struct adapter_names *a, struct generation *g)
{
    g->state = GENERATION_LEFT;
    forget_if_nowhere(a, g);
}

void adapter_names_removed(struct adapter_names *a, const char *name, uint64_t where)
{
    struct generation *g = adapter_names_find(a, name);

    if (!g)
        return;
    g->where &= ~where;
    forget_if_nowhere(a, g);
}

bool generation_serves(const struct generation *g)
{
    return g->state == GENERATION_CURRENT || g->state == GENERATION_GOING;
}

bool generation_hide(struct generation *g, void *waiting)
{
    g->state = GENERATION_GOING;
    if (g->pins > 0)
        g->waiting = waiting;
    return g->pins == 0;
}

void *generation_unpin(struct generation *g)
{
    void *waiting = g->waiting;

    if (--g->pins > 0)
        return NULL;
    g->waiting = NULL;
    return waiting;
}

int32_t adapter_names_list(const struct adapter_names *a, inf_adapter_list *list, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < a->n && code == INF_OK; i++)
        if (a->items[i]->state == GENERATION_CURRENT)
            code = adapter_list_add(list, &a->items[i]->report, err);
    return code;
}
