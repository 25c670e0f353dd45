/* inspect: what a model or an adapter is. */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

/* A name in the file may hold a NUL. */
static int32_t print(inf_text description, bool compact, inf_error *err)
{
    json_t *object = json_loadb(description.data, description.len, JSON_ALLOW_NUL, NULL);
    char *text = NULL;

    if (object && compact) {
        output_json(object);
        return INF_OK;
    }
    text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (!text)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    output_write(text, strlen(text));
    output_write("\n", 1);
    free(text);
    return INF_OK;
}

int command_inspect(const struct command *command, int argc, char **argv)
{
    struct settings s;
    struct session session = {0};
    inf_error err = {0};
    inf_op *op = NULL;
    inf_text text;
    int exit_code = settings_parse(&s, command, argc, argv);

    if (exit_code == 0 && s.n_arguments == 1 && !*s.arguments[0])
        exit_code = usage_error(command, "PATH is empty; give a GGUF file or a PEFT directory");
    if (exit_code == 0 && s.n_arguments != 1)
        exit_code = usage_error(command, s.n_arguments ? "one PATH at a time" : "PATH is missing");
    if (exit_code != 0) {
        settings_free(&s);
        return exit_code < 0 ? 0 : exit_code;
    }
    if (session_open_context(&session, &s, &err) == INF_OK &&
        inf_inspect_start(&op, session.context, s.arguments[0], s.base.data, NULL, &err) ==
            INF_OK &&
        session_wait(op, &err) == INF_OK && inf_op_text(op, &text) == INF_OK)
        print(text, s.json, &err);
    inf_op_release(op);
    if (err.code == INF_OK)
        output_error(&err);
    session_close(&session, &err);
    settings_free(&s);
    return err.code == INF_OK ? 0 : report_error(&err);
}
