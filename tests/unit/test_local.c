/*
 * Specification of the in-process provider over a front door that has no files and computes nothing: what
 * model_ops is asked for, when, and what it leaves to local.
 */
#include "free_engine.h"

#include "core/provider_state.h"
#include "core/memory.h"
#include "local/local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ the front door */

static const char template[] =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ bos_token }}";

static struct door {
    struct model_facts facts;         /* for the test to set */
    bool takes_back, row_independent; /* its engine */
    int32_t failing_opens, failing_loads;
    int32_t opened, loaded, tokenizers, engines, exact_engines, adapters;
    atomic_int alive; /* two models may be torn down at once */
    struct free_engine engine, exact;
    struct free_adapter adapter;
    pthread_t loader; /* of the last adapter */
    char text[256];   /* the last that was tokenized */
    bool add_special, parse_special;
    char bos; /* what it puts before a text; 0: nothing */
} door;

static int32_t encode(void *impl, inf_text text, bool add_special, bool parse_special,
                      int32_t **ids, int32_t *n, inf_error *err)
{
    int32_t *made = mem_alloc((text.len + 1) * sizeof *made);
    size_t bos = add_special && door.bos;

    (void)impl;
    if (!made)
        return error_no_memory(err);
    if (bos)
        made[0] = (unsigned char)door.bos;
    for (size_t i = 0; i < text.len; i++)
        made[bos + i] = (unsigned char)text.data[i];
    snprintf(door.text, sizeof door.text, "%.*s", (int)text.len, text.data);
    door.add_special = add_special;
    door.parse_special = parse_special;
    *ids = made;
    *n = (int32_t)(bos + text.len);
    return INF_OK;
}

static int32_t decode(void *impl, const int32_t *ids, size_t n, bool skip_special,
                      struct buffer *out, inf_error *err)
{
    (void)impl, (void)skip_special;
    for (size_t i = 0; i < n; i++)
        if (!free_tokenizer.ops->token_text(NULL, ids[i], out))
            return error_no_memory(err);
    return INF_OK;
}

static int32_t create(void **model, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    (void)ctx, (void)config;
    *model = &door;
    return error_none(err);
}

static void destroy(void *model)
{
    (void)model;
    assert_int_equal(door.alive, 0);
}

static int32_t open_model(void *model, struct model_facts *facts, inf_error *err)
{
    struct door *d = model;

    if (d->failing_opens-- > 0)
        return error_set(err, INF_ERROR_IO, "cannot open");
    d->opened++;
    *facts = d->facts;
    return INF_OK;
}

static int32_t load(void *model, bool tokenizer_only, inf_op *op, struct loaded_model *out,
                    inf_error *err)
{
    static struct tokenizer_ops ops;
    struct door *d = model;

    assert_non_null(op);
    if (d->failing_loads-- > 0)
        return error_set(err, INF_ERROR_BACKEND, "cannot load");
    d->tokenizers += tokenizer_only;
    d->loaded += !tokenizer_only;
    d->alive++;
    ops = *free_tokenizer.ops;
    ops.encode = encode;
    ops.decode = decode;
    *out = (struct loaded_model){d, {&ops, NULL, FREE_N_VOCAB}};
    return INF_OK;
}

static void unload(void *loaded)
{
    ((struct door *)loaded)->alive--;
}

static void free_made_engine(void *engine)
{
    free_engine_free(engine);
    door.alive--;
}

static int32_t make_engine(void *model, const struct loaded_model *loaded,
                           const struct engine_options *options, struct engine *out, inf_error *err)
{
    static struct engine_ops ops;
    struct door *d = model;
    struct free_engine *e = options->exact ? &d->exact : &d->engine;
    struct engine_limits limits = {.max_slots = options->max_slots,
                                   .max_context = options->max_context,
                                   .max_tokens = 64,
                                   .takes_back = d->takes_back,
                                   .row_independent = d->row_independent,
                                   .n_vocab = FREE_N_VOCAB};

    assert_ptr_equal(loaded->impl, model);
    assert_true(options->n_threads > 0);
    if (!free_engine_init(e, &limits))
        return error_no_memory(err);
    d->engines += !options->exact;
    d->exact_engines += options->exact;
    d->alive++;
    ops = *e->engine.ops;
    ops.free = free_made_engine;
    *out = e->engine;
    out->ops = &ops;
    return INF_OK;
}

