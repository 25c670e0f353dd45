/* wordpiece: see the header. */
#include "hf/tokenizer/wordpiece.h"

#include "core/memory.h"
#include "core/utf8.h"

enum model_done wordpiece_finish(struct wordpiece *m)
{
    for (uint32_t id = 0; id < m->vocab->n_ids; id++) {
        size_t n = 0;
        const char *text = vocab_text(m->vocab, id, &n);

        if (text && n > WORDPIECE_LONGEST)
            return MODEL_TOO_LONG;
        if (text && !token_trie_add(&m->pieces, text, n, (int32_t)id))
            return MODEL_NO_MEMORY;
    }
    return MODEL_DONE;
}

void wordpiece_free(struct wordpiece *m)
{
    mem_free(m->prefix);
    token_trie_free(&m->pieces);
    m->prefix = NULL;
}

static enum model_done push(struct id_list *out, int32_t id)
{
    return id_push(out, id) ? MODEL_DONE : MODEL_NO_MEMORY;
}

static enum model_done push_unknown(const struct wordpiece *m, struct id_list *out)
{
    return m->unk < 0 ? MODEL_NO_UNK : push(out, m->unk);
}

/* Where the texts go on that begin with the prefix; 0 with *none set: there are none. */
static uint32_t behind_prefix(const struct wordpiece *m, bool *none)
{
    uint32_t node = 0;

    *none = false;
    for (const char *c = m->prefix; *c && !*none; c++) {
        node = token_trie_next(&m->pieces, node, (uint8_t)*c);
        *none = node == 0;
    }
    return node;
}

/* The longest token at the beginning of s, from a node on; its id or -1. */
static int32_t longest_token(const struct wordpiece *m, uint32_t node, const char *s, size_t n,
                             size_t *len)
{
    int32_t id = -1;

    for (size_t i = 0; i < n; i++) {
        node = token_trie_next(&m->pieces, node, (uint8_t)s[i]);
        if (!node)
            break;
        if (m->pieces.values[node] >= 0) {
            id = m->pieces.values[node];
            *len = i + 1;
        }
    }
    return id;
}

enum model_done wordpiece_encode(const struct wordpiece *m, const char *piece, size_t n,
                                 struct id_list *out)
{
    size_t before = out->n;
    bool none = false;
    uint32_t inside = behind_prefix(m, &none);

    if (utf8_count(piece, n) > m->chars)
        return push_unknown(m, out);
    for (size_t at = 0, len = 0; at < n; at += len) {
        int32_t id = at > 0 && none
                         ? -1
                         : longest_token(m, at > 0 ? inside : 0, piece + at, n - at, &len);

        if (id < 0) {
            out->n = before;
            return push_unknown(m, out);
        }
        if (!id_push(out, id))
            return MODEL_NO_MEMORY;
    }
    return MODEL_DONE;
}

enum model_done wordlevel_encode(const struct wordpiece *m, const char *piece, size_t n,
                                 struct id_list *out)
{
    int32_t id = vocab_find(m->vocab, piece, n);

    return id >= 0 ? push(out, id) : push_unknown(m, out);
}
