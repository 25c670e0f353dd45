/*
 * logprob_log: see the header. Entries grow in two flat arrays and one byte buffer, so that the
 * result can be laid out in one block at the end.
 */
#include "local/logprob_log.h"

#include "core/growing.h"
#include "local/sampling.h"

#include <string.h>

#define MAX_TOP 20

struct entry {
    int32_t token;
    float logprob;
    size_t piece_offset, piece_len;
};

struct logprob_log {
    int32_t n_top;
    struct entry *entries; /* (n, 1 + n_top): the token, then its alternatives */
    size_t n, capacity;    /* tokens; entries there is room for */
    struct buffer pieces;
};

struct logprob_log *logprob_log_create(int32_t n_top)
{
    struct logprob_log *log = mem_calloc(1, sizeof *log);

    if (log) {
        log->n_top = n_top > MAX_TOP ? MAX_TOP : n_top;
        buffer_init(&log->pieces, BUFFER_NO_LIMIT);
    }
    return log;
}

void logprob_log_free(struct logprob_log *log)
{
    if (!log)
        return;
    mem_free(log->entries);
    buffer_free(&log->pieces);
    mem_free(log);
}

static bool set_entry(struct logprob_log *log, struct entry *e, const struct tokenizer *t,
                      int32_t token, float logprob)
{
    e->token = token;
    e->logprob = logprob;
    e->piece_offset = log->pieces.len;
    if (!t->ops->token_text(t->impl, token, &log->pieces))
        return false;
    e->piece_len = log->pieces.len - e->piece_offset;
    return true;
}

bool logprob_log_add(struct logprob_log *log, const struct tokenizer *t, const float *logits,
                     int32_t token)
{
    int32_t ids[MAX_TOP] = {0};
    float logprobs[MAX_TOP] = {0};
    struct entry *e = NULL;

    if (!GROW(log->entries, log->capacity, (log->n + 1) * ((size_t)log->n_top + 1)))
        return false;
    e = log->entries + log->n * ((size_t)log->n_top + 1);
    if (!set_entry(log, e, t, token, logits_logprob(logits, t->n_vocab, token)))
        return false;
    if (log->n_top > 0)
        logits_top(logits, t->n_vocab, log->n_top, ids, logprobs);
    for (int32_t i = 0; i < log->n_top; i++)
        if (!set_entry(log, e + 1 + i, t, ids[i], logprobs[i]))
            return false;
    log->n++;
    return true;
}

bool logprob_log_finish(const struct logprob_log *log, struct op_output *output)
{
    size_t n_top = (size_t)log->n_top;
    size_t alternatives = log->n * n_top * sizeof(inf_alternative);
    inf_logprob *items = mem_calloc(log->n ? log->n : 1, sizeof *items);
    char *block = mem_alloc(alternatives + log->pieces.len + 1);
    inf_alternative *top = (inf_alternative *)(void *)block;
    char *pieces = NULL;

    if (!items || !block) {
        mem_free(items);
        mem_free(block);
        return false;
    }
    pieces = block + alternatives;
    if (log->pieces.len)
        memcpy(pieces, log->pieces.data, log->pieces.len);
    for (size_t i = 0; i < log->n; i++) {
        const struct entry *e = log->entries + i * (n_top + 1);

        items[i].token_id = e->token;
        items[i].logprob = e->logprob;
        items[i].piece = (inf_text){pieces + e->piece_offset, e->piece_len};
        items[i].top = top + i * n_top;
        items[i].n_top = n_top;
        for (size_t j = 0; j < n_top; j++) {
            const struct entry *a = e + 1 + j;

            top[i * n_top + j] = (inf_alternative){
                a->token, a->logprob, {pieces + a->piece_offset, a->piece_len}};
        }
    }
    output->logprobs = items;
    output->n_logprobs = log->n;
    output->logprobs_block = block;
    return true;
}
