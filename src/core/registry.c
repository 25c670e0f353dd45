/*
 * registry: see the header. Current generations stand in an array sorted by id, found by binary
 * search; replaced and removed ones live on only through their pins.
 */
#include "core/registry.h"

#include "core/growing.h"
#include "core/provider.h"

#include <pthread.h>
#include <string.h>

struct generation {
    struct adapter adapter; /* first: what users of a pin see */
    inf_adapter_report report;
    char *id;
    int64_t pins;
    bool current;
    uint64_t used; /* the registry's tick at the last pin or put */
    void (*unloaded)(void *arg);
    void *unloaded_arg;
};

struct registry {
    pthread_mutex_t lock; /* guards everything below */
    struct registry_limits limits;
    void (*destroy)(void *payload);
    struct generation **items; /* (n) current, sorted by id */
    size_t n, capacity;
    uint64_t next_generation, tick;
    int64_t pins, bytes;
};

int32_t registry_create(struct registry **out, const struct registry_limits *limits,
                        void (*destroy_payload)(void *payload), inf_error *err)
{
    struct registry *r = mem_calloc(1, sizeof *r);

    *out = r;
    if (!r)
        return error_no_memory(err);
    pthread_mutex_init(&r->lock, NULL);
    r->limits = *limits;
    r->destroy = destroy_payload;
    r->next_generation = 1;
    return INF_OK;
}

static void generation_free(struct generation *g)
{
    if (!g)
        return;
    mem_free(g->id);
    mem_free(g);
}

