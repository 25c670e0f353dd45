/*
 * peft: see the header. Owns the configuration, the open weights and the module table; refuses to
 * know base models and what architectures call their modules.
 */
#include "hf/files/peft.h"

#include "core/file.h"
#include "core/memory.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WEIGHTS_NAME "adapter_model.safetensors"
#define CONFIG_NAME "adapter_config.json"

/* ---------------------------------------------------------------- tensor names */

enum part { PART_A, PART_B, PART_BASE };

/* A tensor of the file, its name taken apart. */
struct piece {
    const char *module; /* start of the module's name within the tensor's */
    size_t module_len;
    int32_t part; /* enum part */
    const struct safetensors_tensor *tensor;
};

static bool ends_with(const char *s, size_t len, const char *suffix, size_t *rest)
{
    size_t n = strlen(suffix);

    if (len < n || memcmp(s + len - n, suffix, n) != 0)
        return false;
    *rest = len - n;
    return true;
}

/* "<module>.lora_A.weight" or "<module>.lora_A.<adapter>.weight"; the module's length. */
static bool is_lora(const char *name, size_t len, const char *mark, size_t *module_len)
{
    size_t stem = 0, before = 0;

    if (!ends_with(name, len, ".weight", &stem))
        return false;
    if (ends_with(name, stem, mark, module_len))
        return *module_len > 0;
    for (before = stem; before > 0 && name[before - 1] != '.'; before--) {
    }
    return before > 1 && before < stem && ends_with(name, before - 1, mark, module_len) &&
           *module_len > 0;
}

/* Why a tensor that is no LoRA pair is refused. */
static int32_t refuse_tensor(const char *name, inf_error *err)
{
    static const struct {
        const char *mark, *what;
    } known[] = {
        {"lora_embedding_", "LoRA on an embedding"},
        {"lora_magnitude_vector", "DoRA"},
        {"lora_B.bias", "a bias on lora_B (lora_bias)"},
        {"lora_diag", "KaSA"},
        {"modules_to_save", "a module trained in full (modules_to_save)"},
        {"trainable_tokens", "trained token embeddings (trainable_token_indices)"},
        {"embed_tokens", "trained or resized embeddings"},
        {"lm_head", "a trained or resized output layer"},
        {".bias", "a trained bias"},
    };
    const char *what = "no LoRA matrix";

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(name, known[i].mark)) {
            what = known[i].what;
            break;
        }
    }
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     WEIGHTS_NAME ": tensor \"%.160s\" is %s, which is not supported; only lora_A "
                                  "and lora_B of linear layers are",
                     name, what);
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int32_t take_apart(struct piece *out, const struct safetensors_tensor *t, inf_error *err)
{
    static const char prefix[] = "base_model.model.";
    const char *name = t->name;
    size_t len = 0;
    size_t module_len = 0;

    if (has_control(name))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": the tensor name \"%.160s\" holds control characters",
                         name);
    if (strncmp(name, prefix, sizeof prefix - 1) == 0)
        name += sizeof prefix - 1;
    len = strlen(name);
    *out = (struct piece){.module = name, .tensor = t};
    if (is_lora(name, len, ".lora_A", &module_len))
        out->part = PART_A;
    else if (is_lora(name, len, ".lora_B", &module_len))
        out->part = PART_B;
    else if (ends_with(name, len, ".base_layer.weight", &module_len) && module_len > 0)
        out->part = PART_BASE;
    else
        return refuse_tensor(t->name, err);
    out->module_len = module_len;
    return INF_OK;
}

static int compare_modules(const struct piece *x, const struct piece *y)
{
    size_t n = x->module_len < y->module_len ? x->module_len : y->module_len;
    int order = memcmp(x->module, y->module, n);

    return order != 0 ? order : (x->module_len > y->module_len) - (x->module_len < y->module_len);
}

static int by_module(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int order = compare_modules(x, y);

    return order != 0 ? order : (x->part > y->part) - (x->part < y->part);
}

/* ---------------------------------------------------------------- pairing */

/* Puts one piece into its module. */
static int32_t join_piece(struct peft_module *m, const struct piece *piece, inf_error *err)
{
    const struct safetensors_tensor **slot = piece->part == PART_A   ? &m->a
                                             : piece->part == PART_B ? &m->b
                                                                     : &m->base;

    if (*slot)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": \"%.160s\" and \"%.160s\" are for the same module; save "
                                      "one adapter only",
                         (*slot)->name, piece->tensor->name);
    *slot = piece->tensor;
    return INF_OK;
}

