/*
 * peft_config: see the header. Owns the parsed values and the compiled patterns.
 * Threads: matching uses the patterns' scratch: one thread at a time.
 */
#include "hf/files/peft_config.h"

#include "core/ascii.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "hf/files/pattern.h"
#include "hf/files/peft_features.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_ITEMS = 65536,        /* of any list or pattern table */
    MAX_PROGRAM = 256 * 1024, /* instructions of all patterns together */
    MAX_RANK = 1 << 20
};
/* Steps of all pattern matching for one adapter: about a second. */
#define MATCH_BUDGET ((int64_t)200 * 1000 * 1000)

/* A key of rank_pattern or alpha_pattern with its value. */
struct rule {
    char *text;
    size_t len;
    struct pattern *pattern; /* NULL: text is plain, where '.' means any character */
    double value;
};

struct rules {
    struct rule *items;
    size_t n;
};

enum targets_kind { TARGETS_NONE, TARGETS_LIST, TARGETS_PATTERN, TARGETS_ALL_LINEAR };

/* A list of names, or of their ends. */
struct names {
    char **items;
    size_t n;
    int64_t cost; /* of looking through them once, in steps of the budget */
};

/* target_modules or exclude_modules. */
struct targets {
    int32_t kind;            /* enum targets_kind */
    struct names names;      /* LIST */
    struct pattern *pattern; /* PATTERN */
};

/* Of trainable_token_indices: the ids for modules whose names end so; name NULL: the embeddings'. */
struct tokens {
    char *name;
    int32_t *ids;
    size_t n;
};

struct peft_config {
    struct peft_says says;
    int32_t rank;
    struct names parameters, saved; /* target_parameters, modules_to_save */
    struct tokens *tokens;
    size_t n_tokens;
    char *base; /* what says.base is */
    struct targets targets, excluded;
    bool has_layers; /* layers_to_transform is given and not empty */
    int64_t *layers;
    size_t n_layers;
    struct names layer_lists; /* layers_pattern */
    struct rules ranks, alphas;
    int64_t budget;  /* left for matching */
    int64_t program; /* instructions compiled */
};

#define CONFIG_NAME PEFT_CONFIG_NAME

static int32_t bad(inf_error *err, const char *key, const char *what)
{
    return error_set(err, INF_ERROR_BAD_FORMAT, CONFIG_NAME ": \"%s\" must be %s", key, what);
}

/* ---------------------------------------------------------------- values */

/* Takes steps from the budget of all matching. Lists are hostile too: 65,536 names or layers, times
 * a million modules, would take minutes. */
static int32_t spend(struct peft_config *c, int64_t steps, inf_error *err)
{
    c->budget -= steps;
    if (c->budget >= 0)
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     CONFIG_NAME ": its patterns and lists take too long to match; simplify them");
}

/* Steps for going through n bytes of text, which takes less than a step each. */
static int64_t steps_of(size_t n)
{
    return (int64_t)(n / 16) + 1;
}

static int32_t get_bool(const json_t *root, const char *key, bool *out, inf_error *err)
{
    const json_t *v = json_object_get(root, key);

    if (v && !json_is_boolean(v) && !json_is_null(v))
        return bad(err, key, "true or false");
    *out = json_is_true(v);
    return INF_OK;
}

static int32_t rank_of(const json_t *v, const char *key, int32_t *out, inf_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > MAX_RANK)
        return bad(err, key, "a whole number from 1 to 1048576");
    *out = (int32_t)json_integer_value(v);
    return INF_OK;
}

static int32_t alpha_of(const json_t *v, const char *key, double *out, inf_error *err)
{
    if (!json_is_number(v) || !isfinite(json_number_value(v)))
        return bad(err, key, "a number");
    *out = json_number_value(v);
    return INF_OK;
}

static int32_t copy_string(char **out, const json_t *v, inf_error *err)
{
    *out = mem_strndup(json_string_value(v), json_string_length(v));
    return *out ? INF_OK : error_no_memory(err);
}

