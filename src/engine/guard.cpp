/*
 * guard: see the header. The one place where C++ exceptions of llama.cpp end.
 */
#include "engine/guard.h"

#include "core/context.h"
#include "engine/cpu_operators.h"
#include "engine/row_operators.h"

#include <climits>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>

namespace {

struct log_target {
    inf_context *context;
    char last_error[320];
    bool unheard;       /* last_error was not logged */
    bool out_of_memory; /* some error line, or exception, of this call said so */
};

thread_local log_target target;

int32_t level_of(ggml_log_level level)
{
    switch (level) {
    case GGML_LOG_LEVEL_ERROR:
        return INF_LOG_ERROR;
    case GGML_LOG_LEVEL_WARN:
        return INF_LOG_WARNING;
    default: /* llama.cpp's "info" is what a developer of llama.cpp wants to see */
        return INF_LOG_DEBUG;
    }
}

/* Warnings that tell a user nothing. The first is said of every context beyond the model's training,
 * also when it is only rounded up; generate warns of a prompt that is. The second is said of
 * swa_full, which the engine wants; the third of a prompt with two beginning-of-text tokens, which
 * generate sees to; the last of a model whose tokenizer is ours. */
bool is_routine(const char *text)
{
    return strstr(text, "starts with a BOS token") ||
           strstr(text, "possible training context overflow") ||
           strstr(text, "using full-size SWA cache") || strstr(text, "dummy tokens");
}

/* llama.cpp's and ggml's words for it: "failed to allocate", "unable to allocate", "insufficient memory",
 * strerror(ENOMEM). */
bool tells_of_memory(const char *text)
{
    return strstr(text, "allocat") || strstr(text, "insufficient memory") ||
           strstr(text, "bad_alloc");
}

/* A line for each tensor, of the model or of a graph. */
bool is_too_much(const char *text)
{
    return strstr(text, "loading tensor ") || strstr(text, "llama_graph_n_input_tensors");
}

/* Of a call that fails, llama.cpp's last line about it ends in the error's message, and is no line of its
 * own; those before are for developers. */
void say_last_error(int32_t level)
{
    if (target.unheard && target.context)
        context_log(target.context, level, "llama.cpp: %s", target.last_error);
    target.unheard = false;
}

void on_log(ggml_log_level level, const char *text, void *)
{
    size_t len = strcspn(text, "\n");

    if (level == GGML_LOG_LEVEL_WARN && is_routine(text))
        level = GGML_LOG_LEVEL_INFO;

    if (len < 3 || is_too_much(text)) /* progress dots and blank lines */
        return;
    if (level == GGML_LOG_LEVEL_ERROR) {
        say_last_error(INF_LOG_DEBUG);
        snprintf(target.last_error, sizeof target.last_error, "%.*s", (int)(len > 300 ? 300 : len),
                 text);
        target.unheard = true;
        target.out_of_memory = target.out_of_memory || tells_of_memory(target.last_error);
    } else if (target.context) {
        context_log(target.context, level_of(level), "llama.cpp: %.*s", (int)len, text);
    }
}

/* ggml's own prints a backtrace with a debugger, if there is one, and waits for it for ever where memory is
 * short. The process ends after this. */
void on_abort(const char *message)
{
    fprintf(stderr, "inference: error: ggml gave up, the process ends: %s\n", message);
}

/* What was said before, outside of such a call, is not this one's. */
void begin()
{
    say_last_error(INF_LOG_DEBUG);
    target.last_error[0] = '\0';
    target.out_of_memory = false;
}

int32_t failed(inf_error *err, const char *what)
{
    return error_set(err, target.out_of_memory ? INF_ERROR_NO_MEMORY : INF_ERROR_BACKEND,
                     "llama.cpp %s%s%s%s", what, target.out_of_memory ? ", out of memory" : "",
                     *target.last_error ? ": " : "", target.last_error);
}

/* on_exception is also what the call returns when it fails. */
template <typename Call, typename Result> Result caught(Call call, Result on_exception)
{
    Result result = on_exception;

    try {
        result = call();
    } catch (const std::bad_alloc &) {
        target.out_of_memory = true;
    } catch (const std::exception &e) {
        target.out_of_memory = target.out_of_memory || tells_of_memory(e.what());
        snprintf(target.last_error, sizeof target.last_error, "%.300s", e.what());
    } catch (...) {
        snprintf(target.last_error, sizeof target.last_error, "unknown exception");
    }
    say_last_error(result == on_exception ? INF_LOG_DEBUG : INF_LOG_ERROR);
    return result;
}

/* What the call makes; NULL with *err. */
template <typename T, typename F> T *made(F call, const char *what, inf_error *err)
{
    begin();
    T *object = caught(call, (T *)nullptr);

    if (!object)
        failed(err, what);
    return object;
}

} // namespace

