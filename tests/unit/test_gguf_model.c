/*
 * The model check on a good file of each architecture with one thing changed: what llama.cpp would
 * assert, divide by, or run past must be refused by name, and what it takes must be taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "gguf_like.h"
#include "gguf/model.h"

static const char *const architectures[] = {"llama",  "mistral", "qwen2",   "qwen3", "gemma2",
                                            "gemma3", "phi3",    "smollm3", "gpt2"};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

static struct document *fixture(const char *name)
{
    char path[512];
    FILE *f = NULL;
    uint8_t *bytes = NULL;
    long size = 0;
    struct document *d = NULL;

    snprintf(path, sizeof path, "%s/parity/fixtures/%s/base.gguf", TEST_SOURCE_DIR, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    bytes = malloc((size_t)size);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
    fclose(f);
    d = document_read(bytes, (size_t)size);
    free(bytes);
    return d;
}

/* Checks the document as a model and frees it. */
static int32_t check(struct document *d, inf_error *err)
{
    struct bytes b = document_write(d);
    struct gguf_file *f = NULL;
    struct gguf_model model = {0};
    int32_t code = gguf_file_from_memory(&f, b.data, b.len, err);

    assert_int_equal(code, INF_OK);
    code = gguf_model_check(&model, f, err);
    assert_true(code == INF_OK ? model.n_layer > 0 : model.n_layer == 0);
    gguf_file_close(f);
    free(b.data);
    document_free(d);
    return code;
}

static void accepted(struct document *d)
{
    inf_error err = {0};

    if (check(d, &err) != INF_OK)
        fail_msg("refused: %s", err.message);
}

static void refused_as(struct document *d, int32_t code, const char *message)
{
    inf_error err = {0};

    assert_int_equal(check(d, &err), code);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void refused(struct document *d, const char *message)
{
    refused_as(d, INF_ERROR_BAD_FORMAT, message);
}

/* "<arch>.<suffix>"; the Mistral fixture is of the architecture llama. */
static const char *key(const char *arch, const char *suffix)
{
    static char buf[128];

    snprintf(buf, sizeof buf, "%s.%s", strcmp(arch, "mistral") == 0 ? "llama" : arch, suffix);
    return buf;
}

/* ---------------------------------------------------------------- good models */

static void test_gguf_model__good_model__is_described(void **state)
{
    struct document *d = fixture("qwen3");
    struct bytes b = document_write(d);
    struct gguf_file *f = NULL;
    struct gguf_model m = {0};

    (void)state;
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        accepted(fixture(architectures[i]));
    assert_int_equal(gguf_file_from_memory(&f, b.data, b.len, NULL), INF_OK);
    assert_int_equal(gguf_model_check(&m, f, NULL), INF_OK);
    assert_ptr_equal(m.file, f);
    assert_string_equal(m.architecture, "qwen3");
    assert_int_equal(m.n_layer, 2);
    assert_int_equal(m.n_embd, 32);
    assert_int_equal(m.n_head, 4);
    assert_int_equal(m.n_head_kv, 2);
    assert_int_equal(m.head_dim, 16);
    assert_int_equal(m.n_ff, 48);
    assert_int_equal(m.n_vocab, 288);
    assert_int_equal(m.n_ctx_train, 512);
    assert_true(m.tied);
    gguf_file_close(f);
    free(b.data);
    document_free(d);
}

/* ---------------------------------------------------------------- other files */

static void test_gguf_model__file_that_is_no_model__is_named(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_text(d, "general.type", "adapter");
    refused_as(d, INF_ERROR_UNSUPPORTED, "load it as an adapter");
    d = fixture("llama");
    document_set_text(d, "general.type", "mmproj");
    refused_as(d, INF_ERROR_UNSUPPORTED, "vision projector");
    d = fixture("llama");
    document_set_text(d, "general.architecture", "clip");
    refused_as(d, INF_ERROR_UNSUPPORTED, "vision projector");
    d = fixture("llama");
    document_set_text(d, "general.type", "imatrix");
    refused_as(d, INF_ERROR_UNSUPPORTED, "importance matrix");
    d = fixture("llama");
    while (d->n_tensors > 0)
        document_remove_tensor(d, 0);
    refused_as(d, INF_ERROR_UNSUPPORTED, "no weights");
}

static void test_gguf_model__architecture_that_cannot_generate__is_named(void **state)
{
    static const char *const cases[][2] = {
        {"bert", "embedding model"},
        {"t5", "encoder-decoder"},
        {"llada", "diffusion"},
        {"eagle3", "draft model"},
        {"pockettts", "speech"},
        {"no-such-thing", "unknown"},
        {"", "unknown"},
        {"llama2", "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = fixture("llama");

        document_set_text(d, "general.architecture", cases[i][0]);
        refused_as(d, INF_ERROR_UNSUPPORTED, cases[i][1]);
    }
}

static void test_gguf_model__no_architecture__is_refused(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_remove(d, (size_t)(document_find(d, "general.architecture") - d->pairs));
    refused(d, "general.architecture");
    d = fixture("llama");
    document_set_u32(d, "general.architecture", 1);
    refused(d, "general.architecture");
}

/* Not one of our nine, but known to llama.cpp: its keys, vocabulary and types are checked. */
static void test_gguf_model__other_architecture__has_the_common_checks(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_text(d, "general.architecture", "olmo");
    refused(d, "olmo.block_count is missing");
    d = fixture("llama");
    document_set_text(d, "general.architecture", "olmo");
    document_set_u32(d, "olmo.context_length", 512);
    document_set_u32(d, "olmo.embedding_length", 32);
    document_set_u32(d, "olmo.block_count", 513);
    refused(d, "olmo.block_count is 513");
    d = fixture("llama");
    document_set_text(d, "general.architecture", "olmo");
    document_set_u32(d, "olmo.context_length", 512);
    document_set_u32(d, "olmo.embedding_length", 32);
    document_set_u32(d, "olmo.block_count", 2);
    accepted(d);
}

/* ---------------------------------------------------------------- hyper-parameters */

static void test_gguf_model__missing_key__is_named(void **state)
{
    static const char *const needed[] = {"context_length", "embedding_length", "block_count",
                                         "attention.head_count", "feed_forward_length"};

    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
            struct document *d = fixture(architectures[a]);
            const char *k = key(architectures[a], needed[i]);

            document_remove(d, (size_t)(document_find(d, k) - d->pairs));
            refused(d, k);
        }
    }
}

