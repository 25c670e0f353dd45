/* adapter_names, replicas, model_list and adapter_files: bookkeeping and files, no server. */
#include "core/memory.h"
#include "remote/adapter_check.h"
#include "remote/adapter_files.h"
#include "remote/adapter_names.h"
#include "remote/model_list.h"
#include "remote/replicas.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PEFT TEST_SOURCE_DIR "/fixtures/peft/"
#define ADAPTER TEST_SOURCE_DIR "/parity/fixtures/one-layer/adapter-0"

/* ------------------------------------------------------------------ names */

static void expect_name(struct adapter_names *a, const char *id, const char *want)
{
    struct generation *g = adapter_names_add(a, id, "/p");

    assert_non_null(g);
    assert_string_equal(g->name, want);
    assert_ptr_equal(adapter_names_find(a, want), g);
    adapter_names_leave(a, g); /* it is nowhere: nothing is left of it but its name */
    assert_null(adapter_names_find(a, want));
}

static void test_names__each_is_given_once(void **state)
{
    struct adapter_names a;

    (void)state;
    adapter_names_init(&a);
    expect_name(&a, "x", "x");
    expect_name(&a, "x", "x@2");
    assert_true(name_set_add(&a.used, "x@4"));
    expect_name(&a, "x", "x@3");
    expect_name(&a, "x", "x@5");
    expect_name(&a, "y", "y");
    name_set_remove(&a.used, "x");
    expect_name(&a, "x", "x");
    adapter_names_free(&a);
}

static void test_names__longest_id__still_gets_a_fresh_name(void **state)
{
    struct adapter_names a;
    char id[257], want[260];

    (void)state;
    memset(id, 'i', 256);
    id[256] = '\0';
    snprintf(want, sizeof want, "%s@2", id);
    adapter_names_init(&a);
    name_set_add(&a.used, id);
    expect_name(&a, id, want);
    adapter_names_free(&a);
}

static void test_generations__replace_hide_and_leave(void **state)
{
    struct adapter_names a;
    struct generation *first = NULL, *second = NULL;

    (void)state;
    adapter_names_init(&a);
    first = adapter_names_add(&a, "x", "/p");
    second = adapter_names_add(&a, "x", "/p");
    assert_null(adapter_names_current(&a, "x", 1)); /* none has been loaded yet */
    assert_null(adapter_names_commit(&a, first));
    assert_ptr_equal(adapter_names_commit(&a, second), first);
    assert_int_equal(second->report.replaced, 1);
    assert_true(second->report.generation > first->report.generation);
    assert_ptr_equal(adapter_names_current(&a, "x", 1), second);
    assert_null(adapter_names_current(&a, "xx", 2));
    assert_null(adapter_names_current(&a, "x\0y", 3));
    assert_ptr_equal(adapter_names_find(&a, "x"), first);
    assert_true(generation_serves(first));
    assert_false(adapter_names_is_going(&a, "x", 1));
    assert_true(generation_hide(second, &a));
    assert_true(adapter_names_is_going(&a, "x", 1));
    adapter_names_leave(&a, first);
    adapter_names_leave(&a, second);
    assert_false(adapter_names_is_going(&a, "x", 1));
    adapter_names_free(&a);
}

static void test_generations__of_many_ids__each_is_found(void **state)
{
    static const char *const ids[] = {"a", "a!", "a@2", "aa", "b", "", "a@", "A"};
    enum { N = sizeof ids / sizeof *ids };
    struct generation *of[N][3];
    struct adapter_names a;

    (void)state;
    adapter_names_init(&a);
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < N; i++) {
            of[i][k] = adapter_names_add(&a, ids[i], "/p");
            adapter_names_commit(&a, of[i][k]);
            assert_ptr_equal(adapter_names_current(&a, ids[i], strlen(ids[i])), of[i][k]);
        }
    }
    for (size_t i = 0; i < N; i++) {
        generation_hide(of[i][2], NULL);
        assert_null(adapter_names_current(&a, ids[i], strlen(ids[i])));
        assert_true(adapter_names_is_going(&a, ids[i], strlen(ids[i])));
        for (size_t k = 0; k < 3; k++)
            adapter_names_leave(&a, of[i][k]);
        assert_false(adapter_names_is_going(&a, ids[i], strlen(ids[i])));
    }
    assert_int_equal(a.n, 0);
    adapter_names_free(&a);
}

