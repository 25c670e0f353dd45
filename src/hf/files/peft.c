/*
 * peft: see the header. Owns the configuration, the open weights and the module table; refuses to
 * know base models and what architectures call their modules.
 */
#include "hf/files/peft_parts.h"

#include "core/file.h"
#include "core/memory.h"
#include "hf/files/shard_index.h"

#include <errno.h>
#include <string.h>

#define CONFIG_NAME "adapter_config.json"

/* ---------------------------------------------------------------- checks */

/* A tensor of so many dimensions, none of them empty; NULL is fine. */
static int32_t check_tensor(const struct safetensors_tensor *t, int32_t n_dims, inf_error *err)
{
    if (!t)
        return INF_OK;
    if (t->dtype != SAFETENSORS_F32 && t->dtype != SAFETENSORS_F16 && t->dtype != SAFETENSORS_BF16)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         WEIGHTS_NAME ": tensor \"%.160s\" is %s, which is not supported; save the "
                                      "adapter as F32, F16 or BF16",
                         t->name, t->dtype_name);
    if (t->n_dims != n_dims)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         WEIGHTS_NAME ": tensor \"%.160s\" has %d dimensions, not %d; only linear "
                                      "layers are supported",
                         t->name, t->n_dims, n_dims);
    for (int i = 0; i < n_dims; i++)
        if (t->shape[i] < 1 || t->shape[i] > INT32_MAX / 2)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             WEIGHTS_NAME
                             ": tensor \"%.160s\" has shape [%lld, %lld], as no linear "
                             "layer has; was it saved from a sharded model?",
                             t->name, (long long)t->shape[0], (long long)t->shape[1]);
    return INF_OK;
}

static int32_t check_pair(const struct peft_module *m, inf_error *err)
{
    int32_t code = INF_OK;

    if (!m->a || !m->b)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": tensor \"%.160s\" has no lora_%c beside it; save the "
                                      "adapter again",
                         peft_any_tensor(m)->name, m->a ? 'B' : 'A');
    code = check_tensor(m->a, 2, err);
    if (code == INF_OK)
        code = check_tensor(m->b, 2, err);
    if (code == INF_OK)
        code = check_tensor(m->bias, 1, err);
    if (code == INF_OK)
        code = check_tensor(m->magnitude, 1, err);
    return code == INF_OK ? check_tensor(m->base, 2, err) : code;
}

static int32_t check_rank(const struct peft_module *m, inf_error *err)
{
    int64_t n = m->kind == PEFT_EXPERTS ? m->a->shape[0] / m->rank : 1;
    const struct safetensors_tensor *wrong = m->a->shape[0] != m->rank * n   ? m->a
                                             : m->b->shape[1] != m->rank * n ? m->b
                                                                             : NULL;

    if (wrong)
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME ": tensor \"%.160s\" has shape [%lld, %lld], but r and "
                                      "rank_pattern of " CONFIG_NAME " make its rank %d",
                         wrong->name, (long long)wrong->shape[0], (long long)wrong->shape[1],
                         m->rank);
    return INF_OK;
}

/* A vector of B's rows that the config promises, or does not. */
static int32_t check_vector(const struct safetensors_tensor *v, const struct peft_module *m,
                            bool promised, const char *key, const char *what, inf_error *err)
{
    if (promised && !v)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         CONFIG_NAME ": \"%s\" is true, but " WEIGHTS_NAME " has no %s for %.160s",
                         key, what, m->name);
    if (v && !promised)
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME ": tensor \"%.160s\" is there, but \"%s\" of " CONFIG_NAME
                                      " is not true",
                         v->name, key);
    if (v && v->shape[0] != m->b->shape[0])
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME ": tensor \"%.160s\" has %lld numbers, and %s has %lld rows",
                         v->name, (long long)v->shape[0], m->b->name, (long long)m->b->shape[0]);
    return INF_OK;
}

static int32_t check_vectors(const struct peft_adapter *p, const struct peft_module *m,
                             inf_error *err)
{
    bool parameter = m->kind == PEFT_EXPERTS;
    int32_t code = check_vector(m->magnitude, m, peft_config_says(p->config)->dora && !parameter,
                                "use_dora", "lora_magnitude_vector (DoRA)", err);

    if (code != INF_OK)
        return code;
    return check_vector(m->bias, m,
                        peft_config_says(p->config)->lora_bias && m->kind == PEFT_LINEAR,
                        "lora_bias", "bias of lora_B", err);
}

