/*
 * inference: text generation and LoRA adapters over several backends, one API.
 *
 *     inf_context *ctx = NULL;
 *     inf_provider *model = NULL;
 *     inf_op *op = NULL;
 *     inf_error err;
 *     inf_result result;
 *
 *     inf_context_create(&ctx, NULL, &err);
 *     inf_provider_get(&model, ctx, "llamacpp", "model.gguf", NULL, &err);
 *     inf_adapter_load(model, "pirate", "adapters/pirate", NULL, &err);
 *
 *     inf_request request;
 *     inf_request_default(&request, sizeof request);
 *     request.prompt = inf_str("What is gravity?");
 *     request.adapter_id = inf_str("pirate");
 *     if (inf_generate(&op, model, &request, &err) == INF_OK) {
 *         inf_op_result(op, &result, sizeof result);
 *         fwrite(result.text.data, 1, result.text.len, stdout);
 *     }
 *     inf_op_release(op);
 *     inf_provider_release(model);
 *     inf_context_close(ctx, NULL);
 *
 * Conventions, for every function below unless its comment says otherwise:
 * - `out` parameters come first, `err` last. `err` may be NULL. Functions that can fail return an
 *   error code (INF_OK is 0); on failure `*out` is NULL or untouched and nothing has happened.
 * - Strings are UTF-8. Text is a pointer and a length (inf_text) and may hold NUL bytes;
 *   `const char *` parameters are NUL-terminated. Everything given is copied before return.
 * - Option structs start with `struct_size` and are filled by `inf_X_default(&x, sizeof x)`, where
 *   every default lives. A struct from a newer header whose unknown bytes are not all zero is
 *   INF_ERROR_INVALID_ARGUMENT: an option is never ignored in silence. Structs that are written take
 *   the caller's size, `size` or the struct_size set before the call: not a byte beyond it is
 *   written, what this library does not know is 0, and struct_size is then that size. A size that no
 *   version has (smaller than struct_size itself; of a struct_size, no multiple of it) is
 *   INF_ERROR_INVALID_ARGUMENT, and nothing is written.
 * - Any function may be called from any thread. Functions that block say so; a blocking function
 *   called inside a callback is INF_ERROR_STATE at once.
 * - Freeing functions accept NULL. In a forked child nothing else works on what was made before the
 *   fork: INF_ERROR_STATE. A new context may be made there, if no thread was inside the library when
 *   the process forked.
 */
#ifndef INFERENCE_INFERENCE_H
#define INFERENCE_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define INF_API
#else
#define INF_API __attribute__((visibility("default")))
#endif

/* ---------------------------------------------------------------- version */

#define INF_VERSION_MAJOR 0
#define INF_VERSION_MINOR 1
#define INF_VERSION_PATCH 0

/* The version of the library in use: major << 16 | minor << 8 | patch. */
INF_API uint32_t inf_version(void);
/* The same as text, for instance "0.1.0". Static storage. */
INF_API const char *inf_version_string(void);
/* How this library was built, for people and bug reports: "name: value" lines, each with a newline, of
 * llama.cpp and its backends, the CPU features it was compiled for, and the compiler. Static storage. */
INF_API const char *inf_build_info(void);

/* ---------------------------------------------------------------- errors */

/*
 * Every error, once: X(symbol, value, name, text, Python exception, exit code of the command).
 * Values never change; new ones are appended.
 */
#define INF_ERROR_TABLE(X)                                                                         \
    X(OK, 0, "ok", "no error", "", 0)                                                              \
    X(ERROR_INVALID_ARGUMENT, 1, "invalid_argument", "invalid argument", "ValueError", 3)          \
    X(ERROR_NOT_FOUND, 2, "not_found", "not found", "NotFoundError", 4)                            \
    X(ERROR_UNSUPPORTED, 3, "unsupported", "unsupported operation", "UnsupportedOperationError",   \
      5)                                                                                           \
    X(ERROR_STATE, 4, "state", "call not allowed in this state", "RuntimeError", 6)                \
    X(ERROR_NO_MEMORY, 5, "no_memory", "out of memory", "MemoryError", 7)                          \
    X(ERROR_IO, 6, "io", "input or output failed", "OSError", 8)                                   \
    X(ERROR_BAD_FORMAT, 7, "bad_format", "damaged or foreign file", "BadFormatError", 9)           \
    X(ERROR_MISMATCH, 8, "mismatch", "the adapter does not fit the model", "AdapterMismatchError", \
      10)                                                                                          \
    X(ERROR_NOT_FINITE, 9, "not_finite", "a value is NaN or infinite", "NotFiniteError", 11)       \
    X(ERROR_LIMIT, 10, "limit", "a configured limit is reached", "LimitError", 12)                 \
    X(ERROR_CONTEXT_FULL, 11, "context_full", "the prompt does not fit the context window",        \
      "ContextFullError", 13)                                                                      \
    X(ERROR_TEMPLATE, 12, "template", "the chat template failed", "TemplateError", 14)             \
    X(ERROR_CANCELLED, 13, "cancelled", "cancelled", "CancelledError", 15)                         \
    X(ERROR_TIMEOUT, 14, "timeout", "timed out", "TimeoutError", 16)                               \
    X(ERROR_CONNECTION, 15, "connection", "connection failed", "ConnectionError", 17)              \
    X(ERROR_HTTP_STATUS, 16, "http_status", "the server answered with an error",                   \
      "HTTPStatusError", 18)                                                                       \
    X(ERROR_PROTOCOL, 17, "protocol", "the server's answer breaks the protocol", "ProtocolError",  \
      19)                                                                                          \
    X(ERROR_BACKEND, 18, "backend", "the backend failed", "BackendError", 20)

enum inf_code {
#define INF_ERROR_ENUM(symbol, value, name, text, python, exit_code) INF_##symbol = value,
    INF_ERROR_TABLE(INF_ERROR_ENUM)
#undef INF_ERROR_ENUM
};

