/*
 * options: every option of the command, once: its flags, its key in a batch line, its kind, its
 * help. Parsing, `--help`, batch lines and the documentation's check all read the same table.
 *
 * Values are borrowed from argv, or live in the settings' memory until settings_free.
 */
#ifndef INF_CLI_OPTIONS_H
#define INF_CLI_OPTIONS_H

#include <inference/inference.h>
#include <jansson.h>

enum { EXIT_USAGE = 2 };

/* The commands, as bits: which of them take an option. */
enum command_bit {
    COMMAND_GENERATE = 1,
    COMMAND_ADAPTERS = 2,
    COMMAND_INSPECT = 4,
    COMMAND_TOKENIZE = 8,
    COMMAND_DETOKENIZE = 16,
    COMMAND_RENDER = 32,
    COMMAND_LOGITS = 64,
    /* no server can answer them */
    IN_PROCESS_COMMANDS = COMMAND_TOKENIZE | COMMAND_DETOKENIZE | COMMAND_RENDER | COMMAND_LOGITS
};

struct command {
    const char *name;
    unsigned bit;
    const char *usage;   /* the line behind the name */
    const char *summary; /* one line */
    const char *details; /* further lines of --help */
    int (*run)(const struct command *command, int argc, char **argv);
};

struct text_list {
    inf_text *items;
    size_t n;
};

struct id_list {
    int32_t *items;
    size_t n;
};

struct adapter_list {
    inf_request_adapter *items;
    size_t n;
};

struct maybe_ms {
    bool is_set;
    int64_t value; /* -1: no limit */
    double given;  /* what was written, in seconds or milliseconds */
};

struct settings {
    /* the provider */
    inf_text provider, model, url;
    struct text_list load; /* "ID=PATH" */
    inf_text dtype, device, flash_attention, adapter_execution;
    inf_maybe_i32 threads, ctx, gpu_layers, max_sequences, queue_limit, prefill_chunk;
    inf_maybe_i32 concurrency;
    inf_maybe_u64 kv_budget, max_adapters, max_adapter_bytes;
    inf_text adapter_overflow;

    /* the request */
    inf_text prompt, messages, template_variables, system, json_schema, grammar, tools, tool_choice;
    inf_text speculate, reference;
    struct adapter_list adapters;
    inf_text extra_json, extra_headers;
    inf_maybe_i32 max_tokens, top_k, logprobs;
    inf_maybe_f32 temperature, top_p, min_p, repetition_penalty, frequency_penalty;
    inf_maybe_f32 presence_penalty, adapter_scale;
    inf_maybe_u64 seed;
    struct text_list stop;
    struct id_list stop_token_ids;
    struct maybe_ms timeout, queue_timeout;
    inf_maybe_bool add_special;
    bool chat, ignore_eos, plain_prompt, plain_output, continue_final_message;

    /* input and output */
    inf_text batch, base;
    bool json, no_stream, jsonl, skip_special, no_generation_prompt;
    bool strict, verbose, quiet;
    struct id_list ids, probe;
    inf_maybe_i32 top;

    /* what is no option */
    unsigned command; /* its bit */
    char **arguments;
    size_t n_arguments;

    void **memory; /* blocks to free */
    size_t n_memory;
};

/*
 * Parses what stands behind the command's name. Returns 0, EXIT_USAGE (said on stderr), or -1 when
 * help was asked for and printed. settings_free after each of them.
 */
int settings_parse(struct settings *s, const struct command *command, int argc, char **argv);
void settings_free(struct settings *s);

/*
 * Sets options from a batch line's object; keys "id" is the caller's. What an earlier call or
 * the command line set is replaced. false: `why` (size bytes) says what is wrong. Texts are borrowed
 * from the object.
 */
bool settings_from_json(struct settings *s, json_t *object, char *why, size_t size);

/* Whether it is ID=PATH, neither part empty. */
bool is_id_and_path(const char *text);

/* The flag that sets what a batch line's key, or the long flag's own name, sets: as it was typed, or its
 * shortest form ("-n", "--top-k"). false: none does. */
enum { FLAG_SIZE = 40 };
bool options_flag_of(const char *key, char out[FLAG_SIZE]);

/* The flag that was typed for it; false: none was. */
bool options_typed_flag(const char *key, char out[FLAG_SIZE]);

/* Which of the keys of a batch line, each with a NUL and an empty one last, sets what `key` does. */
bool options_written_key(const char *key, const char *keys, char out[FLAG_SIZE]);

/* Whether a batch line may have it. */
bool options_has_key(const char *key);

/* Whether its value in a batch line is a whole number of 64 bits without a sign. */
bool options_key_is_u64(inf_text key);

/* A flag that was typed and is for in-process providers alone; NULL: none was. */
const char *options_typed_in_process(void);

/* Memory that lives as long as the settings; NULL when out of memory. */
void *settings_alloc(struct settings *s, size_t size);

void options_print_help(const struct command *command);
/* All commands and their options, for completion and the documentation's check: "generate --model -m
 * MODEL". */
void options_print_all(const struct command *commands, size_t n);

/* "inference: <text>; see 'inference <command> --help'" on stderr. Returns EXIT_USAGE. */
int usage_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
