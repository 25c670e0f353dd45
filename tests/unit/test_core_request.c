/*
 * request: what a generate refuses before anything has started, and that what it accepts is copied
 * whole.
 */
#include "fake_backend.h"

#include "core/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static inf_context *ctx;
static inf_provider *provider;

static int open_provider(void **state)
{
    (void)state;
    ctx = open_context(INF_DELIVERY_CALLBACKS);
    provider = open_fake(ctx, &fake_ops);
    return 0;
}

static int close_provider(void **state)
{
    (void)state;
    close_all(ctx, provider);
    return fake_alive() != 0;
}

/* ------------------------------------------------------------------ refusals */

static const inf_text not_utf8 = {"a\xff", 2};
static const inf_text no_data = {NULL, 3};
static const inf_message one_message = {{"user", 4}, {"hello", 5}};
static const inf_message bad_messages[] = {{{"user", 4}, {"a\xff", 2}},
                                           {{"u\xff", 2}, {"a", 1}},
                                           {{NULL, 0}, {"a", 1}},
                                           {{"user", 4}, {NULL, 0}},
                                           {{"user", 4}, {NULL, 7}}};
static const inf_text bad_stops[] = {{"", 0}, {NULL, 0}, {"\xc3", 1}};
static const inf_request_adapter two_adapters[] = {{{"first", 5}, {true, 2}},
                                                   {{"second", 6}, {false, 0}}};
static const inf_request_adapter bad_adapters[] = {{{"", 0}, {false, 0}},
                                                   {{"\xff", 1}, {false, 0}},
                                                   {{"a", 1}, {true, NAN}},
                                                   {{"a", 1}, {false, 2}}};
static inf_text many_stops[65];
static int32_t many_ids[65];

