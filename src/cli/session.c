/* session: the context, the provider and the adapters of one run of the command. */
#include "cli/session.h"

#include "cli/input.h"
#include "cli/interrupt.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ progress, log */

static atomic_bool bar_shown;

void clear_progress(void)
{
    if (atomic_exchange(&bar_shown, false))
        fputs("\r\033[K", stderr);
}

void show_progress(void *user_data, inf_op *op, float fraction)
{
    enum { WIDTH = 30 };
    static const char full[] = "##############################";
    int n = (int)(fraction * WIDTH);

    (void)user_data;
    (void)op;
    if (!isatty(STDERR_FILENO))
        return;
    if (fraction >= 1) {
        clear_progress();
        return;
    }
    atomic_store(&bar_shown, true);
    fprintf(stderr, "\rloading [%.*s%*s] %3d%%", n, full, WIDTH - n, "", (int)(fraction * 100));
}

static void log_line(void *user_data, int32_t level, const char *line)
{
    (void)user_data;
    clear_progress();
    fprintf(stderr, "inference: %s: %s\n", level == INF_LOG_ERROR ? "error" : "warning", line);
}

/* ------------------------------------------------------------------ which provider */

static const char *type_name(const struct settings *s)
{
    int32_t told = inf_provider_type_of_model(s->model.data);

    return s->provider.data ? s->provider.data : told ? inf_provider_type_name(told) : NULL;
}

/* What is known of the provider that -p, -m or the environment name. */
static int32_t find_type(inf_provider_info *out, const char *name, inf_context *context,
                         inf_error *err)
{
    const char *told = name ? name : getenv("INFERENCE_PROVIDER");
    inf_provider *never = NULL;
    int32_t type = 1; /* the default */

    while (told && *told && inf_provider_type_name(type) &&
           strcasecmp(told, inf_provider_type_name(type)) != 0)
        type++;
    if (inf_provider_type_info(out, sizeof *out, type) == INF_OK)
        return INF_OK;
    return inf_provider_get(&never, context, told, NULL, err); /* says which there are */
}

/* ------------------------------------------------------------------ its configuration */

static bool text_is(inf_text text, const char *value)
{
    return text.data && strcmp(text.data, value) == 0;
}

static void set_i32(int32_t *field, inf_maybe_i32 value)
{
    if (value.is_set)
        *field = value.value;
}

static int32_t set_limits(inf_provider_config *c, const struct settings *s, inf_error *err)
{
    if (s->kv_budget.is_set && s->kv_budget.value > UINT64_MAX >> 20)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT, "--kv-budget %llu is too large",
                             (unsigned long long)s->kv_budget.value);
    if (s->kv_budget.is_set)
        c->kv_budget_bytes = s->kv_budget.value << 20;
    if (s->max_adapters.is_set)
        c->max_adapters = s->max_adapters.value;
    if (s->max_adapter_bytes.is_set)
        c->max_adapter_bytes = s->max_adapter_bytes.value;
    if (text_is(s->adapter_overflow, "evict"))
        c->adapter_overflow = INF_ADAPTER_OVERFLOW_EVICT;
    return INF_OK;
}

static int32_t set_config(inf_provider_config *c, const struct settings *s, bool in_process,
                          int32_t queue_limit, inf_error *err)
{
    c->base_url = s->url.len ? s->url.data : in_process ? s->model.data : NULL;
    set_i32(&c->n_ctx, s->ctx);
    set_i32(&c->n_gpu_layers, s->gpu_layers);
    set_i32(&c->n_threads, s->threads);
    set_i32(&c->max_sequences, s->max_sequences);
    set_i32(&c->prefill_chunk, s->prefill_chunk);
    if (in_process && queue_limit)
        c->queue_limit = queue_limit;
    set_i32(&c->queue_limit, s->queue_limit);
    if (s->flash_attention.data)
        c->flash_attention = text_is(s->flash_attention, "on")    ? INF_FLASH_ATTENTION_ON
                             : text_is(s->flash_attention, "off") ? INF_FLASH_ATTENTION_OFF
                                                                  : INF_FLASH_ATTENTION_AUTO;
    if (s->adapter_execution.data)
        c->adapter_execution = text_is(s->adapter_execution, "shared")   ? INF_ADAPTERS_SHARED
                               : text_is(s->adapter_execution, "native") ? INF_ADAPTERS_NATIVE
                                                                         : INF_ADAPTERS_AUTO;
    c->device = s->device.data;
    c->dtype = s->dtype.data;
    return set_limits(c, s, err);
}

int32_t session_open_context(struct session *session, inf_error *err)
{
    inf_context_options options;

    memset(session, 0, sizeof *session);
    inf_context_options_default(&options, sizeof options);
    options.log = log_line;
    return inf_context_create(&session->context, &options, err);
}

