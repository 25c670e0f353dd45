/*
 * weights: see the header. Opens the source, has it planned, and carries the plan out: one
 * block of memory, each matrix read, scanned for its largest magnitude and for NaN and infinity in
 * the same pass, and converted while it is in the cache.
 */
#include "lora/weights.h"

#include "core/memory.h"
#include "lora/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ALIGNMENT = 64,
    ROW_MULTIPLE = 16,
    TYPE_F32 = 0,      /* ggml's number */
    F16_EXPONENT = 14, /* magnitudes are brought below 2 to this */
    SHIFT_LIMIT = 126  /* 2 to this is a normal float, as its inverse */
};

/* ---------------------------------------------------------------- plan */

void lora_plan_free(struct lora_plan *plan)
{
    mem_free(plan->modules);
    *plan = (struct lora_plan){0};
}

static int by_tensor(const void *a, const void *b)
{
    const struct lora_plan_module *x = a, *y = b;
    return strcmp(x->base->name, y->base->name);
}

int32_t lora_plan_sort(struct lora_plan *plan, inf_error *err)
{
    if (plan->n > 1)
        qsort(plan->modules, plan->n, sizeof *plan->modules, by_tensor);
    for (size_t i = 1; i < plan->n; i++) {
        const struct lora_plan_module *x = &plan->modules[i - 1], *y = x + 1;
        if (strcmp(x->base->name, y->base->name) == 0) {
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "adapter tensors \"%.160s\" and \"%.160s\" are both for %s", x->a.name,
                             y->a.name, x->base->name);
        }
    }
    return INF_OK;
}

/* ---------------------------------------------------------------- layout */

static int32_t padded(int64_t n)
{
    return (int32_t)((n + ROW_MULTIPLE - 1) / ROW_MULTIPLE * ROW_MULTIPLE);
}

/* Adds count elements of `each` bytes at the next aligned place of a growing total. */
static bool reserve(size_t *total, size_t count, size_t each, size_t *at)
{
    size_t bytes = 0, end = 0;
    if (!size_mul(count, each, &bytes) || !size_add(*total, ALIGNMENT - 1, &end))
        return false;
    *at = end / ALIGNMENT * ALIGNMENT;
    return size_add(*at, bytes, total);
}

/* Where everything lies in the block. */
struct layout {
    size_t modules, names, total;
};

static bool reserve_matrices(size_t *total, const struct lora_plan_module *m, size_t *a, size_t *bt)
{
    size_t each = m->base->type == TYPE_F32 ? sizeof(float) : sizeof(uint16_t);
    size_t n_a = 0, n_b = 0;
    return size_mul((size_t)m->rank, (size_t)padded(m->base->ne[0]), &n_a) &&
           size_mul((size_t)m->rank, (size_t)padded(m->base->ne[1]), &n_b) &&
           reserve(total, n_a, each, a) && reserve(total, n_b, each, bt);
}

static bool plan_layout(struct layout *out, const struct lora_plan *plan)
{
    size_t names = 0, ignored = 0;
    out->total = sizeof(struct lora_weights);
    for (size_t i = 0; i < plan->n; i++)
        names += strlen(plan->modules[i].base->name) + 1;
    if (!reserve(&out->total, plan->n, sizeof(struct lora_module), &out->modules) ||
        !reserve(&out->total, names, 1, &out->names)) {
        return false;
    }
    for (size_t i = 0; i < plan->n; i++)
        if (!reserve_matrices(&out->total, &plan->modules[i], &ignored, &ignored))
            return false;
    return true;
}

static void set_module(struct lora_module *out, const struct lora_plan_module *m, char *block,
                       size_t *at, char **name)
{
    size_t a = 0, bt = 0, len = strlen(m->base->name) + 1;
    reserve_matrices(at, m, &a, &bt); /* cannot fail: plan_layout has done the same sums */
    memcpy(*name, m->base->name, len);
    *out = (struct lora_module){.tensor = *name,
                                .n_in = (int32_t)m->base->ne[0],
                                .n_out = (int32_t)m->base->ne[1],
                                .rank = m->rank,
                                .type = m->base->type == TYPE_F32 ? LORA_F32 : LORA_F16,
                                .scale = m->scale,
                                .a = block + a,
                                .bt = block + bt,
                                .padded_in = padded(m->base->ne[0]),
                                .padded_out = padded(m->base->ne[1])};
    *name += len;
}

