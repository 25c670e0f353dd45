/*
 * ollama: the provider of an Ollama server. The first request asks GET /api/version: an Ollama gets its
 * native /api/chat, which takes every option and can be told not to cut a long prompt; any other
 * server behind that URL gets /v1/chat/completions. Requests that come meanwhile wait for the answer.
 * The question carries the headers of the request that asks it; when they do not let it in, the next
 * waiting request with others asks again.
 *
 * Ollama has no adapters: an adapter_id is logged and ignored, the adapter slots are not there.
 *
 * Threads: everything after the start runs on the client's I/O thread. ollama->lock guards what is
 * known of the server and the waiting requests; under it http_start,
 * http_cancel and context_submit are called, which never call back. op_finish never is.
 */
#include "core/context.h"
#include "core/memory.h"
#include "http/url.h"
#include "remote/chat_body_ollama.h"
#include "remote/chat_call.h"
#include "remote/remote.h"
#include "remote/server_error.h"

enum server_kind { KIND_UNKNOWN, KIND_OLLAMA, KIND_OTHER };

enum { VERSION_MS = 30000, VERSION_MAX = 64 * 1024 };

struct request;

struct ollama {
    inf_context *context;
    struct http_client *client;
    struct server server;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t answered;
    enum server_kind kind;
    bool asking;
    struct http_exchange *question;
    struct http_headers *asked_with; /* the question's; a reference */
    struct request *waiting, **waiting_end;
};

struct request {
    struct chat_call call;
    struct ollama *ollama;
    struct request *next; /* among the waiting */
};

static void request_done(struct chat_call *call, const struct http_outcome *outcome,
                         const inf_error *how)
{
    struct ollama *o = ((struct request *)call)->ollama;
    inf_error err = *how;

    pthread_mutex_lock(&o->lock);
    call->sending = false;
    pthread_mutex_unlock(&o->lock);
    if (outcome) {
        struct server_answer a = server_answer_of(call->server, ROUTE_CHAT,
                                                  op_request(call->op)->model.data, outcome);

        server_refusal(&a, &err);
    }
    chat_call_end(call, outcome, &err);
}

/* ------------------------------------------------------------------ sending */

static const char *const native_keys[] = {"num_ctx",  "keep_alive", "options",
                                          "truncate", "shift",      NULL};

/* Ollama makes 32 bits of a seed, and takes any role and makes something of it. */
const struct chat_form ollama_form = {.write = chat_body_write_ollama,
                                      .takes = FIELD_TOP_K | FIELD_MIN_P | FIELD_REPETITION_PENALTY,
                                      .why_not = "Ollama cannot do that",
                                      .seed_max = INT32_MAX};

/* An unknown server behind an Ollama URL gets what Ollama's /v1 takes. */
const struct chat_form plain_form = {
    .write = chat_body_write_v1,
    .why_not = "this server's /v1 would ignore it in silence (it is no Ollama, whose own route "
               "takes it)",
    .seed_max = INT32_MAX,
    .ignored = native_keys,
    .stream_options = "{\"include_usage\":true}"};

static int32_t write_body(struct buffer *body, const struct request *r, enum server_kind kind,
                          inf_error *err)
{
    const inf_request *asked = op_request(r->call.op);

    buffer_init(body, CHAT_BODY_MAX);
    return chat_body_write(body, kind == KIND_OLLAMA ? &ollama_form : &plain_form, asked,
                           asked->model, true, err);
}

/* The lock is held; the kind is known. */
static int32_t send_locked(struct request *r, struct buffer *body, inf_error *err)
{
    struct ollama *o = r->ollama;

    return chat_call_start(&r->call, o->client, &o->server, true,
                           o->kind == KIND_OLLAMA ? CHAT_OLLAMA : CHAT_COMPLETIONS, body, err);
}

/* ------------------------------------------------------------------ which server it is */

/* It asks for credentials, or for others. */
static bool is_locked(int32_t status)
{
    return status == 401 || status == 403 || status == 407;
}

