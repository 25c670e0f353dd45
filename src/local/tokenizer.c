/* tokenizer: see the header. */
#include "local/tokenizer.h"

int32_t tokenizer_check_ids(const struct tokenizer *t, const char *what, const int32_t *ids,
                            size_t n, inf_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= t->n_vocab)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, ids[i],
                                    "%s %d is outside the vocabulary of %d tokens", what, ids[i],
                                    t->n_vocab);
    return INF_OK;
}
