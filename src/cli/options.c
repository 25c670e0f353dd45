/*
 * options: the table, and the one way from a text or a JSON value to a setting.
 *
 * How each flag was typed is remembered for messages: settings_parse writes it before other threads
 * are there.
 */
#include "cli/options.h"

#include "cli/message.h"
#include "cli/suggest.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the table */

enum option_kind {
    OPTION_SWITCH,   /* bool */
    OPTION_YES,      /* inf_maybe_bool: true; in a batch line true or false */
    OPTION_NO,       /* inf_maybe_bool: false */
    OPTION_TEXT,     /* inf_text */
    OPTION_CHOICE,   /* inf_text, one of "a|b|c" in `argument` */
    OPTION_JSON,     /* inf_text; in a batch line the value itself may stand there */
    OPTION_TEXTS,    /* struct text_list, repeatable */
    OPTION_PAIRS,    /* the same, each ID=PATH */
    OPTION_IDS,      /* struct id_list, "1,2,3" */
    OPTION_I32,      /* inf_maybe_i32 */
    OPTION_U64,      /* inf_maybe_u64 */
    OPTION_F32,      /* inf_maybe_f32 */
    OPTION_ADAPTERS, /* struct adapter_list, "ID" or "ID=SCALE", repeatable */
    OPTION_SECONDS,  /* struct maybe_ms, or "none" */
    OPTION_MS        /* the same */
};

struct option {
    char letter;          /* 0: none */
    const char *name;     /* --name */
    const char *alias;    /* --alias, or NULL */
    const char *key;      /* of a batch line; NULL: not there */
    const char *argument; /* for help; NULL for switches */
    enum option_kind kind;
    size_t offset; /* in struct settings */
    unsigned commands;
    const char *help;
};

#define AT(field) offsetof(struct settings, field)
#define GENERATE COMMAND_GENERATE
#define LOGITS COMMAND_LOGITS
#define TEXT_COMMANDS (COMMAND_TOKENIZE | COMMAND_DETOKENIZE | COMMAND_RENDER)
#define ON_PROVIDER (GENERATE | COMMAND_ADAPTERS | TEXT_COMMANDS | LOGITS)
#define IN_PROCESS 0x8000U /* a server has no use for it */
#define ON_MODEL (GENERATE | COMMAND_ADAPTERS | LOGITS | IN_PROCESS)
#define ALL (ON_PROVIDER | COMMAND_INSPECT)

