/* vllm_tasks: a task from its turn to its end, on a control thread. See vllm_state.h. */
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
        char *id = NULL;
        char *path = NULL;

        if (!e->parent)
            continue;
        pthread_mutex_lock(&v->lock);
        g = adapter_names_by_name(&v->names, e->id);
        if (g && g->current) {
            id = mem_strdup(g->id);
            path = mem_strdup(g->path);
            ok = id && path;
        }
        pthread_mutex_unlock(&v->lock);
        if (ok && id && vllm_whose(e, path) == WHOSE_ANOTHERS) {
            mem_free(id); /* the name is the one we gave, what has it is not */
            id = NULL;
        }
        ok = ok && add_adapter(out, e->id, id, e->root, true, v->replicas.items[i].server.shown);
        mem_free(id);
        mem_free(path);
    }
    return ok;
}

/* Tracked adapters that a replica which was asked does not list. */
static bool add_missing(struct buffer *out, struct vllm *v, const struct model_list *list, size_t i)
{
    bool ok = true;

    pthread_mutex_lock(&v->lock);
    for (const struct generation *g = v->names.all; g && ok; g = g->next) {
        const struct model_entry *e = g->current ? model_list_find(list, g->name) : NULL;

        if (g->current && (!e || vllm_whose(e, g->path) == WHOSE_ANOTHERS))
            ok = add_adapter(out, g->name, g->id, g->path, false,
                             v->replicas.items[i].server.shown);
    }
    pthread_mutex_unlock(&v->lock);
    return ok;
}

/* Replicas that are known to be dead are not asked. */
static uint64_t listed_ones(struct vllm *v)
{
    uint64_t mask = vllm_live(v);

    for (size_t i = 0; i < v->replicas.n; i++)
        if (!(mask >> i & 1))
            context_log(v->context, INF_LOG_WARNING, "%s is left out of the list: it is not there",
                        v->replicas.items[i].server.shown);
    return mask;
}

static int32_t run_list(struct task *t, inf_error *err)
{
    struct vllm *v = t->vllm;
    struct buffer *out = &t->text;
    struct model_list *lists = mem_calloc(v->replicas.n, sizeof *lists);
    uint64_t mask = listed_ones(v);
    uint64_t asked = mask;
    int32_t code = lists ? vllm_ask_models(t, &t->calls, &mask, lists, err) : error_no_memory(err);
    bool ok = code == INF_OK && buffer_append_str(out, "[");

    for (size_t i = 0; ok && i < v->replicas.n; i++)
        if (mask >> i & 1)
            ok = add_listed(out, v, &lists[i], i) && add_missing(out, v, &lists[i], i);
        else if (asked >> i & 1)
            context_log(v->context, INF_LOG_WARNING, "%s is left out of the list: %s",
                        v->replicas.items[i].server.shown, t->calls.items[i].error.message);
    ok = ok && buffer_append_str(out, "]");
    vllm_free_lists(v, lists);
    return code == INF_OK && !ok ? error_no_memory(err) : code;
}

/* ------------------------------------------------------------------ a task's turn */

/* Asked to stop before its turn came. An unload that has hidden its id goes on all the same. */
static bool is_stopped(struct task *t, inf_error *err)
{
    bool stopped = false;

    pthread_mutex_lock(&t->vllm->lock);
    stopped = t->op && op_stop_code(t->op) != INF_OK && !(t->kind == TASK_UNLOAD && t->generation);
    if (stopped)
        op_stop_error(t->op, err);
    pthread_mutex_unlock(&t->vllm->lock);
    return stopped;
}

static int32_t run(struct task *t, inf_error *err)
{
    if (is_stopped(t, err))
        return err->code;
    switch (t->kind) {
    case TASK_LOAD:
        return vllm_run_load(t, err);
    case TASK_UNLOAD:
        return vllm_run_unload(t, err);
    case TASK_LOOK:
        return vllm_run_look(t, err);
    case TASK_LIST:
        return run_list(t, err);
    case TASK_REVIVE:
        vllm_run_revive(t);
        break;
    case TASK_PROBE:
        vllm_run_probe(t);
        break;
    }
    return INF_OK;
}

/* The operation is still waiting: it gets what there is. */
static void fill(struct task *t, inf_op *op, const inf_error *err)
{
    struct op_output *out = op_output(op);

    if (t->error_body) {
        mem_free(out->error_body);
        out->error_body = t->error_body;
        out->error_body_len = t->error_body_len;
        t->error_body = NULL;
    }
    if (err->code != INF_OK)
        return;
    if (t->kind == TASK_LIST) {
        buffer_free(&out->text);
        out->text = t->text;
        buffer_init(&t->text, BUFFER_NO_LIMIT);
    }
    if (t->kind == TASK_LOAD) {
        out->report = t->report;
        out->report_id = t->report_id;
        t->report_id = NULL;
    }
}

static void leave_running(struct vllm *v, struct task *t)
{
    struct task **at = &v->running;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->running = false;
}

/* An id that was not tracked yet when its unload was asked for: its load was under way. The unload may
 * have to wait for the last request. */
static bool is_postponed(struct task *t)
{
    struct vllm *v = t->vllm;
    struct generation *g = NULL;
    bool postponed = false;

    if (t->kind != TASK_UNLOAD || t->generation)
        return false;
    pthread_mutex_lock(&v->lock);
    if (!t->op || op_stop_code(t->op) == INF_OK)
        g = adapter_names_find(&v->names, t->id, strlen(t->id));
    postponed = g && !vllm_hide(t, g);
    if (postponed)
        leave_running(v, t);
    pthread_mutex_unlock(&v->lock);
    return postponed;
}

void vllm_run_task(struct task *t)
{
    struct vllm *v = t->vllm;
    struct request *waiting = NULL;
    inf_error err = {0};
    inf_op *op = NULL;

    if (is_postponed(t))
        return;
    if (run(t, &err) == INF_OK)
        error_none(&err); /* what failed on the way did not matter */
    pthread_mutex_lock(&v->lock);
    leave_running(v, t);
    waiting = t->waiting;
    t->waiting = NULL;
    op = t->op;
    t->op = NULL; /* from here on a canceller finds nothing to do */
    if (t->kind == TASK_LOOK)
        vllm_unpin(v, t->generation); /* those who wait have pins of their own */
    pthread_mutex_unlock(&v->lock);
    while (waiting) {
        struct request *r = waiting;

        waiting = r->next_waiting;
        vllm_request_continue(r, &err);
    }
    if (op) {
        op_set_canceller(op, NULL, NULL);
        fill(t, op, &err);
        if (err.code == INF_ERROR_CANCELLED && op_stop_code(op) != INF_OK)
            op_stop_error(op, &err);
    }
    task_free(t);
    if (op)
        op_finish(op, &err); /* last: the provider may be gone after it */
}
