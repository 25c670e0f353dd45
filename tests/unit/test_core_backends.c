/*
 * backends: the real composition root. What this build has is made; what it left out is
 * unsupported, and the message says what to do instead.
 */
#include "core/context_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int32_t all_types[] = {INF_PROVIDER_VLLM, INF_PROVIDER_OLLAMA, INF_PROVIDER_LLAMACPP,
                                    INF_PROVIDER_TRANSFORMERS};

static void every_type_is_there_or_says_what_to_do(void **state)
{
    inf_context *ctx = NULL;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    for (size_t i = 0; i < 4; i++) {
        const char *name = inf_provider_type_name(all_types[i]);
        const char *hint = NULL;
        const struct provider_ops *ops = backend_ops(all_types[i], &hint);
        inf_provider *p = NULL;
        inf_error err;
        int32_t code = inf_provider_get(&p, ctx, name, NULL, &err);

        if (ops) {
            assert_int_equal(code, INF_OK);
            assert_int_equal(ops->type, all_types[i]);
            assert_true(ops->create && ops->destroy && ops->generate);
            assert_int_equal(inf_provider_type_of(p), all_types[i]);
        } else {
            assert_int_equal(code, INF_ERROR_UNSUPPORTED);
            assert_null(p);
            assert_string_equal(err.message, hint);
            assert_non_null(strstr(err.message, name));
            assert_true(strstr(err.message, "-D") || strstr(err.message, "use llamacpp"));
        }
        inf_provider_release(p);
    }
    inf_context_close(ctx, NULL);
}

static void llamacpp_is_there_when_it_was_asked_for(void **state)
{
    const char *hint = NULL;

    (void)state;
#ifdef INF_WITH_LLAMACPP
    assert_non_null(backend_ops(INF_PROVIDER_LLAMACPP, &hint));
#else
    assert_null(backend_ops(INF_PROVIDER_LLAMACPP, &hint));
    assert_non_null(strstr(hint, "-DINF_LLAMACPP=ON"));
#endif
}

/* The default type is vllm, whether or not this build has it. */
static void the_default_is_vllm(void **state)
{
    const char *hint = NULL;
    bool has_vllm = backend_ops(INF_PROVIDER_VLLM, &hint) != NULL;
    inf_context *ctx = NULL;
    inf_provider *p = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&p, ctx, NULL, NULL, &err),
                     has_vllm ? INF_OK : INF_ERROR_UNSUPPORTED);
    if (!has_vllm)
        assert_non_null(strstr(err.message, "vllm"));
    inf_provider_release(p);
    inf_context_close(ctx, NULL);
}

static void inspecting_what_is_not_there_is_an_error(void **state)
{
    inf_context *ctx = NULL;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(inf_inspect_start(&op, ctx, "/nowhere/at/all", NULL, NULL, NULL), INF_OK);
    assert_int_not_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    inf_op_release(op);
    inf_context_close(ctx, NULL);
}

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("INFERENCE_PROVIDER");
    unsetenv("VLLM_BASE_URL");
    unsetenv("OLLAMA_BASE_URL");
    unsetenv("LLAMACPP_MODEL_PATH");
    unsetenv("TRANSFORMERS_MODEL");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_there_or_says_what_to_do),
        cmocka_unit_test(llamacpp_is_there_when_it_was_asked_for),
        cmocka_unit_test(the_default_is_vllm),
        cmocka_unit_test(inspecting_what_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests_name("core: backends", tests, clear_environment, NULL);
}