/* An error as a value: plain data in the caller's storage, to copy as one likes. */
typedef struct inf_error {
    int32_t code;        /* enum inf_code */
    int32_t http_status; /* the server's status, 0 when no server answered */
    int64_t detail;      /* errno, byte offset, limit or the like; 0 when there is none */
    char message[488];   /* one line, UTF-8, NUL-terminated: what is wrong and what to do */
} inf_error;

/* The name ("invalid_argument"), the text, the Python exception and the command's exit code of an
 * error code; for an unknown code "unknown", ..., 1. Static storage. */
INF_API const char *inf_error_name(int32_t code);
INF_API const char *inf_error_text(int32_t code);
INF_API const char *inf_error_python(int32_t code);
INF_API int32_t inf_error_exit_code(int32_t code);

/* ---------------------------------------------------------------- values */

/* Text or bytes: borrowed, not NUL-terminated. data NULL means absent; "" is present and empty. */
typedef struct inf_text {
    const char *data;
    size_t len;
} inf_text;

/* Fields in which 0, or not being set, means something. A value other than 0 that is not set is
 * INVALID_ARGUMENT, by the field's name: a forgotten is_set is not ignored in silence. */
typedef struct inf_maybe_i32 {
    bool is_set;
    int32_t value;
} inf_maybe_i32;
typedef struct inf_maybe_u64 {
    bool is_set;
    uint64_t value;
} inf_maybe_u64;
typedef struct inf_maybe_f32 {
    bool is_set;
    float value;
} inf_maybe_f32;

typedef struct inf_maybe_bool {
    bool is_set;
    bool value;
} inf_maybe_bool;

/* The inf_text of a NUL-terminated string; NULL gives the absent text. */
INF_API inf_text inf_str(const char *s);

/*
 * For bindings that cannot read this header: sizeof the struct of that name ("inf_request") in this
 * library, 0 when it has none; and the value of an enumerator ("INF_DELIVERY_QUEUE"), false and
 * nothing written when there is none of that name.
 */
INF_API size_t inf_struct_size(const char *name);
INF_API bool inf_enum_value(const char *name, int32_t *out);

typedef struct inf_context inf_context;
typedef struct inf_provider inf_provider;
typedef struct inf_op inf_op;
typedef struct inf_queue inf_queue;

/* ---------------------------------------------------------------- context */

enum inf_log_level { INF_LOG_DEBUG = 0, INF_LOG_INFO = 1, INF_LOG_WARNING = 2, INF_LOG_ERROR = 3 };

/* One line of log without a newline. Called on any thread, possibly on several at once, with no
 * lock held; `line` is valid during the call. It must not call back into the library. */
typedef void (*inf_log_fn)(void *user_data, int32_t level, const char *line);

/* A context that inf_context_close_start closes has nothing left to call back about. */
typedef void (*inf_closed_fn)(void *user_data);

enum inf_delivery {
    INF_DELIVERY_CALLBACKS = 0, /* callbacks on the context's one dispatch thread */
    INF_DELIVERY_QUEUE = 1      /* no dispatch thread: pull with inf_context_next */
};

typedef struct inf_context_options {
    size_t struct_size;
    int32_t delivery; /* enum inf_delivery; default callbacks */
    int32_t
        preparation_threads; /* threads that read, convert, render and tokenize; 1..64, default 1 */
    int32_t log_level;       /* lowest level passed to `log`; default INF_LOG_WARNING */
    inf_log_fn log;          /* NULL (default): nothing is logged */
    void *log_user_data;
} inf_context_options;

INF_API void inf_context_options_default(inf_context_options *options, size_t size);

/*
 * Creates a context: it owns the threads and the provider cache.
 * options NULL: the defaults. Errors: INVALID_ARGUMENT, NO_MEMORY, STATE (threads refused).
 */
INF_API int32_t inf_context_create(inf_context **out, const inf_context_options *options,
                                   inf_error *err);

/*
 * Cancels every operation, waits until the last on_done has returned, ends the threads, empties the
 * provider cache and frees the context. Blocks. Provider and operation handles that the caller
 * still holds stay valid for results and for release; starting anything on them is STATE.
 * In delivery by queue, events that nobody pulled are dropped.
 * STATE inside a callback: nothing has happened. NULL is INF_OK. In a forked child it frees what
 * the child can free and returns INF_OK.
 */
INF_API int32_t inf_context_close(inf_context *ctx, inf_error *err);

/*
 * The same without blocking: nothing more can be started, every operation is cancelled, and returns.
 * In the background the operations end and the providers are freed; then on_closed (NULL: none) is
 * called once, on the dispatch thread, after the last on_done. In delivery by queue on_closed must be
 * NULL: INF_EVENT_CLOSED comes as the last event, with user_data; the events before it can all be
 * pulled. Afterwards inf_context_close, which is still to be called, frees without waiting for
 * anything; called earlier it waits as always.
 * Allowed in a callback. Errors: INVALID_ARGUMENT (ctx NULL, a function in delivery by queue), STATE
 * (closing already, forked child, no thread to be had), NO_MEMORY: nothing has happened.
 */
INF_API int32_t inf_context_close_start(inf_context *ctx, inf_closed_fn on_closed, void *user_data,
                                        inf_error *err);

/* ---------------------------------------------------------------- operations */

/* A piece of a tool call, as a delta of /v1 has it: whole code points. The pieces of one index put together,
 * each member by itself, are that call of the result. */
typedef struct inf_tool_call_delta {
    int32_t index; /* of the call, in the result's tool_calls */
    int32_t reserved;
    /* Each comes whole, both at once where the server sends the id first; empty when it came. */
    inf_text id;
    inf_text name;
    inf_text arguments; /* a piece of the JSON text */
} inf_tool_call_delta;

/* A piece of an answer, whole code points. The chunks put together are the result's text, reasoning and tool
 * calls. What it points to is valid during the callback, or until the next inf_context_next. */
typedef struct inf_chunk {
    inf_text text;
    inf_text reasoning; /* the model's reasoning text, never mixed into `text` */
    int64_t n_tokens;   /* tokens completed so far; 0 where a server does not tell */
    const inf_tool_call_delta *tool_calls; /* pieces of calls, by index; each call once */
    size_t n_tool_calls;
} inf_chunk;

