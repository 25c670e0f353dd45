/* libFuzzer target: a GGUF LoRA file from memory, read, matched against a small model, converted. */
#include "load_adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load_adapter(NULL, 0, data, size);
    return 0;
}