static int32_t adapter_load(void *model, struct adapter_source *source, const inf_op *op,
                            void **adapter, size_t *bytes, inf_adapter_report *report,
                            inf_error *err)
{
    struct door *d = model;
    const char *what = source->path ? source->path : source->weights.data;

    assert_non_null(op);
    source->put_off = source->in_start && strcmp(what, "of weights") == 0;
    if (source->put_off)
        return INF_OK;
    if (source->path)
        usleep(20000);
    d->loader = pthread_self();
    if (strcmp(what, "good") != 0 && strcmp(what, "of weights") != 0)
        return error_set(err, INF_ERROR_MISMATCH, "it does not fit");
    d->adapters++;
    report->rank = 8;
    *adapter = &d->adapter;
    *bytes = 100;
    return INF_OK;
}

static int32_t adapters_check(const struct adapter_set *set, inf_error *err)
{
    (void)set;
    (void)err;
    return INF_OK;
}

static void adapter_free(void *adapter)
{
    if (adapter)
        door.adapters--;
}

static int32_t create_provider(void **impl, inf_context *ctx, const inf_provider_config *config,
                               inf_error *err)
{
    static const struct model_ops ops = {.how_to_set = "open a door",
                                         .create = create,
                                         .destroy = destroy,
                                         .open = open_model,
                                         .load = load,
                                         .make_engine = make_engine,
                                         .unload = unload,
                                         .adapter_load = adapter_load,
                                         .adapter_free = adapter_free,
                                         .adapters_check = adapters_check};

    return local_create(impl, &ops, ctx, config, err);
}

/* ------------------------------------------------------------------ helpers */

static inf_context *ctx;
static inf_provider *provider;
static int64_t live;

static const struct chat_token special[] = {{"bos_token", "<s>"}, {"pad_token", ""}};

static int open_door(void **state)
{
    (void)state;
    live = mem_live();
    memset(&door, 0, sizeof door);
    door.facts = (struct model_facts){
        .window = 64,
        .window_bytes = 1000,
        .n_ctx_train = 1000,
        .special_tokens = special,
        .n_special_tokens = 2,
        .default_sampling = {.top_p = 1, .repetition_penalty = 1, .penalty_last_n = -1}};
    return inf_context_create(&ctx, NULL, NULL);
}

static int close_door(void **state)
{
    (void)state;
    inf_provider_release(provider);
    provider = NULL;
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    assert_int_equal(door.alive, 0);
    assert_int_equal(door.adapters, 0);
    assert_int_equal(mem_live(), live);
    return 0;
}

static int32_t try_provider(const char *path, uint64_t kv_budget)
{
    static const struct provider_ops ops = {.type = INF_PROVIDER_LLAMACPP,
                                            .in_process = true,
                                            .create = create_provider,
                                            LOCAL_PROVIDER_SLOTS};
    inf_provider_config config;

    inf_provider_config_default(&config, sizeof config);
    config.base_url = path;
    config.max_sequences = 4;
    if (kv_budget)
        config.kv_budget_bytes = kv_budget;
    return provider_create_with_ops(&provider, ctx, &ops, &config, NULL);
}

static void make_provider(const char *path)
{
    assert_int_equal(try_provider(path, 0), INF_OK);
}

static inf_request request_of(const char *prompt)
{
    inf_request r;

    inf_request_default(&r, sizeof r);
    r.prompt = inf_str(prompt);
    r.max_tokens.value = 5;
    r.max_tokens.is_set = true;
    return r;
}