static void test_gguf_model__number_out_of_range__is_refused(void **state)
{
    static const struct {
        const char *suffix;
        uint32_t value;
    } cases[] = {
        {"context_length", 0},
        {"context_length", UINT32_MAX},
        {"embedding_length", 0},
        {"embedding_length", UINT32_MAX},
        {"embedding_length", 33},
        {"block_count", 0},
        {"block_count", 513},
        {"block_count", 1},
        {"block_count", 3},
        {"block_count", UINT32_MAX},
        {"attention.head_count", 0},
        {"attention.head_count", 3},
        {"attention.head_count", UINT32_MAX},
        {"attention.head_count_kv", 0},
        {"attention.head_count_kv", 3},
        {"attention.head_count_kv", 64},
        {"feed_forward_length", 0},
        {"feed_forward_length", UINT32_MAX},
        {"attention.key_length", 0},
        {"attention.key_length", 4},
        {"attention.value_length", 4},
        {"attention.value_length", UINT32_MAX},
        {"attention.key_length_swa", 4},
        {"nextn_predict_layers", 1},
        {"nextn_predict_layers", UINT32_MAX},
        {"expert_count", 8},
        {"expert_count", 1025},
        {"expert_used_count", 2},
        {"expert_group_count", 2},
        {"embedding_length_out", 8},
        {"pooling_type", 9},
        {"vocab_size", UINT32_MAX},
        {"attention.sliding_window", UINT32_MAX},
        {"attention.sliding_window", 4194305},
    };

    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct document *d = fixture(architectures[a]);

            document_set_u32(d, key(architectures[a], cases[i].suffix), cases[i].value);
            refused(d, "");
        }
    }
}

static void test_gguf_model__float_that_is_none__is_refused(void **state)
{
    static const float bad[] = {(float)NAN, (float)INFINITY, -(float)INFINITY, -1.0f};
    static const char *const suffixes[] = {"attention.layer_norm_rms_epsilon",
                                           "attention.layer_norm_epsilon",
                                           "rope.freq_base",
                                           "rope.scaling.factor",
                                           "attn_logit_softcapping",
                                           "rope.scaling.attn_factor"};

    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
            for (size_t v = 0; v < 4; v++) {
                struct document *d = fixture(architectures[a]);
                const char *k = key(architectures[a], suffixes[i]);

                document_set_f32(d, k, bad[v]);
                refused(d, k);
            }
        }
    }
}