/* "Not now", by a server of whatever kind or by what stands before it. */
static bool is_momentary(int32_t status)
{
    return status == 408 || status == 409 || status == 425 || status == 429 ||
           (status >= 500 && status != 501);
}

/* An answer of GET /api/version; false: it does not tell. An Ollama says its version. Whoever says
 * anything else, a refusal or a redirect too, is none, unless it wants credentials or more time. */
static bool tell_kind(enum server_kind *out, const struct http_outcome *outcome)
{
    struct json_span whole;
    int32_t status = outcome->head.status;

    *out = KIND_OTHER;
    switch (outcome->error->code) {
    case INF_OK:
        if (scan_json(&whole, outcome->body ? outcome->body : "", outcome->body_len) &&
            scan_is_string(scan_member(whole, "version")))
            *out = KIND_OLLAMA;
        return true;
    case INF_ERROR_HTTP_STATUS:
        return !is_locked(status) && !is_momentary(status);
    case INF_ERROR_LIMIT:
        return status >= 200 && status < 300; /* longer than any version */
    default:
        return false;
    }
}

static void send_or_finish(struct request *r, enum server_kind kind)
{
    struct ollama *o = r->ollama;
    struct buffer body;
    inf_error err = {0};
    int32_t code = write_body(&body, r, kind, &err);

    pthread_mutex_lock(&o->lock);
    if (code == INF_OK)
        code = op_stop_code(r->call.op) == INF_OK ? send_locked(r, &body, &err)
                                                  : op_stop_error(r->call.op, &err);
    pthread_mutex_unlock(&o->lock);
    buffer_free(&body);
    if (code != INF_OK)
        chat_call_end(&r->call, NULL, &err);
}

static void why_not(const struct ollama *o, const struct http_outcome *outcome, inf_error *err)
{
    struct server_answer a = server_answer_of(&o->server, ROUTE_VERSION, NULL, outcome);

    *err = *outcome->error;
    server_refusal(&a, err);
}

/* Those that the answer is for: all, or with `locked` those whose headers were sent. The lock is
 * held. */
static struct request *take_answered(struct ollama *o, bool locked)
{
    struct request *taken = NULL, **end = &taken;
    struct request **at = &o->waiting;

    while (*at) {
        struct request *r = *at;

        if (locked && r->call.headers != o->asked_with) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->next = NULL;
        *end = r;
        end = &r->next;
    }
    o->waiting_end = at;
    return taken;
}

static int32_t ask_kind(struct ollama *o, const struct request *r, inf_error *err);

/* The next that waits asks, with its own headers; those that cannot go back in *failed. The lock is
 * held. */
static void ask_again(struct ollama *o, struct request **failed, inf_error *err)
{
    o->asking = false;
    if (o->waiting && ask_kind(o, o->waiting, err) != INF_OK)
        *failed = take_answered(o, false);
    if (!o->asking)
        pthread_cond_broadcast(&o->answered);
}

static void finish_all(struct request *list, const inf_error *err)
{
    while (list) {
        struct request *r = list;

        list = r->next;
        chat_call_end(&r->call, NULL, err);
    }
}

static void question_done(void *owner, const struct http_outcome *outcome)
{
    struct ollama *o = owner;
    enum server_kind kind = KIND_UNKNOWN;
    bool told = tell_kind(&kind, outcome);
    bool locked = outcome->error->code == INF_ERROR_HTTP_STATUS && is_locked(outcome->head.status);
    struct http_exchange *question = NULL;
    struct http_headers *asked_with = NULL;
    struct request *waiting = NULL, *failed = NULL;
    inf_error err = {0}, not_asked = {0};

    if (!told)
        why_not(o, outcome, &err);
    pthread_mutex_lock(&o->lock);
    if (told)
        o->kind = kind;
    waiting = take_answered(o, locked);
    question = o->question;
    o->question = NULL;
    asked_with = o->asked_with;
    o->asked_with = NULL;
    ask_again(o, &failed, &not_asked);
    pthread_mutex_unlock(&o->lock);
    http_exchange_release(question);
    http_headers_unref(asked_with);
    /* o lives as long as one of these is in flight, and is not looked at after the last. */
    if (!told)
        finish_all(waiting, &err);
    while (told && waiting) {
        struct request *r = waiting;

        waiting = r->next;
        send_or_finish(r, kind);
    }
    finish_all(failed, &not_asked);
}

