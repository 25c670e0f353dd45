/*
 * load_adapter: what the two targets that load adapters share: a load from memory, and what must
 * hold of everything that loads.
 */
#ifndef FUZZ_LOAD_ADAPTER_H
#define FUZZ_LOAD_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

/* config NULL: the weights are a GGUF file. Aborts when a promise is broken. */
void load_adapter(const uint8_t *config, size_t config_len, const uint8_t *weights,
                  size_t weights_len);

#endif