extern "C" {

void guard_start(void)
{
    static std::once_flag once;

    std::call_once(once, [] {
        cpu_operators_install(row_operators());
        llama_log_set(on_log, nullptr);
        ggml_set_abort_callback(on_abort);
        llama_backend_init();
    });
}

void guard_log_to(inf_context *ctx)
{
    target.context = ctx;
}

struct llama_model *guard_load_model(const char *path, struct llama_model_params params,
                                     inf_error *err)
{
    return made<llama_model>([&] { return llama_model_load_from_file(path, params); },
                             "cannot load the model", err);
}

struct llama_model *guard_model_of(struct gguf_context *metadata,
                                   llama_model_set_tensor_data_t given, void *user_data,
                                   struct llama_model_params params, inf_error *err)
{
    return made<llama_model>(
        [&] { return llama_model_init_from_user(metadata, given, user_data, params); },
        "cannot load the model", err);
}

struct llama_context *guard_new_context(struct llama_model *model,
                                        struct llama_context_params params, inf_error *err)
{
    return made<llama_context>([&] { return llama_init_from_model(model, params); },
                               "cannot make a context", err);
}

int32_t guard_decode(struct llama_context *ctx, struct llama_batch batch)
{
    begin();
    int32_t status = caught(
        [&] {
            int32_t result = llama_decode(ctx, batch);

            if (result != 0)
                say_last_error(INF_LOG_DEBUG);
            return result;
        },
        (int32_t)-100);

    return status < 0 && target.out_of_memory ? GUARD_NO_MEMORY : status;
}

int32_t guard_tokenize(const struct llama_vocab *vocab, const char *text, int32_t len,
                       llama_token *tokens, int32_t n_max, bool add_special, bool parse_special)
{
    begin();
    return caught(
        [&] { return llama_tokenize(vocab, text, len, tokens, n_max, add_special, parse_special); },
        (int32_t)INT32_MIN);
}

bool guard_out_of_memory(void)
{
    return target.out_of_memory;
}

size_t guard_state_size(struct llama_context *ctx, int32_t slot, llama_state_seq_flags flags)
{
    begin();
    return caught([&] { return llama_state_seq_get_size_ext(ctx, slot, flags); }, (size_t)0);
}

size_t guard_get_state(struct llama_context *ctx, void *out, size_t size, int32_t slot,
                       llama_state_seq_flags flags)
{
    begin();
    return caught(
        [&] { return llama_state_seq_get_data_ext(ctx, (uint8_t *)out, size, slot, flags); },
        (size_t)0);
}

size_t guard_set_state(struct llama_context *ctx, const void *data, size_t size, int32_t slot,
                       llama_state_seq_flags flags)
{
    begin();
    return caught(
        [&] { return llama_state_seq_set_data_ext(ctx, (const uint8_t *)data, size, slot, flags); },
        (size_t)0);
}

struct llama_adapter_lora *guard_load_adapter(struct llama_model *model, FILE *file, inf_error *err)
{
    return made<llama_adapter_lora>(
        [&] { return llama_adapter_lora_init_from_file_ptr(model, file); }, "refuses the adapter",
        err);
}

} // extern "C"
