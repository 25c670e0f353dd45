/*
 * vocab: the vocabulary of a model, checked for what llama.cpp asserts when it loads it and
 * when it tokenizes with it: every token once, arrays as long as they must be, the bytes a
 * SentencePiece vocabulary falls back to, a beginning-of-text token where one is to be added.
 * Special tokens other than the ones looked at here may be out of range: llama.cpp ignores them.
 */
#include "gguf/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/memory.h"
#include "gguf/text_map.h"

#define MAX_TOKENS (1 << 24)
#define NO_ID (-1)
#define TYPE_BYTE 6 /* of tokenizer.ggml.token_type */

enum vocab_kind {
    VOCAB_SPM,
    VOCAB_BPE,
    VOCAB_WPM,
    VOCAB_UGM,
    VOCAB_RWKV,
    VOCAB_PLAMO2,
    VOCAB_NONE
};

/* tokenizer.ggml.model: what llama.cpp makes of it, and its default ids. */
struct tokenizer_model {
    const char *name;
    enum vocab_kind kind;
    bool add_bos, add_eos;
    int32_t bos, eos;
};

static const struct tokenizer_model tokenizer_models[] = {
    {"llama", VOCAB_SPM, true, false, 1, 2},
    {"gpt2", VOCAB_BPE, false, false, 11, 11},
    {"gemma4", VOCAB_BPE, true, false, NO_ID, NO_ID},
    {"hybriddna", VOCAB_BPE, false, false, 11, 11},
    {"whitespace", VOCAB_BPE, false, false, 11, 11},
    {"bert", VOCAB_WPM, true, false, 101, NO_ID},
    {"t5", VOCAB_UGM, false, true, NO_ID, 1},
    {"rwkv", VOCAB_RWKV, false, false, NO_ID, NO_ID},
    {"plamo2", VOCAB_PLAMO2, false, false, 1, 2},
    {"none", VOCAB_NONE, false, false, NO_ID, NO_ID},
    {"no_vocab", VOCAB_NONE, false, false, NO_ID, NO_ID},
};

/* tokenizer.ggml.pre: the splitters llama.cpp knows. */
enum { PRE_BOS = 1, PRE_NO_BOS_ID = 2, PRE_OWN_MODEL = 4, PRE_NO_MERGES = 8 };

static const struct {
    const char *name;
    int32_t flags;
} splitters[] = {
    {"llama3", PRE_BOS},
    {"llama-v3", PRE_BOS},
    {"llama-bpe", PRE_BOS},
    {"falcon3", PRE_BOS},
    {"falcon-h1", PRE_BOS},
    {"pixtral", PRE_BOS},
    {"midm-2.0", PRE_BOS},
    {"lfm2", PRE_BOS},
    {"jina-v5-nano", PRE_BOS},
    {"gemma4", PRE_BOS},
    {"granite-embed-multi-311m", PRE_BOS},
    {"whitespace", PRE_OWN_MODEL}, /* with another model a run of spaces would abort */
    {"chatglm-bpe", PRE_NO_BOS_ID},
    {"glm4", PRE_NO_BOS_ID},
    {"glm5", PRE_NO_BOS_ID},
    {"tekken", PRE_BOS},
    {"chameleon", PRE_BOS},
    {"kimi-k2", PRE_NO_MERGES},
};