static void assert_answer(const inf_request *r, const char *rendered, bool add_special)
{
    inf_op *op = NULL;
    inf_error err = {0};
    inf_result result;
    char expected[8];

    if (inf_generate(&op, provider, r, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    free_expect(rendered, 0, 5, expected);
    assert_string_equal(door.text, rendered);
    assert_int_equal(door.add_special, add_special);
    assert_int_equal(result.prompt_tokens, (int64_t)strlen(rendered));
    assert_int_equal(result.text.len, strlen(expected));
    assert_memory_equal(result.text.data, expected, result.text.len);
    assert_string_equal(door.engine.complaint, "");
    inf_op_release(op);
}

static void assert_refused(const inf_request *r, int32_t code, const char *why)
{
    inf_op *op = NULL;
    inf_error err = {0};

    assert_int_equal(inf_generate(&op, provider, r, &err), code);
    if (!strstr(err.message, why))
        fail_msg("'%s' is not in: %s", why, err.message);
    inf_op_release(op);
}

/* ------------------------------------------------------------------ requests */

static void test_local__options_left_unset__are_the_front_doors(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    make_provider("model"); /* greedy, here */
    assert_answer(&r, "abc", true);
    assert_answer(&r, "abc", true);
    assert_int_equal(door.opened, 1);
    assert_int_equal(door.loaded, 1);
    assert_int_equal(door.engines, 1);
}

static void test_local__system_prompt_beside_a_prompt__goes_before_it(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    r.system_prompt = inf_str("be brief");
    door.facts.chat_template = inf_str(template);
    make_provider("model");
    assert_answer(&r, "be brief\n\nabc", true);
}

static void test_local__system_prompt_that_is_a_message__goes_through_the_template(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    r.system_prompt = inf_str("be brief");
    door.facts.chat_template = inf_str(template);
    door.facts.system_prompt_is_message = true;
    make_provider("model");
    assert_answer(&r, "[system]be brief[user]abc<s>", false);
    r.system_prompt = (inf_text){0};
    assert_answer(&r, "abc", true);
}

static void test_local__chats_with_tools__go_through_the_template_for_them(void **state)
{
    inf_message message = {inf_str("user"), inf_str("abc")};
    inf_request r = request_of("");

    (void)state;
    r.prompt = inf_str(NULL);
    r.messages = &message;
    r.n_messages = 1;
    door.facts.chat_template = inf_str(template);
    door.facts.tools_template = inf_str("{{ tools|length }} tools{{ pad_token is defined }}");
    make_provider("model");
    assert_answer(&r, "[user]abc<s>", false);
    r.tools = inf_str("[]");
    assert_answer(&r, "0 toolsFalse", false);
    r.tools = inf_str(NULL);
    r.template_variables = inf_str("{\"tools\": [{}, {}]}");
    assert_answer(&r, "2 toolsFalse", false);
    r.template_variables = inf_str("{\"tools\": null}");
    assert_answer(&r, "[user]abc<s>", false);
}

static void test_local__system_prompt_without_a_template__goes_before_the_prompt(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    r.system_prompt = inf_str("be brief");
    door.facts.system_prompt_is_message = true;
    make_provider("model");
    assert_answer(&r, "be brief\n\nabc", true);
}

static int64_t prompt_tokens(const inf_request *r)
{
    inf_op *op = NULL;
    inf_error err = {0};
    inf_result result;

    if (inf_generate(&op, provider, r, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    inf_op_release(op);
    return result.prompt_tokens;
}

static void test_local__a_prompt_that_begins_with_the_token_put_first__gets_no_second(void **state)
{
    inf_request r = request_of("^ab");

    (void)state;
    door.bos = '^';
    make_provider("model");
    assert_int_equal(prompt_tokens(&r), 3);
    r.add_special = (inf_maybe_bool){true, true}; /* asked for */
    assert_int_equal(prompt_tokens(&r), 4);
    r.add_special.value = false;
    assert_int_equal(prompt_tokens(&r), 3);
    r = request_of("ab");
    assert_int_equal(prompt_tokens(&r), 3);
    r.add_special = (inf_maybe_bool){true, false};
    assert_int_equal(prompt_tokens(&r), 2);
    r = request_of("aab"); /* two alike, of which none was put there */
    assert_int_equal(prompt_tokens(&r), 4);
    door.bos = 0;
    assert_int_equal(prompt_tokens(&r), 3);
}

static void test_local__a_plain_prompt__is_text_all_through(void **state)
{
    inf_request r = request_of("<s>");

    (void)state;
    door.facts.chat_template = inf_str(template);
    door.facts.system_prompt_is_message = true;
    make_provider("model");
    assert_answer(&r, "<s>", true);
    assert_true(door.parse_special);
    r.plain_prompt = true;
    assert_answer(&r, "<s>", true);
    assert_false(door.parse_special);
    r.system_prompt = inf_str("be brief");
    assert_refused(&r, INF_ERROR_UNSUPPORTED, "plain_prompt");
    door.facts.system_prompt_is_message = false;
}

/* Answers, and what was tokenized last is the reference, if anything is drafted from it. */
static void assert_drafts(int32_t speculate, bool drafts)
{
    inf_request r = request_of("abc");
    inf_op *op = NULL;
    inf_result result;
    char expected[8];

    r.speculate = speculate;
    r.reference = inf_str(speculate == INF_SPECULATE_OFF ? NULL : "xyz");
    assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
    assert_string_equal(door.text, drafts ? "xyz" : "abc");
    assert_true(!drafts || (!door.add_special && !door.parse_special));
    free_expect("abc", 0, 5, expected);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 5);
    assert_memory_equal(result.text.data, expected, 5);
    inf_op_release(op);
}

static void test_local__speculation__is_refused_where_nothing_can_be_taken_back(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    door.row_independent = true;
    make_provider("model");
    assert_drafts(INF_SPECULATE_AUTO, false);
    assert_drafts(INF_SPECULATE_OFF, false);
    r.speculate = INF_SPECULATE_LOOKUP;
    assert_refused(&r, INF_ERROR_UNSUPPORTED, "speculate: ");
    assert_drafts(INF_SPECULATE_AUTO, false); /* nothing is left of the refused one */
}

static void test_local__speculation__by_itself_where_bits_do_not_depend_on_it(void **state)
{
    (void)state;
    door.takes_back = true;
    make_provider("model");
    assert_drafts(INF_SPECULATE_AUTO, false);
    assert_drafts(INF_SPECULATE_LOOKUP, true);
    inf_provider_release(provider);
    door.row_independent = true;
    make_provider("model");
    assert_drafts(INF_SPECULATE_AUTO, true);
    assert_drafts(INF_SPECULATE_OFF, false);
    assert_drafts(INF_SPECULATE_LOOKUP, true);
}

static void test_local__messages__need_a_template(void **state)
{
    inf_message message = {.role = inf_str("user"), .content = inf_str("abc")};
    inf_request r = request_of("");

    (void)state;
    r.prompt = (inf_text){0};
    r.messages = &message;
    r.n_messages = 1;
    make_provider("model");
    assert_refused(&r, INF_ERROR_UNSUPPORTED, "model has no chat template");
    inf_provider_release(provider);
    door.facts.chat_template = inf_str(template);
    make_provider("model");
    assert_answer(&r, "[user]abc<s>", false);
}

static void test_local__a_prompt_as_long_as_the_window__does_not_fit(void **state)
{
    inf_request r = request_of("0123456789");

    (void)state;
    door.facts.window = 10;
    make_provider("model");
    assert_refused(&r, INF_ERROR_CONTEXT_FULL, "raise n_ctx");
    inf_provider_release(provider);
    door.facts.window_of = "learned positions";
    make_provider("model");
    assert_refused(&r, INF_ERROR_CONTEXT_FULL, "10 learned positions");
}

static void test_local__a_grammar__is_followed_over_any_tokenizer(void **state)
{
    inf_request r = request_of("abc");
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    make_provider("model");
    r.grammar = inf_str("root ::= \"yes\"");
    assert_int_equal(inf_generate(&op, provider, &r, NULL), INF_OK);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(result.text.len, 3);
    assert_memory_equal(result.text.data, "yes", 3);
    inf_op_release(op);
}

/* ------------------------------------------------------------------ a model's life */

static void test_local__without_a_model__the_front_door_says_what_to_do(void **state)
{
    inf_request r = request_of("abc");
    inf_op *op = NULL;
    inf_error err = {0};

    (void)state;
    make_provider("");
    assert_refused(&r, INF_ERROR_INVALID_ARGUMENT, "no model is set; open a door");
    assert_int_equal(inf_adapter_load(provider, "a", "good", NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "open a door"));
    assert_int_equal(inf_tokenize_start(&op, provider, inf_str("a"), true, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "open a door"));
    inf_op_release(op);
    assert_int_equal(door.opened, 0);
}

static void test_local__what_failed__is_tried_again_by_the_next(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    door.failing_opens = 1;
    door.failing_loads = 1;
    make_provider("model");
    assert_refused(&r, INF_ERROR_IO, "cannot open");
    assert_refused(&r, INF_ERROR_BACKEND, "cannot load");
    assert_answer(&r, "abc", true);
    assert_int_equal(door.opened, 1);
}

static void test_local__a_budget_below_one_window__is_told_before_loading(void **state)
{
    inf_request r = request_of("abc");

    (void)state;
    assert_int_equal(try_provider("model", 999), INF_OK);
    assert_refused(&r, INF_ERROR_LIMIT, "one window of 64 tokens");
    assert_int_equal(door.loaded, 0);
    inf_provider_release(provider);
    assert_int_equal(try_provider("model", 2999), INF_OK);
    assert_answer(&r, "abc", true);
    assert_int_equal(door.engine.engine.limits.max_slots, 2);
}

static void test_local__text__needs_the_tokenizer_alone(void **state)
{
    inf_request r = request_of("abc");
    const int32_t ids[] = {'h', 'i'};
    inf_op *op = NULL;
    inf_text text;

    (void)state;
    make_provider("model");
    assert_int_equal(inf_detokenize_start(&op, provider, ids, 2, false, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    assert_memory_equal(text.data, "hi", 2);
    inf_op_release(op);
    assert_int_equal(door.tokenizers, 1);
    assert_int_equal(door.loaded, 0);
    assert_answer(&r, "abc", true);
    assert_int_equal(inf_provider_unload(provider, NULL), INF_OK);
    assert_int_equal(inf_tokenize_start(&op, provider, inf_str("a"), true, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    assert_int_equal(door.tokenizers, 2);
    assert_int_equal(door.loaded, 1);
}

static void test_local__logits__come_from_an_exact_engine(void **state)
{
    const int32_t ids[] = {'a', 'b'};
    inf_logits_request r;
    inf_op *op = NULL;

    (void)state;
    make_provider("model");
    inf_logits_request_default(&r, sizeof r);
    r.token_ids = ids;
    r.n_token_ids = 2;
    assert_int_equal(inf_logits_start(&op, provider, &r, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    inf_op_release(op);
    assert_int_equal(door.exact_engines, 1);
    assert_int_equal(door.exact.engine.limits.max_slots, 1);
    assert_string_equal(door.exact.complaint, "");
}

static void test_local__adapters__are_checked_without_loading_the_model(void **state)
{
    inf_request r = request_of("abc");
    inf_adapter_report report = {.struct_size = sizeof report};
    inf_error err = {0};

    (void)state;
    make_provider("model");
    r.adapter_id = inf_str("a");
    assert_refused(&r, INF_ERROR_INVALID_ARGUMENT, "adapter 'a' is not loaded");
    assert_int_equal(inf_adapter_load(provider, "a", "bad", NULL, &err), INF_ERROR_MISMATCH);
    assert_int_equal(inf_adapter_load(provider, "a", "good", &report, &err), INF_OK);
    assert_int_equal(report.rank, 8);
    assert_int_equal(report.bytes, 100);
    assert_int_equal(door.opened, 1);
    assert_int_equal(door.loaded, 0);
    assert_int_equal(inf_adapter_unload(provider, "a", &err), INF_OK);
    assert_int_equal(door.adapters, 0);
}

/* The text at the beginning of n bytes. What the operation ended in, and whether it had when its start returned. */
static int32_t load_bytes(const char *text, size_t n, bool *at_once)
{
    char *bytes = calloc(1, n);
    inf_adapter_source source;
    inf_error err = {0};
    inf_op *op = NULL;
    int32_t code = INF_OK;

    inf_adapter_source_default(&source, sizeof source);
    source.weights = (inf_text){strcpy(bytes, text), n};
    assert_int_equal(inf_adapter_load_start(&op, provider, "a", &source, NULL, &err), INF_OK);
    memset(bytes, 0, n);
    free(bytes);
    *at_once = inf_op_poll(op);
    code = inf_op_wait(op, -1, &err);
    *at_once = *at_once && pthread_equal(door.loader, pthread_self());
    inf_op_release(op);
    return code;
}

static void test_local__adapter_from_memory__is_made_by_its_start_once_the_files_were_read(
    void **state)
{
    const size_t few = 100, many = ((size_t)32 << 20) + 1;
    bool at_once = true;

    (void)state;
    make_provider("model");
    assert_int_equal(load_bytes("good", few, &at_once), INF_OK);
    assert_false(at_once);
    assert_int_equal(load_bytes("good", few, &at_once), INF_OK);
    assert_true(at_once);
    assert_int_equal(load_bytes("bad", few, &at_once), INF_ERROR_MISMATCH);
    assert_true(at_once);
    assert_int_equal(load_bytes("good", many, &at_once), INF_OK);
    assert_false(at_once);
    assert_int_equal(load_bytes("of weights", few, &at_once), INF_OK);
    assert_false(at_once);
    assert_int_equal(door.opened, 1);
    assert_int_equal(door.adapters, 1);
}

static uint64_t generation_of(inf_op *op)
{
    inf_adapter_report report = {.struct_size = sizeof report};
    inf_error err = {0};

    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(inf_op_adapter_report(op, &report, sizeof report), INF_OK);
    inf_op_release(op);
    return report.generation;
}

static void test_local__adapters_of_one_id__come_in_the_order_of_their_starts(void **state)
{
    inf_adapter_source path, bytes;
    inf_op *first = NULL, *second = NULL;
    inf_error err = {0};
    bool at_once = false;

    (void)state;
    make_provider("model");
    assert_int_equal(load_bytes("good", 100, &at_once), INF_OK);
    inf_adapter_source_default(&path, sizeof path);
    path.path = "good";
    inf_adapter_source_default(&bytes, sizeof bytes);
    bytes.weights = (inf_text){"good", 5};
    assert_int_equal(inf_adapter_load_start(&first, provider, "a", &path, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_load_start(&second, provider, "a", &bytes, NULL, &err), INF_OK);
    assert_int_equal(generation_of(first) + 1, generation_of(second));
}

/* ------------------------------------------------------------------ allocations */

/* Everything once, in order. The first error, or INF_OK. */
static int32_t use_it_all(inf_error *err)
{
    inf_request r = request_of("abc");
    inf_op *op = NULL;
    int32_t code = try_provider("model", 0);

    if (code == INF_OK)
        code = inf_adapter_load(provider, "a", "good", NULL, err);
    r.adapter_id = inf_str("a");
    r.grammar = inf_str("root ::= [a-z]+");
    if (code == INF_OK)
        code = inf_generate(&op, provider, &r, err);
    inf_op_release(op);
    if (code == INF_OK)
        code = inf_adapter_unload(provider, "a", err);
    if (code == INF_OK)
        code = inf_provider_unload(provider, err);
    inf_provider_release(provider);
    provider = NULL;
    return code;
}

static void test_local__each_allocation_failing__leaves_nothing_behind(void **state)
{
    int32_t code = INF_ERROR_NO_MEMORY;
    inf_error err = {0};
    int64_t n = 0;

    while (code != INF_OK) {
        mem_fail_nth(++n);
        code = use_it_all(&err);
        mem_fail_nth(0);
        /* A grammar's matcher gives up out of memory as it does at too many ways. */
        if (code != INF_OK && code != INF_ERROR_NO_MEMORY && !strstr(err.message, "many ways"))
            fail_msg("allocation %d: %s", (int)n, err.message);
        close_door(state);
        open_door(state);
    }
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_door, close_door)
        TEST(test_local__options_left_unset__are_the_front_doors),
        TEST(test_local__system_prompt_beside_a_prompt__goes_before_it),
        TEST(test_local__system_prompt_that_is_a_message__goes_through_the_template),
        TEST(test_local__chats_with_tools__go_through_the_template_for_them),
        TEST(test_local__system_prompt_without_a_template__goes_before_the_prompt),
        TEST(test_local__a_prompt_that_begins_with_the_token_put_first__gets_no_second),
        TEST(test_local__a_plain_prompt__is_text_all_through),
        TEST(test_local__speculation__is_refused_where_nothing_can_be_taken_back),
        TEST(test_local__speculation__by_itself_where_bits_do_not_depend_on_it),
        TEST(test_local__messages__need_a_template),
        TEST(test_local__a_prompt_as_long_as_the_window__does_not_fit),
        TEST(test_local__a_grammar__is_followed_over_any_tokenizer),
        TEST(test_local__without_a_model__the_front_door_says_what_to_do),
        TEST(test_local__what_failed__is_tried_again_by_the_next),
        TEST(test_local__a_budget_below_one_window__is_told_before_loading),
        TEST(test_local__text__needs_the_tokenizer_alone),
        TEST(test_local__logits__come_from_an_exact_engine),
        TEST(test_local__adapters__are_checked_without_loading_the_model),
        TEST(test_local__adapter_from_memory__is_made_by_its_start_once_the_files_were_read),
        TEST(test_local__adapters_of_one_id__come_in_the_order_of_their_starts),
        TEST(test_local__each_allocation_failing__leaves_nothing_behind)};

    return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
