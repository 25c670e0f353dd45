/*
 * slot_states: see the header.
 */
#include "local/slot_states.h"

#include "core/memory.h"

#include <string.h>

int32_t slot_states_before(const struct slot_states *s, int32_t n)
{
    int32_t best = 0;

    for (int32_t i = 0; i < s->count && s->at[i].n <= n; i++)
        best = s->at[i].n;
    return best;
}

static void unref(struct kept_state *kept, struct state_store *store)
{
    if (--kept->refs > 0)
        return;
    store->engine->ops->free_state(store->engine->impl, kept->state);
    store->count--;
    mem_free(kept);
}

static void give_up(struct slot_states *s, struct state_store *store, int32_t i)
{
    unref(s->at[i].kept, store);
    s->count--;
    memmove(&s->at[i], &s->at[i + 1], (size_t)(s->count - i) * sizeof s->at[i]);
}

bool slot_states_thin(struct slot_states *s, struct state_store *store)
{
    int32_t closest = 0;
    int32_t least = INT32_MAX;

    for (int32_t i = 0; i < s->count; i++) {
        int32_t gap = s->at[i].n - (i ? s->at[i - 1].n : 0);

        if (gap < least) {
            least = gap;
            closest = i;
        }
    }
    if (s->count == 0)
        return false;
    give_up(s, store, closest);
    return true;
}

void slot_states_keep(struct slot_states *s, struct state_store *store, int32_t slot, int32_t n)
{
    struct kept_state *kept = NULL;

    if (s->count == SLOT_STATES_MOST)
        slot_states_thin(s, store);
    kept = mem_calloc(1, sizeof *kept);
    if (!kept)
        return;
    kept->state = store->engine->ops->save(store->engine->impl, slot);
    if (!kept->state) {
        mem_free(kept);
        return;
    }
    kept->refs = 1;
    store->count++;
    s->at[s->count].n = n;
    s->at[s->count].kept = kept;
    s->count++;
}

int32_t slot_states_restore(const struct slot_states *s, struct state_store *store, int32_t slot,
                            int32_t n)
{
    int32_t i = 0;

    while (s->at[i].n != n)
        i++;
    return store->engine->ops->restore(store->engine->impl, slot, n, s->at[i].kept->state);
}

void slot_states_cut(struct slot_states *s, struct state_store *store, int32_t n)
{
    while (s->count > 0 && s->at[s->count - 1].n > n)
        give_up(s, store, s->count - 1);
}

void slot_states_share(struct slot_states *to, const struct slot_states *from, int32_t n)
{
    for (to->count = 0; to->count < from->count && from->at[to->count].n <= n; to->count++) {
        to->at[to->count] = from->at[to->count];
        to->at[to->count].kept->refs++;
    }
}
