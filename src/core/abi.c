/*
 * abi: the public header's structs and enumerators by name, for bindings that cannot read it. A test
 * reads the header and asks for each: nothing there can be forgotten here. Providers are among them since the
 * header numbers them; what a provider is, its row alone says.
 */
#include <inference/inference.h>

#include <string.h>

#define STRUCTS(X)                                                                                 \
    X(inf_error)                                                                                   \
    X(inf_text)                                                                                    \
    X(inf_maybe_i32)                                                                               \
    X(inf_maybe_u64)                                                                               \
    X(inf_maybe_f32)                                                                               \
    X(inf_maybe_bool)                                                                              \
    X(inf_context_options)                                                                         \
    X(inf_tool_call_delta)                                                                         \
    X(inf_chunk)                                                                                   \
    X(inf_callbacks)                                                                               \
    X(inf_event)                                                                                   \
    X(inf_provider_config)                                                                         \
    X(inf_provider_info)                                                                           \
    X(inf_provider_stats)                                                                          \
    X(inf_message)                                                                                 \
    X(inf_request_adapter)                                                                         \
    X(inf_request)                                                                                 \
    X(inf_alternative)                                                                             \
    X(inf_logprob)                                                                                 \
    X(inf_result_adapter)                                                                          \
    X(inf_timings)                                                                                 \
    X(inf_result)                                                                                  \
    X(inf_adapter_source)                                                                          \
    X(inf_adapter_report)                                                                          \
    X(inf_logits_request)                                                                          \
    X(inf_logits_result)

#define ENUMERATORS(X)                                                                             \
    X(INF_LOG_DEBUG)                                                                               \
    X(INF_LOG_INFO)                                                                                \
    X(INF_LOG_WARNING)                                                                             \
    X(INF_LOG_ERROR)                                                                               \
    X(INF_DELIVERY_CALLBACKS)                                                                      \
    X(INF_DELIVERY_QUEUE)                                                                          \
    X(INF_EVENT_TOKEN)                                                                             \
    X(INF_EVENT_PROGRESS)                                                                          \
    X(INF_EVENT_DONE)                                                                              \
    X(INF_EVENT_CLOSED)                                                                            \
    X(INF_PROVIDER_VLLM)                                                                           \
    X(INF_PROVIDER_OLLAMA)                                                                         \
    X(INF_PROVIDER_LLAMACPP)                                                                       \
    X(INF_PROVIDER_TRANSFORMERS)                                                                   \
    X(INF_FLASH_ATTENTION_AUTO)                                                                    \
    X(INF_FLASH_ATTENTION_ON)                                                                      \
    X(INF_FLASH_ATTENTION_OFF)                                                                     \
    X(INF_ADAPTERS_AUTO)                                                                           \
    X(INF_ADAPTERS_SHARED)                                                                         \
    X(INF_ADAPTERS_NATIVE)                                                                         \
    X(INF_ADAPTER_OVERFLOW_REFUSE)                                                                 \
    X(INF_ADAPTER_OVERFLOW_EVICT)                                                                  \
    X(INF_ADAPTER_CHECK_AUTO)                                                                      \
    X(INF_ADAPTER_CHECK_ALWAYS)                                                                    \
    X(INF_ADAPTER_CHECK_NEVER)                                                                     \
    X(INF_SPECULATE_AUTO)                                                                          \
    X(INF_SPECULATE_OFF)                                                                           \
    X(INF_SPECULATE_LOOKUP)                                                                        \
    X(INF_FINISH_NONE)                                                                             \
    X(INF_FINISH_STOP)                                                                             \
    X(INF_FINISH_LENGTH)                                                                           \
    X(INF_FINISH_TOOL_CALLS)                                                                       \
    X(INF_FINISH_CONTENT_FILTER)                                                                   \
    X(INF_FINISH_OTHER)                                                                            \
    X(INF_ADAPTER_PEFT)                                                                            \
    X(INF_ADAPTER_GGUF)

size_t inf_struct_size(const char *name)
{
#define SIZE_OF(type) {#type, sizeof(type)},
    static const struct {
        const char *name;
        size_t size;
    } structs[] = {STRUCTS(SIZE_OF)};

    for (size_t i = 0; name && i < sizeof structs / sizeof *structs; i++)
        if (strcmp(structs[i].name, name) == 0)
            return structs[i].size;
    return 0;
}

bool inf_enum_value(const char *name, int32_t *out)
{
#define VALUE_OF(enumerator) {#enumerator, enumerator},
#define VALUE_OF_ERROR(symbol, ...) {"INF_" #symbol, INF_##symbol},
    static const struct {
        const char *name;
        int32_t value;
    } enumerators[] = {ENUMERATORS(VALUE_OF) INF_ERROR_TABLE(VALUE_OF_ERROR)};

    for (size_t i = 0; name && out && i < sizeof enumerators / sizeof *enumerators; i++) {
        if (strcmp(enumerators[i].name, name) == 0) {
            *out = enumerators[i].value;
            return true;
        }
    }
    return false;
}