static void test_generations__the_last_pin__gives_what_waited(void **state)
{
    struct adapter_names a;
    struct generation *g = NULL;
    int waiting = 0;

    (void)state;
    adapter_names_init(&a);
    g = adapter_names_add(&a, "x", "/p");
    adapter_names_commit(&a, g);
    g->pins = 2;
    assert_false(generation_hide(g, &waiting));
    assert_null(generation_unpin(g));
    assert_ptr_equal(generation_unpin(g), &waiting);
    g->pins = 1;
    assert_null(generation_unpin(g)); /* once */
    adapter_names_free(&a);
}

static void test_generations__left__are_known_until_removed_everywhere(void **state)
{
    struct adapter_names a;
    struct generation *g = NULL;

    (void)state;
    adapter_names_init(&a);
    g = adapter_names_add(&a, "x", "/p");
    g->where = 5;
    adapter_names_removed(&a, "x", 5); /* one whose load has not ended stays, wherever it is */
    assert_ptr_equal(adapter_names_find(&a, "x"), g);
    g->where = 5;
    adapter_names_leave(&a, g);
    adapter_names_removed(&a, "x", 4);
    assert_int_equal(adapter_names_find(&a, "x")->where, 1);
    adapter_names_removed(&a, "x", 1);
    assert_null(adapter_names_find(&a, "x")); /* confirmed: not ours any more */
    adapter_names_removed(&a, "x", 1);
    adapter_names_free(&a);
}

/* ------------------------------------------------------------------ replicas */

static void fails(struct replicas *r, size_t i, int64_t now)
{
    replicas_failed(r, i, r->items[i].life, now);
}

static void test_replicas__least_busy_live_one_that_has_it(void **state)
{
    static struct replicas r;
    uint64_t having = 3;

    (void)state;
    memset(&r, 0, sizeof r);
    r.n = 3;
    r.items[0].busy = 2;
    r.items[1].busy = 1;
    assert_int_equal(replicas_pick(&r, UINT64_MAX, 0), 2);
    assert_int_equal(replicas_pick(&r, having, 0), 1);
    assert_int_equal(replicas_pick(&r, having, 2), 0);
    fails(&r, 1, 1000);
    assert_int_equal(replicas_pick(&r, having, 0), 0);
    assert_true(replicas_more(&r, 0));
    assert_false(replicas_more(&r, 1));
    assert_int_equal(replicas_pick(&r, UINT64_MAX, 7), REPLICA_NONE);
}

static void test_replicas__equals_take_turns(void **state)
{
    static struct replicas r;
    size_t seen[2] = {0, 0};

    (void)state;
    memset(&r, 0, sizeof r);
    r.n = 2;
    for (int i = 0; i < 10; i++)
        seen[replicas_pick(&r, UINT64_MAX, 0)]++;
    assert_int_equal(seen[0], 5);
}