static const struct option options[] = {
    {'p', "provider", NULL, NULL, "PROVIDER", OPTION_TEXT, AT(provider), ON_PROVIDER,
     "vllm, ollama, llamacpp or transformers; left out: what -m tells, else $INFERENCE_PROVIDER, "
     "else vllm"},
    {'m', "model", NULL, "model", "MODEL", OPTION_TEXT, AT(model), ON_PROVIDER,
     "a GGUF file (llamacpp), a checkpoint's directory or hub id (transformers), or a server's "
     "name"},
    {'u', "url", "base-url", NULL, "URL", OPTION_TEXT, AT(url), ON_PROVIDER,
     "the server; for in-process providers the model, as -m"},
    {0, "load", NULL, NULL, "ID=PATH", OPTION_PAIRS, AT(load), GENERATE | LOGITS,
     "load an adapter (PEFT directory or GGUF file) under this id; may be repeated"},
    {0, "adapter", "adapter-id", "adapter_id", "ID[=SCALE]", OPTION_ADAPTERS, AT(adapters),
     GENERATE | LOGITS, "generate with this loaded adapter; repeated, their changes add up"},
    {0, "adapters", NULL, "adapters", "ID[=SCALE]", OPTION_ADAPTERS, AT(adapters),
     GENERATE | LOGITS, "the same; in a batch line a list"},
    {0, "adapter-scale", NULL, "adapter_scale", "S", OPTION_F32, AT(adapter_scale),
     GENERATE | LOGITS, "of the one --adapter: multiplies its own scale; default 1"},
    {0, "prompt", NULL, "prompt", "TEXT", OPTION_TEXT, AT(prompt), GENERATE,
     "the prompt, instead of PROMPT behind the options"},
    {0, "messages", NULL, "messages", "FILE", OPTION_JSON, AT(messages), GENERATE,
     "chat messages: a file with a JSON array, - for standard input"},
    {0, "template-variables", NULL, "template_variables", "JSON", OPTION_JSON,
     AT(template_variables), GENERATE,
     "an object of further variables of the chat template; @FILE reads a file"},
    {0, "tools", NULL, "tools", "JSON", OPTION_JSON, AT(tools), GENERATE,
     "with messages or --chat: an array of functions that the model may call; @FILE reads a file"},
    {0, "tool-choice", NULL, "tool_choice", "CHOICE", OPTION_JSON, AT(tool_choice), GENERATE,
     "auto, none, required or a function's name: whether it has to call one; default auto"},
    {0, "continue-final-message", NULL, "continue_final_message", NULL, OPTION_SWITCH,
     AT(continue_final_message), GENERATE | COMMAND_RENDER,
     "go on with the last message, where it ends; in process and vllm"},
    {0, "plain-output", NULL, "plain_output", NULL, OPTION_SWITCH, AT(plain_output), GENERATE,
     "in process: leave reasoning and tool calls in the text as the model wrote them"},
    {0, "plain-prompt", NULL, "plain_prompt", NULL, OPTION_SWITCH, AT(plain_prompt), GENERATE,
     "in process: special tokens written in the prompt are plain text"},
    {0, "add-special", NULL, "add_special", NULL, OPTION_YES, AT(add_special), GENERATE,
     "in process: add the model's beginning-of-text tokens in any case"},
    {0, "no-special", NULL, NULL, NULL, OPTION_NO, AT(add_special), GENERATE | COMMAND_TOKENIZE,
     "do not add the model's beginning-of-text tokens"},
    {0, "chat", NULL, "chat", NULL, OPTION_SWITCH, AT(chat), GENERATE,
     "wrap the prompt as a user message through the model's chat template"},
    {'s', "system", "system-prompt", "system_prompt", "TEXT", OPTION_TEXT, AT(system), GENERATE,
     "the system prompt"},
    {'n', "max-tokens", NULL, "max_tokens", "N", OPTION_I32, AT(max_tokens), GENERATE,
     "at most so many new tokens; default 4096"},
    {0, "temperature", NULL, "temperature", "T", OPTION_F32, AT(temperature), GENERATE,
     "0 is greedy; default: 0.8 for llamacpp, generation_config.json's for transformers, 1 for "
     "ollama, for vllm the server's own"},
    {0, "top-p", NULL, "top_p", "P", OPTION_F32, AT(top_p), GENERATE,
     "1 is off; default: 0.95 for llamacpp, generation_config.json's for transformers, 1 for "
     "ollama, for vllm the server's own"},
    {0, "top-k", NULL, "top_k", "K", OPTION_I32, AT(top_k), GENERATE,
     "0 is off; default: 40 for llamacpp, generation_config.json's for transformers, for servers "
     "their own"},
    {0, "min-p", NULL, "min_p", "P", OPTION_F32, AT(min_p), GENERATE,
     "0 is off; default: 0.05 for llamacpp, generation_config.json's for transformers, for servers "
     "their own"},
    {0, "repetition-penalty", NULL, "repetition_penalty", "R", OPTION_F32, AT(repetition_penalty),
     GENERATE,
     "of the last 64 tokens with llamacpp, of prompt and answer with transformers; default 1, "
     "which is off"},
    {0, "frequency-penalty", NULL, "frequency_penalty", "F", OPTION_F32, AT(frequency_penalty),
     GENERATE, "-2 to 2; default 0"},
    {0, "presence-penalty", NULL, "presence_penalty", "F", OPTION_F32, AT(presence_penalty),
     GENERATE, "-2 to 2; default 0"},
    {0, "seed", NULL, "seed", "N", OPTION_U64, AT(seed), GENERATE,
     "the same seed gives the same text; default: a fresh one"},
    {0, "stop", NULL, "stop", "TEXT", OPTION_TEXTS, AT(stop), GENERATE,
     "end before this text; may be repeated"},
    {0, "stop-token-ids", NULL, "stop_token_ids", "1,2,3", OPTION_IDS, AT(stop_token_ids), GENERATE,
     "end at one of these tokens"},
    {0, "ignore-eos", NULL, "ignore_eos", NULL, OPTION_SWITCH, AT(ignore_eos), GENERATE,
     "go on after an end-of-text token"},
    {0, "logprobs", NULL, "logprobs", "N", OPTION_I32, AT(logprobs), GENERATE,
     "with --json: log-probabilities of each token and of N others, 0 to 20"},
    {0, "json-schema", NULL, "json_schema", "JSON", OPTION_JSON, AT(json_schema), GENERATE,
     "the text will be JSON of this schema; @FILE reads a file"},
    {0, "grammar", NULL, "grammar", "GBNF", OPTION_TEXT, AT(grammar), GENERATE,
     "the text will follow this grammar; @FILE reads a file"},
    {0, "speculate", NULL, "speculate", "auto|off|lookup", OPTION_CHOICE, AT(speculate), GENERATE,
     "verify several looked up tokens in a step: where it pays, never, always; default auto"},
    {0, "reference", NULL, "reference", "FILE", OPTION_TEXT, AT(reference), GENERATE,
     "speculation looks there too: the file that is being edited, - for standard input"},
    {0, "extra-json", NULL, "extra_json", "JSON", OPTION_JSON, AT(extra_json), GENERATE,
     "servers: an object of further fields to send; @FILE reads a file"},
    {0, "extra-headers", NULL, "extra_headers", "LINES", OPTION_TEXT, AT(extra_headers), GENERATE,
     "servers: further header lines to send"},
    {0, "timeout", NULL, "timeout", "SECONDS", OPTION_SECONDS, AT(timeout), GENERATE,
     "the work on a request, not waiting for its turn; none: no limit; default 600"},
    {0, "timeout-ms", NULL, "timeout_ms", "N", OPTION_MS, AT(timeout), GENERATE,
     "the same in milliseconds"},
    {0, "queue-timeout", NULL, "queue_timeout", "SECONDS", OPTION_SECONDS, AT(queue_timeout),
     GENERATE, "waiting for a turn, and for the model to load; default none"},
    {0, "queue-timeout-ms", NULL, "queue_timeout_ms", "N", OPTION_MS, AT(queue_timeout), GENERATE,
     "the same in milliseconds"},
    {0, "concurrency", NULL, NULL, "N", OPTION_I32, AT(concurrency), GENERATE,
     "servers: so many requests at once to each, the rest wait; default 256"},
    {0, "batch", NULL, NULL, "FILE", OPTION_TEXT, AT(batch), GENERATE,
     "a JSON request a line, - for standard input: all in flight at once, a JSON result a line"},
    {0, "strict", NULL, NULL, NULL, OPTION_SWITCH, AT(strict), GENERATE,
     "with --batch: the exit code is that of the first line that failed"},
    {0, "no-stream", NULL, NULL, NULL, OPTION_SWITCH, AT(no_stream), GENERATE,
     "print the text when it is complete"},
    {0, "json", NULL, NULL, NULL, OPTION_SWITCH, AT(json),
     GENERATE | COMMAND_ADAPTERS | COMMAND_INSPECT, "one JSON object a result"},
    {0, "dtype", NULL, NULL, "auto|float32|float16|bfloat16|q8_0|q4_0|q4_k", OPTION_CHOICE,
     AT(dtype), ON_MODEL,
     "the type of the weights; a GGUF file has its own, so that llamacpp takes auto only"},
    {0, "device", NULL, NULL, "DEVICE", OPTION_TEXT, AT(device), ON_MODEL,
     "auto, cpu, or a device of this build such as cuda; default auto"},
    {0, "gpu-layers", NULL, NULL, "N", OPTION_I32, AT(gpu_layers), ON_MODEL,
     "layers on the device; default -1, all"},
    {0, "threads", NULL, NULL, "N", OPTION_I32, AT(threads), ON_MODEL,
     "compute threads; default: one a physical core"},
    {0, "ctx", NULL, NULL, "N", OPTION_I32, AT(ctx), ON_MODEL,
     "tokens in the window of each request; default 4096"},
    {0, "max-sequences", NULL, NULL, "N", OPTION_I32, AT(max_sequences), ON_MODEL,
     "requests decoded together, 1 to 64; default 16"},
    {0, "queue-limit", NULL, NULL, "N", OPTION_I32, AT(queue_limit), ON_MODEL,
     "requests waiting beyond those; default 1024"},
    {0, "prefill-chunk", NULL, NULL, "N", OPTION_I32, AT(prefill_chunk), ON_MODEL,
     "prompt tokens a step while others decode, at most; default 128"},
    {0, "flash-attention", NULL, NULL, "auto|on|off", OPTION_CHOICE, AT(flash_attention), ON_MODEL,
     "default auto"},
    {0, "adapter-execution", NULL, NULL, "auto|shared|native", OPTION_CHOICE, AT(adapter_execution),
     ON_MODEL, "all adapters in one decode, or the backend's own adapters; default auto"},
    {0, "kv-budget", NULL, NULL, "MIB", OPTION_U64, AT(kv_budget), ON_MODEL,
     "at most so much memory for the KV cache, in MiB; default 4096"},
    {0, "max-adapters", NULL, NULL, "N", OPTION_U64, AT(max_adapters), ON_MODEL,
     "adapters registered at once; default 0, no limit"},
    {0, "max-adapter-bytes", NULL, NULL, "N", OPTION_U64, AT(max_adapter_bytes), ON_MODEL,
     "their bytes in memory; default 0, no limit"},
    {0, "adapter-overflow", NULL, NULL, "refuse|evict", OPTION_CHOICE, AT(adapter_overflow),
     ON_MODEL,
     "beyond these limits a load fails, or evicts the least recently used; default refuse"},
    {0, "base", NULL, NULL, "MODEL", OPTION_TEXT, AT(base), COMMAND_INSPECT,
     "a GGUF file: does the adapter fit it?"},
    {0, "jsonl", NULL, NULL, NULL, OPTION_SWITCH, AT(jsonl), COMMAND_TOKENIZE | COMMAND_DETOKENIZE,
     "a JSON value a line, in and out"},
    {0, "skip-special", NULL, NULL, NULL, OPTION_SWITCH, AT(skip_special), COMMAND_DETOKENIZE,
     "leave special tokens out"},
    {0, "no-generation-prompt", NULL, NULL, NULL, OPTION_SWITCH, AT(no_generation_prompt),
     COMMAND_RENDER, "end behind the last message"},
    {0, "ids", NULL, NULL, "1,2,3", OPTION_IDS, AT(ids), LOGITS, "the tokens"},
    {0, "top", NULL, NULL, "K", OPTION_I32, AT(top), LOGITS,
     "how many of the largest logits; default 10"},
    {0, "probe", NULL, NULL, "4,5", OPTION_IDS, AT(probe), LOGITS,
     "tokens whose logits are wanted"},
    {'v', "verbose", NULL, NULL, NULL, OPTION_SWITCH, AT(verbose), ALL,
     "say on standard error what the library does"},
    {'q', "quiet", NULL, NULL, NULL, OPTION_SWITCH, AT(quiet), ALL,
     "say nothing but errors: no warnings, no bar, no counts"},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

static char typed[N_OPTIONS][FLAG_SIZE]; /* "" when not given */

/* ------------------------------------------------------------------ memory, messages */

void *settings_alloc(struct settings *s, size_t size)
{
    void **memory = realloc(s->memory, (s->n_memory + 1) * sizeof *memory);
    void *block = memory ? malloc(size ? size : 1) : NULL;

    if (memory)
        s->memory = memory;
    if (block)
        s->memory[s->n_memory++] = block;
    return block;
}

void settings_free(struct settings *s)
{
    for (size_t i = 0; i < s->n_memory; i++)
        free(s->memory[i]);
    free(s->memory);
    memset(s, 0, sizeof *s);
}

int usage_error(const struct command *command, const char *format, ...)
{
    char line[400];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    make_one_line(line);
    fprintf(stderr, "inference: %s%s 'inference %s%s--help'\n", line,
            *line && line[strlen(line) - 1] == '?' ? " See" : "; see", command ? command->name : "",
            command ? " " : "");
    return EXIT_USAGE;
}

/* ------------------------------------------------------------------ setting a value */

static void *field_of(struct settings *s, const struct option *o)
{
    return (char *)s + o->offset;
}

static bool parse_integer(const char *text, int64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

static bool parse_u64(const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && !strchr(text, '-');
}

static bool parse_number(const char *text, double *out)
{
    char *end = NULL;

    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool set_i32(struct settings *s, const struct option *o, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX)
        return false;
    *(inf_maybe_i32 *)field_of(s, o) = (inf_maybe_i32){true, (int32_t)value};
    return true;
}

/* A number of seconds or milliseconds, -1 of either: no limit. request_fill says what is wrong with 0 and
 * others below it. */
static bool set_time(struct settings *s, const struct option *o, double value)
{
    double ms = o->kind == OPTION_SECONDS && value != -1 ? value * 1000 : value;

    if (isnan(ms))
        return false;
    ms = fmax(fmin(ms, 1e15), -1e15); /* 30,000 years are as good as more */
    *(struct maybe_ms *)field_of(s, o) = (struct maybe_ms){true, ms > 0 && ms < 1 ? 1 : (int64_t)ms,
                                                           value};
    return true;
}

/* For a list that only this function fills: it has room for a power of two of texts, and moves when
 * that is full. */
static bool add_text(struct settings *s, struct text_list *list, inf_text text)
{
    bool is_full = (list->n & (list->n - 1)) == 0;
    inf_text *items = list->items;

    if (is_full)
        items = settings_alloc(s, (list->n ? 2 * list->n : 1) * sizeof *items);
    if (!items)
        return false;
    if (is_full && list->n)
        memcpy(items, list->items, list->n * sizeof *items);
    items[list->n] = text;
    *list = (struct text_list){items, list->n + 1};
    return true;
}

/* As add_text. */
static bool add_adapter(struct settings *s, struct adapter_list *list, inf_request_adapter adapter)
{
    bool is_full = (list->n & (list->n - 1)) == 0;
    inf_request_adapter *items = list->items;

    if (is_full)
        items = settings_alloc(s, (list->n ? 2 * list->n : 1) * sizeof *items);
    if (!items)
        return false;
    if (is_full && list->n)
        memcpy(items, list->items, list->n * sizeof *items);
    items[list->n] = adapter;
    *list = (struct adapter_list){items, list->n + 1};
    return true;
}

/* ID or ID=SCALE: what follows the last "=" is a scale only if it is a number. "" is no adapter. */
static bool add_adapter_text(struct settings *s, struct adapter_list *list, const char *text)
{
    inf_request_adapter adapter = {.id = inf_str(text)};
    const char *equals = strrchr(text, '=');
    double scale = 0;

    if (equals && equals != text && parse_number(equals + 1, &scale)) {
        adapter.id.len = (size_t)(equals - text);
        adapter.scale = (inf_maybe_f32){true, (float)scale};
    }
    return !*text || add_adapter(s, list, adapter);
}

static bool is_choice(const struct option *o, inf_text value)
{
    for (const char *at = o->argument; at && *at; at = strchr(at, '|') ? strchr(at, '|') + 1 : "")
        if (strcspn(at, "|") == value.len && memcmp(at, value.data, value.len) == 0)
            return true;
    return false;
}

static bool set_ids_from_text(struct settings *s, const struct option *o, const char *text)
{
    struct id_list *list = field_of(s, o);
    int32_t *items = settings_alloc(s, (strlen(text) / 2 + 1) * sizeof *items);
    size_t n = 0;

    while (items) {
        char *end = NULL;
        long long id = 0;

        errno = 0;
        id = strtoll(text, &end, 10);
        if (end == text || errno || id < INT32_MIN || id > INT32_MAX)
            return false;
        items[n++] = (int32_t)id;
        if (*end == '\0')
            break;
        if (*end != ',')
            return false;
        text = end + 1;
    }
    *list = (struct id_list){items, n};
    return items != NULL;
}

bool is_id_and_path(const char *text)
{
    const char *equals = strchr(text, '=');

    return equals && equals != text && equals[1];
}

/* false: the text is no value of the option's kind. */
static bool set_from_text(struct settings *s, const struct option *o, const char *text)
{
    void *field = field_of(s, o);
    int64_t integer = 0;
    double number = 0;

    switch (o->kind) {
    case OPTION_SWITCH:
        *(bool *)field = true;
        return true;
    case OPTION_YES:
    case OPTION_NO:
        *(inf_maybe_bool *)field = (inf_maybe_bool){true, o->kind == OPTION_YES};
        return true;
    case OPTION_TEXT:
    case OPTION_JSON:
        *(inf_text *)field = inf_str(text);
        return true;
    case OPTION_CHOICE:
        *(inf_text *)field = inf_str(text);
        return is_choice(o, inf_str(text));
    case OPTION_PAIRS:
        if (!is_id_and_path(text))
            return false;
        return add_text(s, field, inf_str(text));
    case OPTION_TEXTS:
        return add_text(s, field, inf_str(text));
    case OPTION_IDS:
        return set_ids_from_text(s, o, text);
    case OPTION_I32:
        return parse_integer(text, &integer) && set_i32(s, o, integer);
    case OPTION_U64:
        ((inf_maybe_u64 *)field)->is_set = true;
        return parse_u64(text, &((inf_maybe_u64 *)field)->value);
    case OPTION_F32:
        if (!parse_number(text, &number))
            return false;
        *(inf_maybe_f32 *)field = (inf_maybe_f32){true, (float)number};
        return true;
    case OPTION_ADAPTERS:
        return add_adapter_text(s, field, text);
    case OPTION_SECONDS:
    case OPTION_MS:
        if (strcmp(text, "none") == 0)
            return set_time(s, o, -1);
        return parse_number(text, &number) && set_time(s, o, number);
    }
    return false;
}

static inf_text text_of(const json_t *value)
{
    return (inf_text){json_string_value(value), json_string_length(value)};
}

static bool set_json(struct settings *s, const struct option *o, json_t *value)
{
    char *text = NULL;
    size_t size = 0;

    if (json_is_string(value)) {
        *(inf_text *)field_of(s, o) = text_of(value);
        return true;
    }
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    size = json_dumpb(value, NULL, 0, JSON_COMPACT);
    text = settings_alloc(s, size);
    if (!text)
        return false;
    json_dumpb(value, text, size, JSON_COMPACT);
    *(inf_text *)field_of(s, o) = (inf_text){text, size};
    return true;
}

/* A string or an array of strings. */
static bool set_texts(struct settings *s, const struct option *o, json_t *value)
{
    bool is_array = json_is_array(value);
    size_t n = is_array ? json_array_size(value) : 1;
    inf_text *items = settings_alloc(s, (n ? n : 1) * sizeof *items);

    for (size_t i = 0; items && i < n; i++) {
        json_t *item = is_array ? json_array_get(value, i) : value;

        if (!json_is_string(item))
            return false;
        items[i] = text_of(item);
    }
    *(struct text_list *)field_of(s, o) = (struct text_list){items, items ? n : 0};
    return items != NULL;
}

static bool set_ids(struct settings *s, const struct option *o, json_t *value)
{
    size_t n = json_array_size(value);
    int32_t *items = settings_alloc(s, (n ? n : 1) * sizeof *items);

    if (!json_is_array(value) || !items)
        return false;
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(value, i);
        json_int_t id = json_integer_value(item);

        if (!json_is_integer(item) || id < INT32_MIN || id > INT32_MAX)
            return false;
        items[i] = (int32_t)id;
    }
    *(struct id_list *)field_of(s, o) = (struct id_list){items, n};
    return true;
}

/* An id, or an object of an "id" and perhaps a "scale". */
static bool read_adapter(inf_request_adapter *out, json_t *value)
{
    json_t *id = json_is_object(value) ? json_object_get(value, "id") : value;
    json_t *scale = json_object_get(value, "scale");
    bool has_scale = scale && !json_is_null(scale);

    *out = (inf_request_adapter){.id = text_of(id)};
    if (has_scale)
        out->scale = (inf_maybe_f32){true, (float)json_number_value(scale)};
    return json_is_string(id) && (!has_scale || json_is_number(scale)) &&
           json_object_size(value) <= (scale ? 2U : 1U);
}

/* One adapter or a list of them takes the place of what was there; "" is none. */
static bool set_adapters(struct settings *s, const struct option *o, json_t *value)
{
    bool is_array = json_is_array(value);
    size_t n = is_array ? json_array_size(value) : json_string_length(value) > 0;
    inf_request_adapter *items = settings_alloc(s, (n ? n : 1) * sizeof *items);

    if (!items || (!is_array && !json_is_string(value)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!read_adapter(&items[i], is_array ? json_array_get(value, i) : value))
            return false;
    *(struct adapter_list *)field_of(s, o) = (struct adapter_list){items, n};
    return true;
}

static bool set_from_json(struct settings *s, const struct option *o, json_t *value)
{
    void *field = field_of(s, o);

    switch (o->kind) {
    case OPTION_SWITCH:
        *(bool *)field = json_is_true(value);
        return json_is_boolean(value);
    case OPTION_YES:
    case OPTION_NO:
        *(inf_maybe_bool *)field = (inf_maybe_bool){true, json_is_true(value)};
        return json_is_boolean(value);
    case OPTION_TEXT:
    case OPTION_CHOICE:
        *(inf_text *)field = text_of(value);
        return json_is_string(value);
    case OPTION_JSON:
        return set_json(s, o, value);
    case OPTION_PAIRS:
    case OPTION_TEXTS:
        return set_texts(s, o, value);
    case OPTION_IDS:
        return set_ids(s, o, value);
    case OPTION_I32:
        return json_is_integer(value) && set_i32(s, o, json_integer_value(value));
    case OPTION_U64:
        if (json_is_string(value)) /* as json_line brings those from 2^63 on */
            return set_from_text(s, o, json_string_value(value));
        *(inf_maybe_u64 *)field = (inf_maybe_u64){true, (uint64_t)json_integer_value(value)};
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case OPTION_F32:
        *(inf_maybe_f32 *)field = (inf_maybe_f32){true, (float)json_number_value(value)};
        return json_is_number(value);
    case OPTION_ADAPTERS:
        return set_adapters(s, o, value);
    case OPTION_SECONDS:
    case OPTION_MS:
        if (json_is_string(value) && strcmp(json_string_value(value), "none") == 0)
            return set_time(s, o, -1);
        return json_is_number(value) && set_time(s, o, json_number_value(value));
    }
    return false;
}

static const char *kind_text(const struct option *o)
{
    switch (o->kind) {
    case OPTION_SWITCH:
    case OPTION_YES:
    case OPTION_NO:
        return "true or false";
    case OPTION_TEXT:
        return "a text";
    case OPTION_CHOICE:
        return o->argument;
    case OPTION_JSON:
        return "a JSON object or array, or its text";
    case OPTION_PAIRS:
        return "ID=PATH, such as pirate=adapters/pirate";
    case OPTION_TEXTS:
        return "a text or a list of texts";
    case OPTION_IDS:
        return "a list of token ids";
    case OPTION_I32:
        return "a whole number";
    case OPTION_U64:
        return "a whole number of 0 or more";
    case OPTION_ADAPTERS:
        return "an adapter's id, or a list of {\"id\", \"scale\"}";
    case OPTION_SECONDS:
    case OPTION_MS:
        return "a number or none";
    case OPTION_F32:
        break;
    }
    return "a number";
}

/* ------------------------------------------------------------------ the command line */

static bool name_is(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

static const struct option *find_flag(const struct command *command, const char *text, size_t len)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];

        if ((o->commands & command->bit) &&
            (name_is(o->name, text, len) || name_is(o->alias, text, len)))
            return o;
    }
    return NULL;
}

