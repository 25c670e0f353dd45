/*
 * start: the public calls that start an operation: validate, copy, make the operation, hand it to the
 * provider. *out is set before the hand-over, since a callback may
 * come before the start returns.
 */
#include "core/provider_state.h"

#include "core/inspect.h"
#include "core/json_check.h"
#include "core/memory.h"
#include "core/request.h"
#include "core/structs.h"
#include "core/utf8.h"

#include <string.h>

#define MAX_ID 256

/* Of a provider that check_start may have refused. */
#define SLOT(provider, name) ((provider) ? (provider)->ops->name : NULL)

/* The operation, unless something was wrong before. */
static int32_t begin(inf_op **out, int32_t code, inf_provider *p, bool has_slot, const char *what,
                     enum op_kind kind, const inf_callbacks *callbacks,
                     const struct op_times *times, inf_error *err)
{
    if (code == INF_OK && !has_slot)
        code = error_set(err, INF_ERROR_UNSUPPORTED, "the %s provider does not support %s",
                         p->ops->name, what);
    if (code == INF_OK)
        code = op_create(out, p->context, p, kind, callbacks, times, err);
    return code;
}

static int32_t check_start(inf_op **out, const inf_provider *p, inf_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !p)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or provider is NULL");
    return context_check(p->context, false, err);
}

/* What every start ends with: on an error the operation is as if it had never been. */
static int32_t started(inf_op **out, int32_t code, inf_error *err)
{
    if (code == INF_OK)
        return error_none(err);
    if (out && *out) {
        op_abandon(*out);
        *out = NULL;
    }
    return code;
}

/* ------------------------------------------------------------------ generate */

int32_t inf_generate_start(inf_op **out, inf_provider *provider, const inf_request *request,
                           const inf_callbacks *callbacks, inf_error *err)
{
    inf_request *copy = NULL;
    struct op_times times;
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK)
        code = request_copy(&copy, request, provider->ops, err);
    if (code != INF_OK)
        return code;
    times = (struct op_times){copy->queue_timeout_ms, copy->timeout_ms};
    code = begin(out, code, provider, SLOT(provider, generate), "generation", OP_GENERATE,
                 callbacks, &times, err);
    if (code != INF_OK) {
        mem_free(copy);
        return code;
    }
    op_set_request(*out, copy);
    return started(out, provider->ops->generate(provider->impl, *out, err), err);
}

/* ------------------------------------------------------------------ the model */

typedef int32_t (*plain_slot)(void *impl, inf_op *op, inf_error *err);

static int32_t start_plain(inf_op **out, inf_provider *p, plain_slot slot, const char *what,
                           enum op_kind kind, const inf_callbacks *callbacks, inf_error *err)
{
    int32_t code = check_start(out, p, err);

    code = begin(out, code, p, slot, what, kind, callbacks, NULL, err);
    if (code == INF_OK)
        code = slot(p->impl, *out, err);
    return started(out, code, err);
}

int32_t inf_provider_load_start(inf_op **out, inf_provider *provider,
                                const inf_callbacks *callbacks, inf_error *err)
{
    return start_plain(out, provider, SLOT(provider, load), "loading a model", OP_MODEL_LOAD,
                       callbacks, err);
}

int32_t inf_provider_unload_start(inf_op **out, inf_provider *provider,
                                  const inf_callbacks *callbacks, inf_error *err)
{
    return start_plain(out, provider, SLOT(provider, unload), "unloading a model", OP_MODEL_UNLOAD,
                       callbacks, err);
}

/* ------------------------------------------------------------------ adapters */

static int32_t check_id(const char *id, inf_error *err)
{
    size_t n = id ? strlen(id) : 0;

    if (n == 0 || n > MAX_ID)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "adapter id: not 1 to %d bytes long",
                         MAX_ID);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "adapter id: contains a control character");
    if (!utf8_valid(id, n))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "adapter id: is not valid UTF-8");
    return INF_OK;
}

static int32_t check_path(const char *path, const char *what, inf_error *err)
{
    return utf8_valid(path, strlen(path))
               ? INF_OK
               : error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s is not valid UTF-8", what);
}

int32_t inf_adapter_load_start(inf_op **out, inf_provider *provider, const char *id,
                               const inf_adapter_source *source, const inf_callbacks *callbacks,
                               inf_error *err)
{
    struct adapter_source read;
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK)
        code = check_id(id, err);
    if (code == INF_OK)
        code = adapter_source_read(&read, source, err);
    code = begin(out, code, provider, SLOT(provider, adapter_load), "adapters", OP_ADAPTER_LOAD,
                 callbacks, NULL, err);
    if (code == INF_OK)
        code = provider->ops->adapter_load(provider->impl, *out, id, &read, err);
    return started(out, code, err);
}

int32_t inf_adapter_unload_start(inf_op **out, inf_provider *provider, const char *id,
                                 const inf_callbacks *callbacks, inf_error *err)
{
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK)
        code = check_id(id, err);
    code = begin(out, code, provider, SLOT(provider, adapter_unload), "adapters", OP_ADAPTER_UNLOAD,
                 callbacks, NULL, err);
    if (code == INF_OK)
        code = provider->ops->adapter_unload(provider->impl, *out, id, err);
    return started(out, code, err);
}

int32_t inf_server_adapters_start(inf_op **out, inf_provider *provider,
                                  const inf_callbacks *callbacks, inf_error *err)
{
    return start_plain(out, provider, SLOT(provider, server_adapters),
                       "asking a server for its adapters", OP_SERVER_ADAPTERS, callbacks, err);
}

