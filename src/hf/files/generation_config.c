/* generation_config: see the header. */
#include "hf/files/generation_config.h"

#include "core/file.h"
#include "core/memory.h"

#include <stdio.h>

#define FILE_NAME "generation_config.json"
#define MAX_SIZE ((uint64_t)16 << 20)

/* What transformers takes where nothing is said. */
static const struct generation_config defaults = {
    .temperature = 1, .top_p = 1, .min_p = 0, .repetition_penalty = 1, .top_k = 50};

/* ------------------------------------------------------------------ the end */

/* One id, or a list of them. */
static void take_eos(struct generation_config *g, struct config_reader *r)
{
    if (scan_is_array(config_value(r, "eos_token_id"))) {
        int32_t n = config_ints(r, "eos_token_id", g->eos, GENERATION_MAX_EOS);

        g->n_eos = n > 0 ? n : 0;
    } else if (config_has(r, "eos_token_id")) {
        g->eos[0] = config_int(r, "eos_token_id", CONFIG_NEEDED, INT32_MIN, INT32_MAX);
        g->n_eos = r->code == INF_OK;
    }
}

/* ------------------------------------------------------------------ options that nothing computes */

static bool is_number(struct json_span v, double n)
{
    double value = 0;

    return scan_real(v, &value) && value >= n && value <= n;
}

/* Set to something that changes what is generated. */
static bool is_active(const struct config_reader *r, const char *key, double off)
{
    struct json_span v = config_value(r, key);
    struct json_span item;
    struct json_walk w;

    if (scan_is_none(v) || is_number(v, off))
        return false;
    if (scan_array(&w, v))
        return scan_next_item(&w, &item);
    return scan_is_true(v) || scan_is_number(v) || scan_is_object(v);
}

static void note_ignored(struct generation_config *g, const struct config_reader *r)
{
    static const struct {
        const char *key;
        double off;
        bool sampling_only;
    } keys[] = {
        {"num_beams", 1, false},
        {"no_repeat_ngram_size", 0, false},
        {"encoder_no_repeat_ngram_size", 0, false},
        {"encoder_repetition_penalty", 1, false},
        {"bad_words_ids", 0, false},
        {"suppress_tokens", 0, false},
        {"begin_suppress_tokens", 0, false},
        {"forced_bos_token_id", -1, false},
        {"forced_eos_token_id", -1, false},
        {"sequence_bias", 0, false},
        {"min_length", 0, false},
        {"min_new_tokens", 0, false},
        {"guidance_scale", 1, false},
        {"exponential_decay_length_penalty", 0, false},
        {"penalty_alpha", 0, false},
        {"typical_p", 1, true},
        {"epsilon_cutoff", 0, true},
        {"eta_cutoff", 0, true},
        {"top_h", 0, true},
    };
    size_t at = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && at < sizeof g->ignored; i++)
        if (is_active(r, keys[i].key, keys[i].off) && (g->do_sample || !keys[i].sampling_only))
            at += (size_t)snprintf(g->ignored + at, sizeof g->ignored - at, "%s%s", at ? ", " : "",
                                   keys[i].key);
}

/* ------------------------------------------------------------------ the file */

static float take_real(struct config_reader *r, const char *key, float otherwise, double low,
                       double high)
{
    double v = config_real(r, key, (double)otherwise);

    if (v < low || v > high)
        config_bad(r, key, "it must be from %g to %g", low, high);
    return (float)v;
}

static void take_all(struct generation_config *g, struct config_reader *r)
{
    g->do_sample = config_bool(r, "do_sample", false);
    g->temperature = take_real(r, "temperature", g->temperature, 0, 1e6);
    g->top_p = take_real(r, "top_p", g->top_p, 0, 1);
    g->min_p = take_real(r, "min_p", g->min_p, 0, 1);
    g->repetition_penalty = take_real(r, "repetition_penalty", g->repetition_penalty, 1e-6, 1e6);
    g->top_k = (int32_t)config_int(r, "top_k", g->top_k, 0, INT32_MAX);
    take_eos(g, r);
    note_ignored(g, r);
}

static int32_t from_file(struct generation_config *out, const char *dir, const char *text,
                         size_t len, inf_error *err)
{
    struct config_reader r = {.where = "", .code = INF_OK, .err = err};

    if (!scan_json(&r.object, text, len) || !scan_is_object(r.object))
        r.code = error_set(err, INF_ERROR_BAD_FORMAT, "it is no JSON object");
    else
        take_all(out, &r);
    return r.code == INF_OK ? INF_OK : error_prefix(err, "%s/" FILE_NAME, dir);
}

/* The text part's, where the root says nothing. */
static int32_t from_config(struct generation_config *out, const struct model_config *c,
                           inf_error *err)
{
    struct config_reader r = config_reader_of(c, err);

    r.object = c->root;
    take_eos(out, &r);
    r.object = c->text;
    if (out->n_eos == 0)
        take_eos(out, &r);
    return r.code;
}

int32_t generation_config_open(struct generation_config *out, const char *dir,
                               const struct model_config *config, inf_error *err)
{
    char *text = NULL;
    size_t len = 0;
    int32_t code = file_read_if_there(&text, &len, dir, FILE_NAME, MAX_SIZE, err);

    *out = defaults;
    if (code == INF_OK && text)
        code = from_file(out, dir, text, len, err);
    else if (code == INF_OK && config)
        code = from_config(out, config, err);
    mem_free(text);
    return code;
}
