/*
 * config: a provider's configuration: defaults, ranges, which providers have a use for a field, copies
 * and comparison. One table has every field but type and base_url.
 */
#include "core/config.h"

#include "core/memory.h"
#include "core/structs.h"

#include <string.h>

void inf_provider_config_default(inf_provider_config *config, size_t size)
{
    inf_provider_config defaults = {.struct_size = sizeof defaults,
                                    .n_ctx = 4096,
                                    .n_gpu_layers = -1,
                                    .max_sequences = 16,
                                    .queue_limit = 1024,
                                    .prefill_chunk = 128,
                                    .kv_budget_bytes = UINT64_C(4) << 30,
                                    .connect_timeout_ms = 5000,
                                    .silence_timeout_ms = 60000,
                                    .max_retries = 2,
                                    .max_connections = CONFIG_MAX_CONNECTIONS};

    struct_write(config, size, &defaults, sizeof defaults);
}

/* Which providers have a use for a field. */
enum part { EVERYWHERE, IN_PROCESS, SERVER };

enum kind {
    INTEGER,
    BOUND, /* an integer, or -1 for no bound */
    TEXT
};

struct config_field {
    const char *name;
    size_t offset, size;
    enum part part;
    enum kind kind;
    int64_t low, high; /* of an integer */
};

#define ROW(field, part, kind, low, high)                                                          \
    {#field,                                                                                       \
     offsetof(inf_provider_config, field),                                                         \
     sizeof((inf_provider_config *)0)->field,                                                      \
     part,                                                                                         \
     kind,                                                                                         \
     low,                                                                                          \
     high}
#define FIELD(field, part, low, high) ROW(field, part, INTEGER, low, high)
#define POINTER(field, part) ROW(field, part, TEXT, 0, 0)

static const struct config_field config_fields[] = {
    POINTER(device, IN_PROCESS), /* before what it sets */
    POINTER(dtype, IN_PROCESS),
    FIELD(n_ctx, IN_PROCESS, 16, 1 << 24),
    FIELD(n_gpu_layers, IN_PROCESS, -1, 1 << 20),
    FIELD(n_threads, IN_PROCESS, 0, 512),
    FIELD(max_sequences, IN_PROCESS, 1, 64),
    FIELD(queue_limit, IN_PROCESS, 0, 1 << 24),
    FIELD(prefill_chunk, IN_PROCESS, 1, 1 << 20),
    FIELD(flash_attention, IN_PROCESS, 0, INF_FLASH_ATTENTION_OFF),
    FIELD(adapter_execution, IN_PROCESS, 0, INF_ADAPTERS_NATIVE),
    FIELD(kv_budget_bytes, IN_PROCESS, 1, INT64_MAX),
    FIELD(max_adapters, IN_PROCESS, 0, INT64_MAX),
    FIELD(max_adapter_bytes, IN_PROCESS, 0, INT64_MAX),
    FIELD(adapter_overflow, IN_PROCESS, 0, INF_ADAPTER_OVERFLOW_EVICT),
    FIELD(reserved, EVERYWHERE, 0, 0),
    POINTER(api_key, SERVER),
    POINTER(headers, SERVER),
    ROW(connect_timeout_ms, SERVER, BOUND, 1, INT32_MAX),
    ROW(silence_timeout_ms, SERVER, BOUND, 1, INT32_MAX),
    FIELD(max_retries, SERVER, 0, 10),
    FIELD(adapter_check, SERVER, 0, INF_ADAPTER_CHECK_NEVER),
    FIELD(max_connections, SERVER, 1, 65536),
    FIELD(reserved2, EVERYWHERE, 0, 0),
};

static int64_t integer_at(const inf_provider_config *c, const struct config_field *f)
{
    const char *at = (const char *)c + f->offset;
    int32_t narrow = 0;
    int64_t wide = 0;

    if (f->size == sizeof wide)
        memcpy(&wide, at, sizeof wide);
    else
        memcpy(&narrow, at, sizeof narrow);
    return f->size == sizeof wide ? wide : narrow;
}

