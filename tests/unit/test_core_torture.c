/*
 * torture: every allocation made to fail once. A scenario runs over and over, the n-th allocation
 * failing for n = 1, 2, ... until it gets through without meeting one. However it ends: success or
 * NO_MEMORY, on_done once for each operation started, no memory left behind, and text that was
 * delivered is the text.
 */
#include "fake_backend.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PIECES 5

struct run {
    inf_context *ctx;
    inf_provider *p;
    inf_callbacks callbacks;
    int32_t delivery;
    int32_t code;    /* of the first call that failed */
    int32_t started; /* operations with callbacks */
    _Atomic int32_t n_done;
    _Atomic size_t delivered; /* bytes of text of the last generate */
};

static void on_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct run *r = user_data;

    (void)op;
    atomic_fetch_add(&r->delivered, chunk->text.len);
}

static void on_done(void *user_data, inf_op *op)
{
    struct run *r = user_data;

    (void)op;
    atomic_fetch_add(&r->n_done, 1);
}

static bool passed(struct run *r, int32_t code)
{
    r->code = code;
    return code == INF_OK;
}

/* ------------------------------------------------------------------ the steps */

static bool open_run(struct run *r)
{
    inf_context_options options;
    inf_provider_config config;

    inf_callbacks_default(&r->callbacks, sizeof r->callbacks);
    if (r->delivery == INF_DELIVERY_CALLBACKS) {
        r->callbacks.on_token = on_token;
        r->callbacks.on_done = on_done;
    }
    r->callbacks.user_data = r;
    inf_context_options_default(&options, sizeof options);
    options.delivery = r->delivery;
    options.preparation_threads = 2;
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_LLAMACPP;
    config.base_url = "model";
    config.max_adapters = 1;
    config.adapter_overflow = INF_ADAPTER_OVERFLOW_EVICT;
    if (!passed(r, inf_context_create(&r->ctx, &options, NULL)) ||
        !passed(r, inf_provider_create(&r->p, r->ctx, &config, NULL)))
        return false;
    fake_plan(r->p, (struct fake_plan){.how = FAKE_LATER, .piece = "piece ", .n_pieces = PIECES});
    return true;
}

static bool get_from_the_cache(struct run *r)
{
    inf_provider *p = NULL;
    bool ok = passed(r, inf_provider_get(&p, r->ctx, "vllm", "u", NULL, NULL));

    inf_provider_release(p);
    return ok;
}

static bool end_plain(struct run *r, inf_op *op, int32_t code)
{
    if (passed(r, code))
        passed(r, inf_op_wait(op, -1, NULL));
    inf_op_release(op);
    return r->code == INF_OK;
}

static bool load_adapters(struct run *r)
{
    inf_adapter_source source;
    inf_op *op = NULL;
    int32_t code = INF_OK;

    if (!passed(r, inf_adapter_load(r->p, "first", "path", NULL, NULL)))
        return false;
    inf_adapter_source_default(&source, sizeof source);
    source.weights = inf_str("weights");
    source.config = inf_str("{}");
    code = inf_adapter_load_start(&op, r->p, "second", &source, NULL, NULL); /* evicts the first */
    return end_plain(r, op, code);
}

static bool list_adapters(struct run *r)
{
    inf_adapter_list *list = NULL;
    bool ok = passed(r, inf_adapters(&list, r->p, NULL));

    if (ok)
        assert_int_equal(inf_adapter_list_count(list), 1);
    inf_adapter_list_free(list);
    return ok;
}

/* Pulls until the operation's DONE. */
static bool pull_all(struct run *r)
{
    int32_t before = r->n_done;

    while (r->n_done == before) {
        inf_event events[2];
        size_t n = 0;

        if (!passed(r, inf_context_next(r->ctx, events, sizeof(inf_event), 2, &n, -1, NULL)))
            return false;
        for (size_t i = 0; i < n; i++) {
            r->n_done += events[i].kind == INF_EVENT_DONE;
            r->delivered += events[i].kind == INF_EVENT_TOKEN ? events[i].chunk.text.len : 0;
        }
    }
    return true;
}

