/*
 * output_format: how a model writes its reasoning and its tool calls, as its chat template shows it. A row a
 * format; pure functions.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_FORMAT_H
#define INF_TEXT_OUTPUT_OUTPUT_FORMAT_H

#include <inference/inference.h>

enum output_shape {
    OUTPUT_PLAIN, /* no tool calls */
    OUTPUT_JSON, /* <tool_call>{"name": ..., "arguments": {...}}</tool_call> (Hermes, Qwen 2.5 and 3) */
    OUTPUT_XML, /* <tool_call><function=NAME><parameter=NAME>VALUE</parameter>... (Qwen3-Coder, Qwen3.5) */
    OUTPUT_PAIRS, /* <tool_call>NAME<arg_key>NAME</arg_key><arg_value>VALUE</arg_value>... (GLM 4.5) */
    OUTPUT_BARE, /* {"name": ..., "parameters": {...}} and nothing else (Llama 3) */
    OUTPUT_PYTHON, /* [NAME(KEY=VALUE, ...), ...], literals of Python, and nothing else (Llama 4, 3.2) */
    OUTPUT_BRACKETS, /* [TOOL_CALLS][{"name": ...}], or [TOOL_CALLS]NAME[ARGS]{...} (Mistral) */
    OUTPUT_TOKENS, /* <｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME ```json {...} ``` (DeepSeek V3, R1, V3.1) */
    OUTPUT_CHANNELS, /* <|channel|>commentary to=functions.NAME<|message|>{...}<|call|> (gpt-oss) */
    OUTPUT_SHAPES
};

#define OUTPUT_MARKERS 6

struct output_format {
    enum output_shape shape;
    const char *openers[3];              /* what a call begins with; NULL behind them */
    const char *markers[OUTPUT_MARKERS]; /* further words of the format; NULL behind them */
    const char *think_open,
        *think_close;    /* around reasoning; NULL: the model does not reason apart */
    bool think_anywhere; /* else at the beginning alone */
    bool names_in_front; /* OUTPUT_BRACKETS: NAME[ARGS]{...} */
    bool bare_arguments; /* OUTPUT_TOKENS: the name first, and no ```json (V3.1) */
};

/* What a template's source shows. */
void output_format_of(struct output_format *out, inf_text template_source);

/* Whether it takes anything apart. */
bool output_format_is_plain(const struct output_format *f);
/* The text is a word of the format, which models write as a token of its own that is not shown. */
bool output_format_has_marker(const struct output_format *f, const char *text, size_t len);

#endif
