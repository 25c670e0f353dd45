/* checkpoint: see the header. */
#include "arch/checkpoint.h"

#include "arch/families.h"
#include "core/memory.h"

/* ------------------------------------------------------------------ types */

static int32_t type_of(int32_t dtype)
{
    return dtype == SAFETENSORS_F16    ? WEIGHT_TYPE_F16
           : dtype == SAFETENSORS_BF16 ? WEIGHT_TYPE_BF16
                                       : WEIGHT_TYPE_F32;
}

/* The type of the first weight by name that is a matrix of floats, for a config that says nothing. */
static int32_t first_type(const struct weight_files *files)
{
    for (size_t i = 0; i < weight_files_count(files); i++) {
        const struct safetensors_tensor *t = weight_files_at(files, i)->tensor;

        if (t->dtype != SAFETENSORS_OTHER)
            return type_of(t->dtype);
    }
    return WEIGHT_TYPE_F32;
}

/* "dtype" of version 5, "torch_dtype" of version 4; the root's wins over the text part's. */
static struct json_span dtype_of(const struct model_config *c)
{
    static const char *const keys[] = {"dtype", "torch_dtype"};
    struct json_span v = {0};

    for (size_t i = 0; i < 2 && scan_is_none(v); i++)
        v = scan_member(c->root, keys[i]);
    for (size_t i = 0; i < 2 && scan_is_none(v); i++)
        v = scan_member(c->text, keys[i]);
    return v;
}

/* As transformers chooses with dtype "auto": the config wins over the tensors. */
static int32_t choose_own_type(const struct checkpoint *c, int32_t *out, inf_error *err)
{
    static const struct {
        const char *name;
        int32_t type;
    } known[] = {
        {"float32", WEIGHT_TYPE_F32},   {"torch.float32", WEIGHT_TYPE_F32},
        {"float16", WEIGHT_TYPE_F16},   {"torch.float16", WEIGHT_TYPE_F16},
        {"bfloat16", WEIGHT_TYPE_BF16}, {"torch.bfloat16", WEIGHT_TYPE_BF16},
        {"float64", WEIGHT_TYPE_F32}, /* computed in f32 */
    };
    struct json_span v = dtype_of(&c->config);

    *out = first_type(c->files);
    if (scan_is_none(v))
        return INF_OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (scan_is_string(v) && scan_equals(v, known[i].name)) {
            *out = known[i].type;
            return INF_OK;
        }
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "config.json: \"dtype\" is %.*s; weights may be float32, float16 or bfloat16",
                     v.len < 60 ? (int)v.len : 60, v.data);
}

/* ------------------------------------------------------------------ opening */

/* Other values than true let tokens see later ones, in some ways of transformers to attend at least. What
 * stands outside of the text's part is for nothing there. */
static int32_t check_causal(const struct model_config *c, inf_error *err)
{
    struct json_span v = scan_member(c->text, "is_causal");

    if (!v.data || scan_is_true(v))
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "config.json: \"is_causal\" is %.*s: llama.cpp lets no token see later ones",
                     v.len < 60 ? (int)v.len : 60, v.data);
}

static int32_t check_config(const struct model_config *c, inf_error *err)
{
    struct json_span v = scan_member(c->root, "quantization_config");

    if (scan_is_none(v))
        v = scan_member(c->text, "quantization_config");
    if (!scan_is_none(v))
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "config.json: \"quantization_config\" is there: quantised checkpoints are not "
            "loaded; take the model in its own type, dtype quantises it");
    return check_causal(c, err);
}

/* What surrounds a text model decides how text is attended to (PaliGemma's prompts see all of themselves), so that
 * both must be of one family. */
static int32_t find_family(const struct checkpoint *c, const struct family **out, inf_error *err)
{
    const struct family *text = NULL;
    int32_t code = family_of_checkpoint(out, c->config.model_type, err);

    if (code == INF_OK)
        code = family_of_checkpoint(&text, c->config.text_type, err);
    if (code == INF_OK && text != *out)
        code = error_set(err, INF_ERROR_UNSUPPORTED,
                         "config.json: \"text_config.model_type\" is \"%.60s\", which no %.60s has",
                         c->config.text_type, c->config.model_type);
    return code;
}