typedef void (*inf_token_fn)(void *user_data, inf_op *op, const inf_chunk *chunk);
typedef void (*inf_progress_fn)(void *user_data, inf_op *op, float fraction);
typedef void (*inf_done_fn)(void *user_data, inf_op *op);

/*
 * Callbacks of an operation; each may be NULL. They run on the context's dispatch thread, one at a
 * time, with no lock held. A start that failed calls nothing; a started operation calls on_done
 * exactly once, last, and `user_data` is not touched after it returned. Do not block in them: other
 * callbacks wait, decoding does not, and a slow on_token gets bigger chunks.
 * In delivery by queue nothing is called: every function must be NULL (INVALID_ARGUMENT by name), and
 * the operation's events carry user_data. callbacks NULL at a start: no callbacks and no events.
 * queue: this operation's events go to that queue, in either delivery; NULL: where the context delivers.
 * only_done: no TOKEN and no PROGRESS events, DONE alone, for who wants the result and not its pieces;
 * INVALID_ARGUMENT with an on_token or on_progress.
 */
typedef struct inf_callbacks {
    size_t struct_size;
    inf_token_fn on_token;
    inf_progress_fn on_progress; /* loading: 0 .. 1, rising */
    inf_done_fn on_done;
    void *user_data;
    inf_queue *queue; /* of the same context */
    bool only_done;
    uint8_t reserved[7]; /* 0 */
} inf_callbacks;

INF_API void inf_callbacks_default(inf_callbacks *callbacks, size_t size);

/*
 * Waits until the operation is done and its on_done has returned, or until `timeout_ms` is over
 * (negative: without limit; 0: returns at once). Blocks.
 * Returns the operation's own status, filled into err. A wait that ran out is INF_ERROR_TIMEOUT
 * with err->detail == INF_WAIT_EXPIRED, and the operation goes on.
 * STATE inside a callback.
 */
INF_API int32_t inf_op_wait(inf_op *op, int64_t timeout_ms, inf_error *err);
#define INF_WAIT_EXPIRED (-1)

/* True when the operation is done and its on_done has returned. Never blocks. */
INF_API bool inf_op_poll(const inf_op *op);

/* Asks the operation to end; returns at once. It ends with INF_ERROR_CANCELLED (text so far kept)
 * unless its status was written before: a late cancel changes nothing. NULL is ignored. */
INF_API void inf_op_cancel(inf_op *op);

/* One more reference. Returns op. */
INF_API inf_op *inf_op_retain(inf_op *op);

/* Gives a reference back. Releasing the last one of an operation in flight cancels it; its on_done
 * still comes once. */
INF_API void inf_op_release(inf_op *op);

/* The status of a done operation: its code, with the error copied to err. STATE while in flight. */
INF_API int32_t inf_op_error(const inf_op *op, inf_error *err);

/* The body of a failed HTTP answer, capped at 64 KiB; absent otherwise. Borrowed from op. */
INF_API inf_text inf_op_error_body(const inf_op *op);

/* ------------------------------------------------- delivery by queue (event loops, bindings) */

enum inf_event_kind {
    INF_EVENT_TOKEN = 1,
    INF_EVENT_PROGRESS = 2,
    INF_EVENT_DONE = 3,
    INF_EVENT_CLOSED = 4 /* the last one: inf_context_close_start is done; op is NULL */
};

typedef struct inf_event {
    int32_t kind;    /* enum inf_event_kind */
    float progress;  /* PROGRESS */
    inf_op *op;      /* borrowed: valid until the next inf_context_next unless retained */
    void *user_data; /* of the operation's inf_callbacks; CLOSED: of inf_context_close_start */
    inf_chunk chunk; /* TOKEN; what it points to is valid until the next inf_context_next */
} inf_event;

/*
 * Pulls up to `capacity` events into `events`, waiting up to timeout_ms for the first (negative:
 * without limit). event_size is the caller's sizeof(inf_event), the distance from one event to the next:
 * of a longer event it gets the beginning, behind a shorter one zeros. *n_out is how many came; 0 when the
 * time was over. One thread at a time: a second concurrent call is STATE. In delivery by callbacks and after CLOSED: STATE.
 * Events of one operation come in order, DONE last; operations started without callbacks (NULL)
 * make no events.
 */
INF_API int32_t inf_context_next(inf_context *ctx, inf_event *events, size_t event_size,
                                 size_t capacity, size_t *n_out, int64_t timeout_ms,
                                 inf_error *err);

/* A descriptor that polls readable while events wait; owned by the context. -1 in delivery by
 * callbacks. */
INF_API int inf_context_event_fd(const inf_context *ctx);

/*
 * A further queue of a context, which itself may deliver either way: for a program with several event
 * loops, each of which then wakes for its own operations alone (inf_callbacks.queue). The operations of a
 * queue keep it; after inf_context_close every call on it but the release is STATE.
 * Errors: INVALID_ARGUMENT, NO_MEMORY, IO (no descriptor to be had), STATE.
 */
INF_API int32_t inf_queue_create(inf_queue **out, inf_context *ctx, inf_error *err);
/* As inf_context_next and inf_context_event_fd. The descriptor is written to only when the reader may be
 * asleep: an event came into an empty queue that nobody was pulling from, or a pull left some. */
INF_API int32_t inf_queue_next(inf_queue *queue, inf_event *events, size_t event_size,
                               size_t capacity, size_t *n_out, int64_t timeout_ms, inf_error *err);
INF_API int inf_queue_fd(const inf_queue *queue);
/* Frees it, before or after its context: events that nobody pulled are dropped, its operations go on
 * and say nothing more. A pull that waits on another thread ends with STATE first. */
INF_API void inf_queue_release(inf_queue *queue);

/* ---------------------------------------------------------------- providers */

