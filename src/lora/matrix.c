/* matrix: see the header. */
#include "lora/matrix.h"

#include "core/memory.h"

#include <math.h>
#include <string.h>

enum {
    F16_EXPONENT = 14, /* magnitudes are brought below 2 to this */
    SHIFT_LIMIT = 126  /* 2 to this is a normal float, as its inverse */
};

int32_t lora_find_shift(float largest, int32_t type)
{
    int exponent = 0;
    int32_t shift = 0;

    if (type == NUMBER_F32 || largest == 0)
        return 0;
    frexpf(largest, &exponent);
    shift = F16_EXPONENT - exponent;
    return shift > SHIFT_LIMIT ? SHIFT_LIMIT : shift < -SHIFT_LIMIT ? -SHIFT_LIMIT : shift;
}

int32_t lora_matrix_read(const void **data, const struct lora_plan *plan,
                         const struct lora_matrix *m, void *scratch, inf_error *err)
{
    *data = m->data;
    return m->data ? INF_OK : plan->read(data, plan->file, m->tensor, scratch, err);
}

int32_t lora_not_finite(const struct lora_matrix *m, inf_error *err)
{
    return error_set(err, INF_ERROR_NOT_FINITE,
                     "adapter tensor \"%.160s\" holds a NaN or an infinity; train or save the "
                     "adapter again",
                     m->name);
}

int32_t lora_matrix_scan(const void **data, float *largest, const struct lora_plan *plan,
                         const struct lora_matrix *m, void *scratch, inf_error *err)
{
    size_t n = m->size / number_size(m->type);
    int32_t code = lora_matrix_read(data, plan, m, scratch, err);

    if (code != INF_OK)
        return code;
    return numbers_largest(largest, *data, m->type, n) ? INF_OK : lora_not_finite(m, err);
}

int32_t lora_set_gain(struct lora_module *m, int32_t shift, const char *name, inf_error *err)
{
    m->gain = (float)ldexp((double)m->scale, -shift);
    if (!isfinite(m->gain))
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "adapter tensor \"%.160s\" and its partner are too large: their product "
                         "overflows",
                         name);
    return INF_OK;
}

int32_t lora_reorder(const void *rows, int32_t type, int32_t rank, int32_t padded,
                     const int32_t *order, int32_t n, inf_error *err)
{
    size_t size = number_size(type);
    char *row = (char *)(uintptr_t)rows;
    char *old = order ? mem_alloc((size_t)padded * size) : NULL;

    if (!order)
        return INF_OK;
    if (!old)
        return error_no_memory(err);
    for (int32_t r = 0; r < rank; r++, row += (size_t)padded * size) {
        memcpy(old, row, (size_t)padded * size);
        for (int32_t i = 0; i < n; i++)
            memcpy(row + (size_t)i * size, old + (size_t)order[i] * size, size);
    }
    mem_free(old);
    return INF_OK;
}
