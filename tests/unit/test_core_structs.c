/*
 * structs: a program built against an older or a newer header meets this library. Defaults write at
 * most `size` bytes, a shorter struct gets defaults for what it lacks, and an option that this
 * version does not know is an error, never ignored.
 */
#include "fake_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ defaults */

struct option_struct {
    const char *name;
    void (*fill)(void *x, size_t size);
    size_t size;
};

#define DEFAULTS_OF(type)                                                                          \
    static void fill_##type(void *x, size_t size)                                                  \
    {                                                                                              \
        inf_##type##_default(x, size);                                                             \
    }
DEFAULTS_OF(context_options)
DEFAULTS_OF(callbacks)
DEFAULTS_OF(provider_config)
DEFAULTS_OF(request)
DEFAULTS_OF(adapter_source)
DEFAULTS_OF(logits_request)

static const struct option_struct option_structs[] = {
    {"context_options", fill_context_options, sizeof(inf_context_options)},
    {"callbacks", fill_callbacks, sizeof(inf_callbacks)},
    {"provider_config", fill_provider_config, sizeof(inf_provider_config)},
    {"request", fill_request, sizeof(inf_request)},
    {"adapter_source", fill_adapter_source, sizeof(inf_adapter_source)},
    {"logits_request", fill_logits_request, sizeof(inf_logits_request)},
};

#define N_STRUCTS (sizeof option_structs / sizeof *option_structs)

static void defaults_write_at_most_size_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        const struct option_struct *s = &option_structs[i];

        for (size_t size = sizeof size; size <= s->size + 64; size += 4) {
            unsigned char bytes[1024];
            size_t written = 0;

            assert_true(s->size + 64 < sizeof bytes);
            memset(bytes, 0xa5, sizeof bytes);
            s->fill(bytes, size);
            memcpy(&written, bytes, sizeof written);
            assert_int_equal(written, size);
            for (size_t at = size; at < sizeof bytes; at++)
                assert_int_equal(bytes[at], 0xa5);
            for (size_t at = s->size; at < size; at++)
                assert_int_equal(bytes[at], 0);
        }
    }
}

static void no_room_for_the_size_writes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        unsigned char bytes[16];

        for (size_t size = 0; size < sizeof size; size++) {
            memset(bytes, 0xa5, sizeof bytes);
            option_structs[i].fill(bytes, size);
            for (size_t at = 0; at < sizeof bytes; at++)
                assert_int_equal(bytes[at], 0xa5);
        }
        option_structs[i].fill(NULL, 100);
    }
}

static void defaults_of_the_context(void **state)
{
    inf_context_options o;
    inf_callbacks c;

    (void)state;
    inf_context_options_default(&o, sizeof o);
    assert_int_equal(o.struct_size, sizeof o);
    assert_int_equal(o.delivery, INF_DELIVERY_CALLBACKS);
    assert_int_equal(o.preparation_threads, 1);
    assert_int_equal(o.log_level, INF_LOG_WARNING);
    assert_null(o.log);
    assert_null(o.log_user_data);
    inf_callbacks_default(&c, sizeof c);
    assert_true(!c.on_token && !c.on_progress && !c.on_done && !c.user_data);
}

static void defaults_of_the_provider(void **state)
{
    inf_provider_config c;

    (void)state;
    inf_provider_config_default(&c, sizeof c);
    assert_int_equal(c.type, 0);
    assert_null(c.base_url);
    assert_int_equal(c.n_ctx, 4096);
    assert_int_equal(c.n_gpu_layers, -1);
    assert_int_equal(c.n_threads, 0);
    assert_int_equal(c.max_sequences, 16);
    assert_int_equal(c.queue_limit, 1024);
    assert_int_equal(c.prefill_chunk, 128);
    assert_int_equal(c.flash_attention, INF_FLASH_ATTENTION_AUTO);
    assert_int_equal(c.adapter_execution, INF_ADAPTERS_AUTO);
    assert_true(c.kv_budget_bytes == UINT64_C(4) << 30);
    assert_int_equal(c.max_adapters, 0);
    assert_int_equal(c.max_adapter_bytes, 0);
    assert_int_equal(c.adapter_overflow, INF_ADAPTER_OVERFLOW_REFUSE);
}

