/*
 * The proof of gguf_model_check: good files of every architecture are damaged by a seeded generator,
 * and each damaged file is either refused by us or opened by llama.cpp itself, in a process of its
 * own, which must load it (or refuse it), tokenize, decode and end without dying.
 *
 * A few hundred files by default. To run it long: GGUF_DAMAGE_COUNT=20000 GGUF_DAMAGE_SEED=7, and
 * GGUF_DAMAGE_KEEP=DIR to keep the files that killed llama.cpp. GGUF_DAMAGE_UNCHECKED=1 lets every
 * file through, to see what the check is for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <llama.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gguf_like.h"
#include "gguf_mutate.h"
#include "gguf/model.h"

#define TIME_LIMIT 60 /* seconds a child may take; a good file takes milliseconds */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILES 60 /* a process costs a second there */
#else
#define FILES 400
#endif

static const char *const fixtures[] = {"llama",  "mistral",   "qwen2",  "qwen3",
                                       "gemma2", "gemma3",    "phi3",   "smollm3",
                                       "gpt2",   "one-layer", "qwen35", "qwen3moe"};

struct tally {
    int refused_open, refused_check, refused_llama, ran, died;
};

static struct bytes read_file(const char *name)
{
    char path[512];
    struct bytes b = {0};
    FILE *f = NULL;
    long size = 0;

    snprintf(path, sizeof path, "%s/parity/fixtures/%s/base.gguf", TEST_SOURCE_DIR, name);
    f = fopen(path, "rb");
    if (!f) {
        fail_msg("cannot open %s", path);
        return b;
    }
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    b.data = malloc((size_t)size);
    b.len = fread(b.data, 1, (size_t)size, f);
    fclose(f);
    assert_int_equal(b.len, size);
    return b;
}

/* Some have no file. */
static struct bytes read_fixture(const char *name)
{
    bool hybrid = strcmp(name, "qwen35") == 0;
    struct bytes qwen3 = {0};
    struct bytes b = {0};
    struct document *d = NULL;

    if (!hybrid && strcmp(name, "qwen3moe") != 0)
        return read_file(name);
    qwen3 = read_file("qwen3");
    d = document_read(qwen3.data, qwen3.len);
    if (hybrid)
        document_become_qwen35(d);
    else
        document_become_qwen3moe(d);
    b = document_write(d);
    document_free(d);
    free(qwen3.data);
    return b;
}

static void write_file(const char *path, struct bytes b)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
    fclose(f);
}

/* ---------------------------------------------------------------- the child */

static void quiet(enum ggml_log_level level, const char *text, void *user_data)
{
    (void)user_data;
    if (getenv("GGUF_DAMAGE_LOG") && level >= GGML_LOG_LEVEL_WARN)
        fputs(text, stderr);
}

static llama_token best(const float *logits, int32_t n)
{
    int32_t at = 0;

    for (int32_t i = 1; i < n; i++)
        at = logits[i] > logits[at] ? i : at;
    return at;
}

static void look_at_vocabulary(const struct llama_model *model, const struct llama_vocab *vocab)
{
    char piece[4096];
    int32_t n = llama_vocab_n_tokens(vocab);

    for (int32_t i = 0; i < n; i++) {
        llama_token_to_piece(vocab, i, piece, sizeof piece, 0, true);
        llama_vocab_is_eog(vocab, i);
    }
    llama_vocab_bos(vocab);
    llama_vocab_eos(vocab);
    llama_vocab_nl(vocab);
    llama_model_chat_template(model, NULL);
}

/* `room`: no more tokens than that, as the provider sees to it. */
static void decode(struct llama_context *ctx, const struct llama_vocab *vocab, int32_t room)
{
    static const char text[] = "Hello  world, 12345\n\t{\"caf\xc3\xa9\": \xf0\x9f\x98\x80}\x01 <s>";
    llama_token tokens[256];
    char out[8192];
    int32_t n = llama_tokenize(vocab, text, sizeof text - 1, tokens, 256, true, true);
    llama_token next = 0;

    if (n <= 0)
        return;
    llama_detokenize(vocab, tokens, n, out, sizeof out, false, true);
    n = n < 32 ? n : 32;
    n = n < room ? n : room;
    if (llama_decode(ctx, llama_batch_get_one(tokens, n)) != 0)
        return;
    for (int i = 0; i < 4 && n + i < room; i++) {
        next = best(llama_get_logits_ith(ctx, -1), llama_vocab_n_tokens(vocab));
        if (llama_decode(ctx, llama_batch_get_one(&next, 1)) != 0)
            return;
    }
}

