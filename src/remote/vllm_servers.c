/* vllm_servers: see the header. */
#include "remote/vllm_servers.h"

#include "core/clock.h"
#include "core/memory.h"
#include "remote/server_error.h"

#include <string.h>

/* For a list of models from the only server. One of several has as long for it as for connecting: if
 * it does not give it in that time it is taken for dead, and holds nobody up for longer. */
enum { ASK_MS = 30000, DEFAULT_PATIENCE_MS = 5000 };

void vllm_unpin(struct vllm *v, struct generation *g)
{
    struct task *unload = generation_unpin(g);

    if (unload)
        control_add(&v->control, unload);
}

uint64_t vllm_live(struct vllm *v)
{
    uint64_t mask = 0;

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        if (!v->replicas.items[i].dead)
            mask |= replica_bit(i);
    pthread_mutex_unlock(&v->lock);
    return mask ? mask : UINT64_MAX >> (REPLICAS_MAX - v->replicas.n);
}

void vllm_lives(struct vllm *v, uint32_t *lives)
{
    int64_t now = clock_us();

    pthread_mutex_lock(&v->lock);
    for (size_t i = 0; i < v->replicas.n; i++)
        lives[i] = replicas_life(&v->replicas, i, now);
    pthread_mutex_unlock(&v->lock);
}

void vllm_removed(struct vllm *v, const char *name, uint64_t where)
{
    pthread_mutex_lock(&v->lock);
    adapter_names_removed(&v->names, name, where);
    pthread_mutex_unlock(&v->lock);
}

/* ------------------------------------------------------------------ results */

int32_t vllm_refusal(struct task *t, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_error *err)
{
    struct server_answer a = {.server = &vllm_of(t)->replicas.items[i].server,
                              .route = route,
                              .status = call->status,
                              .name = name,
                              .path = path,
                              .proxy = call->proxy[0] ? call->proxy : NULL,
                              .body = call->body,
                              .body_len = call->body_len};

    if (call->body) {
        mem_free(t->error_body);
        t->error_body = mem_strndup(call->body, call->body_len);
        t->error_body_len = t->error_body ? call->body_len : 0;
    }
    if (!err)
        return call->error.code;
    *err = call->error;
    return server_refusal(&a, err);
}

int32_t vllm_not_ours(const struct vllm *v, size_t i, const struct generation *g, const char *root,
                      inf_error *err)
{
    return error_set(err, INF_ERROR_STATE,
                     "the server at %s lost adapter '%s' and now has another program's adapter "
                     "under its name '%s' (from %s), which is not used; unload it with 'inference "
                     "adapters unload -p vllm -u %s %s'",
                     vllm_url(v, i), g->id, g->name, root ? root : "elsewhere", vllm_url(v, i),
                     g->name);
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

/* One call to each in the mask: GET without a body, else POST. */
static void call_each(struct vllm *v, struct calls *calls, uint64_t mask, const char *route,
                      const char *body, int64_t total_ms)
{
    uint32_t lives[REPLICAS_MAX] = {0};

    vllm_lives(v, lives);
    calls_reset(calls);
    for (size_t i = 0; i < v->replicas.n; i++)
        if (replica_in(mask, i))
            calls_start(calls, i, v->client, &v->replicas.items[i].server, route, body, total_ms);
    calls_wait(calls);
    for (size_t i = 0; i < v->replicas.n; i++)
        if (replica_in(mask, i))
            note_life(v, &calls->items[i], i, lives[i]);
}

int32_t vllm_post(struct task *t, struct calls *calls, uint64_t mask, const char *name,
                  const char *path, int64_t total_ms, inf_error *err)
{
    struct buffer body;
    bool ok = true;

    buffer_init(&body, 64 * 1024);
    ok = buffer_append_str(&body, "{\"lora_name\":") &&
         write_json_string(&body, name, strlen(name)) &&
         (!path || (buffer_append_str(&body, ",\"lora_path\":") &&
                    write_json_string(&body, path, strlen(path)))) &&
         buffer_append_str(&body, "}");
    if (ok)
        call_each(vllm_of(t), calls, mask, path ? "/load_lora_adapter" : "/unload_lora_adapter",
                  body.data, total_ms);
    else
        calls_reset(calls);
    buffer_free(&body);
    return ok ? INF_OK : error_no_memory(err);
}

/* What a list says of names: those in it are used; what we left and it lacks is gone. */
static void note_list(struct vllm *v, size_t i, const struct model_list *list)
{
    struct adapter_names *names = &v->names;
    int64_t now = clock_us();

    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < list->n; k++)
        name_set_add(&names->used, list->items[k].id); /* short of memory: asked again */
    for (size_t k = names->n; k-- > 0;) {
        const struct generation *g = names->items[k];

        if (g->state == GENERATION_LEFT && now >= g->until_us && !model_list_find(list, g->name))
            adapter_names_removed(names, g->name, replica_bit(i));
    }
    pthread_mutex_unlock(&v->lock);
}