static struct gguf_numbers numbers_of(const struct blueprint_tensor *t)
{
    const struct weight *w = t->n_sources == 1 && !t->change ? t->sources[0] : NULL;

    if (!w || w->tensor->dtype == SAFETENSORS_F64)
        return (struct gguf_numbers){0};
    return (struct gguf_numbers){w->data, w->tensor->dtype};
}

static int32_t list_numbers(struct checkpoint *c, inf_error *err)
{
    c->numbers = mem_calloc(c->blueprint.n_tensors + 1, sizeof *c->numbers);
    if (!c->numbers)
        return error_no_memory(err);
    for (size_t i = 0; i < c->blueprint.n_tensors; i++)
        c->numbers[i] = numbers_of(&c->blueprint.tensors[i]);
    c->model.numbers = c->numbers;
    return INF_OK;
}

static int32_t read_header(struct checkpoint *c, inf_error *err)
{
    int32_t code = gguf_writer_finish(&c->blueprint.header, &c->header, err);

    if (code == INF_OK)
        code = gguf_file_from_header(&c->header_file, c->header.data, c->header.len, err);
    if (code == INF_OK)
        code = gguf_model_check(&c->model, c->header_file, err);
    return code == INF_OK ? list_numbers(c, err) : code;
}

/* Mapped stays what is used where it lies, and what an adapter's copy of a base weight is compared with: the embedding
 * and the output layer. */
static int32_t keep_mapped(struct checkpoint *c, inf_error *err)
{
    const struct weight *first = weight_files_at(c->files, 0);
    bool *kept = mem_calloc(weight_files_count(c->files) + 1, sizeof *kept);
    int32_t code = INF_OK;

    if (!kept)
        return error_no_memory(err);
    for (size_t i = 0; i < c->blueprint.n_tensors; i++) {
        const struct blueprint_tensor *t = &c->blueprint.tensors[i];

        if (t->data || (t->n_sources == 1 && blueprint_is_head(t->name)))
            kept[t->sources[0] - first] = true;
    }
    code = weight_files_keep(c->files, kept, err);
    mem_free(kept);
    return code;
}

static int32_t open_parts(struct checkpoint *c, const char *dir, int32_t type, inf_error *err)
{
    const struct family *family = NULL;
    int32_t code = model_config_open(&c->config, dir, err);

    if (code == INF_OK)
        code = check_config(&c->config, err);
    if (code == INF_OK)
        code = find_family(c, &family, err);
    if (code == INF_OK)
        code = weight_files_open(&c->files, dir, err);
    if (code == INF_OK)
        code = choose_own_type(c, &c->own_type, err);
    if (code == INF_OK)
        code = blueprint_make(&c->blueprint, family, &c->config, c->files,
                              type == WEIGHT_TYPE_AUTO ? c->own_type : type, c->own_type, err);
    if (code == INF_OK)
        code = keep_mapped(c, err);
    return code == INF_OK ? read_header(c, err) : code;
}

int32_t checkpoint_open(struct checkpoint **out, const char *dir, int32_t type, inf_error *err)
{
    struct checkpoint *c = mem_calloc(1, sizeof *c);
    int32_t code = INF_OK;

    *out = NULL;
    if (!c)
        return error_no_memory(err);
    buffer_init(&c->header, BUFFER_NO_LIMIT);
    code = open_parts(c, dir, type, err);
    if (code == INF_OK)
        *out = c;
    else
        checkpoint_close(c);
    return code;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    gguf_file_close(c->header_file);
    buffer_free(&c->header);
    mem_free(c->numbers);
    blueprint_free(&c->blueprint);
    weight_files_close(c->files);
    model_config_free(&c->config);
    mem_free(c);
}

int32_t checkpoint_window(const struct checkpoint *c, int32_t n)
{
    int32_t window = gguf_model_window(&c->model, n);

    return window < c->blueprint.exact_window ? window : c->blueprint.exact_window;
}
