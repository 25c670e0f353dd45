/*
 * libFuzzer target: adapter_config.json of any bytes, and what an accepted one says of module names
 * of every shape.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf/files/peft_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct peft_config *c, const char *module)
{
    int32_t rank = 0;
    float scale = 0;
    bool selected = false;

    if (peft_config_module(c, module, &rank, &scale, NULL) == INF_OK &&
        (rank < 1 || !isfinite(scale))) {
        abort();
    }
    peft_config_selects(c, module, strcmp(module, "lm_head") == 0, &selected, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const modules[] = {
        "model.layers.0.self_attn.q_proj",
        "model.layers.11.mlp.down_proj",
        "transformer.h.3.attn.c_attn",
        "lm_head",
        "a..b.999999999999999999999.c",
        ".",
        "x",
        "layers.1.layers.2.\xc3\xa9.q_proj",
    };
    struct peft_config *c = NULL;
    inf_error err = {0};

    if (peft_config_parse(&c, (const char *)data, size, &err) != INF_OK) {
        if (err.code == INF_OK || err.message[0] == '\0' || strchr(err.message, '\n'))
            abort();
        return 0;
    }
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        ask(c, modules[i]);
    peft_config_free(c);
    return 0;
}
