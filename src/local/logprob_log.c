/* logprob_log: see the header. */
#include "local/logprob_log.h"

#include "core/memory.h"
#include "local/logit_scan.h"

#define MAX_TOP 20

struct logprob_log {
    int32_t n_top;
    struct logprob_list list;
};

struct logprob_log *logprob_log_create(int32_t n_top)
{
    struct logprob_log *log = mem_calloc(1, sizeof *log);

    if (log) {
        log->n_top = n_top > MAX_TOP ? MAX_TOP : n_top;
        logprob_list_init(&log->list, BUFFER_NO_LIMIT);
    }
    return log;
}

void logprob_log_free(struct logprob_log *log)
{
    if (!log)
        return;
    logprob_list_free(&log->list);
    mem_free(log);
}

static bool add(struct logprob_list *l, const struct tokenizer *t, int32_t token, float logprob,
                bool alternative)
{
    struct logprob_entry e = {token, logprob, alternative, .offset = l->pieces.len};

    return t->ops->token_text(t->impl, token, &l->pieces) && logprob_list_add(l, &e);
}

bool logprob_log_add(struct logprob_log *log, const struct tokenizer *t, const float *logits,
                     int32_t token)
{
    int32_t ids[MAX_TOP] = {0};
    float logprobs[MAX_TOP] = {0};
    size_t before = log->list.n;
    bool ok = add(&log->list, t, token, logits_logprob(logits, t->n_vocab, token), false);

    if (ok && log->n_top > 0)
        logits_top_logprobs(logits, t->n_vocab, log->n_top, ids, logprobs);
    for (int32_t i = 0; ok && i < log->n_top; i++)
        ok = add(&log->list, t, ids[i], logprobs[i], true);
    if (!ok)
        log->list.n = before;
    return ok;
}

bool logprob_log_finish(const struct logprob_log *log, struct op_output *output)
{
    return logprob_list_fill(&log->list, output, NULL) == INF_OK;
}