static void test_replicas__dead_ones__wait_longer_each_time_and_one_revives_them(void **state)
{
    static struct replicas r;
    int64_t now = 0, last = 0;

    (void)state;
    memset(&r, 0, sizeof r);
    r.n = 2;
    for (int i = 0; i < 12; i++) {
        fails(&r, 0, now);
        assert_true(r.items[0].retry_us - now >= last && r.items[0].retry_us - now <= 30000000);
        last = r.items[0].retry_us - now;
        assert_int_equal(replicas_due(&r, r.items[0].retry_us - 1), REPLICA_NONE);
        now = r.items[0].retry_us;
        assert_int_equal(replicas_due(&r, now), 0);
        assert_int_equal(replicas_due(&r, now), REPLICA_NONE); /* one is at it */
        r.items[0].reviving = false;
    }
    replicas_alive(&r, 0);
    assert_false(r.items[0].dead);
    fails(&r, 0, now);
    fails(&r, 1, now + 1);
    assert_int_equal(replicas_pick(&r, UINT64_MAX, 0), 0); /* none lives: the one due first */
    r.n = 1;
    r.items[0].dead = false;
    fails(&r, 0, now);
    assert_false(r.items[0].dead); /* a single server is never given up */
}

static void test_replicas__a_failure_of_an_earlier_life__changes_nothing(void **state)
{
    static struct replicas r;
    uint32_t life = 0;

    (void)state;
    memset(&r, 0, sizeof r);
    r.n = 2;
    life = replicas_life(&r, 0, 1);
    assert_true(life != 0);
    replicas_failed(&r, 0, life, 1);
    assert_true(r.items[0].dead && r.items[0].life != life);
    replicas_alive(&r, 0);
    replicas_failed(&r, 0, life, 1);
    assert_false(r.items[0].dead);
}

static void test_replicas__silent_for_long_with_nobody_connected__another_life(void **state)
{
    static struct replicas r;
    uint32_t life = 0;

    (void)state;
    memset(&r, 0, sizeof r);
    r.n = 1;
    replicas_heard(&r, 0, 1000);
    life = replicas_life(&r, 0, 1000);
    assert_int_equal(replicas_life(&r, 0, 1000 + CONTACT_US - 1), life);
    r.items[0].busy = 1;
    assert_int_equal(replicas_life(&r, 0, 1000 + CONTACT_US), life);
    r.items[0].busy = 0;
    assert_true(replicas_life(&r, 0, 1000 + CONTACT_US) != life);
}

/* ------------------------------------------------------------------ the list of models */

static void test_models__base_and_adapters(void **state)
{
    const char *body =
        "{\"object\":\"list\",\"data\":[{\"id\":\"smol\",\"root\":\"/"
        "m\",\"parent\":null,\"max_model_len\""
        ":2048},{\"id\":\"a\\u0031\",\"root\":\"/p\",\"parent\":\"smol\"},{\"id\":\"bare\"}]}";
    struct model_list list;
    inf_error err;

    (void)state;
    assert_int_equal(model_list_parse(&list, body, strlen(body), &err), INF_OK);
    assert_int_equal(list.n, 3);
    assert_string_equal(model_list_base(&list)->id, "smol");
    assert_string_equal(model_list_find(&list, "a1")->parent, "smol");
    assert_null(model_list_find(&list, "bare")->root);
    assert_null(model_list_find(&list, "nobody"));
    model_list_free(&list);
}

static void test_models__whose_it_is__is_told_by_the_path(void **state)
{
    struct model_entry base = {(char *)"m", NULL, (char *)"/p"},
                       bare = {(char *)"a", (char *)"m", NULL};
    char root[] = "/p/a//";
    struct model_entry e = {(char *)"a", (char *)"m", root};

    (void)state;
    assert_true(model_entry_is_from(&e, "/p/a"));
    assert_true(model_entry_is_from(&e, NULL));
    assert_false(model_entry_is_from(&e, "/p/b"));
    assert_true(model_entry_is_from(&bare, "/p/b")); /* a list without paths is believed */
    assert_false(model_entry_is_from(&base, "/p"));  /* no adapter */
    e.root = (char *)TEST_SOURCE_DIR "/unit";
    assert_true(model_entry_is_from(&e, TEST_SOURCE_DIR "/./unit")); /* the same file */
}

