/* gemma2: Gemma 2. */
#include "arch/family.h"

const struct family family_gemma2 = {
    .name = "gemma2",
    .blocks = "layers",
    .prefix = "model.",
    .layers = split_layers,
};
