/*
 * output_calls: see the header.
 */
#include "text/output/output_calls.h"

#include "core/growing.h"
#include "core/utf8.h"

#include <inttypes.h>
#include <string.h>

void output_calls_init(struct output_calls *c, const struct output_tools *tools, uint64_t seed)
{
    *c = (struct output_calls){.tools = tools, .seed = seed};
    buffer_init(&c->json, BUFFER_NO_LIMIT);
    buffer_init(&c->id, BUFFER_NO_LIMIT);
    buffer_init(&c->name, BUFFER_NO_LIMIT);
    buffer_init(&c->arguments, BUFFER_NO_LIMIT);
    buffer_init(&c->piece_text, BUFFER_NO_LIMIT);
}

void output_calls_free(struct output_calls *c)
{
    buffer_free(&c->json);
    buffer_free(&c->id);
    buffer_free(&c->name);
    buffer_free(&c->arguments);
    buffer_free(&c->piece_text);
    mem_free(c->pieces);
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
        return buffer_printf(&c->id, "chatcmpl-tool-%016" PRIx64 "%016" PRIx64, x,
                             next_random(&c->seed));
    for (size_t i = 0; i < sizeof id - 1; i++, x /= sizeof letters - 1)
        id[i] = letters[x % (sizeof letters - 1)];
    return buffer_append_str(&c->id, id);
}

/* ------------------------------------------------------------------ pieces */

void output_calls_clear_pieces(struct output_calls *c)
{
    c->n_pieces = 0;
    buffer_clear(&c->piece_text);
}

/* The open call's, at the end: those of one call stand together, so that its arguments do. */
static inf_tool_call_delta *last_piece(struct output_calls *c)
{
    inf_text nothing = {(const char *)(uintptr_t)c->piece_text.len, 0};

    if (c->n_pieces && (size_t)c->pieces[c->n_pieces - 1].index == c->n)
        return &c->pieces[c->n_pieces - 1];
    if (!GROW(c->pieces, c->pieces_room, c->n_pieces + 1))
        return NULL;
    c->pieces[c->n_pieces] = (inf_tool_call_delta){
        .index = (int32_t)c->n, .id = nothing, .name = nothing, .arguments = nothing};
    return &c->pieces[c->n_pieces++];
}

static bool add_begin_piece(struct output_calls *c)
{
    inf_tool_call_delta *piece = last_piece(c);

    if (!piece || !buffer_append(&c->piece_text, c->id.data, c->id.len))
        return false;
    piece->id.len = c->id.len;
    piece->name = (inf_text){(const char *)(uintptr_t)c->piece_text.len, c->name.len};
    if (!buffer_append(&c->piece_text, c->name.data, c->name.len))
        return false;
    piece->arguments.data = (const char *)(uintptr_t)c->piece_text.len;
    return true;
}

void output_calls_settle_pieces(struct output_calls *c)
{
    const char *base = c->piece_text.data ? c->piece_text.data : "";

    for (size_t i = 0; i < c->n_pieces; i++) {
        inf_tool_call_delta *p = &c->pieces[i];

        p->id.data = base + (uintptr_t)p->id.data;
        p->name.data = base + (uintptr_t)p->name.data;
        p->arguments.data = base + (uintptr_t)p->arguments.data;
    }
}

/* ------------------------------------------------------------------ calls */

bool output_calls_begin(struct output_calls *c, inf_text id, inf_text name)
{
    if (c->n == OUTPUT_CALLS_MAX || c->failed)
        return false;
    buffer_clear(&c->id);
    buffer_clear(&c->name);
    buffer_clear(&c->arguments);
    c->open = (id.len ? buffer_append(&c->id, id.data, id.len) : write_new_id(c)) &&
              buffer_append(&c->name, name.data, name.len) && add_begin_piece(c);
    c->failed = !c->open;
    return c->open;
}

bool output_calls_more(struct output_calls *c, const char *text, size_t n)
{
    inf_tool_call_delta *piece = n ? last_piece(c) : NULL;

    if (n == 0)
        return true;
    if (!piece || !buffer_append(&c->arguments, text, n) ||
        !buffer_append(&c->piece_text, text, n)) {
        c->failed = true;
        return false;
    }
    piece->arguments.len += n;
    return true;
}

bool output_calls_close(struct output_calls *c)
{
    struct buffer *out = &c->json;
    size_t before = out->len;
    bool ok = buffer_append_str(out, c->n ? ",{\"id\":" : "{\"id\":") &&
              write_json_string(out, c->id.data, c->id.len) &&
              buffer_append_str(out, ",\"type\":\"function\",\"function\":{\"name\":") &&
              write_json_string(out, c->name.data, c->name.len) &&
              buffer_append_str(out, ",\"arguments\":") &&
              write_json_string(out, c->arguments.data ? c->arguments.data : "",
                                c->arguments.len) &&
              buffer_append_str(out, "}}");

    c->open = false;
    if (ok)
        c->n++;
    else
        out->len = before;
    c->failed = c->failed || !ok;
    return ok;
}

bool output_calls_add(struct output_calls *c, inf_text id, inf_text name, inf_text arguments)
{
    size_t there = 0;

    if (!c->open && !output_calls_begin(c, id, name))
        return false;
    there = c->arguments.len;
    if (arguments.len < there || (there && memcmp(arguments.data, c->arguments.data, there) != 0))
        return false;
    return output_calls_more(c, arguments.data + there, arguments.len - there) &&
           output_calls_close(c);
}

inf_text output_calls_text(struct output_calls *c, struct buffer *scratch, struct json_span string)
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
    its_name = output_calls_text(c, &names, name);
    if (scan_is_string(id) && id.len > 2)
        its_id = output_calls_text(c, &ids, id);
    if (scan_is_none(arguments))
        said = inf_str("{}");
    else if (scan_is_string(arguments))
        said = output_calls_text(c, &texts, arguments);
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
