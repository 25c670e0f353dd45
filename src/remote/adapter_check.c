/* adapter_check: see the header. */
#include "remote/adapter_check.h"

#include "core/ascii.h"
#include "core/file.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/numbers.h"
#include "hf/files/peft.h"
#include "remote/adapter_files.h"
#include "remote/base_tensors.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const char config_name[] = "adapter_config.json";
static const char weights_name[] = "adapter_model.safetensors";

/* ------------------------------------------------------------------ numbers */

enum { DOUBLES = 16, BYTES }; /* beside enum number_type */

/* The dtypes that have something else than finite numbers. A byte is none when its bits under `mask` are
 * `bad`; those that are numbers are small. */
static const struct format {
    const char *dtype;
    int32_t type;
    unsigned char mask, bad;
} formats[] = {
    {"F32", NUMBER_F32, 0, 0},
    {"F16", NUMBER_F16, 0, 0},
    {"BF16", NUMBER_BF16, 0, 0},
    {"C64", NUMBER_F32, 0, 0},
    {"F64", DOUBLES, 0, 0},
    {"F8_E5M2", BYTES, 0x7c, 0x7c},
    {"F8_E4M3", BYTES, 0x7f, 0x7f},
    {"F8_E8M0", BYTES, 0xff, 0xff},
    {"F8_E4M3FNUZ", BYTES, 0xff, 0x80},
    {"F8_E5M2FNUZ", BYTES, 0xff, 0x80},
};

static const struct format *find_format(const char *dtype)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].dtype, dtype) == 0)
            return &formats[i];
    return NULL;
}

/* The largest magnitude; infinite when one is no finite number of f32. */
static double largest(const struct format *f, const unsigned char *data, size_t size)
{
    float narrow = INFINITY;
    double most = 0;

    for (size_t at = 0; f->type == BYTES && at < size; at++)
        most = (data[at] & f->mask) == f->bad ? (double)INFINITY : most;
    for (size_t at = 0; f->type == DOUBLES && at + sizeof most <= size; at += sizeof most) {
        double x = 0;

        memcpy(&x, data + at, sizeof x);
        if (!(fabs(x) <= (double)FLT_MAX))
            return (double)INFINITY;
        most = fmax(most, fabs(x));
    }
    if (f->type < DOUBLES && numbers_largest(&narrow, data, f->type, size / number_size(f->type)))
        return (double)narrow;
    return f->type < DOUBLES ? (double)INFINITY : most;
}

/* scale: what the server multiplies the numbers by. */
static int32_t check_tensor(const struct safetensors *st, const struct safetensors_tensor *t,
                            double scale, inf_error *err)
{
    const struct format *f = find_format(t->dtype_name);
    void *scratch = NULL;
    const void *data = NULL;
    double most = 0;
    int32_t code = INF_OK;

    if (!f || t->size == 0)
        return INF_OK;
    scratch = mem_alloc(t->size);
    if (!scratch)
        return error_no_memory(err);
    code = safetensors_data(&data, st, t, scratch, err);
    if (code == INF_OK)
        most = largest(f, data, t->size);
    mem_free(scratch);
    if (code == INF_OK && isinf(most))
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "tensor %s holds a NaN or an infinity (in f32): one request with such an "
                         "adapter spoils every answer of a vLLM server",
                         t->name);
    if (code == INF_OK && !(most * fabs(scale) <= (double)FLT_MAX))
        return error_set(
            err, INF_ERROR_NOT_FINITE,
            "tensor %s times the adapter's scale of %g is infinite in f32: one request "
            "with such an adapter spoils every answer of a vLLM server",
            t->name, scale);
    return code;
}

/* ------------------------------------------------------------------ the configuration */

static int32_t check_alpha(const char *key, struct json_span value, inf_error *err)
{
    double alpha = 0;

    if (scan_real(value, &alpha) && !(fabs(alpha) <= (double)FLT_MAX))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "adapter_config.json: %s %g is infinite in f32, and so is the scale", key,
                         alpha);
    return INF_OK;
}

