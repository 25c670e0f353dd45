/*
 * model_config: config.json of a checkpoint: which model it is, and typed looks at its keys, as
 * transformers 5 reads them: those that versions 4 and 5 write, and the language model's own where
 * they lie under text_config. What a key means to a model is not known here.
 *
 * Threads: immutable once open. A reader is one thread's.
 */
#ifndef INF_HF_FILES_MODEL_CONFIG_H
#define INF_HF_FILES_MODEL_CONFIG_H

#include "core/error.h"
#include "core/json.h"

struct model_config {
    char *bytes;
    struct json_span root;
    struct json_span text; /* the language model's part: text_config, else the root */
    char model_type[64];   /* of the root */
    char text_type[64];    /* of the language model's part */
};

/* dir/config.json. IO, BAD_FORMAT, NO_MEMORY. */
int32_t model_config_open(struct model_config *out, const char *dir, inf_error *err);
void model_config_free(struct model_config *c);

/* ------------------------------------------------------------------ looking at keys */

/* The first error stops it: from then on every look gives its `otherwise`, and code says so. */
struct config_reader {
    struct json_span object;
    struct json_span root; /* of the whole file; the same, or around it */
    const char *where;     /* before a key in messages: "", or "rope_parameters." */
    int32_t code;          /* INF_OK: none so far */
    inf_error *err;
};

/* The reader of the language model's part. */
struct config_reader config_reader_of(const struct model_config *c, inf_error *err);

/* Absent and null are the same. */
bool config_has(const struct config_reader *r, const char *key);
bool config_is_null(const struct config_reader *r, const char *key); /* there, and null */
struct json_span config_value(const struct config_reader *r, const char *key);

/* `otherwise` for a key that is absent or null; CONFIG_NEEDED: that is an error, and low stands for it. */
#define CONFIG_NEEDED INT64_MIN
int64_t config_int(struct config_reader *r, const char *key, int64_t otherwise, int64_t low,
                   int64_t high);
/* The same; NAN: needed. Finite. */
double config_real(struct config_reader *r, const char *key, double otherwise);
bool config_bool(struct config_reader *r, const char *key, bool otherwise);
/* Whether the key's text is one of those (NULL at the end); `otherwise` where it is absent. */
bool config_is_one_of(struct config_reader *r, const char *key, const char *const *texts,
                      bool otherwise);
/* Items of an array of whole numbers into out; their number, at most cap; -1 where it is absent. */
int32_t config_ints(struct config_reader *r, const char *key, int64_t *out, int32_t cap);

/* n numbers of an array, finite; false: it is absent or another, which is an error. */
bool config_reals(struct config_reader *r, const char *key, float *out, int64_t n);

/* UNSUPPORTED: the key, its value, and why (printf). Absent: what is missing. */
void config_refuse(struct config_reader *r, const char *key, const char *why, ...)
    ERROR_PRINTF(3, 4);
/* BAD_FORMAT, the same way. */
void config_bad(struct config_reader *r, const char *key, const char *why, ...) ERROR_PRINTF(3, 4);

/* ------------------------------------------------------------------ rotary positions */

struct config_rope {
    double theta;
    double partial;              /* of a head that turns */
    char type[16];               /* "default", "linear", "dynamic", "yarn", "longrope", "llama3" */
    struct config_reader params; /* what else there is, under the key it was found at */
    struct config_reader *owner; /* the reader that it was found with */
};

/* layer_type: of a config that has parameters for each kind of layer; NULL: none. theta and partial: the
 * class's defaults. */
struct config_rope config_rope(struct config_reader *r, const char *layer_type, double theta,
                               double partial);

#endif
