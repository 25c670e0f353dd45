/*
 * shared: something large that what is loaded of a model has in common, such as its tokenizer: made by one load, gone
 * with the last that holds it, and then made anew. Loads take turns; giving back is for any thread.
 */
#ifndef INF_LOCAL_SHARED_H
#define INF_LOCAL_SHARED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct shared {
    pthread_mutex_t lock; /* a leaf; guards the two */
    void *thing;
    int32_t n_holding;
};

void shared_init(struct shared *s);
void shared_destroy(struct shared *s); /* nobody holds it */

/* What the others hold, held by one more. NULL: there is none. */
void *shared_hold(struct shared *s);
/* There was none: the one who has made it holds it. */
void shared_made(struct shared *s, void *thing);
/* true: it was the last, and frees the thing. */
bool shared_let_go(struct shared *s);

#endif
