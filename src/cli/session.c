/* session: the context, the provider and the adapters of one run of the command. */
#include "cli/session.h"

#include "cli/flag_names.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ------------------------------------------------------------------ log */

static void log_line(void *user_data, int32_t level, const char *line)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    char text[1024];

    (void)user_data;
    name_flags(text, sizeof text, line, NULL);
    make_one_line(text);
    clear_progress();
    fprintf(stderr, "inference: %s: %s\n", names[level], text);
}

int32_t session_open_context(struct session *session, const struct settings *s, inf_error *err)
{
    inf_context_options options;

    memset(session, 0, sizeof *session);
    if (s->quiet)
        output_be_quiet();
    inf_context_options_default(&options, sizeof options);
    options.log = log_line;
    options.log_level = s->verbose ? INF_LOG_DEBUG : s->quiet ? INF_LOG_ERROR : INF_LOG_WARNING;
    return inf_context_create(&session->context, &options, err);
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
    return inf_provider_get(&never, context, told, NULL, NULL, err); /* says which there are */
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);

    return value && *value;
}

/* A name that is a file's or a folder's: no server's model is called so. */
static bool looks_like_file(const char *model)
{
    static const char *const endings[] = {".gguf", ".ggf", ".ggml", ".safetensors", ".bin",
                                          ".pt",   ".pth", ".json", ".onnx"};
    const char *dot = strrchr(model, '.');

    if (strchr("/.~", model[0]))
        return true;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* -m or a server is missing. Some commands run in process alone. */
static int32_t nothing_named(const struct settings *s, const inf_provider_info *info,
                             inf_error *err)
{
    if (s->command & IN_PROCESS_COMMANDS)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "no model is given: -m names a GGUF file or a checkpoint's directory");
    if (s->command == COMMAND_ADAPTERS)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "no model and no server is given: -m FILE.gguf checks an adapter "
                             "against a model here, -u URL asks a server, -p %s the one at %s",
                             info->name, info->default_url);
    return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                         "no model and no server is given: -m FILE.gguf runs a model here, -u "
                         "URL asks a server, -p %s the one at %s",
                         info->name, info->default_url);
}

/* Text does not go to a server that nobody named without a word. */
static int32_t check_guess(struct session *session, const struct settings *s,
                           const inf_provider_info *info, inf_error *err)
{
    const char *model = s->model.data;

    if (!model)
        return is_set("INFERENCE_PROVIDER") && !(s->command & IN_PROCESS_COMMANDS)
                   ? INF_OK
                   : nothing_named(s, info, err);
    if (s->command & IN_PROCESS_COMMANDS)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "-m %s is no GGUF file or checkpoint's directory here, nor in the "
                             "local hub cache, where \"hf download\" puts a model",
                             model);
    if (looks_like_file(model))
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "-m %s is no file or directory here; should it be the name that a "
                             "server has for a model, -u or -p says which server",
                             model);
    session->is_guess = s->quiet;
    warn("-m %s is no file or directory here, nor in the local hub cache; %s at %s is asked for a "
         "model of that name: -u or -p says which server is meant",
         model, info->name, info->default_url);
    return INF_OK;
}

/* Options that the provider has no use for, at their defaults too. */
static int32_t check_flags(const struct settings *s, const inf_provider_info *info, inf_error *err)
{
    const char *flag = options_typed_useless(info->in_process);
    bool is_told = s->provider.data || s->url.len;

    if (!flag)
        return INF_OK;
    if (!info->in_process && !is_told && s->model.data)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "%s is for a model that runs here, and -m %s is no file or directory "
                             "here, nor in the local hub cache",
                             flag, s->model.data);
    return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: the %s provider has no use for it, since it %s", flag, info->name,
                         info->in_process ? "runs in process" : "is a server");
}

static int32_t check_server(struct session *session, const struct settings *s,
                            const inf_provider_info *info, inf_error *err)
{
    /* That it cannot, where it cannot, the provider says. */
    bool is_named = s->provider.data || s->url.len ||
                    (is_set(info->url_variable) && !(s->command & IN_PROCESS_COMMANDS));

    if (!is_named && !s->model.data && check_guess(session, s, info, err) != INF_OK)
        return err->code;
    if (check_flags(s, info, err) != INF_OK)
        return err->code;
    return is_named || !s->model.data ? INF_OK : check_guess(session, s, info, err);
}

