/* qwen3: Qwen3. */
#include "arch/family.h"

const struct family family_qwen3 = {
    .name = "qwen3",
    .blocks = "layers",
    .prefix = "model.",
    .layers = split_layers,
};
