/*
 * adapter_source: where an adapter is loaded from: what a start was given, checked and borrowed until it returns, or
 * a deep copy of that, for whoever loads later. Threads: one at a time.
 */
#ifndef INF_CORE_ADAPTER_SOURCE_H
#define INF_CORE_ADAPTER_SOURCE_H

#include "core/blocks.h"
#include "core/error.h"

struct adapter_source {
    const char *path; /* NULL: from memory */
    inf_text config;
    inf_text
        weights; /* of a copy with a config: what is behind the header is aligned to 64 bytes */
    struct block
        *block; /* where a copy's weights lie; whoever takes it, to write there too, leaves NULL */
    /* It is read by a start, which reads no file: who would have to look at the model's weights for it does nothing
     * and sets put_off. */
    bool in_start, put_off;
};

/* Borrows. INVALID_ARGUMENT. */
int32_t adapter_source_read(struct adapter_source *out, const inf_adapter_source *source,
                            inf_error *err);
/* NO_MEMORY. */
int32_t adapter_source_copy(struct adapter_source *out, const struct adapter_source *from,
                            inf_error *err);
/* A copy, or zeros. */
void adapter_source_free(struct adapter_source *s);

#endif