/* The block with everything in its place but the numbers. */
static struct lora_weights *make_block(const struct lora_plan *plan)
{
    struct layout layout = {0};
    char *block = plan_layout(&layout, plan) ? mem_aligned(ALIGNMENT, layout.total) : NULL;
    if (!block)
        return NULL;
    struct lora_weights *w = (struct lora_weights *)(void *)block;
    struct lora_module *modules = (struct lora_module *)(void *)(block + layout.modules);
    char *name = block + layout.names;
    size_t at = layout.names;
    *w = (struct lora_weights){.n_modules = plan->n,
                               .modules = modules,
                               .bytes = layout.total,
                               .format = plan->format,
                               .n_tensors = plan->n_tensors};
    for (size_t i = 0; i < plan->n; i++)
        at += strlen(plan->modules[i].base->name) + 1;
    for (size_t i = 0; i < plan->n; i++) {
        set_module(&modules[i], &plan->modules[i], block, &at, &name);
        w->max_rank = modules[i].rank > w->max_rank ? modules[i].rank : w->max_rank;
    }
    return w;
}

/* ---------------------------------------------------------------- numbers */

static int32_t read_matrix(const void **data, const struct lora_plan *plan,
                           const struct lora_matrix *m, void *scratch, inf_error *err)
{
    if (m->data) {
        *data = m->data;
        return INF_OK;
    }
    return safetensors_data(data, plan->weights, m->tensor, scratch, err);
}

/* The power of two that brings the largest magnitude to [2^13, 2^14); 0 where f32 keeps all. */
static int32_t find_shift(float largest, int32_t type)
{
    int exponent = 0;
    if (type == LORA_F32 || largest == 0)
        return 0;
    frexpf(largest, &exponent);
    int32_t shift = F16_EXPONENT - exponent;
    return shift > SHIFT_LIMIT ? SHIFT_LIMIT : shift < -SHIFT_LIMIT ? -SHIFT_LIMIT : shift;
}

/* Reads one matrix and finds its shift. */
static int32_t scan_matrix(const void **data, int32_t *shift, const struct lora_plan *plan,
                           const struct lora_matrix *m, size_t n, int32_t type, void *scratch,
                           inf_error *err)
{
    float largest = 0;
    int32_t code = read_matrix(data, plan, m, scratch, err);
    if (code != INF_OK)
        return code;
    if (!lora_largest(&largest, *data, m->source, n)) {
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "adapter tensor \"%.160s\" holds a NaN or an infinity; train or save the "
                         "adapter again",
                         m->name);
    }
    *shift = find_shift(largest, type);
    return INF_OK;
}

static int32_t set_gain(struct lora_module *m, int32_t shift, const char *name, inf_error *err)
{
    m->gain = (float)ldexp((double)m->scale, -shift);
    if (!isfinite(m->gain)) {
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "adapter tensor \"%.160s\" and its partner are too large: their product "
                         "overflows",
                         name);
    }
    return INF_OK;
}

static int32_t convert_module(struct lora_module *out, const struct lora_plan *plan,
                              const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    const void *data = NULL;
    int32_t shift_a = 0, shift_b = 0;
    size_t rank = (size_t)m->rank;
    int32_t code = scan_matrix(&data, &shift_a, plan, &m->a, rank * (size_t)out->n_in, out->type,
                               scratch, err);
    if (code != INF_OK)
        return code;
    lora_convert_rows((void *)(uintptr_t)out->a, out->type, out->padded_in, data, m->a.source,
                      m->rank, out->n_in, ldexpf(1.0f, shift_a));
    code = scan_matrix(&data, &shift_b, plan, &m->b, rank * (size_t)out->n_out, out->type, scratch,
                       err);
    if (code != INF_OK)
        return code;
    lora_convert_transposed((void *)(uintptr_t)out->bt, out->type, out->padded_out, data,
                            m->b.source, out->n_out, m->rank, m->head_dim, ldexpf(1.0f, shift_b));
    return set_gain(out, shift_a + shift_b, m->a.name, err);
}

/* The largest matrix that has to be read. */
static size_t scratch_size(const struct lora_plan *plan)
{
    size_t size = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const struct lora_plan_module *m = &plan->modules[i];
        size = !m->a.data && m->a.size > size ? m->a.size : size;
        size = !m->b.data && m->b.size > size ? m->b.size : size;
    }
    return size;
}

static int32_t convert(struct lora_weights **out, const struct lora_plan *plan,
                       const inf_op *op_to_poll, inf_error *err)
{
    int32_t code = INF_OK;
    struct lora_weights *w = make_block(plan);
    void *scratch = mem_alloc(scratch_size(plan));
    if (!w || !scratch)
        code = error_no_memory(err);
    for (size_t i = 0; i < plan->n && code == INF_OK; i++) {
        code = op_to_poll && op_stop_code(op_to_poll) != INF_OK
                   ? op_stop_error(op_to_poll, err)
                   : convert_module(&w->modules[i], plan, &plan->modules[i], scratch, err);
    }
    mem_free(scratch);
    if (code != INF_OK) {
        lora_weights_free(w);
        return code;
    }
    *out = w;
    return INF_OK;
}

/* ---------------------------------------------------------------- sources */

