/* bpe: its tables; see bpe.h. */
#include "hf/tokenizer/bpe_tables.h"

#include "core/hash.h"
#include "core/memory.h"
#include "hf/tokenizer/byte_level.h"

#include <string.h>

enum { AHEAD = 16 }; /* memory is asked for so many merges before it is needed */

static void put_merge(struct bpe *m, const struct listed_merge *merge, uint32_t rank)
{
    uint64_t pair = bpe_pair(merge->left, merge->right);
    size_t at = bpe_pair_hash(m->seed, pair) & (m->n_merge_slots - 1);

    while (m->merges[at].pair != BPE_NO_PAIR && m->merges[at].pair != pair)
        at = (at + 1) & (m->n_merge_slots - 1);
    m->merges[at] = (struct merge){pair, rank, merge->id};
}

bool bpe_set_merges(struct bpe *m, const struct listed_merge *merges, size_t n)
{
    size_t slots = 16;

    while (slots < 2 * n)
        slots *= 2;
    m->seed = hash_seed();
    m->merges = mem_alloc(slots * sizeof *m->merges);
    if (!m->merges)
        return false;
    memset(m->merges, 0xff, slots * sizeof *m->merges); /* BPE_NO_PAIR */
    m->n_merge_slots = slots;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(m->merges +
                                   (bpe_pair_hash(m->seed, bpe_pair(merges[i + AHEAD].left,
                                                                    merges[i + AHEAD].right)) &
                                    (slots - 1)),
                               1);
        put_merge(m, merges + i, (uint32_t)i);
    }
    return true;
}

static void find_bytes(struct bpe *m)
{
    for (int byte = 0; byte < 256; byte++) {
        char c[4];

        if (m->bytes)
            m->byte_ids[byte] = vocab_find(m->vocab, c,
                                           utf8_encode(c, byte_level_char((uint8_t)byte)));
        else
            m->byte_ids[byte] = m->byte_fallback ? vocab_find_byte(m->vocab, byte) : -1;
    }
}

static bool find_characters(struct bpe *m)
{
    m->char_ids = mem_alloc(BPE_CHARS * sizeof *m->char_ids);
    if (!m->char_ids)
        return false;
    for (uint32_t i = 0; i < BPE_CHARS; i++)
        m->char_ids[i] = -1;
    for (uint32_t id = 0; id < m->vocab->n_ids; id++) {
        size_t n = 0;
        const char *text = vocab_text(m->vocab, id, &n);

        if (text && n > 0 && n < 4 && utf8_sequence(text, n) == n)
            m->char_ids[utf8_decode(text, n)] = (int32_t)id;
    }
    return true;
}

static void set_join(struct bpe *m, uint32_t left, uint32_t right)
{
    uint32_t at = 0;

    if (m->bytes) {
        int l = byte_level_byte(left), r = byte_level_byte(right);

        if (l < 0 || r < 0)
            return; /* no text has it */
        at = (uint32_t)l << 8 | (uint32_t)r;
    } else {
        at = bpe_join_of_characters(left, right);
    }
    m->joins[at / 64] |= UINT64_C(1) << (at % 64);
}

/* Which pairs of neighbours some merge joins. */
static bool find_joins(struct bpe *m)
{
    size_t bits = m->bytes ? 1 << 16 : BPE_JOIN_BITS;

    m->joins = mem_calloc(bits / 64, sizeof *m->joins);
    if (!m->joins)
        return false;
    for (size_t i = 0; i < m->n_merge_slots; i++) {
        size_t n_left = 0, n_right = 0, last = 0;
        const char *left = NULL, *right = NULL;

        if (m->merges[i].pair == BPE_NO_PAIR)
            continue;
        left = vocab_text(m->vocab, (uint32_t)(m->merges[i].pair >> 32), &n_left);
        right = vocab_text(m->vocab, (uint32_t)m->merges[i].pair, &n_right);
        if (!left || !right || n_left == 0 || n_right == 0)
            continue;
        last = utf8_back(left, n_left);
        set_join(m, utf8_decode(left + last, n_left - last),
                 utf8_decode(right, utf8_width(*right)));
    }
    return true;
}

/* A byte without a token would fall back to the bytes of its character in the alphabet. */
static bool lacks_bytes(const struct bpe *m)
{
    for (int byte = 0; byte < 256; byte++)
        if (m->byte_ids[byte] < 0)
            return true;
    return false;
}

bool bpe_finish(struct bpe *m, bool bytes)
{
    m->bytes = bytes && !m->prefix && !m->suffix;
    m->cuts = !m->prefix && !m->suffix;
    find_bytes(m);
    if (m->bytes && m->byte_fallback && lacks_bytes(m)) {
        m->bytes = false;
        find_bytes(m);
    }
    return (m->bytes || find_characters(m)) && find_joins(m);
}

void bpe_free(struct bpe *m)
{
    mem_free(m->merges);
    mem_free(m->prefix);
    mem_free(m->suffix);
    mem_free(m->char_ids);
    mem_free(m->joins);
    memset(m, 0, sizeof *m);
}