/* A case sets one thing in a request that is fine otherwise. `says`: what the message names. */
#define REFUSALS(X)                                                                                \
    X(nothing_given, r->prompt = inf_str(NULL), "exactly one")                                     \
    X(a_length_without_prompt, r->prompt = no_data, "exactly one")                                 \
    X(prompt_and_messages, (r->messages = &one_message, r->n_messages = 1), "exactly one")         \
    X(prompt_and_messages_json, r->messages_json = inf_str("[]"), "exactly one")                   \
    X(messages_without_array, r->n_messages = 2, "messages")                                       \
    X(too_many_messages,                                                                           \
      (r->prompt.data = NULL, r->messages = &one_message, r->n_messages = 65537), "messages")      \
    X(variables_without_messages, r->template_variables = inf_str("{}"), "template_variables")     \
    X(prompt_not_utf8, r->prompt = not_utf8, "prompt")                                             \
    X(model_not_utf8, r->model = not_utf8, "model")                                                \
    X(adapter_not_utf8, r->adapter_id = not_utf8, "adapter_id")                                    \
    X(system_not_utf8, r->system_prompt = not_utf8, "system_prompt")                               \
    X(schema_not_utf8, r->json_schema = not_utf8, "json_schema")                                   \
    X(grammar_not_utf8, r->grammar = not_utf8, "grammar")                                          \
    X(system_without_data, r->system_prompt = no_data, "system_prompt")                            \
    X(max_tokens_0, r->max_tokens = SET(i32, 0), "max_tokens")                                     \
    X(max_tokens_negative, r->max_tokens = SET(i32, -5), "max_tokens")                             \
    X(temperature_negative, r->temperature = SET(f32, -0.1f), "temperature")                       \
    X(temperature_nan, r->temperature = SET(f32, NAN), "temperature")                              \
    X(temperature_infinite, r->temperature = SET(f32, INFINITY), "temperature")                    \
    X(top_p_0, r->top_p = SET(f32, 0), "top_p")                                                    \
    X(top_p_above_1, r->top_p = SET(f32, 1.01f), "top_p")                                          \
    X(top_p_nan, r->top_p = SET(f32, NAN), "top_p")                                                \
    X(top_k_below, r->top_k = SET(i32, -2), "top_k")                                               \
    X(min_p_negative, r->min_p = SET(f32, -0.5f), "min_p")                                         \
    X(min_p_above_1, r->min_p = SET(f32, 2), "min_p")                                              \
    X(repetition_0, r->repetition_penalty = SET(f32, 0), "repetition_penalty")                     \
    X(repetition_infinite, r->repetition_penalty = SET(f32, INFINITY), "repetition_penalty")       \
    X(frequency_above, r->frequency_penalty = SET(f32, 2.1f), "frequency_penalty")                 \
    X(frequency_nan, r->frequency_penalty = SET(f32, NAN), "frequency_penalty")                    \
    X(presence_below, r->presence_penalty = SET(f32, -2.1f), "presence_penalty")                   \
    X(scale_nan, r->adapter_scale = SET(f32, NAN), "adapter_scale")                                \
    X(scale_infinite, r->adapter_scale = SET(f32, -INFINITY), "adapter_scale")                     \
    X(scale_of_nothing, r->adapter_scale = SET(f32, 1), "no adapter_id")                           \
    X(max_tokens_without_is_set, r->max_tokens = UNSET(i32, 8), "max_tokens: ")                    \
    X(temperature_without_is_set, r->temperature = UNSET(f32, 0.5f), "temperature: ")              \
    X(top_p_without_is_set, r->top_p = UNSET(f32, 0.5f), "top_p: ")                                \
    X(top_k_without_is_set, r->top_k = UNSET(i32, 8), "top_k: ")                                   \
    X(min_p_without_is_set, r->min_p = UNSET(f32, 0.5f), "min_p: ")                                \
    X(repetition_penalty_without_is_set, r->repetition_penalty = UNSET(f32, 1.5f),                 \
      "repetition_penalty: ")                                                                      \
    X(frequency_penalty_without_is_set, r->frequency_penalty = UNSET(f32, 1),                      \
      "frequency_penalty: ")                                                                       \
    X(presence_penalty_without_is_set, r->presence_penalty = UNSET(f32, -1), "presence_penalty: ") \
    X(seed_without_is_set, r->seed = UNSET(u64, 1), "seed: ")                                      \
    X(adapter_scale_without_is_set, r->adapter_scale = UNSET(f32, 0.5f), "adapter_scale: ")        \
    X(logprobs_without_is_set, r->logprobs = UNSET(i32, 1), "logprobs: ")                          \
    X(adapters_without_array, r->n_adapters = 1, "adapters: ")                                     \
    X(adapters_and_adapter_id,                                                                     \
      (r->adapters = two_adapters, r->n_adapters = 1, r->adapter_id = inf_str("a")), "adapters: ") \
    X(adapters_and_adapter_scale,                                                                  \
      (r->adapters = two_adapters, r->n_adapters = 1, r->adapter_scale = SET(f32, 1)),             \
      "adapters: ")                                                                                \
    X(adapter_of_the_list_not_loaded, (r->adapters = two_adapters, r->n_adapters = 1), "first")    \
    X(adapter_of_the_list_empty, (r->adapters = &bad_adapters[0], r->n_adapters = 1),              \
      "adapters: id")                                                                              \
    X(adapter_of_the_list_not_utf8, (r->adapters = &bad_adapters[1], r->n_adapters = 1),           \
      "adapters: id")                                                                              \
    X(adapter_of_the_list_scale_nan, (r->adapters = &bad_adapters[2], r->n_adapters = 1),          \
      "adapters: scale")                                                                           \
    X(adapter_of_the_list_scale_unset, (r->adapters = &bad_adapters[3], r->n_adapters = 1),        \
      "adapters: scale")                                                                           \
    X(too_many_adapters, (r->adapters = two_adapters, r->n_adapters = 65), "64")                   \
    X(stop_empty, (r->stop = &bad_stops[0], r->n_stop = 1), "stop")                                \
    X(stop_absent, (r->stop = &bad_stops[1], r->n_stop = 1), "stop")                               \
    X(stop_not_utf8, (r->stop = &bad_stops[2], r->n_stop = 1), "stop")                             \
    X(stop_without_array, r->n_stop = 1, "stop")                                                   \
    X(stop_ids_without_array, r->n_stop_token_ids = 1, "stop_token_ids")                           \
    X(too_many_stops, (r->stop = many_stops, r->n_stop = 65), "64")                                \
    X(too_many_stop_ids, (r->stop_token_ids = many_ids, r->n_stop_token_ids = 65), "64")           \
    X(logprobs_21, r->logprobs = SET(i32, 21), "logprobs")                                         \
    X(logprobs_negative, r->logprobs = SET(i32, -1), "logprobs")                                   \
    X(schema_and_grammar, r->json_schema = r->grammar = inf_str("{}"), "together")                 \
    X(timeout_0, r->timeout_ms = 0, "timeout_ms")                                                  \
    X(timeout_negative, r->timeout_ms = -2, "timeout_ms")                                          \
    X(queue_timeout_0, r->queue_timeout_ms = 0, "queue_timeout_ms")                                \
    X(queue_timeout_negative, r->queue_timeout_ms = -2, "queue_timeout_ms")                        \
    X(add_special_without_is_set, r->add_special.value = true, "add_special: ")                    \
    X(plain_messages,                                                                              \
      (r->prompt = inf_str(NULL), r->messages = &one_message, r->n_messages = 1,                   \
       r->plain_prompt = true),                                                                    \
      "plain_prompt: ")                                                                            \
    X(tools_and_prompt, r->tools = inf_str("[]"), "tools: goes with messages")                     \
    X(tools_not_utf8, r->tools = inf_str("\xff"), "tools: ")                                       \
    X(tool_choice_without_tools, r->tool_choice = inf_str("auto"), "tool_choice: ")                \
    X(tool_choice_and_schema,                                                                      \
      (r->prompt = inf_str(NULL), r->messages = &one_message, r->n_messages = 1,                   \
       r->tools = inf_str("[]"), r->tool_choice = inf_str("required"),                             \
       r->json_schema = inf_str("{}")),                                                            \
      "tool_choice: a call that has to come and json_schema")                                      \
    X(continued_prompt, r->continue_final_message = true, "continue_final_message: ")              \
    X(speculate_unknown, r->speculate = 3, "speculate: 3")                                         \
    X(speculate_negative, r->speculate = -1, "speculate: -1")                                      \
    X(reference_not_utf8, r->reference = not_utf8, "reference")                                    \
    X(reference_while_off, (r->reference = inf_str("a"), r->speculate = INF_SPECULATE_OFF),        \
      "speculate is off")                                                                          \
    X(reserved_set, r->reserved[1] = 1, "reserved")                                                \
    X(reserved2_set, r->reserved2 = 1, "reserved2")                                                \
    X(adapter_not_loaded, r->adapter_id = inf_str("nobody"), "nobody")