static bool is_output(const char *module)
{
    return is_last_part(module, strlen(module), "lm_head");
}

/* ---------------------------------------------------------------- parameters */

/* "<module>.<parameter>", from mem_*; NULL: out of memory. */
static char *parameter_name(const char *module, const char *parameter)
{
    char *name = mem_alloc(strlen(module) + strlen(parameter) + 2);

    if (name)
        strcat(strcat(strcpy(name, module), "."), parameter);
    return name;
}

/* Whether target_parameters selects it. */
static int32_t selects_parameter(struct peft_adapter *p, const char *module, const char *parameter,
                                 bool *out, inf_error *err)
{
    char *name = parameter_name(module, parameter);
    int32_t code = name ? peft_config_selects_parameter(p->config, name, out, err)
                        : error_no_memory(err);

    mem_free(name);
    return code;
}

/* Which parameter a module's LoRA is for: the inner one of two is the first that the module has. NULL:
 * none. */
static int32_t find_parameter(struct peft_adapter *p, const char *module, bool inner,
                              const char **out, inf_error *err)
{
    bool weight = false, first = false, second = false;
    bool stack = is_last_part(module, strlen(module), "experts");
    int32_t code = stack ? selects_parameter(p, module, "gate_up_proj", &first, err) : INF_OK;

    if (code == INF_OK && stack)
        code = selects_parameter(p, module, "down_proj", &second, err);
    if (code == INF_OK)
        code = selects_parameter(p, module, "weight", &weight, err);
    *out = inner    ? (first && second ? "gate_up_proj" : NULL)
           : second ? "down_proj"
           : first  ? "gate_up_proj"
           : weight ? "weight"
                    : NULL;
    return code;
}

/* Rank and scale under the parameter's own name, as peft looks for them. */
static int32_t configure_parameter(struct peft_adapter *p, struct peft_module *m, inf_error *err)
{
    char *name = parameter_name(m->name, m->parameter);
    int32_t code = name ? peft_config_module(p->config, name, &m->rank, &m->scale, err)
                        : error_no_memory(err);

    mem_free(name);
    return code;
}

/* Where target_parameters may have made it: *found when it has. */
static int32_t check_parameter(struct peft_adapter *p, struct peft_module *m, bool *found,
                               inf_error *err)
{
    size_t len = strlen(m->name), rest = len;
    bool inner = peft_ends_with(m->name, len, ".base_layer", &rest);
    char *module = NULL;
    int32_t code = INF_OK;

    *found = false;
    if (!peft_config_says(p->config)->has_parameters)
        return INF_OK;
    module = mem_strndup(m->name, rest);
    code = module ? find_parameter(p, module, inner, &m->parameter, err) : error_no_memory(err);
    mem_free(module);
    if (code != INF_OK || !m->parameter)
        return code;
    ((char *)(uintptr_t)m->name)[rest] = '\0'; /* in p->names */
    code = configure_parameter(p, m, err);
    m->kind = strcmp(m->parameter, "weight") == 0 ? PEFT_LINEAR : PEFT_EXPERTS;
    *found = code == INF_OK;
    return code;
}

/* ---------------------------------------------------------------- one module */

static size_t count_kind(const struct peft_adapter *p, int32_t kind)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_modules; i++)
        n += p->modules[i].kind == kind;
    return n;
}

/* What target_modules selects; a head that is kept tied to embeddings with LoRA has theirs. */
static int32_t check_selected(struct peft_adapter *p, const struct peft_module *m, bool *selected,
                              inf_error *err)
{
    bool output = is_output(m->name);
    int32_t code = peft_config_selects(p->config, m->name, output, selected, err);

    if (code == INF_OK && !*selected && output && peft_config_says(p->config)->ties)
        *selected = count_kind(p, PEFT_EMBEDDING) > 0;
    return code;
}

