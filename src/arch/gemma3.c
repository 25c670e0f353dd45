/* gemma3: Gemma 3, its text part. */
#include "arch/family.h"

const struct family family_gemma3 = {
    .name = "gemma3",
    .blocks = "layers",
    .prefix = "model.",
    .layers = split_layers,
};
