/*
 * bpe: pieces into ids; see the header. Short runs of symbols are merged in place, longer ones with a
 * heap, so that no text costs more than n log n.
 */
#include "hf/tokenizer/bpe.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/bpe_tables.h"

#include <string.h>

enum { SHORT_RUN = 32 };

bool bpe_work_init(struct bpe_work *w)
{
    memset(w, 0, sizeof *w);
    return word_cache_init(&w->cache);
}

void bpe_work_free(struct bpe_work *w)
{
    word_cache_free(&w->cache);
    mem_free(w->symbols);
    mem_free(w->heap);
    memset(w, 0, sizeof *w);
}

/* ------------------------------------------------------------------ merging few symbols */

static void rank_pair(const struct bpe *m, struct bpe_symbol *left, const struct bpe_symbol *right)
{
    const struct merge *merge = bpe_find_merge(m, left->id, right->id);

    left->rank = merge ? merge->rank : BPE_NO_RANK;
    left->joint = merge ? merge->id : 0;
}

/* The leftmost pair of the lowest rank; n - 1: none can be merged. */
static size_t best_pair(const struct bpe_symbol *s, size_t n)
{
    size_t best = n - 1;
    uint32_t rank = BPE_NO_RANK;

    for (size_t i = 0; i + 1 < n; i++)
        if (s[i].rank < rank) {
            rank = s[i].rank;
            best = i;
        }
    return best;
}

/* How many symbols are left of n. */
static size_t merge_few(const struct bpe *m, struct bpe_symbol *s, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        rank_pair(m, s + i, s + i + 1);
    while (n > 1) {
        size_t at = best_pair(s, n);

        if (at == n - 1)
            break;
        s[at].id = (int32_t)s[at].joint;
        memmove(s + at + 1, s + at + 2, (n - at - 2) * sizeof *s);
        n--;
        if (at + 1 < n)
            rank_pair(m, s + at, s + at + 1);
        if (at > 0)
            rank_pair(m, s + at - 1, s + at);
    }
    return n;
}

/* ------------------------------------------------------------------ merging many symbols */

