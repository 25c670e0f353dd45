/* families: the list of model families. */
#ifndef INF_ARCH_FAMILIES_H
#define INF_ARCH_FAMILIES_H

#include "arch/family.h"
#include "core/error.h"

/* By GGUF's name of the architecture. UNSUPPORTED, naming it and the supported ones. */
int32_t family_find(const struct family **out, const char *name, inf_error *err);
/* Whether recurrent states of models of that architecture are known to depend on nothing that is computed
 * beside them: nobody has looked at those that are not in the list. */
bool family_states_independent(const char *name);
/* By config.json's model_type. UNSUPPORTED, the same way. */
int32_t family_of_checkpoint(const struct family **out, const char *model_type, inf_error *err);

#endif