/* ------------------------------------------------------------------ what is said of its options */

/* The window a model was trained with, or 0. A file that cannot be read is an error of the load. */
static json_int_t trained_window(struct session *session, const char *path)
{
    inf_op *op = NULL;
    inf_text text = {NULL, 0};
    json_t *model = NULL;
    json_int_t n = 0;

    if (session_text(&op, inf_inspect_start(&op, session->context, path, NULL, NULL, NULL), &text,
                     NULL) == INF_OK)
        model = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    n = json_integer_value(json_object_get(model, "n_ctx_train"));
    json_decref(model);
    inf_op_release(op);
    return n;
}

static void check_window(struct session *session, const struct settings *s)
{
    json_int_t trained = 0;
    char flag[FLAG_SIZE];

    if (options_typed_flag("ctx", flag) && s->config.n_ctx > 0)
        trained = trained_window(session, inf_provider_base_url(session->provider));
    if (trained > 0 && s->config.n_ctx > trained)
        warn("--ctx %d: the model was trained on %lld tokens; beyond those it may answer badly",
             s->config.n_ctx, (long long)trained);
}

/* ------------------------------------------------------------------ its configuration */

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
    return INF_OK;
}

/* How servers are spoken to. */
static int32_t set_server(inf_provider_config *c, const struct settings *s, inf_error *err)
{
    if (s->connect_timeout.is_set)
        c->connect_timeout_ms = s->connect_timeout.value;
    if (s->silence_timeout.is_set)
        c->silence_timeout_ms = s->silence_timeout.value;
    if (request_check_time("connect_timeout_ms", s->connect_timeout, err) != INF_OK)
        return err->code;
    return request_check_time("silence_timeout_ms", s->silence_timeout, err);
}

static int32_t set_config(inf_provider_config *c, const struct settings *s, bool in_process,
                          int32_t queue_limit, inf_error *err)
{
    char flag[FLAG_SIZE];

    *c = s->config;
    c->base_url = s->url.len ? s->url.data : in_process ? s->model.data : NULL;
    if (in_process && queue_limit && !options_typed_flag("queue-limit", flag))
        c->queue_limit = queue_limit;
    c->device = s->device.data;
    c->dtype = s->dtype.data;
    return set_server(c, s, err) == INF_OK ? set_limits(c, s, err) : err->code;
}

int32_t session_open(struct session *session, struct settings *s, int32_t queue_limit,
                     inf_error *err)
{
    inf_provider_config config;
    inf_provider_info info;
    int32_t code = session_open_context(session, s, err);

    if (code == INF_OK)
        code = find_type(&info, type_name(s), session->context, err);
    if (code == INF_OK && info.in_process && s->url.len && s->model.data)
        code = command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "-m %s and -u %s both name the model; give one", s->model.data,
                             s->url.data);
    if (code == INF_OK)
        code = info.in_process ? check_flags(s, &info, err) : check_server(session, s, &info, err);
    if (code == INF_OK) {
        session->in_process = info.in_process;
        session->model = s->model.data;
        if (!s->url.len && !info.in_process && is_set(info.url_variable))
            flag_names_url_from(info.url_variable);
        code = set_config(&config, s, info.in_process, queue_limit, err);
        config.type = info.type;
    }
    if (code == INF_OK)
        code = inf_provider_create(&session->provider, session->context, &config, err);
    if (code == INF_OK && info.in_process)
        check_window(session, s);
    return code;
}

/* ------------------------------------------------------------------ adapters */

int32_t session_wait(inf_op *const *op, int32_t code, inf_error *err)
{
    if (code != INF_OK)
        return code;
    interrupt_watch(*op);
    code = inf_op_wait(*op, -1, err);
    interrupt_watch(NULL);
    return code;
}

int32_t session_text(inf_op *const *op, int32_t code, inf_text *out, inf_error *err)
{
    code = session_wait(op, code, err);
    return code == INF_OK ? inf_op_text(*op, out) : code;
}