static const char *const plain_splitters[] = {"",
                                              "default",
                                              "minicpm5",
                                              "deepseek-llm",
                                              "deepseek-coder",
                                              "deepseek-v3",
                                              "spark2_5",
                                              "youtu",
                                              "falcon",
                                              "mpt",
                                              "starcoder",
                                              "gpt-2",
                                              "phi-2",
                                              "jina-es",
                                              "jina-de",
                                              "gigachat",
                                              "jina-v2-es",
                                              "jina-v2-de",
                                              "a.x-4.0",
                                              "mellum",
                                              "modern-bert",
                                              "jais-2",
                                              "sarvam-moe",
                                              "jina-v1-en",
                                              "jina-v2-code",
                                              "roberta-bpe",
                                              "refact",
                                              "command-r",
                                              "qwen2",
                                              "deepseek-r1-qwen",
                                              "kormo",
                                              "f2llmv2",
                                              "qwen35",
                                              "stablelm2",
                                              "olmo",
                                              "dbrx",
                                              "smaug-bpe",
                                              "poro-chat",
                                              "viking",
                                              "jais",
                                              "smollm",
                                              "codeshell",
                                              "bloom",
                                              "gpt3-finnish",
                                              "exaone",
                                              "exaone4",
                                              "exaone-moe",
                                              "minerva-7b",
                                              "megrez",
                                              "gpt-4o",
                                              "llama4",
                                              "kanana2",
                                              "talkie",
                                              "granite-embed-multi-97m",
                                              "tiny_aya",
                                              "cohere2moe",
                                              "superbpe",
                                              "trillion",
                                              "granite-docling",
                                              "bailingmoe",
                                              "bailingmoe2",
                                              "llada-moe",
                                              "seed-coder",
                                              "hunyuan",
                                              "hunyuan-dense",
                                              "hy_v4",
                                              "joyai-llm",
                                              "ufakzeka",
                                              "grok-2",
                                              "afmoe",
                                              "laguna",
                                              "minimax-m2",
                                              "solar-open",
                                              "mellum2"};

/* Keys of the tokenizer and the file that llama.cpp reads with a fixed type. */
static const struct {
    const char *key;
    int32_t kind;
    int32_t item;
} typed_keys[] = {
    {"general.name", GGUF_TEXT, 0},
    {"general.file_type", GGUF_U32, 0},
    {"split.count", GGUF_U16, 0},
    {"tokenizer.ggml.pre", GGUF_TEXT, 0},
    {"tokenizer.chat_template", GGUF_TEXT, 0},
    {"tokenizer.ggml.token_type_count", GGUF_U32, 0},
    {"tokenizer.ggml.add_bos_token", GGUF_BOOL, 0},
    {"tokenizer.ggml.add_eos_token", GGUF_BOOL, 0},
    {"tokenizer.ggml.add_sep_token", GGUF_BOOL, 0},
    {"tokenizer.ggml.add_space_prefix", GGUF_BOOL, 0},
    {"tokenizer.ggml.remove_extra_whitespaces", GGUF_BOOL, 0},
    {"tokenizer.ggml.normalizer.lowercase", GGUF_BOOL, 0},
    {"tokenizer.ggml.normalizer.strip_accents", GGUF_BOOL, 0},
    {"tokenizer.ggml.bos_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.eos_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.eot_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.eom_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.unknown_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.seperator_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.padding_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.mask_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_pre_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_suf_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_mid_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_pad_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_rep_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.fim_sep_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.prefix_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.suffix_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.middle_token_id", GGUF_U32, 0},
    {"tokenizer.ggml.token_type", GGUF_ARRAY, GGUF_I32},
    {"tokenizer.ggml.merges", GGUF_ARRAY, GGUF_TEXT},
    {"tokenizer.ggml.suppress_tokens", GGUF_ARRAY, GGUF_I32},
};

struct vocab {
    struct gguf_check *c;
    const struct tokenizer_model *model;
    int32_t pre; /* flags */
    size_t n;
    inf_text *tokens; /* (n) as llama.cpp sees them: cut at a NUL */
    struct text_map map;
};

/* ---------------------------------------------------------------- kinds */

static bool same(inf_text t, const char *s)
{
    return text_equals(t.data, t.len, s);
}

static int short_of(inf_text t)
{
    return t.len < 40 ? (int)t.len : 40;
}

