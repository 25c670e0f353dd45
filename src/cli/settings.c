/* settings: see the header. */
#include "cli/settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ memory */

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

/* ------------------------------------------------------------------ from a text */

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
    if (o->kind == OPTION_INT)
        *(int32_t *)field_of(s, o) = (int32_t)value;
    else
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

/* The n items and one more behind them, of a list that only this function makes longer: it has room for a power
 * of two of them, and moves when that is full. NULL: out of memory. */
static void *longer(struct settings *s, void *items, size_t n, const void *item, size_t size)
{
    char *moved = items;

    if ((n & (n - 1)) == 0) {
        moved = settings_alloc(s, (n ? 2 * n : 1) * size);
        if (moved && n)
            memcpy(moved, items, n * size);
    }
    if (moved)
        memcpy(moved + n * size, item, size);
    return moved;
}

static bool add_text(struct settings *s, struct text_list *list, inf_text text)
{
    inf_text *items = longer(s, list->items, list->n, &text, sizeof text);

    if (items)
        *list = (struct text_list){items, list->n + 1};
    return items != NULL;
}

static bool add_adapter(struct settings *s, struct adapter_list *list, inf_request_adapter adapter)
{
    inf_request_adapter *items = longer(s, list->items, list->n, &adapter, sizeof adapter);

    if (items)
        *list = (struct adapter_list){items, list->n + 1};
    return items != NULL;
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

static bool set_choice(struct settings *s, const struct option *o, inf_text value)
{
    const char *at = o->argument;

    for (int32_t number = 0; at; number++) {
        if (strcspn(at, "|") == value.len && memcmp(at, value.data, value.len) == 0) {
            if (o->kind == OPTION_CHOICE)
                *(int32_t *)field_of(s, o) = number;
            else
                *(inf_text *)field_of(s, o) = value;
            return true;
        }
        at = strchr(at, '|');
        at = at ? at + 1 : NULL;
    }
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
bool setting_from_text(struct settings *s, const struct option *o, const char *text)
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
    case OPTION_WORD:
        return set_choice(s, o, inf_str(text));
    case OPTION_PAIRS:
        if (!is_id_and_path(text))
            return false;
        return add_text(s, field, inf_str(text));
    case OPTION_TEXTS:
        return add_text(s, field, inf_str(text));
    case OPTION_IDS:
        return set_ids_from_text(s, o, text);
    case OPTION_INT:
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

/* ------------------------------------------------------------------ from JSON */

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
    if (!json_is_object(value) && !json_is_array(value) &&
        (!json_is_boolean(value) || strcmp(o->key, "json_schema") != 0)) /* true: any JSON */
        return false;
    size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    text = settings_alloc(s, size);
    if (!text)
        return false;
    json_dumpb(value, text, size, JSON_COMPACT | JSON_ENCODE_ANY);
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

bool setting_from_json(struct settings *s, const struct option *o, json_t *value)
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
        *(inf_text *)field = text_of(value);
        return json_is_string(value);
    case OPTION_CHOICE:
    case OPTION_WORD:
        return json_is_string(value) && set_choice(s, o, text_of(value));
    case OPTION_JSON:
        return set_json(s, o, value);
    case OPTION_PAIRS:
    case OPTION_TEXTS:
        return set_texts(s, o, value);
    case OPTION_IDS:
        return set_ids(s, o, value);
    case OPTION_INT:
    case OPTION_I32:
        return json_is_integer(value) && set_i32(s, o, json_integer_value(value));
    case OPTION_U64:
        if (json_is_string(value)) /* as json_line brings those from 2^63 on */
            return setting_from_text(s, o, json_string_value(value));
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

const char *setting_kind(const struct option *o)
{
    static const char *const kinds[] = {
        [OPTION_SWITCH] = "true or false",
        [OPTION_YES] = "true or false",
        [OPTION_NO] = "true or false",
        [OPTION_TEXT] = "a text",
        [OPTION_JSON] = "a JSON object or array, or its text",
        [OPTION_PAIRS] = "ID=PATH, such as pirate=adapters/pirate",
        [OPTION_TEXTS] = "a text or a list of texts",
        [OPTION_IDS] = "a list of token ids",
        [OPTION_INT] = "a whole number up to 2147483647",
        [OPTION_I32] = "a whole number up to 2147483647",
        [OPTION_U64] = "a whole number from 0 to 18446744073709551615",
        [OPTION_F32] = "a number",
        [OPTION_ADAPTERS] = "an adapter's id, or a list of {\"id\", \"scale\"}",
        [OPTION_SECONDS] = "a number or none",
        [OPTION_MS] = "a number or none",
    };
    bool is_one_of = o->kind == OPTION_CHOICE || o->kind == OPTION_WORD;

    return is_one_of ? o->argument : kinds[o->kind];
}
