/*
 * options: the table, and who reads it: the command line, batch lines, messages, help.
 *
 * Which command runs and how each flag was typed is remembered for messages: settings_parse writes it before
 * other threads are there.
 */
#include "cli/options.h"

#include "cli/message.h"
#include "cli/suggest.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the table */

#define AT(field) offsetof(struct settings, field)
#define GENERATE COMMAND_GENERATE
#define LOGITS COMMAND_LOGITS
#define TEXT_COMMANDS (COMMAND_TOKENIZE | COMMAND_DETOKENIZE | COMMAND_RENDER)
#define ON_PROVIDER (GENERATE | COMMAND_ADAPTERS | TEXT_COMMANDS | LOGITS)
#define IN_PROCESS 0x8000U /* a server has no use for it */
#define ON_MODEL (GENERATE | COMMAND_ADAPTERS | LOGITS | IN_PROCESS)
#define SERVER 0x4000U /* a model in process has no use for it */
#define ON_SERVER (GENERATE | COMMAND_ADAPTERS | SERVER)
#define ALL (ON_PROVIDER | COMMAND_INSPECT)

/* Providers are named where their defaults differ, which the library does not tell. */
static const struct option options[] = {
    {'p', "provider", NULL, NULL, "PROVIDER", OPTION_TEXT, AT(provider), ON_PROVIDER,
     "left out: what -m tells, else $INFERENCE_PROVIDER, else the first of them"},
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
    {0, "adapter-scale", NULL, "adapter_scale", "S", OPTION_F32, AT(request.adapter_scale),
     GENERATE | LOGITS, "of the one --adapter: multiplies its own scale; default 1"},
    {0, "prompt", NULL, "prompt", "TEXT", OPTION_TEXT, AT(prompt), GENERATE,
     "the prompt, instead of PROMPT behind the options"},
    {0, "messages", NULL, "messages", "FILE", OPTION_JSON, AT(messages), GENERATE,
     "chat messages: a file with a JSON array, - for standard input"},
    {0, "template-variables", NULL, "template_variables", "JSON", OPTION_JSON,
     AT(request.template_variables), GENERATE,
     "an object of further variables of the chat template; @FILE reads a file"},
    {0, "tools", NULL, "tools", "JSON", OPTION_JSON, AT(request.tools), GENERATE,
     "with messages or --chat: an array of functions that the model may call; @FILE reads a file"},
    {0, "tool-choice", NULL, "tool_choice", "CHOICE", OPTION_JSON, AT(request.tool_choice),
     GENERATE,
     "auto, none, required or a function's name: whether it has to call one; default auto"},
    {0, "continue-final-message", NULL, "continue_final_message", NULL, OPTION_SWITCH,
     AT(request.continue_final_message), GENERATE | COMMAND_RENDER,
     "go on with the last message, where it ends; in process and vllm"},
    {0, "plain-output", NULL, "plain_output", NULL, OPTION_SWITCH, AT(request.plain_output),
     GENERATE, "in process: leave reasoning and tool calls in the text as the model wrote them"},
    {0, "plain-prompt", NULL, "plain_prompt", NULL, OPTION_SWITCH, AT(request.plain_prompt),
     GENERATE, "in process: special tokens written in the prompt are plain text"},
    {0, "add-special", NULL, "add_special", NULL, OPTION_YES, AT(request.add_special), GENERATE,
     "in process: add the model's beginning-of-text tokens in any case"},
    {0, "no-special", NULL, NULL, NULL, OPTION_NO, AT(request.add_special),
     GENERATE | COMMAND_TOKENIZE, "do not add the model's beginning-of-text tokens"},
    {0, "chat", NULL, "chat", NULL, OPTION_SWITCH, AT(chat), GENERATE,
     "wrap the prompt as a user message through the model's chat template"},
    {'s', "system", "system-prompt", "system_prompt", "TEXT", OPTION_TEXT,
     AT(request.system_prompt), GENERATE, "the system prompt"},
    {'n', "max-tokens", NULL, "max_tokens", "N", OPTION_I32, AT(request.max_tokens), GENERATE,
     "at most so many new tokens; default 4096"},
    {0, "temperature", NULL, "temperature", "T", OPTION_F32, AT(request.temperature), GENERATE,
     "0 is greedy; default: 0.8 for llamacpp, generation_config.json's for transformers, 1 for "
     "ollama, for vllm the server's own"},
    {0, "top-p", NULL, "top_p", "P", OPTION_F32, AT(request.top_p), GENERATE,
     "1 is off; default: 0.95 for llamacpp, generation_config.json's for transformers, 1 for "
     "ollama, for vllm the server's own"},
    {0, "top-k", NULL, "top_k", "K", OPTION_I32, AT(request.top_k), GENERATE,
     "0 is off; default: 40 for llamacpp, generation_config.json's for transformers, for servers "
     "their own"},
    {0, "min-p", NULL, "min_p", "P", OPTION_F32, AT(request.min_p), GENERATE,
     "0 is off; default: 0.05 for llamacpp, generation_config.json's for transformers, for servers "
     "their own"},
    {0, "repetition-penalty", NULL, "repetition_penalty", "R", OPTION_F32,
     AT(request.repetition_penalty), GENERATE,
     "of the last 64 tokens with llamacpp, of prompt and answer with transformers; default 1, "
     "which is off"},
    {0, "frequency-penalty", NULL, "frequency_penalty", "F", OPTION_F32,
     AT(request.frequency_penalty), GENERATE, "-2 to 2; default 0"},
    {0, "presence-penalty", NULL, "presence_penalty", "F", OPTION_F32, AT(request.presence_penalty),
     GENERATE, "-2 to 2; default 0"},
    {0, "seed", NULL, "seed", "N", OPTION_U64, AT(request.seed), GENERATE,
     "the same seed gives the same text; default: a fresh one"},
    {0, "stop", NULL, "stop", "TEXT", OPTION_TEXTS, AT(stop), GENERATE,
     "end before this text; may be repeated"},
    {0, "stop-token-ids", NULL, "stop_token_ids", "1,2,3", OPTION_IDS, AT(stop_token_ids), GENERATE,
     "end at one of these tokens"},
    {0, "ignore-eos", NULL, "ignore_eos", NULL, OPTION_SWITCH, AT(request.ignore_eos), GENERATE,
     "go on after an end-of-text token"},
    {0, "logprobs", NULL, "logprobs", "N", OPTION_I32, AT(request.logprobs), GENERATE,
     "with --json: log-probabilities of each token and of N others, 0 to 20"},
    {0, "json-schema", NULL, "json_schema", "JSON", OPTION_JSON, AT(request.json_schema), GENERATE,
     "the text will be JSON of this schema; @FILE reads a file"},
    {0, "grammar", NULL, "grammar", "GBNF", OPTION_TEXT, AT(request.grammar), GENERATE,
     "the text will follow this grammar; @FILE reads a file"},
    {0, "speculate", NULL, "speculate", "auto|off|lookup", OPTION_CHOICE, AT(request.speculate),
     GENERATE,
     "verify several looked up tokens in a step: where it pays, never, always; default auto"},
    {0, "reference", NULL, "reference", "FILE", OPTION_TEXT, AT(request.reference), GENERATE,
     "speculation looks there too: the file that is being edited, - for standard input"},
    {0, "extra-json", NULL, "extra_json", "JSON", OPTION_JSON, AT(request.extra_json), GENERATE,
     "servers: an object of further fields to send; @FILE reads a file"},
    {0, "extra-headers", NULL, "extra_headers", "LINES", OPTION_TEXT, AT(request.extra_headers),
     GENERATE, "servers: further header lines to send"},
    {0, "timeout", NULL, "timeout", "SECONDS", OPTION_SECONDS, AT(timeout), GENERATE,
     "the work on a request, not waiting for its turn; none: no limit; default 600"},
    {0, "timeout-ms", NULL, "timeout_ms", "N", OPTION_MS, AT(timeout), GENERATE,
     "the same in milliseconds"},
    {0, "queue-timeout", NULL, "queue_timeout", "SECONDS", OPTION_SECONDS, AT(queue_timeout),
     GENERATE, "waiting for a turn, and for the model to load; default none"},
    {0, "queue-timeout-ms", NULL, "queue_timeout_ms", "N", OPTION_MS, AT(queue_timeout), GENERATE,
     "the same in milliseconds"},
    {0, "concurrency", NULL, NULL, "N", OPTION_INT, AT(config.max_connections), GENERATE | SERVER,
     "servers: so many requests at once to each, the rest wait; default 256"},
    {0, "connect-timeout", NULL, NULL, "SECONDS", OPTION_SECONDS, AT(connect_timeout), ON_SERVER,
     "servers: getting a connection; none: no limit; default 5"},
    {0, "connect-timeout-ms", NULL, NULL, "N", OPTION_MS, AT(connect_timeout), ON_SERVER,
     "the same in milliseconds"},
    {0, "silence-timeout", NULL, NULL, "SECONDS", OPTION_SECONDS, AT(silence_timeout), ON_SERVER,
     "servers: silence in the middle of an answer; none: no limit; default 60"},
    {0, "silence-timeout-ms", NULL, NULL, "N", OPTION_MS, AT(silence_timeout), ON_SERVER,
     "the same in milliseconds"},
    {0, "max-retries", NULL, NULL, "N", OPTION_INT, AT(config.max_retries), GENERATE | SERVER,
     "servers: a request of which nothing has come is sent so often again, 0 to 10; default 2"},
    {0, "adapter-check", NULL, NULL, "auto|always|never", OPTION_CHOICE, AT(config.adapter_check),
     ON_SERVER,
     "vllm: read an adapter here before it is loaded there; default auto: where the server is "
     "on "
     "this machine"},
    {0, "batch", NULL, NULL, "FILE", OPTION_TEXT, AT(batch), GENERATE,
     "a JSON request a line, - for standard input: all in flight at once, a JSON result a line"},
    {0, "strict", NULL, NULL, NULL, OPTION_SWITCH, AT(strict), GENERATE,
     "with --batch: the exit code is that of the first line that failed"},
    {0, "no-stream", NULL, NULL, NULL, OPTION_SWITCH, AT(no_stream), GENERATE,
     "print the text when it is complete"},
    {0, "json", NULL, NULL, NULL, OPTION_SWITCH, AT(json),
     GENERATE | COMMAND_ADAPTERS | COMMAND_INSPECT, "one JSON object a result"},
    {0, "dtype", NULL, NULL, "auto|float32|float16|bfloat16|q8_0|q4_0|q4_k", OPTION_WORD, AT(dtype),
     ON_MODEL,
     "the type of the weights; a GGUF file has its own, so that llamacpp takes auto only"},
    {0, "device", NULL, NULL, "DEVICE", OPTION_TEXT, AT(device), ON_MODEL,
     "auto, cpu, or a device of this build such as cuda; default auto"},
    {0, "gpu-layers", NULL, NULL, "N", OPTION_INT, AT(config.n_gpu_layers), ON_MODEL,
     "layers on the device; default -1, all"},
    {0, "threads", NULL, NULL, "N", OPTION_INT, AT(config.n_threads), ON_MODEL,
     "compute threads; default: one a physical core"},
    {0, "ctx", NULL, NULL, "N", OPTION_INT, AT(config.n_ctx), ON_MODEL,
     "tokens in the window of each request; default 4096"},
    {0, "max-sequences", NULL, NULL, "N", OPTION_INT, AT(config.max_sequences), ON_MODEL,
     "requests decoded together, 1 to 64; default 16"},
    {0, "queue-limit", NULL, NULL, "N", OPTION_INT, AT(config.queue_limit), ON_MODEL,
     "requests waiting beyond those; default 1024"},
    {0, "prefill-chunk", NULL, NULL, "N", OPTION_INT, AT(config.prefill_chunk), ON_MODEL,
     "prompt tokens a step while others decode, at most; default 128"},
    {0, "flash-attention", NULL, NULL, "auto|on|off", OPTION_CHOICE, AT(config.flash_attention),
     ON_MODEL, "default auto"},
    {0, "adapter-execution", NULL, NULL, "auto|shared|native", OPTION_CHOICE,
     AT(config.adapter_execution), ON_MODEL,
     "all adapters in one decode, or the backend's own adapters; default auto"},
    {0, "kv-budget", NULL, NULL, "MIB", OPTION_U64, AT(kv_budget), ON_MODEL,
     "at most so much memory for the KV cache, in MiB; default 4096"},
    {0, "max-adapters", NULL, NULL, "N", OPTION_U64, AT(max_adapters), ON_MODEL,
     "adapters registered at once; default 0, no limit"},
    {0, "max-adapter-bytes", NULL, NULL, "N", OPTION_U64, AT(max_adapter_bytes), ON_MODEL,
     "their bytes in memory; default 0, no limit"},
    {0, "adapter-overflow", NULL, NULL, "refuse|evict", OPTION_CHOICE, AT(config.adapter_overflow),
     ON_MODEL,
     "beyond these limits a load fails, or evicts the least recently used; default refuse"},
    {0, "base", NULL, NULL, "MODEL", OPTION_TEXT, AT(base), COMMAND_INSPECT,
     "a GGUF file, a checkpoint's directory or hub id: does the adapter fit it?"},
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
static unsigned running;                 /* the command, as its bit */

/* ------------------------------------------------------------------ messages */

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

/* What a flag takes, as it is shown: of providers, all that the library names. */
static const char *argument_of(const struct option *o)
{
    static char providers[128];
    const char *name = inf_provider_type_name(1);
    size_t at = 0;

    if (o->offset != AT(provider))
        return o->argument;
    for (int32_t type = 2; name && at < sizeof providers; type++) {
        const char *next = inf_provider_type_name(type);

        at += (size_t)snprintf(providers + at, sizeof providers - at, next ? "%s|" : "%s", name);
        name = next;
    }
    return providers;
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
        setting_from_text(s, o, "");
        return 0;
    }
    if (*value == '=' && is_long)
        value++;
    else if (*value == '\0' && ++*at < argc)
        value = argv[*at];
    else if (*value == '\0')
        return usage_error(command, "%.*s needs a value: %s", shown, argument, argument_of(o));
    if (!setting_from_text(s, o, value))
        return usage_error(command, "%.*s takes %s, not '%s'", shown, argument, setting_kind(o),
                           value);
    return 0;
}

int settings_parse(struct settings *s, const struct command *command, int argc, char **argv)
{
    bool only_arguments = false;

    memset(s, 0, sizeof *s);
    inf_provider_config_default(&s->config, sizeof s->config);
    inf_request_default(&s->request, sizeof s->request);
    s->command = running = command->bit;
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
    if (running && !(o->commands & running))
        snprintf(out, FLAG_SIZE, "%s", o->name);
    else if (o->letter)
        snprintf(out, FLAG_SIZE, "-%c", o->letter);
    else
        snprintf(out, FLAG_SIZE, "--%s", o->name);
    options_typed_flag(key, out);
    return true;
}

const char *options_typed_useless(bool in_process)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if ((options[i].commands & (in_process ? SERVER : IN_PROCESS)) && *typed[i])
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
        if (!setting_from_json(s, o, value)) {
            snprintf(why, size, "\"%s\" takes %s", key, setting_kind(o));
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
        snprintf(flag + n, sizeof flag - (size_t)n, " %s", argument_of(o));
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
            printf("%s%s\n", o->argument ? " " : "", o->argument ? argument_of(o) : "");
        }
    }
}
