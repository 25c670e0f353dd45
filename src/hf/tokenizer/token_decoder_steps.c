/*
 * token_decoder_steps: see the header. Behind a Fuse (and ByteLevel) there is one token that comes in
 * parts: steps that can look at a part do, the others wait for the whole.
 */
#include "hf/tokenizer/token_decoder_steps.h"

#include "core/ascii.h"
#include "core/utf8.h"
#include "hf/tokenizer/byte_level.h"

#include <string.h>

/* To step number `at`, or out. end: the token ends with this part. false: out of memory. */
static bool decoder_step_next(struct decoder_stream *s, size_t at, const char *text, size_t n,
                              bool end);

int decoder_fallback_byte(const char *token, size_t n)
{
    uint32_t byte = 0;

    return n == 6 && memcmp(token, "<0x", 3) == 0 && token[5] == '>' &&
                   read_hex_digits(token + 3, 2, &byte)
               ? (int)byte
               : -1;
}

bool decoder_replace(struct buffer *out, const char *s, size_t n, const char *old,
                     const char *replacement)
{
    const char *end = s + n;
    size_t len = strlen(old);

    for (;;) {
        const char *at = len ? memmem(s, (size_t)(end - s), old, len) : NULL;

        if (!at)
            return buffer_append(out, s, (size_t)(end - s));
        if (!buffer_append(out, s, (size_t)(at - s)) || !buffer_append_str(out, replacement))
            return false;
        s = at + len;
    }
}

bool decoder_replace_matches(struct buffer *out, const struct decoder_step *step,
                             struct text_pattern_work *work, const char *s, size_t n)
{
    struct text_matches m = {.pattern = step->pattern, .work = work, .s = s, .n = n};
    size_t done = 0;
    int32_t code = INF_OK;

    while (text_matches_next(&m, &code, NULL)) { /* too hard a pattern replaces nothing more */
        if (!buffer_append(out, s + done, m.begin - done) ||
            !buffer_append(out, step->content.data, step->content.len))
            return false;
        done = m.end;
    }
    return buffer_append(out, s + done, n - done);
}

static bool at_character(const struct decoder_step *step, const char *s, size_t n)
{
    return n >= step->content.len && memcmp(s, step->content.data, step->content.len) == 0;
}

/* ------------------------------------------------------------------ steps that look at parts */

static bool push_strip(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                       const char *text, size_t n, bool end)
{
    struct decoder_state *state = s->states + at;

    if (!state->inside)
        state->stripped = 0;
    while (state->stripped < step->start && at_character(step, text, n)) {
        state->stripped++;
        text += step->content.len;
        n -= step->content.len;
    }
    if (n > 0)
        state->stripped = step->start; /* something else came */
    state->inside = !end;
    if (end)
        for (size_t i = 0; i < step->stop && n >= step->content.len &&
                           at_character(step, text + n - step->content.len, step->content.len);
             i++)
            n -= step->content.len;
    return decoder_step_next(s, at + 1, text, n, end);
}

/* The character becomes a blank, or nothing in the first token. */
static bool push_metaspace(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                           const char *text, size_t n, bool end)
{
    struct decoder_state *state = s->states + at;
    const char *blank = state->begun || !step->flag ? " " : "";

    buffer_clear(&state->kept);
    if (!decoder_replace(&state->kept, text, n, step->content.data, blank))
        return false;
    state->begun = state->begun || end;
    return decoder_step_next(s, at + 1, state->kept.data, state->kept.len, end);
}

static bool push_replace(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                         const char *text, size_t n, bool end)
{
    struct buffer *out = &s->states[at].kept;

    if (!s->patterns && !(s->patterns = text_pattern_work_create()))
        return false;
    buffer_clear(out);
    out->limit = n + DECODER_MOST_GROWTH;
    return decoder_replace_matches(out, step, s->patterns, text, n) &&
           decoder_step_next(s, at + 1, out->data, out->len, end);
}

/* ------------------------------------------------------------------ steps that want whole tokens */

/* Emits what is well-formed; the rest may become so. */
static bool push_byte_level(struct decoder_stream *s, size_t at, const char *token, size_t n)
{
    struct decoder_state *state = s->states + at;
    struct buffer *bytes = &state->kept, *text = &state->token;
    size_t len = 0, cut = 0;

    if (!buffer_reserve(bytes, n))
        return false;
    len = byte_level_read(bytes->data + bytes->len, token, n);
    if (len == SIZE_MAX) {
        if (!buffer_append(bytes, token, n))
            return false;
    } else {
        bytes->len += len;
    }
    buffer_clear(text);
    if (!utf8_append(text, bytes->data ? bytes->data : "", bytes->len, &cut))
        return false;
    if (bytes->len > 0)
        memmove(bytes->data, bytes->data + bytes->len - cut, cut);
    bytes->len = cut;
    return text->len == 0 || decoder_step_next(s, at + 1, text->data, text->len, false);
}