#define SET(type, v) ((inf_maybe_##type){true, v})
#define UNSET(type, v) ((inf_maybe_##type){false, v})

#define MAKE_CASE(name, change, says)                                                              \
    static void refuse_##name(inf_request *r)                                                      \
    {                                                                                              \
        change;                                                                                    \
    }
REFUSALS(MAKE_CASE)
#undef MAKE_CASE

static const struct {
    const char *name, *says;
    void (*change)(inf_request *r);
} refusals[] = {
#define ROW(name, change, says) {#name, says, refuse_##name},
    REFUSALS(ROW)
#undef ROW
};

static void a_start_refuses_and_says_what(void **state)
{
    struct record record;
    inf_callbacks callbacks;

    (void)state;
    record_init(&record);
    callbacks = record_callbacks(&record);
    for (size_t i = 0; i < 65; i++)
        many_stops[i] = inf_str("x");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        inf_request r = fake_request("hello");
        inf_op *op = (inf_op *)&r; /* set to NULL by the failure */
        inf_error err;

        refusals[i].change(&r);
        if (inf_generate_start(&op, provider, &r, &callbacks, &err) != INF_ERROR_INVALID_ARGUMENT ||
            !strstr(err.message, refusals[i].says))
            fail_msg("%s: '%s' does not say %s", refusals[i].name, err.message, refusals[i].says);
        assert_null(op);
        assert_int_equal(err.code, INF_ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(record.n_done, 0);
    record_free(&record);
}

static void messages_are_looked_into(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_messages / sizeof *bad_messages; i++) {
        inf_message messages[] = {one_message, bad_messages[i]};
        inf_request r = fake_request(NULL);
        inf_op *op = NULL;
        inf_error err;

        r.messages = messages;
        r.n_messages = 2;
        assert_int_equal(inf_generate_start(&op, provider, &r, NULL, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "messages"));
    }
}