static const struct option *find_letter(const struct command *command, char letter)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].letter == letter && (options[i].commands & command->bit))
            return &options[i];
    return NULL;
}

/* The option exists for another command, is mistyped, or is no option. */
static int unknown_option(const struct command *command, const char *argument, int shown)
{
    const char *word = argument + 2;
    size_t len = strcspn(word, "=");
    struct suggestion best = {0};

    for (size_t i = 0; argument[1] == '-' && i < N_OPTIONS; i++) {
        if (options[i].commands & command->bit) {
            suggest(&best, word, len, options[i].name);
            suggest(&best, word, len, options[i].alias);
        }
    }
    if (argument[1] == '-')
        suggest(&best, word, len, "help");
    if (best.name)
        return usage_error(command, "unknown option %.*s; did you mean --%s?", shown, argument,
                           best.name);
    if (command->bit == COMMAND_GENERATE)
        return usage_error(command,
                           "unknown option %.*s; a prompt that begins with a dash stands behind --",
                           shown, argument);
    return usage_error(command, "unknown option %.*s", shown, argument);
}

/* One option at argv[*at], and its value there or in the next argument. */
static int parse_option(struct settings *s, const struct command *command, int argc, char **argv,
                        int *at)
{
    const char *argument = argv[*at];
    bool is_long = argument[1] == '-';
    size_t len = is_long ? strcspn(argument + 2, "=") : 1;
    const struct option *o = is_long ? find_flag(command, argument + 2, len)
                                     : find_letter(command, argument[1]);
    const char *value = argument + (is_long ? 2 : 1) + len;
    int shown = (int)((is_long ? 2 : 1) + len);

    if (!o)
        return unknown_option(command, argument, shown);
    snprintf(typed[o - options], FLAG_SIZE, "%.*s", shown, argument);
    if (!o->argument) {
        if (*value)
            return usage_error(command, "%.*s takes no value", shown, argument);
        set_from_text(s, o, "");
        return 0;
    }
    if (*value == '=' && is_long)
        value++;
    else if (*value == '\0' && ++*at < argc)
        value = argv[*at];
    else if (*value == '\0')
        return usage_error(command, "%.*s needs a value: %s", shown, argument, o->argument);
    if (!set_from_text(s, o, value))
        return usage_error(command, "%.*s takes %s, not '%s'", shown, argument, kind_text(o),
                           value);
    return 0;
}

