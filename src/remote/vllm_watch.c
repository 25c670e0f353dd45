/* vllm_watch: see the header. */
#include "remote/vllm_watch.h"

#include "core/clock.h"

void vllm_watch_add(struct vllm *v, struct flight *f)
{
    if (v->replicas.n == 1)
        return;
    f->previous = NULL;
    f->next = v->flights;
    if (v->flights)
        v->flights->previous = f;
    v->flights = f;
    if (control_start(&v->control, NULL) == INF_OK)
        control_watch(&v->control);
}

void vllm_watch_remove(struct vllm *v, struct flight *f)
{
    if (v->replicas.n == 1)
        return;
    if (f->previous)
        f->previous->next = f->next;
    else
        v->flights = f->next;
    if (f->next)
        f->next->previous = f->previous;
}

/* ------------------------------------------------------------------ a suspect */

struct probe {
    struct task task;
    size_t replica;
};

static void move_requests(struct vllm *v, size_t replica)
{
    for (struct flight *f = v->flights; f; f = f->next) {
        if (f->replica != replica || f->call->answered || f->moved)
            continue;
        f->moved = true;
        http_cancel(f->call->exchange);
    }
}

static int32_t run_probe(struct task *t, inf_error *err)
{
    struct vllm *v = vllm_of(t);
    size_t i = ((struct probe *)t)->replica;
    struct replica *one = &v->replicas.items[i];
    struct model_list list;
    bool dead = false;

    /* Whatever it answers, it answers; one that does not is noted. */
    vllm_ask_one(t, &t->calls, i, &list, err);
    model_list_free(&list);
    pthread_mutex_lock(&v->lock);
    one->suspect = false;
    one->asked_us = clock_us();
    dead = one->dead;
    if (dead)
        move_requests(v, i);
    pthread_mutex_unlock(&v->lock);
    if (dead)
        context_log(v->context, INF_LOG_WARNING, "%s does not answer, and is left out for now: %s",
                    vllm_url(v, i), err->message);
    return INF_OK;
}

static const struct task_kind probe_kind = {run_probe, NULL, false};

void vllm_suspect(struct vllm *v, size_t i)
{
    struct replica *one = &v->replicas.items[i];
    struct probe *p = NULL;

    if (v->replicas.n == 1 || one->dead || one->suspect)
        return;
    if (control_start(&v->control, NULL) == INF_OK)
        p = task_make(&v->control, &probe_kind, sizeof *p);
    if (!p)
        return; /* the next request tries once more */
    one->suspect = true;
    p->replica = i;
    control_add(&v->control, &p->task);
}

bool vllm_watch(void *owner)
{
    struct vllm *v = owner;
    int64_t now = clock_us();

    for (const struct flight *f = v->flights; f; f = f->next) {
        int64_t asked = v->replicas.items[f->replica].asked_us;
        int64_t begun = f->call->begun_us;
        int64_t since = begun > asked ? begun : asked;

        if (begun && !f->call->answered && now - since >= vllm_patience_ms(v) * 1000)
            vllm_suspect(v, f->replica);
    }
    return v->flights != NULL;
}