/* `pieces` sorted by module: fills modules and their names. */
static int32_t join_pieces(struct peft_adapter *p, const struct piece *pieces, size_t n,
                           inf_error *err)
{
    char *name = p->names;
    int32_t code = INF_OK;

    for (size_t i = 0; i < n && code == INF_OK; i++) {
        if (i == 0 || compare_modules(&pieces[i - 1], &pieces[i]) != 0) {
            p->modules[p->n_modules++] = (struct peft_module){.name = name};
            memcpy(name, pieces[i].module, pieces[i].module_len);
            name += pieces[i].module_len;
            *name++ = '\0';
        }
        code = join_piece(&p->modules[p->n_modules - 1], &pieces[i], err);
    }
    return code;
}

/* Every tensor taken apart; *bytes is what the module names need. */
static int32_t list_pieces(struct piece *pieces, const struct safetensors *weights, size_t *bytes,
                           inf_error *err)
{
    size_t n = safetensors_count(weights);

    for (size_t i = 0; i < n; i++) {
        int32_t code = take_apart(&pieces[i], safetensors_at(weights, i), err);

        if (code != INF_OK)
            return code;
        *bytes += pieces[i].module_len + 1;
    }
    if (n > 1)
        qsort(pieces, n, sizeof *pieces, by_module);
    return INF_OK;
}

static int32_t pair_tensors(struct peft_adapter *p, inf_error *err)
{
    size_t n = safetensors_count(p->weights), bytes = 0;
    struct piece *pieces = mem_calloc(n, sizeof *pieces);
    int32_t code = pieces ? list_pieces(pieces, p->weights, &bytes, err) : error_no_memory(err);

    if (code == INF_OK && n == 0)
        code = error_set(err, INF_ERROR_BAD_FORMAT, WEIGHTS_NAME " holds no tensors");
    if (code == INF_OK) {
        p->modules = mem_calloc(n, sizeof *p->modules);
        p->names = mem_alloc(bytes);
        code = p->modules && p->names ? join_pieces(p, pieces, n, err) : error_no_memory(err);
    }
    mem_free(pieces);
    return code;
}

/* ---------------------------------------------------------------- checks */

static int32_t check_tensor(const struct safetensors_tensor *t, inf_error *err)
{
    if (t->dtype != SAFETENSORS_F32 && t->dtype != SAFETENSORS_F16 && t->dtype != SAFETENSORS_BF16)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         WEIGHTS_NAME ": tensor \"%.160s\" is %s, which is not supported; save the "
                                      "adapter as F32, F16 or BF16",
                         t->name, t->dtype_name);
    if (t->n_dims != 2)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         WEIGHTS_NAME ": tensor \"%.160s\" has %d dimensions, not 2; only linear "
                                      "layers are supported",
                         t->name, t->n_dims);
    for (int i = 0; i < 2; i++)
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
    const struct safetensors_tensor *any = m->a ? m->a : m->b ? m->b : m->base;
    int32_t code = INF_OK;

    if (!m->a && !m->b)
        return refuse_tensor(any->name, err);
    if (!m->a || !m->b)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": tensor \"%.160s\" has no lora_%c beside it; save the "
                                      "adapter again",
                         any->name, m->a ? 'B' : 'A');
    code = check_tensor(m->a, err);
    if (code == INF_OK)
        code = check_tensor(m->b, err);
    return code == INF_OK && m->base ? check_tensor(m->base, err) : code;
}

static int32_t check_rank(const struct peft_module *m, inf_error *err)
{
    const struct safetensors_tensor *wrong = m->a->shape[0] != m->rank   ? m->a
                                             : m->b->shape[1] != m->rank ? m->b
                                                                         : NULL;

    if (wrong)
        return error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME ": tensor \"%.160s\" has shape [%lld, %lld], but r and "
                                      "rank_pattern of " CONFIG_NAME " make its rank %d",
                         wrong->name, (long long)wrong->shape[0], (long long)wrong->shape[1],
                         m->rank);
    return INF_OK;
}

static bool is_output(const char *module)
{
    size_t rest = 0;

    return ends_with(module, strlen(module), "lm_head", &rest) &&
           (rest == 0 || module[rest - 1] == '.');
}