static void defaults_of_a_request(void **state)
{
    inf_request r;
    inf_adapter_source s;
    inf_logits_request l;

    (void)state;
    inf_request_default(&r, sizeof r);
    assert_true(!r.prompt.data && !r.messages && !r.messages_json.data && !r.adapter_id.data);
    assert_false(r.max_tokens.is_set);
    assert_int_equal(r.max_tokens.value, 0); /* 4096 where it is used */
    assert_true(!r.temperature.is_set && !r.top_p.is_set && !r.top_k.is_set && !r.min_p.is_set);
    assert_true(!r.repetition_penalty.is_set && !r.seed.is_set && !r.adapter_scale.is_set);
    assert_true(!r.frequency_penalty.is_set && !r.presence_penalty.is_set && !r.logprobs.is_set);
    assert_int_equal(r.timeout_ms, 600000);
    assert_int_equal(r.queue_timeout_ms, -1);
    assert_false(r.ignore_eos);
    inf_adapter_source_default(&s, sizeof s);
    assert_true(!s.path && !s.config.data && !s.weights.data);
    inf_logits_request_default(&l, sizeof l);
    assert_int_equal(l.top, 10);
    assert_true(!l.token_ids && !l.probe && !l.adapter_id.data);
}

/* ------------------------------------------------------------------ callers of other versions */

struct bench {
    inf_context *ctx;
    inf_provider *p;
};

/* Gives a struct to the call that reads it; what the call made is undone at once. */
static int32_t use_context_options(struct bench *b, const void *x, inf_error *err)
{
    inf_context *ctx = NULL;
    int32_t code = inf_context_create(&ctx, x, err);

    (void)b;
    inf_context_close(ctx, NULL);
    return code;
}

static int32_t done(inf_op *const *op, int32_t code)
{
    if (code == INF_OK)
        code = inf_op_wait(*op, -1, NULL);
    inf_op_release(*op);
    return code;
}

static int32_t use_callbacks(struct bench *b, const void *x, inf_error *err)
{
    inf_request request = fake_request("hello");
    inf_op *op = NULL;

    return done(&op, inf_generate_start(&op, b->p, &request, x, err));
}

static int32_t use_request(struct bench *b, const void *x, inf_error *err)
{
    inf_op *op = NULL;

    return done(&op, inf_generate_start(&op, b->p, x, NULL, err));
}

static int32_t use_adapter_source(struct bench *b, const void *x, inf_error *err)
{
    inf_op *op = NULL;

    return done(&op, inf_adapter_load_start(&op, b->p, "id", x, NULL, err));
}

static int32_t use_logits_request(struct bench *b, const void *x, inf_error *err)
{
    inf_op *op = NULL;

    return done(&op, inf_logits_start(&op, b->p, x, NULL, err));
}

static int32_t use_provider_config(struct bench *b, const void *x, inf_error *err)
{
    inf_provider *p = NULL;
    int32_t code = inf_provider_create(&p, b->ctx, x, err);

    inf_provider_release(p);
    return code;
}

union any_struct {
    size_t struct_size;
    inf_context_options context_options;
    inf_callbacks callbacks;
    inf_provider_config provider_config;
    inf_request request;
    inf_adapter_source adapter_source;
    inf_logits_request logits_request;
    unsigned char bytes[1024];
};

static const int32_t one_id[] = {1};

static void make_valid(size_t which, union any_struct *x)
{
    memset(x, 0, sizeof *x);
    option_structs[which].fill(x, option_structs[which].size);
    if (which == 2)
        x->provider_config.type = INF_PROVIDER_LLAMACPP;
    if (which == 3)
        x->request.prompt = inf_str("hello");
    if (which == 4)
        x->adapter_source.path = "somewhere";
    if (which == 5) {
        x->logits_request.token_ids = one_id;
        x->logits_request.n_token_ids = 1;
    }
}

static int32_t (*const uses[N_STRUCTS])(struct bench *, const void *, inf_error *) = {
    use_context_options, use_callbacks,      use_provider_config,
    use_request,         use_adapter_source, use_logits_request};

