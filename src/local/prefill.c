/*
 * prefill: see the header.
 */
#include "local/prefill.h"

#include "core/min_max.h"

void prefill_pace_measured(struct prefill_pace *p, int32_t n_tokens, int64_t us)
{
    double token_us = (double)us / n_tokens;

    if (n_tokens < PREFILL_BLOCK)
        return;
    p->token_us = p->is_known ? (p->token_us + token_us) / 2 : token_us;
    p->is_known = true;
}

int32_t prefill_pace_tokens(const struct prefill_pace *p, int32_t most)
{
    int32_t blocks = max_i32(most / PREFILL_BLOCK, 1);
    double block_us = p->token_us * PREFILL_BLOCK;

    if (!p->is_known)
        return PREFILL_BLOCK;
    if (block_us * blocks > PREFILL_STEP_US)
        blocks = max_i32((int32_t)(PREFILL_STEP_US / block_us + 0.5), 1);
    return blocks * PREFILL_BLOCK;
}

int32_t prefill_share(int32_t remaining, int32_t budget)
{
    if (remaining < 2 * PREFILL_BLOCK || remaining <= budget)
        return remaining;
    return max_i32(min_i32(budget / PREFILL_BLOCK, remaining / PREFILL_BLOCK - 1), 1) *
           PREFILL_BLOCK;
}

bool prefill_may_share(int32_t remaining, int32_t n)
{
    return n == remaining || (n % PREFILL_BLOCK == 0 && remaining - n >= PREFILL_BLOCK);
}
