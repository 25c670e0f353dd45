/*
 * member_sets: see the header.
 */
#include "text/constraint/member_sets.h"

#include "core/growing.h"

#include <string.h>

#define MAX_SETS ((size_t)1 << 18)

static int32_t *bucket_of(struct member_sets *t, const uint64_t *bits)
{
    uint64_t h = 0;

    for (size_t i = 0; i < t->n_words; i++)
        h = (h ^ bits[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return &t->buckets[(size_t)(h >> 40) & (t->n_buckets - 1)];
}

static void put_in_bucket(struct member_sets *t, size_t set)
{
    int32_t *bucket = bucket_of(t, t->bits + set * t->n_words);

    t->older[set] = *bucket;
    *bucket = (int32_t)set;
}

static bool grow_buckets(struct member_sets *t)
{
    size_t n = t->n_buckets ? t->n_buckets * 2 : 64;
    int32_t *grown = mem_alloc(n * sizeof *grown);

    if (!grown)
        return false;
    mem_free(t->buckets);
    t->buckets = grown;
    t->n_buckets = n;
    for (size_t i = 0; i < n; i++)
        grown[i] = -1;
    for (size_t i = 0; i < t->n; i++)
        put_in_bucket(t, i);
    return true;
}

static bool make_room(struct member_sets *t)
{
    return t->n < MAX_SETS && GROW(t->bits, t->bits_cap, (t->n + 1) * t->n_words) &&
           GROW(t->older, t->older_cap, t->n + 1) && (t->n < t->n_buckets || grow_buckets(t));
}

bool member_sets_start(struct member_sets *t, size_t n_members)
{
    t->n_words = (n_members + 63) / 64;
    if (t->n_words == 0)
        return true;
    if (!make_room(t))
        return false;
    memset(t->bits, 0, t->n_words * sizeof *t->bits);
    put_in_bucket(t, t->n++);
    return true;
}

void member_sets_free(struct member_sets *t)
{
    mem_free(t->bits);
    mem_free(t->older);
    mem_free(t->buckets);
}

void member_sets_cut(struct member_sets *t, size_t n)
{
    while (t->n > n) {
        t->n--;
        *bucket_of(t, t->bits + t->n * t->n_words) = t->older[t->n];
    }
}

bool member_sets_has(const struct member_sets *t, int32_t set, int32_t member)
{
    return t->bits[(size_t)set * t->n_words + (size_t)member / 64] >> member % 64 & 1;
}

int32_t member_sets_count(const struct member_sets *t, int32_t set)
{
    int32_t n = 0;

    for (size_t i = 0; i < t->n_words; i++)
        n += __builtin_popcountll(t->bits[(size_t)set * t->n_words + i]);
    return n;
}

bool member_sets_add(struct member_sets *t, int32_t *set, int32_t member)
{
    uint64_t *bits = NULL;

    if (!make_room(t))
        return false;
    bits = t->bits + t->n * t->n_words;
    memcpy(bits, t->bits + (size_t)*set * t->n_words, t->n_words * sizeof *bits);
    bits[member / 64] |= UINT64_C(1) << member % 64;
    for (int32_t i = *bucket_of(t, bits); i >= 0; i = t->older[i]) {
        if (memcmp(bits, t->bits + (size_t)i * t->n_words, t->n_words * sizeof *bits) == 0) {
            *set = i;
            return true;
        }
    }
    put_in_bucket(t, t->n);
    *set = (int32_t)t->n++;
    return true;
}