static void test_models__something_else__is_a_protocol_error(void **state)
{
    static const char *const wrong[] = {
        "", "{}", "[]", "{\"data\":{}}", "{\"data\":[1]}", "{\"data\":[{\"id\":1}]}", "<html>"};
    struct model_list list;
    inf_error err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(model_list_parse(&list, wrong[i], strlen(wrong[i]), &err),
                         INF_ERROR_PROTOCOL);
    assert_int_equal(list.n, 0);
}

/* ------------------------------------------------------------------ files */

static void run(const char *format, const char *a, const char *b)
{
    char command[1024];

    snprintf(command, sizeof command, format, a, b);
    assert_int_equal(system(command), 0);
}

static void test_digest__changes_with_the_bytes_and_with_nothing_else(void **state)
{
    char dir[] = "/tmp/inference-digest-XXXXXX";
    struct files_digest a, b;

    (void)state;
    assert_non_null(mkdtemp(dir));
    run("cp %s/* %s/", ADAPTER, dir);
    adapter_files_digest(&a, dir);
    assert_true(a.known);
    run("touch %s/adapter_config.json; echo hello > %s/README.md", dir, dir);
    adapter_files_digest(&b, dir);
    assert_memory_equal(a.words, b.words, sizeof a.words);
    run("printf x >> %s/adapter_model.safetensors%s", dir, "");
    adapter_files_digest(&b, dir);
    assert_memory_not_equal(a.words, b.words, sizeof a.words);
    run("rm -r %s%s", dir, "");
    adapter_files_digest(&b, dir);
    assert_false(b.known);
}

static void checked(const char *dir, const char *base, int32_t code, const char *says)
{
    inf_adapter_report report = {0};
    inf_error err = {0};

    assert_int_equal(adapter_check(dir, base, &report, &err), code);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
    if (code == INF_OK && *says == '\0')
        assert_true(report.rank > 0 || report.n_modules == 0);
}

static void test_check__sound_damaged_and_not_finite(void **state)
{
    (void)state;
    checked(ADAPTER, NULL, INF_OK, "");
    checked(PEFT "ok-rslora-bf16", NULL, INF_OK, "");
    checked(PEFT "nan-weight", NULL, INF_ERROR_NOT_FINITE, "lora_");
    checked(PEFT "nan-bf16", NULL, INF_ERROR_NOT_FINITE, "lora_");
    checked(PEFT "inf-f16", NULL, INF_ERROR_NOT_FINITE, "lora_");
    checked(PEFT "truncated", NULL, INF_ERROR_BAD_FORMAT, "truncated");
    /* what our own reader does not do is for the server to judge */
    checked(PEFT "dora-vectors", NULL, INF_OK, "");
    checked(PEFT "bias-other", NULL, INF_OK, "");
}

/* A directory with a configuration, and a .safetensors file of one tensor of those bytes. */
static void write_file(const char *dir, const char *name, const void *bytes, size_t n)
{
    char path[256];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void write_tensors(const char *dir, const char *name, const char *header, const void *data,
                          size_t n)
{
    char bytes[2048];
    uint64_t length = strlen(header);

    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, n);
    write_file(dir, name, bytes, 8 + length + n);
}

static void write_config(const char *dir, const char *more)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\"peft_type\":\"LORA\",\"r\":1%s}", more);

    write_file(dir, "adapter_config.json", text, (size_t)n);
}

#define A_NAME "base_model.model.model.layers.0.q_proj.lora_A.weight"
#define B_NAME "base_model.model.model.layers.0.q_proj.lora_B.weight"
#define ALPHA ",\"lora_alpha\":1,\"target_modules\":[\"q_proj\"]"

