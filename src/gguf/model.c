/*
 * model: what a GGUF file is, and whether llama.cpp may open it. llama.cpp and ggml end the
 * process on many a damaged file; everything they assert on the way from the file to the first
 * decoded tokens is checked here first, in three tables: hyper-parameters (params.c), the
 * vocabulary (vocab.c) and the tensors (tensors.c). What cannot be known before is in
 * docs/llamacpp-files.md.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gguf/model.h"

#include "gguf/check.h"

/* Every architecture that llama.cpp at the pinned commit loads. */
static const struct {
    const char *name;
    uint32_t bit;
} architectures[] = {
    {"llama", ARCH_LLAMA},
    {"llama4", ARCH_OTHER},
    {"deci", ARCH_OTHER},
    {"falcon", ARCH_OTHER},
    {"grok", ARCH_OTHER},
    {"gpt2", ARCH_GPT2},
    {"gptneox", ARCH_OTHER},
    {"mpt", ARCH_OTHER},
    {"baichuan", ARCH_OTHER},
    {"starcoder", ARCH_OTHER},
    {"refact", ARCH_OTHER},
    {"bert", ARCH_EMBEDDING},
    {"modern-bert", ARCH_EMBEDDING},
    {"nomic-bert", ARCH_EMBEDDING},
    {"nomic-bert-moe", ARCH_EMBEDDING},
    {"neo-bert", ARCH_EMBEDDING},
    {"jina-bert-v2", ARCH_EMBEDDING},
    {"jina-bert-v3", ARCH_EMBEDDING},
    {"eurobert", ARCH_EMBEDDING},
    {"bloom", ARCH_OTHER},
    {"stablelm", ARCH_OTHER},
    {"qwen", ARCH_OTHER},
    {"qwen2", ARCH_QWEN2},
    {"qwen2moe", ARCH_OTHER},
    {"qwen2vl", ARCH_OTHER},
    {"qwen3", ARCH_QWEN3},
    {"qwen3moe", ARCH_OTHER},
    {"qwen3next", ARCH_OTHER},
    {"qwen3vl", ARCH_OTHER},
    {"qwen3vlmoe", ARCH_OTHER},
    {"qwen35", ARCH_OTHER},
    {"qwen35moe", ARCH_OTHER},
    {"qwen4exp", ARCH_OTHER},
    {"phi2", ARCH_OTHER},
    {"phi3", ARCH_PHI3},
    {"phimoe", ARCH_OTHER},
    {"plamo", ARCH_OTHER},
    {"plamo2", ARCH_OTHER},
    {"plamo3", ARCH_OTHER},
    {"codeshell", ARCH_OTHER},
    {"orion", ARCH_OTHER},
    {"internlm2", ARCH_OTHER},
    {"minicpm", ARCH_OTHER},
    {"minicpm3", ARCH_OTHER},
    {"gemma", ARCH_OTHER},
    {"gemma2", ARCH_GEMMA2},
    {"gemma3", ARCH_GEMMA3},
    {"gemma3n", ARCH_OTHER},
    {"gemma4", ARCH_OTHER},
    {"gemma4-assistant", ARCH_DRAFT},
    {"gemma-embedding", ARCH_EMBEDDING},
    {"starcoder2", ARCH_OTHER},
    {"mamba", ARCH_OTHER},
    {"mamba2", ARCH_OTHER},
    {"maple", ARCH_OTHER},
    {"jamba", ARCH_OTHER},
    {"falcon-h1", ARCH_OTHER},
    {"xverse", ARCH_OTHER},
    {"command-r", ARCH_OTHER},
    {"cohere2", ARCH_OTHER},
    {"cohere2moe", ARCH_OTHER},
    {"dbrx", ARCH_OTHER},
    {"olmo", ARCH_OTHER},
    {"olmo2", ARCH_OTHER},
    {"olmoe", ARCH_OTHER},
    {"muse-glimmer", ARCH_OTHER},
    {"openelm", ARCH_OTHER},
    {"arctic", ARCH_OTHER},
    {"deepseek", ARCH_OTHER},
    {"deepseek2", ARCH_OTHER},
    {"deepseek2-ocr", ARCH_OTHER},
    {"deepseek32", ARCH_OTHER},
    {"deepseek4", ARCH_OTHER},
    {"chatglm", ARCH_OTHER},
    {"glm4", ARCH_OTHER},
    {"glm4moe", ARCH_OTHER},
    {"glm-dsa", ARCH_OTHER},
    {"bitnet", ARCH_OTHER},
    {"t5", ARCH_ENCODER},
    {"t5encoder", ARCH_ENCODER},
    {"jais", ARCH_OTHER},
    {"jais2", ARCH_OTHER},
    {"nemotron", ARCH_OTHER},
    {"nemotron_h", ARCH_OTHER},
    {"nemotron_h_moe", ARCH_OTHER},
    {"exaone", ARCH_OTHER},
    {"exaone4", ARCH_OTHER},
    {"exaone-moe", ARCH_OTHER},
    {"rwkv6", ARCH_OTHER},
    {"rwkv6qwen2", ARCH_OTHER},
    {"rwkv7", ARCH_OTHER},
    {"arwkv7", ARCH_OTHER},
    {"granite", ARCH_OTHER},
    {"granitemoe", ARCH_OTHER},
    {"granitehybrid", ARCH_OTHER},
    {"graniteswitch", ARCH_OTHER},
    {"granite_swa", ARCH_OTHER},
    {"chameleon", ARCH_OTHER},
    {"wavtokenizer-dec", ARCH_SPEECH},
    {"plm", ARCH_OTHER},
    {"bailingmoe", ARCH_OTHER},
    {"bailingmoe2", ARCH_OTHER},
    {"bailingmoe3", ARCH_OTHER},
    {"dots1", ARCH_OTHER},
    {"dots3note", ARCH_OTHER},
    {"arcee", ARCH_OTHER},
    {"afmoe", ARCH_OTHER},
    {"laguna", ARCH_OTHER},
    {"ernie4_5", ARCH_OTHER},
    {"ernie4_5-moe", ARCH_OTHER},
    {"hunyuan-moe", ARCH_OTHER},
    {"hunyuan-dense", ARCH_OTHER},
    {"hunyuan_vl", ARCH_OTHER},
    {"hy_v3", ARCH_OTHER},
    {"hy_v4", ARCH_OTHER},
    {"smollm3", ARCH_SMOLLM3},
    {"gpt-oss", ARCH_OTHER},
    {"lfm2", ARCH_OTHER},
    {"lfm2moe", ARCH_OTHER},
    {"dream", ARCH_DIFFUSION},
    {"smallthinker", ARCH_OTHER},
    {"llada", ARCH_DIFFUSION},
    {"llada-moe", ARCH_DIFFUSION},
    {"seed_oss", ARCH_OTHER},
    {"grovemoe", ARCH_OTHER},
    {"apertus", ARCH_OTHER},
    {"minimax-01", ARCH_OTHER},
    {"hrm_text", ARCH_OTHER},
    {"minimax-m2", ARCH_OTHER},
    {"minimax-m3", ARCH_OTHER},
    {"cogvlm", ARCH_OTHER},
    {"rnd1", ARCH_DIFFUSION},
    {"pangu-embedded", ARCH_OTHER},
    {"mistral3", ARCH_OTHER},
    {"eagle3", ARCH_DRAFT},
    {"dflash", ARCH_DRAFT},
    {"mistral4", ARCH_OTHER},
    {"paddleocr", ARCH_OTHER},
    {"mimo2", ARCH_OTHER},
    {"step35", ARCH_OTHER},
    {"spark2_5", ARCH_OTHER},
    {"llama-embed", ARCH_EMBEDDING},
    {"maincoder", ARCH_OTHER},
    {"kimi-linear", ARCH_OTHER},
    {"kimi-k3", ARCH_OTHER},
    {"glm5-next", ARCH_OTHER},
    {"talkie", ARCH_OTHER},
    {"mellum", ARCH_OTHER},
    {"nanbeige", ARCH_OTHER},
    {"qwen3tts", ARCH_SPEECH},
    {"pockettts", ARCH_SPEECH},
};

