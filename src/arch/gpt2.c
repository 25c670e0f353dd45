/* gpt2: GPT-2. Its Conv1D weights are stored transposed, so that B A is their delta as it stands. */
#include "arch/family.h"

static const struct family_layer layers[] = {
    {"attn.c_attn", "attn_qkv", HEADS_NONE},
    {"attn.c_proj", "attn_output", HEADS_NONE},
    {"mlp.c_fc", "ffn_up", HEADS_NONE},
    {"mlp.c_proj", "ffn_down", HEADS_NONE},
    {NULL},
};

const struct family family_gpt2 = {
    .name = "gpt2",
    .blocks = "h",
    .prefix = "transformer.",
    .layers = layers,
};
