/*
 * model: what a GGUF file is, and whether llama.cpp may open it. llama.cpp and ggml end the
 * process on many a damaged file; everything they assert on the way from the file to the first
 * decoded tokens is checked here first, in three tables: hyper-parameters (params.c), the
 * vocabulary (vocab.c) and the tensors (tensors.c). What cannot be known before is in
 * docs/llamacpp-files.md.
 */
#include <string.h>

#include "gguf/model.h"

#include "core/ascii.h"
#include "gguf/check.h"

/* Every architecture that llama.cpp at the pinned commit loads: those whose tensors are known here,
 * and those that generate no text; */
static const struct {
    const char *name;
    uint32_t bit;
} architectures[] = {
    {"llama", ARCH_LLAMA},
    {"gpt2", ARCH_GPT2},
    {"bert", ARCH_EMBEDDING},
    {"modern-bert", ARCH_EMBEDDING},
    {"nomic-bert", ARCH_EMBEDDING},
    {"nomic-bert-moe", ARCH_EMBEDDING},
    {"neo-bert", ARCH_EMBEDDING},
    {"jina-bert-v2", ARCH_EMBEDDING},
    {"jina-bert-v3", ARCH_EMBEDDING},
    {"eurobert", ARCH_EMBEDDING},
    {"qwen2", ARCH_QWEN2},
    {"qwen3", ARCH_QWEN3},
    {"phi3", ARCH_PHI3},
    {"gemma2", ARCH_GEMMA2},
    {"gemma3", ARCH_GEMMA3},
    {"gemma4-assistant", ARCH_DRAFT},
    {"gemma-embedding", ARCH_EMBEDDING},
    {"t5", ARCH_ENCODER},
    {"t5encoder", ARCH_ENCODER},
    {"wavtokenizer-dec", ARCH_SPEECH},
    {"smollm3", ARCH_SMOLLM3},
    {"qwen3moe", ARCH_QWEN3MOE},
    {"qwen35", ARCH_QWEN35},
    {"dream", ARCH_DIFFUSION},
    {"llada", ARCH_DIFFUSION},
    {"llada-moe", ARCH_DIFFUSION},
    {"rnd1", ARCH_DIFFUSION},
    {"eagle3", ARCH_DRAFT},
    {"dflash", ARCH_DRAFT},
    {"llama-embed", ARCH_EMBEDDING},
    {"qwen3tts", ARCH_SPEECH},
    {"pockettts", ARCH_SPEECH},
};

/* the others. */
static const char *const other_architectures[] = {
    "llama4",         "deci",          "falcon",
    "grok",           "gptneox",       "mpt",
    "baichuan",       "starcoder",     "refact",
    "bloom",          "stablelm",      "qwen",
    "qwen2moe",       "qwen2vl",       "qwen3next",
    "qwen3vl",        "qwen3vlmoe",    "qwen35moe",
    "qwen4exp",       "phi2",          "phimoe",
    "plamo",          "plamo2",        "plamo3",
    "codeshell",      "orion",         "internlm2",
    "minicpm",        "minicpm3",      "gemma",
    "gemma3n",        "gemma4",        "starcoder2",
    "mamba",          "mamba2",        "maple",
    "jamba",          "falcon-h1",     "xverse",
    "command-r",      "cohere2",       "cohere2moe",
    "dbrx",           "olmo",          "olmo2",
    "olmoe",          "muse-glimmer",  "openelm",
    "arctic",         "deepseek",      "deepseek2",
    "deepseek2-ocr",  "deepseek32",    "deepseek4",
    "chatglm",        "glm4",          "glm4moe",
    "glm-dsa",        "bitnet",        "jais",
    "jais2",          "nemotron",      "nemotron_h",
    "nemotron_h_moe", "exaone",        "exaone4",
    "exaone-moe",     "rwkv6",         "rwkv6qwen2",
    "rwkv7",          "arwkv7",        "granite",
    "granitemoe",     "granitehybrid", "graniteswitch",
    "granite_swa",    "chameleon",     "plm",
    "bailingmoe",     "bailingmoe2",   "bailingmoe3",
    "dots1",          "dots3note",     "arcee",
    "afmoe",          "laguna",        "ernie4_5",
    "ernie4_5-moe",   "hunyuan-moe",   "hunyuan-dense",
    "hunyuan_vl",     "hy_v3",         "hy_v4",
    "gpt-oss",        "lfm2",          "lfm2moe",
    "smallthinker",   "seed_oss",      "grovemoe",
    "apertus",        "minimax-01",    "hrm_text",
    "minimax-m2",     "minimax-m3",    "cogvlm",
    "pangu-embedded", "mistral3",      "mistral4",
    "paddleocr",      "mimo2",         "step35",
    "spark2_5",       "maincoder",     "kimi-linear",
    "kimi-k3",        "glm5-next",     "talkie",
    "mellum",         "nanbeige"};

/* Files that are GGUF but no models. */
static bool check_purpose(struct gguf_check *c)
{
    inf_text type = {0};
    inf_text arch = {0};

    gguf_get_text(c->f, "general.type", &type);
    gguf_get_text(c->f, "general.architecture", &arch);
    if (text_equals(type.data, type.len, "adapter"))
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "this is a LoRA adapter, not a model: load it as an adapter of its "
                           "base model");
    if (text_equals(type.data, type.len, "mmproj") ||
        text_equals(type.data, type.len, "projector") || text_equals(arch.data, arch.len, "clip"))
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "this is a vision projector, not a model: give the path of the "
                           "language model");
    if (text_equals(type.data, type.len, "imatrix"))
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "this is an importance matrix for quantising, not a model");
    if (!arch.data)
        return gguf_bad(c, "the key general.architecture is missing or no text: " GGUF_AGAIN);
    return true;
}

