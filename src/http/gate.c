/*
 * gate: how many exchanges run with a server at once; the rest wait in order. It counts exchanges, not
 * connections: over HTTP/1 they are the same, over HTTP/2 a stream counts as one. libcurl could count
 * connections, but tells nobody when one that waits has got its own, and counts for each of our multi
 * handles by itself.
 *
 * I/O thread only, but for making and references.
 */
#include "http/internal.h"

#include "core/config.h"
#include "core/memory.h"

#include <sys/resource.h>

/* Descriptors left for everything else, where there are so many; and at least. */
#define SPARE_DESCRIPTORS 64
#define OWN_DESCRIPTORS 16

struct http_gate {
    _Atomic int32_t refs; /* the owner, exchanges, the client's list */
    int32_t wanted, max;  /* constant; max is less where descriptors are few */
    int32_t inside;
    struct http_exchange *first, *last; /* those that wait */
    struct http_gate *next_open;
    bool open; /* in the client's list */
    bool told; /* that it binds */
};

static int32_t most_descriptors(void)
{
    struct rlimit limit;
    rlim_t spare = SPARE_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur > INT32_MAX)
        return INT32_MAX;
    if (spare > limit.rlim_cur / 2)
        spare = limit.rlim_cur / 2;
    if (spare < OWN_DESCRIPTORS)
        spare = OWN_DESCRIPTORS;
    return limit.rlim_cur > spare ? (int32_t)(limit.rlim_cur - spare) : 1;
}

int32_t http_gate_create(struct http_gate **out, int32_t max, inf_error *err)
{
    int32_t most = most_descriptors();
    struct http_gate *g = mem_calloc(1, sizeof *g);

    *out = g;
    if (!g)
        return error_no_memory(err);
    atomic_init(&g->refs, 1);
    g->wanted = max;
    g->max = max < most ? max : most;
    return INF_OK;
}

struct http_gate *gate_ref(struct http_gate *g)
{
    if (g)
        atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void http_gate_release(struct http_gate *g)
{
    if (g && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
        mem_free(g);
}

/* A bound that nobody chose is a warning. */
static void say_that_it_binds(struct http_gate *g, const struct http_exchange *x)
{
    char what[FAILURE_WHAT];

    if (g->told)
        return;
    g->told = true;
    failure_what(what, sizeof what, x);
    if (g->max < g->wanted)
        context_log(x->client->ctx, INF_LOG_WARNING,
                    "%s: %d requests run at once, the rest wait; more than that the limit of open "
                    "files does not allow (ulimit -n)",
                    what, g->max);
    else
        context_log(
            x->client->ctx, g->wanted == CONFIG_MAX_CONNECTIONS ? INF_LOG_WARNING : INF_LOG_INFO,
            "%s: %d requests run at once, the rest wait; max_connections raises it", what, g->max);
}

bool gate_enter(struct http_exchange *x)
{
    struct http_gate *g = x->asked.gate;

    if (!g || (g->inside < g->max && !g->first)) {
        if (g)
            g->inside++;
        x->inside = g != NULL;
        return true;
    }
    say_that_it_binds(g, x);
    x->previous_waiter = g->last;
    x->next_waiter = NULL;
    if (g->last)
        g->last->next_waiter = x;
    else
        g->first = x;
    g->last = x;
    return false;
}

static void take_out(struct http_gate *g, struct http_exchange *x)
{
    if (x->previous_waiter)
        x->previous_waiter->next_waiter = x->next_waiter;
    else
        g->first = x->next_waiter;
    if (x->next_waiter)
        x->next_waiter->previous_waiter = x->previous_waiter;
    else
        g->last = x->previous_waiter;
    x->next_waiter = x->previous_waiter = NULL;
}

/* Who waits is let in later: an exchange that ends at once would call this from inside. */
void gate_leave(struct http_exchange *x)
{
    struct http_gate *g = x->asked.gate;
    struct http_client *c = x->client;

    if (x->phase == PHASE_QUEUED) {
        take_out(g, x);
        return;
    }
    if (!x->inside)
        return;
    x->inside = false;
    g->inside--;
    if (!g->first || g->open)
        return;
    g->open = true;
    g->next_open = c->open_gates;
    c->open_gates = gate_ref(g);
}

bool gates_run(struct http_client *c)
{
    struct http_gate *g = c->open_gates;
    bool any = false;

    c->open_gates = NULL;
    while (g) {
        struct http_gate *next = g->next_open;

        g->open = false;
        while (g->first && g->inside < g->max) {
            struct http_exchange *x = g->first;

            take_out(g, x);
            g->inside++;
            x->inside = true;
            x->client->events->let_in(x);
            any = true;
        }
        http_gate_release(g);
        g = next;
    }
    return any;
}