/* One module against the configuration. */
static int32_t check_module(struct peft_adapter *p, struct peft_module *m, inf_error *err)
{
    bool selected = false;
    int32_t code = check_pair(m, err);

    if (code == INF_OK)
        code = peft_config_module(p->config, m->name, &m->rank, &m->scale, err);
    if (code == INF_OK)
        code = check_rank(m, err);
    if (code == INF_OK)
        code = peft_config_selects(p->config, m->name, is_output(m->name), &selected, err);
    if (code == INF_OK && !selected)
        code = error_set(err, INF_ERROR_MISMATCH,
                         WEIGHTS_NAME
                         ": tensor \"%.160s\" is for a module that target_modules of " CONFIG_NAME
                         " does not select; the two files do not belong "
                         "together",
                         m->a->name);
    return code;
}

static int32_t check_adapter(struct peft_adapter *p, inf_error *err)
{
    int32_t code = pair_tensors(p, err);

    for (size_t i = 0; i < p->n_modules && code == INF_OK; i++)
        code = check_module(p, &p->modules[i], err);
    return code;
}

/* ---------------------------------------------------------------- opening */

static bool file_exists(const char *dir, const char *name)
{
    struct stat info;
    char *path = path_join(dir, name);
    bool exists = path && stat(path, &info) == 0;

    mem_free(path);
    return exists;
}

static int32_t open_config(struct peft_adapter *p, const char *dir, inf_error *err)
{
    char *text = NULL, *path = path_join(dir, CONFIG_NAME);
    size_t len = 0;
    int32_t code = path ? file_read(&text, &len, path, PEFT_CONFIG_MAX_BYTES, err)
                        : error_no_memory(err);

    if (code == INF_OK)
        code = peft_config_parse(&p->config, text, len, err);
    else if (code == INF_ERROR_IO && !file_exists(dir, CONFIG_NAME))
        code = error_set_detail(err, INF_ERROR_IO, ENOENT,
                                "no " CONFIG_NAME " in %s: not a PEFT adapter's directory", dir);
    mem_free(text);
    mem_free(path);
    return code;
}

static int32_t open_weights(struct peft_adapter *p, const char *dir, inf_error *err)
{
    char *path = path_join(dir, WEIGHTS_NAME);
    int32_t code = INF_OK;

    if (!path)
        code = error_no_memory(err);
    else if (file_exists(dir, WEIGHTS_NAME))
        code = safetensors_open(&p->weights, path, err);
    else if (file_exists(dir, "adapter_model.bin"))
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
    for (size_t i = 0; code == INF_OK && i < p->n_modules; i++) {
        code = check_finite(p, p->modules[i].a, scratch, err);
        if (code == INF_OK)
            code = check_finite(p, p->modules[i].b, scratch, err);
    }
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
    for (size_t i = 0; list && i < p->n_modules; i++) {
        if (i > 0 && strcmp(parts[i - 1], parts[i]) == 0)
            continue;
        if (json_array_append_new(list, json_string(parts[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    mem_free(parts);
    return list;
}

static const char *torch_name(const char *name)
{
    return strcmp(name, "F32") == 0 ? "float32" : strcmp(name, "F16") == 0 ? "float16" : "bfloat16";
}

static const char *dtype_of(const struct peft_adapter *p)
{
    const char *name = p->modules[0].a->dtype_name;

    for (size_t i = 0; i < p->n_modules; i++)
        if (strcmp(p->modules[i].a->dtype_name, name) != 0 ||
            strcmp(p->modules[i].b->dtype_name, name) != 0)
            return "mixed";
    return torch_name(name);
}

static int32_t largest_rank(const struct peft_adapter *p)
{
    int32_t rank = 0;

    for (size_t i = 0; i < p->n_modules; i++)
        rank = p->modules[i].rank > rank ? p->modules[i].rank : rank;
    return rank;
}

int32_t peft_describe(struct buffer *out, const struct peft_adapter *p, inf_error *err)
{
    bool rslora = peft_config_rslora(p->config);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:b, s:s, s:o*, s:I, s:I, s:I, s:s?}", "kind", "adapter",
        "format", "peft", "peft_type", "LORA", "rank", largest_rank(p), "alpha",
        peft_config_alpha(p->config), "scale", (double)p->modules[0].scale, "use_rslora",
        (int)rslora, "dtype", dtype_of(p), "targets", list_targets(p), "n_modules",
        (json_int_t)p->n_modules, "n_tensors", (json_int_t)safetensors_count(p->weights), "size",
        (json_int_t)safetensors_file_size(p->weights), "base_model", peft_config_base(p->config));
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    bool fits = text && json_object_get(object, "targets") && buffer_append_str(out, text);

    free(text); /* jansson's allocation */
    json_decref(object);
    return fits ? INF_OK : error_no_memory(err);
}