enum inf_provider_type {
    INF_PROVIDER_VLLM = 1,
    INF_PROVIDER_OLLAMA = 2,
    INF_PROVIDER_LLAMACPP = 3,
    INF_PROVIDER_TRANSFORMERS = 4
};

enum inf_flash_attention {
    INF_FLASH_ATTENTION_AUTO = 0,
    INF_FLASH_ATTENTION_ON = 1,
    INF_FLASH_ATTENTION_OFF = 2
};

enum inf_adapter_execution {
    INF_ADAPTERS_AUTO = 0,   /* shared decode where the weights are in host memory, else native */
    INF_ADAPTERS_SHARED = 1, /* all adapters and scales in one decode; weights in host memory */
    INF_ADAPTERS_NATIVE = 2  /* the backend's own adapters: one decode for those with the same */
};

enum inf_adapter_overflow {
    INF_ADAPTER_OVERFLOW_REFUSE = 0, /* a load beyond the limit fails with LIMIT */
    INF_ADAPTER_OVERFLOW_EVICT = 1   /* the least recently used unpinned one makes room */
};

/* Whether an adapter directory is checked here before its path goes to a server, which takes NaN
 * weights and names that match nothing: format, every weight, and names and shapes where the base
 * model's directory can be read. A path that only the server can read is sent as it is. Of vllm; anything but auto is
 * an invalid argument of the others. */
enum inf_adapter_check {
    INF_ADAPTER_CHECK_AUTO = 0, /* when the server is on this machine */
    INF_ADAPTER_CHECK_ALWAYS = 1,
    INF_ADAPTER_CHECK_NEVER = 2
};

/* An explicit configuration. Fields marked (in process) are INVALID_ARGUMENT, by name, when changed
 * from their default for a provider that does not run in process, those marked (servers) for one that
 * does. */
typedef struct inf_provider_config {
    size_t struct_size;
    int32_t type;         /* enum inf_provider_type; required */
    const char *base_url; /* server URL, or model path (in process); NULL: the environment. vllm:
                             several URLs with commas between them are replicas, used as one */

    /* in process */
    int32_t n_ctx;        /* window of each request, tokens; default 4096, at least 16 */
    int32_t n_gpu_layers; /* layers on a device; default -1: all */
    int32_t n_threads; /* compute threads; 0 (default): one a physical core, within the CPU quota of
                          the control group (the container) */
    int32_t max_sequences;     /* requests decoded together; 1..64, default 16 */
    int32_t queue_limit;       /* requests waiting beyond those; default 1024 */
    int32_t prefill_chunk;     /* prompt tokens a step while others decode, at most; default 128 */
    int32_t flash_attention;   /* enum inf_flash_attention */
    int32_t adapter_execution; /* enum inf_adapter_execution */
    uint64_t kv_budget_bytes;  /* upper bound of KV cache memory, recurrent states that are kept for
                                   prefixes included; default 4 GiB. Fewer requests
                                   decode together when it is small; one window always must fit */
    uint64_t max_adapters;     /* registered at once; 0 (default): no limit */
    uint64_t max_adapter_bytes; /* their bytes in memory; 0 (default): no limit */
    int32_t adapter_overflow;   /* enum inf_adapter_overflow */
    int32_t reserved;           /* 0 */

    /* servers */
    const char *api_key; /* sent as a bearer token; NULL: VLLM_API_KEY, or "ollama"; "": none. With
                            user:password in base_url, or an Authorization line in headers, a key
                            that is set is INVALID_ARGUMENT: one of them has to go */
    const char *headers; /* "Name: value" lines, sent with every request; NULL: none */
    int64_t connect_timeout_ms; /* for a connection, TLS too; default 5,000; -1: no limit */
    int64_t
        silence_timeout_ms;  /* between bytes of an answer's body, counted from its first; default
                                   60,000; -1: no limit */
    int32_t max_retries;     /* of a generation of which nothing has come; 0..10, default 2 */
    int32_t adapter_check;   /* enum inf_adapter_check */
    int32_t max_connections; /* generations that a server is sent at once, each over a connection of
                                   its own (HTTP/2: a stream); the rest wait in order; 1..65536,
                                   default 256. Less where few files may be open (ulimit -n) */
    int32_t reserved2;       /* 0 */

    /* in process */
    const char *device; /* "cpu", ...; NULL or "auto": the build's best. transformers: NULL is
                           TRANSFORMERS_DEVICE, else "cpu" */
    const char
        *dtype; /* "float32", ...; NULL or "auto": as the model has it. A GGUF file has its own:
                           anything else is UNSUPPORTED there */
} inf_provider_config;

INF_API void inf_provider_config_default(inf_provider_config *config, size_t size);

/*
 * The factory. type: "vllm", "ollama", "llamacpp" or "transformers" in any case; NULL:
 * INFERENCE_PROVIDER, else "vllm". base_url: server URL, or model path for the in-process types;
 * NULL: VLLM_BASE_URL, OLLAMA_BASE_URL, LLAMACPP_MODEL_PATH or TRANSFORMERS_MODEL_NAME, else
 * the type's default. The environment is read at the call. The same (type, URL) gives the identical
 * object while it is cached; each call gives a reference to release.
 * options: what else a new provider is made with, NULL: the defaults. For a cached provider NULL takes
 * it as it is, and options in which a field differs from what it was made with (texts compared by
 * content) are INVALID_ARGUMENT naming the field: evict it, or use inf_provider_create. The options'
 * type and base_url stand in where the arguments are NULL, and must agree with them else.
 * Errors: INVALID_ARGUMENT for any other type, naming the supported ones, and for options; UNSUPPORTED
 * for a type that this build left out, saying how to get it; NO_MEMORY; STATE after close.
 */
INF_API int32_t inf_provider_get(inf_provider **out, inf_context *ctx, const char *type,
                                 const char *base_url, const inf_provider_config *options,
                                 inf_error *err);

/* The same, options NULL, from a JSON object with optional "provider" and "base_url" (strings or null);
 * other keys are ignored. INVALID_ARGUMENT when it is not a JSON object or a value is of another type. */