/* What the reader of PEFT configurations does not get to when it refuses a feature. */
static int32_t check_config(const char *dir, inf_error *err)
{
    char *text = NULL;
    size_t len = 0;
    struct json_span whole, key, value;
    struct json_walk w;
    int32_t code = file_read_in(&text, &len, dir, config_name, PEFT_CONFIG_MAX_BYTES, err);

    if (code == INF_OK && !scan_json(&whole, text, len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "%s is no JSON", config_name);
    if (code == INF_OK)
        code = check_alpha("lora_alpha", scan_member(whole, "lora_alpha"), err);
    if (code == INF_OK && scan_object(&w, scan_member(whole, "alpha_pattern")))
        while (code == INF_OK && scan_next_member(&w, &key, &value))
            code = check_alpha("a value of alpha_pattern", value, err);
    mem_free(text);
    return code;
}

/* ------------------------------------------------------------------ pickles */

enum { TAIL = 65536 + 22 }; /* a zip archive's end lies within its last so many bytes */

/* Whether one of these bytes begins the end of a zip archive, which a cut one lacks: 22 bytes at least. */
static bool has_end(const char *tail, size_t n)
{
    static const char mark[] = {'P', 'K', 5, 6};

    for (size_t i = 0; i + 22 <= n; i++)
        if (memcmp(tail + i, mark, sizeof mark) == 0)
            return true;
    return false;
}

/* By its first bytes, and an archive by its end. *tail: room for TAIL bytes. */
static bool is_pickle(int fd, uint64_t size, char tail[TAIL])
{
    static const unsigned char zip[] = {'P', 'K', 3, 4};
    /* torch.save before 1.6: a pickle of protocol 2 whose first object is this number */
    static const unsigned char old[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c,
                                        0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    size_t n = size < TAIL ? (size_t)size : TAIL;

    if (n < sizeof old || file_read_at(fd, tail, sizeof old, 0, "", NULL) != INF_OK)
        return false;
    if (memcmp(tail, zip, sizeof zip) != 0)
        return memcmp(tail, old, sizeof old) == 0;
    return file_read_at(fd, tail, n, size - n, "", NULL) == INF_OK && has_end(tail, n);
}

static int32_t check_pickle(const char *dir, const char *name, inf_error *err)
{
    char *path = path_join(dir, name);
    char *tail = mem_alloc(TAIL);
    uint64_t size = 0;
    int fd = -1;
    int32_t code = path && tail ? file_open(&fd, &size, path, err) : error_no_memory(err);

    if (code == INF_OK && !is_pickle(fd, size, tail))
        code = error_set(err, INF_ERROR_BAD_FORMAT,
                         "%s is no file of torch.save, or a truncated one; save the adapter with "
                         "safe_serialization=True",
                         name);
    if (fd >= 0)
        close(fd);
    mem_free(tail);
    mem_free(path);
    return code;
}

/* ------------------------------------------------------------------ what our reader knows */

/* Where it has LoRA. */
static void fill_report(inf_adapter_report *report, const struct peft_adapter *p)
{
    report->rank = peft_rank(p);
    if (report->rank == 0)
        return;
    report->scale = p->scale;
    report->n_modules = (int32_t)p->n_modules;
    report->n_tensors = (int32_t)safetensors_count(p->weights);
    report->bytes = (int64_t)safetensors_file_size(p->weights);
}

static int32_t check_modules(const struct peft_adapter *p, const struct base_tensors *base,
                             inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; base && code == INF_OK && i < p->n_modules; i++)
        code = base_tensors_check(base, p->modules[i].name, p->modules[i].b->shape[0],
                                  p->modules[i].a->shape[1], p->modules[i].a->name, err);
    return code;
}

static int32_t check_known(const struct peft_adapter *p, const struct base_tensors *base,
                           inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; code == INF_OK && i < safetensors_count(p->weights); i++)
        code = check_tensor(p->weights, safetensors_at(p->weights, i), 1, err);
    for (size_t i = 0; code == INF_OK && i < p->n_modules; i++)
        code = check_tensor(p->weights, p->modules[i].b, (double)p->modules[i].scale, err);
    return code == INF_OK ? check_modules(p, base, err) : code;
}

/* ------------------------------------------------------------------ what it does not know */

/* The module of "<module>.lora_A[.default].weight", to be freed; *b: the name of its B. NULL: none. */
static char *module_of_a(const char *tensor, char **b)
{
    const char *at = strstr(tensor, ".lora_A.");
    char *module = NULL;

    *b = NULL;
    if (!at || !text_ends(tensor, strlen(tensor), ".weight"))
        return NULL;
    module = mem_strndup(tensor, (size_t)(at - tensor));
    *b = mem_strdup(tensor);
    if (*b)
        (*b)[(size_t)(at - tensor) + strlen(".lora_")] = 'B';
    return module;
}