static int32_t check_field(const inf_provider_config *c, const inf_provider_config *defaults,
                           const struct config_field *f, const struct provider_ops *ops,
                           inf_error *err)
{
    bool changed = memcmp((const char *)c + f->offset, (const char *)defaults + f->offset,
                          f->size) != 0;
    int64_t value = 0;

    if (changed && f->part == (ops->in_process ? SERVER : IN_PROCESS))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: the %s provider has no use for it, since it %s", f->name, ops->name,
                         ops->in_process ? "runs in process" : "is a server");
    if (f->kind == TEXT)
        return INF_OK;
    value = integer_at(c, f);
    if ((value >= f->low && value <= f->high) || (f->kind == BOUND && value == -1))
        return INF_OK;
    if (f->kind == BOUND)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, value,
                                "%s: %lld is not in %lld..%lld, nor -1, no limit", f->name,
                                (long long)value, (long long)f->low, (long long)f->high);
    if (f->high == INT64_MAX)
        return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, value,
                                "%s: %llu is not in %lld..2^63", f->name, (unsigned long long)value,
                                (long long)f->low);
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, value, "%s: %lld is not in %lld..%lld",
                            f->name, (long long)value, (long long)f->low, (long long)f->high);
}

#define N_FIELDS (sizeof config_fields / sizeof *config_fields)

int32_t config_check(inf_provider_config *c, const struct provider_ops *ops, inf_error *err)
{
    inf_provider_config defaults;
    int32_t code = INF_OK;

    inf_provider_config_default(&defaults, sizeof defaults);
    for (size_t i = 0; i < N_FIELDS && code == INF_OK; i++)
        code = check_field(c, &defaults, &config_fields[i], ops, err);
    return code == INF_OK && ops->check_config ? ops->check_config(c, err) : code;
}

/* ------------------------------------------------------------------ copies */

static const char *text_at(const inf_provider_config *c, const struct config_field *f)
{
    const char *text = NULL;

    memcpy(&text, (const char *)c + f->offset, sizeof text);
    return text;
}

static void set_text(inf_provider_config *c, const struct config_field *f, const char *text)
{
    memcpy((char *)c + f->offset, &text, sizeof text);
}

void config_free(inf_provider_config *c)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (config_fields[i].kind == TEXT)
            mem_free((void *)(uintptr_t)text_at(c, &config_fields[i]));
    *c = (inf_provider_config){0};
}

int32_t config_copy(inf_provider_config *out, const inf_provider_config *c, inf_error *err)
{
    bool ok = true;

    *out = *c;
    out->base_url = NULL;
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *text = config_fields[i].kind == TEXT ? text_at(c, &config_fields[i]) : NULL;
        const char *copy = text ? mem_strdup(text) : NULL;

        if (config_fields[i].kind == TEXT)
            set_text(out, &config_fields[i], copy);
        ok = ok && (!text || copy);
    }
    if (ok)
        return INF_OK;
    config_free(out);
    return error_no_memory(err);
}

static bool is_same(const inf_provider_config *a, const inf_provider_config *b,
                    const struct config_field *f)
{
    const char *x = NULL;
    const char *y = NULL;

    if (f->kind != TEXT)
        return memcmp((const char *)a + f->offset, (const char *)b + f->offset, f->size) == 0;
    x = text_at(a, f);
    y = text_at(b, f);
    return x && y ? strcmp(x, y) == 0 : x == y;
}

int32_t config_compare(const inf_provider_config *made, const inf_provider_config *wanted,
                       inf_error *err)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (!is_same(made, wanted, &config_fields[i]))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "%s: the cached provider was made with another; evict it, or make one "
                             "of its own with inf_provider_create",
                             config_fields[i].name);
    return INF_OK;
}
