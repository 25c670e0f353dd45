/* adapters: list, load and unload. In process a load is a check: it ends with the process. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>

static void print_report(const inf_adapter_report *r, bool json)
{
    char line[512];
    int n = 0;

    if (json) {
        output_json(report_to_json(r));
        return;
    }
    if (r->n_modules == 0) /* a server's: this machine has not read it */
        n = snprintf(line, sizeof line, "%.*s: loaded by the server\n", (int)r->id.len, r->id.data);
    else
        n = snprintf(line, sizeof line,
                     "%.*s: %s, rank %d, scale %g, %d modules from %d tensors, %lld bytes\n",
                     (int)r->id.len, r->id.data, r->format == INF_ADAPTER_GGUF ? "GGUF" : "PEFT",
                     r->rank, (double)r->scale, r->n_modules, r->n_tensors, (long long)r->bytes);
    output_write(line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

/* One adapter a line: its name, whose it is, where it came from. */
static void print_server_adapter(json_t *entry, bool json)
{
    static const char *const whose[] = {"on the server", "tracked", "tracked, lost by the server"};
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *path = json_string_value(json_object_get(entry, "path"));
    bool tracked = json_is_true(json_object_get(entry, "tracked"));
    bool on_server = json_is_true(json_object_get(entry, "on_server"));

    if (json) {
        output_json(json_incref(entry));
        return;
    }
    output_write(name ? name : "", name ? strlen(name) : 0);
    output_write("\t", 1);
    path = path ? path : "";
    name = whose[!tracked ? 0 : on_server ? 1 : 2];
    output_write(name, strlen(name));
    output_write("\t", 1);
    output_write(path, strlen(path));
    output_write("\n", 1);
}

/* What the servers have, asked now: another process's adapters too. UNSUPPORTED: the provider is no
 * server with adapters, and nothing was printed. */
static int32_t list_servers(struct session *session, const struct settings *s, inf_error *err)
{
    inf_text text = {NULL, 0};
    inf_op *op = NULL;
    json_t *all = NULL;
    int32_t code = session_text(&op, inf_server_adapters_start(&op, session->provider, NULL, err),
                                &text, err);

    if (code == INF_OK)
        all = json_loadb(text.data, text.len, 0, NULL);
    for (size_t i = 0; i < json_array_size(all); i++)
        print_server_adapter(json_array_get(all, i), s->json);
    json_decref(all);
    inf_op_release(op);
    return code;
}

static int32_t list(struct session *session, const struct settings *s, inf_error *err)
{
    inf_adapter_list *adapters = NULL;
    int32_t code = list_servers(session, s, err);

    if (code != INF_ERROR_UNSUPPORTED)
        return code;
    code = inf_adapters(&adapters, session->provider, err);

    for (size_t i = 0; i < inf_adapter_list_count(adapters); i++) {
        const char *id = inf_adapter_list_id(adapters, i);
        inf_adapter_report report;

        if (s->json && inf_adapter_list_report(adapters, i, &report, sizeof report) == INF_OK) {
            output_json(report_to_json(&report));
        } else {
            output_write(id, strlen(id));
            output_write("\n", 1);
        }
    }
    inf_adapter_list_free(adapters);
    return code;
}

static int32_t load(struct session *session, const struct settings *s, inf_error *err)
{
    inf_adapter_report report;
    inf_op *op = NULL;
    int32_t code = session_load_adapter(session, inf_str(s->arguments[1]), &op, err);

    if (code == INF_OK && inf_op_adapter_report(op, &report, sizeof report) == INF_OK)
        print_report(&report, s->json);
    inf_op_release(op);
    return code;
}

int check_adapters(const struct command *command, const struct settings *s)
{
    static const char *const actions[] = {"list", "load", "unload"};
    struct suggestion best = {0};
    const char *action = s->n_arguments ? s->arguments[0] : "";
    bool is_list = strcmp(action, "list") == 0;
    size_t wanted = is_list ? 1 : 2;

    if (!is_list && strcmp(action, "load") != 0 && strcmp(action, "unload") != 0) {
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
            suggest(&best, action, strlen(action), actions[i]);
        if (best.name)
            return usage_error(command, "no action '%s'; did you mean %s?", action, best.name);
        return usage_error(command, "list, load or unload, not '%s'", action);
    }
    if (s->n_arguments < wanted)
        return usage_error(command, "%s needs %s", action, action[0] == 'l' ? "ID=PATH" : "an ID");
    if (action[0] == 'l' && !is_list && !is_id_and_path(s->arguments[1]))
        return usage_error(command, "'%s' is not ID=PATH, such as pirate=adapters/pirate",
                           s->arguments[1]);
    if (s->n_arguments > wanted)
        return usage_error(command, "'%s' is too much", s->arguments[wanted]);
    return 0;
}

void run_adapters(struct session *session, struct settings *s, inf_error *err)
{
    if (session_open(session, s, 0, err) != INF_OK)
        return;
    if (strcmp(s->arguments[0], "list") == 0)
        list(session, s, err);
    else if (strcmp(s->arguments[0], "load") == 0)
        load(session, s, err);
    else
        session_unload(session, s->arguments[1], err);
}
