/*
 * signal: what other threads hand to the I/O thread, and the client's memory, which outlives that thread
 * where somebody still holds an exchange.
 */
#include "http/internal.h"

#include "core/memory.h"

static _Thread_local const struct http_client *current;

/* xorshift: spreads retries, nothing more. */
uint64_t client_random(struct http_client *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

bool client_signal(struct http_exchange *x, uint32_t signal)
{
    struct http_client *c = x->client;
    bool listening = false;
    bool first = false;

    pthread_mutex_lock(&c->signal_lock);
    listening = c->listening;
    if (listening && x->signals == 0) {
        atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
        first = !c->signalled;
        x->next_signalled = NULL;
        *c->signalled_end = x;
        c->signalled_end = &x->next_signalled;
    }
    if (listening)
        x->signals |= signal;
    if (first && current != c)
        uv_async_send(&c->wake);
    pthread_mutex_unlock(&c->signal_lock);
    return listening;
}

/* Takes all, reads what each was told, and leaves them linked. */
struct http_exchange *signals_take(struct http_client *c)
{
    struct http_exchange *all = NULL;

    pthread_mutex_lock(&c->signal_lock);
    all = c->signalled;
    c->signalled = NULL;
    c->signalled_end = &c->signalled;
    pthread_mutex_unlock(&c->signal_lock);
    return all;
}

uint32_t signals_read(struct http_exchange *x, struct http_exchange **next)
{
    uint32_t signals = 0;

    pthread_mutex_lock(&x->client->signal_lock);
    *next = x->next_signalled;
    signals = x->signals;
    x->signals = 0; /* from here on it may be queued again */
    pthread_mutex_unlock(&x->client->signal_lock);
    return signals;
}

void signals_on_this_thread(const struct http_client *c)
{
    current = c;
}

void signals_close(struct http_client *c)
{
    pthread_mutex_lock(&c->signal_lock);
    c->listening = false;
    pthread_mutex_unlock(&c->signal_lock);
}

/* ------------------------------------------------------------------ the client's memory */

static void free_client(struct http_client *c)
{
    environment_free(&c->environment);
    http_headers_unref(c->no_headers);
    pthread_mutex_destroy(&c->signal_lock);
    heap_free(&c->deadlines);
    mem_free(c);
}

void client_unref_block(struct http_client *c)
{
    if (atomic_fetch_sub_explicit(&c->blocks, 1, memory_order_acq_rel) == 1)
        free_client(c);
}
