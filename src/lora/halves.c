/* halves: see the header. */
#include "lora/halves.h"

#include "lora/convert.h"
#include "lora/matrix.h"

#include <math.h>
#include <string.h>

enum { ROW_BYTES = 32 }; /* of which a row is a multiple, and where it begins */

/* The largest magnitude of matrices that are kept; the inverse is the least. */
#define KEPT_BELOW 0x1p40f

bool lora_are_halves(const struct lora_plan_module *m)
{
    return m->a.name && !m->base.is_f32 && m->a.type != NUMBER_F32 && m->a.type == m->b.type &&
           !m->n_experts;
}

/* One whose rows of n numbers are of whole vectors. */
static bool lies_well(const struct block *storage, const struct lora_matrix *m, int32_t n)
{
    uintptr_t begin = (uintptr_t)storage->data, at = (uintptr_t)m->data;

    return m->data && at % ROW_BYTES == 0 && (size_t)n * 2 % ROW_BYTES == 0 && at >= begin &&
           at - begin <= storage->size && m->size <= storage->size - (at - begin);
}

bool lora_lie_well(const struct lora_plan *plan, const struct lora_plan_module *m)
{
    return plan->storage && lora_are_halves(m) && lies_well(plan->storage, &m->a, m->base.n_in) &&
           lies_well(plan->storage, &m->b, m->base.n_out);
}

/* No sum of such comes near what f32 holds. */
static bool is_ordinary(float largest)
{
    return largest < KEPT_BELOW && (largest == 0 || largest > 1 / KEPT_BELOW);
}

/* bits: of the largest magnitude. */
static int32_t check_kept(bool *ordinary, const struct lora_matrix *m, uint32_t bits,
                          inf_error *err)
{
    float largest = 0;

    if (!numbers_magnitude(&largest, bits, m->type))
        return lora_not_finite(m, err);
    *ordinary = *ordinary && is_ordinary(largest);
    return INF_OK;
}

/* Where a family has an order of its own. */
static int32_t put_in_order(struct lora_module *out, const struct lora_plan_module *m,
                            inf_error *err)
{
    int32_t code = lora_reorder(out->a, out->type, m->rank, out->padded_in, m->inputs, out->n_in,
                                err);

    return code == INF_OK ? lora_reorder(out->bt, out->type, m->rank, out->padded_out, m->outputs,
                                         out->n_out, err)
                          : code;
}

static int32_t stay_halves(struct lora_module *out, const struct lora_plan_module *m,
                           inf_error *err)
{
    out->type = m->a.type;
    out->gain = m->scale;
    return put_in_order(out, m, err);
}

int32_t lora_copy_halves(bool *kept, struct lora_module *out, const struct lora_plan *plan,
                         const struct lora_plan_module *m, void *scratch, inf_error *err)
{
    uint16_t *a = (uint16_t *)(uintptr_t)out->a, *bt = (uint16_t *)(uintptr_t)out->bt;
    const void *data = NULL;
    int32_t code = lora_matrix_read(&data, plan, &m->a, scratch, err);

    *kept = true;
    if (code == INF_OK)
        code = check_kept(kept, &m->a, lora_copy_rows(a, out->padded_in, data, m->rank, out->n_in),
                          err);
    if (code == INF_OK)
        code = lora_matrix_read(&data, plan, &m->b, scratch, err);
    if (code == INF_OK)
        code = check_kept(
            kept, &m->b,
            lora_copy_transposed(bt, out->padded_out, data, out->n_out, m->rank, m->head_dim), err);
    return code == INF_OK && *kept ? stay_halves(out, m, err) : code;
}

/* The largest magnitude; the matrix was found finite. */
static float largest_in(const void *data, const struct lora_matrix *m)
{
    float largest = 0;

    numbers_largest(&largest, data, m->type, m->size / number_size(m->type));
    return largest;
}

/* b: B as it came. */
static int32_t convert_where_they_lie(struct lora_module *out, const struct lora_plan_module *m,
                                      const void *b, inf_error *err)
{
    int32_t shift_a = lora_find_shift(largest_in(out->a, &m->a), NUMBER_F16);
    int32_t shift_b = lora_find_shift(largest_in(b, &m->b), NUMBER_F16);
    int32_t code = INF_OK;

    lora_convert_rows((void *)(uintptr_t)out->a, NUMBER_F16, out->padded_in, out->a, m->a.type,
                      m->rank, out->n_in, ldexpf(1.0f, shift_a));
    lora_convert_transposed((void *)(uintptr_t)out->bt, NUMBER_F16, out->padded_out, b, m->b.type,
                            out->n_out, m->rank, m->head_dim, ldexpf(1.0f, shift_b));
    out->type = NUMBER_F16;
    code = put_in_order(out, m, err);
    return code == INF_OK ? lora_set_gain(out, shift_a + shift_b, m->a.name, err) : code;
}

int32_t lora_place_halves(struct lora_module *out, const struct lora_plan_module *m, void *scratch,
                          inf_error *err)
{
    uint16_t *bt = (uint16_t *)(uintptr_t)out->bt;
    float largest = 0;
    bool ordinary = true;
    int32_t code = INF_OK;

    if (!numbers_largest(&largest, out->a, m->a.type, m->a.size / sizeof(uint16_t)))
        return lora_not_finite(&m->a, err);
    ordinary = is_ordinary(largest);
    memcpy(scratch, bt, m->b.size);
    code = check_kept(
        &ordinary, &m->b,
        lora_copy_transposed(bt, out->padded_out, scratch, out->n_out, m->rank, m->head_dim), err);
    if (code != INF_OK)
        return code;
    return ordinary ? stay_halves(out, m, err) : convert_where_they_lie(out, m, scratch, err);
}
