/* deadline: the exchanges that are not done, in a binary heap, the earliest to look at first. One
 * libuv timer serves them all. I/O thread only. */
#include "http/internal.h"

#include "core/memory.h"

static void put(struct http_client *c, size_t at, struct http_exchange *x)
{
    c->heap[at] = x;
    x->heap_index = at;
}

static void up(struct http_client *c, size_t at)
{
    struct http_exchange *x = c->heap[at];

    while (at > 0 && c->heap[(at - 1) / 2]->due > x->due) {
        put(c, at, c->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(c, at, x);
}

static void down(struct http_client *c, size_t at)
{
    struct http_exchange *x = c->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= c->n_heap)
            break;
        if (child + 1 < c->n_heap && c->heap[child + 1]->due < c->heap[child]->due)
            child++;
        if (c->heap[child]->due >= x->due)
            break;
        put(c, at, c->heap[child]);
        at = child;
    }
    put(c, at, x);
}

int32_t deadline_add(struct http_client *c, struct http_exchange *x, inf_error *err)
{
    if (c->n_heap == c->heap_capacity) {
        size_t capacity = c->heap_capacity ? c->heap_capacity * 2 : 64;
        struct http_exchange **grown = mem_realloc(c->heap, capacity * sizeof *grown);

        if (!grown)
            return error_no_memory(err);
        c->heap = grown;
        c->heap_capacity = capacity;
    }
    put(c, c->n_heap++, x);
    up(c, x->heap_index);
    return INF_OK;
}

void deadline_set(struct http_client *c, struct http_exchange *x, uint64_t due)
{
    if (x->due == due || x->heap_index == SIZE_MAX) {
        x->due = due;
        return;
    }
    x->due = due;
    up(c, x->heap_index);
    down(c, x->heap_index);
}

void deadline_remove(struct http_client *c, struct http_exchange *x)
{
    size_t at = x->heap_index;
    struct http_exchange *last = NULL;

    if (at == SIZE_MAX)
        return;
    x->heap_index = SIZE_MAX;
    last = c->heap[--c->n_heap];
    if (last == x)
        return;
    put(c, at, last);
    up(c, at);
    down(c, last->heap_index);
}

static void on_clock(uv_timer_t *timer)
{
    struct http_client *c = timer->data;

    c->clock_due = HTTP_NEVER;
    while (c->n_heap > 0 && c->heap[0]->due <= uv_now(&c->loop))
        c->events->due(c->heap[0]);
    c->events->settle(c);
}

/* A timer that comes too early only looks, so that it is left alone when the earliest moves back. */
void deadline_arm(struct http_client *c)
{
    uint64_t due = c->n_heap > 0 ? c->heap[0]->due : HTTP_NEVER;
    uint64_t now = uv_now(&c->loop);

    if (due >= c->clock_due)
        return;
    c->clock_due = due;
    uv_timer_start(&c->clock, on_clock, due > now ? due - now : 0, 0);
}
