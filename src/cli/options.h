/*
 * options: every option of the command, once: its flags, its key in a batch line, its kind, its
 * help. Parsing, `--help`, batch lines and the documentation's check all read the same table.
 */
#ifndef INF_CLI_OPTIONS_H
#define INF_CLI_OPTIONS_H

#include "cli/settings.h"

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

struct session;

struct command {
    const char *name;
    unsigned bit;
    const char *usage;   /* the line behind the name */
    const char *summary; /* one line */
    const char *details; /* further lines of --help */
    /* What is wrong with what stands on the command line: said, and its code; else 0. */
    int (*check)(const struct command *command, const struct settings *s);
    /* Opens the session. What it leaves in *err is the command's error. */
    void (*run)(struct session *session, struct settings *s, inf_error *err);
};

/*
 * Parses what stands behind the command's name. Returns 0, EXIT_USAGE (said on stderr), or -1 when
 * help was asked for and printed. settings_free after each of them. Values are borrowed from argv, or live in
 * the settings' memory.
 */
int settings_parse(struct settings *s, const struct command *command, int argc, char **argv);

/*
 * Sets options from a batch line's object; keys "id" is the caller's. What an earlier call or
 * the command line set is replaced. false: `why` (size bytes) says what is wrong. Texts are borrowed
 * from the object.
 */
bool settings_from_json(struct settings *s, json_t *object, char *why, size_t size);

/* The flag that sets what a batch line's key, or the long flag's own name, sets: as it was typed, or its
 * shortest form ("-n", "--top-k"), or where this command has none its name ("messages"). false: none does. */
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

/* A flag that was typed and is for the other kind of provider alone; NULL: none was. */
const char *options_typed_useless(bool in_process);

void options_print_help(const struct command *command);
/* All commands and their options, for completion and the documentation's check: "generate --model -m
 * MODEL". */
void options_print_all(const struct command *commands, size_t n);

/* "inference: <text>; see 'inference <command> --help'" on stderr. Returns EXIT_USAGE. */
int usage_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
