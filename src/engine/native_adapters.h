/*
 * native_adapters: llama.cpp's own adapter objects, for weights on a device.
 *
 * Registered adapters stay as converted bytes; the few in use exist in llama.cpp, since each one
 * that exists makes its graphs larger. The least recently used one goes when there are too many.
 * Threads: owned by the thread that decodes, as llama.cpp demands.
 */
#ifndef INF_ENGINE_NATIVE_ADAPTERS_H
#define INF_ENGINE_NATIVE_ADAPTERS_H

#include "gguf/model.h"
#include "local/adapter_set.h"

#include <llama.h>

struct native_adapters;

/* NULL when out of memory. */
struct native_adapters *native_adapters_create(struct llama_model *model,
                                               const struct gguf_model *base);
void native_adapters_free(struct native_adapters *n);

/* Makes these the adapters that ctx decodes with, and keeps a reference to them. UNSUPPORTED for more
 * than NATIVE_ADAPTERS different ones. */
#define NATIVE_ADAPTERS 8
int32_t native_adapters_use(struct native_adapters *n, struct llama_context *ctx,
                            struct adapter_set *adapters, inf_error *err);
/* Before the context is freed and another made. */
void native_adapters_forget_context(struct native_adapters *n);

#endif
