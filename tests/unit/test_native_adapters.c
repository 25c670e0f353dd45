/*
 * Native adapters of which llama.cpp refuses one when it is first used: whoever shares a batch with
 * it must not notice. The refusal is the linker's: guard_load_adapter is wrapped.
 */
#include "conformance/conformance.h"
#include "engine/guard.h"

#include <stdatomic.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1"},
                                        .in_process = true,
                                        .has_adapters = true};

static atomic_bool refusing;
static atomic_int refused;

struct llama_adapter_lora *__real_guard_load_adapter(struct llama_model *model, FILE *file,
                                                     inf_error *err);
struct llama_adapter_lora *__wrap_guard_load_adapter(struct llama_model *model, FILE *file,
                                                     inf_error *err);

struct llama_adapter_lora *__wrap_guard_load_adapter(struct llama_model *model, FILE *file,
                                                     inf_error *err)
{
    if (!atomic_load(&refusing))
        return __real_guard_load_adapter(model, file, err);
    atomic_fetch_add(&refused, 1);
    error_set(err, INF_ERROR_BACKEND, "llama.cpp refuses the adapter");
    return NULL;
}

/* Keeps the worker busy for a while, so that what is started meanwhile begins in one batch. */
static inf_op *hold_worker(struct bench *b)
{
    static int32_t ids[1500];
    inf_logits_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = 1500;
    assert_int_equal(inf_logits_start(&op, b->provider, &request, NULL, &err), INF_OK);
    return op;
}

static void assert_same_text(const inf_op *a, const inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    assert_int_equal(x.text.len, y.text.len);
    assert_memory_equal(x.text.data, y.text.data, x.text.len);
}

/* Six requests in one batch, the third and fifth under "bad". */
static void run_beside_bad(struct bench *b, inf_op *const *alone)
{
    static const char *const ids[6] = {NULL, "good", "bad", NULL, "bad", "good"};
    inf_op *hold = hold_worker(b);
    inf_op *ops[6];
    inf_error err;

    for (int i = 0; i < 6; i++) {
        inf_request request = greedy("What is gravity?", 12, ids[i]);

        assert_int_equal(inf_generate_start(&ops[i], b->provider, &request, NULL, &err), INF_OK);
    }
    for (int i = 0; i < 6; i++) {
        int32_t code = inf_op_wait(ops[i], -1, &err);

        if (ids[i] && strcmp(ids[i], "bad") == 0) {
            assert_int_equal(code, INF_ERROR_BACKEND);
            assert_non_null(strstr(err.message, "refuses the adapter"));
        } else {
            if (code != INF_OK)
                fail_msg("request %d: %s", i, err.message);
            assert_same_text(ops[i], alone[ids[i] != NULL]);
        }
        inf_op_release(ops[i]);
    }
    assert_int_equal(inf_op_wait(hold, -1, NULL), INF_OK);
    inf_op_release(hold);
}

static void test_native__adapter_that_llama_cpp_refuses__ends_its_rows_alone(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request base = greedy("What is gravity?", 12, NULL);
    inf_request good = greedy("What is gravity?", 12, "good");
    inf_op *alone[2];

    (void)state;
    config.adapter_execution = INF_ADAPTERS_NATIVE;
    open_bench(&b, &config);
    load(&b, "good", subject->adapters[0]);
    load(&b, "bad", subject->adapters[1]);
    alone[0] = run(&b, &base);
    alone[1] = run(&b, &good); /* from here on llama.cpp has it */
    atomic_store(&refusing, true);
    for (int i = 0; i < 5; i++)
        run_beside_bad(&b, alone);
    assert_true(atomic_load(&refused) >= 5);
    assert_int_equal(stats_of(&b).pins, 0);
    inf_op_release(alone[0]);
    inf_op_release(alone[1]);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native__adapter_that_llama_cpp_refuses__ends_its_rows_alone),
    };

    subject = &llamacpp;
    return cmocka_run_group_tests_name("native adapters", tests, NULL, NULL);
}
