/* vllm_list: see the header. */
#include "remote/vllm_list.h"

#include "core/json.h"
#include "core/memory.h"
#include "remote/server_error.h"

#include <string.h>

int32_t vllm_adapters(void *impl, inf_adapter_list *list, inf_error *err)
{
    struct vllm *v = impl;
    int32_t code = INF_OK;

    pthread_mutex_lock(&v->lock);
    code = adapter_names_list(&v->names, list, err);
    pthread_mutex_unlock(&v->lock);
    return code;
}

/* ------------------------------------------------------------------ on the servers */

static bool add_text(struct buffer *out, const char *key, const char *text)
{
    return buffer_append_str(out, key) &&
           (text ? write_json_string(out, text, strlen(text)) : buffer_append_str(out, "null"));
}

/* One adapter: its name on the server, the id it serves here, if it is one of ours. */
static bool add_adapter(struct buffer *out, const char *name, const char *id, const char *path,
                        bool on_server, const char *url)
{
    return add_text(out, out->len > 1 ? ",{\"name\":" : "{\"name\":", name) &&
           add_text(out, ",\"id\":", id) && add_text(out, ",\"path\":", path) &&
           buffer_append_str(out, id ? ",\"tracked\":true" : ",\"tracked\":false") &&
           buffer_append_str(out, on_server ? ",\"on_server\":true" : ",\"on_server\":false") &&
           add_text(out, ",\"server\":", url) && buffer_append_str(out, "}");
}

/* The tracked adapters, pinned so that they stay while nobody has the lock. */
struct tracked {
    struct generation **items;
    size_t n;
};

static bool pin_tracked(struct tracked *tracked, struct vllm *v)
{
    pthread_mutex_lock(&v->lock);
    *tracked = (struct tracked){mem_alloc(v->names.n * sizeof *tracked->items), 0};
    for (size_t k = 0; tracked->items && k < v->names.n; k++) {
        if (v->names.items[k]->state != GENERATION_CURRENT)
            continue;
        generation_pin(v->names.items[k]);
        tracked->items[tracked->n++] = v->names.items[k];
    }
    pthread_mutex_unlock(&v->lock);
    return tracked->items != NULL;
}

static void unpin_tracked(struct tracked *tracked, struct vllm *v)
{
    pthread_mutex_lock(&v->lock);
    for (size_t k = 0; k < tracked->n; k++)
        vllm_unpin(v, tracked->items[k]);
    pthread_mutex_unlock(&v->lock);
    mem_free(tracked->items);
}

/* The tracked adapter that a listed one is, or NULL. */
static const struct generation *find_tracked(const struct tracked *tracked,
                                             const struct model_entry *e)
{
    for (size_t k = 0; k < tracked->n; k++) {
        const struct generation *g = tracked->items[k];

        if (strcmp(g->name, e->id) == 0)
            return model_entry_is_from(e, g->path) ? g : NULL;
    }
    return NULL;
}

/* What a server lists, then the tracked ones that it does not. */
static bool add_server(struct buffer *out, const struct tracked *tracked,
                       const struct model_list *list, const char *url)
{
    bool ok = true;

    for (size_t k = 0; k < list->n && ok; k++) {
        const struct model_entry *e = &list->items[k];
        const struct generation *g = e->parent ? find_tracked(tracked, e) : NULL;

        if (e->parent)
            ok = add_adapter(out, e->id, g ? g->id : NULL, e->root, true, url);
    }
    for (size_t k = 0; k < tracked->n && ok; k++) {
        const struct generation *g = tracked->items[k];
        const struct model_entry *e = model_list_find(list, g->name);

        if (!e || !model_entry_is_from(e, g->path))
            ok = add_adapter(out, g->name, g->id, g->path, false, url);
    }
    return ok;
}

static bool write_list(struct task *t, uint64_t mask, const struct model_list *lists)
{
    struct vllm *v = vllm_of(t);
    struct tracked tracked;
    bool ok = pin_tracked(&tracked, v) && buffer_append_str(&t->text, "[");

    for (size_t i = 0; ok && i < v->replicas.n; i++)
        if (replica_in(mask, i))
            ok = add_server(&t->text, &tracked, &lists[i], vllm_url(v, i));
    unpin_tracked(&tracked, v);
    return ok && buffer_append_str(&t->text, "]");
}

static int32_t run_list(struct task *t, inf_error *err)
{
    struct vllm *v = vllm_of(t);
    struct model_list lists[REPLICAS_MAX] = {{NULL, 0, 0}};
    uint64_t asked = vllm_live(v); /* those that are known to be dead are not asked */
    uint64_t mask = asked;
    int32_t code = vllm_ask_models(t, &t->calls, &mask, lists, err);

    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        if (vllm_unlisted(&t->calls, i))
            code = vllm_refusal(t, &t->calls.items[i], i, ROUTE_MODELS, NULL, NULL, err);
    if (code == INF_OK && !write_list(t, mask, lists))
        code = error_no_memory(err);
    for (size_t i = 0; code == INF_OK && i < v->replicas.n; i++)
        if (!replica_in(mask, i))
            context_log(v->context, INF_LOG_WARNING, "%s is left out of the list: %s",
                        vllm_url(v, i),
                        replica_in(asked, i) ? t->calls.items[i].error.message : "it is not there");
    vllm_free_lists(lists);
    return code;
}

static const struct task_kind list_kind = {run_list, NULL, false};

int32_t vllm_server_adapters(void *impl, inf_op *op, inf_error *err)
{
    struct vllm *v = impl;
    struct task *t = task_make(&v->control, &list_kind, sizeof *t);
    int32_t code = t ? task_start(t, op, err) : error_no_memory(err);

    if (code != INF_OK)
        task_free(t);
    return code;
}
