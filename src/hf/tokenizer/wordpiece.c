/* wordpiece: see the header. */
#include "hf/tokenizer/wordpiece.h"

#include "core/memory.h"
#include "core/utf8.h"

void wordpiece_finish(struct wordpiece *m)
{
    for (uint32_t id = 0; id < m->vocab->n_ids; id++) {
        size_t n = 0;

        if (vocab_text(m->vocab, id, &n) && n > m->longest)
            m->longest = n;
    }
}

void wordpiece_free(struct wordpiece *m)
{
    mem_free(m->prefix);
    m->prefix = NULL;
}

static enum wordpiece_done push(struct id_list *out, int32_t id)
{
    return id_push(out, id) ? WORDPIECE_DONE : WORDPIECE_NO_MEMORY;
}

static enum wordpiece_done push_unknown(const struct wordpiece *m, struct id_list *out)
{
    return m->unk < 0 ? WORDPIECE_NO_UNK : push(out, m->unk);
}

static size_t count_characters(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

/* The longest token at the beginning of s, behind `skip` bytes of prefix; its id or -1. */
static int32_t longest_token(const struct wordpiece *m, const char *s, size_t n, size_t skip,
                             size_t *len)
{
    size_t end = n < m->longest ? n : m->longest;

    for (; end > skip; end--) {
        int32_t id = -1;

        if (end < n && ((unsigned char)s[end] & 0xc0) == 0x80)
            continue; /* inside a character */
        id = vocab_find(m->vocab, s, end);
        if (id >= 0) {
            *len = end;
            return id;
        }
    }
    return -1;
}

enum wordpiece_done wordpiece_encode(const struct wordpiece *m, struct buffer *scratch,
                                     const char *piece, size_t n, struct id_list *out)
{
    size_t before = out->n;

    if (count_characters(piece, n) > m->chars)
        return push_unknown(m, out);
    for (size_t at = 0, len = 0; at < n; at += len) {
        size_t skip = 0;
        int32_t id = -1;

        buffer_clear(scratch);
        if (at > 0 && !buffer_append_str(scratch, m->prefix))
            return WORDPIECE_NO_MEMORY;
        skip = scratch->len;
        if (!buffer_append(scratch, piece + at, n - at))
            return WORDPIECE_NO_MEMORY;
        id = longest_token(m, scratch->data, scratch->len, skip, &len);
        if (id < 0) {
            out->n = before;
            return push_unknown(m, out);
        }
        if (!id_push(out, id))
            return WORDPIECE_NO_MEMORY;
        len -= skip;
    }
    return WORDPIECE_DONE;
}

enum wordpiece_done wordlevel_encode(const struct wordpiece *m, const char *piece, size_t n,
                                     struct id_list *out)
{
    int32_t id = vocab_find(m->vocab, piece, n);

    return id >= 0 ? push(out, id) : push_unknown(m, out);
}