int settings_parse(struct settings *s, const struct command *command, int argc, char **argv)
{
    bool only_arguments = false;

    memset(s, 0, sizeof *s);
    s->command = command->bit;
    s->arguments = settings_alloc(s, ((size_t)argc + 1) * sizeof *s->arguments);
    if (!s->arguments)
        return usage_error(command, "out of memory");
    for (int at = 0; at < argc; at++) {
        const char *argument = argv[at];

        if (only_arguments || argument[0] != '-' || argument[1] == '\0') {
            s->arguments[s->n_arguments++] = argv[at];
        } else if (strcmp(argument, "--") == 0) {
            only_arguments = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            options_print_help(command);
            return -1;
        } else {
            int code = parse_option(s, command, argc, argv, &at);

            if (code)
                return code;
        }
    }
    if (s->verbose && s->quiet)
        return usage_error(command, "--verbose and --quiet contradict each other");
    return 0;
}

/* ------------------------------------------------------------------ a batch line */

/* A flag's name, with underscores, is as good as the field's. */
static bool key_is(const char *name, const char *key)
{
    if (!name)
        return false;
    while (*name && *key && (*name == *key || (*name == '-' && *key == '_'))) {
        name++;
        key++;
    }
    return *name == *key;
}

static const struct option *find_key(const char *key)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *o = &options[i];

        if (o->key && (key_is(o->key, key) || key_is(o->name, key) || key_is(o->alias, key)))
            return o;
    }
    return NULL;
}