/* 0: ran; 1: llama.cpp refused the file. Any other end is a death. */
static int child(const char *path, uint32_t variant, int32_t room)
{
    struct llama_model_params mp = llama_model_default_params();
    struct llama_context_params cp = llama_context_default_params();
    struct llama_model *model = NULL;
    struct llama_context *ctx = NULL;

    alarm(TIME_LIMIT);
    mp.n_gpu_layers = 0;
    mp.use_extra_bufts = (variant & 1) != 0;
    model = llama_model_load_from_file(path, mp);
    if (!model)
        return 1;
    look_at_vocabulary(model, llama_model_get_vocab(model));
    cp.n_seq_max = (variant & 2) != 0 ? 2 : 1;
    cp.n_ctx = 64 * cp.n_seq_max;
    cp.n_batch = cp.n_ubatch = 64;
    cp.n_threads = cp.n_threads_batch = 1;
    cp.swa_full = (variant & 4) != 0;
    cp.flash_attn_type = (variant & 8) != 0 ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                            : LLAMA_FLASH_ATTN_TYPE_AUTO;
    if ((variant & 16) != 0)
        cp.type_k = cp.type_v = GGML_TYPE_F32;
    ctx = llama_init_from_model(model, cp);
    if (!ctx) {
        llama_model_free(model);
        return 1;
    }
    decode(ctx, llama_model_get_vocab(model), room);
    llama_free(ctx);
    llama_model_free(model);
    return 0;
}

/* n_positions: of the model, 0 for any number. */
static int run_child(const char *path, uint32_t variant, int32_t n_positions)
{
    int status = 0;
    pid_t pid = -1;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {0, 0}; /* no core */

        setrlimit(RLIMIT_CORE, &limit);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        limit = (struct rlimit){(rlim_t)2 << 30, (rlim_t)2 << 30};
        setrlimit(RLIMIT_AS, &limit); /* an absurd allocation is a death */
#endif
        if (!getenv("GGUF_DAMAGE_LOG")) {
            int null = open("/dev/null", O_WRONLY);

            dup2(null, 2);
        }
        _exit(child(path, variant, n_positions > 0 ? n_positions : INT32_MAX));
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* ---------------------------------------------------------------- the parent */

/* 1: we let it through. */
static int let_through(struct bytes b, const char *path, struct tally *t, int32_t *n_positions)
{
    struct gguf_file *f = NULL;
    struct gguf_model model = {0};
    inf_error err = {0};
    int32_t code = gguf_file_from_memory(&f, b.data, b.len, &err);

    if (code == INF_OK) {
        code = gguf_model_check(&model, f, &err);
        t->refused_check += code != INF_OK;
    } else {
        t->refused_open++;
    }
    if (code != INF_OK) { /* every refusal says something, in one line */
        assert_true(code == err.code && err.message[0] != '\0');
        assert_null(strchr(err.message, '\n'));
    }
    if (getenv("GGUF_DAMAGE_UNCHECKED"))
        code = INF_OK;
    if (code == INF_OK)
        write_file(path, b);
    if (code != INF_OK && getenv("GGUF_DAMAGE_LOG"))
        fprintf(stderr, "refused: %s\n", err.message);
    *n_positions = model.n_positions;
    gguf_file_close(f);
    return code == INF_OK;
}

static void keep_killer(struct bytes b, const char *name, int i)
{
    const char *dir = getenv("GGUF_DAMAGE_KEEP");
    char path[512];

    if (dir) {
        snprintf(path, sizeof path, "%s/%s-%d.gguf", dir, name, i);
        write_file(path, b);
    }
}

static void damage(const char *name, int count, uint64_t seed, const char *path, struct tally *t)
{
    struct bytes good = read_fixture(name);
    char what[200];

    for (int i = 0; i < count; i++) {
        struct rng r = {seed * UINT64_C(1000003) + (uint64_t)i};
        struct bytes b = gguf_mutate(good.data, good.len, &r, what);
        int32_t n_positions = 0;
        int status = 0;

        if (let_through(b, path, t, &n_positions)) {
            status = run_child(path, (uint32_t)rng_next(&r), n_positions);
            if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
                t->ran += WEXITSTATUS(status) == 0;
                t->refused_llama += WEXITSTATUS(status) == 1;
                if (WEXITSTATUS(status) == 1 && getenv("GGUF_DAMAGE_LOG"))
                    fprintf(stderr, "llama.cpp refused %s %d: %s\n", name, i, what);
            } else {
                t->died++;
                print_error("llama.cpp died (status %d) of %s file %d: %s\n", status, name, i,
                            what);
                keep_killer(b, name, i);
            }
        }
        free(b.data);
    }
    free(good.data);
}