/* A list of strings, or, when `single` is allowed, one string. */
static int32_t get_names(struct names *out, const json_t *v, const char *key, bool single,
                         inf_error *err)
{
    size_t count = json_is_array(v) ? json_array_size(v) : 1;

    if (!(json_is_array(v) || (single && json_is_string(v))) || count > MAX_ITEMS)
        return bad(err, key, single ? "a string or a list of strings" : "a list of strings");
    out->items = mem_calloc(count, sizeof *out->items);
    if (!out->items)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
        int32_t code = json_is_string(item) ? copy_string(&out->items[i], item, err)
                                            : bad(err, key, "a list of strings");

        if (code != INF_OK)
            return code;
        out->n = i + 1;
        out->cost += steps_of(json_string_length(item));
    }
    return INF_OK;
}

/* ---------------------------------------------------------------- rules */

/* Characters that mean themselves in a pattern; '.' is treated as the any character it is. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!is_letter(c) && !is_digit(c) && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* Compiles a pattern of the key, within the program budget of the whole configuration. */
static int32_t compile_pattern(struct peft_config *c, struct pattern **out, const char *text,
                               size_t len, const char *key, inf_error *err)
{
    int32_t code = pattern_compile(out, text, len, err);

    if (code == INF_OK)
        c->program += pattern_size(*out);
    if (code == INF_OK && c->program > MAX_PROGRAM)
        code = error_set(err, INF_ERROR_UNSUPPORTED, "its patterns are too large");
    if (code != INF_OK && code != INF_ERROR_NO_MEMORY)
        error_prefix(err, CONFIG_NAME ": %s", key);
    return code;
}

/* Compiles "(.*\.)?(key)$", as peft does. */
static int32_t rule_compile(struct peft_config *c, struct rule *rule, const char *key,
                            inf_error *err)
{
    static const char before[] = "(.*\\.)?(", after[] = ")$";
    struct buffer text;
    int32_t code = INF_OK;

    if (is_plain(rule->text, rule->len))
        return INF_OK;
    buffer_init(&text, BUFFER_NO_LIMIT);
    code = buffer_append_str(&text, before) && buffer_append(&text, rule->text, rule->len) &&
                   buffer_append_str(&text, after)
               ? compile_pattern(c, &rule->pattern, text.data, text.len, key, err)
               : error_no_memory(err);
    buffer_free(&text);
    return code;
}

/* rank_pattern or alpha_pattern, in the order of the file. */
static int32_t parse_rules(struct peft_config *c, struct rules *out, json_t *root, const char *key,
                           bool ranks, inf_error *err)
{
    json_t *table = json_object_get(root, key), *v = NULL;
    const char *name = NULL;

    if (!table || json_is_null(table))
        return INF_OK;
    if (!json_is_object(table) || json_object_size(table) > MAX_ITEMS)
        return bad(err, key, "an object of numbers");
    out->items = mem_calloc(json_object_size(table), sizeof *out->items);
    if (!out->items)
        return error_no_memory(err);
    json_object_foreach(table, name, v)
    {
        struct rule *rule = &out->items[out->n++];
        int32_t rank = 0;
        int32_t code = ranks ? rank_of(v, key, &rank, err) : alpha_of(v, key, &rule->value, err);

        if (ranks)
            rule->value = rank;
        if (code == INF_OK && !(rule->text = mem_strdup(name)))
            code = error_no_memory(err);
        if (code == INF_OK) {
            rule->len = strlen(name);
            code = rule_compile(c, rule, key, err);
        }
        if (code != INF_OK)
            return code;
    }
    return INF_OK;
}

/* A plain key matches the end of the name, at its start or behind a dot. */
static bool plain_matches(const struct rule *rule, const char *name, size_t len)
{
    const char *tail = rule->len <= len ? name + (len - rule->len) : NULL;

    if (!tail)
        return false;
    for (size_t i = rule->len; i > 0; i--)
        if (rule->text[i - 1] != tail[i - 1] && rule->text[i - 1] != '.')
            return false;
    return tail == name || tail[-1] == '.';
}

static int32_t rules_find(struct peft_config *c, const struct rules *rules, const char *module,
                          double *value, inf_error *err)
{
    size_t len = strlen(module);

    for (size_t i = 0; i < rules->n; i++) {
        const struct rule *rule = &rules->items[i];
        bool hit = !rule->pattern && plain_matches(rule, module, len);
        int32_t code = rule->pattern
                           ? pattern_fullmatch(&hit, rule->pattern, module, len, &c->budget, err)
                           : spend(c, steps_of(rule->len), err);

        if (code == INF_OK && hit)
            *value = rule->value;
        if (code != INF_OK || hit)
            return code;
    }
    return INF_OK;
}

