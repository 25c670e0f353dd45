/* peft_features: see the header. */
#include "hf/files/peft_features.h"

#include <string.h>
#include <strings.h>

#define CONFIG_NAME PEFT_CONFIG_NAME

bool peft_is_set(const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_TRUE:
        return true;
    case JSON_STRING:
        return json_string_length(v) > 0;
    case JSON_INTEGER:
        return json_integer_value(v) != 0;
    case JSON_REAL:
        return json_real_value(v) != 0;
    case JSON_ARRAY:
        return json_array_size(v) > 0;
    case JSON_OBJECT:
        return json_object_size(v) > 0;
    default:
        return false;
    }
}

/* Features of peft that change the result and that nothing here computes. */
static const struct feature {
    const char *key;
    const char *what;
} features[] = {
    {"use_qalora", "QALoRA"},
    {"layer_replication", "replicated layers"},
    {"alora_invocation_tokens", "activated LoRA"},
    {"arrow_config", "Arrow routing"},
    {"use_bdlora", "block-diagonal LoRA"},
    {"kasa_config", "KaSA"},
    {"velora_config", "VeLoRA"},
    {"monteclora_config", "MonteCLoRA"},
    {"megatron_config", "Megatron layers"},
};

/* Keys that are read elsewhere or that do not change what an adapter computes. */
static const char *const known_keys[] = {
    "peft_type",         "r",
    "lora_alpha",        "target_modules",
    "exclude_modules",   "layers_to_transform",
    "layers_pattern",    "rank_pattern",
    "alpha_pattern",     "use_rslora",
    "fan_in_fan_out",    "bias",
    "init_lora_weights", "base_model_name_or_path",
    "auto_mapping",      "task_type",
    "revision",          "inference_mode",
    "peft_version",      "lora_dropout",
    "megatron_core",     "loftq_config",
    "eva_config",        "corda_config",
    "lora_ga_config",    "qalora_group_size",
    "runtime_config",    "ensure_weight_tying",
    "merge_weights",     "unsloth_fixed",
    "use_dora",          "lora_bias",
    "modules_to_save",   "trainable_token_indices",
    "target_parameters",
};

static int32_t check_features(const json_t *root, inf_error *err)
{
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if (peft_is_set(json_object_get(root, features[i].key)))
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             CONFIG_NAME ": \"%s\" (%s) is not supported; train without it, or "
                                         "merge the adapter into the base model",
                             features[i].key, features[i].what);
    return INF_OK;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < sizeof known_keys / sizeof known_keys[0]; i++)
        if (strcmp(known_keys[i], key) == 0)
            return true;
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if (strcmp(features[i].key, key) == 0)
            return true;
    return false;
}

static int32_t check_unknown(json_t *root, inf_error *err)
{
    const char *key = NULL;
    json_t *v = NULL;

    json_object_foreach(root, key, v)
    {
        bool feature = json_is_true(v) || json_is_object(v) || json_is_array(v);

        if (feature && peft_is_set(v) && !is_known(key))
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             CONFIG_NAME ": \"%.100s\" is not known here and may change the "
                                         "result; remove it if it does not",
                             key);
    }
    return INF_OK;
}

static int32_t check_type(const json_t *root, inf_error *err)
{
    const json_t *type = json_object_get(root, "peft_type");

    if (!json_is_string(type))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         CONFIG_NAME ": \"peft_type\" is missing; is this a PEFT adapter?");
    if (strcmp(json_string_value(type), "LORA") != 0)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         CONFIG_NAME ": peft_type %.60s is not supported; only LORA is",
                         json_string_value(type));
    return INF_OK;
}

static int32_t check_bias(const json_t *root, inf_error *err)
{
    static const char *const modes[] = {"none", "all", "lora_only"};
    const json_t *bias = json_object_get(root, "bias");

    if (bias && !json_is_null(bias) && !json_is_string(bias))
        return error_set(err, INF_ERROR_BAD_FORMAT, CONFIG_NAME ": \"bias\" must be a text");
    for (size_t i = 0; json_is_string(bias) && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(json_string_value(bias), modes[i]) == 0)
            return INF_OK;
    if (!json_is_string(bias))
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     CONFIG_NAME
                     ": bias \"%.60s\" is not known here; \"none\", \"all\" and \"lora_only\" are",
                     json_string_value(bias));
}

/* Some ways to initialise also change the base weights: adapter and raw base do not go together
 * then, unless save_pretrained converted them (and wrote true here). */
static int32_t check_init(const json_t *root, inf_error *err)
{
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal", "mica"};
    static const char *const convertible[] = {"pissa", "olora", "corda", "lora_ga"};
    const char *name = json_string_value(json_object_get(root, "init_lora_weights"));

    if (!name)
        return INF_OK;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strcmp(name, harmless[i]) == 0)
            return INF_OK;
    for (size_t i = 0; i < sizeof convertible / sizeof convertible[0]; i++)
        if (strncasecmp(name, convertible[i], strlen(convertible[i])) == 0)
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             CONFIG_NAME
                             ": init_lora_weights \"%.60s\" changes the base model too; save "
                             "the adapter with path_initial_model_for_weight_conversion",
                             name);
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     CONFIG_NAME
                     ": init_lora_weights \"%.60s\" is not supported; merge the adapter "
                     "into the base model it was trained on",
                     name);
}

int32_t peft_check_features(json_t *root, inf_error *err)
{
    int32_t code = check_type(root, err);

    if (code == INF_OK)
        code = check_features(root, err);
    if (code == INF_OK)
        code = check_bias(root, err);
    if (code == INF_OK)
        code = check_init(root, err);
    return code == INF_OK ? check_unknown(root, err) : code;
}