static void missing_arguments_are_refused(void **state)
{
    inf_request r = fake_request("x");
    inf_op *op = NULL;

    (void)state;
    assert_int_equal(inf_generate_start(NULL, provider, &r, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_generate_start(&op, NULL, &r, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_generate_start(&op, provider, NULL, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_generate(&op, NULL, &r, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_generate(NULL, provider, &r, NULL), INF_ERROR_INVALID_ARGUMENT);
}

static void what_is_for_servers_is_unsupported_in_process(void **state)
{
    inf_request r = fake_request("x");
    inf_op *op = NULL;
    inf_provider *server = open_fake(ctx, &fake_server_ops);

    (void)state;
    r.extra_json = inf_str("{}");
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_ERROR_UNSUPPORTED);
    r.extra_json = inf_str(NULL);
    r.extra_headers = inf_str("A: b");
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_generate(&op, server, &r, NULL), INF_OK);
    inf_op_release(op);
    inf_provider_release(server);
}

/* ------------------------------------------------------------------ the edges that are fine */

static void the_edges_of_every_range_are_accepted(void **state)
{
    static const inf_text stop = {"x", 1};
    inf_request r = fake_request("");
    inf_op *op = NULL;

    (void)state;
    r.max_tokens = SET(i32, 1);
    r.temperature = SET(f32, 0);
    r.top_p = SET(f32, 1);
    r.top_k = SET(i32, -1);
    r.min_p = SET(f32, 0);
    r.repetition_penalty = SET(f32, 0.01f);
    r.frequency_penalty = SET(f32, -2);
    r.presence_penalty = SET(f32, 2);
    r.seed = SET(u64, UINT64_MAX);
    r.logprobs = SET(i32, 20);
    r.stop = &stop;
    r.n_stop = 1;
    r.timeout_ms = INT64_MAX;
    r.adapter_id = inf_str("");
    assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
    inf_op_release(op);
    assert_int_equal(inf_adapter_load(provider, "edge", "somewhere", NULL, NULL), INF_OK);
    r.adapter_id = inf_str("edge");
    r.adapter_scale = SET(f32, -3);
    assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
    inf_op_release(op);
    assert_int_equal(inf_adapter_unload(provider, "edge", NULL), INF_OK);
}

static void max_tokens_left_unset_is_4096(void **state)
{
    inf_request r = fake_request("x");
    inf_op *op = NULL;

    (void)state;
    fake_plan(provider, (struct fake_plan){.how = FAKE_HOLD});
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_OK);
    assert_int_equal(op_request(op)->max_tokens.value, 4096);
    assert_false(op_request(op)->max_tokens.is_set);
    finish(fake_take(provider), INF_OK);
    inf_op_release(op);
    fake_plan(provider, (struct fake_plan){.how = FAKE_NOW});
}

/* ------------------------------------------------------------------ the copy */

/* Memory that the test overwrites and frees as soon as the start has returned. */
static inf_text heap_text(const char *s)
{
    char *copy = mem_alloc(strlen(s));

    memcpy(copy, s, strlen(s));
    return (inf_text){copy, strlen(s)};
}

static void spoil(inf_text t)
{
    memset((char *)(uintptr_t)t.data, 'Z', t.len);
    mem_free((void *)(uintptr_t)t.data);
}

static void assert_text(inf_text t, const char *expected)
{
    assert_non_null(t.data);
    assert_int_equal(t.len, strlen(expected));
    assert_memory_equal(t.data, expected, t.len);
    assert_int_equal(t.data[t.len], '\0');
}

static void every_text_of_a_request_is_copied(void **state)
{
    static const size_t fields[] = {
        offsetof(inf_request, messages_json), offsetof(inf_request, template_variables),
        offsetof(inf_request, model), offsetof(inf_request, system_prompt),
        offsetof(inf_request, grammar)};
    inf_request r = fake_request(NULL);
    inf_op *op = NULL;

    (void)state;
    fake_plan(provider, (struct fake_plan){.how = FAKE_HOLD});
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *(inf_text *)(void *)((char *)&r + fields[i]) = heap_text("some text");
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_OK);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *copy = (const char *)op_request(op) + fields[i];

        spoil(*(inf_text *)(void *)((char *)&r + fields[i]));
        assert_text(*(const inf_text *)(const void *)copy, "some text");
    }
    finish(fake_take(provider), INF_OK);
    inf_op_release(op);
}

