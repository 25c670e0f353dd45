/* llama: Llama, and Mistral and others that are built like it. */
#include "arch/family.h"

const struct family family_llama = {
    .name = "llama",
    .covers = "Llama, Mistral",
    .blocks = "layers",
    .prefix = "model.",
    .regroups = true,
    .layers = split_layers,
};