/* What is left when a header had fewer fields: the first size that holds what is required. */
static const size_t oldest[N_STRUCTS] = {
    sizeof(size_t),
    sizeof(size_t),
    offsetof(inf_provider_config, base_url),
    offsetof(inf_request, messages),
    offsetof(inf_adapter_source, config),
    offsetof(inf_logits_request, adapter_id),
};

static struct bench open_bench(void)
{
    struct bench b = {open_context(INF_DELIVERY_CALLBACKS), NULL};

    b.p = open_fake(b.ctx, &fake_ops);
    return b;
}

static void a_struct_of_this_version_works(void **state)
{
    struct bench b = open_bench();

    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        union any_struct x;

        make_valid(i, &x);
        assert_int_equal(uses[i](&b, &x, NULL), INF_OK);
    }
    close_all(b.ctx, b.p);
}

static void a_struct_of_an_older_header_works(void **state)
{
    struct bench b = open_bench();

    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        for (size_t size = oldest[i]; size <= option_structs[i].size; size += 8) {
            union any_struct x;

            make_valid(i, &x);
            memset(x.bytes + size, 0xff, sizeof x - size); /* not theirs: never read */
            x.struct_size = size;
            assert_int_equal(uses[i](&b, &x, NULL), INF_OK);
        }
    }
    close_all(b.ctx, b.p);
}

static void a_struct_of_a_newer_header_works_while_it_asks_for_nothing_new(void **state)
{
    struct bench b = open_bench();

    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        union any_struct x;

        make_valid(i, &x);
        x.struct_size = option_structs[i].size + 40;
        assert_int_equal(uses[i](&b, &x, NULL), INF_OK);
    }
    close_all(b.ctx, b.p);
}

static void an_option_this_version_does_not_know_is_an_error(void **state)
{
    struct bench b = open_bench();

    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        size_t known = option_structs[i].size;

        for (size_t at = known; at < known + 40; at += 13) {
            union any_struct x;
            inf_error err;

            make_valid(i, &x);
            x.struct_size = known + 40;
            x.bytes[at] = 1;
            assert_int_equal(uses[i](&b, &x, &err), INF_ERROR_INVALID_ARGUMENT);
            assert_non_null(strstr(err.message, option_structs[i].name));
            assert_int_equal(err.detail, at);
        }
    }
    close_all(b.ctx, b.p);
}

static void a_struct_that_was_not_filled_is_an_error(void **state)
{
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, sizeof(size_t) + 4};
    struct bench b = open_bench();

    (void)state;
    for (size_t i = 0; i < N_STRUCTS; i++) {
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
            union any_struct x;
            inf_error err;

            make_valid(i, &x);
            x.struct_size = wrong[w];
            assert_int_equal(uses[i](&b, &x, &err), INF_ERROR_INVALID_ARGUMENT);
            assert_non_null(strstr(err.message, "_default"));
        }
    }
    close_all(b.ctx, b.p);
}

/* ------------------------------------------------------------------ structs that are written */

struct done_ops {
    struct bench bench;
    inf_op *generated, *loaded, *computed;
    inf_adapter_list *list;
};

static int32_t write_result(struct done_ops *d, void *out, size_t size)
{
    return inf_op_result(d->generated, out, size);
}

static int32_t write_report(struct done_ops *d, void *out, size_t size)
{
    return inf_op_adapter_report(d->loaded, out, size);
}

static int32_t write_listed_report(struct done_ops *d, void *out, size_t size)
{
    return inf_adapter_list_report(d->list, 0, out, size);
}

static int32_t write_logits(struct done_ops *d, void *out, size_t size)
{
    return inf_op_logits(d->computed, out, size);
}

static int32_t write_stats(struct done_ops *d, void *out, size_t size)
{
    return inf_provider_get_stats(d->bench.p, out, size, NULL);
}

static int32_t write_info(struct done_ops *d, void *out, size_t size)
{
    (void)d;
    return inf_provider_type_info(out, size, INF_PROVIDER_VLLM);
}

/* The one call that reads the size from the struct itself. */
static int32_t load_and_write_report(struct done_ops *d, void *out, size_t size)
{
    int32_t code = INF_OK;

    if (size < sizeof size)
        return INF_ERROR_INVALID_ARGUMENT; /* no room to say so: the test below has wrong ones */
    memcpy(out, &size, sizeof size);
    code = inf_adapter_load(d->bench.p, "same", "somewhere", out, NULL);
    inf_adapter_unload(d->bench.p, "same", NULL);
    return code;
}