static void every_list_of_a_request_is_copied(void **state)
{
    inf_message messages[2] = {{heap_text("system"), heap_text("be brief")},
                               {heap_text("user"), heap_text("what is gravity")}};
    inf_text stops[2] = {heap_text("first"), heap_text("second")};
    int32_t ids[3] = {1, 2, 3};
    inf_request r = fake_request(NULL);
    const inf_request *copy = NULL;
    inf_op *op = NULL;

    (void)state;
    r.messages = messages;
    r.n_messages = 2;
    r.stop = stops;
    r.n_stop = 2;
    r.stop_token_ids = ids;
    r.n_stop_token_ids = 3;
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_OK);
    for (size_t i = 0; i < 2; i++) {
        spoil(messages[i].role);
        spoil(messages[i].content);
        spoil(stops[i]);
    }
    memset(messages, 0xff, sizeof messages);
    memset(stops, 0xff, sizeof stops);
    memset(ids, 0xff, sizeof ids);
    memset(&r, 0xff, sizeof r);
    copy = op_request(op);
    assert_text(copy->messages[0].role, "system");
    assert_text(copy->messages[0].content, "be brief");
    assert_text(copy->messages[1].role, "user");
    assert_text(copy->messages[1].content, "what is gravity");
    assert_text(copy->stop[0], "first");
    assert_text(copy->stop[1], "second");
    assert_int_equal(copy->stop_token_ids[2], 3);
    finish(fake_take(provider), INF_OK);
    inf_op_release(op);
    fake_plan(provider, (struct fake_plan){.how = FAKE_NOW});
}

/* ------------------------------------------------------------------ adapters, one or several */

