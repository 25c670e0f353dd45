/* logprob_log: see the header. */
#include "local/logprob_log.h"

#include "local/logit_scan.h"

#define MAX_TOP 20

static bool add(struct logprob_list *l, const struct tokenizer *t, int32_t token, float logprob,
                bool alternative)
{
    struct logprob_entry e = {token, logprob, alternative, .offset = l->pieces.len};

    return t->ops->token_text(t->impl, token, &l->pieces) && logprob_list_add(l, &e);
}

bool logprob_log_add(struct logprob_list *l, const struct tokenizer *t, const float *logits,
                     int32_t token, int32_t n_top)
{
    int32_t ids[MAX_TOP] = {0};
    float logprobs[MAX_TOP] = {0};
    int32_t n = n_top > MAX_TOP ? MAX_TOP : n_top;
    size_t before = l->n;
    bool ok = add(l, t, token, logits_logprob(logits, t->n_vocab, token), false);

    if (ok && n > 0)
        logits_top_logprobs(logits, t->n_vocab, n, ids, logprobs);
    for (int32_t i = 0; ok && i < n; i++)
        ok = add(l, t, ids[i], logprobs[i], true);
    if (!ok)
        l->n = before;
    return ok;
}