bool gguf_bad(struct gguf_check *c, const char *format, ...)
{
    char message[sizeof((inf_error *)0)->message];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(c->err, INF_ERROR_BAD_FORMAT, "%s", message);
    return false;
}

const char *gguf_arch_key(const struct gguf_check *c, const char *suffix, char buf[128])
{
    snprintf(buf, 128, "%s.%s", c->arch, suffix);
    return buf;
}

static bool same(inf_text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

static bool unsupported(struct gguf_check *c, const char *what)
{
    error_set(c->err, INF_ERROR_UNSUPPORTED, "%s", what);
    return false;
}

/* Files that are GGUF but no models. */
static bool check_purpose(struct gguf_check *c)
{
    inf_text type = {0};
    inf_text arch = {0};

    gguf_get_text(c->f, "general.type", &type);
    gguf_get_text(c->f, "general.architecture", &arch);
    if (same(type, "adapter"))
        return unsupported(c, "this is a LoRA adapter, not a model: load it as an adapter of its "
                              "base model");
    if (same(type, "mmproj") || same(type, "projector") || same(arch, "clip"))
        return unsupported(c, "this is a vision projector, not a model: give the path of the "
                              "language model");
    if (same(type, "imatrix"))
        return unsupported(c, "this is an importance matrix for quantising, not a model");
    if (!arch.data)
        return gguf_bad(c, "the key general.architecture is missing or no text: " GGUF_AGAIN);
    return true;
}

/* The end of "it is ..." for what generates no text. */
static bool check_generates(struct gguf_check *c)
{
    const char *what = NULL;

    switch (c->arch_bit) {
    case ARCH_EMBEDDING:
        what = "an embedding model";
        break;
    case ARCH_ENCODER:
        what = "an encoder-decoder model";
        break;
    case ARCH_DIFFUSION:
        what = "a diffusion model";
        break;
    case ARCH_DRAFT:
        what = "a draft model for speculative decoding";
        break;
    case ARCH_SPEECH:
        what = "a speech model";
        break;
    default:
        return true;
    }
    error_set(c->err, INF_ERROR_UNSUPPORTED,
              "the architecture \"%s\" is that of %s, which this library does not generate text "
              "with",
              c->arch, what);
    return false;
}

static bool find_architecture(struct gguf_check *c)
{
    inf_text arch = {0};

    gguf_get_text(c->f, "general.architecture", &arch);
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
        if (same(arch, architectures[i].name)) {
            c->arch = architectures[i].name;
            c->arch_bit = architectures[i].bit;
            return check_generates(c);
        }
    }
    error_set(c->err, INF_ERROR_UNSUPPORTED,
              "the architecture \"%.*s\" is unknown to this version of llama.cpp",
              arch.len < 40 ? (int)arch.len : 40, arch.data);
    return false;
}