INF_API int32_t inf_provider_get_for_step(inf_provider **out, inf_context *ctx, inf_text step_json,
                                          inf_error *err);

/* A provider of its own, outside the cache. */
INF_API int32_t inf_provider_create(inf_provider **out, inf_context *ctx,
                                    const inf_provider_config *config, inf_error *err);

/* Takes the provider out of the cache; the next inf_provider_get makes a new one. References held
 * stay good. NOT_FOUND when it is not cached. */
INF_API int32_t inf_provider_evict(inf_provider *provider, inf_error *err);

INF_API inf_provider *inf_provider_retain(inf_provider *provider);
/* Gives a reference back. With the last one (the cache holds one too) the provider is freed, in
 * the background, as soon as its operations are done. */
INF_API void inf_provider_release(inf_provider *provider);

INF_API int32_t inf_provider_type_of(const inf_provider *provider); /* enum inf_provider_type */
INF_API const char *inf_provider_base_url(const inf_provider *provider); /* borrowed; never NULL */
/* "vllm", ... for a type; NULL for an unknown one: 1, 2, ... until then are all there are. */
INF_API const char *inf_provider_type_name(int32_t type);

/* What is known of a type of provider before one is made. Static storage. */
typedef struct inf_provider_info {
    size_t struct_size;
    int32_t type;             /* enum inf_provider_type */
    bool in_process;          /* base_url is a model's path */
    const char *name;         /* as inf_provider_get takes it */
    const char *url_variable; /* of the environment: base_url where none is given */
    const char *default_url;  /* where that is not set either; "": none */
    const char *missing;      /* NULL; or what to do, since this build has no such provider */
} inf_provider_info;
/* Writes `size` bytes. INVALID_ARGUMENT for an unknown type. */
INF_API int32_t inf_provider_type_info(inf_provider_info *out, size_t size, int32_t type);

/* The type of provider that a model's path tells (a GGUF file: llamacpp; a directory, or a hub's id that is
 * in the local Hugging Face cache: transformers), 0 when it tells none, as a served name does. Asks the
 * file system. */
INF_API int32_t inf_provider_type_of_model(const char *path);

/*
 * Loads the model now (in process), reporting progress; done at once when it is loaded. Servers:
 * UNSUPPORTED. Errors of the operation: INVALID_ARGUMENT (no model set: says what to set), IO,
 * BAD_FORMAT, UNSUPPORTED, NO_MEMORY, BACKEND; nothing stays loaded then.
 */
INF_API int32_t inf_provider_load_start(inf_op **out, inf_provider *provider,
                                        const inf_callbacks *callbacks, inf_error *err);
INF_API int32_t inf_provider_load(inf_provider *provider, inf_error *err); /* blocks */

/* Frees the model, its tokenizer too, after the requests in flight; adapters stay registered; the next
 * generate loads it again. Servers: UNSUPPORTED. */
INF_API int32_t inf_provider_unload_start(inf_op **out, inf_provider *provider,
                                          const inf_callbacks *callbacks, inf_error *err);
INF_API int32_t inf_provider_unload(inf_provider *provider, inf_error *err); /* blocks */

/* What an in-process provider is doing; numbers only grow, but for the marked ones. */
typedef struct inf_provider_stats {
    size_t struct_size;
    int64_t steps;         /* decode calls so far */
    int64_t shared_steps;  /* of these, with rows of more than one request */
    int64_t rows;          /* rows (tokens) in them */
    int64_t requests;      /* generate operations that ended */
    int64_t prefix_tokens; /* prompt tokens not computed again */
    int64_t active;        /* now: requests being decoded */
    int64_t queued;        /* now: requests waiting */
    int64_t adapters;      /* now: adapters registered */
    int64_t pins;          /* now: pins on adapters */
    int64_t adapter_bytes; /* now: bytes of registered and pinned adapters */
    int64_t kv_bytes;      /* now: KV cache */
    bool model_loaded;     /* now */
} inf_provider_stats;
/* Never blocks on compute. Writes `size` bytes. Servers: UNSUPPORTED. */
INF_API int32_t inf_provider_get_stats(inf_provider *provider, inf_provider_stats *stats,
                                       size_t size, inf_error *err);

/* ---------------------------------------------------------------- generate */

typedef struct inf_message {
    inf_text role;
    inf_text content;
} inf_message;

/* An adapter of a request. */
typedef struct inf_request_adapter {
    inf_text id;         /* not empty */
    inf_maybe_f32 scale; /* multiplies the adapter's own scale; unset: 1. Finite */
} inf_request_adapter;

/* Speculation: tokens that may come next are looked up (where the last ones stood before in the prompt, the
 * answer or the request's reference), and one step verifies several. The answer is the one without, wherever
 * results say row_independent; elsewhere its last bits may differ, as they may with other company. */
enum inf_speculate {
    /* Where it pays, and results are row_independent; servers: their own matter. */
    INF_SPECULATE_AUTO = 0,
    INF_SPECULATE_OFF = 1,
    /* Whenever there is something to look up. UNSUPPORTED, with the operation, by models that cannot go back
     * (recurrent layers). */
    INF_SPECULATE_LOOKUP = 2
};

/* Exactly one of prompt, messages and messages_json is given. What the provider cannot honour is
 * UNSUPPORTED, unless the field says otherwise. JSON in which a key stands twice in an object, or half a
 * surrogate pair, is INVALID_ARGUMENT: readers take it differently. */
