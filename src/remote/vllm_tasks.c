/* vllm_tasks: a task of the control thread from its turn to its end. See vllm_state.h. */
#include "remote/vllm_state.h"

#include "core/memory.h"

#include <string.h>

/* ------------------------------------------------------------------ what the servers have */

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

static bool add_listed(struct buffer *out, struct vllm *v, const struct model_list *list, size_t i)
{
    bool ok = true;

    for (size_t k = 0; k < list->n && ok; k++) {
        const struct model_entry *e = &list->items[k];
        const struct generation *g = NULL;

        if (!e->parent)
            continue;
        pthread_mutex_lock(&v->lock);
        g = adapter_names_by_name(&v->names, e->id);
        ok = add_adapter(out, e->id, g && g->current ? g->id : NULL, e->root, true,
                         v->replicas.items[i].server.shown);
        pthread_mutex_unlock(&v->lock);
    }
    return ok;
}

/* Tracked adapters that a replica which was asked does not list. */
static bool add_missing(struct buffer *out, struct vllm *v, const struct model_list *list, size_t i)
{
    bool ok = true;

    pthread_mutex_lock(&v->lock);
    for (const struct generation *g = v->names.all; g && ok; g = g->next) {
        if (g->current && !model_list_find(list, g->name))
            ok = add_adapter(out, g->name, g->id, g->path, false,
                             v->replicas.items[i].server.shown);
    }
    pthread_mutex_unlock(&v->lock);
    return ok;
}

static int32_t run_list(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct buffer *out = &op_output(t->op)->text;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = vllm_all(v);
    int32_t code = lists ? vllm_ask_models(v, &t->calls, &mask, lists, err) : error_no_memory(err);
    bool ok = code == INF_OK && buffer_append_str(out, "[");

    for (size_t i = 0; ok && i < v->replicas.n; i++) {
        if (mask >> i & 1)
            ok = add_listed(out, v, &lists[i], i) && add_missing(out, v, &lists[i], i);
    }
    ok = ok && buffer_append_str(out, "]");
    vllm_free_lists(v, lists);
    return code == INF_OK && !ok ? error_no_memory(err) : code;
}

/* ------------------------------------------------------------------ a task's turn */

/* Asked to stop before its turn came. An unload that has hidden its id goes on all the same. */
static bool is_stopped(const struct task *t)
{
    return t->op && op_stop_code(t->op) != INF_OK && !(t->kind == TASK_UNLOAD && t->generation);
}

static int32_t run(struct task *t, inf_error *err)
{
    if (is_stopped(t))
        return op_stop_error(t->op, err);
    switch (t->kind) {
    case TASK_LOAD:
        return vllm_run_load(t, err);
    case TASK_UNLOAD:
        return vllm_run_unload(t, err);
    case TASK_LOAD_AGAIN:
        return vllm_run_load_again(t, err);
    case TASK_LIST:
        return run_list(t, err);
    case TASK_REVIVE:
        vllm_run_revive(t);
        break;
    }
    return INF_OK;
}

void vllm_run_task(struct task *t)
{
    struct vllm *v = t->vllm;
    struct request *waiting = NULL;
    inf_error err = {0};
    inf_op *op = NULL;

    if (run(t, &err) == INF_OK)
        error_none(&err); /* what failed on the way did not matter */
    pthread_mutex_lock(&v->lock);
    v->running = NULL;
    waiting = t->waiting;
    t->waiting = NULL;
    op = t->op;
    t->op = NULL; /* from here on a canceller finds nothing to do */
    pthread_mutex_unlock(&v->lock);
    while (waiting) {
        struct request *r = waiting;

        waiting = r->next_waiting;
        vllm_request_continue(r, &err);
    }
    if (op) {
        op_set_canceller(op, NULL, NULL);
        if (err.code == INF_ERROR_CANCELLED && op_stop_code(op) != INF_OK)
            op_stop_error(op, &err);
    }
    task_free(t);
    if (op)
        op_finish(op, &err); /* last: the provider may be gone after it */
}
