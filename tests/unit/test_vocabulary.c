/*
 * vocabulary: GGUF files made of the vocabularies of tests/fixtures/tokenizers (or, with
 * INFERENCE_TOKENIZER_CASES, of another folder's), as they are converted. Ids are those that the tokenizers
 * library recorded; what tokens are and stand for is what llama.cpp makes of the same file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "gguf_edit.h"
#include "llamacpp/vocabulary.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, DEFINED, UNUSED, BYTE_TOKEN };

/* Vocabularies, by the names of their folders. as_llama: llama.cpp splits the recorded texts alike. */
static const struct family {
    const char *folder, *pre;
    bool as_llama;
} families[] = {
    {"gpt2", "gpt-2", true},
    {"smollm2", "smollm", true},
    {"llama3", "llama-bpe", true},
    {"llama3_1", "llama-bpe", true},
    {"qwen2", "qwen2", false},
    {"qwen3", "qwen2", false},
    {"qwen3_5", "qwen35", false},
    {"deepseek", "deepseek-v3", true},
    {"deepseek_v3", "deepseek-v3", true},
    {"o200k", "gpt-4o", false},
    {"gptoss", "gpt-4o", false},
};

/* ------------------------------------------------------------------ a file of a vocabulary */

struct words {
    size_t n, n_merges;
    char **texts;
    int32_t *types;
    char **merges;
};

static void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->texts[i]);
    for (size_t i = 0; i < w->n_merges; i++)
        free(w->merges[i]);
    free(w->texts);
    free(w->types);
    free(w->merges);
}

static void words_set(struct words *w, size_t id, const char *text, int32_t type)
{
    for (; w->n <= id; w->n++) {
        char name[32];

        w->texts = realloc(w->texts, (w->n + 1) * sizeof *w->texts);
        w->types = realloc(w->types, (w->n + 1) * sizeof *w->types);
        snprintf(name, sizeof name, "[PAD%zu]", w->n);
        w->texts[w->n] = strdup(name);
        w->types[w->n] = UNUSED;
    }
    free(w->texts[id]);
    w->texts[id] = strdup(text);
    w->types[id] = type;
}

/* The id that has a text, or a new one. */
static size_t words_put(struct words *w, const char *text, int32_t type)
{
    size_t id = 0;

    while (id < w->n && strcmp(w->texts[id], text) != 0)
        id++;
    words_set(w, id, text, type);
    return id;
}

static void add_merge(struct words *w, json_t *merge)
{
    char both[2048];
    const char *text = json_string_value(merge);

    if (!text) {
        snprintf(both, sizeof both, "%s %s", json_string_value(json_array_get(merge, 0)),
                 json_string_value(json_array_get(merge, 1)));
        text = both;
    }
    w->merges = realloc(w->merges, (w->n_merges + 1) * sizeof *w->merges);
    w->merges[w->n_merges++] = strdup(text);
}

static struct words words_read(const char *folder, const char *name)
{
    struct words w = {0};
    char path[512];
    json_t *file = NULL, *item = NULL;
    const char *text = NULL;
    size_t i = 0;

    snprintf(path, sizeof path, "%s/%s/tokenizer.json", folder, name);
    file = json_load_file(path, JSON_ALLOW_NUL, NULL);
    if (!file)
        return w;
    json_object_foreach(json_object_get(json_object_get(file, "model"), "vocab"), text, item)
        words_set(&w, (size_t)json_integer_value(item), text, NORMAL);
    json_array_foreach(json_object_get(file, "added_tokens"), i, item)
        words_set(&w, (size_t)json_integer_value(json_object_get(item, "id")),
                  json_string_value(json_object_get(item, "content")),
                  json_is_true(json_object_get(item, "special")) ? CONTROL : DEFINED);
    json_array_foreach(json_object_get(json_object_get(file, "model"), "merges"), i, item)
        add_merge(&w, item);
    json_decref(file);
    return w;
}

static void put_u64(uint8_t **at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *(*at)++ = (uint8_t)(v >> 8 * i);
}