/* The run of bytes that ends here: a text, or as many U+FFFD when it is none. */
static bool end_bytes(struct decoder_stream *s, size_t at)
{
    struct buffer *run = &s->states[at].kept;
    size_t n = run->len;
    bool ok = true;

    if (n == 0)
        return true;
    run->len = 0;
    if (utf8_valid(run->data, n))
        return decoder_step_next(s, at + 1, run->data, n, true);
    for (size_t i = 0; i < n && ok; i++)
        ok = decoder_step_next(s, at + 1, UTF8_REPLACEMENT, 3, true);
    return ok;
}

static bool push_byte_fallback(struct decoder_stream *s, size_t at, const char *token, size_t n)
{
    int byte = decoder_fallback_byte(token, n);
    char c = (char)byte;

    if (byte >= 0)
        return buffer_append(&s->states[at].kept, &c, 1);
    return end_bytes(s, at) && decoder_step_next(s, at + 1, token, n, true);
}

static bool clean_up(struct buffer *text)
{
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},           {" !", "!"},
                                           {" ,", ","},     {" ' ", "'"},          {" n't", "n't"},
                                           {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};
    struct buffer other;
    bool ok = true;

    buffer_init(&other, BUFFER_NO_LIMIT);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0] && ok; i++) {
        struct buffer was = *text;

        buffer_clear(&other);
        ok = decoder_replace(&other, was.data ? was.data : "", was.len, pairs[i][0], pairs[i][1]);
        *text = other;
        other = was;
    }
    buffer_free(&other);
    return ok;
}

static bool push_wordpiece(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                           const char *token, size_t n)
{
    struct decoder_state *state = s->states + at;
    struct buffer *out = &state->kept;
    bool ok = true;

    buffer_clear(out);
    if (state->begun && at_character(step, token, n)) {
        token += step->content.len;
        n -= step->content.len;
    } else if (state->begun) {
        ok = buffer_append_str(out, " ");
    }
    state->begun = true;
    return ok && buffer_append(out, token, n) && (!step->flag || clean_up(out)) &&
           decoder_step_next(s, at + 1, out->data, out->len, true);
}

/* The suffix is a blank, but for the last token, which is known when nothing follows. */
static bool emit_bpe(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                     const char *blank)
{
    struct decoder_state *state = s->states + at;
    struct buffer text;
    bool ok = true;

    if (!state->begun)
        return true;
    buffer_init(&text, BUFFER_NO_LIMIT);
    ok = decoder_replace(&text, state->kept.data ? state->kept.data : "", state->kept.len,
                         step->content.data, blank) &&
         decoder_step_next(s, at + 1, text.data, text.len, true);
    buffer_free(&text);
    return ok;
}

static bool push_bpe(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                     const char *token, size_t n)
{
    struct decoder_state *state = s->states + at;

    if (!emit_bpe(s, at, step, " "))
        return false;
    state->begun = true;
    buffer_clear(&state->kept);
    return buffer_append(&state->kept, token, n);
}

static bool emit_ctc(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                     const char *token, size_t n)
{
    struct buffer a, b;
    struct buffer *text = step->flag ? &b : &a;
    bool ok = true;

    buffer_init(&a, BUFFER_NO_LIMIT);
    buffer_init(&b, BUFFER_NO_LIMIT);
    ok = decoder_replace(&a, token, n, step->content.data, "");
    if (ok && step->flag)
        ok = clean_up(&a) &&
             decoder_replace(&b, a.data ? a.data : "", a.len, step->second.data, " ");
    ok = ok && (text->len == 0 || decoder_step_next(s, at + 1, text->data, text->len, true));
    buffer_free(&a);
    buffer_free(&b);
    return ok;
}

/* A token that comes again at once is one. */
static bool push_ctc(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                     const char *token, size_t n)
{
    struct decoder_state *state = s->states + at;

    if (state->begun && state->kept.len == n && memcmp(state->kept.data, token, n) == 0)
        return true;
    state->begun = true;
    buffer_clear(&state->kept);
    return buffer_append(&state->kept, token, n) && emit_ctc(s, at, step, token, n);
}

static bool push_join(struct decoder_stream *s, size_t at, const char *token, size_t n)
{
    struct decoder_state *state = s->states + at;
    bool blank = state->begun;

    state->begun = true;
    return (!blank || decoder_step_next(s, at + 1, " ", 1, false)) &&
           decoder_step_next(s, at + 1, token, n, false);
}