typedef struct inf_request {
    size_t struct_size;
    inf_text prompt;
    const inf_message *messages;
    size_t n_messages;
    inf_text messages_json;      /* a JSON array of chat messages, any fields the template knows */
    inf_text template_variables; /* a JSON object of further template variables; with messages */
    inf_text model;      /* servers: sent as is; in process: ignored, as the reference says */
    inf_text adapter_id; /* absent or "": the base model. Short form of one in `adapters` */
    const inf_request_adapter *adapters; /* n_adapters, 64 at most: their deltas add up. Not with
                                            adapter_id; more than one is UNSUPPORTED by servers */
    size_t n_adapters;
    inf_text system_prompt;           /* with messages it comes first */
    inf_maybe_i32 max_tokens;         /* unset: 4096; set, 0 or less is INVALID_ARGUMENT */
    inf_maybe_f32 temperature;        /* 0: greedy; negative is INVALID_ARGUMENT */
    inf_maybe_f32 top_p;              /* (0, 1] */
    inf_maybe_i32 top_k;              /* 0 or -1: all */
    inf_maybe_f32 min_p;              /* [0, 1] */
    inf_maybe_f32 repetition_penalty; /* > 0; 1: off */
    inf_maybe_f32 frequency_penalty;  /* [-2, 2] */
    inf_maybe_f32 presence_penalty;   /* [-2, 2] */
    inf_maybe_u64 seed;               /* unset: a fresh one */
    inf_maybe_f32 adapter_scale;      /* of adapter_id: as a scale in `adapters` */
    const inf_text *stop;             /* n_stop strings, none empty; they are not in the text */
    size_t n_stop;
    const int32_t *stop_token_ids;
    size_t n_stop_token_ids;
    inf_maybe_i32 logprobs; /* 0..20: log-probabilities of the token and that many others */
    inf_text json_schema;   /* constrains the output to this JSON schema */
    inf_text grammar;       /* constrains the output to this GBNF grammar; not with the above */
    inf_text extra_json;    /* servers: a JSON object of further fields */
    inf_text extra_headers; /* servers: "Name: value" lines; they replace the provider's own, its
                               credentials too */
    int64_t timeout_ms; /* the work, retries included: counted from when the request has its slot
                               (in process) or its connection; default 600,000, -1: no limit; 0 is
                               INVALID_ARGUMENT. Waiting before that, loading the model too, is: */
    int64_t queue_timeout_ms; /* bounded by this; default -1: no limit; 0 is INVALID_ARGUMENT */
    /* Go on after an end-of-text token; a grammar or schema that nothing can follow any more ends the request
     * all the same. */
    bool ignore_eos;
    bool plain_prompt; /* in process, with a prompt: it is text all through, and special tokens
                                 written in it ("<|im_start|>") are none: for what others wrote */
    inf_maybe_bool add_special;  /* in process: whether the model's beginning-of-text tokens are put
                                   around; unset: around a prompt, unless it begins with its own (the
                                   log says so), not around what a chat template rendered */
    bool plain_output;           /* in process: the text as the model wrote it; reasoning and tool
                                    calls are not taken out of it */
    bool continue_final_message; /* the last message, an assistant's, is gone on with: the answer
                                    begins where it ends. In process and by vllm */
    uint8_t reserved[2];         /* 0 */
    inf_text
        tools; /* with messages (servers: or a prompt): a JSON array of the functions that the model may
                       call, as /v1 has them. In process its chat template shows them to it, and says how its
                       calls look */
    inf_text
        tool_choice; /* with tools: "auto" (unset too), "none", "required", a function's name, or the
                             object that /v1 takes for one. In process a call that has to come is enforced by
                             a grammar of the tools' schemas. Ollama has auto alone */
    /* In process: a text of which the answer may repeat parts, as the file that is being edited; speculation
     * looks there too, nothing else does. Not with INF_SPECULATE_OFF. */
    inf_text reference;
    int32_t speculate; /* in process: enum inf_speculate */
    int32_t reserved2; /* 0 */
} inf_request;

INF_API void inf_request_default(inf_request *request, size_t size);

enum inf_finish {
    INF_FINISH_NONE = 0, /* ended by an error */
    INF_FINISH_STOP = 1,
    INF_FINISH_LENGTH = 2,
    INF_FINISH_TOOL_CALLS = 3,
    INF_FINISH_CONTENT_FILTER = 4,
    INF_FINISH_OTHER = 5 /* finish_reason has the server's word */
};

typedef struct inf_alternative {
    int32_t token_id; /* -1 where a server does not tell */
    float logprob;
    inf_text piece; /* the token's bytes */
} inf_alternative;

typedef struct inf_logprob {
    int32_t token_id;
    float logprob; /* natural logarithm, of the distribution before sampling options */
    inf_text piece;
    const inf_alternative *top; /* most probable first */
    size_t n_top;
} inf_logprob;

/* An adapter that a result was made with. */
typedef struct inf_result_adapter {
    inf_text id;
    uint64_t generation; /* 0: a server's, which this provider did not load */
    float scale;         /* the request's */
    int32_t reserved;
} inf_result_adapter;

typedef struct inf_timings {
    int64_t queued_us;  /* waiting, until the first prompt token was computed (servers: until it
                               had a connection); load_us apart */
    int64_t load_us;    /* until the model was loaded, by this or another operation; in process */
    int64_t prefill_us; /* the prompt */
    int64_t first_token_us; /* from the start to the first token */
    int64_t decode_us;      /* first token to last */
    int64_t total_us;
} inf_timings;

/* The result of generate. Everything it points to belongs to the operation. */
typedef struct inf_result {
    size_t struct_size;
    inf_text text;
    inf_text model;
    inf_text adapter_id;    /* absent: no adapter, or several */
    inf_text finish_reason; /* "stop", "length", ...; absent after an error */
    inf_text
        reasoning; /* the model's reasoning: a server's, in process what the chat template's format
                           marks as such; absent when none */
    inf_text
        tool_calls; /* the tool calls, as /v1 has them: a JSON array of {"id", "type", "function"},
                            each with an id; absent when none. In process where the request has tools */
    /* What the server says, never a guess: of a good answer a count that it did not tell is -1, and so
     * is a sum with such a one. After an error: what came so far, at least. */
    int64_t token_count; /* prompt + completion */
    int64_t prompt_tokens;
    int64_t completion_tokens;
    const int32_t *token_ids; /* generated, in process; the end-of-text token included */
    size_t n_token_ids;
    const inf_logprob *logprobs;
    size_t n_logprobs;
    inf_timings timings;
    uint64_t adapter_generation;        /* 0: no adapter, several, or a server's own */
    const inf_result_adapter *adapters; /* in the request's order */
    size_t n_adapters;
    int64_t prefix_tokens; /* prompt tokens taken from the KV cache */
    int64_t steps;         /* in process: decode calls this request took part in */
    double mean_rows;      /* mean number of requests in these */
    double mean_adapters;  /* mean number of different adapters (generation, scale) in these */
    int32_t finish;        /* enum inf_finish */
    /* In process: 1: to the last bit the answer that the request has alone, whoever shared its steps; 0: not
     * promised. */
    int32_t row_independent;
    int64_t drafted_tokens;  /* in process: tokens that were looked up and verified (speculate) */
    int64_t accepted_tokens; /* of these, those that came true */
} inf_result;