static int number_of(const char *variable, int otherwise)
{
    const char *v = getenv(variable);

    return v ? atoi(v) : otherwise;
}

static void test_gguf_damage__rebuilt_file__is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct bytes good = read_fixture(fixtures[i]);
        struct bytes again = gguf_rebuild(good.data, good.len);

        assert_int_equal(again.len, good.len);
        assert_memory_equal(again.data, good.data, good.len);
        free(again.data);
        free(good.data);
    }
}

static void test_gguf_damage__good_file__runs(void **state)
{
    char path[] = "/tmp/gguf-damage-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct bytes good = read_fixture(fixtures[i]);
        struct tally t = {0};
        int32_t n_positions = 0;

        assert_true(let_through(good, path, &t, &n_positions));
        assert_int_equal(run_child(path, (uint32_t)i, n_positions), 0);
        free(good.data);
    }
    unlink(path);
}

/* The run below would notice: a file the check refuses, given to llama.cpp all the same, kills it. */
static void test_gguf_damage__unchecked_file__kills(void **state)
{
    struct bytes good = read_fixture("llama");
    struct document *d = document_read(good.data, good.len);
    struct bytes b = {0};
    struct tally t = {0};
    char path[] = "/tmp/gguf-damage-XXXXXX";
    int fd = mkstemp(path);
    int32_t n_positions = 0;
    int status = 0;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    document_set_text(d, "llama.rope.scaling.type", "sideways");
    b = document_write(d);
    assert_false(let_through(b, path, &t, &n_positions));
    write_file(path, b);
    status = run_child(path, 0, n_positions);
    assert_true(WIFSIGNALED(status));
    unlink(path);
    free(b.data);
    free(good.data);
    document_free(d);
}

/* The sizes that the reader goes by are those of the ggml that llama.cpp was built with. */
static void test_gguf_damage__weight_types__are_those_of_ggml(void **state)
{
    (void)state;
    for (int32_t i = 0; i < GGML_TYPE_COUNT; i++) {
        const struct gguf_weight_type *type = gguf_weight_type(i);

        if (!type) {
            assert_int_equal(ggml_blck_size((enum ggml_type)i), 0);
        } else {
            assert_int_equal(ggml_blck_size((enum ggml_type)i), type->block);
            assert_int_equal(ggml_type_size((enum ggml_type)i), type->bytes);
        }
    }
    assert_null(gguf_weight_type(GGML_TYPE_COUNT));
}

static void test_gguf_damage__damaged_file__is_refused_or_harmless(void **state)
{
    struct tally t = {0};
    char path[] = "/tmp/gguf-damage-XXXXXX";
    int fd = mkstemp(path);
    int n_fixtures = (int)(sizeof fixtures / sizeof fixtures[0]);
    int count = number_of("GGUF_DAMAGE_COUNT", FILES);
    uint64_t seed = (uint64_t)number_of("GGUF_DAMAGE_SEED", 1);
    const char *only = getenv("GGUF_DAMAGE_ONLY");

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < n_fixtures; i++)
        if (!only || strcmp(only, fixtures[i]) == 0)
            damage(fixtures[i], count / n_fixtures, seed * 100 + (uint64_t)i, path, &t);
    unlink(path);
    print_message("%d files: %d refused by the reader, %d by the model check, %d by llama.cpp, "
                  "%d ran, %d died\n",
                  t.refused_open + t.refused_check + t.refused_llama + t.ran + t.died,
                  t.refused_open, t.refused_check, t.refused_llama, t.ran, t.died);
    assert_int_equal(t.died, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_damage__rebuilt_file__is_the_same),
        cmocka_unit_test(test_gguf_damage__good_file__runs),
        cmocka_unit_test(test_gguf_damage__weight_types__are_those_of_ggml),
        cmocka_unit_test(test_gguf_damage__unchecked_file__kills),
        cmocka_unit_test(test_gguf_damage__damaged_file__is_refused_or_harmless),
    };

    setenv("GGML_NO_BACKTRACE", "1", 0); /* a debugger for each death takes seconds */
    llama_log_set(quiet, NULL);
    llama_backend_init();
    return cmocka_run_group_tests_name("gguf_damage", tests, NULL, NULL);
}
