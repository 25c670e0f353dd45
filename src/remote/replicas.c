/* replicas: see the header. */
#include "remote/replicas.h"

enum { FIRST_WAIT_MS = 1000, LONGEST_WAIT_MS = 30000 };

static size_t pick_live(const struct replicas *r, uint64_t having, uint64_t tried)
{
    size_t best = REPLICA_NONE;

    for (size_t k = 0; k < r->n; k++) {
        size_t i = (r->next + k) % r->n;

        if (r->items[i].dead || replica_in(tried, i) || !replica_in(having, i))
            continue;
        if (best == REPLICA_NONE || r->items[i].busy < r->items[best].busy)
            best = i;
    }
    return best;
}

static bool any_live(const struct replicas *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].dead)
            return true;
    return false;
}

size_t replicas_pick(struct replicas *r, uint64_t having, uint64_t tried)
{
    size_t best = pick_live(r, having, tried);

    if (best == REPLICA_NONE && !any_live(r)) {
        for (size_t i = 0; i < r->n; i++)
            if (!replica_in(tried, i) &&
                (best == REPLICA_NONE || r->items[i].retry_us < r->items[best].retry_us))
                best = i;
    }
    /* A live one that lacks the adapter gets it when it says so. */
    if (best == REPLICA_NONE)
        best = pick_live(r, UINT64_MAX, tried);
    if (best != REPLICA_NONE && r->n > 0)
        r->next = (best + 1) % r->n;
    return best;
}

bool replicas_more(const struct replicas *r, uint64_t tried)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        n += !r->items[i].dead && !replica_in(tried, i);
    return n > 1;
}

void replicas_reborn(struct replicas *r, size_t i, uint32_t life)
{
    if (r->items[i].life == life && ++r->items[i].life == 0)
        r->items[i].life = 1;
}

uint32_t replicas_life(struct replicas *r, size_t i, int64_t now_us)
{
    struct replica *one = &r->items[i];

    if (one->life == 0 ||
        (one->busy == 0 && one->n_asking == 0 && now_us - one->heard_us >= CONTACT_US))
        replicas_reborn(r, i, one->life);
    return one->life;
}

void replicas_heard(struct replicas *r, size_t i, int64_t now_us)
{
    r->items[i].heard_us = now_us;
}

void replicas_failed(struct replicas *r, size_t i, uint32_t life, int64_t now_us)
{
    struct replica *one = &r->items[i];
    int64_t wait_ms = FIRST_WAIT_MS;

    if (life != one->life)
        return;
    replicas_reborn(r, i, life);
    if (r->n == 1)
        return;
    for (int32_t k = 0; k < one->failures && wait_ms < LONGEST_WAIT_MS; k++)
        wait_ms *= 2;
    if (wait_ms > LONGEST_WAIT_MS)
        wait_ms = LONGEST_WAIT_MS;
    one->dead = true;
    one->failures++;
    one->retry_us = now_us + wait_ms * 1000;
}

void replicas_alive(struct replicas *r, size_t i)
{
    r->items[i].dead = false;
    r->items[i].failures = 0;
}

size_t replicas_due(struct replicas *r, int64_t now_us)
{
    for (size_t i = 0; i < r->n; i++) {
        struct replica *one = &r->items[i];

        if (one->dead && !one->reviving && now_us >= one->retry_us) {
            one->reviving = true;
            return i;
        }
    }
    return REPLICA_NONE;
}
