/*
 * Checkpoints: what a directory must be to be a model, where each of its tensors goes, and one clear
 * refusal for everything else. The numbers of whole models are the parity tests' matter.
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
#include <sys/stat.h>
#include <unistd.h>

#include "arch/adapter_plan.h"
#include "arch/checkpoint.h"
#include "core/memory.h"
#include "core/numbers.h"
#include "hf/files/generation_config.h"
#include "hf/files/template_files.h"
#include "hf/hub_cache.h"

static char folder[] = "/tmp/test-checkpoint-XXXXXX";
static char dir[256];

/* ------------------------------------------------------------------ files */

static void write_file(const char *name, const void *data, size_t n)
{
    char path[512];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void remove_file(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

/* A tensor of a file: its elements count up from `first`. */
struct item {
    const char *name;
    int rows, columns; /* columns 0: one dimension */
    float first;
    const char *dtype; /* NULL: F32 */
};

static void write_tensors(const char *name, const struct item *items, size_t n)
{
    char header[16384] = "{";
    size_t at = 1;
    size_t offset = 0;
    char *data = calloc(1, 1 << 20);
    char *file = NULL;
    uint64_t len = 0;

    for (size_t i = 0; i < n; i++) {
        const struct item *t = &items[i];
        const char *dtype = t->dtype ? t->dtype : "F32";
        size_t count = (size_t)(t->rows * (t->columns ? t->columns : 1));
        size_t size = strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "I64") == 0 ? 8 : 2;
        char shape[40];

        snprintf(shape, sizeof shape, t->columns ? "%d,%d" : "%d", t->rows, t->columns);
        at += (size_t)snprintf(
            header + at, sizeof header - at,
            "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
            t->name, dtype, shape, offset, offset + count * size);
        for (size_t k = 0; k < count && size <= 4; k++) {
            float value = t->first + (float)k;
            uint16_t half = (uint16_t)(bits_of_f32(value) >> 16);

            memcpy(data + offset + k * size, size == 4 ? (void *)&value : (void *)&half, size);
        }
        offset += count * size;
    }
    header[at++] = '}';
    while (at % 8)
        header[at++] = ' ';
    len = at;
    file = malloc(8 + at + offset);
    memcpy(file, &len, 8);
    memcpy(file + 8, header, at);
    memcpy(file + 8 + at, data, offset);
    write_file(name, file, 8 + at + offset);
    free(file);
    free(data);
}

/* hidden 8, 2 heads of 4, 1 head of keys, feed-forward 6, 5 tokens, 1 layer. */
#define CONFIG(more)                                                                               \
    "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1,"                         \
    "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"intermediate_size\":6,"                 \
    "\"vocab_size\":5,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5" more "}"

static struct item llama[16] = {
    {"model.embed_tokens.weight", 5, 8, 0, NULL},
    {"model.norm.weight", 8, 0, 1, NULL},
    {"lm_head.weight", 5, 8, 100, NULL},
    {"model.layers.0.input_layernorm.weight", 8, 0, 2, NULL},
    {"model.layers.0.self_attn.q_proj.weight", 8, 8, 1000, NULL},
    {"model.layers.0.self_attn.k_proj.weight", 4, 8, 2000, NULL},
    {"model.layers.0.self_attn.v_proj.weight", 4, 8, 3000, NULL},
    {"model.layers.0.self_attn.o_proj.weight", 8, 8, 4000, NULL},
    {"model.layers.0.post_attention_layernorm.weight", 8, 0, 3, NULL},
    {"model.layers.0.mlp.gate_proj.weight", 6, 8, 0, NULL},
    {"model.layers.0.mlp.up_proj.weight", 6, 8, 0, NULL},
    {"model.layers.0.mlp.down_proj.weight", 8, 6, 0, NULL},
};
enum { LLAMA = 12 };

static int fresh_directory(void **state)
{
    static int count;

    (void)state;
    snprintf(dir, sizeof dir, "%s/%d", folder, count++);
    mkdir(dir, 0700);
    write_text("config.json", CONFIG(""));
    write_tensors("model.safetensors", llama, LLAMA);
    return 0;
}

static void refused(int32_t code, const char *message)
{
    struct checkpoint *c = NULL;
    inf_error err = {0};

    assert_int_equal(checkpoint_open(&c, dir, WEIGHT_TYPE_AUTO, &err), code);
    assert_null(c);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static struct checkpoint *opened(int32_t type)
{
    struct checkpoint *c = NULL;
    inf_error err = {0};

    if (checkpoint_open(&c, dir, type, &err) != INF_OK)
        fail_msg("%s", err.message);
    return c;
}

static const struct blueprint_tensor *tensor(const struct checkpoint *c, const char *name)
{
    for (size_t i = 0; i < c->blueprint.n_tensors; i++)
        if (strcmp(c->blueprint.tensors[i].name, name) == 0)
            return &c->blueprint.tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

/* ------------------------------------------------------------------ what becomes of a checkpoint */

static void test_open__llama__header_says_what_the_config_says(void **state)
{
    struct checkpoint *c = opened(WEIGHT_TYPE_AUTO);

    (void)state;
    assert_string_equal(c->model.architecture, "llama");
    assert_int_equal(c->model.n_layer, 1);
    assert_int_equal(c->model.n_embd, 8);
    assert_int_equal(c->model.n_head, 2);
    assert_int_equal(c->model.n_head_kv, 1);
    assert_int_equal(c->model.head_dim, 4);
    assert_int_equal(c->model.n_vocab, 5);
    assert_int_equal(c->model.n_ctx_train, 64);
    assert_false(c->model.tied);
    assert_int_equal(c->own_type, WEIGHT_TYPE_F32);
    assert_int_equal(checkpoint_window(c, 4096), 4096);
    checkpoint_close(c);
}

static void test_open__what_needs_no_change__is_pointed_to(void **state)
{
    struct checkpoint *c = opened(WEIGHT_TYPE_AUTO);
    const struct weight *w = weight_files_find(c->files, "model.layers.0.mlp.down_proj.weight");
    const struct blueprint_tensor *t = tensor(c, "blk.0.ffn_down.weight");

    (void)state;
    assert_ptr_equal(t->data, w->data);
    assert_int_equal(t->ne[0], 6);
    assert_int_equal(t->ne[1], 8);
    assert_null(tensor(c, "blk.0.attn_q.weight")->data);
    checkpoint_close(c);
}

/* A head of 4 rows 0 1 2 3 becomes 0 2 1 3: halves are interleaved. */
static void test_rows__query_of_llama__halves_of_heads_interleaved(void **state)
{
    static const int order[] = {0, 2, 1, 3, 4, 6, 5, 7};
    struct checkpoint *c = opened(WEIGHT_TYPE_AUTO);
    float rows[64];

    (void)state;
    assert_int_equal(blueprint_rows(&c->blueprint, tensor(c, "blk.0.attn_q.weight"), 0, 8,
                                    WEIGHT_TYPE_F32, rows, NULL),
                     INF_OK);
    for (int i = 0; i < 8; i++)
        assert_float_equal(rows[8 * i], 1000.0f + 8.0f * (float)order[i], 0);
    assert_int_equal(blueprint_rows(&c->blueprint, tensor(c, "blk.0.attn_q.weight"), 5, 1,
                                    WEIGHT_TYPE_F32, rows, NULL),
                     INF_OK);
    assert_float_equal(rows[3], 1000.0f + 8.0f * 6 + 3, 0);
    checkpoint_close(c);
}

static void test_open__other_dtype__everything_is_made(void **state)
{
    struct checkpoint *c = opened(WEIGHT_TYPE_BF16);
    uint16_t row[6];

    (void)state;
    assert_int_equal(tensor(c, "blk.0.ffn_down.weight")->type, WEIGHT_TYPE_BF16);
    assert_int_equal(tensor(c, "blk.0.attn_norm.weight")->type, WEIGHT_TYPE_F32);
    assert_null(tensor(c, "blk.0.ffn_down.weight")->data);
    assert_int_equal(blueprint_rows(&c->blueprint, tensor(c, "blk.0.ffn_down.weight"), 1, 1,
                                    WEIGHT_TYPE_BF16, row, NULL),
                     INF_OK);
    assert_int_equal(row[1], bits_of_f32(7.0f) >> 16);
    checkpoint_close(c);
}

static void test_open__dtype_of_config__wins_over_tensors(void **state)
{
    struct checkpoint *c = NULL;

    (void)state;
    write_text("config.json", CONFIG(",\"torch_dtype\":\"bfloat16\""));
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(c->own_type, WEIGHT_TYPE_BF16);
    checkpoint_close(c);
    write_text("config.json", CONFIG(",\"dtype\":\"int8\""));
    refused(INF_ERROR_UNSUPPORTED, "\"dtype\" is \"int8\"");
}

static void test_rows__number_beyond_f16__not_finite(void **state)
{
    struct checkpoint *c = NULL;
    struct item items[LLAMA];
    uint16_t row[8];
    inf_error err = {0};

    (void)state;
    memcpy(items, llama, sizeof items);
    items[7].first = 1e6f;
    write_tensors("model.safetensors", items, LLAMA);
    c = opened(WEIGHT_TYPE_F16);
    assert_int_equal(blueprint_rows(&c->blueprint, tensor(c, "blk.0.attn_output.weight"), 0, 1,
                                    WEIGHT_TYPE_F16, row, &err),
                     INF_ERROR_NOT_FINITE);
    assert_non_null(strstr(err.message, "o_proj"));
    checkpoint_close(c);
}

static void test_open__tied__head_only_where_the_file_has_one(void **state)
{
    struct item items[LLAMA];
    struct checkpoint *c = NULL;

    (void)state;
    write_text("config.json", CONFIG(",\"tie_word_embeddings\":true"));
    c = opened(WEIGHT_TYPE_AUTO); /* the file's head wins */
    assert_false(c->model.tied);
    checkpoint_close(c);
    memcpy(items, llama, sizeof items);
    items[2] = items[LLAMA - 1];
    write_tensors("model.safetensors", items, LLAMA - 1);
    c = opened(WEIGHT_TYPE_AUTO);
    assert_true(c->model.tied);
    checkpoint_close(c);
    write_text("config.json", CONFIG(""));
    refused(INF_ERROR_BAD_FORMAT, "no tensor \"lm_head.weight\"");
}

/* A model that is a part of another one. */
static void write_nested(struct item items[LLAMA])
{
    static char names[LLAMA][96];

    memcpy(items, llama, LLAMA * sizeof *items);
    for (int i = 0; i < LLAMA; i++) {
        bool inside = strncmp(items[i].name, "model.", 6) == 0;

        snprintf(names[i], sizeof names[i], "%s%s", inside ? "model.language_model." : "",
                 items[i].name + (inside ? 6 : 0));
        items[i].name = names[i];
    }
    write_tensors("model.safetensors", items, LLAMA);
    write_text("config.json", "{\"model_type\":\"llama\",\"text_config\":" CONFIG("") "}");
}

static void test_open__nested_model__text_part_found(void **state)
{
    struct item items[LLAMA];
    struct checkpoint *c = NULL;

    (void)state;
    write_nested(items);
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(c->model.n_embd, 8);
    assert_false(c->model.tied);
    checkpoint_close(c);
    items[2] = items[LLAMA - 1]; /* a head that is tied, as the root says */
    write_tensors("model.safetensors", items, LLAMA - 1);
    refused(INF_ERROR_BAD_FORMAT, "lm_head.weight");
    write_text("config.json", "{\"model_type\":\"llama\",\"tie_word_embeddings\":true,"
                              "\"text_config\":" CONFIG("") "}");
    c = opened(WEIGHT_TYPE_AUTO);
    assert_true(c->model.tied);
    checkpoint_close(c);
    write_text("config.json", "{\"model_type\":\"llava\",\"text_config\":" CONFIG("") "}");
    refused(INF_ERROR_UNSUPPORTED, "\"llava\"");
    write_text("config.json", "{\"model_type\":\"gemma3\",\"text_config\":" CONFIG("") "}");
    refused(INF_ERROR_UNSUPPORTED, "text_config.model_type");
}

/* ------------------------------------------------------------------ adapters of a checkpoint */

#define ADAPTER(more) "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1" more "}"

/* message: why the adapter does not fit the checkpoint; NULL: it does. */
static void planned(int32_t type, const char *config, const struct item *items, size_t n,
                    const char *message)
{
    struct checkpoint *c = opened(type);
    struct peft_adapter *adapter = NULL;
    struct lora_plan plan = {0};
    char path[300];
    inf_error err = {0};

    snprintf(path, sizeof path, "%s/adapter", dir);
    mkdir(path, 0700);
    write_text("adapter/adapter_config.json", config);
    write_tensors("adapter/adapter_model.safetensors", items, n);
    if (peft_open(&adapter, path, &err) != INF_OK)
        fail_msg("%s", err.message);
    if ((plan_peft_adapter(&plan, adapter, &c->model, &err) == INF_OK) != !message)
        fail_msg("\"%s\"", err.message);
    if (message && !strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    lora_plan_free(&plan);
    peft_close(adapter);
    checkpoint_close(c);
}

/* "norm" is each norm whose name ends with it. */
static void test_adapter__nested_model__no_layer_of_a_block_changed(void **state)
{
    static const struct item items[] = {
        {"lm_head.lora_A.weight", 1, 8, 0, NULL},
        {"lm_head.lora_B.weight", 5, 1, 0, NULL},
        {"model.language_model.layers.0.input_layernorm.weight", 8, 0, 0, NULL},
        {"model.language_model.layers.0.post_attention_layernorm.weight", 8, 0, 0, NULL},
        {"model.language_model.norm.weight", 8, 0, 0, NULL},
        {"model.language_model.embed_tokens.lora_embedding_A", 1, 5, 0, NULL},
        {"model.language_model.embed_tokens.lora_embedding_B", 8, 1, 0, NULL},
    };
    static const char embeddings[] = ADAPTER(",\"target_modules\":[\"embed_tokens\"]");
    static const char head[] = ADAPTER(",\"target_modules\":[\"lm_head\"]");
    static const char both[] = ADAPTER(",\"target_modules\":[\"lm_head\",\"embed_tokens\"]");
    static const char head_norms[] = ADAPTER(
        ",\"target_modules\":[\"lm_head\"],\"modules_to_save\":[\"norm\"]");
    static const char head_norm[] = ADAPTER(
        ",\"target_modules\":[\"lm_head\"],\"modules_to_save\":[\"input_layernorm\"]");
    static const char pattern[] = ADAPTER(
        ",\"target_modules\":\"lm_head|model[.]layers[.]0[.]self_attn[.]q_proj\"");
    struct item model[LLAMA];

    (void)state;
    planned(WEIGHT_TYPE_AUTO, pattern, items, 2, "\"model.layers.0.self_attn.q_proj\"");
    write_nested(model);
    planned(WEIGHT_TYPE_AUTO, embeddings, items + 5, 2, NULL);
    planned(WEIGHT_TYPE_AUTO, head, items, 2, NULL);
    planned(WEIGHT_TYPE_AUTO, head_norms, items, 5, NULL);
    planned(WEIGHT_TYPE_AUTO, head_norm, items, 3, NULL);
    planned(WEIGHT_TYPE_AUTO, both, items + 5, 2, "selects \"lm_head\"");
    planned(WEIGHT_TYPE_AUTO, head_norms, items, 2, "no weight for it");
    planned(WEIGHT_TYPE_AUTO, head_norms, items, 4, "\"model.language_model.norm\"");
}

/* A head's LoRA beside a copy of its weight, which counts up from `first`, as the model's does from 100. */
static void copy_is(int32_t type, const char *dtype, float first, bool taken)
{
    const struct item items[] = {
        {"lm_head.base_layer.weight", 5, 8, first, dtype},
        {"lm_head.lora_A.weight", 1, 8, 0, NULL},
        {"lm_head.lora_B.weight", 5, 1, 0, NULL},
    };

    planned(type, ADAPTER(",\"target_modules\":[\"lm_head\"]"), items, 3,
            taken ? NULL : "\"lm_head.base_layer.weight\" is a copy of a base weight that differs");
}

static void test_adapter__copy_of_a_base_weight__same_in_the_type_in_memory(void **state)
{
    const float next = nextafterf(100, 200);
    struct item items[LLAMA];

    (void)state;
    copy_is(WEIGHT_TYPE_F32, "F32", 100, true);
    copy_is(WEIGHT_TYPE_F32, "BF16", 100, true);
    copy_is(WEIGHT_TYPE_F32, "F32", next, false);
    copy_is(WEIGHT_TYPE_F32, "F32", NAN, false);
    copy_is(WEIGHT_TYPE_BF16, "F32", next, true);
    copy_is(WEIGHT_TYPE_BF16, "BF16", 100.5f, false);
    copy_is(WEIGHT_TYPE_F16, "F32", 100.015625f, true);
    copy_is(WEIGHT_TYPE_F16, "F32", 100.0625f, false);
    memcpy(items, llama, sizeof items);
    items[2].dtype = "BF16";
    write_tensors("model.safetensors", items, LLAMA);
    copy_is(WEIGHT_TYPE_F32, "F32", 100, true);
    copy_is(WEIGHT_TYPE_F32, "F32", next, false);
    copy_is(WEIGHT_TYPE_BF16, "F32", 100, true);
    copy_is(WEIGHT_TYPE_BF16, "BF16", 100, true);
    copy_is(WEIGHT_TYPE_BF16, "F32", 100.5f, false);
}

/* ------------------------------------------------------------------ refusals */

static void test_open__tensors_and_config_disagree__named(void **state)
{
    struct item items[LLAMA + 1];

    (void)state;
    memcpy(items, llama, LLAMA * sizeof *items);
    items[LLAMA] = (struct item){"model.layers.0.self_attn.q_proj.bias", 8, 0, 0, NULL};
    write_tensors("model.safetensors", items, LLAMA + 1);
    refused(INF_ERROR_UNSUPPORTED, "\"model.layers.0.self_attn.q_proj.bias\", which a llama model");
    write_text("config.json", CONFIG(",\"attention_bias\":true"));
    refused(INF_ERROR_BAD_FORMAT, "no tensor \"model.layers.0.self_attn.k_proj.bias\"");
    write_text("config.json", CONFIG(""));
    items[LLAMA] = (struct item){"model.layers.0.self_attn.rotary_emb.inv_freq", 2, 0, 0, NULL};
    write_tensors("model.safetensors", items, LLAMA + 1);
    checkpoint_close(opened(WEIGHT_TYPE_AUTO)); /* old ones have it */
    items[5].rows = 3;
    write_tensors("model.safetensors", items, LLAMA + 1);
    refused(INF_ERROR_BAD_FORMAT,
            "k_proj.weight\" has the shape [3, 8] where config.json says [4, 8]");
    items[5] = llama[5];
    items[9].dtype = "I64";
    write_tensors("model.safetensors", items, LLAMA + 1);
    refused(INF_ERROR_UNSUPPORTED, "gate_proj.weight\" is of type I64");
    write_tensors("model.safetensors", items, 9);
    refused(INF_ERROR_BAD_FORMAT, "no tensor \"model.layers.0.mlp.gate_proj.weight\"");
}

static void test_open__config_that_is_none__refused(void **state)
{
    static const struct {
        const char *config, *message;
        int32_t code;
    } cases[] = {
        {"", "no JSON", INF_ERROR_BAD_FORMAT},
        {"[]", "no JSON object", INF_ERROR_BAD_FORMAT},
        {"{}", "\"model_type\"", INF_ERROR_BAD_FORMAT},
        {"{\"model_type\":\"bert\"}", "\"bert\", which this version does not load; it loads llama",
         INF_ERROR_UNSUPPORTED},
        {"{\"model_type\":\"llama\"}", "no \"num_hidden_layers\"", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"num_hidden_layers\":-1"), "\"num_hidden_layers\" is -1", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"num_hidden_layers\":1e300"), "\"num_hidden_layers\" is 1e300",
         INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"num_attention_heads\":3"), "\"num_attention_heads\" is 3",
         INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"num_attention_heads\":0"), "\"num_attention_heads\" is 0",
         INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"num_key_value_heads\":3"), "cannot share", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"head_dim\":5"), "even size", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"hidden_size\":\"8\""), "\"hidden_size\" is \"8\"", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"vocab_size\":6"), "embed_tokens.weight\" has the shape [5, 8]",
         INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"rms_norm_eps\":-1"), "\"rms_norm_eps\" is -1", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"hidden_act\":\"relu\""), "\"hidden_act\" is \"relu\"", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"attention_bias\":1"), "\"attention_bias\" is 1", INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"is_causal\":false"), "\"is_causal\" is false", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"is_causal\":null"), "\"is_causal\" is null", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"model_type\":\"gemma3_text\",\"is_causal\":false"), "\"is_causal\" is false",
         INF_ERROR_UNSUPPORTED},
        {"{\"model_type\":\"llama\",\"text_config\":" CONFIG(",\"is_causal\":false") "}",
         "\"is_causal\" is false", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"quantization_config\":{\"bits\":4}"), "quantised checkpoints",
         INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"rope_scaling\":{\"type\":\"other\"}"), "rope_scaling.type\" is \"other\"",
         INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"rope_scaling\":{\"type\":\"linear\"}"), "no \"rope_scaling.factor\"",
         INF_ERROR_BAD_FORMAT},
        {CONFIG(",\"rope_parameters\":{\"rope_type\":\"longrope\"}"), "\"longrope\"",
         INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"beta_fast\":16}"),
         "beta_fast\" is 16", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"truncate\":false}"),
         "truncate\" is false", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"partial_rotary_factor\":0.5"), "2 of 4 dimensions", INF_ERROR_UNSUPPORTED},
        {CONFIG(",\"rope_theta\":-5"), "\"rope_theta\" is -5", INF_ERROR_BAD_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("config.json", cases[i].config);
        refused(cases[i].code, cases[i].message);
    }
    remove_file("config.json");
    refused(INF_ERROR_IO, "config.json");
}

