/* model_config: see the header. */
#include "hf/files/model_config.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONFIG ((uint64_t)16 << 20)

/* ------------------------------------------------------------------ the file */

/* "" for what is no text, or too long. NO_MEMORY. */
static int32_t copy_text(char *out, size_t size, struct json_span v, inf_error *err)
{
    struct buffer b;
    bool fits = false;

    out[0] = '\0';
    if (!scan_is_string(v))
        return INF_OK;
    buffer_init(&b, BUFFER_NO_LIMIT);
    if (!scan_unescape(&b, v)) {
        buffer_free(&b);
        return error_no_memory(err);
    }
    fits = b.len > 0 && b.len < size && strlen(b.data) == b.len && utf8_valid(b.data, b.len);
    if (fits)
        memcpy(out, b.data, b.len + 1);
    buffer_free(&b);
    return INF_OK;
}

static int32_t scan_config(struct model_config *c, size_t len, inf_error *err)
{
    struct json_span nested = {0};
    int32_t code = INF_OK;

    if (!scan_json(&c->root, c->bytes, len) || !scan_is_object(c->root))
        return error_set(err, INF_ERROR_BAD_FORMAT, "config.json is no JSON object");
    nested = scan_member(c->root, "text_config");
    c->text = scan_is_object(nested) ? nested : c->root;
    code = copy_text(c->model_type, sizeof c->model_type, scan_member(c->root, "model_type"), err);
    if (code == INF_OK)
        code = copy_text(c->text_type, sizeof c->text_type, scan_member(c->text, "model_type"),
                         err);
    if (code == INF_OK && !c->model_type[0])
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "config.json has no \"model_type\", which says what model it is");
    if (!c->text_type[0])
        memcpy(c->text_type, c->model_type, sizeof c->text_type);
    return code;
}

int32_t model_config_open(struct model_config *out, const char *dir, inf_error *err)
{
    size_t len = 0;
    int32_t code = INF_OK;

    *out = (struct model_config){.bytes = NULL};
    code = file_read_in(&out->bytes, &len, dir, "config.json", MAX_CONFIG, err);
    if (code != INF_OK)
        return code;
    code = scan_config(out, len, err);
    if (code == INF_OK)
        return INF_OK;
    model_config_free(out);
    return error_prefix(err, "%s", dir);
}

void model_config_free(struct model_config *c)
{
    mem_free(c->bytes);
    *c = (struct model_config){.bytes = NULL};
}

/* ------------------------------------------------------------------ errors */

enum { SHOWN = 60 }; /* bytes of a value in messages */

static void fail(struct config_reader *r, int32_t code, const char *key, const char *why,
                 va_list args)
{
    struct json_span v = scan_member(r->object, key);
    char text[200];

    if (r->code != INF_OK)
        return;
    vsnprintf(text, sizeof text, why, args);
    r->code = code;
    if (scan_is_none(v))
        error_set(r->err, code, "config.json has no \"%s%s\": %s", r->where, key, text);
    else
        error_set(r->err, code, "config.json: \"%s%s\" is %.*s%s: %s", r->where, key,
                  v.len < SHOWN ? (int)v.len : SHOWN, v.data, v.len < SHOWN ? "" : "...", text);
}

void config_refuse(struct config_reader *r, const char *key, const char *why, ...)
{
    va_list args;

    va_start(args, why);
    fail(r, INF_ERROR_UNSUPPORTED, key, why, args);
    va_end(args);
}

void config_bad(struct config_reader *r, const char *key, const char *why, ...)
{
    va_list args;

    va_start(args, why);
    fail(r, INF_ERROR_BAD_FORMAT, key, why, args);
    va_end(args);
}

/* ------------------------------------------------------------------ values */

struct config_reader config_reader_of(const struct model_config *c, inf_error *err)
{
    return (struct config_reader){
        .object = c->text, .root = c->root, .where = "", .code = INF_OK, .err = err};
}

struct json_span config_value(const struct config_reader *r, const char *key)
{
    return scan_member(r->object, key);
}

bool config_has(const struct config_reader *r, const char *key)
{
    return !scan_is_none(config_value(r, key));
}

bool config_is_null(const struct config_reader *r, const char *key)
{
    struct json_span v = config_value(r, key);

    return v.data && scan_is_none(v);
}

/* 4096.0 is written for 4096 by some tools. */
static bool whole(struct json_span v, int64_t *out)
{
    double real = 0;

    if (scan_integer(v, out))
        return true;
    if (!scan_real(v, &real) || fabs(real) > 1e15 || floor(real) < real)
        return false;
    *out = (int64_t)real;
    return true;
}

int64_t config_int(struct config_reader *r, const char *key, int64_t otherwise, int64_t low,
                   int64_t high)
{
    struct json_span v = config_value(r, key);
    bool needed = otherwise == CONFIG_NEEDED;
    int64_t value = 0;

    if (r->code != INF_OK || (scan_is_none(v) && !needed))
        return needed ? low : otherwise;
    if (scan_is_none(v) || !whole(v, &value) || value < low || value > high) {
        config_bad(r, key, "it must be a whole number from %lld to %lld", (long long)low,
                   (long long)high);
        return needed ? low : otherwise;
    }
    return value;
}