static void test_gguf_model__wrong_type_of_a_key__is_refused(void **state)
{
    static const struct {
        const char *suffix;
        uint32_t kind;
        const char *message;
    } cases[] = {
        {"context_length", GGUF_U64, "is of type u64 where llama.cpp wants u32"},
        {"context_length", GGUF_I32, "is of type i32"},
        {"block_count", GGUF_F32, "is of type f32"},
        {"attention.layer_norm_rms_epsilon", GGUF_F64, "is of type f64"},
        {"rope.scaling.finetuned", GGUF_U8, "wants bool"},
        {"rope.scaling.type", GGUF_U32, "wants text"},
        {"attention.head_count", GGUF_I64, "is of type i64"},
    };
    static const uint8_t zeros[8] = {1};
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = fixture("llama");

        document_set(d, key("llama", cases[i].suffix), cases[i].kind, zeros, sizes[cases[i].kind]);
        refused(d, cases[i].message);
    }
}

static void set_array(struct document *d, const char *k, uint32_t item, const uint32_t *v, size_t n)
{
    struct bytes b = {0};

    bytes_append_u32(&b, item);
    bytes_append_u64(&b, n);
    bytes_append(&b, v, n * 4);
    document_set(d, k, ARRAY, b.data, b.len);
    free(b.data);
}

static void test_gguf_model__number_for_each_layer__must_fit(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    set_array(d, "llama.attention.head_count", GGUF_U32, (const uint32_t[]){4, 4}, 2);
    accepted(d);
    d = fixture("llama");
    set_array(d, "llama.attention.head_count", GGUF_U32, (const uint32_t[]){4, 4, 4}, 3);
    refused(d, "has 3 items for 2 layers");
    d = fixture("llama");
    set_array(d, "llama.attention.head_count", GGUF_U32, (const uint32_t[]){4, 2}, 2);
    refused(d, "differs between layers");
    d = fixture("llama");
    set_array(d, "llama.feed_forward_length", GGUF_F32, (const uint32_t[]){48, 48}, 2);
    refused(d, "array of f32");
    d = fixture("gemma3");
    set_array(d, "gemma3.attention.sliding_window_pattern", GGUF_F32, (const uint32_t[]){0}, 1);
    refused(d, "array of f32");
}

static void test_gguf_model__rope__must_make_sense(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_text(d, "llama.rope.scaling.type", "su");
    refused(d, "llama.rope.scaling.type is \"su\"");
    d = fixture("llama");
    document_set_text(d, "llama.rope.scaling.type", "yarn");
    accepted(d);
    d = fixture("llama");
    document_set_u32(d, "llama.rope.dimension_count", 4);
    refused(d, "rope.dimension_count is 4");
    d = fixture("gemma2");
    document_set_u32(d, "gemma2.rope.dimension_count", 7);
    refused(d, "rope.dimension_count is 7");
    d = fixture("phi3");
    document_set_u32(d, "phi3.rope.dimension_count", 1024);
    refused(d, "rope.dimension_count is 1024");
}

static void test_gguf_model__embedding_model__is_refused(void **state)
{
    struct document *d = fixture("qwen3");

    (void)state;
    document_set(d, "qwen3.attention.causal", GGUF_BOOL, "", 1);
    refused_as(d, INF_ERROR_UNSUPPORTED, "embedding model");
}

/* ---------------------------------------------------------------- vocabulary */

static const char TOKENS[] = "tokenizer.ggml.tokens";

static void test_gguf_model__vocabulary__doubled_token__is_refused(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_item(d, TOKENS, 7, "zz", 2);
    document_set_item(d, TOKENS, 9, "zz", 2);
    refused(d, "tokens 7 and 9 are the same (\"zz\")");
    d = fixture("llama");
    document_set_item(d, TOKENS, 7, "zz\0a", 4); /* llama.cpp sees "zz" */
    document_set_item(d, TOKENS, 9, "zz", 2);
    refused(d, "tokens 7 and 9");
    d = fixture("llama");
    document_set_item(d, TOKENS, 7, "", 0); /* which it calls [EMPTY_7] */
    document_set_item(d, TOKENS, 9, "[EMPTY_7]", 9);
    refused(d, "are the same");
    d = fixture("llama");
    document_set_item(d, TOKENS, 7, "", 0);
    document_set_item(d, TOKENS, 9, "", 0);
    accepted(d);
}

