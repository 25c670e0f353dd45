/* experts: see the header. */
#include "arch/experts.h"

#include "arch/keys.h"

#include <stdio.h>

#define MAX_EXPERTS 512 /* llama.cpp's */

/* Row r of the result: of expert r / width, whose gate and up lie one behind the other. */
static int64_t first_half(const struct blueprint *b, int64_t row)
{
    int64_t width = b->size[SIZE_EXPERT_FF];

    return row / width * 2 * width + row % width;
}

static int64_t second_half(const struct blueprint *b, int64_t row)
{
    return first_half(b, row) + b->size[SIZE_EXPERT_FF];
}

const struct weight_change change_first_half = {.row = first_half};
const struct weight_change change_second_half = {.row = second_half};

int64_t experts_count(struct config_reader *r, int64_t otherwise)
{
    return config_int(r, "num_local_experts",
                      config_int(r, "num_experts", otherwise, 1, MAX_EXPERTS), 1, MAX_EXPERTS);
}

void experts_describe(struct blueprint *b, struct config_reader *r, int64_t count,
                      int64_t used_otherwise, int64_t width)
{
    int64_t used = config_int(r, "num_experts_per_tok", used_otherwise, 1, MAX_EXPERTS);
    char name[128];

    if (r->code == INF_OK && used > count)
        config_bad(r, "num_experts_per_tok", "there are %lld experts", (long long)count);
    if (r->code != INF_OK)
        return;
    b->size[SIZE_EXPERTS] = count;
    b->size[SIZE_EXPERT_FF] = width;
    b->size[SIZE_EXPERT_FF2] = 2 * width;
    keys_put_u32(b, "expert_count", count);
    keys_put_u32(b, "expert_used_count", used);
    keys_put_u32(b, "expert_feed_forward_length", width);
    snprintf(name, sizeof name, "%.63s%s.0.mlp.experts.down_proj", b->prefix, b->family->blocks);
    if (blueprint_has(b, name))
        b->features |= FEATURE_STACKED;
}
