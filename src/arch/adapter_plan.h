/* adapter_plan: from an adapter's file to a plan of its conversion. Each fills an empty plan, which
 * lora_plan_free empties after either outcome. Errors as adapter_read. */
#ifndef INF_ARCH_ADAPTER_PLAN_H
#define INF_ARCH_ADAPTER_PLAN_H

#include "gguf/model.h"
#include "hf/files/peft.h"
#include "lora/plan.h"

int32_t plan_peft_adapter(struct lora_plan *out, struct peft_adapter *adapter,
                          const struct gguf_model *model, inf_error *err);
int32_t plan_gguf_adapter(struct lora_plan *out, const struct gguf_file *adapter,
                          const struct gguf_model *model, inf_error *err);

#endif
