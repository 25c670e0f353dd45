/*
 * libFuzzer target: a PEFT adapter from memory, read, matched against a small model and converted.
 * Input: the length of adapter_config.json as two bytes (little-endian), its bytes, and then those
 * of adapter_model.safetensors.
 */
#include "load_adapter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 0;

    if (size < 2)
        return 0;
    n = (size_t)(data[0] | data[1] << 8);
    n = n < size - 2 ? n : size - 2;
    load_adapter(data + 2, n, data + 2 + n, size - 2 - n);
    return 0;
}