static void test_open__is_causal__true_says_nothing_new(void **state)
{
    struct item items[LLAMA];

    (void)state;
    write_text("config.json", CONFIG(",\"is_causal\":true"));
    checkpoint_close(opened(WEIGHT_TYPE_AUTO));
    write_nested(items); /* transformers looks into the text's part alone */
    write_text("config.json",
               "{\"model_type\":\"llama\",\"is_causal\":false,\"text_config\":" CONFIG("") "}");
    checkpoint_close(opened(WEIGHT_TYPE_AUTO));
}

static void test_open__sliding_window__window_is_shortened(void **state)
{
    struct checkpoint *c = NULL;

    (void)state;
    write_text("config.json", CONFIG(",\"model_type\":\"mistral\",\"sliding_window\":20"));
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(checkpoint_window(c, 4096), 20);
    assert_non_null(strstr(c->blueprint.window_reason, "\"sliding_window\" is 20"));
    checkpoint_close(c);
    write_text("config.json", CONFIG(",\"model_type\":\"mistral\",\"sliding_window\":null"));
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(checkpoint_window(c, 8192), 8192);
    checkpoint_close(c);
    write_text("config.json", CONFIG(",\"model_type\":\"mistral\"")); /* the class's default */
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(checkpoint_window(c, 8192), 4096);
    checkpoint_close(c);
    write_text("config.json", CONFIG(",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}"));
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(checkpoint_window(c, 4096), 64);
    checkpoint_close(c);
}

