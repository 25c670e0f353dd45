/* token_decoder: reading, and tokens by themselves; see the header. Streams are
 * token_decoder_steps.c's. */
#include "hf/tokenizer/token_decoder.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/byte_level.h"
#include "hf/tokenizer/step_list.h"
#include "hf/tokenizer/token_decoder_steps.h"

#include <string.h>

void token_decoder_free(struct token_decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        text_pattern_free(d->steps[i].pattern);
        buffer_free(&d->steps[i].content);
        buffer_free(&d->steps[i].second);
    }
    mem_free(d);
}

/* ------------------------------------------------------------------ reading */

static int32_t take_string(struct buffer *out, struct json_span json, const char *type,
                           const char *name, inf_error *err)
{
    return step_list_string(out, "decoder", json, type, name, err);
}

static int32_t take_character(struct buffer *out, struct json_span json, const char *type,
                              const char *name, inf_error *err)
{
    int32_t code = take_string(out, json, type, name, err);

    if (code == INF_OK && (out->len == 0 || utf8_sequence(out->data, out->len) != out->len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "decoder: %s of %s is not one character", name,
                         type);
    return code;
}

static int32_t read_replace(struct decoder_step *step, struct json_span json, inf_error *err)
{
    struct json_span pattern = scan_member(json, "pattern");
    struct json_span string = scan_member(pattern, "String");
    struct buffer text;
    int32_t code = text_pattern_read(&step->pattern, pattern, err);

    if (code != INF_OK)
        return error_prefix(err, "decoder: Replace");
    buffer_init(&text, BUFFER_NO_LIMIT);
    step->one_character = scan_is_string(string) && scan_unescape(&text, string) && text.len > 0 &&
                          utf8_sequence(text.data, text.len) == text.len;
    buffer_free(&text);
    return take_string(&step->content, json, "Replace", "content", err);
}

static int32_t read_strip(struct decoder_step *step, struct json_span json, inf_error *err)
{
    int64_t start = 0, stop = 0;

    if (!scan_integer(scan_member(json, "start"), &start) ||
        !scan_integer(scan_member(json, "stop"), &stop) || start < 0 || stop < 0)
        return error_set(err, INF_ERROR_BAD_FORMAT, "decoder: Strip needs start and stop, numbers");
    step->start = (size_t)start;
    step->stop = (size_t)stop;
    return take_character(&step->content, json, "Strip", "content", err);
}

static int32_t read_metaspace(struct decoder_step *step, struct json_span json, inf_error *err)
{
    struct json_span scheme = scan_member(json, "prepend_scheme");
    struct json_span prefix = scan_member(json, "add_prefix_space");

    step->flag = (scan_is_none(scheme) || !scan_equals(scheme, "never")) &&
                 (scan_is_none(prefix) || scan_is_true(prefix));
    return take_character(&step->content, json, "Metaspace", "replacement", err);
}

static int32_t read_ctc(struct decoder_step *step, struct json_span json, inf_error *err)
{
    int32_t code = take_string(&step->content, json, "CTC", "pad_token", err);

    step->flag = scan_is_true(scan_member(json, "cleanup"));
    return code == INF_OK ? take_string(&step->second, json, "CTC", "word_delimiter_token", err)
                          : code;
}

static int32_t read_options(struct decoder_step *step, struct json_span json, inf_error *err)
{
    switch (step->kind) {
    case DECODE_REPLACE:
        return read_replace(step, json, err);
    case DECODE_STRIP:
        return read_strip(step, json, err);
    case DECODE_METASPACE:
        return read_metaspace(step, json, err);
    case DECODE_WORDPIECE:
        step->flag = scan_is_true(scan_member(json, "cleanup"));
        return take_string(&step->content, json, "WordPiece", "prefix", err);
    case DECODE_BPE:
        return take_string(&step->content, json, "BPEDecoder", "suffix", err);
    case DECODE_CTC:
        return read_ctc(step, json, err);
    default:
        return INF_OK;
    }
}

static int32_t add_step(void *owner, struct json_span json, size_t type, inf_error *err)
{
    struct token_decoder *d = owner;
    struct decoder_step *step = d->steps + d->n;

    if (d->n == DECODER_STEPS)
        return error_set(err, INF_ERROR_UNSUPPORTED, "decoder: more than %d steps", DECODER_STEPS);
    d->n++;
    step->kind = (enum decoder_kind)type;
    buffer_init(&step->content, BUFFER_NO_LIMIT);
    buffer_init(&step->second, BUFFER_NO_LIMIT);
    return read_options(step, json, err);
}

static const char *const types[] = {
    [DECODE_BYTE_LEVEL] = "ByteLevel",
    [DECODE_REPLACE] = "Replace",
    [DECODE_BYTE_FALLBACK] = "ByteFallback",
    [DECODE_FUSE] = "Fuse",
    [DECODE_STRIP] = "Strip",
    [DECODE_METASPACE] = "Metaspace",
    [DECODE_WORDPIECE] = "WordPiece",
    [DECODE_BPE] = "BPEDecoder",
    [DECODE_CTC] = "CTC",
};

static const struct step_list list = {"decoder", "decoders", types, sizeof types / sizeof *types,
                                      add_step};

int32_t token_decoder_read(struct token_decoder **out, struct json_span json, inf_error *err)
{
    *out = mem_calloc(1, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    return scan_is_none(json) ? add_step(*out, json, DECODE_JOIN, err)
                              : step_list_read(&list, *out, json, err);
}

/* ------------------------------------------------------------------ a token by itself */

static bool replace_all(const struct decoder_step *step, const struct buffer *text,
                        struct buffer *out)
{
    const char *s = text->data ? text->data : "";
    struct text_pattern_work *work = NULL;
    bool ok = false;

    if (!utf8_valid(s, text->len)) /* a byte by itself: no pattern means it */
        return buffer_append(out, s, text->len);
    work = text_pattern_work_create();
    ok = work && decoder_replace_matches(out, step, work, s, text->len);
    text_pattern_work_free(work);
    return ok;
}

/* A token that is a byte by itself, or those of the alphabet. */
static bool read_bytes(const struct decoder_step *step, const struct buffer *text,
                       struct buffer *out)
{
    int byte = decoder_fallback_byte(text->data, text->len);
    char c = (char)byte;
    size_t n = 0;

    if (step->kind == DECODE_BYTE_FALLBACK)
        return byte >= 0 ? buffer_append(out, &c, 1) : buffer_append(out, text->data, text->len);
    if (!buffer_reserve(out, text->len))
        return false;
    n = byte_level_read(out->data, text->data, text->len);
    if (n == SIZE_MAX)
        return buffer_append(out, text->data, text->len);
    out->len = n;
    out->data[n] = '\0';
    return true;
}

static bool step_bytes(const struct decoder_step *step, const struct buffer *text,
                       struct buffer *out)
{
    bool prefixed = step->content.len > 0 && text->len >= step->content.len &&
                    memcmp(text->data, step->content.data, step->content.len) == 0;
    const char *s = text->data;
    size_t skip = prefixed ? step->content.len : 0;

    switch (step->kind) {
    case DECODE_REPLACE:
        return replace_all(step, text, out);
    case DECODE_BYTE_LEVEL:
    case DECODE_BYTE_FALLBACK:
        return read_bytes(step, text, out);
    case DECODE_METASPACE:
    case DECODE_BPE:
        return decoder_replace(out, s, text->len, step->content.data, " ");
    case DECODE_WORDPIECE:
        return (prefixed || buffer_append_str(out, " ")) &&
               buffer_append(out, s + skip, text->len - skip);
    default:
        return buffer_append(out, s, text->len);
    }
}

bool token_decoder_bytes(const struct token_decoder *d, const char *token, size_t n,
                         struct buffer *out)
{
    struct buffer a, b;
    bool ok = true;

    buffer_init(&a, BUFFER_NO_LIMIT);
    buffer_init(&b, BUFFER_NO_LIMIT);
    ok = buffer_append(&a, token, n);
    for (size_t i = 0; i < d->n && ok; i++) {
        struct buffer was = a;

        buffer_clear(&b);
        b.limit = was.len + DECODER_MOST_GROWTH;
        ok = step_bytes(d->steps + i, &was, &b);
        a = b;
        b = was;
    }
    ok = ok && buffer_append(out, a.data, a.len);
    buffer_free(&a);
    buffer_free(&b);
    return ok;
}