static bool check_types(struct gguf_check *c)
{
    int32_t kind = 0;
    int32_t item = 0;

    for (size_t i = 0; i < sizeof typed_keys / sizeof typed_keys[0]; i++) {
        bool array = typed_keys[i].kind == GGUF_ARRAY;

        if (gguf_get_kind(c->f, typed_keys[i].key, &kind, &item) &&
            (kind != typed_keys[i].kind || (array && item != typed_keys[i].item)))
            return gguf_bad(c, "%s is of type %s where llama.cpp wants %s%s: " GGUF_AGAIN,
                            typed_keys[i].key, gguf_kind_name(kind == GGUF_ARRAY ? item : kind),
                            gguf_kind_name(array ? typed_keys[i].item : typed_keys[i].kind),
                            array ? " items" : "");
    }
    return true;
}

static bool find_model(struct vocab *v)
{
    struct gguf_check *c = v->c;
    inf_text name = {0};

    if (!gguf_get_text(c->f, "tokenizer.ggml.model", &name))
        return gguf_bad(c, "the key tokenizer.ggml.model is missing or no text: " GGUF_AGAIN);
    for (size_t i = 0; i < sizeof tokenizer_models / sizeof tokenizer_models[0]; i++)
        if (same(name, tokenizer_models[i].name))
            v->model = &tokenizer_models[i];
    if (!v->model)
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "the tokenizer \"%.*s\" (tokenizer.ggml.model) is unknown to llama.cpp",
                           short_of(name), name.data);
    if (v->model->kind == VOCAB_NONE)
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "the model has no vocabulary: it cannot generate text");
    if (v->model->kind == VOCAB_WPM)
        return gguf_refuse(
            c, INF_ERROR_UNSUPPORTED,
            "this is an embedding model (a BERT vocabulary): it cannot generate text");
    if ((c->arch_bit & ARCH_ALL) != 0 && v->model->kind != VOCAB_SPM && v->model->kind != VOCAB_BPE)
        return gguf_bad(c, "a %s model has no \"%s\" tokenizer (tokenizer.ggml.model): " GGUF_AGAIN,
                        c->arch, v->model->name);
    return true;
}

static bool find_splitter(struct vocab *v)
{
    inf_text pre = {"", 0};

    gguf_get_text(v->c->f, "tokenizer.ggml.pre", &pre);
    if (same((inf_text){v->model->name, strlen(v->model->name)}, "gemma4"))
        pre = (inf_text){"gemma4", 6};
    for (size_t i = 0; i < sizeof plain_splitters / sizeof plain_splitters[0]; i++)
        if (same(pre, plain_splitters[i]))
            return true;
    for (size_t i = 0; i < sizeof splitters / sizeof splitters[0]; i++) {
        if (same(pre, splitters[i].name)) {
            v->pre = splitters[i].flags;
            if ((v->pre & PRE_OWN_MODEL) != 0 && !same(pre, v->model->name))
                return gguf_bad(v->c,
                                "tokenizer.ggml.pre is \"%s\", which does not go with a \"%s\" "
                                "tokenizer: " GGUF_AGAIN,
                                splitters[i].name, v->model->name);
            return true;
        }
    }
    return gguf_refuse(
        v->c, INF_ERROR_UNSUPPORTED,
        "the pre-tokenizer \"%.*s\" (tokenizer.ggml.pre) is unknown to llama.cpp: the file "
        "is damaged or made for a newer one",
        short_of(pre), pre.data);
}

/* ---------------------------------------------------------------- tokens */

static inf_text token_of(const void *owner, uint32_t index)
{
    return ((const inf_text *)owner)[index];
}

static bool twice(struct gguf_check *c, size_t a, size_t b, inf_text text)
{
    return gguf_bad(c, "tokens %zu and %zu are the same (\"%.*s\"): " GGUF_AGAIN, a, b,
                    short_of(text), text.data);
}

/* llama.cpp calls an empty token [EMPTY_<id>]; that name must be free. */
static bool check_empty(struct vocab *v)
{
    char name[32];

    for (size_t i = 0; i < v->n; i++) {
        uint32_t other = 0;

        if (v->tokens[i].len > 0)
            continue;
        snprintf(name, sizeof name, "[EMPTY_%zu]", i);
        other = text_map_find(&v->map, (inf_text){name, strlen(name)});
        if (other != TEXT_MAP_NONE)
            return twice(v->c, other, i, v->tokens[other]);
    }
    return true;
}

