/* peft_features: what adapter_config.json asks for that changes the result and that nothing here
 * computes. Pure functions. */
#ifndef INF_HF_FILES_PEFT_FEATURES_H
#define INF_HF_FILES_PEFT_FEATURES_H

#include "core/error.h"

#include <jansson.h>

#define PEFT_CONFIG_NAME "adapter_config.json"

/* Python's truth of a value; NULL is false. */
bool peft_is_set(const json_t *v);

/* root: an object. BAD_FORMAT or UNSUPPORTED, naming the feature. */
int32_t peft_check_features(json_t *root, inf_error *err);

#endif