/* One module with LoRA against the configuration. */
static int32_t check_lora(struct peft_adapter *p, struct peft_module *m, inf_error *err)
{
    bool selected = false;
    int32_t code = check_pair(m, err);

    if (code == INF_OK && m->kind == PEFT_LINEAR)
        code = check_parameter(p, m, &selected, err);
    if (code == INF_OK && !selected) {
        code = peft_config_module(p->config, m->name, &m->rank, &m->scale, err);
        if (code == INF_OK)
            code = check_selected(p, m, &selected, err);
    }
    if (code == INF_OK)
        code = check_rank(m, err);
    if (code == INF_OK && !selected)
        code = error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME
                         ": tensor \"%.160s\" is for a module that target_modules of " CONFIG_NAME
                         " does not select; the two files do not belong "
                         "together",
                         m->a->name);
    return code == INF_OK ? check_vectors(p, m, err) : code;
}

static int32_t check_rows(const struct peft_adapter *p, struct peft_module *m, inf_error *err)
{
    size_t n = 0;
    int32_t code = check_tensor(m->rows, 2, err);

    if (code != INF_OK)
        return code;
    m->token_ids = peft_config_tokens(p->config, m->name, !is_output(m->name), &n);
    if (!m->token_ids)
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME
                         ": tensor \"%.160s\" is there, but trainable_token_indices of " CONFIG_NAME
                         " names no tokens for it",
                         m->rows->name);
    if ((int64_t)n != m->rows->shape[0])
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME
                         ": tensor \"%.160s\" has %lld rows, and trainable_token_indices "
                         "of " CONFIG_NAME " names %zu tokens",
                         m->rows->name, (long long)m->rows->shape[0], n);
    return INF_OK;
}

static int32_t check_module(struct peft_adapter *p, struct peft_module *m, inf_error *err)
{
    int32_t code = INF_OK;

    if (m->kind < 0 && m->whole_bias)
        m->kind = PEFT_SAVED;
    if (m->kind < 0 || (m->kind >= PEFT_SAVED && (m->base || m->bias || m->magnitude)))
        return peft_refuse_tensor((m->base   ? m->base
                                   : m->bias ? m->bias
                                             : m->magnitude)
                                      ->name,
                                  err);
    if (m->whole_bias && m->kind != PEFT_SAVED && m->kind != PEFT_LINEAR)
        return peft_refuse_tensor(m->whole_bias->name, err);
    code = check_tensor(m->whole_bias, 1, err);
    if (code != INF_OK)
        return code;
    if (m->kind == PEFT_TOKENS)
        return check_rows(p, m, err);
    if (m->kind != PEFT_SAVED)
        return check_lora(p, m, err);
    return check_tensor(m->whole, m->whole && m->whole->n_dims == 1 ? 1 : 2, err);
}

/* What the config says is in the file must be. Of modules_to_save only who knows the base can tell: peft
 * passes over those that it has not. */
static int32_t check_lists(const struct peft_adapter *p, inf_error *err)
{
    bool parameters = false;
    const char *key = NULL;

    for (size_t i = 0; i < p->n_modules; i++)
        parameters = parameters || p->modules[i].parameter;
    key = peft_config_says(p->config)->has_tokens && !count_kind(p, PEFT_TOKENS)
              ? "trainable_token_indices"
          : peft_config_says(p->config)->has_parameters && !parameters ? "target_parameters"
                                                                       : NULL;
    if (!key)
        return INF_OK;
    return error_set(err, INF_ERROR_MISMATCH,
                     CONFIG_NAME ": \"%s\" is set, but " WEIGHTS_NAME
                                 " has nothing for it; the two "
                                 "files do not belong together",
                     key);
}

static int32_t check_adapter(struct peft_adapter *p, inf_error *err)
{
    int32_t code = peft_pair_tensors(p, err);

    for (size_t i = 0; i < p->n_modules && code == INF_OK; i++)
        code = check_module(p, &p->modules[i], err);
    p->scale = 1;
    for (size_t i = p->n_modules; i > 0 && code == INF_OK; i--)
        p->scale = p->modules[i - 1].a ? p->modules[i - 1].scale : p->scale;
    return code == INF_OK ? check_lists(p, err) : code;
}

bool peft_is_plain(const struct peft_adapter *p)
{
    for (size_t i = 0; i < p->n_modules; i++)
        if (p->modules[i].kind != PEFT_LINEAR || p->modules[i].bias || p->modules[i].magnitude ||
            p->modules[i].whole_bias || p->modules[i].parameter)
            return false;
    return true;
}

/* ---------------------------------------------------------------- opening */