int32_t session_load_adapter(struct session *session, inf_text id_and_path, inf_op **out,
                             inf_error *err)
{
    const char *equals = strchr(id_and_path.data, '=');
    inf_adapter_source source;
    char *id = NULL;
    int32_t code = INF_OK;

    *out = NULL;
    id = strndup(id_and_path.data, (size_t)(equals - id_and_path.data));
    if (!id)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    inf_adapter_source_default(&source, sizeof source);
    source.path = equals + 1;
    code = session_wait(out, inf_adapter_load_start(out, session->provider, id, &source, NULL, err),
                        err);
    free(id);
    return code;
}

static int32_t remember(struct session *session, const inf_op *op, inf_error *err)
{
    inf_adapter_report report;
    struct loaded *loaded = realloc(session->loaded, (session->n_loaded + 1) * sizeof *loaded);
    char *id = NULL;

    if (loaded) {
        session->loaded = loaded;
        if (inf_op_adapter_report(op, &report, sizeof report) == INF_OK)
            id = strndup(report.id.data, report.id.len);
    }
    if (!id)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    loaded[session->n_loaded++] = (struct loaded){.id = id};
    return INF_OK;
}

/* A load that took another adapter's place, or made others go, is no secret. */
static void tell_of_others(const inf_op *op)
{
    inf_adapter_report report;

    if (inf_op_adapter_report(op, &report, sizeof report) != INF_OK)
        return;
    if (report.replaced)
        warn("--load: '%.*s' was loaded before; the later one counts", (int)report.id.len,
             report.id.data);
    if (report.evicted.len)
        warn("--load: made room for '%.*s' by unloading %.*s", (int)report.id.len, report.id.data,
             (int)report.evicted.len, report.evicted.data);
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

static bool is_text(const char *id, inf_text text)
{
    return strlen(id) == text.len && memcmp(id, text.data, text.len) == 0;
}

static bool named_again(const struct session *session, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(session->loaded[i].id, session->loaded[index].id) == 0)
            return true;
    return false;
}

void session_uses(struct session *session, const struct settings *s)
{
    for (size_t i = 0; i < session->n_loaded; i++)
        for (size_t k = 0; k < s->adapters.n; k++)
            if (is_text(session->loaded[i].id, s->adapters.items[k].id))
                session->loaded[i].is_used = true;
}

/* After an interrupt, which is why it may be called, the unload goes on all the same. */
int32_t session_unload(struct session *session, const char *id, inf_error *err)
{
    inf_op *op = NULL;
    int32_t code = INF_OK;

    if (interrupted())
        return inf_adapter_unload(session->provider, id, err);
    code = session_wait(&op, inf_adapter_unload_start(&op, session->provider, id, NULL, err), err);
    inf_op_release(op);
    return code;
}

static void unload_all(struct session *session, inf_error *err)
{
    inf_error failed = {0};

    for (size_t i = 0; i < session->n_loaded; i++) {
        const struct loaded *one = &session->loaded[i];

        if (named_again(session, i))
            continue;
        if (!one->is_used && err->code == INF_OK)
            warn("--load %s: no request used it; --adapter %s does", one->id, one->id);
        session_unload(session, one->id, &failed);
        if (failed.code != INF_OK && failed.code != INF_ERROR_NOT_FOUND && /* evicted */
            err->code == INF_OK)
            *err = failed;
    }
}

/* Whoever mistyped a file's name did not expect a server. */
static void explain(const struct session *session, inf_error *err)
{
    char message[sizeof err->message];

    if (!session->is_guess || !session->model || err->code != INF_ERROR_CONNECTION)
        return;
    memcpy(message, err->message, sizeof message);
    command_error(err, err->code, "%.300s; -m %.100s is no file here", message, session->model);
}

void session_close(struct session *session, inf_error *err)
{
    clear_progress();
    explain(session, err);
    unload_all(session, err);
    for (size_t i = 0; i < session->n_loaded; i++)
        free(session->loaded[i].id);
    free(session->loaded);
    inf_provider_release(session->provider);
    inf_context_close(session->context, NULL);
    memset(session, 0, sizeof *session);
}
