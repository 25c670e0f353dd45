/*
 * pre_tokenizer_steps: see the header. Whatever finds matches tells a splitter, which makes pieces of
 * them by the step's behavior.
 */
#include "hf/tokenizer/pre_tokenizer_steps.h"

#include "core/utf8.h"
#include "hf/tokenizer/byte_level.h"
#include "hf/tokenizer/char_kind.h"

#include <string.h>

/* To step number `at`, or to run->take. Empty pieces are dropped. */
static bool pre_step_next(struct pre_tokenizer_run *run, size_t at, struct piece piece);

struct splitter {
    struct pre_tokenizer_run *run;
    size_t next; /* the step that gets the pieces */
    struct piece whole;
    enum split_behavior behavior;
    bool invert;
    size_t begin, end; /* of the piece that may still grow */
    bool pending, pending_match, last_match;
};

static struct piece part_of(struct piece piece, size_t begin, size_t end)
{
    return (struct piece){piece.s + begin, end - begin, piece.first && begin == 0};
}

static bool hand_on(struct splitter *s, size_t begin, size_t end)
{
    return pre_step_next(s->run, s->next, part_of(s->whole, begin, end));
}

static bool flush(struct splitter *s)
{
    bool pending = s->pending;

    s->pending = false;
    return !pending || hand_on(s, s->begin, s->end);
}

/* Joins what comes to the piece that is pending, or begins a new one with it. */
static bool grow(struct splitter *s, size_t begin, size_t end, bool match, bool join)
{
    if (!(s->pending && join)) {
        if (!flush(s))
            return false;
        s->begin = begin;
    }
    s->end = end;
    s->pending = true;
    s->pending_match = match;
    return true;
}

/* What comes next in the text, with no gap before it. */
static bool tell(struct splitter *s, size_t begin, size_t end, bool match)
{
    bool last = s->last_match;

    match = match != s->invert;
    s->last_match = match;
    switch (s->behavior) {
    case SPLIT_ISOLATED:
        return hand_on(s, begin, end);
    case SPLIT_REMOVED:
        return match || hand_on(s, begin, end);
    case SPLIT_CONTIGUOUS:
        return grow(s, begin, end, match, match == last);
    case SPLIT_WITH_PREVIOUS:
        return grow(s, begin, end, match, match && !last);
    case SPLIT_WITH_NEXT:
        break;
    }
    return grow(s, begin, end, match, s->pending_match && !match);
}

static struct splitter splitter_of(struct pre_tokenizer_run *run, const struct pre_step *step,
                                   size_t at, struct piece piece)
{
    return (struct splitter){.run = run,
                             .next = at + 1,
                             .whole = piece,
                             .behavior = step->behavior,
                             .invert = step->invert};
}

/* ------------------------------------------------------------------ by a pattern */

static bool split_by_pattern(struct pre_tokenizer_run *run, struct splitter *s,
                             const struct text_pattern *pattern)
{
    struct text_matches m = {
        .pattern = pattern, .work = run->patterns, .s = s->whole.s, .n = s->whole.n};
    size_t done = 0;
    int32_t code = INF_OK;

    while (text_matches_next(&m, &code, run->err)) {
        if (done < m.begin && !tell(s, done, m.begin, false))
            return false;
        if (!tell(s, m.begin, m.end, true))
            return false;
        done = m.end;
    }
    if (code != INF_OK) {
        run->code = code;
        return false;
    }
    return (done == s->whole.n || tell(s, done, s->whole.n, false)) && flush(s);
}

/* The pieces of a scanner are all of the text. */
static bool split_by_scanner(struct splitter *s, text_scanner *scan)
{
    for (size_t at = 0, n = 0; at < s->whole.n; at += n) {
        n = scan(s->whole.s + at, s->whole.n - at);
        if (!hand_on(s, at, at + n))
            return false;
    }
    return true;
}

static bool split(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                  struct piece piece)
{
    struct splitter s = splitter_of(run, step, at, piece);
    text_scanner *scan = text_pattern_scanner(step->pattern);

    if (scan && (s.behavior == SPLIT_ISOLATED || (s.behavior == SPLIT_REMOVED && s.invert)))
        return split_by_scanner(&s, scan);
    return split_by_pattern(run, &s, step->pattern);
}

