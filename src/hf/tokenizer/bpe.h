/*
 * bpe: byte-pair encoding as the tokenizers library does it: the pair of lowest rank first, the
 * leftmost among equals, until none is left.
 *
 * Two forms: over the characters of a text, and over the bytes of a text whose pre-tokenizer ends
 * with ByteLevel, whose alphabet is then never written out. Pieces are cut where no merge reaches
 * across, so that long ones cost no more than words.
 *
 * The model is immutable: any thread. Its scratch memory (bpe_work) belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_BPE_H
#define INF_HF_TOKENIZER_BPE_H

#include "hf/tokenizer/id_list.h"
#include "hf/tokenizer/vocab.h"
#include "hf/tokenizer/word_cache.h"

struct merge {
    uint64_t pair; /* left id << 32 | right id; NO_PAIR: free */
    uint32_t rank, id;
};

#define BPE_NO_PAIR UINT64_MAX
#define BPE_NO_RANK UINT32_MAX

struct bpe {
    const struct vocab *vocab;
    const struct vocab *words; /* texts as the pieces have them; for ignore_merges */
    struct merge *merges;
    size_t n_merge_slots; /* a power of two, or 0 */
    uint64_t seed;
    char *prefix, *suffix; /* of what does not begin, of what ends a piece; NULL: none */
    bool fuse_unk, byte_fallback, ignore_merges, has_unk;
    int32_t unk;           /* -1: not in the vocabulary */
    bool bytes;            /* pieces are bytes, not characters */
    int32_t byte_ids[256]; /* of a byte; in characters, of its fallback; -1: none */
    int32_t *char_ids;     /* of characters below 0x10000; NULL over bytes */
    uint64_t *joins; /* a bit for each pair of bytes (a hash of characters) that a merge joins */
    bool cuts;       /* pieces may be cut by it */
};

struct bpe_symbol {
    int32_t id;
    uint32_t prev, next;  /* BPE_NO_RANK: none */
    uint32_t rank, joint; /* of the pair with the next: rank and id */
};

struct bpe_work {
    struct word_cache cache;
    struct bpe_symbol *symbols;
    size_t symbols_cap;
    uint64_t *heap; /* rank << 32 | index */
    size_t n_heap, heap_cap;
};

/* A merge as the file lists it; its rank is its place in the list. */
struct listed_merge {
    uint32_t left, right, id;
};
/* All merges; a later one of a pair stands for an earlier one. false: out of memory. */
bool bpe_set_merges(struct bpe *m, const struct listed_merge *merges, size_t n);
/* Once vocabulary, merges and options are there; tables for encoding. `bytes`: over bytes. */
bool bpe_finish(struct bpe *m, bool bytes);
void bpe_free(struct bpe *m);

bool bpe_work_init(struct bpe_work *w);
void bpe_work_free(struct bpe_work *w);
/* Appends the ids of a piece (well-formed UTF-8). */
enum model_done bpe_encode(const struct bpe *m, struct bpe_work *w, const char *piece, size_t n,
                           struct id_list *out);

#endif
