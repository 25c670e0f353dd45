/*
 * The number of threads changes no bit of a result: logits, and what is generated under an adapter,
 * compared with those of one thread, with more, and with another number in every step (the linker wraps
 * thread_choice_next). Long enough that attention takes the paths that split its work.
 */
#include "conformance/conformance.h"
#include "core/memory.h"
#include "engine/guard.h"
#include "engine/llama_engine.h"
#include "engine/thread_choice.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .adapters = {FIXTURES "/adapter-0"},
                                        .in_process = true,
                                        .has_adapters = true};

/* ------------------------------------------------------------------ another number each step */

static atomic_bool changing;
static atomic_int changes;

int32_t __real_thread_choice_next(const struct thread_choice *c, int32_t n_rows);
int32_t __wrap_thread_choice_next(const struct thread_choice *c, int32_t n_rows);

int32_t __wrap_thread_choice_next(const struct thread_choice *c, int32_t n_rows)
{
    return atomic_load(&changing) ? 1 + atomic_fetch_add(&changes, 1) % c->max
                                  : __real_thread_choice_next(c, n_rows);
}

/* ------------------------------------------------------------------ logits */

enum { CHUNK = 130, N_STEPS = 6 };

struct computation {
    const char *path;
    int32_t n_prompt; /* a multiple of CHUNK */
    int32_t n_threads;
    int32_t flash_attention;
    bool exact;
};

static void decode(const struct engine *engine, int32_t position, const int32_t *tokens, int32_t n)
{
    const struct engine_row row = {
        .slot = 0, .position = position, .tokens = tokens, .n_logits = 1};
    inf_error err = {0};

    if (engine->ops->decode(engine->impl, &row, 1, n, &err) != INF_OK)
        fail_msg("%s", err.message);
}

/* The prompt in chunks, then greedily token by token. out: (N_STEPS, n_vocab). */
static void run_steps(const struct engine *engine, int32_t n_prompt, float *out)
{
    const int32_t n_vocab = engine->limits.n_vocab;
    int32_t tokens[CHUNK];
    int32_t position = 0;

    for (; position < n_prompt; position += CHUNK) {
        for (int32_t i = 0; i < CHUNK; i++)
            tokens[i] = (position + i) * 7 % 250;
        decode(engine, position, tokens, CHUNK);
    }
    for (int32_t step = 0; step < N_STEPS; step++, position++) {
        const float *logits = engine->ops->logits(engine->impl, 0, 0);

        memcpy(out + (size_t)step * (size_t)n_vocab, logits, (size_t)n_vocab * sizeof *out);
        tokens[0] = 0;
        for (int32_t i = 1; i < n_vocab; i++)
            if (logits[i] > logits[tokens[0]])
                tokens[0] = i;
        decode(engine, position, tokens, 1);
    }
}

/* The logits of N_STEPS positions; the caller frees. */
static float *compute(const struct computation *c, size_t *size)
{
    struct llama_engine_source source = {.flash_attention = c->flash_attention};
    struct engine_options options = {.n_threads = c->n_threads,
                                     .max_slots = 1,
                                     .max_context = c->n_prompt + N_STEPS,
                                     .exact = c->exact};
    struct llama_model *model = NULL;
    struct gguf_file *file = NULL;
    struct gguf_model base;
    struct engine engine;
    float *out = NULL;
    inf_error err = {0};

    guard_start();
    assert_int_equal(gguf_file_open(&file, c->path, &err), INF_OK);
    assert_int_equal(gguf_model_check(&base, file, &err), INF_OK);
    model = guard_load_model(c->path, llama_model_default_params(), &err);
    assert_non_null(model);
    source.model = model;
    source.base = &base;
    assert_int_equal(llama_engine_create(&engine, &source, &options, &err), INF_OK);
    assert_int_equal(engine.ops->reserve(engine.impl, 1, options.max_context, &err), INF_OK);
    *size = (size_t)N_STEPS * (size_t)engine.limits.n_vocab * sizeof *out;
    out = mem_alloc(*size);
    assert_non_null(out);
    run_steps(&engine, c->n_prompt, out);
    engine.ops->free(engine.impl);
    llama_model_free(model);
    gguf_file_close(file);
    return out;
}

