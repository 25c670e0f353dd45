/* unigram: see the header. Viterbi over the places of a piece, in the library's order of sums. */
#include "hf/tokenizer/unigram.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <math.h>
#include <string.h>

enum { UNKNOWN_PENALTY = 10 };

/* The best way to a place. */
struct unigram_node {
    double score;
    uint32_t from; /* UINT32_MAX: there is none */
    int32_t id;
};

enum model_done unigram_finish(struct unigram *m)
{
    double least = INFINITY;

    for (uint32_t id = 0; id < m->vocab->n_ids; id++) {
        size_t n = 0;
        const char *text = vocab_text(m->vocab, id, &n);

        if (!text)
            continue;
        if (n > UNIGRAM_LONGEST)
            return MODEL_TOO_LONG;
        if (!token_trie_add(&m->pieces, text, n, (int32_t)id))
            return MODEL_NO_MEMORY;
        least = m->scores[id] < least ? m->scores[id] : least;
    }
    m->unknown = least - UNKNOWN_PENALTY;
    for (int byte = 0; byte < 256; byte++)
        m->byte_ids[byte] = m->byte_fallback ? vocab_find_byte(m->vocab, byte) : -1;
    return MODEL_DONE;
}

void unigram_free(struct unigram *m)
{
    mem_free(m->scores);
    token_trie_free(&m->pieces);
    m->scores = NULL;
}

void unigram_work_free(struct unigram_work *w)
{
    mem_free(w->nodes);
    mem_free(w->path.ids);
    memset(w, 0, sizeof *w);
}

static void offer(struct unigram_node *to, double score, size_t from, int32_t id)
{
    if (to->from == UINT32_MAX || score > to->score)
        *to = (struct unigram_node){score, (uint32_t)from, id};
}

/* Every token that begins at `at`. false: the character there is none by itself. */
static bool offer_tokens(const struct unigram *m, struct unigram_node *nodes, const char *piece,
                         size_t n, size_t at, size_t width)
{
    double before = nodes[at].score;
    bool single = false;
    uint32_t node = 0;

    for (size_t end = at; end < n;) {
        int32_t id = -1;

        node = token_trie_next(&m->pieces, node, (uint8_t)piece[end++]);
        if (!node)
            break;
        id = m->pieces.values[node];
        if (id < 0)
            continue;
        offer(nodes + end, m->scores[id] + before, at, id);
        single = single || end - at == width;
    }
    return single;
}

static enum model_done find_paths(const struct unigram *m, struct unigram_node *nodes,
                                  const char *piece, size_t n)
{
    for (size_t i = 0; i <= n; i++)
        nodes[i] = (struct unigram_node){0, UINT32_MAX, 0};
    for (size_t at = 0, width = 0; at < n; at += width) {
        width = utf8_width(piece[at]);
        if (offer_tokens(m, nodes, piece, n, at, width))
            continue;
        if (nodes[at + width].from == UINT32_MAX ||
            m->unknown + nodes[at].score > nodes[at + width].score) {
            if (m->unk < 0)
                return MODEL_NO_UNK;
            offer(nodes + at + width, m->unknown + nodes[at].score, at, m->unk);
        }
    }
    return MODEL_DONE;
}

/* Neighbouring unknown characters are one; a piece of the path, last first, is where it begins. */
static bool note_path(const struct unigram *m, struct unigram_work *w, size_t n)
{
    bool unknown = false;

    w->path.n = 0;
    for (size_t end = n; end > 0; end = w->nodes[end].from) {
        bool is = w->nodes[end].id == m->unk;

        if (is && unknown)
            w->path.ids[w->path.n - 1] = (int32_t)w->nodes[end].from;
        else if (!id_push(&w->path, (int32_t)w->nodes[end].from))
            return false;
        unknown = is;
    }
    return true;
}

/* A piece of the path, which may be unknown, or many characters that are a token together. */
static enum model_done push_piece(const struct unigram *m, const char *text, size_t n,
                                  struct id_list *out)
{
    int32_t id = vocab_find(m->vocab, text, n);
    bool bytes = m->byte_fallback;

    if (id >= 0)
        return id_push(out, id) ? MODEL_DONE : MODEL_NO_MEMORY;
    for (size_t i = 0; i < n && bytes; i++)
        bytes = m->byte_ids[(uint8_t)text[i]] >= 0;
    for (size_t i = 0; i < n && bytes; i++)
        if (!id_push(out, m->byte_ids[(uint8_t)text[i]]))
            return MODEL_NO_MEMORY;
    if (bytes)
        return MODEL_DONE;
    if (m->unk < 0)
        return MODEL_NO_UNK;
    return id_push(out, m->unk) ? MODEL_DONE : MODEL_NO_MEMORY;
}

enum model_done unigram_encode(const struct unigram *m, struct unigram_work *w, const char *piece,
                               size_t n, struct id_list *out)
{
    enum model_done done = MODEL_DONE;

    if (n == 0)
        return MODEL_DONE;
    if (!GROW(w->nodes, w->cap, n + 1))
        return MODEL_NO_MEMORY;
    done = find_paths(m, w->nodes, piece, n);
    if (done != MODEL_DONE)
        return done;
    if (!note_path(m, w, n))
        return MODEL_NO_MEMORY;
    for (size_t i = w->path.n; i > 0 && done == MODEL_DONE; i--) {
        size_t begin = (size_t)w->path.ids[i - 1];
        size_t end = i > 1 ? (size_t)w->path.ids[i - 2] : n;

        done = push_piece(m, piece + begin, end - begin, out);
    }
    return done;
}