/* The texts as llama.cpp sees them. Returns whether one is empty. */
static bool cut_tokens(struct vocab *v, struct gguf_texts *it)
{
    bool empty = false;

    for (size_t i = 0; i < v->n; i++) {
        gguf_texts_next(it, &v->tokens[i]);
        v->tokens[i].len = strnlen(v->tokens[i].data, v->tokens[i].len);
        empty = empty || v->tokens[i].len == 0;
    }
    return empty;
}

static bool load_tokens(struct vocab *v)
{
    struct gguf_check *c = v->c;
    struct gguf_texts it = {0};
    uint32_t same_as = TEXT_MAP_NONE;
    uint32_t doubled = TEXT_MAP_NONE;
    bool empty = false;

    if (!gguf_texts_begin(c->f, "tokenizer.ggml.tokens", &it))
        return gguf_bad(
            c, "the key tokenizer.ggml.tokens is missing or no array of texts: " GGUF_AGAIN);
    v->n = it.left;
    if (v->n < 1 || v->n > MAX_TOKENS)
        return gguf_bad(c, "the vocabulary has %zu tokens: " GGUF_AGAIN, v->n);
    v->tokens = mem_alloc(v->n * sizeof *v->tokens);
    if (!v->tokens || !text_map_init(&v->map, v->n, token_of, v->tokens)) {
        error_no_memory(c->err);
        return false;
    }
    empty = cut_tokens(v, &it);
    doubled = text_map_add_all(&v->map, v->tokens, (uint32_t)v->n, &same_as);
    if (doubled != TEXT_MAP_NONE)
        return twice(c, same_as, doubled, v->tokens[doubled]);
    c->n_vocab = (int64_t)v->n;
    return !empty || check_empty(v);
}

static bool check_scores(struct vocab *v)
{
    struct gguf_check *c = v->c;
    int32_t kind = 0;
    int32_t item = 0;
    size_t n = 0;
    const uint8_t *scores = NULL;

    if (!gguf_get_kind(c->f, "tokenizer.ggml.scores", &kind, &item))
        return true;
    if (kind != GGUF_ARRAY || (item != GGUF_F32 && item != GGUF_I32))
        return gguf_bad(c, "tokenizer.ggml.scores is no array of f32: " GGUF_AGAIN);
    scores = gguf_array_bytes(c->f, "tokenizer.ggml.scores", item, &n);
    if (n < v->n)
        return gguf_bad(c, "there are %zu scores for %zu tokens: " GGUF_AGAIN, n, v->n);
    for (size_t i = 0; item == GGUF_F32 && i < v->n; i++) {
        float score = 0;

        memcpy(&score, scores + i * sizeof score, sizeof score);
        if (isnan(score))
            return gguf_bad(c, "the score of token %zu is not a number: " GGUF_AGAIN, i);
    }
    return true;
}

/* Byte tokens are written <0xXX>; llama.cpp cuts the number out of the middle. */
static bool check_token_type(struct vocab *v, size_t i, int32_t type)
{
    const inf_text *t = &v->tokens[i];

    if (type < 0 || type > TYPE_BYTE)
        return gguf_bad(v->c, "the type of token %zu is %" PRId32 ": " GGUF_AGAIN, i, type);
    if (type == TYPE_BYTE && v->model->kind != VOCAB_RWKV &&
        (t->len != 6 || memcmp(t->data, "<0x", 3) != 0))
        return gguf_bad(v->c, "token %zu is a byte token but reads \"%.*s\": " GGUF_AGAIN, i,
                        short_of(*t), t->data);
    return true;
}