static const struct {
    int32_t (*write)(struct done_ops *d, void *out, size_t size);
    const char *name;
    size_t compared; /* from there on a second call may write something else */
} written_structs[] = {
    {write_result, "inf_result", SIZE_MAX},
    {write_report, "inf_adapter_report", SIZE_MAX},
    {write_listed_report, "inf_adapter_report", SIZE_MAX},
    {write_logits, "inf_logits_result", SIZE_MAX},
    {write_stats, "inf_provider_stats", sizeof(size_t)},
    {write_info, "inf_provider_info", SIZE_MAX},
    {load_and_write_report, "inf_adapter_report", sizeof(size_t)},
};
#define N_WRITTEN (sizeof written_structs / sizeof *written_structs)

static void open_done_ops(struct done_ops *d)
{
    inf_logits_request request;
    inf_adapter_source source;

    d->bench = open_bench();
    fake_plan(d->bench.p, (struct fake_plan){.how = FAKE_NOW, .piece = "x", .n_pieces = 3});
    d->generated = start(d->bench.p, NULL);
    inf_adapter_source_default(&source, sizeof source);
    source.path = "somewhere";
    assert_int_equal(inf_adapter_load_start(&d->loaded, d->bench.p, "loaded", &source, NULL, NULL),
                     INF_OK);
    inf_logits_request_default(&request, sizeof request);
    request.token_ids = one_id;
    request.n_token_ids = 1;
    assert_int_equal(inf_logits_start(&d->computed, d->bench.p, &request, NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(d->generated, -1, NULL), INF_OK);
    assert_int_equal(inf_op_wait(d->loaded, -1, NULL), INF_OK);
    assert_int_equal(inf_op_wait(d->computed, -1, NULL), INF_OK);
    assert_int_equal(inf_adapters(&d->list, d->bench.p, NULL), INF_OK);
}

static void close_done_ops(struct done_ops *d)
{
    inf_op_release(d->generated);
    inf_op_release(d->loaded);
    inf_op_release(d->computed);
    inf_adapter_list_free(d->list);
    close_all(d->bench.ctx, d->bench.p);
}

/* Callers of other versions have shorter and longer ones. */
static void structs_are_written_up_to_the_callers_size(void **state)
{
    struct done_ops d;

    (void)state;
    open_done_ops(&d);
    for (size_t i = 0; i < N_WRITTEN; i++) {
        size_t known = inf_struct_size(written_structs[i].name);
        unsigned char whole[1024];

        assert_true(known > sizeof known && known + 64 < sizeof whole);
        assert_int_equal(written_structs[i].write(&d, whole, known), INF_OK);
        for (size_t size = sizeof size; size <= known + 32; size += sizeof size) {
            unsigned char bytes[1024];
            size_t told = 0;

            memset(bytes, 0xa5, sizeof bytes);
            assert_int_equal(written_structs[i].write(&d, bytes, size), INF_OK);
            memcpy(&told, bytes, sizeof told);
            assert_int_equal(told, size);
            for (size_t at = sizeof size;
                 at < size && at < known && at < written_structs[i].compared; at++)
                assert_int_equal(bytes[at], whole[at]);
            for (size_t at = known; at < size; at++)
                assert_int_equal(bytes[at], 0);
            for (size_t at = size; at < sizeof bytes; at++)
                assert_int_equal(bytes[at], 0xa5);
        }
    }
    close_done_ops(&d);
}

static void a_size_without_room_for_itself_writes_nothing(void **state)
{
    struct done_ops d;

    (void)state;
    open_done_ops(&d);
    for (size_t i = 0; i < N_WRITTEN; i++) {
        for (size_t size = 0; size < sizeof size; size++) {
            unsigned char bytes[16];

            memset(bytes, 0xa5, sizeof bytes);
            assert_int_equal(written_structs[i].write(&d, bytes, size), INF_ERROR_INVALID_ARGUMENT);
            for (size_t at = 0; at < sizeof bytes; at++)
                assert_int_equal(bytes[at], 0xa5);
        }
    }
    close_done_ops(&d);
}

static void a_report_whose_size_was_not_set_is_an_error_before_anything_is_loaded(void **state)
{
    static const size_t wrong[] = {0, 1, sizeof(size_t) - 1, sizeof(size_t) + 4, SIZE_MAX - 7};
    struct bench b = open_bench();
    inf_adapter_list *list = NULL;

    (void)state;
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        inf_adapter_report report;
        inf_adapter_report before;
        inf_error err;

        memset(&report, 0xa5, sizeof report);
        report.struct_size = wrong[w];
        before = report;
        assert_int_equal(inf_adapter_load(b.p, "id", "somewhere", &report, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "struct_size"));
        assert_memory_equal(&report, &before, sizeof report);
    }
    assert_int_equal(inf_adapters(&list, b.p, NULL), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 0);
    inf_adapter_list_free(list);
    close_all(b.ctx, b.p);
}

