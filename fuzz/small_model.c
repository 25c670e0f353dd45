/* small_model: see the header. Owns the bytes of the model's GGUF file. */
#include "small_model.h"

#include <stdlib.h>
#include <string.h>

enum {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    WIDTH = 8,
    HEADS = 2,
    HEAD_DIM = 4,
    FF = 12,
    VOCAB = 5,
    EXPERTS = 3
};
enum { ALIGNMENT = 32, CAPACITY = 16384 };

static const struct {
    const char *name;
    uint64_t n_in, n_out;
    uint32_t type;
    uint64_t stack; /* of so many */
} weights[] = {
    {"token_embd.weight", WIDTH, VOCAB, TYPE_F32, 1},
    {"blk.0.attn_q.weight", WIDTH, HEADS *HEAD_DIM, TYPE_F16, 1},
    {"blk.0.attn_k.weight", WIDTH, HEAD_DIM, TYPE_F32, 1},
    {"blk.0.attn_v.weight", WIDTH, HEAD_DIM, TYPE_F16, 1},
    {"blk.0.attn_output.weight", HEADS *HEAD_DIM, WIDTH, TYPE_F32, 1},
    {"blk.0.ffn_gate.weight", WIDTH, FF, TYPE_F32, 1},
    {"blk.0.ffn_down.weight", FF, WIDTH, TYPE_F16, 1},
    {"output_norm.weight", WIDTH, 1, TYPE_F32, 1},
    {"blk.0.attn_norm.weight", WIDTH, 1, TYPE_F32, 1},
    {"blk.0.ffn_gate_exps.weight", WIDTH, FF, TYPE_F16, EXPERTS},
    {"blk.0.ffn_up_exps.weight", WIDTH, FF, TYPE_F16, EXPERTS},
    {"blk.0.ffn_down_exps.weight", FF, WIDTH, TYPE_F32, EXPERTS},
};

static uint8_t bytes[CAPACITY];
static size_t len;

static void put(const void *data, size_t n)
{
    if (n > sizeof bytes - len)
        abort();
    memcpy(bytes + len, data, n);
    len += n;
}

static void put_u32(uint32_t v)
{
    put(&v, sizeof v);
}

static void put_u64(uint64_t v)
{
    put(&v, sizeof v);
}

static size_t padded(uint64_t n)
{
    return (size_t)((n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

/* The header of all weights; their data stays zero. */
static void write_file(void)
{
    size_t n = sizeof weights / sizeof weights[0];
    uint64_t offset = 0;

    put("GGUF", 4);
    put_u32(3);
    put_u64(n);
    put_u64(0);
    for (size_t i = 0; i < n; i++) {
        put_u64(strlen(weights[i].name));
        put(weights[i].name, strlen(weights[i].name));
        put_u32(3);
        put_u64(weights[i].n_in);
        put_u64(weights[i].n_out);
        put_u64(weights[i].stack);
        put_u32(weights[i].type);
        put_u64(offset);
        offset += padded(weights[i].n_in * weights[i].n_out * weights[i].stack *
                         (weights[i].type == TYPE_F32 ? 4 : 2));
    }
    len = padded(len) + offset;
    if (len > sizeof bytes)
        abort();
}

const struct gguf_model *small_model(void)
{
    static struct gguf_file *file;
    static struct gguf_model model;

    if (!file) {
        write_file();
        if (gguf_file_from_memory(&file, bytes, len, NULL) != INF_OK)
            abort();
        model = (struct gguf_model){.file = file,
                                    .architecture = "llama",
                                    .n_layer = 1,
                                    .n_embd = WIDTH,
                                    .n_head = HEADS,
                                    .n_head_kv = 1,
                                    .n_ff = FF,
                                    .n_vocab = VOCAB,
                                    .n_ctx_train = 64,
                                    .head_dim = HEAD_DIM,
                                    .tied = true};
    }
    return &model;
}
