/* merge_list: see the header. */
#include "hf/tokenizer/merge_list.h"

#include "core/growing.h"
#include "core/memory.h"

#include <string.h>

void merge_list_init(struct merge_list *l, const struct vocab *vocab, size_t cut)
{
    memset(l, 0, sizeof *l);
    l->vocab = vocab;
    l->cut = cut;
    buffer_init(&l->joints, BUFFER_NO_LIMIT);
}

void merge_list_free(struct merge_list *l)
{
    buffer_free(&l->joints);
    mem_free(l->list);
}

/* Whether the text of an id is that of two tokens, the second without its first `cut` bytes. */
static bool is_joint(const struct merge_list *l, uint32_t id, const struct vocab_query *a,
                     const struct vocab_query *b)
{
    size_t n = 0;
    const char *text = vocab_text(l->vocab, id, &n);

    return text && n == a->len + b->len - l->cut && memcmp(text, a->text, a->len) == 0 &&
           memcmp(text + a->len, b->text + l->cut, b->len - l->cut) == 0;
}

/* The text that two parts make, in the list's memory. */
static enum merge_done join(struct merge_list *l, const struct vocab_query *a,
                            const struct vocab_query *b)
{
    buffer_clear(&l->joints);
    if (!buffer_append(&l->joints, a->text, a->len) ||
        !buffer_append(&l->joints, b->text + l->cut, b->len - l->cut))
        return MERGE_NO_MEMORY;
    l->unknown.text = l->joints.data ? l->joints.data : "";
    l->unknown.len = l->joints.len;
    return MERGE_DONE;
}

/* What two tokens make. */
static enum merge_done find_joint(struct merge_list *l, size_t i, uint32_t *id)
{
    const struct vocab_query *a = l->left + i, *b = l->right + i;
    int32_t found = -1;

    l->unknown = *b;
    if (l->cut > b->len)
        return MERGE_UNKNOWN;
    for (*id = l->guess; *id < l->guess + 2; (*id)++)
        if (is_joint(l, *id, a, b)) {
            l->guess = *id;
            return MERGE_DONE;
        }
    if (join(l, a, b) != MERGE_DONE)
        return MERGE_NO_MEMORY;
    found = vocab_find(l->vocab, l->unknown.text, l->unknown.len);
    if (found < 0)
        return MERGE_UNKNOWN;
    *id = l->guess = (uint32_t)found;
    return MERGE_DONE;
}

static enum merge_done list_merge(struct merge_list *l, size_t i)
{
    uint32_t id = 0;
    enum merge_done done = MERGE_DONE;

    if (l->left[i].id < 0 || l->right[i].id < 0) {
        l->unknown = l->left[i].id < 0 ? l->left[i] : l->right[i];
        return MERGE_UNKNOWN;
    }
    done = find_joint(l, i, &id);
    if (done == MERGE_DONE)
        l->list[l->n_list++] = (struct listed_merge){(uint32_t)l->left[i].id,
                                                     (uint32_t)l->right[i].id, id};
    return done;
}

static enum merge_done list_batch(struct merge_list *l)
{
    enum merge_done done = MERGE_DONE;

    vocab_find_batch(l->vocab, l->left, l->n);
    vocab_find_batch(l->vocab, l->right, l->n);
    if (!GROW(l->list, l->cap, l->n_list + l->n))
        return MERGE_NO_MEMORY;
    for (size_t i = 0; i < l->n && done == MERGE_DONE; i++)
        done = list_merge(l, i);
    l->n = 0;
    return done;
}

enum merge_done merge_list_add(struct merge_list *l, inf_text left, inf_text right)
{
    l->left[l->n] = (struct vocab_query){.text = left.data, .len = left.len};
    l->right[l->n++] = (struct vocab_query){.text = right.data, .len = right.len};
    return l->n == VOCAB_BATCH ? list_batch(l) : MERGE_DONE;
}

enum merge_done merge_list_finish(struct merge_list *l, struct bpe *m)
{
    enum merge_done done = list_batch(l);

    if (done == MERGE_DONE && !bpe_set_merges(m, l->list, l->n_list))
        done = MERGE_NO_MEMORY;
    return done;
}
