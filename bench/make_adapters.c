/*
 * make_adapters: random LoRA adapters on all linear layers of a Llama-like GGUF model, as PEFT
 * directories (f32, as peft writes them) and as GGUF files (for llama.cpp's own programs).
 *
 *     make_adapters MODEL.gguf OUT_FOLDER RANK COUNT
 *
 * writes OUT_FOLDER/r<RANK>-<i>/ and OUT_FOLDER/r<RANK>-<i>.gguf. The same rank and number give the
 * same adapter. Small numbers: the text stays text, so that no request ends early.
 */
#include "arch/adapter.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "engine/lora_export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct linear {
    const char *module;
    int32_t n_in, n_out;
};

static int die(const char *what)
{
    fprintf(stderr, "make_adapters: %s\n", what);
    return 1;
}

/* Uniform in [-1, 1). */
static float draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) / 2147483648.0f;
}

static bool describe(struct buffer *header, size_t *offset, int layer, const struct linear *l,
                     int32_t rank, bool is_a)
{
    size_t bytes = (size_t)rank * (size_t)(is_a ? l->n_in : l->n_out) * sizeof(float);
    size_t begin = *offset;

    *offset += bytes;
    return buffer_printf(header,
                         "%s\"base_model.model.model.layers.%d.%s.lora_%c.weight\":"
                         "{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%zu,%zu]}",
                         begin ? "," : "", layer, l->module, is_a ? 'A' : 'B',
                         is_a ? rank : l->n_out, is_a ? l->n_in : rank, begin, *offset);
}

static bool append_random(struct buffer *data, size_t n, float size, uint64_t *state)
{
    for (size_t i = 0; i < n; i++) {
        float value = draw(state) * size;

        if (!buffer_append(data, &value, sizeof value))
            return false;
    }
    return true;
}

static int write_file(const char *path, const struct buffer *parts, size_t n)
{
    FILE *file = fopen(path, "wb");

    if (!file)
        return die(path);
    for (size_t i = 0; i < n; i++)
        fwrite(parts[i].data, 1, parts[i].len, file);
    return fclose(file) ? die(path) : 0;
}

/* The safetensors file of one adapter. */
static int write_weights(const char *path, const struct gguf_model *m, int32_t rank, uint64_t seed)
{
    int32_t q = m->n_head * m->head_dim;
    int32_t kv = m->n_head_kv * m->head_dim;
    const struct linear linears[] = {
        {"self_attn.q_proj", m->n_embd, q},    {"self_attn.k_proj", m->n_embd, kv},
        {"self_attn.v_proj", m->n_embd, kv},   {"self_attn.o_proj", q, m->n_embd},
        {"mlp.gate_proj", m->n_embd, m->n_ff}, {"mlp.up_proj", m->n_embd, m->n_ff},
        {"mlp.down_proj", m->n_ff, m->n_embd}};
    struct buffer parts[3]; /* length, header, data */
    size_t offset = 0;
    uint64_t state = seed * 977 + (uint64_t)rank;
    uint64_t length = 0;
    bool ok = true;
    int code = 0;

    for (int i = 0; i < 3; i++)
        buffer_init(&parts[i], BUFFER_NO_LIMIT);
    ok = buffer_append_str(&parts[1], "{");
    for (int layer = 0; layer < m->n_layer; layer++) {
        for (size_t k = 0; k < sizeof linears / sizeof *linears; k++) {
            const struct linear *l = &linears[k];

            ok = ok && describe(&parts[1], &offset, layer, l, rank, true) &&
                 append_random(&parts[2], (size_t)rank * (size_t)l->n_in, 0.05f, &state) &&
                 describe(&parts[1], &offset, layer, l, rank, false) &&
                 append_random(&parts[2], (size_t)rank * (size_t)l->n_out, 0.005f, &state);
        }
    }
    ok = ok && buffer_append_str(&parts[1], "}");
    length = parts[1].len;
    ok = ok && buffer_append(&parts[0], &length, sizeof length);
    code = ok ? write_file(path, parts, 3) : die("out of memory");
    for (int i = 0; i < 3; i++)
        buffer_free(&parts[i]);
    return code;
}

static int write_config(const char *path, int32_t rank)
{
    struct buffer text;
    int code = 0;

    buffer_init(&text, BUFFER_NO_LIMIT);
    buffer_printf(&text,
                  "{\"peft_type\":\"LORA\",\"r\":%d,\"lora_alpha\":%d,\"target_modules\":"
                  "\"all-linear\",\"bias\":\"none\",\"task_type\":\"CAUSAL_LM\"}\n",
                  rank, rank * 2);
    code = write_file(path, &text, 1);
    buffer_free(&text);
    return code;
}

static int write_gguf(const char *path, const char *peft, const struct gguf_model *m)
{
    struct adapter_source source = {.path = (char *)peft};
    struct lora_weights *weights = NULL;
    inf_adapter_report report = {0};
    struct buffer bytes;
    inf_error err;
    int code = 0;

    buffer_init(&bytes, BUFFER_NO_LIMIT);
    if (adapter_read(&weights, &source, m, NULL, &report, &err) != INF_OK ||
        lora_export(&bytes, weights, m->architecture, &err) != INF_OK)
        code = die(err.message);
    else
        code = write_file(path, &bytes, 1);
    lora_weights_free(weights);
    block_give(source.block);
    buffer_free(&bytes);
    return code;
}

static int make(const char *folder, const struct gguf_model *m, int32_t rank, int i)
{
    char dir[3500];
    char path[4096];
    int code = 0;

    snprintf(dir, sizeof dir, "%s/r%d-%d", folder, rank, i);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return die(dir);
    snprintf(path, sizeof path, "%s/adapter_config.json", dir);
    code = write_config(path, rank);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
    code = code ? code : write_weights(path, m, rank, (uint64_t)i + 1);
    snprintf(path, sizeof path, "%s.gguf", dir);
    return code ? code : write_gguf(path, dir, m);
}

int main(int argc, char **argv)
{
    struct gguf_file *file = NULL;
    struct gguf_model model;
    inf_error err;
    int code = 0;

    if (argc != 5)
        return die("usage: make_adapters MODEL.gguf OUT_FOLDER RANK COUNT");
    if (gguf_file_open(&file, argv[1], &err) != INF_OK ||
        gguf_model_check(&model, file, &err) != INF_OK)
        return die(err.message);
    for (int i = 0; i < atoi(argv[4]) && !code; i++)
        code = make(argv[2], &model, atoi(argv[3]), i);
    gguf_file_close(file);
    return code;
}