/* ------------------------------------------------------------------ text and numbers */

int32_t inf_tokenize_start(inf_op **out, inf_provider *provider, inf_text text, bool add_special,
                           const inf_callbacks *callbacks, inf_error *err)
{
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK && !text.data)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "text is NULL");
    if (code == INF_OK && !utf8_valid(text.data, text.len)) /* tokenizers would replace the bytes */
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "text: is not valid UTF-8");
    code = begin(out, code, provider, SLOT(provider, tokenize), "tokenizing", OP_TOKENIZE,
                 callbacks, NULL, err);
    if (code == INF_OK)
        code = provider->ops->tokenize(provider->impl, *out, text, add_special, err);
    return started(out, code, err);
}

int32_t inf_detokenize_start(inf_op **out, inf_provider *provider, const int32_t *ids, size_t n,
                             bool skip_special, const inf_callbacks *callbacks, inf_error *err)
{
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK && n && !ids)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "ids is NULL and n is not 0");
    code = begin(out, code, provider, SLOT(provider, detokenize), "detokenizing", OP_DETOKENIZE,
                 callbacks, NULL, err);
    if (code == INF_OK)
        code = provider->ops->detokenize(provider->impl, *out, ids, n, skip_special, err);
    return started(out, code, err);
}

int32_t inf_render_start(inf_op **out, inf_provider *provider, inf_text messages_json,
                         bool add_generation_prompt, const inf_callbacks *callbacks, inf_error *err)
{
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK && !messages_json.data)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "messages_json is NULL");
    if (code == INF_OK)
        code = json_check(messages_json, "messages_json", err);
    code = begin(out, code, provider, SLOT(provider, render), "rendering chat templates", OP_RENDER,
                 callbacks, NULL, err);
    if (code == INF_OK)
        code = provider->ops->render(provider->impl, *out, messages_json, add_generation_prompt,
                                     err);
    return started(out, code, err);
}

void inf_logits_request_default(inf_logits_request *request, size_t size)
{
    inf_logits_request defaults = {.struct_size = sizeof defaults, .top = 10};

    struct_write(request, size, &defaults, sizeof defaults);
}

static int32_t check_logits(const inf_logits_request *r, inf_error *err)
{
    if (!r->token_ids || !r->n_token_ids)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "token_ids: give at least one");
    if (r->top < 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "top: %d is negative", r->top);
    if (r->n_probe && !r->probe)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "probe is NULL and n_probe is not 0");
    if (r->reserved)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "reserved is not 0");
    return INF_OK;
}

int32_t inf_logits_start(inf_op **out, inf_provider *provider, const inf_logits_request *request,
                         const inf_callbacks *callbacks, inf_error *err)
{
    inf_logits_request read;
    const struct adapter_names names = {&read.adapter_id, &read.adapter_scale, &read.adapters,
                                        &read.n_adapters};
    inf_request_adapter single;
    int32_t code = check_start(out, provider, err);

    if (code == INF_OK && !request)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "request is NULL");
    if (code != INF_OK)
        return code;
    inf_logits_request_default(&read, sizeof read);
    code = struct_read(&read, sizeof read, request, "inf_logits_request", err);
    if (code == INF_OK)
        code = check_logits(&read, err);
    if (code == INF_OK)
        code = adapter_names_settle(&names, &single, provider->ops, err);
    code = begin(out, code, provider, SLOT(provider, logits), "logits", OP_LOGITS, callbacks, NULL,
                 err);
    if (code == INF_OK)
        code = provider->ops->logits(provider->impl, *out, &read, err);
    return started(out, code, err);
}

/* ------------------------------------------------------------------ inspect */

struct inspection {
    struct job job;
    inf_op *op;
    char *path, *base;
};

static void inspection_free(struct inspection *i)
{
    if (!i)
        return;
    mem_free(i->path);
    mem_free(i->base);
    mem_free(i);
}

static void run_inspection(struct job *job)
{
    struct inspection *i = (struct inspection *)(void *)job;
    inf_op *op = i->op;
    inf_error err = {0};

    if (op_stop_error(op, &err) == INF_OK)
        inspect_path(&op_output(op)->text, i->path, i->base, &err);
    inspection_free(i);
    op_finish(op, &err);
}

int32_t inf_inspect_start(inf_op **out, inf_context *ctx, const char *path, const char *base,
                          const inf_callbacks *callbacks, inf_error *err)
{
    struct inspection *i = NULL;
    int32_t code = INF_OK;

    if (!out || !ctx)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or ctx is missing");
    *out = NULL;
    if (!path || !*path || (base && !*base))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "the path of the %s is empty",
                         path && *path ? "base" : "model or adapter");
    code = context_check(ctx, false, err);
    if (code == INF_OK)
        code = check_path(path, "the path", err);
    if (code == INF_OK && base)
        code = check_path(base, "the base's path", err);
    if (code != INF_OK)
        return code;
    i = mem_calloc(1, sizeof *i);
    if (i) {
        i->path = mem_strdup(path);
        i->base = mem_strdup(base);
    }
    if (!i || !i->path || (base && !i->base))
        code = error_no_memory(err);
    if (code == INF_OK)
        code = op_create(out, ctx, NULL, OP_INSPECT, callbacks, NULL, err);
    if (code != INF_OK) {
        inspection_free(i);
        return code;
    }
    i->op = *out;
    i->job.run = run_inspection;
    context_submit(ctx, &i->job);
    return error_none(err);
}