static int32_t open_config(struct peft_adapter *p, const char *dir, inf_error *err)
{
    char *text = NULL;
    size_t len = 0;
    int32_t code = file_read_in(&text, &len, dir, CONFIG_NAME, PEFT_CONFIG_MAX_BYTES, err);

    if (code == INF_OK)
        code = peft_config_parse(&p->config, text, len, err);
    else if (code == INF_ERROR_IO && !path_exists(dir, CONFIG_NAME))
        code = error_set_detail(err, INF_ERROR_IO, ENOENT,
                                "no " CONFIG_NAME " in %s: not a PEFT adapter's directory", dir);
    mem_free(text);
    return code;
}

static bool has_tensor(const void *weights, const char *name)
{
    return safetensors_find(weights, name) != NULL;
}

/* The files of an index, each of which is opened and none of which is read. */
static int32_t open_parts(struct safetensors **out, const struct shard_index *index, inf_error *err)
{
    struct safetensors **parts = mem_calloc(index->paths.n, sizeof *parts);
    size_t n = 0;
    int32_t code = parts ? INF_OK : error_no_memory(err);

    for (; n < index->paths.n && code == INF_OK; n += code == INF_OK)
        code = safetensors_open(&parts[n], index->paths.items[n], err);
    if (code == INF_OK)
        code = safetensors_join(out, parts, n, err);
    else
        while (n > 0)
            safetensors_close(parts[--n]);
    mem_free(parts);
    return code;
}

/* What lists the files of an adapter in several; NULL: nothing there. The second is what transformers'
 * save_pretrained writes. */
static const char *index_in(const char *dir)
{
    static const char *const names[] = {WEIGHTS_NAME ".index.json", "model.safetensors.index.json"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (path_exists(dir, names[i]))
            return names[i];
    return NULL;
}

static int32_t open_shards(struct peft_adapter *p, const char *dir, inf_error *err)
{
    struct shard_index index;
    int32_t code = shard_index_open(&index, dir, index_in(dir), err);

    if (code == INF_OK)
        code = open_parts(&p->weights, &index, err);
    if (code == INF_OK)
        code = shard_index_check(&index, has_tensor, p->weights, err);
    shard_index_free(&index);
    return code;
}

static int32_t open_weights(struct peft_adapter *p, const char *dir, inf_error *err)
{
    char *path = path_join(dir, WEIGHTS_NAME);
    int32_t code = INF_OK;

    if (!path)
        code = error_no_memory(err);
    else if (path_exists(dir, WEIGHTS_NAME))
        code = safetensors_open(&p->weights, path, err);
    else if (index_in(dir))
        code = open_shards(p, dir, err);
    else if (path_exists(dir, "adapter_model.bin"))
        code = error_set(err, INF_ERROR_UNSUPPORTED,
                         "%s has only adapter_model.bin; save the adapter with "
                         "safe_serialization=True",
                         dir);
    else
        code = error_set_detail(err, INF_ERROR_IO, ENOENT, "no " WEIGHTS_NAME " in %s", dir);
    mem_free(path);
    return code;
}

/* *out: the adapter, when what opened its files went well and they belong together. */
static int32_t finish(struct peft_adapter **out, struct peft_adapter *p, int32_t code,
                      inf_error *err)
{
    if (code == INF_OK)
        code = check_adapter(p, err);
    if (code == INF_OK)
        *out = p;
    else
        peft_close(p);
    return code;
}

int32_t peft_open(struct peft_adapter **out, const char *dir, inf_error *err)
{
    struct peft_adapter *p = mem_calloc(1, sizeof *p);
    int32_t code = p ? open_config(p, dir, err) : error_no_memory(err);

    if (code == INF_OK)
        code = open_weights(p, dir, err);
    return finish(out, p, code, err);
}

int32_t peft_from_memory(struct peft_adapter **out, const char *config, size_t config_len,
                         const void *weights, size_t weights_len, inf_error *err)
{
    struct peft_adapter *p = mem_calloc(1, sizeof *p);
    int32_t code = p ? peft_config_parse(&p->config, config, config_len, err)
                     : error_no_memory(err);

    if (code == INF_OK)
        code = safetensors_from_memory(&p->weights, weights, weights_len, err);
    return finish(out, p, code, err);
}

void peft_close(struct peft_adapter *p)
{
    if (!p)
        return;
    peft_config_free(p->config);
    safetensors_close(p->weights);
    mem_free(p->modules);
    mem_free(p->names);
    mem_free(p);
}