static void set_array(struct document *d, const char *key, uint32_t item, const void *data,
                      size_t n, size_t size)
{
    uint8_t *value = malloc(12 + size), *at = value;

    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)(item >> 8 * i);
    put_u64(&at, n);
    memcpy(at, data, size);
    document_set(d, key, ARRAY, value, 12 + size);
    free(value);
}

static void set_texts(struct document *d, const char *key, char **texts, size_t n)
{
    size_t size = 0;
    uint8_t *data = NULL, *at = NULL;

    for (size_t i = 0; i < n; i++)
        size += 8 + strlen(texts[i]);
    data = at = malloc(size + 1);
    for (size_t i = 0; i < n; i++) {
        put_u64(&at, strlen(texts[i]));
        memcpy(at, texts[i], strlen(texts[i]));
        at += strlen(texts[i]);
    }
    set_array(d, key, TEXT, data, n, size);
    free(data);
}

/* A small model's header; its vocabulary is to be set. */
static struct document *model(void)
{
    FILE *f = fopen(TEST_SOURCE_DIR "/parity/fixtures/qwen2/base.gguf", "rb");
    static uint8_t bytes[1 << 20];
    struct document *d = NULL;

    assert_non_null(f);
    d = document_read(bytes, fread(bytes, 1, sizeof bytes, f));
    fclose(f);
    for (size_t i = d->n_pairs; i-- > 0;)
        if (d->pairs[i].key.len > 10 && memcmp(d->pairs[i].key.data, "tokenizer.", 10) == 0)
            document_remove(d, i);
    return d;
}

static struct document *model_of(const struct words *w, const char *pre)
{
    struct document *d = model();

    document_set_text(d, "tokenizer.ggml.model", "gpt2");
    document_set_text(d, "tokenizer.ggml.pre", pre);
    set_texts(d, "tokenizer.ggml.tokens", w->texts, w->n);
    set_texts(d, "tokenizer.ggml.merges", w->merges, w->n_merges);
    set_array(d, "tokenizer.ggml.token_type", I32, w->types, w->n, w->n * sizeof *w->types);
    return d;
}

/* The same file for our reader and for llama.cpp. */
struct subject {
    char path[64];
    struct gguf_file *file;
    struct vocabulary *own;
    struct llama_model *llama;
    struct tokenizer ours, theirs;
};