static int32_t load_peft(struct lora_weights **out, const struct adapter_source *source,
                         const struct gguf_model *model, const inf_op *op, inf_error *err)
{
    struct peft_adapter *adapter = NULL;
    struct lora_plan plan = {0};
    int32_t code = source->path ? peft_open(&adapter, source->path, err)
                                : peft_from_memory(&adapter, source->config, source->config_len,
                                                   source->weights, source->weights_len, err);
    if (code == INF_OK)
        code = peft_to_lora(&plan, adapter, model, err);
    if (code == INF_OK)
        code = convert(out, &plan, op, err);
    lora_plan_free(&plan);
    peft_close(adapter);
    return code;
}

static int32_t load_gguf_bytes(struct lora_weights **out, const void *bytes, size_t size,
                               const struct gguf_model *model, const inf_op *op, inf_error *err)
{
    struct gguf_file *file = NULL;
    struct lora_plan plan = {0};
    int32_t code = gguf_file_from_memory(&file, bytes, size, err);
    if (code == INF_OK)
        code = gguf_adapter_to_lora(&plan, file, model, err);
    if (code == INF_OK)
        code = convert(out, &plan, op, err);
    lora_plan_free(&plan);
    gguf_file_close(file);
    return code;
}

static int32_t read_file(void *data, size_t size, int fd, const char *path, inf_error *err)
{
    char *p = data;
    while (size > 0) {
        ssize_t got = read(fd, p, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "read", path);
        if (got == 0)
            return error_set(err, INF_ERROR_IO, "cannot read %s: it shrank while being read", path);
        p += got;
        size -= (size_t)got;
    }
    return INF_OK;
}

/* True when the file's header says that it is an adapter: a whole model is not to be read. */
static int32_t check_is_adapter(const struct gguf_model *model, const char *path, inf_error *err)
{
    struct gguf_file *file = NULL;
    struct lora_plan plan = {0};
    int32_t code = gguf_file_open(&file, path, err);
    if (code == INF_OK)
        code = gguf_adapter_to_lora(&plan, file, model, err);
    lora_plan_free(&plan);
    gguf_file_close(file);
    return code;
}

/* The bytes are read, not mapped: whoever rewrites the file in place must not end the process. */
static int32_t load_gguf_path(struct lora_weights **out, const char *path, size_t size,
                              const struct gguf_model *model, const inf_op *op, inf_error *err)
{
    int32_t code = check_is_adapter(model, path, err);
    if (code != INF_OK)
        return code;
    void *bytes = mem_aligned(ALIGNMENT, size);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!bytes)
        code = error_no_memory(err);
    else if (fd < 0)
        code = error_set_errno(err, errno, "open", path);
    else
        code = read_file(bytes, size, fd, path, err);
    if (fd >= 0)
        close(fd);
    if (code == INF_OK)
        code = load_gguf_bytes(out, bytes, size, model, op, err);
    mem_free(bytes);
    return code;
}

static int32_t load_path(struct lora_weights **out, const struct adapter_source *source,
                         const struct gguf_model *model, const inf_op *op, inf_error *err)
{
    struct stat info;
    if (stat(source->path, &info) != 0)
        return error_set_errno(err, errno, "open", source->path);
    if (S_ISDIR(info.st_mode))
        return load_peft(out, source, model, op, err);
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, INF_ERROR_IO,
                         "cannot read %s: it is neither a PEFT directory nor a GGUF file",
                         source->path);
    }
    return load_gguf_path(out, source->path, (size_t)info.st_size, model, op, err);
}

static void fill_report(inf_adapter_report *report, const struct lora_weights *w)
{
    report->format = w->format;
    report->rank = w->max_rank;
    report->scale = w->modules[0].scale;
    report->n_modules = (int32_t)w->n_modules;
    report->n_tensors = w->n_tensors;
    report->bytes = (int64_t)w->bytes;
}

int32_t lora_weights_load(struct lora_weights **out, const struct adapter_source *source,
                          const struct gguf_model *model, const inf_op *op_to_poll,
                          inf_adapter_report *report, inf_error *err)
{
    struct lora_weights *w = NULL;
    int32_t code = source->path     ? load_path(&w, source, model, op_to_poll, err)
                   : source->config ? load_peft(&w, source, model, op_to_poll, err)
                                    : load_gguf_bytes(&w, source->weights, source->weights_len,
                                                      model, op_to_poll, err);
    if (code != INF_OK)
        return code;
    fill_report(report, w);
    *out = w;
    return INF_OK;
}

void lora_weights_free(struct lora_weights *w)
{
    mem_free(w);
}

static int by_module(const void *key, const void *element)
{
    return strcmp(key, ((const struct lora_module *)element)->tensor);
}

const struct lora_module *lora_weights_find(const struct lora_weights *w, const char *tensor)
{
    return bsearch(tensor, w->modules, w->n_modules, sizeof *w->modules, by_module);
}