/*
 * Starts a generation. Errors of the start: INVALID_ARGUMENT, UNSUPPORTED, NO_MEMORY, STATE, LIMIT
 * (the queue is full). An adapter that is not registered is INVALID_ARGUMENT; vllm sends an id that
 * this provider did not load as it is, since the server may have it from elsewhere, and ollama ignores
 * any with a warning. The adapter's generation is pinned by the start. Errors of the operation,
 * besides: the load errors above, CONTEXT_FULL, TEMPLATE, NOT_FINITE (this row's logits), CANCELLED,
 * TIMEOUT, BACKEND. Of a server's: CONNECTION, HTTP_STATUS (it refused: http_status,
 * inf_op_error_body), PROTOCOL (no proper answer, or one that ends before its finish reason), BACKEND
 * (an error, or a refusal of the model, in the middle of an answer), LIMIT (a text, or tool calls,
 * beyond what is kept), UNSUPPORTED (an option that this server would ignore, log-probabilities it
 * did not send), STATE (the server lost the adapter and its files changed), and what loading such an
 * adapter again may end in.
 * callbacks NULL: none.
 */
INF_API int32_t inf_generate_start(inf_op **out, inf_provider *provider, const inf_request *request,
                                   const inf_callbacks *callbacks, inf_error *err);

/* inf_generate_start and wait. *out is set even when the operation failed (text so far); NULL only
 * when the start failed. Release it. Blocks. */
INF_API int32_t inf_generate(inf_op **out, inf_provider *provider, const inf_request *request,
                             inf_error *err);

/* The result of a done generate operation, after an error too: what there was so far.
 * STATE while in flight; INVALID_ARGUMENT for another kind of operation. Writes `size` bytes. */
INF_API int32_t inf_op_result(const inf_op *op, inf_result *out, size_t size);

/* ---------------------------------------------------------------- adapters */

/* Where an adapter comes from: a path, or bytes. */
typedef struct inf_adapter_source {
    size_t struct_size;
    const char *path; /* PEFT directory or GGUF file */
    inf_text config;  /* with weights: adapter_config.json (PEFT) */
    inf_text weights; /* adapter_model.safetensors, or a GGUF adapter (then no config) */
} inf_adapter_source;

INF_API void inf_adapter_source_default(inf_adapter_source *source, size_t size);

enum inf_adapter_format { INF_ADAPTER_PEFT = 1, INF_ADAPTER_GGUF = 2 };

/* Of a server's adapter, rank to n_tensors and bytes (those of the weights' file) are told where this
 * machine has read it, and are 0 elsewhere. */
typedef struct inf_adapter_report {
    size_t struct_size;
    uint64_t generation; /* grows with every load of the provider, from 1 */
    int64_t bytes;       /* held in memory */
    int32_t format;      /* enum inf_adapter_format; 0 for servers */
    int32_t rank;        /* the largest */
    float scale;         /* alpha/rank as applied; of the first module where they differ */
    int32_t n_modules;   /* modules of the base model it changes */
    int32_t n_tensors;   /* tensors of the file that were matched: all of them */
    int32_t replaced;    /* 1: an older generation of the id was replaced */
    inf_text id;         /* borrowed from the operation or list */
    inf_text evicted;    /* space-separated ids that made room; absent when none */
} inf_adapter_report;

/*
 * Loads an adapter under an id, replacing what the id named: requests in flight keep the
 * generation they started with. A failed load leaves the old one serving. Bytes are the caller's again when the start
 * returns: it has copied them, or made the adapter of them, and the operation has ended. That is so in process, of up to
 * 32 MiB, once an operation has read the model's files, where no load of the provider is queued and the model's
 * weights are not needed (as they are for DoRA and for copies of them).
 * id: 1..256 bytes, no control characters. Errors of the operation: INVALID_ARGUMENT, IO,
 * BAD_FORMAT, UNSUPPORTED (a PEFT feature or architecture), MISMATCH, NOT_FINITE, LIMIT, NO_MEMORY,
 * CANCELLED: nothing is half-loaded. Never loads the model. Servers: from memory UNSUPPORTED, ollama
 * always; besides, CONNECTION, TIMEOUT, HTTP_STATUS (the message says what to set), PROTOCOL, and
 * STATE (somebody else's adapter has the name on the server).
 */
INF_API int32_t inf_adapter_load_start(inf_op **out, inf_provider *provider, const char *id,
                                       const inf_adapter_source *source,
                                       const inf_callbacks *callbacks, inf_error *err);
/* From a path; blocks. report may be NULL; else its struct_size is set before the call, and its texts
 * are absent (use the operation for them). */
INF_API int32_t inf_adapter_load(inf_provider *provider, const char *id, const char *path,
                                 inf_adapter_report *report, inf_error *err);
/* The report of a done load. STATE while in flight, INVALID_ARGUMENT for another kind of op; the
 * load's own error when it failed. */
INF_API int32_t inf_op_adapter_report(const inf_op *op, inf_adapter_report *out, size_t size);

/* Hides the id at once; done when requests in flight on it have ended and its memory is back, or the
 * server confirmed. NOT_FOUND for an id that is not loaded; a vLLM server is asked about one that
 * this provider did not load, and its 404 is HTTP_STATUS. Servers: CONNECTION, TIMEOUT, HTTP_STATUS
 * and PROTOCOL too; ollama UNSUPPORTED. */
