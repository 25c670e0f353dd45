/* shared: see the header. */
#include "local/shared.h"

#include <stddef.h>

void shared_init(struct shared *s)
{
    *s = (struct shared){.thing = NULL};
    pthread_mutex_init(&s->lock, NULL);
}

void shared_destroy(struct shared *s)
{
    pthread_mutex_destroy(&s->lock);
}

void *shared_hold(struct shared *s)
{
    void *thing = NULL;

    pthread_mutex_lock(&s->lock);
    thing = s->thing;
    s->n_holding += thing != NULL;
    pthread_mutex_unlock(&s->lock);
    return thing;
}

void shared_made(struct shared *s, void *thing)
{
    pthread_mutex_lock(&s->lock);
    s->thing = thing;
    s->n_holding = thing != NULL;
    pthread_mutex_unlock(&s->lock);
}

bool shared_let_go(struct shared *s)
{
    bool last = false;

    pthread_mutex_lock(&s->lock);
    last = --s->n_holding == 0;
    if (last)
        s->thing = NULL;
    pthread_mutex_unlock(&s->lock);
    return last;
}