/* ---------------------------------------------------------------- targets */

static int32_t parse_targets(struct peft_config *c, struct targets *out, const json_t *root,
                             const char *key, inf_error *err)
{
    const json_t *v = json_object_get(root, key);

    if (!v || json_is_null(v))
        return INF_OK;
    if (json_is_array(v)) {
        out->kind = TARGETS_LIST;
        return get_names(&out->names, v, key, false, err);
    }
    if (!json_is_string(v))
        return bad(err, key, "a string or a list of strings");
    if (out == &c->targets && strcasecmp(json_string_value(v), "all-linear") == 0) {
        out->kind = TARGETS_ALL_LINEAR;
        return INF_OK;
    }
    out->kind = TARGETS_PATTERN;
    return compile_pattern(c, &out->pattern, json_string_value(v), json_string_length(v), key, err);
}

/* Exactly a name of the list, or the end of the module behind a dot. */
static bool list_has(const struct names *list, const char *module)
{
    size_t len = strlen(module);

    for (size_t i = 0; i < list->n; i++)
        if (is_last_part(module, len, list->items[i]))
            return true;
    return false;
}

static int32_t targets_match(struct peft_config *c, const struct targets *t, const char *module,
                             bool is_output, bool *out, inf_error *err)
{
    int32_t code = INF_OK;

    *out = false;
    switch (t->kind) {
    case TARGETS_LIST:
        code = spend(c, t->names.cost, err);
        *out = code == INF_OK && list_has(&t->names, module);
        return code;
    case TARGETS_PATTERN:
        return pattern_fullmatch(out, t->pattern, module, strlen(module), &c->budget, err);
    case TARGETS_ALL_LINEAR:
        *out = !is_output;
        return INF_OK;
    default:
        return INF_OK;
    }
}

static int32_t parse_layers(struct peft_config *c, const json_t *root, inf_error *err)
{
    const json_t *v = json_object_get(root, "layers_to_transform");
    size_t n = json_is_array(v) ? json_array_size(v) : 1;

    if (!v || json_is_null(v) || n == 0)
        return INF_OK;
    if (!(json_is_array(v) || json_is_integer(v)) || n > MAX_ITEMS)
        return bad(err, "layers_to_transform", "a layer number or a list of them");
    if (c->targets.kind == TARGETS_PATTERN)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         CONFIG_NAME ": \"layers_to_transform\" does not go with a target_modules "
                                     "that is a pattern");
    c->layers = mem_calloc(n, sizeof *c->layers);
    if (!c->layers)
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;

        if (!json_is_integer(item))
            return bad(err, "layers_to_transform", "a layer number or a list of them");
        c->layers[i] = json_integer_value(item);
    }
    c->n_layers = n;
    c->has_layers = true;
    return INF_OK;
}

static int32_t parse_layer_lists(struct peft_config *c, const json_t *root, inf_error *err)
{
    const json_t *v = json_object_get(root, "layers_pattern");
    int32_t code = peft_is_set(v) ? get_names(&c->layer_lists, v, "layers_pattern", true, err)
                                  : INF_OK;

    for (size_t i = 0; code == INF_OK && i < c->layer_lists.n; i++) {
        const char *name = c->layer_lists.items[i];

        if (name[0] == '\0' || !is_plain(name, strlen(name)) || strpbrk(name, ".-"))
            code = error_set(err, INF_ERROR_UNSUPPORTED,
                             CONFIG_NAME
                             ": layers_pattern \"%.100s\" is not a plain name, which is "
                             "not supported",
                             name);
    }
    return code;
}

/* A run of digits ended by a dot; -1 when there is none. `*end` is then behind the dot. */
static int64_t layer_number(const char *s, const char **end)
{
    int64_t n = 0;
    const char *p = s;

    for (; is_digit(*p); p++)
        n = n > INT32_MAX ? n : n * 10 + (*p - '0');
    if (p == s || *p != '.')
        return -1;
    *end = p + 1;
    return n;
}

