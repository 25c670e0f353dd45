/*
 * output_tools: the functions that a request lets the model call, and which of them it has to. From the JSON
 * that /v1/chat/completions takes: [{"type": "function", "function": {"name", "parameters", ...}}].
 * Threads: immutable once read.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_TOOLS_H
#define INF_TEXT_OUTPUT_OUTPUT_TOOLS_H

#include "core/error.h"

#include <jansson.h>

enum { OUTPUT_TOOLS_MAX = 512 };

struct output_tool {
    const char *name;
    size_t len;
    json_t *parameters; /* a JSON schema; NULL: the function takes nothing that is said */
};

struct output_tools {
    struct output_tool *items;
    size_t n;
    json_t *json; /* what the items point into */
};

enum output_choice { OUTPUT_AUTO, OUTPUT_NONE, OUTPUT_REQUIRED, OUTPUT_NAMED };

/* INVALID_ARGUMENT (says which tool is none, and why), NO_MEMORY. tools absent: an empty list. */
int32_t output_tools_read(struct output_tools *out, inf_text tools, inf_error *err);
void output_tools_free(struct output_tools *tools);

/* The tool of that name; NULL: none. */
const struct output_tool *output_tools_find(const struct output_tools *tools, const char *name,
                                            size_t len);

/* choice: "auto", "none", "required", a tool's name, or an object as /v1 has it; absent: auto. *named: the tool
 * of OUTPUT_NAMED. INVALID_ARGUMENT: no such choice, or no such tool. */
int32_t output_choice_read(enum output_choice *out, const struct output_tool **named,
                           const struct output_tools *tools, inf_text choice, inf_error *err);

#endif