int32_t session_open(struct session *session, struct settings *s, int32_t queue_limit,
                     inf_error *err)
{
    inf_provider_config config;
    inf_provider_info info;
    int32_t code = session_open_context(session, err);

    inf_provider_config_default(&config, sizeof config);
    if (code == INF_OK)
        code = find_type(&info, type_name(s), session->context, err);
    if (code == INF_OK && info.in_process && s->url.len && s->model.data)
        code = command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "-m %s and -u %s both name the model; give one", s->model.data,
                             s->url.data);
    if (code == INF_OK) {
        config.type = info.type;
        code = set_config(&config, s, info.in_process, queue_limit, err);
    }
    if (code == INF_OK)
        code = inf_provider_create(&session->provider, session->context, &config, err);
    return code;
}

/* ------------------------------------------------------------------ adapters */

int32_t session_wait(inf_op *op, inf_error *err)
{
    int32_t code = INF_OK;

    interrupt_watch(op);
    code = inf_op_wait(op, -1, err);
    interrupt_watch(NULL);
    return code;
}

int32_t session_load_adapter(struct session *session, inf_text id_and_path, inf_op **out,
                             inf_error *err)
{
    const char *equals = memchr(id_and_path.data, '=', id_and_path.len);
    inf_adapter_source source;
    char *id = NULL;
    int32_t code = INF_OK;

    *out = NULL;
    if (!equals || equals == id_and_path.data || equals[1] == '\0')
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "'%s' is not ID=PATH, such as pirate=adapters/pirate",
                             id_and_path.data);
    id = strndup(id_and_path.data, (size_t)(equals - id_and_path.data));
    if (!id)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    inf_adapter_source_default(&source, sizeof source);
    source.path = equals + 1;
    code = inf_adapter_load_start(out, session->provider, id, &source, NULL, err);
    if (code == INF_OK)
        code = session_wait(*out, err);
    free(id);
    return code;
}

static int32_t remember(struct session *session, const inf_op *op, inf_error *err)
{
    inf_adapter_report report;
    char **loaded = realloc(session->loaded, (session->n_loaded + 1) * sizeof *loaded);
    char *id = NULL;

    if (loaded) {
        session->loaded = loaded;
        if (inf_op_adapter_report(op, &report, sizeof report) == INF_OK)
            id = strndup(report.id.data, report.id.len);
    }
    if (!id)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    loaded[session->n_loaded++] = id;
    return INF_OK;
}

/* A load that took another adapter's place, or made others go, is no secret. */
static void tell_of_others(const inf_op *op)
{
    inf_adapter_report report;

    if (inf_op_adapter_report(op, &report, sizeof report) != INF_OK)
        return;
    if (report.replaced)
        fprintf(stderr,
                "inference: warning: --load: '%.*s' was loaded before; the later one counts\n",
                (int)report.id.len, report.id.data);
    if (report.evicted.len)
        fprintf(stderr, "inference: warning: --load: made room for '%.*s' by unloading %.*s\n",
                (int)report.id.len, report.id.data, (int)report.evicted.len, report.evicted.data);
}

int32_t session_load(struct session *session, const struct settings *s, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < s->load.n && code == INF_OK; i++) {
        inf_op *op = NULL;

        code = session_load_adapter(session, s->load.items[i], &op, err);
        if (code == INF_OK)
            code = remember(session, op, err);
        if (code == INF_OK)
            tell_of_others(op);
        inf_op_release(op);
    }
    return code;
}

static bool named_again(const struct session *session, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(session->loaded[i], session->loaded[index]) == 0)
            return true;
    return false;
}

/* After an interrupt, which is why it may be called, the unload goes on all the same. */
int32_t session_unload(struct session *session, const char *id, inf_error *err)
{
    inf_op *op = NULL;
    int32_t code = INF_OK;

    if (interrupted())
        return inf_adapter_unload(session->provider, id, err);
    code = inf_adapter_unload_start(&op, session->provider, id, NULL, err);
    if (code == INF_OK)
        code = session_wait(op, err);
    inf_op_release(op);
    return code;
}

void session_close(struct session *session, inf_error *err)
{
    inf_error failed = {0};

    clear_progress();
    for (size_t i = 0; i < session->n_loaded; i++) {
        if (named_again(session, i))
            continue;
        session_unload(session, session->loaded[i], &failed);
        if (failed.code != INF_OK && failed.code != INF_ERROR_NOT_FOUND && /* evicted */
            err->code == INF_OK)
            *err = failed;
    }
    for (size_t i = 0; i < session->n_loaded; i++)
        free(session->loaded[i]);
    free(session->loaded);
    inf_provider_release(session->provider);
    inf_context_close(session->context, NULL);
    memset(session, 0, sizeof *session);
}