static void test_check__every_dtype__finds_what_is_no_number(void **state)
{
    static const struct {
        const char *dtype;
        unsigned char bytes[8]; /* of one number */
        size_t n;
        int32_t code;
    } cases[] = {
        {"F64", {0, 0, 0, 0, 0, 0, 0xf8, 0x7f}, 8, INF_ERROR_NOT_FINITE}, /* NaN */
        {"F64", {0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, 8, INF_ERROR_NOT_FINITE}, /* infinite */
        {"F64", {0, 0, 0, 0, 0, 0, 0x90, 0x7f}, 8, INF_ERROR_NOT_FINITE}, /* infinite in f32 */
        {"F64", {0, 0, 0, 0, 0, 0, 0xf0, 0x3f}, 8, INF_OK},               /* 1 */
        {"F8_E4M3", {0x7f}, 1, INF_ERROR_NOT_FINITE},
        {"F8_E4M3", {0xff}, 1, INF_ERROR_NOT_FINITE},
        {"F8_E4M3", {0x7e}, 1, INF_OK},
        {"F8_E5M2", {0x7e}, 1, INF_ERROR_NOT_FINITE},
        {"F8_E5M2", {0x7c}, 1, INF_ERROR_NOT_FINITE}, /* infinite */
        {"F8_E5M2", {0x7b}, 1, INF_OK},
        {"F8_E4M3FNUZ", {0x80}, 1, INF_ERROR_NOT_FINITE},
        {"F8_E5M2FNUZ", {0x80}, 1, INF_ERROR_NOT_FINITE},
        {"F8_E5M2FNUZ", {0x7f}, 1, INF_OK},
        {"F8_E8M0", {0xff}, 1, INF_ERROR_NOT_FINITE},
        {"I8", {0xff}, 1, INF_OK},
        {"F16", {0, 0x7e}, 2, INF_ERROR_NOT_FINITE},
        {"BF16", {0x80, 0x7f}, 2, INF_ERROR_NOT_FINITE},
    };
    char dir[] = "/tmp/inference-dtype-XXXXXX";
    unsigned char data[16];
    char header[1024];

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_config(dir, ALPHA);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].n;

        memset(data, 0, sizeof data);
        memcpy(data + n, cases[i].bytes, n); /* the B's only number */
        snprintf(header, sizeof header,
                 "{\"" A_NAME "\":{\"dtype\":\"%s\",\"shape\":[1,1],\"data_offsets\":[0,%zu]},"
                 "\"" B_NAME "\":{\"dtype\":\"%s\",\"shape\":[1,1],\"data_offsets\":[%zu,%zu]}}",
                 cases[i].dtype, n, cases[i].dtype, n, 2 * n);
        write_tensors(dir, "adapter_model.safetensors", header, data, 2 * n);
        checked(dir, NULL, cases[i].code, cases[i].code == INF_OK ? "" : B_NAME);
    }
    run("rm -r %s%s", dir, "");
}

static void test_check__scale_that_is_infinite__is_refused(void **state)
{
    char dir[] = "/tmp/inference-scale-XXXXXX";
    const float data[2] = {1, 4};
    const char *header = "{\"" A_NAME
                         "\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                         "\"" B_NAME
                         "\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}}";

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_tensors(dir, "adapter_model.safetensors", header, data, sizeof data);
    write_config(dir, ",\"lora_alpha\":1e39");
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "lora_alpha");
    /* where our own reader stops at a feature, too */
    write_config(dir, ",\"lora_alpha\":1e39,\"use_dora\":true");
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "lora_alpha");
    write_config(dir, ",\"lora_alpha\":1,\"alpha_pattern\":{\"q_proj\":1e39},\"use_dora\":true");
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "alpha_pattern");
    write_config(dir, ",\"lora_alpha\":2e38"); /* finite, and 4 times it is not */
    checked(dir, NULL, INF_ERROR_NOT_FINITE, B_NAME);
    write_config(dir, ",\"lora_alpha\":16");
    checked(dir, NULL, INF_OK, "");
    run("rm -r %s%s", dir, "");
}