static bool push_whole(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                       const char *token, size_t n)
{
    switch (step->kind) {
    case DECODE_BYTE_LEVEL:
        return push_byte_level(s, at, token, n);
    case DECODE_BYTE_FALLBACK:
        return push_byte_fallback(s, at, token, n);
    case DECODE_WORDPIECE:
        return push_wordpiece(s, at, step, token, n);
    case DECODE_BPE:
        return push_bpe(s, at, step, token, n);
    case DECODE_CTC:
        return push_ctc(s, at, step, token, n);
    case DECODE_JOIN:
        return push_join(s, at, token, n);
    case DECODE_REPLACE:
        return push_replace(s, at, step, token, n, true);
    case DECODE_STRIP:
        return push_strip(s, at, step, token, n, true);
    default:
        return true;
    }
}

/* ------------------------------------------------------------------ the way through the steps */

static bool takes_parts(const struct decoder_step *step)
{
    return step->kind == DECODE_METASPACE || (step->kind == DECODE_STRIP && step->stop == 0) ||
           (step->kind == DECODE_REPLACE && step->one_character);
}

static bool push_part(struct decoder_stream *s, size_t at, const struct decoder_step *step,
                      const char *text, size_t n, bool end)
{
    if (step->kind == DECODE_STRIP)
        return push_strip(s, at, step, text, n, end);
    if (step->kind == DECODE_METASPACE)
        return push_metaspace(s, at, step, text, n, end);
    return push_replace(s, at, step, text, n, end);
}

static bool decoder_step_push(struct decoder_stream *s, size_t at, const char *text, size_t n,
                              bool end)
{
    const struct decoder_step *step = s->decoder->steps + at;
    struct buffer *token = &s->states[at].token;
    struct buffer whole;
    bool ok = true;

    if (step->kind == DECODE_FUSE)
        return decoder_step_next(s, at + 1, text, n, false);
    if (takes_parts(step))
        return push_part(s, at, step, text, n, end);
    if (!s->states[at].inside && end)
        return push_whole(s, at, step, text, n);
    if (!s->states[at].inside)
        buffer_clear(token);
    s->states[at].inside = !end;
    if (!buffer_append(token, text, n))
        return false;
    if (!end)
        return true;
    whole = *token; /* push_whole may use the buffer */
    buffer_init(token, BUFFER_NO_LIMIT);
    ok = push_whole(s, at, step, whole.data ? whole.data : "", whole.len);
    buffer_free(&whole);
    return ok;
}

/* No more tokens come. */
static bool decoder_step_finish(struct decoder_stream *s, size_t at)
{
    const struct decoder_step *step = s->decoder->steps + at;
    struct decoder_state *state = s->states + at;
    struct buffer text;
    bool ok = true;

    switch (step->kind) {
    case DECODE_BYTE_LEVEL:
        buffer_init(&text, BUFFER_NO_LIMIT);
        ok = utf8_append(&text, state->kept.data ? state->kept.data : "", state->kept.len, NULL) &&
             decoder_step_next(s, at + 1, text.data, text.len, true);
        buffer_free(&text);
        return ok;
    case DECODE_BYTE_FALLBACK:
        return end_bytes(s, at);
    case DECODE_BPE:
        return emit_bpe(s, at, step, "");
    case DECODE_FUSE:
    case DECODE_JOIN:
        return decoder_step_next(s, at + 1, "", 0, true);
    default:
        return true;
    }
}

/* ------------------------------------------------------------------ streams */

void decoder_stream_init(struct decoder_stream *s, const struct token_decoder *d)
{
    memset(s, 0, sizeof *s);
    s->decoder = d;
    for (size_t i = 0; i < DECODER_STEPS; i++) {
        buffer_init(&s->states[i].token, BUFFER_NO_LIMIT);
        buffer_init(&s->states[i].kept, BUFFER_NO_LIMIT);
    }
}

void decoder_stream_free(struct decoder_stream *s)
{
    text_pattern_work_free(s->patterns);
    for (size_t i = 0; i < DECODER_STEPS; i++) {
        buffer_free(&s->states[i].token);
        buffer_free(&s->states[i].kept);
    }
}

static bool decoder_step_next(struct decoder_stream *s, size_t at, const char *text, size_t n,
                              bool end)
{
    if (at == s->decoder->n)
        return buffer_append(s->out, text, n);
    return decoder_step_push(s, at, text, n, end);
}

bool decoder_stream_push(struct decoder_stream *s, const char *token, size_t n, struct buffer *out)
{
    s->out = out;
    return decoder_step_next(s, 0, token, n, true);
}

bool decoder_stream_finish(struct decoder_stream *s, struct buffer *out)
{
    bool ok = true;

    s->out = out;
    for (size_t i = 0; i < s->decoder->n && ok; i++)
        ok = decoder_step_finish(s, i);
    return ok;
}