static bool check_token_types(struct vocab *v)
{
    size_t n = 0;
    int32_t type = 0;
    const uint8_t *types = gguf_array_bytes(v->c->f, "tokenizer.ggml.token_type", GGUF_I32, &n);

    if (!types)
        return true;
    if (n < v->n)
        return gguf_bad(v->c, "there are %zu token types for %zu tokens: " GGUF_AGAIN, n, v->n);
    for (size_t i = 0; i < v->n; i++) {
        memcpy(&type, types + i * sizeof type, sizeof type);
        if (!check_token_type(v, i, type))
            return false;
    }
    return true;
}

static bool check_merges(struct vocab *v)
{
    struct gguf_texts it = {0};
    inf_text t = {0};
    size_t i = 0;

    if (v->model->kind != VOCAB_BPE)
        return true;
    if (!gguf_texts_begin(v->c->f, "tokenizer.ggml.merges", &it))
        return (v->pre & PRE_NO_MERGES) != 0 ||
               gguf_bad(v->c, "the key tokenizer.ggml.merges is missing: " GGUF_AGAIN);
    for (; gguf_texts_next(&it, &t); i++) {
        const char *space = t.len > 2 ? memchr(t.data + 1, ' ', t.len - 2) : NULL;

        if (!space)
            return gguf_bad(v->c, "merge %zu, \"%.*s\", is no pair of texts: " GGUF_AGAIN, i,
                            short_of(t), t.data);
    }
    return true;
}

static bool no_byte(struct vocab *v, unsigned byte)
{
    return gguf_bad(v->c,
                    "the vocabulary has no token for the byte 0x%02X: llama.cpp would end on "
                    "text with it; download the file again, or convert the model again",
                    byte);
}

/* A SentencePiece tokenizer writes what it has no token for as bytes, and needs them all. */
static bool check_bytes(struct vocab *v)
{
    char name[8];

    for (unsigned b = 0; b < 256; b++) {
        char plain = (char)b;

        snprintf(name, sizeof name, "<0x%02X>", b);
        if (text_map_find(&v->map, (inf_text){name, 6}) == TEXT_MAP_NONE &&
            text_map_find(&v->map, (inf_text){&plain, 1}) == TEXT_MAP_NONE)
            return no_byte(v, b);
    }
    return true;
}

/* The byte that a token of one byte stands for in RWKV's writing (\n, \x0a, a), or -1. */
static int rwkv_byte(inf_text t)
{
    uint32_t v = 0;

    if (t.len == 1 && t.data[0] != '\\')
        return (unsigned char)t.data[0];
    if (t.len == 4 && memcmp(t.data, "\\x", 2) == 0 && read_hex_digits(t.data + 2, 2, &v))
        return (int)v;
    if (t.len != 2 || t.data[0] != '\\' || t.data[1] == 'x')
        return -1;
    switch (t.data[1]) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    default:
        return (unsigned char)t.data[1];
    }
}

/* RWKV's tokenizer goes on for ever at a byte that begins tokens but is none. */
static bool check_rwkv_bytes(struct vocab *v)
{
    bool found[256] = {false};

    for (size_t i = 0; i < v->n; i++) {
        int b = rwkv_byte(v->tokens[i]);

        if (b >= 0)
            found[b] = true;
    }
    for (unsigned b = 0; b < 256; b++)
        if (!found[b])
            return no_byte(v, b);
    return true;
}

static bool check_coverage(struct vocab *v)
{
    if (v->model->kind == VOCAB_SPM)
        return check_bytes(v);
    return v->model->kind != VOCAB_RWKV || check_rwkv_bytes(v);
}

/* ---------------------------------------------------------------- special tokens */

/* The id llama.cpp will use: that of the key when it is in range, else the default when that is. */
static bool special_id(struct vocab *v, const char *key, int32_t otherwise, int64_t *out)
{
    int64_t id = 0;

    *out = otherwise >= 0 && (size_t)otherwise < v->n ? otherwise : NO_ID;
    if (!gguf_get_int(v->c->f, key, &id) || id == UINT32_MAX)
        return true;
    if (id >= (int64_t)v->n)
        return gguf_bad(v->c, "%s is %" PRId64 " in a vocabulary of %zu: " GGUF_AGAIN, key, id,
                        v->n);
    *out = id;
    return true;
}