static void one_adapter_has_two_forms(void **state)
{
    inf_request r = fake_request("x");
    inf_result result;
    inf_op *op = NULL;

    (void)state;
    assert_int_equal(inf_adapter_load(provider, "first", "somewhere", NULL, NULL), INF_OK);
    for (int form = 0; form < 2; form++) {
        r.adapter_id = inf_str(form ? "first" : "");
        r.adapter_scale = form ? SET(f32, 2) : (inf_maybe_f32){0};
        r.adapters = two_adapters;
        r.n_adapters = form ? 0 : 1;
        fake_plan(provider, (struct fake_plan){.how = FAKE_HOLD});
        assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_OK);
        assert_text(op_request(op)->adapter_id, "first");
        assert_true(op_request(op)->adapter_scale.is_set);
        assert_int_equal(op_request(op)->n_adapters, 1);
        assert_text(op_request(op)->adapters[0].id, "first");
        assert_true(op_request(op)->adapters[0].scale.value == 2);
        inf_op_cancel(op);
        inf_op_wait(op, -1, NULL);
        inf_op_release(op);
        fake_plan(provider, (struct fake_plan){.how = FAKE_NOW});
        assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
        assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
        assert_text(result.adapter_id, "first");
        assert_int_equal(result.n_adapters, 1);
        assert_text(result.adapters[0].id, "first");
        assert_int_equal(result.adapters[0].generation, result.adapter_generation);
        assert_true(result.adapters[0].scale == 2);
        inf_op_release(op);
    }
    r = fake_request("x");
    assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.n_adapters, 0);
    assert_null(result.adapters);
    inf_op_release(op);
    assert_int_equal(inf_adapter_unload(provider, "first", NULL), INF_OK);
}

static void several_adapters_need_a_backend_that_can(void **state)
{
    static struct provider_ops ops; /* outlives this test: providers are freed in the background */
    inf_request r = fake_request("x");
    inf_provider *able = NULL;
    inf_result_adapter *used = NULL;
    inf_result result;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    r.adapters = two_adapters;
    r.n_adapters = 2;
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "adapters: "));
    ops = fake_ops;
    ops.many_adapters = true;
    able = open_fake(ctx, &ops);
    fake_plan(able, (struct fake_plan){.how = FAKE_HOLD});
    assert_int_equal(inf_generate_start(&op, able, &r, NULL, NULL), INF_OK);
    assert_null(op_request(op)->adapter_id.data);
    assert_int_equal(op_request(op)->n_adapters, 2);
    assert_text(op_request(op)->adapters[1].id, "second");
    assert_true(op_request(op)->adapters[1].scale.value == 1); /* resolved */
    used = mem_calloc(2, sizeof *used);
    used[1] = (inf_result_adapter){.id = inf_str("second"), .generation = 7, .scale = 1};
    op_output(op)->adapters = used;
    op_output(op)->n_adapters = 2;
    finish(fake_take(able), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_null(result.adapter_id.data);
    assert_int_equal(result.adapter_generation, 0);
    assert_int_equal(result.n_adapters, 2);
    assert_int_equal(result.adapters[1].generation, 7);
    inf_op_release(op);
    inf_provider_release(able);
}

static void logits_take_adapters_in_both_forms(void **state)
{
    static const int32_t ids[] = {65};
    inf_logits_request l;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    inf_logits_request_default(&l, sizeof l);
    l.token_ids = ids;
    l.n_token_ids = 1;
    l.adapters = two_adapters;
    l.n_adapters = 1;
    assert_int_equal(inf_adapter_load(provider, "first", "somewhere", NULL, NULL), INF_OK);
    assert_int_equal(inf_logits(&op, provider, &l, NULL), INF_OK);
    inf_op_release(op);
    l.n_adapters = 2;
    assert_int_equal(inf_logits(&op, provider, &l, &err), INF_ERROR_UNSUPPORTED);
    assert_null(op);
    l.n_adapters = 1;
    l.adapter_id = inf_str("first");
    assert_int_equal(inf_logits(&op, provider, &l, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "adapters: "));
    assert_int_equal(inf_adapter_unload(provider, "first", NULL), INF_OK);
}

static void text_may_hold_nul_bytes(void **state)
{
    inf_request r = fake_request(NULL);
    inf_op *op = NULL;

    (void)state;
    fake_plan(provider, (struct fake_plan){.how = FAKE_HOLD});
    r.prompt = (inf_text){"a\0b", 3};
    assert_int_equal(inf_generate_start(&op, provider, &r, NULL, NULL), INF_OK);
    assert_int_equal(op_request(op)->prompt.len, 3);
    assert_memory_equal(op_request(op)->prompt.data, "a\0b", 3);
    finish(fake_take(provider), INF_OK);
    inf_op_release(op);
    fake_plan(provider, (struct fake_plan){.how = FAKE_NOW});
}