static void sift_up(uint64_t *heap, size_t at)
{
    uint64_t entry = heap[at];

    for (; at > 0 && heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static uint64_t take_least(uint64_t *heap, size_t *n)
{
    uint64_t least = heap[0];
    uint64_t last = heap[--*n];
    size_t at = 0;

    for (size_t child = 1; child < *n; child = 2 * at + 1) {
        if (child + 1 < *n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    if (*n > 0)
        heap[at] = last;
    return least;
}

/* The heap has room for every pair there was and two for each merge. */
static void queue_pair(const struct bpe *m, struct bpe_work *w, struct bpe_symbol *s, uint32_t at)
{
    rank_pair(m, s + at, s + s[at].next);
    if (s[at].rank == BPE_NO_RANK)
        return;
    w->heap[w->n_heap] = (uint64_t)s[at].rank << 32 | at;
    sift_up(w->heap, w->n_heap++);
}

static void merge_at(const struct bpe *m, struct bpe_work *w, struct bpe_symbol *s, uint32_t at)
{
    uint32_t gone = s[at].next;

    s[at].id = (int32_t)s[at].joint;
    s[at].next = s[gone].next;
    s[at].rank = s[gone].rank = BPE_NO_RANK;
    s[gone].id = -1;
    if (s[at].next != BPE_NO_RANK) {
        s[s[at].next].prev = at;
        queue_pair(m, w, s, at);
    }
    if (s[at].prev != BPE_NO_RANK)
        queue_pair(m, w, s, s[at].prev);
}

static bool merge_many(const struct bpe *m, struct bpe_work *w, struct bpe_symbol *s, size_t n,
                       size_t *left)
{
    if (!GROW(w->heap, w->heap_cap, 3 * n))
        return false;
    w->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        s[i].prev = i > 0 ? i - 1 : BPE_NO_RANK;
        s[i].next = i + 1 < n ? i + 1 : BPE_NO_RANK;
        s[i].rank = BPE_NO_RANK;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        queue_pair(m, w, s, i);
    while (w->n_heap > 0) {
        uint64_t entry = take_least(w->heap, &w->n_heap);
        uint32_t at = (uint32_t)entry;

        if (s[at].rank == entry >> 32) /* else the pair is no more */
            merge_at(m, w, s, at);
    }
    *left = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i].id >= 0)
            s[(*left)++].id = s[i].id;
    return true;
}

/* ------------------------------------------------------------------ a run of symbols */

static bool run_to_ids(const struct bpe *m, struct bpe_work *w, struct bpe_symbol *s, size_t n,
                       struct id_list *out)
{
    if (n <= SHORT_RUN)
        n = merge_few(m, s, n);
    else if (!merge_many(m, w, s, n, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!id_push(out, s[i].id))
            return false;
    return true;
}

/* text: the bytes of these symbols, all of them known. */
static bool known_run(const struct bpe *m, struct bpe_work *w, struct bpe_symbol *s, size_t n,
                      inf_text text, struct id_list *out)
{
    const struct word_entry *entry = NULL;
    size_t before = out->n;
    uint64_t hash = 0;

    if (n == 1)
        return id_push(out, s->id);
    if (text.len > WORD_CACHE_TEXT ||
        (m->bytes && m->ignore_merges)) /* whole pieces are kept there */
        return run_to_ids(m, w, s, n, out);
    entry = word_cache_find(&w->cache, text.data, text.len, &hash);
    if (entry)
        return id_push_all(out, entry->ids, entry->n);
    if (!run_to_ids(m, w, s, n, out))
        return false;
    word_cache_put(&w->cache, text.data, text.len, hash, out->ids + before, out->n - before);
    return true;
}

/* ------------------------------------------------------------------ pieces of bytes */

static bool cut_bytes(const struct bpe *m, struct bpe_work *w, const char *piece, size_t n,
                      struct id_list *out)
{
    struct bpe_symbol *s = w->symbols;
    size_t begin = 0;

    for (size_t i = 0; i < n; i++) {
        s[i].id = m->byte_ids[(uint8_t)piece[i]];
        if (i + 1 < n && bpe_joins_bytes(m, (uint8_t)piece[i], (uint8_t)piece[i + 1]))
            continue;
        if (!known_run(m, w, s + begin, i + 1 - begin, (inf_text){piece + begin, i + 1 - begin},
                       out))
            return false;
        begin = i + 1;
    }
    return true;
}

/* ------------------------------------------------------------------ pieces in general */

/* A run of characters of which some may be unknown. */
struct run {
    const struct bpe *m;
    struct bpe_work *w;
    struct bpe_symbol *symbols;
    size_t n;
    bool pending; /* the unknown, kept back until something known comes */
};

static void add_symbol(struct run *r, int32_t id)
{
    r->symbols[r->n++].id = id;
}

static void add_pending(struct run *r)
{
    if (r->pending)
        add_symbol(r, r->m->unk);
    r->pending = false;
}

static bool all_bytes_known(const struct bpe *m, const char *piece, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->byte_ids[(uint8_t)piece[i]] < 0)
            return false;
    return true;
}

/* The bytes stand before an unknown that is still kept back: so does the library. */
static bool add_fallback(struct run *r, const char *text, size_t n)
{
    if (!all_bytes_known(r->m, text, n))
        return false;
    for (size_t i = 0; i < n; i++)
        add_symbol(r, r->m->byte_ids[(uint8_t)text[i]]);
    return true;
}

/* A character as the vocabulary would have it there. */
static enum model_done add_character(struct run *r, const char *text, size_t n, int32_t id)
{
    if (id >= 0) {
        add_pending(r);
        add_symbol(r, id);
        return MODEL_DONE;
    }
    if (r->m->byte_fallback && !r->m->bytes && add_fallback(r, text, n))
        return MODEL_DONE;
    if (!r->m->has_unk)
        return MODEL_DONE; /* it is dropped */
    if (r->m->unk < 0)
        return MODEL_NO_UNK;
    if (!r->m->fuse_unk)
        add_pending(r);
    r->pending = true;
    return MODEL_DONE;
}

/* With the prefix of what does not begin and the suffix of what ends a piece. */
static enum model_done add_affixed(struct run *r, struct buffer *scratch, const char *c, size_t n,
                                   bool first, bool last)
{
    buffer_clear(scratch);
    if (!first && r->m->prefix)
        buffer_append_str(scratch, r->m->prefix);
    buffer_append(scratch, c, n);
    if (last && r->m->suffix)
        buffer_append_str(scratch, r->m->suffix);
    if (scratch->failed)
        return MODEL_NO_MEMORY;
    if (!GROW(r->w->symbols, r->w->symbols_cap, r->n + scratch->len + 2))
        return MODEL_NO_MEMORY;
    r->symbols = r->w->symbols;
    return add_character(r, scratch->data, scratch->len,
                         vocab_find(r->m->vocab, scratch->data, scratch->len));
}

static enum model_done end_run(struct run *r, struct id_list *out)
{
    bool ok = true;

    add_pending(r);
    ok = r->n == 0 || run_to_ids(r->m, r->w, r->symbols, r->n, out);
    r->n = 0;
    return ok ? MODEL_DONE : MODEL_NO_MEMORY;
}

static enum model_done encode_affixed(const struct bpe *m, struct bpe_work *w, const char *piece,
                                      size_t n, struct id_list *out)
{
    struct run r = {m, w, w->symbols, 0, false};
    enum model_done done = MODEL_DONE;
    struct buffer scratch;

    buffer_init(&scratch, BUFFER_NO_LIMIT);
    for (size_t i = 0, width = 0; i < n && done == MODEL_DONE; i += width) {
        width = utf8_width(piece[i]);
        done = add_affixed(&r, &scratch, piece + i, width, i == 0, i + width == n);
    }
    buffer_free(&scratch);
    return done == MODEL_DONE ? end_run(&r, out) : done;
}

/* Bytes of which some have no token. */
static enum model_done encode_unknown_bytes(const struct bpe *m, struct bpe_work *w,
                                            const char *piece, size_t n, struct id_list *out)
{
    struct run r = {m, w, w->symbols, 0, false};
    enum model_done done = MODEL_DONE;

    for (size_t i = 0; i < n && done == MODEL_DONE; i++)
        done = add_character(&r, piece + i, 1, m->byte_ids[(uint8_t)piece[i]]);
    return done == MODEL_DONE ? end_run(&r, out) : done;
}

/* ------------------------------------------------------------------ pieces of characters */

/* What cut_characters keeps of the character before. */
struct last {
    uint32_t code;
    bool known;
};

static enum model_done end_characters(struct run *r, bool all_known, inf_text text,
                                      struct id_list *out)
{
    if (!all_known)
        return end_run(r, out);
    if (r->n > 0 && !known_run(r->m, r->w, r->symbols, r->n, text, out))
        return MODEL_NO_MEMORY;
    r->n = 0;
    return MODEL_DONE;
}

/* Cut between two known characters that no merge joins. */
static enum model_done encode_characters(const struct bpe *m, struct bpe_work *w, const char *piece,
                                         size_t n, struct id_list *out)
{
    struct run r = {m, w, w->symbols, 0, false};
    struct last last = {0, false};
    enum model_done done = MODEL_DONE;
    bool all_known = true;
    size_t begin = 0;

    for (size_t i = 0, width = 0; i < n && done == MODEL_DONE; i += width) {
        uint32_t code = 0;
        int32_t id = 0;

        width = utf8_width(piece[i]);
        code = utf8_decode(piece + i, width);
        id = bpe_character_id(m, piece + i, width, code);
        if (m->cuts && last.known && id >= 0 && !bpe_joins_characters(m, last.code, code)) {
            done = end_characters(&r, all_known, (inf_text){piece + begin, i - begin}, out);
            begin = i;
            all_known = true;
        }
        last = (struct last){code, id >= 0};
        all_known = all_known && id >= 0;
        if (done == MODEL_DONE)
            done = add_character(&r, piece + i, width, id);
    }
    if (done == MODEL_DONE)
        done = end_characters(&r, all_known, (inf_text){piece + begin, n - begin}, out);
    return done;
}

/* A piece that is a token as it stands is that token, whatever the merges say; false: it is none. */
static bool push_whole(const struct bpe *m, const char *piece, size_t n, struct id_list *out,
                       enum model_done *done)
{
    int32_t whole = m->ignore_merges ? vocab_find(m->words, piece, n) : -1;

    if (whole < 0)
        return false;
    *done = id_push(out, whole) ? MODEL_DONE : MODEL_NO_MEMORY;
    return true;
}

static enum model_done encode_unseen_bytes(const struct bpe *m, struct bpe_work *w,
                                           const char *piece, size_t n, struct id_list *out)
{
    enum model_done done = MODEL_DONE;

    if (push_whole(m, piece, n, out, &done))
        return done;
    if (!all_bytes_known(m, piece, n))
        return encode_unknown_bytes(m, w, piece, n, out);
    if (n > WORD_CACHE_TEXT)
        return cut_bytes(m, w, piece, n, out) ? MODEL_DONE : MODEL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        w->symbols[i].id = m->byte_ids[(uint8_t)piece[i]];
    return run_to_ids(m, w, w->symbols, n, out) ? MODEL_DONE : MODEL_NO_MEMORY;
}

static enum model_done encode_bytes(const struct bpe *m, struct bpe_work *w, const char *piece,
                                    size_t n, struct id_list *out)
{
    const struct word_entry *entry = NULL;
    enum model_done done = MODEL_DONE;
    size_t before = out->n;
    uint64_t hash = 0;

    if (n > WORD_CACHE_TEXT)
        return encode_unseen_bytes(m, w, piece, n, out);
    entry = word_cache_find(&w->cache, piece, n, &hash);
    if (entry)
        return id_push_all(out, entry->ids, entry->n) ? MODEL_DONE : MODEL_NO_MEMORY;
    done = encode_unseen_bytes(m, w, piece, n, out);
    if (done == MODEL_DONE)
        word_cache_put(&w->cache, piece, n, hash, out->ids + before, out->n - before);
    return done;
}

enum model_done bpe_encode(const struct bpe *m, struct bpe_work *w, const char *piece, size_t n,
                           struct id_list *out)
{
    enum model_done done = MODEL_DONE;

    if (n == 0)
        return MODEL_DONE;
    if (!GROW(w->symbols, w->symbols_cap, n + 1))
        return MODEL_NO_MEMORY;
    if (m->bytes)
        return encode_bytes(m, w, piece, n, out);
    if (push_whole(m, piece, n, out, &done))
        return done;
    return m->prefix || m->suffix ? encode_affixed(m, w, piece, n, out)
                                  : encode_characters(m, w, piece, n, out);
}
