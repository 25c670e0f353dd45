/* text: tokenize, detokenize and render, from standard input. They need no weights. */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/json_line.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input and its output. */
typedef int32_t (*convert_fn)(struct session *session, struct settings *s, inf_text input,
                              inf_error *err);

/* ------------------------------------------------------------------ tokenize */

static int32_t tokenize(struct session *session, struct settings *s, inf_text text, inf_error *err)
{
    inf_op *op = NULL;
    const int32_t *ids = NULL;
    size_t n = 0;
    int32_t code = inf_tokenize_start(&op, session->provider, text, !s->request.add_special.is_set,
                                      NULL, err);

    code = session_wait(&op, code, err);
    if (code == INF_OK)
        code = inf_op_tokens(op, &ids, &n);
    if (code == INF_OK)
        output_json(ids_to_json(ids, n));
    inf_op_release(op);
    return code;
}

static int32_t tokenize_json(struct session *session, struct settings *s, inf_text line,
                             inf_error *err)
{
    json_t *value = json_line_parse(line, "a JSON string", NULL, err);
    int32_t code = INF_OK;

    if (!value)
        return err->code;
    if (!json_is_string(value))
        code = command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "not a JSON string: another kind of value");
    else
        code = tokenize(session, s, (inf_text){json_string_value(value), json_string_length(value)},
                        err);
    json_decref(value);
    return code;
}

/* ------------------------------------------------------------------ detokenize */

static int32_t parse_ids(struct settings *s, inf_text text, struct id_list *out, inf_error *err)
{
    json_t *value = json_line_parse(without_mark(text), "a JSON array of ids", NULL, err);
    size_t n = json_array_size(value);
    int32_t code = INF_OK;

    if (!value)
        return err->code;
    out->items = settings_alloc(s, (n ? n : 1) * sizeof *out->items);
    out->n = n;
    if (!json_is_array(value))
        code = command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "not a JSON array of ids: another kind of value");
    else if (!out->items)
        code = command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n && code == INF_OK; i++) {
        json_t *item = json_array_get(value, i);
        json_int_t id = json_integer_value(item);

        if (!json_is_integer(item) || id < 0 || id > INT32_MAX)
            code = command_error(err, INF_ERROR_INVALID_ARGUMENT, "element %zu is no token id", i);
        else
            out->items[i] = (int32_t)id;
    }
    json_decref(value);
    return code;
}

static int32_t detokenize(struct session *session, struct settings *s, inf_text text,
                          inf_error *err)
{
    struct id_list ids = {NULL, 0};
    inf_op *op = NULL;
    inf_text out = {0};
    json_t *string = NULL;
    int32_t code = parse_ids(s, text, &ids, err);

    if (code == INF_OK)
        code = inf_detokenize_start(&op, session->provider, ids.items, ids.n, s->skip_special, NULL,
                                    err);
    code = session_text(&op, code, &out, err);
    if (code == INF_OK && s->jsonl)
        string = json_stringn(out.data ? out.data : "", out.len);
    if (string)
        output_json(string);
    else if (code == INF_OK && s->jsonl)
        code = command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "the bytes of these tokens are not UTF-8; without --jsonl they are "
                             "printed as they are");
    else if (code == INF_OK)
        output_write(out.data, out.len);
    inf_op_release(op);
    return code;
}

/* ------------------------------------------------------------------ render */

/* The messages as an object that says to go on with the last one; a copy, since a JSON library would write its
 * numbers anew. NULL: out of memory. */
static inf_text continued(struct settings *s, inf_text messages)
{
    static const char array[] = "{\"continue_final_message\":true,\"messages\":";
    static const char object[] = "{\"continue_final_message\":true,";
    size_t at = 0, n = 0, skip = 0;
    const char *before = array;
    char *text = NULL;
    bool is_object = false;

    while (at < messages.len && memchr(" \t\r\n", messages.data[at], 4))
        at++;
    is_object = at < messages.len && messages.data[at] == '{';
    before = is_object ? object : array;
    skip = is_object ? at + 1 : 0;
    n = strlen(before);
    text = settings_alloc(s, n + messages.len + 2);
    if (!text)
        return (inf_text){NULL, 0};
    memcpy(text, before, n);
    memcpy(text + n, messages.data + skip, messages.len - skip);
    n += messages.len - skip;
    if (!is_object)
        text[n++] = '}';
    return (inf_text){text, n};
}

static int32_t render(struct session *session, struct settings *s, inf_text messages,
                      inf_error *err)
{
    inf_op *op = NULL;
    inf_text out = {0};
    int32_t code = INF_OK;

    messages = without_mark(messages);
    if (s->request.continue_final_message)
        messages = continued(s, messages);
    if (!messages.data)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    code = inf_render_start(&op, session->provider, messages,
                            !s->no_generation_prompt && !s->request.continue_final_message, NULL,
                            err);
    code = session_text(&op, code, &out, err);
    if (code == INF_OK)
        output_write(out.data, out.len);
    inf_op_release(op);
    return code;
}

/* ------------------------------------------------------------------ all of them */

static int32_t convert_lines(struct session *session, struct settings *s, convert_fn convert,
                             inf_error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    size_t len = 0;
    int32_t code = INF_OK;

    for (size_t number = 1; code == INF_OK && output_flush() &&
                            input_line(&line, &capacity, &len, stdin, "standard input", err);
         number++) {
        inf_text text = {line, len};
        inf_error failed = {0};

        if (number == 1)
            text = without_mark(text);
        code = text.len ? convert(session, s, text, &failed) : INF_OK;
        if (code != INF_OK)
            command_error(err, code, "line %zu: %.400s", number, failed.message);
    }
    free(line);
    return code == INF_OK ? err->code : code;
}

int check_text(const struct command *command, const struct settings *s)
{
    return s->n_arguments
               ? usage_error(command, "'%s' is too much; the input comes from standard input",
                             s->arguments[0])
               : 0;
}

static void run(struct session *session, struct settings *s, convert_fn whole, convert_fn line,
                inf_error *err)
{
    inf_text input = {0};

    if (session_open(session, s, 0, err) != INF_OK)
        return;
    if (s->jsonl)
        convert_lines(session, s, line, err);
    else if (input_read(&input, s, "-", err) == INF_OK)
        whole(session, s, input, err);
}

void run_tokenize(struct session *session, struct settings *s, inf_error *err)
{
    run(session, s, tokenize, tokenize_json, err);
}

void run_detokenize(struct session *session, struct settings *s, inf_error *err)
{
    run(session, s, detokenize, detokenize, err);
}

void run_render(struct session *session, struct settings *s, inf_error *err)
{
    run(session, s, render, render, err);
}
