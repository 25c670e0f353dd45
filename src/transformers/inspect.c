/*
 * inspect: what a checkpoint is, as a JSON object, from its headers and its config alone; what a PEFT adapter is,
 * its weights looked through; and whether an adapter fits a checkpoint. What the provider would refuse is refused
 * here too, in the same words. Runs on a preparation thread.
 */
#include "arch/adapter.h"
#include "arch/checkpoint.h"
#include "core/file.h"
#include "core/json_dump.h"
#include "core/memory.h"
#include "hf/files/generation_config.h"
#include "hf/files/peft.h"
#include "hf/files/template_files.h"
#include "transformers/config.h"
#include "transformers/transformers.h"

/* ------------------------------------------------------------------ a model */

/* What is computed from the config (rope's factors) is none. */
static int64_t count_parameters(const struct checkpoint *c)
{
    const struct blueprint *b = &c->blueprint;
    int64_t n = 0;

    for (size_t i = 0; i < b->n_tensors; i++) {
        const int64_t *ne = b->tensors[i].ne;

        n += b->tensors[i].values ? 0 : ne[0] * ne[1] * ne[2] * ne[3];
    }
    return n;
}

/* Bytes that are copied when it loads as it is, not pointed to. */
static int64_t count_copied(const struct checkpoint *c)
{
    int64_t n = 0;

    for (size_t i = 0; i < c->blueprint.n_tensors; i++)
        if (!c->blueprint.tensors[i].data)
            n += (int64_t)gguf_file_tensor(c->header_file, i)->size;
    return n;
}

static json_t *eos_of(const struct generation_config *g)
{
    json_t *list = json_array();

    for (int32_t i = 0; i < g->n_eos && list; i++)
        json_array_append_new(list, json_integer((json_int_t)g->eos[i]));
    return list;
}

/* The window is null where nothing limits it. */
static void add_window(json_t *object, const struct blueprint *b)
{
    bool limited = b->exact_window < INT32_MAX;

    json_object_set_new(object, "max_window",
                        limited ? json_integer(b->exact_window) : json_null());
    if (limited)
        json_object_set_new(object, "max_window_reason", json_string(b->window_reason));
}

static json_t *describe(const struct checkpoint *c, const struct generation_config *g,
                        bool has_template)
{
    const struct gguf_model *m = &c->model;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, "
        "s:b, "
        "s:o, s:b}",
        "kind", "model", "format", "transformers", "architecture", m->architecture, "model_type",
        c->config.model_type, "dtype", weight_type_name(c->own_type), "size",
        (json_int_t)weight_files_bytes(c->files), "n_parameters", (json_int_t)count_parameters(c),
        "copied_bytes", (json_int_t)count_copied(c), "n_layer", m->n_layer, "n_embd", m->n_embd,
        "n_head", m->n_head, "n_head_kv", m->n_head_kv, "head_dim", m->head_dim, "n_ff", m->n_ff,
        "n_vocab", m->n_vocab, "n_ctx_train", m->n_ctx_train, "tied_embeddings", (int)m->tied,
        "chat_template", (int)has_template, "eos_token_ids", eos_of(g), "do_sample",
        (int)g->do_sample);

    if (object)
        add_window(object, &c->blueprint);
    return object;
}

static int32_t inspect_checkpoint(struct buffer *out, const char *dir, inf_error *err)
{
    struct generation_config generation;
    struct checkpoint *c = NULL;
    struct buffer template, for_tools;
    int32_t code = checkpoint_open(&c, dir, WEIGHT_TYPE_AUTO, err);

    buffer_init(&template, BUFFER_NO_LIMIT);
    buffer_init(&for_tools, BUFFER_NO_LIMIT);
    if (code == INF_OK)
        code = generation_config_open(&generation, dir, &c->config, err);
    if (code == INF_OK)
        code = chat_templates_read(&template, &for_tools, dir, err);
    if (code == INF_OK)
        code = json_dump(out, describe(c, &generation, template.len + for_tools.len > 0), err);
    buffer_free(&template);
    buffer_free(&for_tools);
    checkpoint_close(c);
    return code;
}

/* ------------------------------------------------------------------ an adapter */

static int32_t inspect_adapter(struct buffer *out, const char *dir, inf_error *err)
{
    struct peft_adapter *adapter = NULL;
    int32_t code = peft_check(dir, err);

    if (code == INF_OK)
        code = peft_open(&adapter, dir, err);
    if (code == INF_OK)
        code = peft_describe(out, adapter, err);
    peft_close(adapter);
    return code;
}

int32_t transformers_check_fit(const char *base, const char *adapter, inf_error *misfit,
                               inf_error *err)
{
    struct checkpoint *c = NULL;
    char *dir = NULL;
    int32_t code = checkpoint_directory(&dir, base, err);

    if (code == INF_OK)
        code = checkpoint_open(&c, dir, WEIGHT_TYPE_AUTO, err);
    if (code == INF_OK)
        code = adapter_check_fit(&c->model, adapter, misfit, err);
    checkpoint_close(c);
    mem_free(dir);
    return code;
}

/* ------------------------------------------------------------------ a directory */

int32_t transformers_inspect(struct buffer *out, const char **adapter, const char *path,
                             inf_error *err)
{
    char *cached = transformers_cached(path);
    const char *dir = cached ? cached : path;
    int32_t code = INF_OK;

    if (path_exists(dir, "config.json") && !path_exists(dir, "adapter_config.json")) {
        code = inspect_checkpoint(out, dir, err);
    } else {
        *adapter = "peft";
        code = inspect_adapter(out, dir, err);
    }
    mem_free(cached);
    return code;
}