/* Two operations that are done, their two events pulled with this distance. */
static void pull_two(unsigned char *bytes, size_t event_size)
{
    inf_context *ctx = open_context(INF_DELIVERY_QUEUE);
    inf_provider *p = open_fake(ctx, &fake_ops);
    inf_op *ops[2] = {NULL, NULL};
    inf_callbacks callbacks;
    size_t n = 0;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.only_done = true;
    for (size_t i = 0; i < 2; i++) {
        callbacks.user_data = bytes + i;
        ops[i] = start(p, &callbacks);
        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
    }
    assert_int_equal(inf_context_next(ctx, (void *)bytes, event_size, 2, &n, -1, NULL), INF_OK);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        inf_event event = {0};

        memcpy(&event, bytes + i * event_size,
               event_size < sizeof event ? event_size : sizeof event);
        assert_int_equal(event.kind, INF_EVENT_DONE);
        assert_ptr_equal(event.op, ops[i]);
        assert_ptr_equal(event.user_data, bytes + i);
        inf_op_release(ops[i]);
    }
    close_all(ctx, p);
}

static void events_are_written_with_the_callers_distance(void **state)
{
    (void)state;
    for (size_t size = offsetof(inf_event, chunk); size <= sizeof(inf_event) + 32; size += 8) {
        unsigned char bytes[512];

        memset(bytes, 0xa5, sizeof bytes);
        pull_two(bytes, size);
        for (size_t at = sizeof(inf_event); at < size; at++)
            assert_int_equal(bytes[at] | bytes[size + at], 0);
        for (size_t at = 2 * size; at < sizeof bytes; at++)
            assert_int_equal(bytes[at], 0xa5);
    }
}

static void a_size_that_is_no_events_is_an_error(void **state)
{
    static const size_t wrong[] = {
        0, 1, 8, offsetof(inf_event, chunk) - 8, sizeof(inf_event) + 4, SIZE_MAX - 7};
    inf_context *ctx = open_context(INF_DELIVERY_QUEUE);

    (void)state;
    for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
        inf_event event;
        inf_error err;
        size_t n = 7;

        assert_int_equal(inf_context_next(ctx, &event, wrong[w], 1, &n, 0, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "event_size"));
        assert_int_equal(n, 0);
    }
    inf_context_close(ctx, NULL);
}

/* ------------------------------------------------------------------ by name, for bindings */

static char *read_header(void)
{
    FILE *f = fopen(TEST_SOURCE_DIR "/../include/inference/inference.h", "re");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 10000);
    fclose(f);
    return text;
}

static size_t word(char *out, size_t size, const char *at)
{
    size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    assert_true(n < size);
    memcpy(out, at, n);
    out[n] = '\0';
    return n;
}

static void every_struct_of_the_header_tells_its_size(void **state)
{
    char *header = read_header();
    size_t n = 0;

    (void)state;
    for (char *at = strstr(header, "typedef struct "); at; at = strstr(at, "typedef struct ")) {
        char name[64];

        at += strlen("typedef struct ");
        at += word(name, sizeof name, at);
        if (strncmp(at, " {", 2) != 0)
            continue; /* opaque */
        n++;
        if (inf_struct_size(name) == 0)
            fail_msg("inf_struct_size does not know %s", name);
    }
    assert_true(n > 15);
    assert_int_equal(inf_struct_size("inf_request"), sizeof(inf_request));
    assert_int_equal(inf_struct_size("inf_text"), sizeof(inf_text));
    assert_int_equal(inf_struct_size("inf_op"), 0);
    assert_int_equal(inf_struct_size(""), 0);
    assert_int_equal(inf_struct_size(NULL), 0);
    free(header);
}

