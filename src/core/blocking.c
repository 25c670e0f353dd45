/*
 * blocking: the calls that start an operation and wait for it. In a callback they are refused before
 * anything starts. Those with an `out` give the operation for its result, after a failure too.
 */
#include "core/provider_state.h"
#include "core/structs.h"

static int32_t check(inf_op **out, const inf_context *ctx, inf_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out, provider or ctx is NULL");
    return context_check(ctx, true, err);
}

static const inf_context *context_of(const inf_provider *p)
{
    return p ? p->context : NULL;
}

/* Waits for what a start made, when it made it. */
static int32_t wait_for(inf_op *const *op, int32_t code, inf_error *err)
{
    return code == INF_OK ? inf_op_wait(*op, -1, err) : code;
}

static int32_t wait_and_release(inf_op *op, int32_t code, inf_error *err)
{
    code = wait_for(&op, code, err);
    inf_op_release(op);
    return code;
}

int32_t inf_generate(inf_op **out, inf_provider *provider, const inf_request *request,
                     inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(
        out, code == INF_OK ? inf_generate_start(out, provider, request, NULL, err) : code, err);
}

int32_t inf_provider_load(inf_provider *provider, inf_error *err)
{
    inf_op *op = NULL;
    int32_t code = check(&op, context_of(provider), err);

    if (code == INF_OK)
        code = inf_provider_load_start(&op, provider, NULL, err);
    return wait_and_release(op, code, err);
}

int32_t inf_provider_unload(inf_provider *provider, inf_error *err)
{
    inf_op *op = NULL;
    int32_t code = check(&op, context_of(provider), err);

    if (code == INF_OK)
        code = inf_provider_unload_start(&op, provider, NULL, err);
    return wait_and_release(op, code, err);
}

int32_t inf_adapter_load(inf_provider *provider, const char *id, const char *path,
                         inf_adapter_report *report, inf_error *err)
{
    inf_adapter_source source;
    inf_adapter_report written;
    inf_op *op = NULL;
    size_t size = 0;
    int32_t code = check(&op, context_of(provider), err);

    if (code == INF_OK && report && !struct_size(&size, report))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "report: struct_size is %zu; set it to the struct's size first", size);
    if (code != INF_OK)
        return code;
    inf_adapter_source_default(&source, sizeof source);
    source.path = path;
    code = wait_for(&op, inf_adapter_load_start(&op, provider, id, &source, NULL, err), err);
    if (code == INF_OK && report) {
        inf_op_adapter_report(op, &written, sizeof written);
        written.id = written.evicted = (inf_text){NULL, 0};
        struct_write(report, size, &written, sizeof written);
    }
    inf_op_release(op);
    return code;
}

int32_t inf_adapter_unload(inf_provider *provider, const char *id, inf_error *err)
{
    inf_op *op = NULL;
    int32_t code = check(&op, context_of(provider), err);

    if (code == INF_OK)
        code = inf_adapter_unload_start(&op, provider, id, NULL, err);
    return wait_and_release(op, code, err);
}

int32_t inf_server_adapters(inf_op **out, inf_provider *provider, inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(
        out, code == INF_OK ? inf_server_adapters_start(out, provider, NULL, err) : code, err);
}

int32_t inf_tokenize(inf_op **out, inf_provider *provider, inf_text text, bool add_special,
                     inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(out,
                    code == INF_OK ? inf_tokenize_start(out, provider, text, add_special, NULL, err)
                                   : code,
                    err);
}

int32_t inf_detokenize(inf_op **out, inf_provider *provider, const int32_t *ids, size_t n,
                       bool skip_special, inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(out,
                    code == INF_OK
                        ? inf_detokenize_start(out, provider, ids, n, skip_special, NULL, err)
                        : code,
                    err);
}

int32_t inf_render(inf_op **out, inf_provider *provider, inf_text messages_json,
                   bool add_generation_prompt, inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(out,
                    code == INF_OK ? inf_render_start(out, provider, messages_json,
                                                      add_generation_prompt, NULL, err)
                                   : code,
                    err);
}

int32_t inf_logits(inf_op **out, inf_provider *provider, const inf_logits_request *request,
                   inf_error *err)
{
    int32_t code = check(out, context_of(provider), err);

    return wait_for(
        out, code == INF_OK ? inf_logits_start(out, provider, request, NULL, err) : code, err);
}

int32_t inf_inspect(inf_op **out, inf_context *ctx, const char *path, const char *base,
                    inf_error *err)
{
    int32_t code = check(out, ctx, err);

    return wait_for(out, code == INF_OK ? inf_inspect_start(out, ctx, path, base, NULL, err) : code,
                    err);
}
