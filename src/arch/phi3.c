/* phi3: Phi-3 and Phi-4: q, k and v are one layer, gate and up another, in the same order. */
#include "arch/family.h"

static const struct family_layer layers[] = {
    {"self_attn.qkv_proj", "attn_qkv", HEADS_NONE},
    {"self_attn.o_proj", "attn_output", HEADS_NONE},
    {"mlp.gate_up_proj", "ffn_up", HEADS_NONE},
    {"mlp.down_proj", "ffn_down", HEADS_NONE},
    {NULL},
};

const struct family family_phi3 = {
    .name = "phi3",
    .blocks = "layers",
    .prefix = "model.",
    .layers = layers,
};