static void test_gguf_model__vocabulary__arrays_too_short__are_refused(void **state)
{
    struct document *d = fixture("mistral");

    (void)state;
    document_resize(document_find(d, "tokenizer.ggml.scores"), 287, 287, 0);
    refused(d, "287 scores for 288 tokens");
    d = fixture("mistral");
    document_resize(document_find(d, "tokenizer.ggml.token_type"), 100, 100, 0);
    refused(d, "100 token types for 288 tokens");
    d = fixture("mistral");
    document_resize(document_find(d, TOKENS), 287, 287, 0);
    refused(d, "token_embd.weight has the shape [32, 288] where the model's keys say [32, 287]");
    d = fixture("mistral");
    document_resize(document_find(d, TOKENS), 0, 0, 0);
    refused(d, "the vocabulary has 0 tokens");
}

static void test_gguf_model__vocabulary__wrong_types__are_refused(void **state)
{
    static const char *const arrays[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.scores",
                                         "tokenizer.ggml.token_type"};
    static const char *const texts[] = {"tokenizer.ggml.model", "tokenizer.chat_template",
                                        "tokenizer.ggml.pre"};
    static const char *const numbers[] = {"tokenizer.ggml.bos_token_id",
                                          "tokenizer.ggml.eos_token_id",
                                          "tokenizer.ggml.padding_token_id"};
    static const char *const flags[] = {"tokenizer.ggml.add_bos_token",
                                        "tokenizer.ggml.add_space_prefix"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct document *d = fixture("mistral");

        set_array(d, arrays[i], GGUF_U32, (const uint32_t[]){1, 2, 3}, 3);
        refused(d, arrays[i]);
        d = fixture("mistral");
        document_set_u32(d, texts[i], 3);
        refused(d, texts[i]);
        d = fixture("mistral");
        document_set_text(d, numbers[i], "3");
        refused(d, numbers[i]);
        d = fixture("mistral");
        document_set_u32(d, flags[i % 2], 1);
        refused(d, flags[i % 2]);
    }
}

static void test_gguf_model__vocabulary__unknown_tokenizer__is_named(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_text(d, "tokenizer.ggml.model", "gpt5");
    refused_as(d, INF_ERROR_UNSUPPORTED, "\"gpt5\"");
    d = fixture("llama");
    document_set_text(d, "tokenizer.ggml.model", "none");
    refused_as(d, INF_ERROR_UNSUPPORTED, "no vocabulary");
    d = fixture("llama");
    document_set_text(d, "tokenizer.ggml.model", "rwkv"); /* aborts without a newline token */
    refused(d, "has no \"rwkv\" tokenizer");
    d = fixture("llama");
    document_set_text(d, "tokenizer.ggml.pre", "llama9");
    refused_as(d, INF_ERROR_UNSUPPORTED, "\"llama9\"");
    d = fixture("llama");
    document_set_text(d, "tokenizer.ggml.pre", "whitespace"); /* aborts at two spaces */
    refused(d, "does not go with");
}

static void test_gguf_model__vocabulary__bad_special_tokens__are_refused(void **state)
{
    struct document *d = fixture("llama");
    static const uint8_t yes = 1;

    (void)state;
    document_set_u32(d, "tokenizer.ggml.eos_token_id", 288);
    refused(d, "tokenizer.ggml.eos_token_id is 288 in a vocabulary of 288");
    d = fixture("llama");
    document_set_u32(d, "tokenizer.ggml.padding_token_id", 288); /* llama.cpp ignores it */
    accepted(d);
    d = fixture("llama");
    document_set_u32(d, "tokenizer.ggml.eot_token_id", UINT32_MAX); /* -1: none */
    accepted(d);
    d = fixture("llama");
    document_set_text(d, "tokenizer.ggml.pre", "glm4"); /* no default for BOS */
    document_set(d, "tokenizer.ggml.add_bos_token", GGUF_BOOL, &yes, 1);
    document_set_u32(d, "tokenizer.ggml.bos_token_id", UINT32_MAX);
    refused(d, "opening (BOS)");
}