static const struct http_callbacks question_callbacks = {.on_done = question_done};

/* With the headers of that request. The lock is held. */
static int32_t ask_kind(struct ollama *o, const struct request *r, inf_error *err)
{
    char *url = url_join(o->server.root, "/api/version");
    struct http_request q;
    int32_t code = INF_OK;

    if (!url)
        return error_no_memory(err);
    server_request(&q, &o->server);
    q.method = "GET";
    q.url = url;
    q.headers = r->call.headers;
    q.body_max = VERSION_MAX;
    q.total_ms = VERSION_MS;
    q.retry = HTTP_RETRY_GENERATION; /* asking twice changes nothing */
    q.max_retries = o->server.max_retries;
    q.callbacks = &question_callbacks;
    q.owner = o;
    code = http_start(&o->question, o->client, &q, err);
    o->asking = code == INF_OK;
    if (o->asking)
        o->asked_with = http_headers_ref(r->call.headers);
    mem_free(url);
    return code;
}

/* ------------------------------------------------------------------ cancel and timeout */

static bool leave_waiting(struct ollama *o, const struct request *r)
{
    for (struct request **at = &o->waiting; *at; at = &(*at)->next) {
        if (*at != r)
            continue;
        *at = r->next;
        if (!*at)
            o->waiting_end = at;
        return true;
    }
    return false;
}

static void cancel(void *owner, inf_op *op)
{
    struct request *r = owner;
    struct ollama *o = r->ollama;

    (void)op;
    pthread_mutex_lock(&o->lock);
    chat_call_cancel(&r->call, leave_waiting(o, r));
    pthread_mutex_unlock(&o->lock);
}

/* ------------------------------------------------------------------ the start */

/* What no server would take is refused at once; what this one does not take, when it is known. */
static int32_t check_request(const struct request *r, enum server_kind kind, struct buffer *body,
                             inf_error *err)
{
    inf_error why, ignored;
    bool takes = false;

    if (kind != KIND_UNKNOWN)
        return write_body(body, r, kind, err);
    takes = write_body(body, r, KIND_OLLAMA, &why) == INF_OK;
    buffer_free(body);
    if (!takes) {
        takes = write_body(body, r, KIND_OTHER, &ignored) == INF_OK;
        buffer_free(body);
    }
    return takes ? INF_OK : error_copy(err, &why);
}

/* The lock is held. */
static int32_t send_or_wait(struct request *r, struct buffer *body, inf_error *err)
{
    struct ollama *o = r->ollama;
    int32_t code = INF_OK;

    if (o->kind != KIND_UNKNOWN && body->data)
        return send_locked(r, body, err);
    if (o->kind != KIND_UNKNOWN) { /* it became known since the check */
        code = write_body(body, r, o->kind, err);
        return code == INF_OK ? send_locked(r, body, err) : code;
    }
    if (!o->asking)
        code = ask_kind(o, r, err);
    if (code == INF_OK && op_stop_code(r->call.op) != INF_OK) {
        chat_call_stop(&r->call);
    } else if (code == INF_OK) {
        op_begin_work(r->call.op); /* the server's answer is waited for, if to another question */
        *o->waiting_end = r;
        o->waiting_end = &r->next;
    }
    return code;
}