/* ------------------------------------------------------------------ by kinds of characters */

typedef bool character_test(uint32_t c);

/* Each match is one character; test NULL: the step's own. */
static bool split_by_test(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                          struct piece piece, character_test *test, enum split_behavior behavior)
{
    struct splitter s = splitter_of(run, step, at, piece);
    uint32_t own = test ? 0 : utf8_decode(step->character, step->character_len);
    size_t done = 0;

    s.behavior = behavior;
    for (size_t i = 0, next = 0; i < piece.n; i = next) {
        uint32_t c = utf8_step(piece.s, &next);

        if (test ? !test(c) : c != own)
            continue;
        if ((done < i && !tell(&s, done, i, false)) || !tell(&s, i, next, true))
            return false;
        done = next;
    }
    return (done == piece.n || tell(&s, done, piece.n, false)) && flush(&s);
}

enum { NO_PIECE, A_WORD, A_SIGN };

static int kind_of(uint32_t c)
{
    return char_is_word(c) ? A_WORD : char_is_space(c) ? NO_PIECE : A_SIGN;
}

/* \w+|[^\w\s]+ */
static bool split_words(struct pre_tokenizer_run *run, size_t at, struct piece piece)
{
    int kind = NO_PIECE;
    size_t begin = 0;

    for (size_t i = 0, width = 0; i <= piece.n; i += width) {
        int now = NO_PIECE;

        width = i < piece.n ? utf8_width(piece.s[i]) : 1;
        if (i < piece.n)
            now = kind_of(utf8_decode(piece.s + i, width));
        if (now == kind)
            continue;
        if (kind != NO_PIECE && !pre_step_next(run, at + 1, part_of(piece, begin, i)))
            return false;
        begin = i;
        kind = now;
    }
    return kind == NO_PIECE || pre_step_next(run, at + 1, part_of(piece, begin, piece.n));
}

static bool split_lengths(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                          struct piece piece)
{
    size_t begin = 0, count = 0;

    for (size_t i = 0; i <= piece.n; i++) {
        if (i < piece.n && utf8_goes_on(piece.s[i]))
            continue;
        if (i < piece.n && count++ < step->length)
            continue;
        if (!pre_step_next(run, at + 1, part_of(piece, begin, i)))
            return false;
        begin = i;
        count = 1;
    }
    return true;
}

/* ------------------------------------------------------------------ those that change the text */

static bool no_memory(struct pre_tokenizer_run *run)
{
    run->code = error_no_memory(run->err);
    return false;
}

/* Into this step's scratch memory, which its pieces use until all of them are done. */
static bool with_prefix(struct pre_tokenizer_run *run, size_t at, const char *prefix, size_t n,
                        struct piece *piece)
{
    struct buffer *out = &run->scratch[at];

    buffer_clear(out);
    if (!buffer_append(out, prefix, n) || !buffer_append(out, piece->s, piece->n))
        return no_memory(run);
    piece->s = out->data;
    piece->n = out->len;
    return true;
}

/* Writes pieces of ByteLevel in its alphabet, or leaves them. */
static bool write_bytes(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                        struct piece piece)
{
    struct buffer out;
    bool ok = true;

    if (step->keep_bytes)
        return pre_step_next(run, at + 1, piece);
    buffer_init(&out, BUFFER_NO_LIMIT);
    ok = byte_level_write(&out, piece.s, piece.n) || no_memory(run);
    ok = ok && pre_step_next(run, at + 1, (struct piece){out.data, out.len, piece.first});
    buffer_free(&out);
    return ok;
}

static bool byte_level_pieces(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                              struct piece piece)
{
    struct text_matches m = {
        .pattern = step->pattern, .work = run->patterns, .s = piece.s, .n = piece.n};
    text_scanner *scan = text_pattern_scanner(step->pattern);
    int32_t code = INF_OK;

    for (size_t done = 0, end = 0; done < piece.n; done = end) {
        if (scan)
            end = done + scan(piece.s + done, piece.n - done);
        else
            end = text_matches_next(&m, &code, run->err) ? m.end : piece.n;
        run->code = code;
        if (code != INF_OK ||
            !write_bytes(run, step, at,
                         (struct piece){piece.s + done, end - done, piece.first && done == 0}))
            return false;
    }
    return true;
}

