/* peft_inspect: what an adapter is like: whether each of its numbers is finite, and a description. */
#include "hf/files/peft_parts.h"

#include "core/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- values */

static int32_t check_finite(const struct peft_adapter *p, const struct safetensors_tensor *t,
                            void *scratch, inf_error *err)
{
    float largest = 0;
    size_t at = 0;
    const void *data = NULL;
    int32_t code = safetensors_data(&data, p->weights, t, scratch, err);

    if (code != INF_OK ||
        numbers_largest(&largest, data, t->dtype, t->size / number_size(t->dtype)))
        return code;
    while (isfinite(number_at(data, t->dtype, at)))
        at++;
    return error_set_detail(err, INF_ERROR_NOT_FINITE, (int64_t)at,
                            WEIGHTS_NAME ": tensor \"%.160s\" holds a NaN or an infinity (first "
                                         "at element %zu); train or save the adapter again",
                            t->name, at);
}

static size_t largest_tensor(const struct safetensors *weights)
{
    size_t largest = 0;

    for (size_t i = 0; i < safetensors_count(weights); i++) {
        size_t size = safetensors_at(weights, i)->size;

        largest = size > largest ? size : largest;
    }
    return largest;
}

int32_t peft_check(const char *dir, inf_error *err)
{
    struct peft_adapter *p = NULL;
    int32_t code = peft_open(&p, dir, err);
    void *scratch = code == INF_OK ? mem_alloc(largest_tensor(p->weights)) : NULL;

    if (code == INF_OK && !scratch)
        code = error_no_memory(err);
    for (size_t i = 0; code == INF_OK && i < safetensors_count(p->weights); i++)
        code = check_finite(p, safetensors_at(p->weights, i), scratch, err);
    mem_free(scratch);
    peft_close(p);
    return code;
}

/* ---------------------------------------------------------------- description */

static const char *last_part(const char *module)
{
    const char *dot = strrchr(module, '.');

    return dot ? dot + 1 : module;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The list with one text more; NULL when out of memory. */
static json_t *with_text(json_t *list, const char *text)
{
    if (json_array_append_new(list, json_string(text)) == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* The last parts of the module names, sorted, each once; NULL when out of memory. */
static json_t *list_targets(const struct peft_adapter *p)
{
    json_t *list = NULL;
    const char **parts = mem_calloc(p->n_modules, sizeof *parts);

    if (!parts)
        return NULL;
    for (size_t i = 0; i < p->n_modules; i++)
        parts[i] = last_part(p->modules[i].name);
    qsort(parts, p->n_modules, sizeof *parts, compare_strings);
    list = json_array();
    for (size_t i = 0; list && i < p->n_modules; i++)
        if (i == 0 || strcmp(parts[i - 1], parts[i]) != 0)
            list = with_text(list, parts[i]);
    mem_free(parts);
    return list;
}

/* Under the config's own names where it has some. */
static const char *kind_name(const struct peft_module *m)
{
    return m->parameter                 ? "target_parameters"
           : m->magnitude               ? "use_dora"
           : m->bias                    ? "lora_bias"
           : m->whole_bias && !m->whole ? "bias"
           : m->kind == PEFT_SAVED      ? "modules_to_save"
           : m->kind == PEFT_TOKENS     ? "trainable_token_indices"
           : m->kind == PEFT_EMBEDDING  ? "lora_embedding"
                                        : "lora";
}

/* What it has of those, each once; NULL when out of memory. */
static json_t *list_kinds(const struct peft_adapter *p)
{
    static const char *const all[] = {"lora",
                                      "use_dora",
                                      "lora_bias",
                                      "bias",
                                      "lora_embedding",
                                      "modules_to_save",
                                      "trainable_token_indices",
                                      "target_parameters"};
    json_t *list = json_array();

    for (size_t k = 0; list && k < sizeof all / sizeof all[0]; k++) {
        bool has = false;

        for (size_t i = 0; i < p->n_modules; i++)
            has = has || strcmp(kind_name(&p->modules[i]), all[k]) == 0;
        if (has)
            list = with_text(list, all[k]);
    }
    return list;
}

static const char *torch_name(const char *name)
{
    return strcmp(name, "F32") == 0 ? "float32" : strcmp(name, "F16") == 0 ? "float16" : "bfloat16";
}

static const char *dtype_of(const struct peft_adapter *p)
{
    const char *name = peft_any_tensor(&p->modules[0])->dtype_name;

    for (size_t i = 0; i < safetensors_count(p->weights); i++)
        if (strcmp(safetensors_at(p->weights, i)->dtype_name, name) != 0)
            return "mixed";
    return torch_name(name);
}

int32_t peft_rank(const struct peft_adapter *p)
{
    int32_t rank = 0;

    for (size_t i = 0; i < p->n_modules; i++)
        rank = p->modules[i].rank > rank ? p->modules[i].rank : rank;
    return rank;
}

int32_t peft_describe(struct buffer *out, const struct peft_adapter *p, inf_error *err)
{
    bool rslora = peft_config_says(p->config)->rslora;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:b, s:s, s:o*, s:o*, s:I, s:I, s:I, s:s?}", "kind",
        "adapter", "format", "peft", "peft_type", "LORA", "rank", peft_rank(p), "alpha",
        peft_config_says(p->config)->alpha, "scale", (double)p->scale, "use_rslora", (int)rslora,
        "dtype", dtype_of(p), "targets", list_targets(p), "kinds", list_kinds(p), "n_modules",
        (json_int_t)p->n_modules, "n_tensors", (json_int_t)safetensors_count(p->weights), "size",
        (json_int_t)safetensors_file_size(p->weights), "base_model",
        peft_config_says(p->config)->base);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    bool fits = text && json_object_get(object, "targets") && json_object_get(object, "kinds") &&
                buffer_append_str(out, text);

    free(text); /* jansson's allocation */
    json_decref(object);
    return fits ? INF_OK : error_no_memory(err);
}
