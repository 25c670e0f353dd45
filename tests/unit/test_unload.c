/*
 * Specification of what unloading gives back: everything that loading took, the vocabulary too, which is
 * made again when it is needed.
 */
#include "core/memory.h"

#include <inference/inference.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    inf_context *context;
    inf_provider *provider;
};

static void open_bench(struct bench *b, int32_t type, const char *path)
{
    inf_provider_config config;
    inf_error err;

    assert_int_equal(inf_context_create(&b->context, NULL, &err), INF_OK);
    inf_provider_config_default(&config, sizeof config);
    config.type = type;
    config.base_url = path;
    config.n_ctx = 256;
    assert_int_equal(inf_provider_create(&b->provider, b->context, &config, &err), INF_OK);
}

static void close_bench(struct bench *b)
{
    inf_provider_release(b->provider);
    inf_context_close(b->context, NULL);
}

/* The ids of a text, as long as the bench lives. */
static int32_t tokenize(struct bench *b, int32_t *ids, size_t room)
{
    inf_op *op = NULL;
    const int32_t *found = NULL;
    size_t n = 0;
    inf_error err;

    assert_int_equal(inf_tokenize(&op, b->provider, inf_str("What is gravity?"), true, &err),
                     INF_OK);
    assert_int_equal(inf_op_tokens(op, &found, &n), INF_OK);
    assert_true(n > 0 && n <= room);
    memcpy(ids, found, n * sizeof *ids);
    inf_op_release(op);
    return (int32_t)n;
}

static void generate(struct bench *b)
{
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str("What is gravity?");
    request.max_tokens = (inf_maybe_i32){true, 2};
    assert_int_equal(inf_generate(&op, b->provider, &request, &err), INF_OK);
    inf_op_release(op);
}

/* Reads the files' headers, and no more. */
static void look(struct bench *b)
{
    inf_op *op = NULL;
    inf_error err;

    assert_int_equal(inf_render(&op, b->provider,
                                inf_str("[{\"role\":\"user\",\"content\":\"x\"}]"), true, &err),
                     INF_OK);
    inf_op_release(op);
}

/* What lives once the threads have given back what they still held: the same for 50 ms. */
static int64_t live(void)
{
    int64_t n = -1;

    for (int same = 0; same < 50; same++) {
        struct timespec ms = {.tv_nsec = 1000000};

        if (mem_live() != n)
            same = 0;
        n = mem_live();
        nanosleep(&ms, NULL);
    }
    return n;
}

static void unload(struct bench *b)
{
    inf_error err;

    assert_int_equal(inf_provider_unload(b->provider, &err), INF_OK);
}

static void test_unload__gguf__keeps_nothing_of_the_vocabulary(void **state)
{
    struct bench b;
    int32_t first[32], again[32];
    int32_t n = 0;
    int64_t before = 0;

    (void)state;
    open_bench(&b, INF_PROVIDER_LLAMACPP, getenv("INFERENCE_TEST_MODEL"));
    look(&b);
    before = live();
    n = tokenize(&b, first, 32);
    assert_true(live() > before);
    unload(&b);
    assert_int_equal(live(), before);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tokenize(&b, again, 32), n);
        assert_memory_equal(first, again, (size_t)n * sizeof *first);
        generate(&b);
        assert_int_equal(tokenize(&b, again, 32), n);
        unload(&b);
        assert_in_range(live(), before, before + 1); /* the context's list of deadlines */
    }
    close_bench(&b);
}

/* The model with a token that ends in NUL, which llama.cpp reads as another: it gets the vocabulary. */
static void write_odd_model(const char *to)
{
    static const char token[] = "\xc4\xa0zebra";
    FILE *in = fopen(getenv("INFERENCE_TEST_MODEL"), "rb");
    FILE *out = fopen(to, "wb");
    char *bytes = NULL, *at = NULL;
    size_t n = 0;

    assert_true(in && out);
    assert_int_equal(fseek(in, 0, SEEK_END), 0);
    n = (size_t)ftell(in);
    rewind(in);
    bytes = malloc(n);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, n, in), n);
    at = memmem(bytes, n, token, sizeof token - 1);
    assert_non_null(at);
    at[sizeof token - 2] = '\0';
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
    fclose(in);
    free(bytes);
}

static void test_unload__vocabulary_that_is_llama_cpp_s__too(void **state)
{
    char path[] = "/tmp/inference-unload-XXXXXX";
    struct bench b;
    int32_t ours[32], theirs[32];
    int32_t n = 0;

    (void)state;
    open_bench(&b, INF_PROVIDER_LLAMACPP, getenv("INFERENCE_TEST_MODEL"));
    n = tokenize(&b, ours, 32);
    close_bench(&b);
    close(mkstemp(path));
    write_odd_model(path);
    open_bench(&b, INF_PROVIDER_LLAMACPP, path);
    for (int i = 0; i < 2; i++) {
        generate(&b);
        assert_int_equal(tokenize(&b, theirs, 32), n);
        assert_memory_equal(ours, theirs, (size_t)n * sizeof *ours);
        unload(&b);
        assert_int_equal(tokenize(&b, theirs, 32), n);
    }
    close_bench(&b);
    unlink(path);
}

static void test_unload__checkpoint_s_tokenizer__is_read_again(void **state)
{
    struct bench b;
    int32_t first[32], again[32];
    int32_t n = 0;
    int64_t before = 0;

    (void)state;
    open_bench(&b, INF_PROVIDER_TRANSFORMERS, TEST_SOURCE_DIR "/fixtures/tokenizers/smollm2");
    n = tokenize(&b, first, 32);
    before = live();
    for (int i = 0; i < 2; i++) {
        unload(&b);
        assert_true(live() < before);
        assert_int_equal(tokenize(&b, again, 32), n);
        assert_memory_equal(first, again, (size_t)n * sizeof *first);
        assert_int_equal(live(), before);
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unload__gguf__keeps_nothing_of_the_vocabulary),
        cmocka_unit_test(test_unload__vocabulary_that_is_llama_cpp_s__too),
        cmocka_unit_test(test_unload__checkpoint_s_tokenizer__is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
