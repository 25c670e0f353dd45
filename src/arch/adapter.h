/*
 * adapter: an adapter's files, PEFT or GGUF, for a model: opened, matched against the model's
 * weights, and converted. Blocking file I/O; stateless; any thread.
 */
#ifndef INF_ARCH_ADAPTER_H
#define INF_ARCH_ADAPTER_H

#include "core/provider.h"
#include "gguf/model.h"
#include "lora/weights.h"

/*
 * Reads the source (path or memory) and converts it for `model`.
 * Errors: IO, BAD_FORMAT, UNSUPPORTED (PEFT feature or architecture, by name), MISMATCH (names the
 * first tensor that does not fit, and how many), NOT_FINITE (names the tensor), NO_MEMORY,
 * CANCELLED or TIMEOUT when op_to_poll (may be NULL) was asked to stop, polled between modules.
 * source->block may become the adapter's; what is left in `source` is the caller's to free. source->put_off: *out is
 * as it was, and nothing is read.
 * report: format, rank, scale, n_modules, n_tensors, bytes are filled in.
 */
int32_t adapter_read(struct lora_weights **out, struct adapter_source *source,
                     const struct gguf_model *model, const inf_op *op_to_poll,
                     inf_adapter_report *report, inf_error *err);

/* Reads the adapter at a path for `model`, and forgets it: provider_ops.check_fit of a row whose model it is. */
int32_t adapter_check_fit(const struct gguf_model *model, const char *path, inf_error *misfit,
                          inf_error *err);

/* adapter.lora.alpha of a GGUF adapter; 0 when the file has none, as in llama.cpp. NOT_FINITE,
 * BAD_FORMAT when it is no number. */
int32_t gguf_adapter_alpha(double *alpha, const struct gguf_file *adapter, inf_error *err);

#endif