double config_real(struct config_reader *r, const char *key, double otherwise)
{
    struct json_span v = config_value(r, key);
    double value = 0;

    if (r->code != INF_OK || (scan_is_none(v) && !isnan(otherwise)))
        return otherwise;
    if (scan_is_none(v) || !scan_real(v, &value) || !isfinite(value)) {
        config_bad(r, key, "it must be a number");
        return otherwise;
    }
    return value;
}

bool config_bool(struct config_reader *r, const char *key, bool otherwise)
{
    struct json_span v = config_value(r, key);

    if (r->code != INF_OK || scan_is_none(v))
        return otherwise;
    if (scan_is_true(v))
        return true;
    if (v.len != 5 || memcmp(v.data, "false", 5) != 0)
        config_bad(r, key, "it must be true or false");
    return false;
}

bool config_is_one_of(struct config_reader *r, const char *key, const char *const *texts,
                      bool otherwise)
{
    struct json_span v = config_value(r, key);

    if (r->code != INF_OK || scan_is_none(v))
        return otherwise;
    for (; scan_is_string(v) && *texts; texts++)
        if (scan_equals(v, *texts))
            return true;
    return false;
}

int32_t config_ints(struct config_reader *r, const char *key, int64_t *out, int32_t cap)
{
    struct json_span item = {0};
    struct json_walk w;
    int32_t n = 0;

    if (r->code != INF_OK || !config_has(r, key))
        return -1;
    if (!scan_array(&w, config_value(r, key))) {
        config_bad(r, key, "it must be a list of whole numbers");
        return -1;
    }
    for (; scan_next_item(&w, &item); n++)
        if (n == cap || !whole(item, &out[n])) {
            config_bad(r, key, "it must be a list of at most %d whole numbers", (int)cap);
            return -1;
        }
    return n;
}

bool config_reals(struct config_reader *r, const char *key, float *out, int64_t n)
{
    struct json_span item = {0};
    struct json_walk w;
    double value = 0;
    int64_t i = 0;

    if (r->code != INF_OK)
        return false;
    if (!scan_array(&w, config_value(r, key))) {
        config_bad(r, key, "it must be a list of %lld numbers", (long long)n);
        return false;
    }
    for (; scan_next_item(&w, &item); i++) {
        if (i >= n || !scan_real(item, &value) || !isfinite(value))
            break;
        out[i] = (float)value;
    }
    if (i != n || scan_next_item(&w, &item))
        config_bad(r, key, "it must be a list of %lld numbers", (long long)n);
    return r->code == INF_OK;
}

/* ------------------------------------------------------------------ rotary positions */

static const struct {
    const char *name;
    const char *means;
} rope_types[] = {
    {"default", "default"}, {"mrope", "default"},     {"linear", "linear"},
    {"dynamic", "dynamic"}, {"yarn", "yarn"},         {"su", "longrope"},
    {"llama3", "llama3"},   {"longrope", "longrope"}, {"proportional", "other"},
};

static void take_type(struct config_rope *out, struct config_reader *r)
{
    const char *key = config_has(&out->params, "rope_type") ? "rope_type" : "type";
    struct json_span v = config_value(&out->params, key);

    snprintf(out->type, sizeof out->type, "default");
    if (scan_is_none(v))
        return;
    for (size_t i = 0; i < sizeof rope_types / sizeof rope_types[0]; i++)
        if (scan_is_string(v) && scan_equals(v, rope_types[i].name)) {
            snprintf(out->type, sizeof out->type, "%s", rope_types[i].means);
            return;
        }
    out->params.err = r->err;
    config_refuse(&out->params, key, "this way to stretch positions is not known");
    r->code = out->params.code;
}

static bool has_members(struct json_span v)
{
    struct json_span key, value;
    struct json_walk w;

    return !scan_is_none(v) && (!scan_object(&w, v) || scan_next_member(&w, &key, &value));
}

/* A rope_scaling beside rope_parameters replaces it whole; parameters may be a kind of layer's each. */
struct config_rope config_rope(struct config_reader *r, const char *layer_type, double theta,
                               double partial)
{
    const char *key = has_members(config_value(r, "rope_scaling")) ? "rope_scaling"
                                                                   : "rope_parameters";
    struct config_rope out = {.params = *r, .owner = r};
    struct json_span own = {0};

    out.params.object = config_value(r, key);
    out.params.where = key[5] == 's' ? "rope_scaling." : "rope_parameters.";
    if (config_has(r, key) && !scan_is_object(out.params.object))
        config_bad(r, key, "it must be an object");
    own = layer_type ? scan_member(out.params.object, layer_type) : own;
    if (!scan_is_none(own) && !scan_is_object(own))
        config_bad(&out.params, layer_type, "it must be an object");
    if (scan_is_object(own))
        out.params.object = own;
    out.theta = config_real(&out.params, "rope_theta", config_real(r, "rope_theta", theta));
    out.partial = config_real(&out.params, "partial_rotary_factor",
                              config_real(r, "partial_rotary_factor", partial));
    take_type(&out, r);
    if (r->code == INF_OK)
        r->code = out.params.code;
    return out;
}