INF_API int32_t inf_adapter_unload_start(inf_op **out, inf_provider *provider, const char *id,
                                         const inf_callbacks *callbacks, inf_error *err);
INF_API int32_t inf_adapter_unload(inf_provider *provider, const char *id, inf_error *err);

typedef struct inf_adapter_list inf_adapter_list;
/* The adapters registered now, sorted by id (bytewise). Does no I/O. Free the list. */
INF_API int32_t inf_adapters(inf_adapter_list **out, inf_provider *provider, inf_error *err);
INF_API size_t inf_adapter_list_count(const inf_adapter_list *list);
/* The id (NUL-terminated), or NULL past the end. Borrowed from the list. */
INF_API const char *inf_adapter_list_id(const inf_adapter_list *list, size_t index);
INF_API int32_t inf_adapter_list_report(const inf_adapter_list *list, size_t index,
                                        inf_adapter_report *out, size_t size);
INF_API void inf_adapter_list_free(inf_adapter_list *list);

/*
 * What the servers list, asked now, beside what this provider tracks: a JSON array (inf_op_text) of
 *     {"name", "id", "path", "tracked", "on_server", "server"}
 * name: on the server; id: the adapter id it serves here, null for one that this provider did not
 * load; on_server false: tracked, and the server does not list it. In process and for servers
 * without adapters: UNSUPPORTED. Errors of the operation: CONNECTION, TIMEOUT, HTTP_STATUS,
 * PROTOCOL, NO_MEMORY, CANCELLED.
 */
INF_API int32_t inf_server_adapters_start(inf_op **out, inf_provider *provider,
                                          const inf_callbacks *callbacks, inf_error *err);
/* Blocks, as inf_generate: *out is set even when the operation failed. Release it. */
INF_API int32_t inf_server_adapters(inf_op **out, inf_provider *provider, inf_error *err);

/* ---------------------------------------------- text and numbers (in process; else UNSUPPORTED) */

/* The forms without _start block, as inf_generate: *out is set even when the operation failed, NULL only
 * when its start did. Release it. */

/* Tokens of a text. add_special: the model's beginning-of-text tokens too, and special tokens
 * written in the text are recognised either way. INVALID_ARGUMENT for text that is not UTF-8. Needs
 * no weights. */
INF_API int32_t inf_tokenize_start(inf_op **out, inf_provider *provider, inf_text text,
                                   bool add_special, const inf_callbacks *callbacks,
                                   inf_error *err);
INF_API int32_t inf_tokenize(inf_op **out, inf_provider *provider, inf_text text, bool add_special,
                             inf_error *err);
/* The ids of a done tokenize; borrowed from op. */
INF_API int32_t inf_op_tokens(const inf_op *op, const int32_t **ids, size_t *n);

/* The text of tokens; skip_special leaves special tokens out. INVALID_ARGUMENT for an id outside
 * the vocabulary. Needs no weights. */
INF_API int32_t inf_detokenize_start(inf_op **out, inf_provider *provider, const int32_t *ids,
                                     size_t n, bool skip_special, const inf_callbacks *callbacks,
                                     inf_error *err);
INF_API int32_t inf_detokenize(inf_op **out, inf_provider *provider, const int32_t *ids, size_t n,
                               bool skip_special, inf_error *err);

/* The chat template applied. messages_json: an array of messages, or an object with "messages" and
 * further template variables; "continue_final_message" in it, with add_generation_prompt false, ends the
 * text where that of the last message does. Needs no weights. UNSUPPORTED when the model has no template. */
INF_API int32_t inf_render_start(inf_op **out, inf_provider *provider, inf_text messages_json,
                                 bool add_generation_prompt, const inf_callbacks *callbacks,
                                 inf_error *err);
INF_API int32_t inf_render(inf_op **out, inf_provider *provider, inf_text messages_json,
                           bool add_generation_prompt, inf_error *err);
/* The text of a done detokenize, render, inspect or server_adapters; borrowed from op. */
INF_API int32_t inf_op_text(const inf_op *op, inf_text *out);

typedef struct inf_logits_request {
    size_t struct_size;
    const int32_t *token_ids;
    size_t n_token_ids;
    inf_text adapter_id; /* this, its scale and the list: as in inf_request */
    const inf_request_adapter *adapters;
    size_t n_adapters;
    inf_maybe_f32 adapter_scale;
    int32_t top; /* how many of the largest; default 10 */
    int32_t reserved;
    const int32_t *probe; /* ids whose logits are wanted */
    size_t n_probe;
} inf_logits_request;
INF_API void inf_logits_request_default(inf_logits_request *request, size_t size);

typedef struct inf_logits_result {
    size_t struct_size;
    const int32_t *top_ids; /* (n_top) */
    const float *top;       /* (n_top), largest first */
    size_t n_top;
    const float *probe; /* (n_probe), in the order asked */
    size_t n_probe;
    const float *all; /* (n_vocab) */
    size_t n_vocab;
} inf_logits_result;

/* The logits after the last of the ids, computed alone with a KV cache in f32. */
INF_API int32_t inf_logits_start(inf_op **out, inf_provider *provider,
                                 const inf_logits_request *request, const inf_callbacks *callbacks,
                                 inf_error *err);
INF_API int32_t inf_logits(inf_op **out, inf_provider *provider, const inf_logits_request *request,
                           inf_error *err);
INF_API int32_t inf_op_logits(const inf_op *op, inf_logits_result *out, size_t size);

/*
 * What a model or an adapter is, as a JSON object (inf_op_text): architecture, dtype, rank,
 * targets, size. base (may be NULL): a model; "fits" and, when not, "reason" are added for an
 * adapter. A damaged file is BAD_FORMAT.
 */
INF_API int32_t inf_inspect_start(inf_op **out, inf_context *ctx, const char *path,
                                  const char *base, const inf_callbacks *callbacks, inf_error *err);
INF_API int32_t inf_inspect(inf_op **out, inf_context *ctx, const char *path, const char *base,
                            inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