bool options_has_key(const char *key)
{
    return find_key(key) != NULL;
}

bool options_key_is_u64(inf_text key)
{
    char name[FLAG_SIZE];
    const struct option *o = NULL;

    if (key.len >= sizeof name)
        return false;
    memcpy(name, key.data, key.len);
    name[key.len] = '\0';
    o = find_key(name);
    return o && o->kind == OPTION_U64;
}

/* The first option that sets the same: a request's field may have two names. */
static size_t field_number(const struct option *o)
{
    size_t i = 0;

    while (options[i].offset != o->offset)
        i++;
    return i;
}

/* The first option of what this key, or a flag of this name, sets. */
static const struct option *find_field(const char *key)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (key_is(options[i].key, key) || key_is(options[i].name, key))
            return &options[field_number(&options[i])];
    return NULL;
}

bool options_typed_flag(const char *key, char out[FLAG_SIZE])
{
    const struct option *o = find_field(key);
    bool found = false;

    for (size_t i = 0; o && i < N_OPTIONS; i++)
        if (options[i].offset == o->offset && *typed[i]) {
            memcpy(out, typed[i], FLAG_SIZE);
            found = true;
        }
    return found;
}

bool options_written_key(const char *key, const char *keys, char out[FLAG_SIZE])
{
    const struct option *o = find_field(key);

    for (const char *at = keys; o && *at; at += strlen(at) + 1) {
        const struct option *written = find_key(at);

        if (written && written->offset == o->offset) {
            snprintf(out, FLAG_SIZE, "%s", at);
            return true;
        }
    }
    return false;
}

