/*
 * adapter_source: where an adapter is loaded from: a deep copy of an inf_adapter_source. Of bytes from memory the
 * header is copied first, and the numbers behind it while another thread may already look at that; whoever wants
 * them waits for as many as it wants (adapter_source_wait_for) or for all (adapter_source_wait), and so does whoever
 * ends the copy, so that the caller's bytes are not looked at any more when an operation ends or its start returns.
 * Threads: one at a time, but for that.
 */
#ifndef INF_CORE_ADAPTER_SOURCE_H
#define INF_CORE_ADAPTER_SOURCE_H

#include "core/blocks.h"
#include "core/error.h"

struct late_copy;

struct adapter_source {
    char *path; /* NULL: from memory */
    char *config;
    size_t config_len;
    /* Aligned to 64 bytes; with a config, what is behind the header is. */
    char *weights;
    size_t weights_len;
    struct block *block;    /* where they lie; whoever takes it, to write there too, leaves NULL */
    struct late_copy *late; /* NULL: all of it is there */
};

/* INVALID_ARGUMENT, NO_MEMORY. What is left to be copied is for adapter_source_finish. */
int32_t adapter_source_copy(struct adapter_source *out, const inf_adapter_source *source,
                            inf_error *err);
/* On the thread that made the copy, once, whatever became of it; NULL is ignored. */
void adapter_source_finish(struct late_copy *late);
/* Until all of it is there. On the thread of the two above, between them: it is not copied at all. */
void adapter_source_wait(struct adapter_source *s);
/* Until what lies before `end` in weights is there. Not on that thread. */
void adapter_source_wait_for(const struct adapter_source *s, const void *end);
/* On any thread. */
void adapter_source_free(struct adapter_source *s);

#endif