static void test_check__a_pickle__must_be_a_whole_one(void **state)
{
    static const unsigned char old[20] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c,
                                          0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    static const char zip[40] = "PK\3\4..............PK\5\6";
    char dir[] = "/tmp/inference-pickle-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_config(dir, ALPHA);
    checked(dir, NULL, INF_ERROR_IO, "adapter_model");
    write_file(dir, "adapter_model.bin", "garbage", 7);
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "adapter_model.bin");
    write_file(dir, "adapter_model.bin", "", 0);
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "adapter_model.bin");
    write_file(dir, "adapter_model.bin", zip, 18); /* cut off */
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "adapter_model.bin");
    write_file(dir, "adapter_model.bin", zip, sizeof zip);
    checked(dir, NULL, INF_OK, "");
    write_file(dir, "adapter_model.bin", old, sizeof old);
    checked(dir, NULL, INF_OK, "");
    /* a .safetensors beside it is what the server reads */
    write_file(dir, "adapter_model.safetensors", "garbage", 7);
    checked(dir, NULL, INF_ERROR_BAD_FORMAT, "");
    run("rm -r %s%s", dir, "");
}

static void test_check__modules_trained_in_full__have_the_bases_shapes(void **state)
{
    char base[] = "/tmp/inference-base-XXXXXX";
    char dir[] = "/tmp/inference-whole-XXXXXX";
    static const char zeros[64];
    static const struct {
        const char *name, *shape;
        int32_t code;
    } cases[] = {
        {"base_model.model.model.norm.weight", "[2]", INF_OK},
        {"base_model.model.model.norm.weight", "[3]", INF_ERROR_MISMATCH},
        {"base_model.model.model.norm.modules_to_save.default.weight", "[2]", INF_OK},
        {"base_model.model.model.norm.modules_to_save.weight", "[1]", INF_ERROR_MISMATCH},
        {"base_model.model.model.nothing.weight", "[2]", INF_ERROR_MISMATCH},
        {"base_model.model.lm_head.weight", "[3,2]", INF_OK}, /* the embedding's */
        {"base_model.model.lm_head.weight", "[4,2]", INF_ERROR_MISMATCH},
        {"base_model.model.model.embed_tokens.weight", "[2,3]", INF_ERROR_MISMATCH},
        {"base_model.model.model.layers.0.q_proj.lora_magnitude_vector", "[7]", INF_OK},
    };

    (void)state;
    assert_non_null(mkdtemp(base));
    assert_non_null(mkdtemp(dir));
    write_tensors(base, "model.safetensors",
                  "{\"model.norm.weight\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
                  "\"model.embed_tokens.weight\":{\"dtype\":\"F16\",\"shape\":[3,2],"
                  "\"data_offsets\":[4,16]}}",
                  zeros, 16);
    write_config(dir, ",\"lora_alpha\":1,\"modules_to_save\":[\"norm\"]");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[512];
        int rows = 1, columns = 1;
        size_t n = 0;

        sscanf(cases[i].shape, "[%d,%d", &rows, &columns);
        n = 4 * (size_t)rows * (size_t)columns;
        snprintf(header, sizeof header,
                 "{\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,%zu]}}",
                 cases[i].name, cases[i].shape, n);
        write_tensors(dir, "adapter_model.safetensors", header, zeros, n);
        checked(dir, base, cases[i].code, cases[i].code == INF_OK ? "" : cases[i].name);
    }
    run("rm -r %s %s", base, dir);
}

static void test_check__against_a_base__names_and_shapes(void **state)
{
    char base[] = "/tmp/inference-base-XXXXXX";
    char path[128];
    FILE *f = NULL;
    const char *right =
        "{\"model.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"F16\",\"shape\":[1,1],"
        "\"data_offsets\":[0,2]}}";
    uint64_t n = strlen(right);

    (void)state;
    assert_non_null(mkdtemp(base));
    checked(ADAPTER, base, INF_OK, ""); /* nothing there: nothing is told */
    snprintf(path, sizeof path, "%s/model.safetensors", base);
    f = fopen(path, "wb");
    fwrite(&n, 8, 1, f);
    fwrite(right, 1, n, f);
    fwrite("\0\0", 1, 2, f);
    fclose(f);
    checked(ADAPTER, base, INF_ERROR_MISMATCH, "lora_A");
    run("rm -r %s%s", base, "");
}