static bool byte_level(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                       struct piece piece)
{
    if (step->prefix_space && *piece.s != ' ' && !with_prefix(run, at, " ", 1, &piece))
        return false;
    return step->pattern ? byte_level_pieces(run, step, at, piece)
                         : write_bytes(run, step, at, piece);
}

/* The piece with its blanks replaced, and one before it where the scheme says so. */
static bool write_metaspace(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                            struct piece *piece)
{
    struct buffer *out = &run->scratch[at];
    bool begins = *piece->s == ' ' || (piece->n >= step->character_len &&
                                       memcmp(piece->s, step->character, step->character_len) == 0);
    const char *s = piece->s, *end = piece->s + piece->n;
    bool ok = true;

    buffer_clear(out);
    if (!begins &&
        (step->scheme == PREPEND_ALWAYS || (step->scheme == PREPEND_FIRST && piece->first)))
        ok = buffer_append(out, step->character, step->character_len);
    while (ok && s < end) {
        const char *blank = memchr(s, ' ', (size_t)(end - s));

        ok = buffer_append(out, s, (size_t)((blank ? blank : end) - s)) &&
             (!blank || buffer_append(out, step->character, step->character_len));
        s = blank ? blank + 1 : end;
    }
    if (!ok)
        return no_memory(run);
    piece->s = out->data;
    piece->n = out->len;
    return true;
}

static bool metaspace(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                      struct piece piece)
{
    if (!write_metaspace(run, step, at, &piece))
        return false;
    if (!step->split)
        return pre_step_next(run, at + 1, piece);
    return split_by_test(run, step, at, piece, NULL, SPLIT_WITH_NEXT);
}

/* Hands the pieces of a piece on to the step behind this one, which is number `at`. */
static bool pre_step_apply(struct pre_tokenizer_run *run, const struct pre_step *step, size_t at,
                           struct piece piece)
{
    switch (step->kind) {
    case PRE_BYTE_LEVEL:
        return byte_level(run, step, at, piece);
    case PRE_SPLIT:
        return split(run, step, at, piece);
    case PRE_METASPACE:
        return metaspace(run, step, at, piece);
    case PRE_DIGITS:
        return split_by_test(run, step, at, piece, char_is_number, step->behavior);
    case PRE_PUNCTUATION:
        return split_by_test(run, step, at, piece, char_is_punctuation, step->behavior);
    case PRE_WHITESPACE_SPLIT:
    case PRE_BERT_SPACES:
        return split_by_test(run, step, at, piece, char_is_space, SPLIT_REMOVED);
    case PRE_BERT_PUNCTUATION:
        return split_by_test(run, step, at, piece, char_is_punctuation, SPLIT_ISOLATED);
    case PRE_DELIMITER:
        return split_by_test(run, step, at, piece, NULL, SPLIT_REMOVED);
    case PRE_FIXED_LENGTH:
        return split_lengths(run, step, at, piece);
    case PRE_WHITESPACE:
        break;
    }
    return split_words(run, at, piece);
}

/* ------------------------------------------------------------------ the way through the steps */

void pre_tokenizer_run_init(struct pre_tokenizer_run *run)
{
    memset(run, 0, sizeof *run);
    for (size_t i = 0; i < PRE_TOKENIZER_STEPS; i++)
        buffer_init(&run->scratch[i], BUFFER_NO_LIMIT);
}

void pre_tokenizer_run_free(struct pre_tokenizer_run *run)
{
    for (size_t i = 0; i < PRE_TOKENIZER_STEPS; i++)
        buffer_free(&run->scratch[i]);
}

static bool pre_step_next(struct pre_tokenizer_run *run, size_t at, struct piece piece)
{
    if (piece.n == 0)
        return true;
    if (at == run->pre->n)
        return run->take(run, piece);
    return pre_step_apply(run, run->pre->steps + at, at, piece);
}

bool pre_tokenizer_apply(struct pre_tokenizer_run *run, struct piece text)
{
    return pre_step_next(run, 0, text);
}