/* The model's own original_max_position_embeddings counts, 4096 where it has none; that of rope's parameters
 * does not. */
static void longrope_is(const char *own, int32_t window, double attention)
{
    static const struct item phi3[] = {
        {"model.embed_tokens.weight", 5, 8, 0, NULL},
        {"model.norm.weight", 8, 0, 1, NULL},
        {"lm_head.weight", 5, 8, 0, NULL},
        {"model.layers.0.input_layernorm.weight", 8, 0, 0, NULL},
        {"model.layers.0.self_attn.qkv_proj.weight", 16, 8, 0, NULL},
        {"model.layers.0.self_attn.o_proj.weight", 8, 8, 0, NULL},
        {"model.layers.0.post_attention_layernorm.weight", 8, 0, 0, NULL},
        {"model.layers.0.mlp.gate_up_proj.weight", 12, 8, 0, NULL},
        {"model.layers.0.mlp.down_proj.weight", 8, 6, 0, NULL},
    };
    struct checkpoint *c = NULL;
    char config[1024];
    double factor = 0;

    snprintf(
        config, sizeof config,
        CONFIG(",\"model_type\":\"phi3\",\"max_position_embeddings\":8192%s,\"rope_parameters\":{"
               "\"rope_type\":\"longrope\",\"original_max_position_embeddings\":16,"
               "\"short_factor\":[1,1],\"long_factor\":[1,2]}"),
        own);
    write_text("config.json", config);
    write_tensors("model.safetensors", phi3, sizeof phi3 / sizeof *phi3);
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(checkpoint_window(c, 8192), window);
    assert_true(gguf_get_float(c->header_file, "phi3.rope.scaling.attn_factor", &factor));
    assert_float_equal(factor, attention, 1e-6);
    checkpoint_close(c);
}

