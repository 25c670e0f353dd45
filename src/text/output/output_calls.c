/*
 * output_calls: see the header.
 */
#include "text/output/output_calls.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <inttypes.h>
#include <string.h>

void output_calls_init(struct output_calls *c, const struct output_tools *tools, uint64_t seed)
{
    *c = (struct output_calls){.tools = tools, .seed = seed};
    buffer_init(&c->json, BUFFER_NO_LIMIT);
}

void output_calls_free(struct output_calls *c)
{
    buffer_free(&c->json);
}

/* ------------------------------------------------------------------ ids */

/* splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool write_new_id(struct output_calls *c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t x = next_random(&c->seed);
    char id[10] = "";

    if (!c->short_ids)
        return buffer_printf(&c->json, "\"chatcmpl-tool-%016" PRIx64 "%016" PRIx64 "\"", x,
                             next_random(&c->seed));
    for (size_t i = 0; i < sizeof id - 1; i++, x /= sizeof letters - 1)
        id[i] = letters[x % (sizeof letters - 1)];
    return buffer_printf(&c->json, "\"%s\"", id);
}

/* ------------------------------------------------------------------ calls */

bool output_calls_add(struct output_calls *c, inf_text id, inf_text name, inf_text arguments)
{
    struct buffer *out = &c->json;
    size_t before = out->len;
    bool ok = true;

    if (c->n == OUTPUT_CALLS_MAX || c->failed)
        return false;
    ok = buffer_append_str(out, c->n ? ",{\"id\":" : "{\"id\":") &&
         (id.data ? write_json_string(out, id.data, id.len) : write_new_id(c)) &&
         buffer_append_str(out, ",\"type\":\"function\",\"function\":{\"name\":") &&
         write_json_string(out, name.data, name.len) && buffer_append_str(out, ",\"arguments\":") &&
         write_json_string(out, arguments.data, arguments.len) && buffer_append_str(out, "}}");
    if (ok)
        c->n++;
    else
        out->len = before;
    c->failed = !ok;
    return ok;
}

/* What a string means, as well-formed text; absent: out of memory. */
static inf_text text_of(struct output_calls *c, struct buffer *scratch, struct json_span string)
{
    struct buffer raw;
    bool ok = true;

    buffer_init(&raw, BUFFER_NO_LIMIT);
    ok = scan_unescape(&raw, string) && buffer_reserve(scratch, 1) &&
         (raw.len == 0 || utf8_append(scratch, raw.data, raw.len, NULL));
    buffer_free(&raw);
    c->failed = c->failed || !ok;
    return (inf_text){ok ? scratch->data : NULL, scratch->len};
}

static bool add_parts(struct output_calls *c, struct json_span id, struct json_span name,
                      struct json_span arguments)
{
    struct buffer names, ids, texts;
    inf_text said = {arguments.data, arguments.len};
    inf_text its_name, its_id = {NULL, 0};
    bool ok = false;

    buffer_init(&names, BUFFER_NO_LIMIT);
    buffer_init(&ids, BUFFER_NO_LIMIT);
    buffer_init(&texts, BUFFER_NO_LIMIT);
    its_name = text_of(c, &names, name);
    if (scan_is_string(id) && id.len > 2)
        its_id = text_of(c, &ids, id);
    if (scan_is_none(arguments))
        said = inf_str("{}");
    else if (scan_is_string(arguments))
        said = text_of(c, &texts, arguments);
    ok = !c->failed && its_name.len && output_calls_add(c, its_id, its_name, said);
    buffer_free(&names);
    buffer_free(&ids);
    buffer_free(&texts);
    return ok;
}

bool output_calls_add_object(struct output_calls *c, struct json_span object)
{
    struct json_span function = scan_member(object, "function");
    struct json_span from = scan_is_object(function) ? function : object;
    struct json_span name = scan_member(from, "name");
    struct json_span arguments = scan_member(from, "arguments");

    if (!arguments.data)
        arguments = scan_member(from, "parameters");
    if (!scan_is_string(name) ||
        !(scan_is_none(arguments) || scan_is_string(arguments) || scan_is_object(arguments)))
        return false;
    return add_parts(c, scan_member(object, "id"), name, arguments);
}

char *output_calls_json(struct output_calls *c)
{
    struct buffer text;
    bool ok = true;

    if (c->n == 0)
        return NULL;
    buffer_init(&text, BUFFER_NO_LIMIT);
    ok = buffer_append_str(&text, "[") && buffer_append(&text, c->json.data, c->json.len) &&
         buffer_append_str(&text, "]");
    if (ok)
        return text.data;
    buffer_free(&text);
    c->failed = true;
    return NULL;
}
