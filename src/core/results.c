/*
 * results: reading what a finished operation holds. Everything given out belongs to the operation.
 */
#include "core/op_state.h"
#include "core/structs.h"

static int32_t check(const inf_op *op, const void *out, bool right_kind)
{
    if (!op || !out || !right_kind)
        return INF_ERROR_INVALID_ARGUMENT;
    if (context_forked(op->context))
        return INF_ERROR_STATE;
    return atomic_load_explicit(&op->state, memory_order_acquire) == OP_RUNNING ? INF_ERROR_STATE
                                                                                : INF_OK;
}

static inf_text text_of(const struct buffer *b)
{
    return (inf_text){b->data ? b->data : "", b->len};
}

int32_t inf_op_result(const inf_op *op, inf_result *out, size_t size)
{
    const struct op_output *o = NULL;
    inf_result r = {0};
    int32_t code = check(op, out, op && op->kind == OP_GENERATE);

    if (code != INF_OK)
        return code;
    o = &op->output;
    r.text = text_of(&op->text);
    r.model = inf_str(o->model);
    r.adapter_id = inf_str(o->adapter_id);
    r.finish_reason = inf_str(o->finish_reason);
    if (op->reasoning.len)
        r.reasoning = text_of(&op->reasoning);
    r.tool_calls = inf_str(o->tool_calls);
    r.token_count = o->prompt_tokens < 0 || o->completion_tokens < 0
                        ? -1
                        : o->prompt_tokens + o->completion_tokens;
    r.prompt_tokens = o->prompt_tokens;
    r.completion_tokens = o->completion_tokens;
    r.token_ids = o->token_ids;
    r.n_token_ids = o->n_token_ids;
    r.logprobs = o->logprobs;
    r.n_logprobs = o->n_logprobs;
    r.timings = o->timings;
    r.adapter_generation = o->adapter_generation;
    r.adapters = o->adapters ? o->adapters : o->adapter_id ? &o->single : NULL;
    r.n_adapters = o->adapters ? o->n_adapters : o->adapter_id != NULL;
    r.prefix_tokens = o->prefix_tokens;
    r.steps = o->steps;
    r.mean_rows = o->mean_rows;
    r.mean_adapters = o->mean_adapters;
    r.finish = o->finish;
    r.row_independent = o->row_independent;
    r.drafted_tokens = o->drafted_tokens;
    r.accepted_tokens = o->accepted_tokens;
    return struct_write(out, size, &r, sizeof r) ? INF_OK : INF_ERROR_INVALID_ARGUMENT;
}

int32_t inf_op_adapter_report(const inf_op *op, inf_adapter_report *out, size_t size)
{
    inf_adapter_report r;
    int32_t code = check(op, out, op && op->kind == OP_ADAPTER_LOAD);

    if (code != INF_OK)
        return code;
    if (op->error.code != INF_OK)
        return op->error.code;
    r = op->output.report;
    r.id = inf_str(op->output.report_id);
    r.evicted = inf_str(op->output.report_evicted);
    return struct_write(out, size, &r, sizeof r) ? INF_OK : INF_ERROR_INVALID_ARGUMENT;
}

int32_t inf_op_tokens(const inf_op *op, const int32_t **ids, size_t *n)
{
    int32_t code = check(op, ids, op && n && op->kind == OP_TOKENIZE);

    if (code != INF_OK)
        return code;
    *ids = op->output.token_ids;
    *n = op->output.n_token_ids;
    return INF_OK;
}

int32_t inf_op_text(const inf_op *op, inf_text *out)
{
    int32_t code = check(op, out,
                         op && (op->kind == OP_DETOKENIZE || op->kind == OP_RENDER ||
                                op->kind == OP_INSPECT || op->kind == OP_SERVER_ADAPTERS));

    if (code == INF_OK)
        *out = text_of(&op->output.text);
    return code;
}

int32_t inf_op_logits(const inf_op *op, inf_logits_result *out, size_t size)
{
    inf_logits_result l = {0};
    int32_t code = check(op, out, op && op->kind == OP_LOGITS);

    if (code != INF_OK)
        return code;
    l.top_ids = op->output.top_ids;
    l.top = op->output.top;
    l.n_top = op->output.n_top;
    l.probe = op->output.probe;
    l.n_probe = op->output.n_probe;
    l.all = op->output.all;
    l.n_vocab = op->output.n_all;
    return struct_write(out, size, &l, sizeof l) ? INF_OK : INF_ERROR_INVALID_ARGUMENT;
}