static bool check_generates(struct gguf_check *c)
{
    static const struct {
        uint32_t bit;
        const char *what;
    } others[] = {{ARCH_EMBEDDING, "an embedding model"},
                  {ARCH_ENCODER, "an encoder-decoder model"},
                  {ARCH_DIFFUSION, "a diffusion model"},
                  {ARCH_DRAFT, "a draft model for speculative decoding"},
                  {ARCH_SPEECH, "a speech model"}};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (c->arch_bit == others[i].bit)
            return gguf_refuse(
                c, INF_ERROR_UNSUPPORTED,
                "the architecture \"%s\" is that of %s, which this library does not generate "
                "text with",
                c->arch, others[i].what);
    return true;
}

static bool take_architecture(struct gguf_check *c, const char *name, uint32_t bit)
{
    c->arch = name;
    c->arch_bit = bit;
    return check_generates(c);
}

static bool find_architecture(struct gguf_check *c)
{
    inf_text arch = {0};

    gguf_get_text(c->f, "general.architecture", &arch);
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
        if (text_equals(arch.data, arch.len, architectures[i].name))
            return take_architecture(c, architectures[i].name, architectures[i].bit);
    for (size_t i = 0; i < sizeof other_architectures / sizeof other_architectures[0]; i++)
        if (text_equals(arch.data, arch.len, other_architectures[i]))
            return take_architecture(c, other_architectures[i], ARCH_OTHER);
    return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                       "the architecture \"%.*s\" is unknown to this version of llama.cpp",
                       arch.len < 40 ? (int)arch.len : 40, arch.data);
}

static bool has_weights(struct gguf_check *c)
{
    return gguf_file_tensor_count(c->f) > 0 ||
           gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                       "the file has a vocabulary but no weights: it cannot generate text");
}

/* The rows of the table of learned positions. */
static int32_t count_positions(const struct gguf_file *f)
{
    const struct gguf_tensor *t = gguf_file_find(f, "position_embd.weight");

    if (!t)
        return 0;
    return t->ne[1] < INT32_MAX ? (int32_t)t->ne[1] : INT32_MAX;
}

/* Layers of a hybrid that have a recurrent state and no keys and values. */
static int32_t count_recurrent(const struct gguf_check *c)
{
    char buf[128];
    const uint8_t *given = NULL;
    size_t n = 0;
    int32_t count = 0;
    int64_t interval = 0;

    for (int64_t i = 0; c->arch_bit == ARCH_QWEN35 && i < c->n_layer; i++)
        count += gguf_check_is_recurrent(c, i);
    if (c->arch_bit == ARCH_QWEN35)
        return count;
    given = gguf_array_bytes(c->f, gguf_arch_key(c, "attention.recurrent_layers", buf), GGUF_BOOL,
                             &n);
    for (size_t i = 0; given && i < n; i++)
        count += given[i] != 0;
    if (given)
        return count < c->n_layer ? count : (int32_t)c->n_layer;
    if (!gguf_get_int(c->f, gguf_arch_key(c, "full_attention_interval", buf), &interval) ||
        interval < 1)
        return 0;
    return (int32_t)(c->n_layer - c->n_layer / interval);
}

static int64_t key_of(const struct gguf_check *c, const char *suffix)
{
    char buf[128];
    int64_t v = 0;

    return gguf_get_int(c->f, gguf_arch_key(c, suffix, buf), &v) && v > 0 ? v : 0;
}

/* What was put into the convolution last, and the state behind it, in f32; more than there is memory is
 * too much. */
#define MAX_STATE (INT64_C(1) << 40)

static size_t state_bytes(const struct gguf_check *c)
{
    int64_t inner = key_of(c, "ssm.inner_size");
    int64_t state = key_of(c, "ssm.state_size");
    int64_t channels = inner + 2 * key_of(c, "ssm.group_count") * state;
    int64_t kept = key_of(c, "ssm.conv_kernel") - 1;

    int64_t all = state * inner + (kept > 0 ? kept * channels : 0); /* ranges: params.c */

    return 4 * (size_t)(all < MAX_STATE ? all : MAX_STATE);
}

int32_t gguf_model_check(struct gguf_model *out, const struct gguf_file *f, inf_error *err)
{
    inf_error local = {0};
    struct gguf_check c = {.f = f, .err = &local};
    int32_t recurrent = 0;

    memset(out, 0, sizeof *out);
    if (!check_purpose(&c) || !find_architecture(&c) || !has_weights(&c) ||
        !gguf_check_params(&c) || !gguf_check_vocab(&c) || !gguf_check_tensors(&c)) {
        if (err)
            *err = local;
        return local.code;
    }
    recurrent = count_recurrent(&c);
    *out = (struct gguf_model){
        .file = f,
        .n_kv_layer = (int32_t)c.n_layer - recurrent,
        .state_bytes = (size_t)recurrent * state_bytes(&c),
        .architecture = c.arch,
        .n_layer = (int32_t)c.n_layer,
        .n_embd = (int32_t)c.n_embd,
        .n_head = (int32_t)c.n_head,
        .n_head_kv = (int32_t)c.n_head_kv,
        .n_ff = (int32_t)c.n_ff,
        .n_vocab = (int32_t)c.n_vocab,
        .n_ctx_train = (int32_t)c.n_ctx,
        .head_dim = (int32_t)c.head_k,
        .n_positions = count_positions(f),
        .tied = !gguf_file_find(f, "output.weight"),
    };
    return error_none(err);
}

int32_t gguf_model_window(const struct gguf_model *m, int32_t n_ctx)
{
    return m->n_positions > 0 && m->n_positions < n_ctx ? m->n_positions : n_ctx;
}
