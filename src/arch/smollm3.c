/* smollm3: SmolLM3. */
#include "arch/family.h"

const struct family family_smollm3 = {
    .name = "smollm3",
    .blocks = "layers",
    .prefix = "model.",
    .regroups = true,
    .layers = split_layers,
};