static void assert_logits(const struct computation *c, const float *wanted)
{
    size_t size = 0;
    float *found = compute(c, &size);

    if (memcmp(found, wanted, size) != 0)
        fail_msg("%d threads%s give other logits than one", (int)c->n_threads,
                 atomic_load(&changing) ? " and fewer" : "");
    mem_free(found);
}

static void assert_threads_change_nothing(struct computation c, int32_t most)
{
    size_t size = 0;
    float *alone = NULL;

    c.n_threads = 1;
    alone = compute(&c, &size);
    for (c.n_threads = 2; c.n_threads < most; c.n_threads++)
        assert_logits(&c, alone);
    assert_logits(&c, alone);
    atomic_store(&changing, true);
    assert_logits(&c, alone);
    atomic_store(&changing, false);
    mem_free(alone);
}

static void test_threads__any_number__logits_are_the_same_bits(void **state)
{
    static const struct computation kinds[] = {
        {.flash_attention = INF_FLASH_ATTENTION_ON},
        {.flash_attention = INF_FLASH_ATTENTION_OFF},
        {.exact = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct computation c = kinds[i];

        c.path = llamacpp.base_url;
        c.n_prompt = 6 * CHUNK;
        assert_threads_change_nothing(c, 5);
    }
}

/* Quantized weights, several layers. Attention looks at the cache in units of 256 cells: at 512 here. */
static void test_threads__real_model__logits_are_the_same_bits(void **state)
{
    struct computation c = {.path = getenv("INFERENCE_TEST_MODEL"), .n_prompt = 2 * CHUNK};

    (void)state;
    if (!c.path)
        skip();
    assert_threads_change_nothing(c, 3);
}

/* ------------------------------------------------------------------ generation */

static inf_op *generate(int32_t n_threads, const char *adapter, bool seeded)
{
    static char prompt[800];
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request;
    inf_op *op = NULL;

    memset(prompt, 'a', sizeof prompt - 1);
    request = greedy(prompt, 40, adapter);
    config.n_threads = n_threads;
    if (seeded) {
        request.temperature = (inf_maybe_f32){true, 1};
        request.seed = (inf_maybe_u64){true, 7};
    }
    request.logprobs = (inf_maybe_i32){true, 5};
    open_bench(&b, &config);
    load(&b, "a", subject->adapters[0]);
    op = run(&b, &request);
    close_bench(&b);
    return op;
}

static void assert_same(const inf_op *a, const inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    assert_int_equal(x.n_token_ids, y.n_token_ids);
    assert_memory_equal(x.token_ids, y.token_ids, x.n_token_ids * sizeof *x.token_ids);
    assert_int_equal(x.n_logprobs, y.n_logprobs);
    for (size_t i = 0; i < x.n_logprobs; i++)
        assert_memory_equal(&x.logprobs[i].logprob, &y.logprobs[i].logprob, sizeof(float));
}

static void test_threads__any_number__generates_the_same(void **state)
{
    (void)state;
    for (int32_t kind = 0; kind < 4; kind++) {
        const char *adapter = kind & 1 ? "a" : NULL;
        inf_op *alone = generate(1, adapter, kind & 2);

        for (int32_t n = 2; n <= 4; n++) {
            inf_op *more = NULL;

            atomic_store(&changing, n == 4);
            more = generate(n, adapter, kind & 2);
            atomic_store(&changing, false);
            assert_same(alone, more);
            inf_op_release(more);
        }
        inf_op_release(alone);
    }
    assert_true(atomic_load(&changes) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads__any_number__logits_are_the_same_bits),
        cmocka_unit_test(test_threads__real_model__logits_are_the_same_bits),
        cmocka_unit_test(test_threads__any_number__generates_the_same),
    };

    subject = &llamacpp;
    return cmocka_run_group_tests_name("engine threads", tests, NULL, NULL);
}
