/* qwen2: Qwen2 and Qwen2.5. */
#include "arch/family.h"

const struct family family_qwen2 = {
    .name = "qwen2",
    .blocks = "layers",
    .prefix = "model.",
    .layers = split_layers,
};