/* The layer a module is in as peft finds it: the first number behind "name." where the name is one
 * of layers_pattern, or, without that, any that has itself something before it. -1: in none. */
static int64_t module_layer(const struct peft_config *c, const char *module)
{
    const char *end = NULL;
    int dots = 0;

    for (size_t i = 0; i < c->layer_lists.n; i++) {
        size_t n = strlen(c->layer_lists.items[i]);

        for (const char *p = module; (p = strstr(p, c->layer_lists.items[i])) != NULL; p++) {
            int64_t layer = p[n] == '.' ? layer_number(p + n + 1, &end) : -1;

            if ((p == module || p[-1] == '.') && layer >= 0)
                return layer;
        }
    }
    for (const char *p = module; *p && c->layer_lists.n == 0; p++) {
        dots += *p == '.';
        if (*p == '.' && dots >= 2) {
            int64_t layer = layer_number(p + 1, &end);

            if (layer >= 0)
                return layer;
        }
    }
    return -1;
}

static int32_t in_layers(struct peft_config *c, const char *module, bool *out, inf_error *err)
{
    int64_t once = steps_of(strlen(module)), lists = (int64_t)c->layer_lists.n + 1;
    int32_t code = spend(c, steps_of(c->n_layers) + once * lists, err);
    int64_t layer = code == INF_OK ? module_layer(c, module) : -1;

    *out = false;
    for (size_t i = 0; layer >= 0 && i < c->n_layers && !*out; i++)
        *out = c->layers[i] == layer;
    return code;
}

/* True when the whole module name is in the list: peft then does not look at the layers. */
static bool list_has_exactly(const struct names *list, const char *module)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], module) == 0)
            return true;
    return false;
}

int32_t peft_config_selects(struct peft_config *c, const char *module, bool is_output,
                            bool *selected, inf_error *err)
{
    bool excluded = false;
    int32_t code = targets_match(c, &c->excluded, module, is_output, &excluded, err);

    *selected = c->targets.kind == TARGETS_NONE;
    if (code != INF_OK || excluded) {
        *selected = false;
        return code;
    }
    if (c->targets.kind == TARGETS_NONE)
        return INF_OK;
    code = targets_match(c, &c->targets, module, is_output, selected, err);
    if (code == INF_OK && *selected && c->has_layers &&
        !list_has_exactly(&c->targets.names, module))
        code = in_layers(c, module, selected, err);
    return code;
}

/* ---------------------------------------------------------------- other lists */

static int32_t parse_names(struct names *out, const json_t *root, const char *key, inf_error *err)
{
    const json_t *v = json_object_get(root, key);
    int32_t code = peft_is_set(v) ? get_names(out, v, key, false, err) : INF_OK;

    for (size_t i = 0; code == INF_OK && i < out->n; i++)
        if (out->items[i][0] == '\0')
            code = bad(err, key, "a list of names");
    return code;
}

static int32_t parse_ids(struct tokens *out, const json_t *v, inf_error *err)
{
    static const char key[] = "trainable_token_indices";
    size_t n = json_array_size(v);

    if (!json_is_array(v) || n == 0 || n > MAX_ITEMS * 16)
        return bad(err, key, "a list of token ids, or an object of them");
    out->ids = mem_alloc(n * sizeof *out->ids);
    if (!out->ids)
        return error_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(v, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return bad(err, key, "a list of token ids, or an object of them");
        out->ids[out->n++] = (int32_t)json_integer_value(id);
    }
    return INF_OK;
}

static int32_t parse_tokens(struct peft_config *c, json_t *root, inf_error *err)
{
    json_t *v = json_object_get(root, "trainable_token_indices"), *ids = NULL;
    const char *name = NULL;
    size_t n = json_is_object(v) ? json_object_size(v) : 1;
    int32_t code = INF_OK;

    if (!peft_is_set(v))
        return INF_OK;
    if (n > MAX_ITEMS)
        return bad(err, "trainable_token_indices", "a list of token ids, or an object of them");
    c->tokens = mem_calloc(n, sizeof *c->tokens);
    if (!c->tokens)
        return error_no_memory(err);
    if (!json_is_object(v)) {
        c->n_tokens = 1;
        return parse_ids(&c->tokens[0], v, err);
    }
    json_object_foreach(v, name, ids)
    {
        struct tokens *t = &c->tokens[c->n_tokens++];

        t->name = mem_strdup(name);
        code = t->name ? parse_ids(t, ids, err) : error_no_memory(err);
        if (code != INF_OK)
            return code;
    }
    return INF_OK;
}

