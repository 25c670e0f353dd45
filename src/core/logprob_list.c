/* logprob_list: see the header. */
#include "core/logprob_list.h"

#include "core/error.h"
#include "core/growing.h"

#include <string.h>

void logprob_list_init(struct logprob_list *l, size_t max)
{
    *l = (struct logprob_list){.items = NULL};
    buffer_init(&l->pieces, max);
}

void logprob_list_free(struct logprob_list *l)
{
    mem_free(l->items);
    l->items = NULL;
    l->n = l->capacity = 0;
    buffer_free(&l->pieces);
}

bool logprob_list_add(struct logprob_list *l, const struct logprob_entry *e)
{
    if (!GROW(l->items, l->capacity, l->n + 1))
        return false;
    l->items[l->n] = *e;
    l->items[l->n++].len = l->pieces.len - e->offset;
    return true;
}

int32_t logprob_list_fill(const struct logprob_list *l, struct op_output *out, inf_error *err)
{
    size_t alternatives = 0;
    size_t n = 0;
    inf_logprob *items = NULL;
    inf_alternative *top = NULL;
    char *pieces = NULL;
    char *block = NULL;

    for (size_t i = 0; i < l->n; i++)
        alternatives += l->items[i].alternative;
    items = mem_calloc(l->n - alternatives, sizeof *items);
    block = mem_alloc(alternatives * sizeof *top + l->pieces.len);
    if (!items || !block) {
        mem_free(items);
        mem_free(block);
        return error_no_memory(err);
    }
    top = (inf_alternative *)(void *)block;
    pieces = block + alternatives * sizeof *top;
    if (l->pieces.len)
        memcpy(pieces, l->pieces.data, l->pieces.len);
    for (size_t i = 0; i < l->n; i++) {
        const struct logprob_entry *e = &l->items[i];
        inf_text piece = {pieces + e->offset, e->len};

        if (e->alternative) {
            *top++ = (inf_alternative){e->token, e->logprob, piece};
            items[n - 1].n_top++;
        } else {
            items[n++] = (inf_logprob){
                .token_id = e->token, .logprob = e->logprob, .piece = piece, .top = top};
        }
    }
    out->logprobs = items;
    out->n_logprobs = n;
    out->logprobs_block = block;
    return INF_OK;
}
