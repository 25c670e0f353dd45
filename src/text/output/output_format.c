/*
 * output_format: see the header.
 */
#include "text/output/output_format.h"

#include "core/ascii.h"

#include <string.h>

#define TOKEN(name) "<\xef\xbd\x9c" name "\xef\xbd\x9c>"
#define BLOCK "\xe2\x96\x81"

/* What tells a format: all of these in the template's source. First come, first taken. */
static const struct {
    const char *signs[3];
    struct output_format format;
} rows[] = {
    {{"<|channel|>", "<|message|>", "<|start|>"},
     {.shape = OUTPUT_CHANNELS,
      .markers = {"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>",
                  "<|call|>"}}},
    {{TOKEN("tool" BLOCK "call" BLOCK "begin")},
     {.shape = OUTPUT_TOKENS,
      .openers = {TOKEN("tool" BLOCK "calls" BLOCK "begin"),
                  TOKEN("tool" BLOCK "call" BLOCK "begin")},
      .markers = {TOKEN("tool" BLOCK "sep"), TOKEN("tool" BLOCK "call" BLOCK "end"),
                  TOKEN("tool" BLOCK "calls" BLOCK "end")}}},
    {{"[TOOL_CALLS]"},
     {.shape = OUTPUT_BRACKETS, .openers = {"[TOOL_CALLS]"}, .markers = {"[ARGS]", "[CALL_ID]"}}},
    {{"<tool_call>", "<function="},
     {.shape = OUTPUT_XML, .openers = {"<tool_call>", "<function="}, .markers = {"</tool_call>"}}},
    {{"<tool_call>", "<arg_key>"},
     {.shape = OUTPUT_PAIRS,
      .openers = {"<tool_call>"},
      .markers = {"</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"}}},
    {{"<tool_call>", "<invoke name="}, {.shape = OUTPUT_PLAIN}}, /* MiniMax M3: not taken apart */
    {{"<tool_call>"},
     {.shape = OUTPUT_JSON, .openers = {"<tool_call>"}, .markers = {"</tool_call>"}}},
    {{"[func_name1("},
     {.shape = OUTPUT_PYTHON, .openers = {"<|python_start|>"}, .markers = {"<|python_end|>"}}},
    {{"<|start_header_id|>", "\"parameters\": "},
     {.shape = OUTPUT_BARE, .openers = {"<|python_tag|>"}}},
};

static bool has(inf_text text, const char *word)
{
    size_t n = strlen(word);
    const char *at = text.data;
    const char *end = text.data ? text.data + text.len : NULL;

    while (at && (size_t)(end - at) >= n) {
        at = memchr(at, word[0], (size_t)(end - at) - n + 1);
        if (at && memcmp(at, word, n) == 0)
            return true;
        at = at ? at + 1 : NULL;
    }
    return false;
}

static bool has_signs(inf_text source, size_t row)
{
    for (size_t i = 0; i < sizeof rows[row].signs / sizeof *rows[row].signs; i++)
        if (rows[row].signs[i] && !has(source, rows[row].signs[i]))
            return false;
    return true;
}

static void find_reasoning(struct output_format *f, inf_text source)
{
    if (f->shape == OUTPUT_CHANNELS)
        return;
    if (has(source, "[THINK]")) {
        f->think_open = "[THINK]";
        f->think_close = "[/THINK]";
        f->think_anywhere = true;
    } else if (has(source, "</think>") || has(source, "<think>")) {
        f->think_open = "<think>";
        f->think_close = "</think>";
    }
}

void output_format_of(struct output_format *out, inf_text template_source)
{
    *out = (struct output_format){.shape = OUTPUT_PLAIN};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (has_signs(template_source, i)) {
            *out = rows[i].format;
            break;
        }
    out->names_in_front = out->shape == OUTPUT_BRACKETS && has(template_source, "[ARGS]");
    out->bare_arguments = out->shape == OUTPUT_TOKENS && !has(template_source, "```json");
    find_reasoning(out, template_source);
}

bool output_format_is_plain(const struct output_format *f)
{
    return f->shape == OUTPUT_PLAIN && !f->think_open;
}

static bool is_word(const char *word, const char *text, size_t len)
{
    return word && text_equals(text, len, word);
}

bool output_format_has_marker(const struct output_format *f, const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof f->openers / sizeof *f->openers; i++)
        if (is_word(f->openers[i], text, len))
            return true;
    for (size_t i = 0; i < OUTPUT_MARKERS; i++)
        if (is_word(f->markers[i], text, len))
            return true;
    return is_word(f->think_open, text, len) || is_word(f->think_close, text, len) ||
           (f->shape == OUTPUT_CHANNELS && is_word("<|return|>", text, len));
}
