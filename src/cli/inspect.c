/* inspect: what a model or an adapter is. */
#include "cli/commands.h"
#include "cli/message.h"
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

int check_inspect(const struct command *command, const struct settings *s)
{
    if (s->n_arguments != 1)
        return usage_error(command, s->n_arguments ? "one PATH at a time" : "PATH is missing");
    if (!*s->arguments[0])
        return usage_error(command, "PATH is empty; give a GGUF file or a PEFT directory");
    return 0;
}

void run_inspect(struct session *session, struct settings *s, inf_error *err)
{
    inf_op *op = NULL;
    inf_text text;
    int32_t code = session_open_context(session, s, err);

    if (code == INF_OK)
        code = inf_inspect_start(&op, session->context, s->arguments[0], s->base.data, NULL, err);
    if (session_text(&op, code, &text, err) == INF_OK)
        print(text, s->json, err);
    inf_op_release(op);
}