static void test_open__longrope__original_positions_are_the_models(void **state)
{
    (void)state;
    longrope_is("", 4096, sqrt(1 + log(2) / log(4096)));
    longrope_is(",\"original_max_position_embeddings\":64", 64, sqrt(1 + log(128) / log(64)));
}

/* ------------------------------------------------------------------ weights in several files */

static void write_shards(const char *map)
{
    char index[4096];

    remove_file("model.safetensors");
    write_tensors("a.safetensors", llama, 4);
    write_tensors("b.safetensors", llama + 4, LLAMA - 4);
    snprintf(index, sizeof index, "{\"metadata\":{},\"weight_map\":{%s}}", map);
    write_text("model.safetensors.index.json", index);
}

static void test_open__shards__all_found(void **state)
{
    struct checkpoint *c = NULL;

    (void)state;
    /* a tensor that the map leaves out, or finds elsewhere, is there all the same */
    write_shards("\"model.norm.weight\":\"b.safetensors\",\"lm_head.weight\":\"a.safetensors\"");
    c = opened(WEIGHT_TYPE_AUTO);
    assert_int_equal(weight_files_maps(c->files), 2);
    assert_int_equal(weight_files_count(c->files), LLAMA);
    checkpoint_close(c);
}

static void test_open__index_that_lies__refused(void **state)
{
    (void)state;
    write_shards("\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"");
    refused(INF_ERROR_BAD_FORMAT, "lists the tensor \"x\"");
    write_shards("\"x\":\"../a.safetensors\"");
    refused(INF_ERROR_BAD_FORMAT, "must name files beside it");
    write_shards("\"x\":7");
    refused(INF_ERROR_BAD_FORMAT, "must name files beside it");
    write_shards("\"x\":\"c.safetensors\"");
    refused(INF_ERROR_IO, "c.safetensors");
    write_shards("");
    refused(INF_ERROR_BAD_FORMAT, "weight_map is empty");
    write_text("model.safetensors.index.json", "{}");
    refused(INF_ERROR_BAD_FORMAT, "no weight_map");
    write_shards("\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"");
    write_tensors("b.safetensors", llama + 3, LLAMA - 3);
    refused(INF_ERROR_BAD_FORMAT, "lies in two files");
    remove_file("model.safetensors.index.json");
    refused(INF_ERROR_IO, "neither model.safetensors nor");
    write_text("pytorch_model.bin", "x");
    refused(INF_ERROR_UNSUPPORTED, "pytorch_model.bin");
}

static void test_check__file_changed__io(void **state)
{
    struct weight_files *f = NULL;
    inf_error err = {0};

    (void)state;
    assert_int_equal(weight_files_open(&f, dir, &err), INF_OK);
    assert_int_equal(weight_files_check(f, &err), INF_OK);
    {
        char path[512];
        FILE *file = NULL;

        snprintf(path, sizeof path, "%s/model.safetensors", dir);
        file = fopen(path, "ab");
        assert_non_null(file);
        fputc(0, file);
        fclose(file);
    }
    assert_int_equal(weight_files_check(f, &err), INF_ERROR_IO);
    weight_files_close(f);
}

static size_t mapped_bytes(const struct weight_files *f)
{
    size_t n = 0, size = 0;

    for (size_t i = 0; i < weight_files_maps(f); i++) {
        weight_files_map(f, i, &size);
        n += size;
    }
    return n;
}

/* Four weights of four pages or more each, of which the second is kept. */
static void test_keep__others__address_space_given_back_and_read_through_windows(void **state)
{
    static struct item items[] = {{"a", 128, 128, 1, NULL},
                                  {"b", 128, 128, 2, NULL},
                                  {"c", 128, 128, 3, NULL},
                                  {"d", 128, 128, 4, NULL}};
    static const bool kept[] = {false, true, false, false};
    const size_t one = 128 * 128 * sizeof(float), page = (size_t)sysconf(_SC_PAGESIZE);
    struct weight_window window = {.data = NULL};
    struct weight_files *f = NULL;
    const struct weight *w = NULL;
    size_t before = 0, after = 0;

    (void)state;
    write_tensors("model.safetensors", items, 4);
    assert_int_equal(weight_files_open(&f, dir, NULL), INF_OK);
    before = mapped_bytes(f);
    assert_int_equal(weight_files_keep(f, kept, NULL), INF_OK);
    after = mapped_bytes(f);
    assert_true(before - after > 3 * one - 4 * page);
    assert_true(before - after <= 3 * one);
    assert_int_equal(weight_files_maps(f), 3); /* the header, b, the last page */
    for (size_t i = 0; i < 4; i++) {
        w = weight_files_at(f, i);
        assert_int_equal(w->data != NULL, kept[i]);
        assert_int_equal(weight_window_open(&window, f, w, NULL), INF_OK);
        assert_float_equal(((const float *)window.data)[0], (float)(i + 1), 0);
        assert_float_equal(((const float *)window.data)[128 * 128 - 1],
                           (float)(i + 1) + 128 * 128 - 1, 0);
        if (w->data)
            assert_memory_equal(w->data, window.data, one);
        weight_window_close(&window);
    }
    weight_files_let_go(f);
    assert_float_equal(((const float *)weight_files_at(f, 1)->data)[1], 3, 0);
    weight_files_close(f);
}

static void test_window__file_shorter_than_it_was__io(void **state)
{
    struct weight_window window = {.data = NULL};
    struct weight_files *f = NULL;
    char path[512];

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(weight_files_open(&f, dir, NULL), INF_OK);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(weight_window_open(&window, f, weight_files_at(f, 0), NULL), INF_ERROR_IO);
    weight_files_close(f);
}

/* ------------------------------------------------------------------ how to generate */

static struct generation_config generation(const char *text)
{
    struct generation_config g;
    struct model_config config;
    inf_error err = {0};

    if (text)
        write_text("generation_config.json", text);
    assert_int_equal(model_config_open(&config, dir, &err), INF_OK);
    if (generation_config_open(&g, dir, &config, &err) != INF_OK)
        fail_msg("%s", err.message);
    model_config_free(&config);
    return g;
}

static void test_generation__nothing_said__greedy_and_the_configs_end(void **state)
{
    struct generation_config g;

    (void)state;
    write_text("config.json", CONFIG(",\"eos_token_id\":[3,4]"));
    g = generation(NULL);
    assert_false(g.do_sample);
    assert_int_equal(g.top_k, 50);
    assert_int_equal(g.n_eos, 2);
    assert_int_equal(g.eos[1], 4);
    g = generation("{}"); /* the file hides the config's */
    assert_int_equal(g.n_eos, 0);
}

static void test_generation__values__taken(void **state)
{
    struct generation_config g = generation(
        "{\"do_sample\":true,\"temperature\":0.5,\"top_p\":0.9,\"top_k\":null,\"eos_token_id\":2,"
        "\"repetition_penalty\":1.1,\"num_beams\":1,\"no_repeat_ngram_size\":3,\"typical_p\":0.5}");

    (void)state;
    assert_true(g.do_sample);
    assert_float_equal(g.temperature, 0.5f, 0);
    assert_float_equal(g.top_p, 0.9f, 0);
    assert_float_equal(g.repetition_penalty, 1.1f, 0);
    assert_int_equal(g.top_k, 50);
    assert_int_equal(g.n_eos, 1);
    assert_string_equal(g.ignored, "no_repeat_ngram_size, typical_p");
}

/* ------------------------------------------------------------------ the chat template */

static void templates_are(const char *expected, const char *with_tools)
{
    struct buffer b, for_tools;
    inf_error err = {0};

    buffer_init(&b, BUFFER_NO_LIMIT);
    buffer_init(&for_tools, BUFFER_NO_LIMIT);
    assert_int_equal(chat_templates_read(&b, &for_tools, dir, &err), INF_OK);
    assert_string_equal(b.len ? b.data : "", expected);
    assert_string_equal(for_tools.len ? for_tools.data : "", with_tools);
    buffer_free(&b);
    buffer_free(&for_tools);
}

static void template_is(const char *expected)
{
    templates_are(expected, "");
}

static void test_template__places__in_their_order(void **state)
{
    char path[512];

    (void)state;
    template_is("");
    write_text("tokenizer_config.json", "{\"chat_template\":\"a\\n\"}");
    template_is("a\n");
    write_text("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"x\",\"template\":\"1\"},"
                                        "{\"name\":\"default\",\"template\":\"2\"}]}");
    template_is("2");
    write_text("tokenizer_config.json",
               "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"1\"},"
               "{\"name\":\"default\",\"template\":\"2\"}]}");
    templates_are("2", "1");
    snprintf(path, sizeof path, "%s/additional_chat_templates", dir);
    mkdir(path, 0700);
    template_is("");
    write_text("chat_template.jinja", "c");
    template_is("c");
    write_text("additional_chat_templates/tool_use.jinja", "t");
    templates_are("c", "t");
}

/* ------------------------------------------------------------------ the hub's cache */

static void test_hub__id_in_cache__its_snapshot(void **state)
{
    char path[512];
    char *found = NULL;
    inf_error err = {0};
    static const char commit[] = "0123456789abcdef0123456789abcdef01234567";

    (void)state;
    setenv("HF_HUB_CACHE", dir, 1);
    for (size_t i = 0; i < 5; i++) {
        static const char *const parts[] = {"", "/refs", "/refs/refs", "/snapshots", "/snapshots/"};

        snprintf(path, sizeof path, "%s/models--o--n%s%s", dir, parts[i], i == 4 ? commit : "");
        mkdir(path, 0700);
    }
    assert_int_equal(hub_cache_find(&found, "o/n", &err), INF_ERROR_IO);
    assert_non_null(strstr(err.message, "hf download o/n"));
    write_text("models--o--n/refs/main", commit);
    assert_int_equal(hub_cache_find(&found, "o/n", &err), INF_OK);
    assert_string_equal(found, path);
    mem_free(found);
    assert_int_equal(hub_cache_find(&found, "o/n@0123456789abcdef0123456789abcdef01234567", &err),
                     INF_OK);
    mem_free(found);
    assert_int_equal(hub_cache_find(&found, "o/n@other", &err), INF_ERROR_IO);
    assert_non_null(strstr(err.message, "\"hf download o/n --revision other\""));
    assert_int_equal(hub_cache_find(&found, "o/n@../../x", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hub_cache_find(&found, "../n", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(hub_cache_find(&found, "a/b/c", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_true(hub_is_id("gpt2"));
    assert_false(hub_is_id("a--b"));
    unsetenv("HF_HUB_CACHE");
}

/* ------------------------------------------------------------------ memory */

static void test_open__any_allocation_fails__no_memory_and_no_leak(void **state)
{
    int64_t live = mem_live();

    (void)state;
    for (int64_t nth = 1; nth < 400; nth++) {
        struct checkpoint *c = NULL;
        inf_error err = {0};
        int32_t code = INF_OK;

        mem_fail_nth(nth);
        code = checkpoint_open(&c, dir, WEIGHT_TYPE_AUTO, &err);
        mem_fail_nth(0);
        checkpoint_close(c);
        assert_int_equal(mem_live(), live);
        if (code == INF_OK)
            return;
        assert_int_equal(code, INF_ERROR_NO_MEMORY);
    }
    fail_msg("it never succeeds");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_open__llama__header_says_what_the_config_says),
        TEST(test_open__what_needs_no_change__is_pointed_to),
        TEST(test_rows__query_of_llama__halves_of_heads_interleaved),
        TEST(test_open__other_dtype__everything_is_made),
        TEST(test_open__dtype_of_config__wins_over_tensors),
        TEST(test_rows__number_beyond_f16__not_finite),
        TEST(test_open__tied__head_only_where_the_file_has_one),
        TEST(test_open__nested_model__text_part_found),
        TEST(test_adapter__nested_model__no_layer_of_a_block_changed),
        TEST(test_adapter__copy_of_a_base_weight__same_in_the_type_in_memory),
        TEST(test_open__tensors_and_config_disagree__named),
        TEST(test_open__config_that_is_none__refused),
        TEST(test_open__is_causal__true_says_nothing_new),
        TEST(test_open__sliding_window__window_is_shortened),
        TEST(test_open__longrope__original_positions_are_the_models),
        TEST(test_open__shards__all_found),
        TEST(test_open__index_that_lies__refused),
        TEST(test_check__file_changed__io),
        TEST(test_keep__others__address_space_given_back_and_read_through_windows),
        TEST(test_window__file_shorter_than_it_was__io),
        TEST(test_generation__nothing_said__greedy_and_the_configs_end),
        TEST(test_generation__values__taken),
        TEST(test_template__places__in_their_order),
        TEST(test_hub__id_in_cache__its_snapshot),
        TEST(test_open__any_allocation_fails__no_memory_and_no_leak),
    };
    char command[320];
    int failed = 0;

    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? failed : 1;
}