static void begin(struct subject *s, const struct document *d)
{
    struct bytes bytes = document_write(d);
    inf_error err = {0};
    int fd = 0;

    memset(s, 0, sizeof *s);
    snprintf(s->path, sizeof s->path, "/tmp/vocabulary-XXXXXX");
    fd = mkstemp(s->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
    close(fd);
    free(bytes.data);
    if (gguf_file_open(&s->file, s->path, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(vocabulary_read(&s->own, s->file, &err), INF_OK);
    if (s->own)
        vocabulary_describe(s->own, &s->ours);
}

static void begin_llama(struct subject *s)
{
    struct llama_model_params params = llama_model_default_params();
    inf_error err = {0};

    params.vocab_only = true;
    guard_start();
    s->llama = guard_load_model(s->path, params, &err);
    if (!s->llama)
        fail_msg("%s", err.message);
    llama_tokenizer_describe(s->llama, &s->theirs);
}

static void end(struct subject *s)
{
    unlink(s->path);
    vocabulary_free(s->own);
    gguf_file_close(s->file);
    if (s->llama)
        llama_model_free(s->llama);
}

/* ------------------------------------------------------------------ ids */

static bool same_ids(const int32_t *a, int32_t n, const int32_t *b, int32_t m)
{
    return n == m && (n == 0 || memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

static bool same_as_llama(struct subject *s, inf_text text, bool parse)
{
    int32_t *ids[2] = {NULL, NULL}, n[2] = {0, 0};
    inf_error err = {0};
    bool same = false;

    assert_int_equal(s->ours.ops->encode(s->ours.impl, text, true, parse, &ids[0], &n[0], &err), 0);
    assert_int_equal(s->theirs.ops->encode(s->theirs.impl, text, true, parse, &ids[1], &n[1], &err),
                     0);
    same = same_ids(ids[0], n[0], ids[1], n[1]);
    mem_free(ids[0]);
    mem_free(ids[1]);
    return same;
}

static void expect_ids(struct subject *s, inf_text text, bool parse, json_t *want, const char *of)
{
    int32_t *ids = NULL, n = 0;
    inf_error err = {0};

    if (s->ours.ops->encode(s->ours.impl, text, false, parse, &ids, &n, &err) != INF_OK)
        fail_msg("%s: %s", of, err.message);
    if (n != (int32_t)json_array_size(want))
        fail_msg("%s: \"%s\": %d ids, not %zu", of, text.data, (int)n, json_array_size(want));
    for (int32_t i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, (size_t)i)))
            fail_msg("%s: \"%s\": ids[%d] is %d", of, text.data, (int)i, (int)ids[i]);
    mem_free(ids);
}

static void check_case(struct subject *s, const struct family *f, bool published, const char *line)
{
    json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL);
    json_t *text = json_object_get(json, "text"), *plain = json_object_get(json, "plain");
    inf_text t = {json_string_value(text), json_string_length(text)};

    assert_non_null(text);
    expect_ids(s, t, true, json_object_get(json, "ids"), f->folder);
    /* Which tokens are special is llama.cpp's to say: of Qwen3's more than its tokenizer.json has. */
    if (!published)
        expect_ids(s, t, false, plain ? plain : json_object_get(json, "ids"), f->folder);
    if (f->as_llama && !published && !same_as_llama(s, t, true))
        fail_msg("%s: \"%s\": other ids than llama.cpp's", f->folder, t.data);
    json_decref(json);
}

static size_t check_cases(struct subject *s, const struct family *f, const char *folder,
                          bool published)
{
    char path[512];
    FILE *file = NULL;
    char *line = NULL;
    size_t cap = 0, n = 0;

    snprintf(path, sizeof path, "%s/%s/cases.jsonl", folder, f->folder);
    file = fopen(path, "r");
    assert_non_null(file);
    for (; getline(&line, &cap, file) > 0; n++)
        check_case(s, f, published, line);
    free(line);
    fclose(file);
    return n;
}

/* ------------------------------------------------------------------ tokens */

static void expect_same_token(struct subject *s, int32_t id, const char *of)
{
    struct buffer ours, theirs;

    buffer_init(&ours, BUFFER_NO_LIMIT);
    buffer_init(&theirs, BUFFER_NO_LIMIT);
    if (s->ours.ops->kind(s->ours.impl, id) != s->theirs.ops->kind(s->theirs.impl, id))
        fail_msg("%s: token %d is of kind %d, not %d", of, (int)id,
                 (int)s->ours.ops->kind(s->ours.impl, id),
                 (int)s->theirs.ops->kind(s->theirs.impl, id));
    for (int skip = 0; skip < 2; skip++) {
        assert_int_equal(s->ours.ops->decode(s->ours.impl, &id, 1, skip, &ours, NULL), INF_OK);
        assert_int_equal(s->theirs.ops->decode(s->theirs.impl, &id, 1, skip, &theirs, NULL),
                         INF_OK);
    }
    assert_true(s->ours.ops->token_text(s->ours.impl, id, &ours));
    assert_true(s->theirs.ops->token_text(s->theirs.impl, id, &theirs));
    if (ours.len != theirs.len || (ours.len && memcmp(ours.data, theirs.data, ours.len) != 0))
        fail_msg("%s: token %d is \"%s\", not \"%s\"", of, (int)id, ours.data ? ours.data : "",
                 theirs.data ? theirs.data : "");
    buffer_free(&ours);
    buffer_free(&theirs);
}

static void expect_same_tokens(struct subject *s, const char *of)
{
    assert_int_equal(s->ours.n_vocab, s->theirs.n_vocab);
    for (int32_t id = 0; id < s->ours.n_vocab; id++)
        expect_same_token(s, id, of);
}

static void test_vocabulary__converted_tokenizers__the_library_ids(void **state)
{
    const char *other = getenv("INFERENCE_TOKENIZER_CASES");
    const char *folder = other ? other : TEST_SOURCE_DIR "/fixtures/tokenizers";
    size_t kinds = 0, cases = 0;

    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct words w = words_read(folder, families[i].folder);
        struct document *d = NULL;
        struct subject s;

        if (w.n == 0)
            continue; /* another folder's */
        d = model_of(&w, families[i].pre);
        begin(&s, d);
        assert_non_null(s.own);
        begin_llama(&s);
        expect_same_tokens(&s, families[i].folder);
        cases += check_cases(&s, &families[i], folder, other != NULL);
        kinds++;
        end(&s);
        document_free(d);
        words_free(&w);
    }
    print_message("%zu texts of %zu vocabularies\n", cases, kinds);
    assert_true(kinds >= 5 && cases >= 100);
}

/* ------------------------------------------------------------------ special tokens */

/* What llama.cpp knows by its text; of those in one line it takes any, when there are several. */
static const char *const known[][9] = {
    {"<|eot_id|>"},
    {"<|im_end|>"},
    {"<|end|>"},
    {"<|return|>"},
    {"<|call|>"},
    {"<|flush|>"},
    {"<|calls|>"},
    {"<end_of_turn>"},
    {"<|endoftext|>"},
    {"</s>"},
    {"<|eom_id|>"},
    {"<EOT>"},
    {"_<EOT>"},
    {"[EOT]"},
    {"[EOS]"},
    {"<|end_of_text|>"},
    {"<end_of_utterance>"},
    {"<eos>"},
    {"<turn|>"},
    {"<|tool_response>"},
    {"<｜end▁of▁sentence｜>"},
    {"[e~["},
    {"<|channel|>"},
    {"<|message|>"},
    {"<|start|>"},
    {"<|constrain|>"},
    {"<|plamo:eos|>"},
    {"<unused7>"},
    {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"},
    {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"},
    {"<|file_sep|>"},
    {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
     "<|code_prefix|>", "<|prefix|>"},
    {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
     "<|code_suffix|>", "<|suffix|>"},
    {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
     "<|code_middle|>", "<|middle|>"},
};

static const char *const id_keys[] = {"bos",     "eos",     "eot",     "eom",     "unknown",
                                      "padding", "fim_pre", "fim_suf", "fim_mid", "fim_pad",
                                      "fim_rep", "fim_sep", "prefix",  "suffix",  "middle"};

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* llama.cpp has no words for text outside of the byte alphabet: there it says so, at length. */
static int32_t draw_type(const char *text)
{
    int32_t type = (int32_t)draw(5) + NORMAL;

    return type == NORMAL && strpbrk(text, "\xe2\xef") ? CONTROL : type;
}

/* Some of them, of some types. */
static void add_known(struct words *w)
{
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        uint32_t n = 0;

        while (n < 9 && known[k][n])
            n++;
        if (draw(2)) {
            const char *text = known[k][draw(n)];

            words_put(w, text, draw_type(text));
        }
    }
}

static void set_ids(struct document *d, size_t n)
{
    for (size_t i = 0; i < sizeof id_keys / sizeof id_keys[0]; i++) {
        char key[64];

        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", id_keys[i]);
        if (draw(4) == 0)
            document_set_u32(d, key, draw((uint32_t)n));
    }
}

static void set_flag(struct document *d, const char *key)
{
    uint8_t value = (uint8_t)draw(2);

    if (draw(2))
        document_set(d, key, BOOL, &value, 1);
}

static void test_vocabulary__any_special_tokens__as_llama(void **state)
{
    (void)state;
    for (seed = 1; seed <= 150; seed++) {
        uint32_t first = seed;
        struct words w = words_read(TEST_SOURCE_DIR "/fixtures/tokenizers", "llama3");
        struct document *d = NULL;
        struct subject s;
        char of[32], text[512] = "a ";
        size_t before = w.n;

        add_known(&w);
        for (size_t i = before; i < w.n && strlen(text) < 400; i++)
            snprintf(text + strlen(text), 60, "%s%s", w.texts[i], draw(2) ? " b" : "");
        d = model_of(&w, draw(2) ? "llama-bpe" : "gpt-2");
        set_ids(d, w.n);
        set_flag(d, "tokenizer.ggml.add_bos_token");
        set_flag(d, "tokenizer.ggml.add_eos_token");
        snprintf(of, sizeof of, "seed %u", first);
        begin(&s, d);
        assert_non_null(s.own);
        begin_llama(&s);
        expect_same_tokens(&s, of);
        for (int parse = 0; parse < 2; parse++)
            if (!same_as_llama(&s, inf_str(text), parse))
                fail_msg("%s: other ids than llama.cpp's for %s", of, text);
        end(&s);
        document_free(d);
        words_free(&w);
        seed = first;
    }
}

/* What has the text of a special token may be text. */
static void test_vocabulary__merged_text_of_special_token__is_text(void **state)
{
    static const char *const words[] = {"</", "s>", "</s>"};
    struct words w = words_read(TEST_SOURCE_DIR "/fixtures/tokenizers", "gpt2");
    struct document *d = NULL;
    struct subject s;
    int32_t *ids = NULL, n = 0, end_id = 0;
    json_t *merge = json_pack("[s, s]", "</", "s>");

    (void)state;
    for (size_t i = 0; i < 3; i++)
        end_id = (int32_t)words_put(&w, words[i], NORMAL);
    add_merge(&w, merge);
    json_decref(merge);
    d = model_of(&w, "gpt-2");
    begin(&s, d);
    assert_non_null(s.own);
    assert_int_equal(
        s.ours.ops->encode(s.ours.impl, inf_str("x</s>y"), false, true, &ids, &n, NULL), INF_OK);
    for (int32_t i = 0; i < n; i++)
        assert_int_not_equal(ids[i], end_id); /* GPT-2 splits before the s */
    assert_int_equal(s.ours.ops->kind(s.ours.impl, end_id), TOKEN_END);
    mem_free(ids);
    end(&s);
    document_free(d);
    words_free(&w);
}

/* ------------------------------------------------------------------ what is llama.cpp's */

static void expect_left(struct document *d, const char *why)
{
    struct subject s;

    begin(&s, d);
    if (s.own)
        fail_msg("%s: a tokenizer is made of it", why);
    end(&s);
    document_free(d);
}

static struct document *changed(size_t id, const char *text, int32_t type)
{
    struct words w = words_read(TEST_SOURCE_DIR "/fixtures/tokenizers", "gpt2");
    struct document *d = NULL;

    if (text)
        words_set(&w, id, text, type);
    d = model_of(&w, "gpt-2");
    words_free(&w);
    return d;
}

static void test_vocabulary__odd_files__are_left_to_llama(void **state)
{
    struct document *d = changed(0, NULL, 0);

    (void)state;
    document_set_text(d, "tokenizer.ggml.pre", "default");
    expect_left(d, "an unknown splitter");
    d = changed(0, NULL, 0);
    document_remove(d, (size_t)(document_find(d, "tokenizer.ggml.pre") - d->pairs));
    expect_left(d, "no splitter");
    d = changed(0, NULL, 0);
    document_set_text(d, "tokenizer.ggml.model", "hybriddna");
    expect_left(d, "another model");
    d = changed(0, NULL, 0);
    document_set_text(d, "general.name", "A phi-3 of mine");
    expect_left(d, "a name");
    d = changed(0, NULL, 0);
    set_texts(d, "tokenizer.ggml.merges", (char *[]){(char[]){"a"}}, 1);
    expect_left(d, "a merge of one part");
    d = changed(0, NULL, 0);
    set_texts(d, "tokenizer.ggml.merges", (char *[]){(char[]){"a nothing-of-that-name"}}, 1);
    expect_left(d, "a merge of an unknown token");
    d = changed(0, NULL, 0);
    set_texts(d, "tokenizer.ggml.merges", (char *[]){(char[]){"z q"}}, 1);
    expect_left(d, "a merge that makes an unknown token");
    expect_left(changed(300, "", NORMAL), "an empty token");
    expect_left(changed(300, "\xff\xfe", NORMAL), "a token that is no text");
    expect_left(changed(300, "<0x0A>", BYTE_TOKEN), "a byte token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vocabulary__converted_tokenizers__the_library_ids),
        cmocka_unit_test(test_vocabulary__any_special_tokens__as_llama),
        cmocka_unit_test(test_vocabulary__merged_text_of_special_token__is_text),
        cmocka_unit_test(test_vocabulary__odd_files__are_left_to_llama),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