int32_t peft_config_selects_parameter(struct peft_config *c, const char *parameter, bool *selected,
                                      inf_error *err)
{
    int32_t code = spend(c, c->parameters.cost, err);

    *selected = code == INF_OK && list_has(&c->parameters, parameter);
    return code;
}

/* Whether a module's name ends so, or that of one around it. */
static bool is_within(const char *module, const char *end)
{
    size_t m = strlen(end);
    const char *stop = module;

    for (;; stop++) {
        size_t n = (size_t)(stop - module);

        if ((*stop == '.' || *stop == '\0') && m <= n && memcmp(stop - m, end, m) == 0)
            return true;
        if (*stop == '\0')
            return false;
    }
}

int32_t peft_config_saves(struct peft_config *c, const char *module, bool *saved, inf_error *err)
{
    int32_t code = spend(c, c->saved.cost * steps_of(strlen(module)), err);

    *saved = false;
    for (size_t i = 0; code == INF_OK && i < c->saved.n && !*saved; i++)
        *saved = is_within(module, c->saved.items[i]);
    return code;
}

const int32_t *peft_config_tokens(const struct peft_config *c, const char *module,
                                  bool is_embedding, size_t *n)
{
    for (size_t i = 0; i < c->n_tokens; i++) {
        const struct tokens *t = &c->tokens[i];

        if (t->name ? text_ends(module, strlen(module), t->name) : is_embedding) {
            *n = t->n;
            return t->ids;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- the whole */

static int32_t parse_flags(struct peft_config *c, const json_t *root, inf_error *err)
{
    const char *bias = json_string_value(json_object_get(root, "bias"));
    struct peft_says *says = &c->says;
    bool ignored = false;
    const struct {
        const char *key;
        bool *value;
    } flags[] = {{"use_rslora", &says->rslora},
                 {"fan_in_fan_out", &ignored},
                 {"use_dora", &says->dora},
                 {"lora_bias", &says->lora_bias},
                 {"ensure_weight_tying", &says->ties}};
    int32_t code = INF_OK;

    says->biases = bias && strcmp(bias, "none") != 0;
    says->all_biases = bias && strcmp(bias, "all") == 0;
    for (size_t i = 0; code == INF_OK && i < sizeof flags / sizeof flags[0]; i++)
        code = get_bool(root, flags[i].key, flags[i].value, err);
    if (code == INF_OK && says->dora && says->lora_bias)
        code = error_set(err, INF_ERROR_BAD_FORMAT,
                         CONFIG_NAME ": \"use_dora\" and \"lora_bias\" do not go together");
    return code;
}

static int32_t parse_numbers(struct peft_config *c, const json_t *root, inf_error *err)
{
    const json_t *r = json_object_get(root, "r"), *alpha = json_object_get(root, "lora_alpha");
    const json_t *base = json_object_get(root, "base_model_name_or_path");
    int32_t code = r ? rank_of(r, "r", &c->rank, err) : INF_OK;

    if (code == INF_OK && alpha)
        code = alpha_of(alpha, "lora_alpha", &c->says.alpha, err);
    return code == INF_OK && json_is_string(base) ? copy_string(&c->base, base, err) : code;
}

static int32_t parse_root(struct peft_config *c, json_t *root, inf_error *err)
{
    int32_t code = peft_check_features(root, err);

    if (code == INF_OK)
        code = parse_numbers(c, root, err);
    if (code == INF_OK)
        code = parse_rules(c, &c->ranks, root, "rank_pattern", true, err);
    if (code == INF_OK)
        code = parse_rules(c, &c->alphas, root, "alpha_pattern", false, err);
    if (code == INF_OK)
        code = parse_targets(c, &c->targets, root, "target_modules", err);
    if (code == INF_OK)
        code = parse_targets(c, &c->excluded, root, "exclude_modules", err);
    if (code == INF_OK)
        code = parse_layers(c, root, err);
    if (code == INF_OK)
        code = parse_layer_lists(c, root, err);
    if (code == INF_OK)
        code = parse_flags(c, root, err);
    if (code == INF_OK)
        code = parse_names(&c->parameters, root, "target_parameters", err);
    if (code == INF_OK)
        code = parse_names(&c->saved, root, "modules_to_save", err);
    return code == INF_OK ? parse_tokens(c, root, err) : code;
}

static json_t *load_json(const char *text, size_t len, inf_error *err)
{
    json_error_t why;
    json_t *root = NULL;

    if (len > PEFT_CONFIG_MAX_BYTES) {
        error_set(err, INF_ERROR_BAD_FORMAT, CONFIG_NAME " has %zu bytes, more than any adapter's",
                  len);
        return NULL;
    }
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* an editor's byte order mark */
        text += 3;
        len -= 3;
    }
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!root && json_error_code(&why) == json_error_out_of_memory) {
        error_no_memory(err);
    } else if (!root) {
        error_set_detail(err, INF_ERROR_BAD_FORMAT, why.position,
                         CONFIG_NAME " is not valid JSON: line %d: %s", why.line, why.text);
    } else if (!json_is_object(root)) {
        error_set(err, INF_ERROR_BAD_FORMAT, CONFIG_NAME " is not a JSON object");
        json_decref(root);
        root = NULL;
    }
    return root;
}

int32_t peft_config_parse(struct peft_config **out, const char *text, size_t len, inf_error *err)
{
    inf_error why = {0};
    json_t *root = load_json(text, len, &why);
    struct peft_config *c = root ? mem_calloc(1, sizeof *c) : NULL;
    int32_t code = why.code;

    if (!root) {
        error_copy(err, &why);
    } else if (!c) {
        code = error_no_memory(err);
    } else {
        *c = (struct peft_config){
            .rank = 8, .says.alpha = 8, .budget = MATCH_BUDGET}; /* peft's defaults */
        code = parse_root(c, root, err);
        c->says.base = c->base;
        c->says.has_targets = c->targets.kind != TARGETS_NONE;
        c->says.has_parameters = c->parameters.n > 0;
        c->says.has_saved = c->saved.n > 0;
        c->says.has_tokens = c->n_tokens > 0;
    }
    json_decref(root);
    if (code != INF_OK) {
        peft_config_free(c);
        return code;
    }
    *out = c;
    return INF_OK;
}

static void names_free(struct names *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->items[i]);
    mem_free(list->items);
}

