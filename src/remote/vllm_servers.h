/*
 * vllm_servers: what the files of the vLLM provider share: its servers, the adapters on them, and calls
 * to several servers at once.
 *
 * Threads. A request runs on the client's I/O thread. What must be done step by step (load, unload,
 * looking whether a server still has an adapter, reviving a replica, asking what is there) is a task of
 * a control thread. The key of a load and of an unload is the adapter's id, that of a look is one
 * generation on one replica. A request that needs a look waits in it.
 *
 * Locks: vllm->lock guards every field not said to be constant, the tasks' links and operations, and
 * the requests' lists and pins. Under it: http_start, http_cancel, calls_cancel and what queues in the
 * context, none of which calls back. op_finish and op_set_canceller are never called with it held (an
 * operation's cancel lock comes first). A generation goes away in its unload alone, which begins when
 * its last pin is gone: requests have pins, and so have looks.
 */
#ifndef INF_REMOTE_VLLM_SERVERS_H
#define INF_REMOTE_VLLM_SERVERS_H

#include "core/context.h"
#include "remote/adapter_names.h"
#include "remote/control.h"
#include "remote/model_list.h"

struct vllm {
    inf_context *context;       /* constant */
    struct http_client *client; /* constant */
    int32_t adapter_check;      /* constant: enum inf_adapter_check */

    pthread_mutex_t lock;
    struct replicas replicas; /* its servers are constant */
    struct adapter_names names;
    struct control control;
    struct flight *flights; /* requests in flight, when there are several replicas */
};

enum { LOAD_MS = 600000 };

static inline struct vllm *vllm_of(const struct task *t)
{
    return t->control->owner;
}

/* For messages. */
static inline const char *vllm_url(const struct vllm *v, size_t i)
{
    return v->replicas.items[i].server.shown;
}

/* Gives a pin back: a generation's last one lets its unload begin. The lock is held. */
void vllm_unpin(struct vllm *v, struct generation *g);

/* What follows is called without the lock. */

/* The mask of the replicas that are not dead; of all when none is alive. */
uint64_t vllm_live(struct vllm *v);
/* The life of each replica, as of now; *lives has room for all. */
void vllm_lives(struct vllm *v, uint32_t *lives);
/* What has that name is not on these replicas, or not from us. */
void vllm_removed(struct vllm *v, const char *name, uint64_t where);

/* What follows blocks, on a control thread; `calls` is one of the task's two. */

/* How long a replica may be silent before it is asked: as long as connecting may take, or a while where
 * that has no bound. No lock is needed. */
int64_t vllm_patience_ms(const struct vllm *v);

/* Has each in the mask load an adapter, or with path NULL unload it, and waits; what became of each is
 * in `calls`. NO_MEMORY. */
int32_t vllm_post(struct task *t, struct calls *calls, uint64_t mask, const char *name,
                  const char *path, int64_t total_ms, inf_error *err);
/* GETs the models of each in the mask into lists (one for each replica, empty, freed by
 * vllm_free_lists). Replicas that are not there leave the mask; everything listed counts as a used
 * name from now on; what we left there and is not listed is there no longer. An error: one answered
 * something else, or none is there. A server that has no such route (vllm_unlisted) is no error: its list
 * is empty, and only what it answers to a load or an unload tells more. */
int32_t vllm_ask_models(struct task *t, struct calls *calls, uint64_t *mask,
                        struct model_list lists[REPLICAS_MAX], inf_error *err);
bool vllm_unlisted(const struct calls *calls, size_t i);
void vllm_free_lists(struct model_list lists[REPLICAS_MAX]);
/* The same of one replica; the list is freed by the caller, after an error too. */
int32_t vllm_ask_one(struct task *t, struct calls *calls, size_t i, struct model_list *list,
                     inf_error *err);
/* A replica's refusal as an error; its body is kept for the task's operation. route: enum
 * server_route. */
int32_t vllm_refusal(struct task *t, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_error *err);
/* Has these replicas unload a name of ours; those where it is gone. */
uint64_t vllm_take_back(struct task *t, uint64_t mask, const char *name);

/* What replica i lists under a name: after a lost answer. */
enum listed { LISTED_OURS, LISTED_FOREIGN, LISTED_NOT, LISTED_UNKNOWN /* it cannot be asked */ };
enum listed vllm_is_listed(struct task *t, size_t i, const char *name, const char *path);
/* The error of a name that has become another's. root: from where; may be NULL. */
int32_t vllm_not_ours(const struct vllm *v, size_t i, const struct generation *g, const char *root,
                      inf_error *err);

#endif