static bool check_added(struct vocab *v)
{
    const struct tokenizer_model *m = v->model;
    bool add_bos = m->add_bos || (m->kind == VOCAB_BPE && (v->pre & PRE_BOS) != 0);
    bool add_eos = m->add_eos;
    int64_t bos = 0;
    int64_t eos = 0;
    int64_t ignored = 0;
    int32_t default_bos = (v->pre & PRE_NO_BOS_ID) != 0 ? NO_ID : m->bos;

    gguf_get_bool(v->c->f, "tokenizer.ggml.add_bos_token", &add_bos);
    gguf_get_bool(v->c->f, "tokenizer.ggml.add_eos_token", &add_eos);
    if (!special_id(v, "tokenizer.ggml.bos_token_id", default_bos, &bos) ||
        !special_id(v, "tokenizer.ggml.eos_token_id", m->eos, &eos) ||
        !special_id(v, "tokenizer.ggml.eot_token_id", NO_ID, &ignored) ||
        !special_id(v, "tokenizer.ggml.eom_token_id", NO_ID, &ignored) ||
        !special_id(v, "tokenizer.ggml.unknown_token_id", NO_ID, &ignored))
        return false;
    if ((add_bos && bos == NO_ID) || (add_eos && eos == NO_ID))
        return gguf_bad(v->c,
                        "%s text is to get an %s token, but the vocabulary has none: " GGUF_AGAIN,
                        "every", add_bos && bos == NO_ID ? "opening (BOS)" : "end (EOS)");
    return true;
}

/* llama.cpp looks four tokens up by name in models it takes for Phi-3 by their name. */
static bool check_phi3_tokens(struct vocab *v)
{
    static const char *const wanted[] = {"</s>", "<unk>", "<s>", "<|endoftext|>"};
    inf_text name = {0};
    bool phi3 = false;

    gguf_get_text(v->c->f, "general.name", &name);
    name.len = name.data ? strnlen(name.data, name.len) : 0;
    for (size_t i = 0; i + 4 <= name.len; i++) {
        bool phi = (name.data[i] | 0x20) == 'p' && (name.data[i + 1] | 0x20) == 'h' &&
                   (name.data[i + 2] | 0x20) == 'i';

        phi3 = phi3 || (phi && (name.data[i + 3] == '3' ||
                                (i + 5 <= name.len && memcmp(name.data + i + 3, "-3", 2) == 0)));
    }
    for (size_t i = 0; phi3 && i < 4; i++)
        if (text_map_find(&v->map, (inf_text){wanted[i], strlen(wanted[i])}) == TEXT_MAP_NONE)
            return gguf_bad(v->c,
                            "the model's name (general.name) is that of a Phi-3, but its "
                            "vocabulary has no %s, which llama.cpp wants then",
                            wanted[i]);
    return true;
}

/* A header alone may say how many tokens there are and leave what they are to somebody else. */
static bool is_counted_only(struct gguf_check *c)
{
    char buf[128];
    inf_text name = {0};

    return gguf_file_is_header(c->f) && gguf_get_text(c->f, "tokenizer.ggml.model", &name) &&
           same(name, "no_vocab") &&
           gguf_get_int(c->f, gguf_arch_key(c, "vocab_size", buf), &c->n_vocab) && c->n_vocab > 0;
}

bool gguf_check_vocab(struct gguf_check *c)
{
    struct vocab v = {.c = c};
    bool ok = false;

    if (!check_types(c))
        return false;
    if (is_counted_only(c))
        return true;
    ok = find_model(&v) &&
         /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): find_model found it */
         (v.model->kind != VOCAB_BPE || find_splitter(&v)) && load_tokens(&v) && check_scores(&v) &&
         check_token_types(&v) && check_merges(&v) && check_coverage(&v) && check_added(&v) &&
         check_phi3_tokens(&v);

    text_map_free(&v.map);
    mem_free(v.tokens);
    return ok;
}