/* No lock is held; g is in no list any more. */
static void destroy_generation(struct registry *r, struct generation *g)
{
    void (*unloaded)(void *) = g->unloaded;
    void *arg = g->unloaded_arg;

    r->destroy(g->adapter.payload);
    generation_free(g);
    if (unloaded)
        unloaded(arg);
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        destroy_generation(r, r->items[i]);
    mem_free(r->items);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

/* ------------------------------------------------------------------ finding; the lock is held */

static int compare(const struct generation *g, const char *id, size_t len)
{
    size_t own = strlen(g->id);
    int order = memcmp(g->id, id, own < len ? own : len);

    return order ? order : own < len ? -1 : own > len;
}

/* Where id stands, or would. */
static size_t find(const struct registry *r, const char *id, size_t len, bool *found)
{
    size_t low = 0;
    size_t high = r->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(r->items[middle], id, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < r->n && compare(r->items[low], id, len) == 0;
    return low;
}

static void take_out(struct registry *r, size_t at)
{
    r->items[at]->current = false;
    r->n--;
    memmove(r->items + at, r->items + at + 1, (r->n - at) * sizeof(struct generation *));
}

/* ------------------------------------------------------------------ limits; the lock is held */

static size_t least_recent(const struct registry *r, const struct generation *replaced, bool *found)
{
    size_t best = 0;

    *found = false;
    for (size_t i = 0; i < r->n; i++) {
        const struct generation *g = r->items[i];

        if (g->pins > 0 || g == replaced)
            continue;
        if (!*found || g->used < r->items[best]->used)
            best = i;
        *found = true;
    }
    return best;
}

static bool fits(const struct registry *r, const struct generation *replaced, size_t bytes,
                 size_t going, size_t going_bytes)
{
    uint64_t count = r->n - going + (replaced ? 0 : 1);
    uint64_t held = (uint64_t)r->bytes - going_bytes;

    if (replaced && replaced->pins == 0)
        held -= replaced->adapter.bytes;
    return (!r->limits.max_adapters || count <= r->limits.max_adapters) &&
           (!r->limits.max_bytes || held + bytes <= r->limits.max_bytes);
}

static int32_t refuse(const struct registry *r, const struct generation *replaced, size_t bytes,
                      inf_error *err)
{
    size_t staying = 0;

    for (size_t i = 0; i < r->n; i++)
        staying += !r->limits.evict || r->items[i]->pins > 0;
    if (!replaced && r->limits.max_adapters && staying >= r->limits.max_adapters)
        return error_set_detail(err, INF_ERROR_LIMIT, (int64_t)r->limits.max_adapters,
                                "%llu adapters are registered already%s; unload some or raise "
                                "max_adapters",
                                (unsigned long long)r->n, r->limits.evict ? " and in use" : "");
    return error_set_detail(
        err, INF_ERROR_LIMIT, (int64_t)r->limits.max_bytes,
        "the adapter takes %zu bytes, %lld are in use, and max_adapter_bytes is "
        "%llu; unload some or raise it",
        bytes, (long long)r->bytes, (unsigned long long)r->limits.max_bytes);
}

/* Takes the least recently used unpinned ones out, into `victims` (room for all), until `bytes`
 * more fit. */
static size_t evict(struct registry *r, const struct generation *replaced, size_t bytes,
                    struct generation **victims)
{
    size_t n = 0;

    while (!fits(r, replaced, bytes, 0, 0)) {
        bool found = false;
        size_t at = least_recent(r, replaced, &found);

        if (!found)
            break;
        victims[n++] = r->items[at];
        r->bytes -= (int64_t)r->items[at]->adapter.bytes;
        take_out(r, at);
    }
    return n;
}

/* Whether evicting everything that may go would make room. */
static bool can_fit(const struct registry *r, const struct generation *replaced, size_t bytes)
{
    size_t going = 0;
    size_t going_bytes = 0;

    if (fits(r, replaced, bytes, 0, 0))
        return true;
    if (!r->limits.evict)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        if (r->items[i]->pins > 0 || r->items[i] == replaced)
            continue;
        going++;
        going_bytes += r->items[i]->adapter.bytes;
    }
    return fits(r, replaced, bytes, going, going_bytes);
}

/* ------------------------------------------------------------------ put */

static char *join_ids(struct generation **victims, size_t n)
{
    size_t len = 0;
    char *text = NULL;

    for (size_t i = 0; i < n; i++)
        len += strlen(victims[i]->id) + 1;
    text = mem_alloc(len + 1);
    if (!text)
        return NULL;
    len = 0;
    for (size_t i = 0; i < n; i++) {
        size_t own = strlen(victims[i]->id);

        if (i)
            text[len++] = ' ';
        memcpy(text + len, victims[i]->id, own);
        len += own;
    }
    text[len] = '\0';
    return text;
}

static struct generation *make(const char *id, void *payload, size_t bytes,
                               const inf_adapter_report *report)
{
    struct generation *g = mem_calloc(1, sizeof *g);

    if (g)
        g->id = mem_strdup(id);
    if (!g || !g->id) {
        generation_free(g);
        return NULL;
    }
    g->current = true;
    g->report = *report;
    g->report.id = inf_str(g->id);
    g->report.evicted = (inf_text){NULL, 0};
    g->report.bytes = (int64_t)bytes;
    g->adapter = (struct adapter){
        .id = g->id, .payload = payload, .bytes = bytes, .report = &g->report};
    return g;
}

/* Puts g in its place; *old: the generation it replaced, when nothing pins that any more. */
static void enter(struct registry *r, struct generation *g, struct generation **old)
{
    bool found = false;
    size_t at = find(r, g->id, strlen(g->id), &found);

    g->adapter.generation = g->report.generation = r->next_generation++;
    g->used = ++r->tick;
    g->report.replaced = found;
    r->bytes += (int64_t)g->adapter.bytes;
    if (found) {
        *old = r->items[at];
        (*old)->current = false;
        r->items[at] = g;
        if ((*old)->pins > 0)
            *old = NULL;
        else
            r->bytes -= (int64_t)(*old)->adapter.bytes;
        return;
    }
    memmove(r->items + at + 1, r->items + at, (r->n - at) * sizeof(struct generation *));
    r->items[at] = g;
    r->n++;
}

int32_t registry_put(struct registry *r, const char *id, void *payload, size_t bytes,
                     inf_adapter_report *report, char **evicted, inf_error *err)
{
    struct generation *g = make(id, payload, bytes, report);
    struct generation *old = NULL;
    struct generation **victims = NULL;
    size_t n_victims = 0;
    bool found = false;
    int32_t code = INF_OK;
    size_t at = 0;

    if (evicted)
        *evicted = NULL;
    if (!g)
        return error_no_memory(err);
    pthread_mutex_lock(&r->lock);
    at = find(r, id, strlen(id), &found);
    if (found)
        old = r->items[at];
    victims = r->limits.evict ? mem_alloc((r->n + 1) * sizeof(struct generation *)) : NULL;
    if (!GROW(r->items, r->capacity, r->n + 1) || (r->limits.evict && !victims))
        code = error_no_memory(err);
    else if (!can_fit(r, old, bytes))
        code = refuse(r, old, bytes, err);
    if (code == INF_OK) {
        if (victims)
            n_victims = evict(r, old, bytes, victims);
        old = NULL;
        enter(r, g, &old);
        *report = g->report;
    }
    pthread_mutex_unlock(&r->lock);
    if (code != INF_OK) {
        generation_free(g);
        mem_free(victims);
        return code;
    }
    if (evicted && n_victims)
        *evicted = join_ids(victims, n_victims); /* short of memory, they go unnamed */
    for (size_t i = 0; i < n_victims; i++)
        destroy_generation(r, victims[i]);
    if (old)
        destroy_generation(r, old);
    mem_free(victims);
    return INF_OK;
}

/* ------------------------------------------------------------------ pins */

const struct adapter *registry_pin(struct registry *r, const char *id, size_t id_len)
{
    const struct adapter *pinned = NULL;
    bool found = false;
    size_t at = 0;

    pthread_mutex_lock(&r->lock);
    at = find(r, id, id_len, &found);
    if (found) {
        r->items[at]->pins++;
        r->items[at]->used = ++r->tick;
        r->pins++;
        pinned = &r->items[at]->adapter;
    }
    pthread_mutex_unlock(&r->lock);
    return pinned;
}

const struct adapter *registry_pin_again(struct registry *r, const struct adapter *adapter)
{
    struct generation *g = (struct generation *)(uintptr_t)adapter;

    pthread_mutex_lock(&r->lock);
    g->pins++;
    r->pins++;
    pthread_mutex_unlock(&r->lock);
    return adapter;
}

void registry_unpin(struct registry *r, const struct adapter *adapter)
{
    struct generation *g = (struct generation *)(uintptr_t)adapter;
    bool last = false;

    if (!adapter)
        return;
    pthread_mutex_lock(&r->lock);
    r->pins--;
    last = --g->pins == 0 && !g->current;
    if (last)
        r->bytes -= (int64_t)g->adapter.bytes;
    pthread_mutex_unlock(&r->lock);
    if (last)
        destroy_generation(r, g);
}

int32_t registry_remove(struct registry *r, const char *id, void (*unloaded)(void *arg), void *arg,
                        inf_error *err)
{
    struct generation *g = NULL;
    bool found = false;
    bool unpinned = false;
    size_t at = 0;

    pthread_mutex_lock(&r->lock);
    at = find(r, id, strlen(id), &found);
    if (found) {
        g = r->items[at];
        g->unloaded = unloaded;
        g->unloaded_arg = arg;
        take_out(r, at);
        unpinned = g->pins == 0;
        if (unpinned)
            r->bytes -= (int64_t)g->adapter.bytes;
    }
    pthread_mutex_unlock(&r->lock);
    if (!found)
        return error_set(err, INF_ERROR_NOT_FOUND, "adapter '%s' is not loaded", id);
    if (unpinned)
        destroy_generation(r, g);
    return INF_OK;
}

/* ------------------------------------------------------------------ looking */

int32_t registry_list(struct registry *r, inf_adapter_list *list, inf_error *err)
{
    int32_t code = INF_OK;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n && code == INF_OK; i++)
        code = adapter_list_add(list, &r->items[i]->report, err);
    pthread_mutex_unlock(&r->lock);
    return code;
}

void registry_count(struct registry *r, int64_t *adapters, int64_t *pins, int64_t *bytes)
{
    pthread_mutex_lock(&r->lock);
    *adapters = (int64_t)r->n;
    *pins = r->pins;
    *bytes = r->bytes;
    pthread_mutex_unlock(&r->lock);
}