static void test_gguf_model__vocabulary__bad_tokens__are_refused(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_item(d, "tokenizer.ggml.merges", 3, "ab", 2);
    refused(d, "merge 3");
    d = fixture("llama");
    document_set_item(d, "tokenizer.ggml.merges", 0, " a", 2);
    refused(d, "merge 0");
    d = fixture("llama");
    document_remove(d, (size_t)(document_find(d, "tokenizer.ggml.merges") - d->pairs));
    refused(d, "tokenizer.ggml.merges is missing");
    d = fixture("mistral");
    document_set_item(d, TOKENS, 3 + 0x41, "<0xZZ>", 6); /* its byte tokens start at 3 */
    refused(d, "no token for the byte 0x41");
    d = fixture("mistral");
    document_set_item(d, TOKENS, 3 + 0x41, "A", 1);
    refused(d, "is a byte token but reads \"A\"");
    d = fixture("mistral");
    memset(document_find(d, "tokenizer.ggml.token_type")->value.data + 12, 0x11, 4);
    refused(d, "the type of token 0");
    d = fixture("mistral");
    memset(document_find(d, "tokenizer.ggml.scores")->value.data + 12, 0xff, 4);
    refused(d, "the score of token 0 is not a number");
}

static void test_gguf_model__vocabulary__phi3_by_name__needs_its_tokens(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_text(d, "general.name", "My PHI-3 tune");
    refused(d, "Phi-3");
    d = fixture("llama");
    document_set_text(d, "general.name", "Sophie 3");
    accepted(d);
}

/* ---------------------------------------------------------------- tensors */

static void test_gguf_model__missing_tensor__is_named(void **state)
{
    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        struct document *d = fixture(architectures[a]);
        size_t n = d->n_tensors;

        document_free(d);
        for (size_t i = 0; i < n; i++) {
            char name[64];

            d = fixture(architectures[a]);
            snprintf(name, sizeof name, "%.*s", (int)d->tensors[i].name.len,
                     (char *)d->tensors[i].name.data);
            document_remove_tensor(d, i);
            if (strcmp(name, "output.weight") == 0 || strstr(name, "rope_f") ||
                strstr(name, "attn_q.bias") || strstr(name, "attn_k.bias") ||
                strstr(name, "attn_v.bias") != NULL) {
                accepted(d); /* llama.cpp can do without */
            } else if (strstr(name, "attn_qkv.weight") && strcmp(architectures[a], "gpt2") != 0) {
                refused(d, "attn_q"); /* then the three are looked for */
            } else {
                refused(d, name);
            }
        }
    }
}

static void test_gguf_model__wrong_shape__is_named(void **state)
{
    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        struct document *d = fixture(architectures[a]);
        size_t n = d->n_tensors;

        document_free(d);
        for (size_t i = 0; i < n; i++) {
            struct tensor *t = NULL;
            char name[64];

            d = fixture(architectures[a]);
            t = &d->tensors[i];
            snprintf(name, sizeof name, "%.*s", (int)t->name.len, (char *)t->name.data);
            t->ne[t->n_dims - 1] += 1;
            document_fit(t);
            refused(d, name);
        }
    }
}

static void test_gguf_model__leftover_tensor__is_named(void **state)
{
    (void)state;
    for (size_t a = 0; a < N_ARCHITECTURES; a++) {
        struct document *d = fixture(architectures[a]);
        struct tensor *t = &d->tensors[d->n_tensors++];

        *t = d->tensors[0];
        t->name = bytes_copy("blk.0.extra.weight", 18);
        t->data = bytes_copy(d->tensors[0].data.data, d->tensors[0].data.len);
        refused(d, "blk.0.extra.weight does not belong");
    }
}

