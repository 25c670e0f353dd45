/* post_processor: see the header. */
#include "hf/tokenizer/post_processor.h"

#include "core/memory.h"
#include "hf/tokenizer/step_list.h"
#include "hf/tokenizer/vocab.h"

#include <string.h>

enum { MOST_PARTS = 4096, MOST_SEQUENCES = 16 };

struct reading {
    struct post_processor *p;
    inf_error *err;
    bool done; /* a processor that adds tokens was read */
    int sequences;
};

static int32_t bad(struct reading *r, const char *what)
{
    return error_set(r->err, INF_ERROR_BAD_FORMAT, "post_processor: %s", what);
}

static int32_t add_part(struct reading *r, int64_t id)
{
    if (id != POST_SEQUENCE && (id < 0 || id >= VOCAB_MAX_IDS))
        return bad(r, "an id is out of range");
    r->sequences += id == POST_SEQUENCE;
    if (r->p->parts.n == MOST_PARTS || r->sequences > MOST_SEQUENCES)
        return bad(r, "its template is too long");
    return id_push(&r->p->parts, (int32_t)id) ? INF_OK : error_no_memory(r->err);
}

/* The ids that special_tokens has under a name. */
static int32_t add_special(struct reading *r, struct json_span tokens, struct json_span name)
{
    struct json_span key, value, id;
    struct json_walk w, ids;
    struct buffer text;
    int32_t code = INF_OK;
    bool found = false;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!scan_unescape(&text, name) || !buffer_append(&text, "", 1))
        code = error_no_memory(r->err);
    scan_object(&w, tokens);
    while (code == INF_OK && !found && scan_next_member(&w, &key, &value)) {
        if (!scan_equals(key, text.data))
            continue;
        found = scan_array(&ids, scan_member(value, "ids"));
        while (code == INF_OK && scan_next_item(&ids, &id)) {
            int64_t number = -2;

            scan_integer(id, &number);
            code = add_part(r, number == POST_SEQUENCE ? -2 : number);
        }
    }
    buffer_free(&text);
    if (code == INF_OK && !found)
        code = bad(r, "a token of its template is not in special_tokens");
    return code;
}

static int32_t read_piece(struct reading *r, struct json_span piece, struct json_span tokens)
{
    struct json_span sequence = scan_member(piece, "Sequence");
    struct json_span special = scan_member(piece, "SpecialToken");
    struct json_span id = scan_member(scan_is_object(sequence) ? sequence : special, "id");

    if (!scan_is_string(id))
        return bad(r, "a part of its template is neither Sequence nor SpecialToken");
    if (scan_is_object(special))
        return add_special(r, tokens, id);
    if (!scan_equals(id, "A"))
        return bad(r, "its template for one text has another sequence than A");
    return add_part(r, POST_SEQUENCE);
}

static int32_t read_template(struct reading *r, struct json_span json)
{
    struct json_span tokens = scan_member(json, "special_tokens"), piece;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, scan_member(json, "single")))
        return bad(r, "TemplateProcessing has no template for one text");
    while (code == INF_OK && scan_next_item(&w, &piece))
        code = read_piece(r, piece, tokens);
    return code;
}

/* ["[SEP]", 102] */
static int32_t add_pair(struct reading *r, struct json_span pair)
{
    struct json_span text, id;
    struct json_walk w;
    int64_t number = -2;

    if (!scan_array(&w, pair) || !scan_next_item(&w, &text) || !scan_next_item(&w, &id) ||
        !scan_integer(id, &number))
        return bad(r, "cls and sep are a token and its id");
    return add_part(r, number == POST_SEQUENCE ? -2 : number);
}

static int32_t read_bert(struct reading *r, struct json_span json)
{
    int32_t code = add_pair(r, scan_member(json, "cls"));

    if (code == INF_OK)
        code = add_part(r, POST_SEQUENCE);
    return code == INF_OK ? add_pair(r, scan_member(json, "sep")) : code;
}

enum { PROCESS_BYTE_LEVEL, PROCESS_BERT, PROCESS_ROBERTA, PROCESS_TEMPLATE };

static const char *const types[] = {[PROCESS_BYTE_LEVEL] = "ByteLevel",
                                    [PROCESS_BERT] = "BertProcessing",
                                    [PROCESS_ROBERTA] = "RobertaProcessing",
                                    [PROCESS_TEMPLATE] = "TemplateProcessing"};

static int32_t add_processor(void *owner, struct json_span json, size_t type, inf_error *err)
{
    struct reading *r = owner;

    if (type == PROCESS_BYTE_LEVEL)
        return INF_OK; /* it moves offsets */
    if (r->done)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "post_processor: two of them add tokens, one behind the other");
    r->done = true;
    return type == PROCESS_TEMPLATE ? read_template(r, json) : read_bert(r, json);
}

int32_t post_processor_read(struct post_processor *p, struct json_span json, inf_error *err)
{
    static const struct step_list list = {"post_processor", "processors", types,
                                          sizeof types / sizeof *types, add_processor};
    struct reading r = {.p = p, .err = err};
    int32_t code = scan_is_none(json) ? INF_OK : step_list_read(&list, &r, json, err);

    if (code == INF_OK && !r.done)
        code = add_part(&r, POST_SEQUENCE);
    return code;
}

void post_processor_free(struct post_processor *p)
{
    mem_free(p->parts.ids);
    memset(p, 0, sizeof *p);
}

/* The text's own ids stay in front until the parts are behind them. */
bool post_processor_apply(const struct post_processor *p, bool add_special, size_t begin,
                          struct id_list *ids)
{
    size_t n = ids->n - begin;

    if (p->parts.n == 1 && p->parts.ids[0] == POST_SEQUENCE)
        return true;
    for (size_t i = 0; i < p->parts.n; i++) {
        bool ok = true;

        if (p->parts.ids[i] != POST_SEQUENCE) {
            ok = !add_special || id_push(ids, p->parts.ids[i]);
        } else if (n > 0) {
            ok = GROW(ids->ids, ids->cap, ids->n + n);
            if (ok)
                memcpy(ids->ids + ids->n, ids->ids + begin, n * sizeof *ids->ids);
            ids->n += ok ? n : 0;
        }
        if (!ok)
            return false;
    }
    if (n > 0)
        memmove(ids->ids + begin, ids->ids + begin + n, (ids->n - begin - n) * sizeof *ids->ids);
    ids->n -= n;
    return true;
}
