/* deadline: the exchanges that are not done, in a heap, the earliest to look at first. One libuv
 * timer serves them all. I/O thread only. */
#include "http/internal.h"

static uint64_t earliest(const struct http_client *c)
{
    const struct heap_node *first = heap_first(&c->deadlines);

    return first ? first->due : HTTP_NEVER;
}

static void on_clock(uv_timer_t *timer)
{
    struct http_client *c = timer->data;

    c->clock_due = HTTP_NEVER;
    while (earliest(c) <= uv_now(&c->loop))
        c->events->due(heap_first(&c->deadlines)->owner);
    c->events->settle(c);
}

/* A timer that comes too early only looks, so that it is left alone when the earliest moves back. */
void deadline_arm(struct http_client *c)
{
    uint64_t due = earliest(c);
    uint64_t now = uv_now(&c->loop);

    if (due >= c->clock_due)
        return;
    c->clock_due = due;
    uv_timer_start(&c->clock, on_clock, due > now ? due - now : 0, 0);
}
