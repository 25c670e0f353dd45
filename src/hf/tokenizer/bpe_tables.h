/* bpe_tables: what bpe.c looks up for each pair and character. Internal to bpe. */
#ifndef INF_HF_TOKENIZER_BPE_TABLES_H
#define INF_HF_TOKENIZER_BPE_TABLES_H

#include "core/utf8.h"
#include "hf/tokenizer/bpe.h"

enum { BPE_CHARS = 0x10000, BPE_JOIN_BITS = 1 << 20 };

static inline uint64_t bpe_pair(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 32 | right;
}

static inline uint64_t bpe_pair_hash(uint64_t seed, uint64_t pair)
{
    uint64_t h = (pair ^ seed) * UINT64_C(0x9e3779b97f4a7c15);

    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static inline const struct merge *bpe_find_merge(const struct bpe *m, int32_t left, int32_t right)
{
    uint64_t pair = bpe_pair((uint32_t)left, (uint32_t)right);
    size_t at = 0;

    if (m->n_merge_slots == 0)
        return NULL;
    for (at = bpe_pair_hash(m->seed, pair) & (m->n_merge_slots - 1);
         m->merges[at].pair != BPE_NO_PAIR; at = (at + 1) & (m->n_merge_slots - 1))
        if (m->merges[at].pair == pair)
            return m->merges + at;
    return NULL;
}

static inline bool bpe_bit(const uint64_t *bits, uint32_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static inline uint32_t bpe_join_of_characters(uint32_t left, uint32_t right)
{
    return ((left * UINT32_C(0x9e3779b1)) ^ (right * UINT32_C(0x85ebca77))) >> 12;
}

static inline bool bpe_joins_bytes(const struct bpe *m, uint8_t left, uint8_t right)
{
    return bpe_bit(m->joins, (uint32_t)left << 8 | right);
}

static inline bool bpe_joins_characters(const struct bpe *m, uint32_t left, uint32_t right)
{
    return bpe_bit(m->joins, bpe_join_of_characters(left, right));
}

static inline int32_t bpe_character_id(const struct bpe *m, const char *s, size_t n, uint32_t code)
{
    return code < BPE_CHARS ? m->char_ids[code] : vocab_find(m->vocab, s, n);
}

#endif