bool options_flag_of(const char *key, char out[FLAG_SIZE])
{
    const struct option *o = find_field(key);

    if (!o)
        return false;
    if (o->letter)
        snprintf(out, FLAG_SIZE, "-%c", o->letter);
    else
        snprintf(out, FLAG_SIZE, "--%s", o->name);
    options_typed_flag(key, out);
    return true;
}

const char *options_typed_in_process(void)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if ((options[i].commands & IN_PROCESS) && *typed[i])
            return typed[i];
    return NULL;
}

static void unknown_key(const char *key, char *why, size_t size)
{
    struct suggestion best = {0};

    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].key)
            suggest(&best, key, strlen(key), options[i].key);
    if (best.name)
        snprintf(why, size, "unknown key \"%.60s\"; did you mean \"%s\"?", key, best.name);
    else
        snprintf(why, size, "unknown key \"%.60s\"", key);
}

bool settings_from_json(struct settings *s, json_t *object, char *why, size_t size)
{
    bool seen[N_OPTIONS] = {false};
    const char *key = NULL;
    json_t *value = NULL;

    if (!json_is_object(object)) {
        snprintf(why, size, "a batch line is a JSON object");
        return false;
    }
    json_object_foreach(object, key, value)
    {
        const struct option *o = strcmp(key, "id") == 0 ? NULL : find_key(key);

        if (strcmp(key, "id") == 0)
            continue;
        if (!o) {
            unknown_key(key, why, size);
            return false;
        }
        if (json_is_null(value)) /* as if it were not there */
            continue;
        if (seen[field_number(o)]) {
            snprintf(why, size, "\"%s\" says again what another key says", key);
            return false;
        }
        seen[field_number(o)] = true;
        if (!set_from_json(s, o, value)) {
            snprintf(why, size, "\"%s\" takes %s", key, kind_text(o));
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ help */

static void print_option(const struct option *o)
{
    char flag[80];
    int n = 0;

    if (o->letter)
        n = snprintf(flag, sizeof flag, "-%c, --%s", o->letter, o->name);
    else
        n = snprintf(flag, sizeof flag, "    --%s", o->name);
    if (o->argument)
        snprintf(flag + n, sizeof flag - (size_t)n, " %s", o->argument);
    printf("  %s\n        %s\n", flag, o->help);
}

void options_print_help(const struct command *command)
{
    printf("Usage: inference %s %s\n\n%s.\n%s\nOptions:\n", command->name, command->usage,
           command->summary, command->details);
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (options[i].commands & command->bit)
            print_option(&options[i]);
    printf("  -h, --help\n        this\n");
}

void options_print_all(const struct command *commands, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < N_OPTIONS; i++) {
            const struct option *o = &options[i];

            if (!(o->commands & commands[c].bit))
                continue;
            printf("%s --%s", commands[c].name, o->name);
            if (o->letter)
                printf(" -%c", o->letter);
            printf("%s%s\n", o->argument ? " " : "", o->argument ? o->argument : "");
        }
    }
}
