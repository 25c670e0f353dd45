/* vllm_calls: the control threads' calls to replicas. See vllm_state.h. */
#include "remote/vllm_state.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/adapter_files.h"
#include "remote/server_error.h"

#include <string.h>
#include <time.h>

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
    for (size_t i = 0; i < v->replicas.n; i++)
        if (!v->replicas.items[i].dead)
            mask |= UINT64_C(1) << i;
    pthread_mutex_unlock(&v->lock);
    return mask ? mask : vllm_all(v);
}

void vllm_lives(struct vllm *v, uint32_t *lives)
{
    int64_t now = clock_us();

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        lives[i] = replicas_life(&v->replicas, i, now);
    pthread_mutex_unlock(&v->lock);
}

bool vllm_is_left(const struct task *t)
{
    return t->left_us != 0;
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

static void keep_body(struct task *t, const struct call *call)
{
    if (!call->body)
        return;
    mem_free(t->error_body);
    t->error_body = mem_strndup(call->body, call->body_len);
    t->error_body_len = t->error_body ? call->body_len : 0;
}

int32_t vllm_refusal(struct task *t, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_error *err)
{
    struct server_answer a = {.provider = INF_PROVIDER_VLLM,
                              .route = route,
                              .status = call->status,
                              .url = t->vllm->replicas.items[i].server.shown,
                              .name = name,
                              .path = path,
                              .body = call->body,
                              .body_len = call->body_len};

    keep_body(t, call);
    if (call->error.code == INF_ERROR_HTTP_STATUS && call->status >= 400)
        return server_error(&a, err);
    if (err)
        *err = call->error;
    return call->error.code;
}

/* What the call says of the replica; it was made in that life. */
static void note_life(struct vllm *v, const struct call *call, size_t i, uint32_t life)
{
    pthread_mutex_lock(&v->lock);
    if (call->error.code == INF_ERROR_CONNECTION || call->error.code == INF_ERROR_TIMEOUT)
        replicas_failed(&v->replicas, i, life, clock_us());
    else if (call->status != 0)
        replicas_heard(&v->replicas, i, clock_us());
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

void vllm_wake(struct calls *calls)
{
    pthread_mutex_lock(&calls->lock);
    pthread_cond_broadcast(&calls->changed);
    pthread_mutex_unlock(&calls->lock);
}

/* How long the task may go on waiting; INT64_MAX: as long as its calls take. */
static int64_t wait_left_us(const struct task *t)
{
    int64_t left_us = t->left_us;

    /* What nobody waited for from the beginning has times of its own. */
    if (left_us == 0)
        return INT64_MAX;
    return left_us + (t->vllm->stop ? CLOSING_MS : CLEAN_UP_MS) * INT64_C(1000) - clock_us();
}

/* Until every call is done, or the task was left and has waited long enough. */
static void wait_calls(struct task *t, struct calls *calls)
{
    bool late = false;

    pthread_mutex_lock(&calls->lock);
    while (calls->n_running > 0 && !late) {
        int64_t us = calls == &t->calls ? wait_left_us(t) : INT64_MAX;
        struct timespec until;

        late = us <= 0;
        if (us == INT64_MAX) {
            pthread_cond_wait(&calls->changed, &calls->lock);
        } else if (!late) {
            clock_gettime(CLOCK_REALTIME, &until);
            us += until.tv_nsec / 1000;
            until.tv_sec += us / 1000000;
            until.tv_nsec = us % 1000000 * 1000;
            pthread_cond_timedwait(&calls->changed, &calls->lock, &until);
        }
    }
    pthread_mutex_unlock(&calls->lock);
    if (late)
        calls_cancel(calls);
    calls_wait(calls);
}

int32_t vllm_post(struct task *t, struct calls *calls, uint64_t mask, const char *route,
                  const char *name, const char *path, int64_t total_ms, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct buffer body;
    uint32_t lives[REPLICAS_MAX] = {0};
    bool ok = write_body(&body, name, path);

    vllm_lives(v, lives);
    calls_reset(calls);
    for (size_t i = 0; ok && i < v->replicas.n; i++)
        if (in_mask(mask, i))
            calls_start(calls, i, v->client, &v->replicas.items[i].server, &v->times, route,
                        body.data, total_ms);
    wait_calls(t, calls);
    for (size_t i = 0; ok && i < v->replicas.n; i++)
        if (in_mask(mask, i))
            note_life(v, &calls->items[i], i, lives[i]);
    buffer_free(&body);
    return ok ? INF_OK : error_no_memory(err);
}

/* What a list says of names: those in it are used; of ours, what it lacks is gone. */
static void note_list(struct vllm *v, size_t i, const struct model_list *list)
{
    int64_t now = clock_us();

    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < v->names.n_placed; k++)
        v->names.placed[k].seen = false;
    for (size_t k = 0; k < list->n; k++) {
        struct placed *p = adapter_names_placed(&v->names, list->items[k].id);

        name_set_add(&v->names.used, list->items[k].id); /* short of memory: asked again */
        if (p)
            p->seen = true;
    }
    for (size_t k = v->names.n_placed; k-- > 0;) {
        const struct placed *p = &v->names.placed[k];

        if (in_mask(p->where, i) && !p->seen && !p->loading && now >= p->until_us)
            adapter_names_removed(&v->names, p->name, UINT64_C(1) << i);
    }
    pthread_mutex_unlock(&v->lock);
}

void vllm_removed(struct vllm *v, const char *name, uint64_t where)
{
    pthread_mutex_lock(&v->lock);
    adapter_names_removed(&v->names, name, where);
    pthread_mutex_unlock(&v->lock);
}

static int64_t ask_ms(const struct vllm *v)
{
    int64_t ms = v->replicas.n > 1 ? v->times.connect_ms : ASK_MS;

    return v->stop && ms > CLOSING_MS ? CLOSING_MS : ms;
}

int32_t vllm_ask_models(struct task *t, struct calls *calls, uint64_t *mask,
                        struct model_list *lists, inf_error *err)
{
    struct vllm *v = t->vllm;
    uint32_t lives[REPLICAS_MAX];
    inf_error gone = {0};
    int32_t code = INF_OK;

    vllm_lives(v, lives);
    calls_reset(calls);
    for (size_t i = 0; i < v->replicas.n; i++)
        if (in_mask(*mask, i))
            calls_start(calls, i, v->client, &v->replicas.items[i].server, &v->times, "/models",
                        NULL, ask_ms(v));
    wait_calls(t, calls);
    for (size_t i = 0; i < v->replicas.n && code == INF_OK; i++) {
        const struct call *call = &calls->items[i];
        enum call_result result = vllm_call_result(call);

        if (result != CALL_NONE)
            note_life(v, call, i, lives[i]);
        if (result == CALL_OK) {
            code = model_list_parse(&lists[i], call->body ? call->body : "", call->body_len, err);
            if (code == INF_OK)
                note_list(v, i, &lists[i]);
        } else if (result == CALL_SAID && call->status >= 500 && v->replicas.n > 1) {
            vllm_refusal(t, call, i, ROUTE_MODELS, NULL, NULL, &gone); /* one that is not well */
            *mask &= ~(UINT64_C(1) << i);
        } else if (result == CALL_SAID || call->error.code == INF_ERROR_CANCELLED) {
            code = vllm_refusal(t, call, i, ROUTE_MODELS, NULL, NULL, err);
        } else if (result != CALL_NONE) {
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

enum call_result vllm_is_listed(struct task *t, size_t i, const char *name, const char *path,
                                bool *anothers)
{
    struct vllm *v = t->vllm;
    uint64_t mask = UINT64_C(1) << i;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    enum call_result result = CALL_GONE;

    *anothers = false;
    if (lists && vllm_ask_models(t, &t->aside, &mask, lists, NULL) == INF_OK) {
        const struct model_entry *e = model_list_find(&lists[i], name);

        *anothers = e && vllm_whose(e, path) == WHOSE_ANOTHERS;
        result = e && !*anothers ? CALL_OK : CALL_SAID;
    }
    vllm_free_lists(v, lists);
    return result;
}

static const char unload_route[] = "/unload_lora_adapter";

uint64_t vllm_take_back(struct task *t, uint64_t mask, const char *name)
{
    int64_t total_ms = t->vllm->stop ? CLOSING_MS : CLEAN_UP_MS;
    uint64_t gone = 0;

    if (vllm_post(t, &t->aside, mask, unload_route, name, NULL, total_ms, NULL) != INF_OK)
        return 0;
    for (size_t i = 0; i < t->vllm->replicas.n; i++) {
        const struct call *call = &t->aside.items[i];

        if (in_mask(mask, i) && (vllm_call_result(call) == CALL_OK || call->status == 404))
            gone |= UINT64_C(1) << i;
    }
    vllm_removed(t->vllm, name, gone);
    return gone;
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