int64_t vllm_patience_ms(const struct vllm *v)
{
    int64_t ms = v->replicas.items[0].server.connect_ms; /* all have the same */

    return ms > 0 ? ms : DEFAULT_PATIENCE_MS;
}

static int64_t ask_ms(const struct vllm *v)
{
    int64_t ms = v->replicas.n > 1 ? vllm_patience_ms(v) : ASK_MS;

    return v->control.stop && ms > CLOSING_MS ? CLOSING_MS : ms;
}

bool vllm_unlisted(const struct calls *calls, size_t i)
{
    const struct call *call = &calls->items[i];

    return call_result(call) == CALL_REFUSED &&
           (call->status == 404 || call->status == 405 || call->status == 501);
}

int32_t vllm_ask_models(struct task *t, struct calls *calls, uint64_t *mask,
                        struct model_list lists[REPLICAS_MAX], inf_error *err)
{
    struct vllm *v = vllm_of(t);
    inf_error gone = {0};
    int32_t code = INF_OK;

    call_each(v, calls, *mask, "/models", NULL, ask_ms(v));
    for (size_t i = 0; i < v->replicas.n && code == INF_OK; i++) {
        const struct call *call = &calls->items[i];
        enum call_result result = call_result(call);
        bool unwell = result == CALL_REFUSED && call->status >= 500 && v->replicas.n > 1;

        if (result == CALL_NONE || vllm_unlisted(calls, i))
            continue;
        if (result == CALL_OK) {
            code = model_list_parse(&lists[i], call->body ? call->body : "", call->body_len, err);
            if (code == INF_OK)
                note_list(v, i, &lists[i]);
        } else if ((result == CALL_REFUSED && !unwell) || call->error.code == INF_ERROR_CANCELLED) {
            code = vllm_refusal(t, call, i, ROUTE_MODELS, NULL, NULL, err);
        } else {
            vllm_refusal(t, call, i, ROUTE_MODELS, NULL, NULL, &gone);
            *mask &= ~replica_bit(i);
        }
    }
    return code == INF_OK && *mask == 0 ? error_copy(err, &gone) : code;
}

void vllm_free_lists(struct model_list lists[REPLICAS_MAX])
{
    for (size_t i = 0; i < REPLICAS_MAX; i++)
        model_list_free(&lists[i]);
}

int32_t vllm_ask_one(struct task *t, struct calls *calls, size_t i, struct model_list *list,
                     inf_error *err)
{
    struct model_list lists[REPLICAS_MAX] = {{NULL, 0, 0}};
    uint64_t mask = replica_bit(i);
    int32_t code = vllm_ask_models(t, calls, &mask, lists, err);

    *list = lists[i];
    return code;
}

enum listed vllm_is_listed(struct task *t, size_t i, const char *name, const char *path)
{
    struct model_list list;
    enum listed found = LISTED_UNKNOWN;

    if (vllm_ask_one(t, &t->aside, i, &list, NULL) == INF_OK && !vllm_unlisted(&t->aside, i)) {
        const struct model_entry *e = model_list_find(&list, name);

        found = !e ? LISTED_NOT : model_entry_is_from(e, path) ? LISTED_OURS : LISTED_FOREIGN;
    }
    model_list_free(&list);
    return found;
}

uint64_t vllm_take_back(struct task *t, uint64_t mask, const char *name)
{
    struct vllm *v = vllm_of(t);
    uint64_t gone = 0;

    vllm_post(t, &t->aside, mask, name, NULL, v->control.stop ? CLOSING_MS : CLEAN_UP_MS, NULL);
    for (size_t i = 0; i < v->replicas.n; i++) {
        const struct call *call = &t->aside.items[i];

        if (call_result(call) == CALL_OK || call->status == 404)
            gone |= replica_bit(i);
    }
    vllm_removed(v, name, gone);
    return gone;
}
