/* plan: see the header. */
#include "lora/plan.h"

#include "core/memory.h"

#include <stdlib.h>

void lora_plan_free(struct lora_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        mem_free(plan->modules[i].inputs);
        mem_free(plan->modules[i].outputs);
        mem_free(plan->modules[i].rows);
        mem_free(plan->modules[i].experts_a);
        mem_free(plan->modules[i].experts_b);
    }
    mem_free(plan->modules);
    *plan = (struct lora_plan){0};
}

static int by_base(const void *a, const void *b)
{
    const struct lora_plan_module *x = a, *y = b;
    int order = strcmp(x->base.name, y->base.name);

    return order != 0 ? order : lora_use_of(x->kind) - lora_use_of(y->kind);
}

static const char *tensor_of(const struct lora_plan_module *m)
{
    return m->a.name ? m->a.name : m->whole.name;
}

int32_t lora_plan_sort(struct lora_plan *plan, inf_error *err)
{
    if (plan->n > 1)
        qsort(plan->modules, plan->n, sizeof *plan->modules, by_base);
    for (size_t i = 1; i < plan->n; i++) {
        const struct lora_plan_module *x = &plan->modules[i - 1], *y = x + 1;

        if (by_base(x, y) == 0 && x->kind != y->kind)
            return error_set(
                err, INF_ERROR_UNSUPPORTED,
                "adapter tensors \"%.160s\" and \"%.160s\" change %s in two ways, which is "
                "not supported",
                tensor_of(x), tensor_of(y), x->base.name);
        if (by_base(x, y) == 0)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "adapter tensors \"%.160s\" and \"%.160s\" are both for %s",
                             tensor_of(x), tensor_of(y), x->base.name);
    }
    return INF_OK;
}
