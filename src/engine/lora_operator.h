/*
 * lora_operator: every row of a llama.cpp decode under its own adapters.
 *
 * An operator among ggml's threads (cpu_operators). The matmuls whose weight an adapter in the call
 * changes are computed by ggml, and their rows get s·B(Ax) of each of their own adapters added, in place,
 * before anything reads them, or are brought to DoRA's lengths; looked up embeddings, norms and biases
 * are changed or replaced likewise, rows of a head computed with another matrix. The graph never changes
 * with the adapters, so nothing is reserved again, and adapters that are registered but not in the call
 * cost nothing.
 * A row's adapters are applied in their order, each to what the one before left, as peft does.
 * A row's result depends neither on its neighbours nor on the number of threads, but on the order of its
 * adapters, in its last bits.
 * Only for weights and results in host memory.
 *
 * Threads: begin and end on the thread that decodes; in between all threads of the pool read what
 * begin wrote, and share the scratch; ggml's barriers order them.
 */
#ifndef INF_ENGINE_LORA_OPERATOR_H
#define INF_ENGINE_LORA_OPERATOR_H

#include "gguf/file.h"
#include "local/engine.h"

struct ggml_threadpool;

struct lora_operator;

/* base: the model's own file, which must outlive it; pool, exact: whose graphs it works in, and how
 * (cpu_operators_open). NO_MEMORY. */
int32_t lora_operator_create(struct lora_operator **out, const struct gguf_file *base,
                             struct ggml_threadpool *pool, bool exact, inf_error *err);
void lora_operator_free(struct lora_operator *o); /* NULL is ignored; with nobody decoding */

/* Says which adapters each row of the next decode has. Rows are in the order of the batch, n_tokens
 * tokens each. NO_MEMORY: it must not be decoded. */
int32_t lora_operator_begin(struct lora_operator *o, const struct engine_row *rows, int32_t n_rows,
                            int32_t n_tokens, inf_error *err);
/* After the decode: false when the graph had a shape that the operator does not know; then the
 * adapters were not applied and the results must not be used. */
bool lora_operator_end(struct lora_operator *o);

#endif