static void test_gguf_model__type_ggml_cannot_compute_with__is_refused(void **state)
{
    static const struct {
        const char *name;
        uint32_t type;
        bool good;
    } cases[] = {
        {"blk.0.attn_norm.weight", 1, false},  /* F16: ggml multiplies by f32 alone */
        {"blk.0.attn_norm.weight", 26, false}, /* I32 */
        {"blk.0.attn_q.weight", 26, false},    {"blk.0.attn_q.weight", 28, false}, /* F64 */
        {"blk.0.attn_q.weight", 9, false}, /* Q8_1 is for activations */
        {"blk.0.attn_q.weight", 1, true},      {"blk.0.attn_q.weight", 30, true},
        {"blk.0.attn_q.weight", 8, true}, /* Q8_0 */
        {"token_embd.weight", 2, true},   /* Q4_0 */
        {"token_embd.weight", 24, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = fixture("llama");
        struct tensor *t = document_tensor(d, cases[i].name);

        t->type = cases[i].type;
        document_fit(t);
        if (cases[i].good)
            accepted(d);
        else
            refused(d, "cannot compute with");
    }
}

static void test_gguf_model__scales_of_weights__are_taken(void **state)
{
    struct document *d = fixture("llama");
    struct tensor *t = &d->tensors[d->n_tensors++];

    (void)state;
    *t = *document_tensor(d, "blk.0.attn_norm.weight");
    t->name = bytes_copy("blk.0.attn_q.scale", 18);
    t->data = (struct bytes){0};
    t->ne[0] = 1;
    document_fit(t);
    accepted(d);
}

/* ---------------------------------------------------------------- Qwen3.5 and Qwen3's mixture */

static struct document *like(void (*become)(struct document *))
{
    struct document *d = fixture("qwen3");

    become(d);
    return d;
}

static void test_gguf_model__qwen35__is_described(void **state)
{
    struct document *d = like(document_become_qwen35);
    struct bytes b = document_write(d);
    struct gguf_file *f = NULL;
    struct gguf_model m = {0};

    (void)state;
    assert_int_equal(gguf_file_from_memory(&f, b.data, b.len, NULL), INF_OK);
    assert_int_equal(gguf_model_check(&m, f, NULL), INF_OK);
    assert_int_equal(m.n_kv_layer, 1);
    assert_int_equal(m.state_bytes, 4 * (8 * 32 + 3 * 64));
    gguf_file_close(f);
    free(b.data);
    document_free(d);
    accepted(like(document_become_qwen3moe));
}

/* The same layers by a list instead of an interval, as bools and as numbers. */
static void test_gguf_model__qwen35__list_of_layers__is_read(void **state)
{
    static const uint32_t numbers[] = {I32, 2, 0, 1, 0}; /* kind, count in 64 bits, items */
    static const uint8_t bools[] = {BOOL, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    struct document *d = like(document_become_qwen35);

    (void)state;
    document_set_u32(d, "qwen35.full_attention_interval", 512);
    document_set(d, "qwen35.attention.recurrent_layers", ARRAY, numbers, sizeof numbers);
    accepted(d);
    d = like(document_become_qwen35);
    document_set(d, "qwen35.attention.recurrent_layers", ARRAY, bools, sizeof bools);
    accepted(d);
}

static void test_gguf_model__qwen35__one_kind_of_layers__is_refused(void **state)
{
    static const uint32_t lists[][5] = {{I32, 2, 0, 1, 1}, {I32, 2, 0, 0, 0}};
    static const uint32_t intervals[] = {1, 3, 512};
    struct document *d = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        d = like(document_become_qwen35);
        document_set_u32(d, "qwen35.full_attention_interval", intervals[i]);
        refused(d, "models have both kinds");
    }
    for (size_t i = 0; i < 2; i++) {
        d = like(document_become_qwen35);
        document_set(d, "qwen35.attention.recurrent_layers", ARRAY, lists[i], sizeof lists[i]);
        refused(d, "models have both kinds");
        d = like(document_become_qwen35);
        document_set_u32(d, "qwen35.attention.recurrent_layers", (uint32_t)i);
        refused(d, "models have both kinds");
    }
    d = like(document_become_qwen35); /* llama.cpp takes 4 where there is none */
    document_remove(d, (size_t)(document_find(d, "qwen35.full_attention_interval") - d->pairs));
    refused(d, "2 of 2 layers are recurrent");
    d = like(document_become_qwen35);
    document_set_u32(d, "qwen35.nextn_predict_layers", 1);
    refused(d, "1 of 1 layers are recurrent");
}

static void test_gguf_model__qwen35__sizes_that_do_not_fit__are_refused(void **state)
{
    static const struct {
        const char *key;
        uint32_t value;
        const char *message;
    } cases[] = {
        {"ssm.group_count", 0, "do not fit together"},
        {"ssm.group_count", 3, "do not fit together"},
        {"ssm.group_count", 4, "shape"},
        {"ssm.time_step_rank", 0, "do not fit together"},
        {"ssm.time_step_rank", 6, "do not fit together"},
        {"ssm.state_size", 0, "do not fit together"},
        {"ssm.state_size", 16, "do not fit together"},
        {"ssm.inner_size", 33, "do not fit together"},
        {"ssm.conv_kernel", 0, "do not fit together"},
        {"ssm.conv_kernel", 1, "do not fit together"},
        {"ssm.conv_kernel", 3, "shape"},
        {"ssm.conv_kernel", UINT32_MAX, "range"},
        {"attention.head_count", 8, "shape"},
        {"attention.head_count_kv", 3, "cannot share"},
        {"rope.dimension_count", 7, "rope.dimension_count"},
        {"rope.dimension_count", 32, "rope.dimension_count"},
        {"rope.dimension_sections", 0, "rope.dimension_sections"},
        {"expert_count", 4, "experts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = like(document_become_qwen35);

        document_set_u32(d, key("qwen35", cases[i].key), cases[i].value);
        refused(d, cases[i].message);
    }
}

/* ggml asserts that a head has as many numbers as the sections say. */
static void test_gguf_model__qwen35__sections_beyond_a_head__are_refused(void **state)
{
    static const uint32_t sections[] = {I32, 4, 0, 8, 8, 1, 0}; /* kind, count in 64 bits, items */
    struct document *d = like(document_become_qwen35);

    (void)state;
    document_set(d, "qwen35.rope.dimension_sections", ARRAY, sections, sizeof sections);
    refused(d, "holds 17 in all, with heads of 16");
}

static void test_gguf_model__qwen35__state_beyond_32_bits__is_refused(void **state)
{
    struct document *d = like(document_become_qwen35);

    (void)state;
    document_set_u32(d, "qwen35.ssm.state_size", 65536);
    document_set_u32(d, "qwen35.ssm.inner_size", 4 * 65536);
    refused(d, "more state than can be");
}

/* A block behind the others that only drafts, as conversions with it have: taken, and checked. */
static void test_gguf_model__qwen35__drafting_block__is_taken(void **state)
{
    static const char *const copied[] = {"attn_norm.weight",   "post_attention_norm.weight",
                                         "attn_q.weight",      "attn_k.weight",
                                         "attn_v.weight",      "attn_output.weight",
                                         "attn_q_norm.weight", "attn_k_norm.weight",
                                         "ffn_gate.weight",    "ffn_up.weight",
                                         "ffn_down.weight"};
    char name[64];

    (void)state;
    for (int without = 0; without < 2; without++) {
        struct document *d = like(document_become_qwen35);

        document_set_u32(d, "qwen35.block_count", 3);
        document_set_u32(d, "qwen35.nextn_predict_layers", 1);
        for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
            struct tensor *t = NULL;

            snprintf(name, sizeof name, "blk.1.%s", copied[i]);
            t = document_tensor(d, name);
            snprintf(name, sizeof name, "blk.2.%s", copied[i]);
            document_add_tensor(d, name, t->ne[0], t->n_dims > 1 ? t->ne[1] : 0, 0);
        }
        document_add_tensor(d, "blk.2.nextn.enorm.weight", 32, 0, 0);
        document_add_tensor(d, "blk.2.nextn.hnorm.weight", 32, 0, 0);
        if (without) {
            refused(d, "the tensor blk.2.nextn.eh_proj.weight is missing");
            continue;
        }
        document_add_tensor(d, "blk.2.nextn.eh_proj.weight", 64, 32, 0);
        accepted(d);
    }
}

static void test_gguf_model__qwen35_and_mixture__missing_tensor__is_named(void **state)
{
    static void (*const become[])(struct document *) = {document_become_qwen35,
                                                        document_become_qwen3moe};

    (void)state;
    for (size_t a = 0; a < 2; a++) {
        size_t n = 0;

        for (size_t i = 0; i == 0 || i < n; i++) {
            struct document *d = like(become[a]);
            char message[128];

            n = d->n_tensors;
            snprintf(message, sizeof message, "the tensor %.*s is missing",
                     (int)d->tensors[i].name.len, (const char *)d->tensors[i].name.data);
            document_remove_tensor(d, i);
            refused(d, message);
        }
    }
}

static void test_gguf_model__mixture__experts_that_do_not_fit__are_refused(void **state)
{
    static const struct {
        const char *key;
        uint32_t value;
        const char *message;
    } cases[] = {
        {"expert_count", 0, "in a model without experts"},
        {"expert_count", 3, "shape"},
        {"expert_used_count", 0, "experts are used"},
        {"expert_used_count", 5, "5 experts are used of 4"},
        {"expert_feed_forward_length", 17, "shape"},
        {"expert_group_count", 3, "do not fit"},
        {"rope.dimension_count", 8, "rope.dimension_count"},
        {"nextn_predict_layers", 1, "nextn"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = like(document_become_qwen3moe);

        document_set_u32(d, key("qwen3moe", cases[i].key), cases[i].value);
        refused(d, cases[i].message);
    }
}

static void test_gguf_model__small_alignment__is_refused(void **state)
{
    struct document *d = fixture("llama");

    (void)state;
    document_set_u32(d, "general.alignment", 16);
    d->alignment = 16;
    refused(d, "general.alignment is 16 where llama.cpp needs 32");
}

static void test_gguf_model__every_allocation__can_fail(void **state)
{
    struct document *d = fixture("gemma3");
    struct bytes b = document_write(d);
    struct gguf_file *f = NULL;
    int64_t live = 0;
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    assert_int_equal(gguf_file_from_memory(&f, b.data, b.len, NULL), INF_OK);
    live = mem_live();
    for (int64_t n = 1; code != INF_OK; n++) {
        struct gguf_model model = {0};
        inf_error err = {0};

        mem_fail_nth(n);
        code = gguf_model_check(&model, f, &err);
        mem_fail_nth(0);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        assert_int_equal(mem_live(), live);
    }
    gguf_file_close(f);
    free(b.data);
    document_free(d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_model__good_model__is_described),
        cmocka_unit_test(test_gguf_model__file_that_is_no_model__is_named),
        cmocka_unit_test(test_gguf_model__architecture_that_cannot_generate__is_named),
        cmocka_unit_test(test_gguf_model__no_architecture__is_refused),
        cmocka_unit_test(test_gguf_model__other_architecture__has_the_common_checks),
        cmocka_unit_test(test_gguf_model__missing_key__is_named),
        cmocka_unit_test(test_gguf_model__number_out_of_range__is_refused),
        cmocka_unit_test(test_gguf_model__float_that_is_none__is_refused),
        cmocka_unit_test(test_gguf_model__wrong_type_of_a_key__is_refused),
        cmocka_unit_test(test_gguf_model__number_for_each_layer__must_fit),
        cmocka_unit_test(test_gguf_model__rope__must_make_sense),
        cmocka_unit_test(test_gguf_model__embedding_model__is_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__doubled_token__is_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__arrays_too_short__are_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__wrong_types__are_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__unknown_tokenizer__is_named),
        cmocka_unit_test(test_gguf_model__vocabulary__bad_special_tokens__are_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__bad_tokens__are_refused),
        cmocka_unit_test(test_gguf_model__vocabulary__phi3_by_name__needs_its_tokens),
        cmocka_unit_test(test_gguf_model__missing_tensor__is_named),
        cmocka_unit_test(test_gguf_model__wrong_shape__is_named),
        cmocka_unit_test(test_gguf_model__leftover_tensor__is_named),
        cmocka_unit_test(test_gguf_model__type_ggml_cannot_compute_with__is_refused),
        cmocka_unit_test(test_gguf_model__scales_of_weights__are_taken),
        cmocka_unit_test(test_gguf_model__qwen35__is_described),
        cmocka_unit_test(test_gguf_model__qwen35__list_of_layers__is_read),
        cmocka_unit_test(test_gguf_model__qwen35__one_kind_of_layers__is_refused),
        cmocka_unit_test(test_gguf_model__qwen35__sizes_that_do_not_fit__are_refused),
        cmocka_unit_test(test_gguf_model__qwen35__sections_beyond_a_head__are_refused),
        cmocka_unit_test(test_gguf_model__qwen35__state_beyond_32_bits__is_refused),
        cmocka_unit_test(test_gguf_model__qwen35__drafting_block__is_taken),
        cmocka_unit_test(test_gguf_model__qwen35_and_mixture__missing_tensor__is_named),
        cmocka_unit_test(test_gguf_model__mixture__experts_that_do_not_fit__are_refused),
        cmocka_unit_test(test_gguf_model__small_alignment__is_refused),
        cmocka_unit_test(test_gguf_model__every_allocation__can_fail),
    };

    return cmocka_run_group_tests_name("gguf_model", tests, NULL, NULL);
}
