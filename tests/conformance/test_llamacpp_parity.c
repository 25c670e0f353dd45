/*
 * Adapters of every architecture through llama.cpp: the base GGUF with an adapter against the GGUF
 * of the model that transformers and peft merged, both in f32. Differences of llama.cpp from
 * transformers cancel; what is left is the adapter, whole or as two halves on one request.
 */
#include <inference/inference.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures"
#define TOLERANCE 1e-2f

static const int32_t ids[] = {3, 17, 101, 44, 8, 200, 61, 12, 90, 150, 33, 7};

struct logits {
    float *values;
    size_t n;
};

/* `adapter`: a path, or NULL; in `parts` equal parts, which together are the whole. */
static struct logits logits_of(inf_context *context, const char *model, const char *adapter,
                               int32_t execution, size_t parts)
{
    const inf_request_adapter part = {inf_str("x"), {true, 1 / (float)parts}};
    const inf_request_adapter list[] = {part, part};
    inf_provider_config config;
    inf_provider *provider = NULL;
    inf_logits_request request;
    inf_logits_result logits;
    inf_op *op = NULL;
    inf_error err;
    struct logits out;

    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_LLAMACPP;
    config.base_url = model;
    config.adapter_execution = execution;
    config.n_threads = 1;
    if (inf_provider_create(&provider, context, &config, &err) != INF_OK ||
        (adapter && inf_adapter_load(provider, "x", adapter, NULL, &err) != INF_OK))
        fail_msg("%s: %s", model, err.message);
    inf_logits_request_default(&request, sizeof request);
    request.token_ids = ids;
    request.n_token_ids = sizeof ids / sizeof *ids;
    request.adapters = list;
    request.n_adapters = adapter ? parts : 0;
    if (inf_logits_start(&op, provider, &request, NULL, &err) != INF_OK ||
        inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s: %s", model, err.message);
    assert_int_equal(inf_op_logits(op, &logits, sizeof logits), INF_OK);
    out.n = logits.n_vocab;
    out.values = malloc(out.n * sizeof *out.values);
    memcpy(out.values, logits.all, out.n * sizeof *out.values);
    inf_op_release(op);
    inf_provider_release(provider);
    return out;
}

static float distance(const struct logits *a, const struct logits *b)
{
    float most = 0;

    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        most = fmaxf(most, fabsf(a->values[i] - b->values[i]));
    return most;
}

/* The distance of base + adapter to merged, and of base to merged. */
static void compare(const char *architecture, const char *adapter, int32_t execution, size_t parts,
                    float *with_adapter, float *without)
{
    char base[512], merged[512], dir[512];
    inf_context *context = NULL;
    struct logits b, m, a;

    snprintf(base, sizeof base, FIXTURES "/%s/base.gguf", architecture);
    snprintf(merged, sizeof merged, FIXTURES "/%s/merged.gguf", architecture);
    snprintf(dir, sizeof dir, FIXTURES "/%s/%s", architecture, adapter);
    assert_int_equal(inf_context_create(&context, NULL, NULL), INF_OK);
    b = logits_of(context, base, NULL, INF_ADAPTERS_AUTO, 1);
    m = logits_of(context, merged, NULL, INF_ADAPTERS_AUTO, 1);
    a = logits_of(context, base, dir, execution, parts);
    *with_adapter = distance(&a, &m);
    *without = distance(&b, &m);
    free(b.values);
    free(m.values);
    free(a.values);
    assert_int_equal(inf_context_close(context, NULL), INF_OK);
}

static void check(const char *architecture)
{
    static const int32_t executions[] = {INF_ADAPTERS_SHARED, INF_ADAPTERS_NATIVE};

    for (int i = 0; i < 4; i++) {
        size_t parts = i < 2 ? 1 : 2;
        float with_adapter = 0;
        float without = 0;

        compare(architecture, "adapter", executions[i % 2], parts, &with_adapter, &without);
        print_message("%-8s %s, %zu parts: base + adapter to merged %.2g, base to merged %.2g\n",
                      architecture, i % 2 ? "native" : "shared", parts, (double)with_adapter,
                      (double)without);
        assert_true(with_adapter <= TOLERANCE);
        assert_true(without > 10 * TOLERANCE); /* the adapter does something */
    }
}

#define PARITY(name)                                                                               \
    static void test_parity__##name##__base_and_adapter_equals_merged(void **state)                \
    {                                                                                              \
        (void)state;                                                                               \
        check(#name);                                                                              \
    }

PARITY(llama)
PARITY(mistral)
PARITY(qwen2)
PARITY(qwen3)
PARITY(gemma2)
PARITY(gemma3)
PARITY(phi3)
PARITY(smollm3)
PARITY(gpt2)

static void test_parity__one_weight_changed__is_noticed(void **state)
{
    float with_adapter = 0;
    float without = 0;

    (void)state;
    compare("llama", "adapter-mutated", INF_ADAPTERS_SHARED, 1, &with_adapter, &without);
    assert_true(with_adapter > TOLERANCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parity__llama__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__mistral__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__qwen2__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__qwen3__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__gemma2__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__gemma3__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__phi3__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__smollm3__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__gpt2__base_and_adapter_equals_merged),
        cmocka_unit_test(test_parity__one_weight_changed__is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