/* ------------------------------------------------------------------ the other starts */

static void adapter_ids_are_checked(void **state)
{
    char long_id[258];
    const char *const bad[] = {NULL, "", long_id, "a\nb", "\x7f", "\xff"};
    inf_adapter_source source;
    inf_op *op = NULL;

    (void)state;
    memset(long_id, 'a', 257);
    long_id[257] = '\0';
    inf_adapter_source_default(&source, sizeof source);
    source.path = "somewhere";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        inf_error err;

        assert_int_equal(inf_adapter_load_start(&op, provider, bad[i], &source, NULL, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "adapter id"));
        assert_int_equal(inf_adapter_unload(provider, bad[i], NULL), INF_ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(inf_adapter_load(provider, long_id + 1, "somewhere", NULL, NULL), INF_OK);
    assert_int_equal(inf_adapter_unload(provider, long_id + 1, NULL), INF_OK);
}

static void a_server_makes_the_tokens_itself(void **state)
{
    inf_provider *server = open_fake(ctx, &fake_server_ops);
    inf_request r = fake_request("x");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    r.plain_prompt = true;
    assert_int_equal(inf_generate_start(&op, server, &r, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "plain_prompt: "));
    r.plain_prompt = false;
    r.add_special.is_set = true;
    assert_int_equal(inf_generate_start(&op, server, &r, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "add_special: "));
    r.add_special.is_set = false;
    r.speculate = INF_SPECULATE_OFF;
    assert_int_equal(inf_generate_start(&op, server, &r, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "speculate: "));
    r.speculate = INF_SPECULATE_AUTO;
    r.reference = inf_str("x");
    assert_int_equal(inf_generate_start(&op, server, &r, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "reference: "));
    assert_null(op);
    inf_provider_release(server);
}

static void an_adapter_comes_from_one_place(void **state)
{
    inf_adapter_source s;
    inf_op *op = NULL;

    (void)state;
    inf_adapter_source_default(&s, sizeof s);
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &s, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    s.path = "";
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &s, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    s.path = "somewhere";
    s.weights = inf_str("bytes");
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &s, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    s.weights = inf_str(NULL);
    s.config = inf_str("{}");
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &s, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", NULL, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    s.path = NULL;
    s.weights = inf_str("bytes");
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &s, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    assert_int_equal(inf_adapter_unload(provider, "a", NULL), INF_OK);
}

static void text_and_number_calls_check_what_they_are_given(void **state)
{
    static const int32_t ids[] = {65, 66};
    inf_logits_request l;
    inf_op *op = NULL;

    (void)state;
    assert_int_equal(inf_tokenize_start(&op, provider, inf_str(NULL), true, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_detokenize_start(&op, provider, NULL, 2, true, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_render_start(&op, provider, inf_str(NULL), true, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_logits_start(&op, provider, NULL, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    inf_logits_request_default(&l, sizeof l);
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    l.token_ids = ids;
    l.n_token_ids = 2;
    l.n_probe = 1;
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    l.n_probe = 0;
    l.top = -1;
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    l.top = 0;
    l.adapter_scale = SET(f32, 1);
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    l.adapter_scale = UNSET(f32, 1);
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    l.adapter_scale = (inf_maybe_f32){0};
    l.reserved = 1;
    assert_int_equal(inf_logits_start(&op, provider, &l, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_null(op);
}

/* Every kind of operation has its own getters; asking the wrong one is an error, not a crash. */
static void results_are_read_with_the_getter_of_their_kind(void **state)
{
    static const int32_t ids[] = {65, 66};
    inf_op *tokens = NULL;
    inf_op *text = NULL;
    inf_op *logits = NULL;
    inf_logits_request request;
    inf_result result;
    inf_adapter_report report;
    inf_logits_result l;
    inf_text t;
    const int32_t *got = NULL;
    size_t n = 0;

    (void)state;
    inf_logits_request_default(&request, sizeof request);
    request.token_ids = request.probe = ids;
    request.n_token_ids = request.n_probe = 2;
    assert_int_equal(inf_tokenize_start(&tokens, provider, inf_str("AB"), true, NULL, NULL), 0);
    assert_int_equal(inf_detokenize_start(&text, provider, ids, 2, true, NULL, NULL), 0);
    assert_int_equal(inf_logits_start(&logits, provider, &request, NULL, NULL), 0);
    assert_int_equal(inf_op_tokens(tokens, &got, &n), INF_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[1], 66);
    assert_int_equal(inf_op_text(text, &t), INF_OK);
    assert_int_equal(t.len, 2);
    assert_memory_equal(t.data, "AB", 2);
    assert_int_equal(inf_op_logits(logits, &l, sizeof l), INF_OK);
    assert_int_equal(l.n_probe, 2);
    assert_true(l.probe[1] > 65.5f && l.probe[1] < 66.5f);
    assert_int_equal(inf_op_tokens(text, &got, &n), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_text(tokens, &t), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_logits(tokens, &l, sizeof l), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_result(tokens, &result, sizeof result), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_adapter_report(tokens, &report, sizeof report),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_op_result(NULL, &result, sizeof result), INF_ERROR_INVALID_ARGUMENT);
    inf_op_release(tokens);
    inf_op_release(text);
    inf_op_release(logits);
}

static void a_slot_a_provider_lacks_is_unsupported(void **state)
{
    inf_provider *server = open_fake(ctx, &fake_server_ops);
    inf_provider_stats stats;
    inf_adapter_list *list = NULL;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_provider_load(server, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "vllm"));
    assert_int_equal(inf_provider_unload(server, NULL), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapter_load(server, "a", "p", NULL, NULL), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapter_unload(server, "a", NULL), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_tokenize_start(&op, server, inf_str("x"), true, NULL, NULL),
                     INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_render_start(&op, server, inf_str("x"), true, NULL, NULL),
                     INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_provider_get_stats(server, &stats, sizeof stats, NULL),
                     INF_ERROR_UNSUPPORTED);
    assert_null(op);
    assert_int_equal(inf_adapters(&list, server, NULL), INF_OK); /* a server without adapters */
    assert_int_equal(inf_adapter_list_count(list), 0);
    inf_adapter_list_free(list);
    inf_provider_release(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_refuses_and_says_what),
        cmocka_unit_test(messages_are_looked_into),
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(what_is_for_servers_is_unsupported_in_process),
        cmocka_unit_test(the_edges_of_every_range_are_accepted),
        cmocka_unit_test(max_tokens_left_unset_is_4096),
        cmocka_unit_test(every_text_of_a_request_is_copied),
        cmocka_unit_test(every_list_of_a_request_is_copied),
        cmocka_unit_test(one_adapter_has_two_forms),
        cmocka_unit_test(several_adapters_need_a_backend_that_can),
        cmocka_unit_test(logits_take_adapters_in_both_forms),
        cmocka_unit_test(text_may_hold_nul_bytes),
        cmocka_unit_test(adapter_ids_are_checked),
        cmocka_unit_test(a_server_makes_the_tokens_itself),
        cmocka_unit_test(an_adapter_comes_from_one_place),
        cmocka_unit_test(text_and_number_calls_check_what_they_are_given),
        cmocka_unit_test(results_are_read_with_the_getter_of_their_kind),
        cmocka_unit_test(a_slot_a_provider_lacks_is_unsupported),
    };

    return cmocka_run_group_tests_name("core: request", tests, open_provider, close_provider);
}
