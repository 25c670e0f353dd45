/*
 * settings: what options set, and how a value of each kind is read from a text or from JSON.
 */
#ifndef INF_CLI_SETTINGS_H
#define INF_CLI_SETTINGS_H

#include <inference/inference.h>
#include <jansson.h>

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
    inf_provider_config
        config; /* its fields that an option sets as it is, the rest at their defaults */
    inf_text provider, model, url;
    struct text_list load; /* "ID=PATH" */
    inf_text dtype, device;
    struct maybe_ms connect_timeout, silence_timeout;
    inf_maybe_u64 kv_budget, max_adapters, max_adapter_bytes;

    /* the request */
    inf_request request; /* the same way */
    inf_text prompt, messages;
    struct adapter_list adapters;
    struct text_list stop;
    struct id_list stop_token_ids;
    struct maybe_ms timeout, queue_timeout;
    bool chat;

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

/* Frees what settings_alloc gave. */
void settings_free(struct settings *s);
/* Memory that lives as long as the settings; NULL when out of memory. */
void *settings_alloc(struct settings *s, size_t size);

/* ------------------------------------------------------------------ options */

enum option_kind {
    OPTION_SWITCH,   /* bool */
    OPTION_YES,      /* inf_maybe_bool: true; in a batch line true or false */
    OPTION_NO,       /* inf_maybe_bool: false */
    OPTION_TEXT,     /* inf_text */
    OPTION_CHOICE,   /* int32_t, which of "a|b|c" in `argument`: enumerators are in this order */
    OPTION_WORD,     /* inf_text, one of those */
    OPTION_JSON,     /* inf_text; in a batch line the value itself may stand there */
    OPTION_TEXTS,    /* struct text_list, repeatable */
    OPTION_PAIRS,    /* the same, each ID=PATH */
    OPTION_IDS,      /* struct id_list, "1,2,3" */
    OPTION_INT,      /* int32_t */
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

/* Sets the option's field. false: the value is not of its kind, which setting_kind names. Texts are borrowed. */
bool setting_from_text(struct settings *s, const struct option *o, const char *text);
bool setting_from_json(struct settings *s, const struct option *o, json_t *value);
const char *setting_kind(const struct option *o);

/* Whether it is ID=PATH, neither part empty. */
bool is_id_and_path(const char *text);

#endif