static void targets_free(struct targets *t)
{
    names_free(&t->names);
    pattern_free(t->pattern);
}

static void rules_free(struct rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        mem_free(rules->items[i].text);
        pattern_free(rules->items[i].pattern);
    }
    mem_free(rules->items);
}

void peft_config_free(struct peft_config *c)
{
    if (!c)
        return;
    targets_free(&c->targets);
    targets_free(&c->excluded);
    rules_free(&c->ranks);
    rules_free(&c->alphas);
    names_free(&c->layer_lists);
    names_free(&c->parameters);
    names_free(&c->saved);
    for (size_t i = 0; i < c->n_tokens; i++) {
        mem_free(c->tokens[i].name);
        mem_free(c->tokens[i].ids);
    }
    mem_free(c->tokens);
    mem_free(c->layers);
    mem_free(c->base);
    mem_free(c);
}

int32_t peft_config_module(struct peft_config *c, const char *module, int32_t *rank, float *scale,
                           inf_error *err)
{
    double r = c->rank, alpha = c->says.alpha;
    int32_t code = rules_find(c, &c->ranks, module, &r, err);

    if (code == INF_OK)
        code = rules_find(c, &c->alphas, module, &alpha, err);
    if (code != INF_OK)
        return code;
    *rank = (int32_t)r;
    *scale = (float)(alpha / (c->says.rslora ? sqrt(r) : r));
    if (!isfinite(*scale))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         CONFIG_NAME ": lora_alpha %g is too large for a scale", alpha);
    return INF_OK;
}

const struct peft_says *peft_config_says(const struct peft_config *c)
{
    return &c->says;
}