/* Keys of the whole file that llama.cpp reads with a fixed type. */
static bool check_general(struct gguf_check *c)
{
    static const struct {
        const char *key;
        int32_t kind;
    } typed[] = {
        {"general.name", GGUF_TEXT},
        {"general.file_type", GGUF_U32},
        {"split.count", GGUF_U16},
    };
    int32_t kind = 0;
    int32_t item = 0;

    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++)
        if (gguf_get_kind(c->f, typed[i].key, &kind, &item) && kind != typed[i].kind)
            return gguf_bad(c, "%s is of type %s where llama.cpp wants %s: " GGUF_AGAIN,
                            typed[i].key, gguf_kind_name(kind), gguf_kind_name(typed[i].kind));
    if (gguf_file_tensor_count(c->f) == 0)
        return unsupported(c, "the file has a vocabulary but no weights: it cannot generate text");
    return true;
}

/* The rows of the table of learned positions. */
static int32_t count_positions(const struct gguf_file *f)
{
    const struct gguf_tensor *t = gguf_file_find(f, "position_embd.weight");

    if (!t)
        return 0;
    return t->ne[1] < INT32_MAX ? (int32_t)t->ne[1] : INT32_MAX;
}

int32_t gguf_model_check(struct gguf_model *out, const struct gguf_file *f, inf_error *err)
{
    inf_error local = {0};
    struct gguf_check c = {.f = f, .err = &local};

    memset(out, 0, sizeof *out);
    if (!check_purpose(&c) || !find_architecture(&c) || !check_general(&c) ||
        !gguf_check_params(&c) || !gguf_check_vocab(&c) || !gguf_check_tensors(&c)) {
        if (err)
            *err = local;
        return local.code;
    }
    *out = (struct gguf_model){
        .file = f,
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
