/* vllm_calls: the control thread's calls to replicas. See vllm_state.h. */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_files.h"
#include "remote/server_error.h"

#include <stdio.h>
#include <string.h>

static bool in_mask(uint64_t mask, size_t i)
{
    return mask >> i & 1;
}

uint64_t vllm_all(const struct vllm *v)
{
    return v->replicas.n == 64 ? UINT64_MAX : (UINT64_C(1) << v->replicas.n) - 1;
}

uint64_t vllm_live(struct vllm *v)
{
    uint64_t mask = 0;

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (!v->replicas.items[i].dead)
            mask |= UINT64_C(1) << i;
    }
    pthread_mutex_unlock(&v->lock);
    return mask ? mask : vllm_all(v);
}

/* ------------------------------------------------------------------ results */

enum call_result vllm_call_result(const struct call *call)
{
    if (!call->started)
        return CALL_NONE;
    if (call->error.code == INF_OK)
        return CALL_OK;
    if (call->error.code == INF_ERROR_HTTP_STATUS)
        return CALL_SAID;
    return call->sent ? CALL_UNKNOWN : CALL_GONE;
}

static void keep_body(inf_op *op, const struct call *call)
{
    struct op_output *out = op ? op_output(op) : NULL;

    if (!out || !call->body)
        return;
    mem_free(out->error_body);
    out->error_body = mem_strndup(call->body, call->body_len);
    out->error_body_len = out->error_body ? call->body_len : 0;
}

int32_t vllm_refusal(struct vllm *v, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_op *op, inf_error *err)
{
    struct server_answer a = {.provider = INF_PROVIDER_VLLM,
                              .route = route,
                              .status = call->status,
                              .url = v->replicas.items[i].server.shown,
                              .name = name,
                              .path = path,
                              .body = call->body,
                              .body_len = call->body_len};

    keep_body(op, call);
    if (call->error.code == INF_ERROR_HTTP_STATUS && call->status >= 400)
        return server_error(&a, err);
    if (err)
        *err = call->error;
    return call->error.code;
}

static void note_life(struct vllm *v, const struct call *call, size_t i)
{
    pthread_mutex_lock(&v->lock);
    if (call->error.code == INF_ERROR_CONNECTION || call->error.code == INF_ERROR_TIMEOUT)
        replicas_failed(&v->replicas, i, clock_us());
    pthread_mutex_unlock(&v->lock);
}

/* ------------------------------------------------------------------ calls */

static bool write_body(struct buffer *body, const char *name, const char *path)
{
    buffer_init(body, 64 * 1024);
    return buffer_append_str(body, "{\"lora_name\":") &&
           write_json_string(body, name, strlen(name)) &&
           (!path || (buffer_append_str(body, ",\"lora_path\":") &&
                      write_json_string(body, path, strlen(path)))) &&
           buffer_append_str(body, "}");
}

int32_t vllm_post(struct vllm *v, struct calls *calls, uint64_t mask, const char *route,
                  const char *name, const char *path, int64_t total_ms, inf_error *err)
{
    struct buffer body;
    bool ok = write_body(&body, name, path);

    calls_reset(calls);
    for (size_t i = 0; ok && i < v->replicas.n; i++) {
        if (in_mask(mask, i))
            calls_start(calls, i, v->client, &v->replicas.items[i].server, &v->times, route,
                        body.data, total_ms);
    }
    calls_wait(calls);
    buffer_free(&body);
    return ok ? INF_OK : error_no_memory(err);
}

static void use_names(struct vllm *v, const struct model_list *list)
{
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < list->n; k++)
        name_set_add(&v->names.used, list->items[k].id); /* short of memory: asked again */
    pthread_mutex_unlock(&v->lock);
}

int32_t vllm_ask_models(struct vllm *v, struct calls *calls, uint64_t *mask,
                        struct model_list *lists, inf_error *err)
{
    inf_error gone = {0};
    int32_t code = INF_OK;

    calls_reset(calls);
    for (size_t i = 0; i < v->replicas.n; i++) {
        if (in_mask(*mask, i))
            calls_start(calls, i, v->client, &v->replicas.items[i].server, &v->times, "/models",
                        NULL, ASK_MS);
    }
    calls_wait(calls);
    for (size_t i = 0; i < v->replicas.n && code == INF_OK; i++) {
        const struct call *call = &calls->items[i];
        enum call_result result = vllm_call_result(call);

        if (result == CALL_OK) {
            code = model_list_parse(&lists[i], call->body ? call->body : "", call->body_len, err);
            use_names(v, &lists[i]);
        } else if (result == CALL_SAID || call->error.code == INF_ERROR_CANCELLED) {
            code = vllm_refusal(v, call, i, ROUTE_MODELS, NULL, NULL, NULL, err);
        } else if (result != CALL_NONE) {
            note_life(v, call, i);
            gone = call->error;
            *mask &= ~(UINT64_C(1) << i);
        }
    }
    if (code == INF_OK && *mask == 0) {
        if (err)
            *err = gone;
        code = gone.code;
    }
    return code;
}

void vllm_free_lists(const struct vllm *v, struct model_list *lists)
{
    for (size_t i = 0; lists && i < v->replicas.n; i++)
        model_list_free(&lists[i]);
    mem_free(lists);
}

enum call_result vllm_is_listed(struct vllm *v, size_t i, const char *name)
{
    uint64_t mask = UINT64_C(1) << i;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    struct calls calls = {0};
    enum call_result result = CALL_GONE;

    if (lists && calls_init(&calls, v->replicas.n, NULL) == INF_OK &&
        vllm_ask_models(v, &calls, &mask, lists, NULL) == INF_OK)
        result = model_list_find(&lists[i], name) ? CALL_OK : CALL_SAID;
    calls_free(&calls);
    vllm_free_lists(v, lists);
    return result;
}

int32_t vllm_same_bytes(const struct generation *g, inf_error *err)
{
    struct files_digest now;

    if (!g->digest.known)
        return INF_OK; /* only the server sees it */
    adapter_files_digest(&now, g->path);
    if (!now.known)
        return error_set(
            err, INF_ERROR_STATE,
            "the server lost adapter '%s', and %s, from where it was loaded, cannot be "
            "read any more; load it again",
            g->id, g->path);
    if (memcmp(now.words, g->digest.words, sizeof now.words) != 0)
        return error_set(err, INF_ERROR_STATE,
                         "the server lost adapter '%s', and the files in %s have changed since it "
                         "was loaded; load it again to use the new ones",
                         g->id, g->path);
    return INF_OK;
}