/* The enumerators between { and }, each alone or with "= value", comments taken out. */
static size_t ask_for_enumerators(char *body)
{
    size_t n = 0;

    for (char *c = strstr(body, "/*"); c; c = strstr(c, "/*"))
        memset(c, ' ', (size_t)(strstr(c, "*/") + 2 - c));
    for (char *at = strtok(body, ","); at; at = strtok(NULL, ",")) {
        char name[64];
        char *equals = strchr(at, '=');
        int32_t value = -12345;

        if (word(name, sizeof name, at + strspn(at, " \n")) == 0)
            continue;
        n++;
        if (!inf_enum_value(name, &value))
            fail_msg("inf_enum_value does not know %s", name);
        assert_non_null(equals);
        assert_int_equal(value, strtol(equals + 1, NULL, 10));
    }
    return n;
}

static void every_enumerator_of_the_header_tells_its_value(void **state)
{
    char *header = read_header();
    size_t n = 0;
    int32_t value = 77;

    (void)state;
    for (char *at = strstr(header, "\nenum inf_"); at; at = strstr(at, "\nenum inf_")) {
        char *open = strchr(at, '{');
        char *close = strchr(at, '}');

        at = close + 1;
        if (open[2] == '#' || open[1] == '#')
            continue; /* inf_code, made by its table */
        *close = '\0';
        n += ask_for_enumerators(open + 1);
    }
    assert_true(n > 30);
#define ASK(symbol, number, ...)                                                                   \
    assert_true(inf_enum_value("INF_" #symbol, &value));                                           \
    assert_int_equal(value, number);
    INF_ERROR_TABLE(ASK)
#undef ASK
    value = 77;
    assert_false(inf_enum_value("INF_NOTHING", &value));
    assert_false(inf_enum_value(NULL, &value));
    assert_false(inf_enum_value("INF_OK", NULL));
    assert_int_equal(value, 77);
    free(header);
}

static void the_version_is_the_headers(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", INF_VERSION_MAJOR, INF_VERSION_MINOR,
             INF_VERSION_PATCH);
    assert_string_equal(inf_version_string(), text);
    assert_int_equal(inf_version(),
                     INF_VERSION_MAJOR << 16 | INF_VERSION_MINOR << 8 | INF_VERSION_PATCH);
}

static void absent_and_empty_texts_differ(void **state)
{
    (void)state;
    assert_null(inf_str(NULL).data);
    assert_int_equal(inf_str(NULL).len, 0);
    assert_non_null(inf_str("").data);
    assert_int_equal(inf_str("abc").len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_write_at_most_size_bytes),
        cmocka_unit_test(no_room_for_the_size_writes_nothing),
        cmocka_unit_test(defaults_of_the_context),
        cmocka_unit_test(defaults_of_the_provider),
        cmocka_unit_test(defaults_of_a_request),
        cmocka_unit_test(a_struct_of_this_version_works),
        cmocka_unit_test(a_struct_of_an_older_header_works),
        cmocka_unit_test(a_struct_of_a_newer_header_works_while_it_asks_for_nothing_new),
        cmocka_unit_test(an_option_this_version_does_not_know_is_an_error),
        cmocka_unit_test(a_struct_that_was_not_filled_is_an_error),
        cmocka_unit_test(structs_are_written_up_to_the_callers_size),
        cmocka_unit_test(a_size_without_room_for_itself_writes_nothing),
        cmocka_unit_test(a_report_whose_size_was_not_set_is_an_error_before_anything_is_loaded),
        cmocka_unit_test(events_are_written_with_the_callers_distance),
        cmocka_unit_test(a_size_that_is_no_events_is_an_error),
        cmocka_unit_test(every_struct_of_the_header_tells_its_size),
        cmocka_unit_test(every_enumerator_of_the_header_tells_its_value),
        cmocka_unit_test(the_version_is_the_headers),
        cmocka_unit_test(absent_and_empty_texts_differ),
    };

    return cmocka_run_group_tests_name("core: structs", tests, NULL, NULL);
}