static int32_t start(struct request *r, inf_error *err)
{
    struct ollama *o = r->ollama;
    inf_op *op = r->call.op;
    enum server_kind kind = KIND_UNKNOWN;
    struct buffer body;
    int32_t code = INF_OK;

    pthread_mutex_lock(&o->lock);
    kind = o->kind;
    pthread_mutex_unlock(&o->lock);
    code = check_request(r, kind, &body, err);
    if (code == INF_OK) {
        op_set_canceller(op, cancel, r);
        pthread_mutex_lock(&o->lock);
        code = send_or_wait(r, &body, err);
        pthread_mutex_unlock(&o->lock);
        if (code != INF_OK)
            op_set_canceller(op, NULL, NULL);
    }
    buffer_free(&body);
    return code;
}

static int32_t generate(void *impl, inf_op *op, inf_error *err)
{
    struct ollama *o = impl;
    inf_text adapter = op_request(op)->adapter_id;
    struct request *r = NULL;
    int32_t code = INF_OK;

    if (adapter.data)
        context_log(o->context, INF_LOG_WARNING,
                    "Ollama has no adapters: adapter_id '%.*s' is ignored, the base model answers",
                    (int)(adapter.len < 256 ? adapter.len : 256), adapter.data);
    code = chat_call_make((void **)&r, sizeof *r, op, &o->server, request_done, err);
    if (code != INF_OK)
        return code;
    r->ollama = o;
    code = start(r, err);
    if (code != INF_OK)
        chat_call_free(&r->call);
    return code;
}

/* ------------------------------------------------------------------ life */

static void free_ollama(struct ollama *o)
{
    server_close(&o->server);
    http_client_release(o->client);
    pthread_cond_destroy(&o->answered);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

const struct server_words ollama_words = {
    .name = "Ollama",
    .no_key = "set api_key to the server's key",
    .forbidden = "it, or a proxy before it, forbids this; api_key must be a key that may do it",
    .forbidden_silently =
        "an Ollama that listens on loopback only refuses host names that are not its own: use its "
        "address in base_url, or start it with OLLAMA_HOST=0.0.0.0",
    .no_model = "get it with 'ollama pull %s' or 'ollama create %s'",
    .base = "is the base URL right? It is usually the server's address alone, without /api",
    .any_key = "ollama"}; /* clients are expected to have one, and Ollama ignores it */

static int32_t open_server(struct ollama *o, const inf_provider_config *config, inf_error *err)
{
    struct url_list urls;
    int32_t code = url_list_parse(&urls, config->base_url, err);

    if (code != INF_OK)
        return code;
    if (urls.n > 1)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "base_url: several servers at once are for vllm; give one Ollama");
    else
        code = server_open(&o->server, &ollama_words, urls.urls[0], config, err);
    url_list_free(&urls);
    return code;
}

static int32_t create(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    struct ollama *o = mem_calloc(1, sizeof *o);
    int32_t code = INF_OK;

    if (!o)
        return error_no_memory(err);
    o->context = ctx;
    o->waiting_end = &o->waiting;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->answered, NULL);
    code = open_server(o, config, err);
    if (code == INF_OK)
        code = http_client_get(&o->client, ctx, err);
    if (code != INF_OK) {
        free_ollama(o);
        return code;
    }
    *impl = o;
    return INF_OK;
}

static void destroy(void *impl)
{
    struct ollama *o = impl;

    pthread_mutex_lock(&o->lock);
    http_cancel(o->question);
    while (o->asking)
        pthread_cond_wait(&o->answered, &o->lock);
    pthread_mutex_unlock(&o->lock);
    free_ollama(o);
}

/* It has no adapters that could be checked. */
static int32_t check_config(inf_provider_config *config, inf_error *err)
{
    return config->adapter_check == INF_ADAPTER_CHECK_AUTO
               ? INF_OK
               : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                           "adapter_check: the ollama provider has no use for it, since it loads "
                           "no adapters");
}

const struct provider_ops ollama_provider_ops = {.type = INF_PROVIDER_OLLAMA,
                                                 .name = "ollama",
                                                 .url_variable = "OLLAMA_BASE_URL",
                                                 .default_url = "http://localhost:11434/v1",
                                                 .check_config = check_config,
                                                 .create = create,
                                                 .destroy = destroy,
                                                 .generate = generate};