/* ------------------------------------------------------------------ which machine */

static void test_here__own_name_and_addresses__are_this_machine(void **state)
{
    char name[256] = "", url[400], text[INET6_ADDRSTRLEN];
    struct ifaddrs *all = NULL;

    (void)state;
    assert_int_equal(gethostname(name, sizeof name - 1), 0);
    snprintf(url, sizeof url, "http://%s:8100/v1", name);
    assert_true(server_is_here(url));
    snprintf(url, sizeof url, "http://not-%s:8100/v1", name);
    assert_false(server_is_here(url));
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        const void *address = i->ifa_addr;

        if (!address || i->ifa_addr->sa_family != AF_INET)
            continue;
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
        snprintf(url, sizeof url, "http://%s/v1", text);
        assert_true(server_is_here(url));
    }
    freeifaddrs(all);
    assert_true(server_is_here("http://0.0.0.0:8100/v1"));
    assert_false(server_is_here("http://192.0.2.1:8100/v1")); /* kept for examples: nobody's */
    assert_false(server_is_here("http://[2001:db8::1]:8100/v1"));
}

static void test_path__relative_ones_that_exist__become_absolute(void **state)
{
    char *out = NULL;
    char here[1024];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(TEST_SOURCE_DIR), 0);
    assert_int_equal(adapter_files_path(&out, "./unit", NULL), INF_OK);
    assert_string_equal(out, TEST_SOURCE_DIR "/unit");
    mem_free(out);
    assert_int_equal(adapter_files_path(&out, "org/name-on-the-hub", NULL), INF_OK);
    assert_string_equal(out, "org/name-on-the-hub");
    mem_free(out);
    assert_int_equal(adapter_files_path(&out, "/only/there", NULL), INF_OK);
    assert_string_equal(out, "/only/there");
    mem_free(out);
    assert_int_equal(chdir(here), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names__each_is_given_once),
        cmocka_unit_test(test_names__longest_id__still_gets_a_fresh_name),
        cmocka_unit_test(test_generations__replace_hide_and_leave),
        cmocka_unit_test(test_generations__of_many_ids__each_is_found),
        cmocka_unit_test(test_generations__the_last_pin__gives_what_waited),
        cmocka_unit_test(test_generations__left__are_known_until_removed_everywhere),
        cmocka_unit_test(test_replicas__least_busy_live_one_that_has_it),
        cmocka_unit_test(test_replicas__equals_take_turns),
        cmocka_unit_test(test_replicas__dead_ones__wait_longer_each_time_and_one_revives_them),
        cmocka_unit_test(test_replicas__a_failure_of_an_earlier_life__changes_nothing),
        cmocka_unit_test(test_replicas__silent_for_long_with_nobody_connected__another_life),
        cmocka_unit_test(test_models__base_and_adapters),
        cmocka_unit_test(test_models__whose_it_is__is_told_by_the_path),
        cmocka_unit_test(test_models__something_else__is_a_protocol_error),
        cmocka_unit_test(test_digest__changes_with_the_bytes_and_with_nothing_else),
        cmocka_unit_test(test_check__sound_damaged_and_not_finite),
        cmocka_unit_test(test_check__every_dtype__finds_what_is_no_number),
        cmocka_unit_test(test_check__scale_that_is_infinite__is_refused),
        cmocka_unit_test(test_check__a_pickle__must_be_a_whole_one),
        cmocka_unit_test(test_check__modules_trained_in_full__have_the_bases_shapes),
        cmocka_unit_test(test_check__against_a_base__names_and_shapes),
        cmocka_unit_test(test_here__own_name_and_addresses__are_this_machine),
        cmocka_unit_test(test_path__relative_ones_that_exist__become_absolute),
    };

    return cmocka_run_group_tests_name("remote: names, replicas, files", tests, NULL, NULL);
}