static const char *without_prefix(const char *name)
{
    static const char prefix[] = "base_model.model.";

    return strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
}

static int32_t check_pair(const struct safetensors *st, const struct base_tensors *base,
                          const struct safetensors_tensor *a, inf_error *err)
{
    char *b_name = NULL;
    char *module = module_of_a(a->name, &b_name);
    const struct safetensors_tensor *b = b_name ? safetensors_find(st, b_name) : NULL;
    int32_t code = INF_OK;

    if (b && module && a->n_dims == 2 && b->n_dims == 2) {
        if (a->shape[0] != b->shape[1])
            code = error_set(err, INF_ERROR_MISMATCH, "tensors %s and %s have different ranks",
                             a->name, b->name);
        else
            code = base_tensors_check(base, without_prefix(module), b->shape[0], a->shape[1],
                                      a->name, err);
    }
    mem_free(module);
    mem_free(b_name);
    return code;
}

/* A module trained in full; peft has named it "<module>.weight" and, longer ago,
 * "<module>.modules_to_save[.default].weight". */
static int32_t check_whole(const struct base_tensors *base, const struct safetensors_tensor *t,
                           inf_error *err)
{
    static const char mark[] = ".modules_to_save.";
    const char *name = without_prefix(t->name);
    const char *at = strstr(name, mark);
    const char *last = strrchr(name, '.');
    struct buffer plain;
    int32_t code = INF_OK;

    buffer_init(&plain, BUFFER_NO_LIMIT);
    if (!buffer_append(&plain, name, at ? (size_t)(at - name) : strlen(name)) ||
        (at && !buffer_append_str(&plain, last)))
        code = error_no_memory(err);
    if (code == INF_OK)
        code = base_tensors_check_whole(base, plain.data, t, err);
    buffer_free(&plain);
    return code;
}

static bool is_whole(const char *name)
{
    size_t n = strlen(name);

    return !strstr(name, "lora_") && !strstr(name, ".base_layer.") &&
           (text_ends(name, n, ".weight") || text_ends(name, n, ".bias"));
}

static int32_t check_unknown(const char *dir, const struct base_tensors *base, inf_error *err)
{
    char *path = path_join(dir, weights_name);
    struct safetensors *st = NULL;
    int32_t code = path ? safetensors_open(&st, path, err) : error_no_memory(err);

    for (size_t i = 0; code == INF_OK && i < safetensors_count(st); i++) {
        const struct safetensors_tensor *t = safetensors_at(st, i);

        code = check_tensor(st, t, 1, err);
        if (code == INF_OK && base)
            code = is_whole(t->name) ? check_whole(base, t, err) : check_pair(st, base, t, err);
    }
    safetensors_close(st);
    mem_free(path);
    return code;
}

/* ------------------------------------------------------------------ the check */

static int32_t check_safetensors(const char *dir, const char *base_dir, inf_adapter_report *report,
                                 inf_error *err)
{
    struct base_tensors *base = NULL;
    struct peft_adapter *p = NULL;
    int32_t code = base_dir ? base_tensors_open(&base, base_dir, err) : INF_OK;

    if (code == INF_OK)
        code = peft_open(&p, dir, err);
    if (code == INF_OK && peft_is_plain(p))
        code = check_known(p, base, err);
    else if (code == INF_OK || code == INF_ERROR_UNSUPPORTED)
        code = check_unknown(dir, base, err);
    if (code == INF_OK && p)
        fill_report(report, p);
    peft_close(p);
    base_tensors_close(base);
    return code;
}

int32_t adapter_check(const char *dir, const char *base_dir, inf_adapter_report *report,
                      inf_error *err)
{
    static const char *const pickles[] = {"adapter_model.bin", "adapter_model.pt"};
    const char *pickle = NULL;
    int32_t code = INF_OK;

    for (size_t i = 0; i < 2 && !pickle && !adapter_files_has(dir, weights_name); i++)
        pickle = adapter_files_has(dir, pickles[i]) ? pickles[i] : NULL;
    code = check_config(dir, err);
    if (code == INF_OK)
        code = pickle ? check_pickle(dir, pickle, err)
                      : check_safetensors(dir, base_dir, report, err);
    return code == INF_OK ? error_none(err) : error_prefix(err, "%s", dir);
}