static bool generate(struct run *r)
{
    inf_request request = fake_request("hello");
    inf_result result;
    inf_op *op = NULL;
    bool delivered = true;

    request.adapter_id = inf_str("second");
    r->delivered = 0;
    if (!passed(r, inf_generate_start(&op, r->p, &request, &r->callbacks, NULL))) {
        assert_null(op);
        return false;
    }
    r->started++;
    if (r->delivery == INF_DELIVERY_QUEUE)
        delivered = pull_all(r);
    if (delivered) {
        passed(r, inf_op_wait(op, -1, NULL));
        assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
        assert_int_equal(r->delivered, result.text.len);
        if (r->code == INF_OK)
            assert_int_equal(result.text.len, PIECES * strlen("piece "));
    }
    inf_op_release(op);
    return r->code == INF_OK;
}

static bool text_and_numbers(struct run *r)
{
    static const int32_t ids[] = {65, 66};
    inf_logits_request logits;
    inf_op *op = NULL;
    int32_t code = inf_tokenize_start(&op, r->p, inf_str("text"), true, NULL, NULL);

    if (!end_plain(r, op, code))
        return false;
    code = inf_detokenize_start(&op, r->p, ids, 2, true, NULL, NULL);
    if (!end_plain(r, op, code))
        return false;
    code = inf_render_start(&op, r->p, inf_str("[]"), true, NULL, NULL);
    if (!end_plain(r, op, code))
        return false;
    inf_logits_request_default(&logits, sizeof logits);
    logits.token_ids = ids;
    logits.n_token_ids = 2;
    code = inf_logits_start(&op, r->p, &logits, NULL, NULL);
    if (!end_plain(r, op, code))
        return false;
    code = inf_inspect_start(&op, r->ctx, "path", "base", NULL, NULL);
    return end_plain(r, op, code);
}

static bool load_and_unload(struct run *r)
{
    return passed(r, inf_provider_load(r->p, NULL)) && passed(r, inf_provider_unload(r->p, NULL)) &&
           passed(r, inf_adapter_unload(r->p, "second", NULL));
}

/* Something in flight when the context closes. */
static bool leave_one_running(struct run *r)
{
    inf_request request = fake_request("hello");
    inf_op *op = NULL;

    fake_plan(r->p, (struct fake_plan){.how = FAKE_HOLD});
    if (!passed(r, inf_generate_start(&op, r->p, &request, &r->callbacks, NULL)))
        return false;
    r->started++;
    inf_op_release(op);
    return true;
}

/* ------------------------------------------------------------------ the scenario */

static int32_t play(int32_t delivery)
{
    struct run r = {.delivery = delivery};

    if (open_run(&r) && get_from_the_cache(&r) && load_adapters(&r) && list_adapters(&r) &&
        generate(&r) && text_and_numbers(&r) && load_and_unload(&r))
        leave_one_running(&r);
    inf_provider_release(r.p);
    assert_int_equal(inf_context_close(r.ctx, NULL), INF_OK);
    if (delivery == INF_DELIVERY_CALLBACKS)
        assert_int_equal(r.n_done, r.started);
    return r.code;
}

static void fail_each_allocation(int32_t delivery)
{
    bool met = true; /* the run had an nth allocation */
    int32_t n_failed = 0;

    for (int64_t nth = 1; met; nth++) {
        int32_t code = INF_OK;

        mem_fail_nth(0);
        mem_fail_nth(nth);
        code = play(delivery);
        met = mem_fail_nth(0) >= nth;
        if (code != INF_OK && code != INF_ERROR_NO_MEMORY)
            fail_msg("allocation %d: %s", (int)nth, inf_error_name(code));
        if (!met)
            assert_int_equal(code, INF_OK);
        n_failed += code == INF_ERROR_NO_MEMORY;
        assert_int_equal(mem_live(), 0);
        assert_int_equal(fake_alive(), 0);
        assert_int_equal(fake_in_flight(), 0);
    }
    assert_true(n_failed > 40); /* most of them are noticed; what is not, harms nothing */
}

static void every_allocation_fails_once_with_callbacks(void **state)
{
    (void)state;
    fail_each_allocation(INF_DELIVERY_CALLBACKS);
}

static void every_allocation_fails_once_with_a_queue(void **state)
{
    (void)state;
    fail_each_allocation(INF_DELIVERY_QUEUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails_once_with_callbacks),
        cmocka_unit_test(every_allocation_fails_once_with_a_queue),
    };

    return cmocka_run_group_tests_name("core: torture", tests, NULL, NULL);
}
