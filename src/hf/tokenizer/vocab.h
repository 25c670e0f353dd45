/*
 * vocab: a vocabulary: texts and their ids. Texts are unique, ids are; there may be holes. Built once,
 * then only read: any thread.
 */
#ifndef INF_HF_TOKENIZER_VOCAB_H
#define INF_HF_TOKENIZER_VOCAB_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids and their number end here: memory is bounded by the file's size and this. */
enum { VOCAB_MAX_IDS = 1 << 22 };

/* Where a text lies; length UINT32_MAX: a hole. */
struct vocab_place {
    uint32_t begin, length;
};

struct vocab {
    uint64_t seed; /* of the hash: files cannot choose what collides */
    char *bytes;   /* the texts, one behind the other */
    size_t n_bytes, bytes_cap;
    struct vocab_place *places; /* by id */
    size_t places_cap;
    uint32_t n_ids;  /* one more than the largest */
    uint32_t n;      /* texts */
    uint64_t *slots; /* hash (upper half) and id + 1 (lower); 0: free */
    size_t n_slots;  /* a power of two, or 0 */
};

enum vocab_added { VOCAB_ADDED, VOCAB_TEXT_TWICE, VOCAB_ID_TWICE, VOCAB_ID_LARGE, VOCAB_NO_MEMORY };

void vocab_init(struct vocab *v);
void vocab_free(struct vocab *v);
/* Memory for so many ids and bytes of texts at once, where their numbers are known; at most what it can
 * have is asked for. false: there is none. */
bool vocab_reserve(struct vocab *v, size_t n_ids, size_t n_bytes);
enum vocab_added vocab_add(struct vocab *v, const char *text, size_t len, uint32_t id);
/* The id, or -1. */
int32_t vocab_find(const struct vocab *v, const char *text, size_t len);
/* The id of a byte by itself, "<0x0A>", or -1. */
int32_t vocab_find_byte(const struct vocab *v, int byte);
/* The same for many at once, whose memory is then waited for together. */
enum { VOCAB_BATCH = 32 };
struct vocab_query {
    const char *text;
    size_t len;
    uint64_t hash;
    int32_t id; /* the answer */
};
void vocab_find_batch(const struct vocab *v, struct vocab_query *queries, size_t n);
/* The text of an id; NULL: a hole, or beyond the end. */
const char *vocab_text(const struct vocab *v, uint32_t id, size_t *len);

#endif
