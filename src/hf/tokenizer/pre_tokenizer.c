/* pre_tokenizer: reading; see the header. Using is pre_tokenizer_steps.c's. */
#include "hf/tokenizer/pre_tokenizer.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/pre_tokenizer_steps.h"

#include <string.h>

enum { DEEPEST = 16 };

void pre_tokenizer_free(struct pre_tokenizer *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        text_pattern_free(p->steps[i].pattern);
    mem_free(p);
}

/* ------------------------------------------------------------------ reading */

static int32_t missing(const char *type, const char *what, inf_error *err)
{
    return error_set(err, INF_ERROR_BAD_FORMAT, "pre_tokenizer: %s has no %s", type, what);
}

static bool flag(struct json_span json, const char *name, bool otherwise)
{
    struct json_span value = scan_member(json, name);

    return scan_is_none(value) ? otherwise : scan_is_true(value);
}

static int32_t read_behavior(struct pre_step *step, struct json_span value, const char *type,
                             inf_error *err)
{
    static const char *const names[] = {[SPLIT_ISOLATED] = "Isolated",
                                        [SPLIT_REMOVED] = "Removed",
                                        [SPLIT_CONTIGUOUS] = "Contiguous",
                                        [SPLIT_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [SPLIT_WITH_NEXT] = "MergedWithNext"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (scan_is_string(value) && scan_equals(value, names[i])) {
            step->behavior = (enum split_behavior)i;
            return INF_OK;
        }
    return error_set(err, INF_ERROR_UNSUPPORTED, "pre_tokenizer: a behavior of %s is not known",
                     type);
}

static int32_t read_split(struct pre_step *step, struct json_span json, inf_error *err)
{
    int32_t code = text_pattern_read(&step->pattern, scan_member(json, "pattern"), err);

    if (code != INF_OK)
        return error_prefix(err, "pre_tokenizer: Split");
    step->invert = flag(json, "invert", false);
    return read_behavior(step, scan_member(json, "behavior"), "Split", err);
}

/* GPT-2's pattern. */
static int32_t read_byte_level(struct pre_step *step, struct json_span json, inf_error *err)
{
    static const char pattern[] =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    step->prefix_space = flag(json, "add_prefix_space", true);
    if (!flag(json, "use_regex", true))
        return INF_OK;
    return text_pattern_regex(&step->pattern, pattern, sizeof pattern - 1, err);
}

static int32_t read_character(struct pre_step *step, struct json_span value, const char *type,
                              inf_error *err)
{
    struct buffer text;
    int32_t code = INF_OK;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!scan_is_string(value))
        code = missing(type, "character", err);
    else if (!scan_unescape(&text, value))
        code = error_no_memory(err);
    else if (text.len == 0 || text.len > 4 || utf8_sequence(text.data, text.len) != text.len)
        code = error_set(err, INF_ERROR_BAD_FORMAT, "pre_tokenizer: %s needs one character", type);
    else
        memcpy(step->character, text.data, step->character_len = text.len);
    buffer_free(&text);
    return code;
}

static int32_t read_metaspace(struct pre_step *step, struct json_span json, inf_error *err)
{
    struct json_span scheme = scan_member(json, "prepend_scheme");
    struct json_span prefix = scan_member(json, "add_prefix_space");

    step->scheme = scan_is_none(scheme) || scan_equals(scheme, "always") ? PREPEND_ALWAYS
                   : scan_equals(scheme, "first")                        ? PREPEND_FIRST
                                                                         : PREPEND_NEVER;
    if (step->scheme == PREPEND_NEVER && !scan_equals(scheme, "never"))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "pre_tokenizer: a prepend_scheme of Metaspace is not known");
    if (!scan_is_none(prefix) && !scan_is_true(prefix)) {
        if (!scan_is_none(scheme) && step->scheme != PREPEND_NEVER)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "pre_tokenizer: add_prefix_space and prepend_scheme of Metaspace "
                             "contradict each other");
        step->scheme = PREPEND_NEVER;
    }
    step->split = flag(json, "split", true);
    return read_character(step, scan_member(json, "replacement"), "Metaspace", err);
}

static int32_t read_length(struct pre_step *step, struct json_span value, inf_error *err)
{
    int64_t length = 5;

    if (!scan_is_none(value) && (!scan_integer(value, &length) || length < 1))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "pre_tokenizer: a length of FixedLength is no number from 1 on");
    step->length = (size_t)length;
    return INF_OK;
}

static int32_t read_options(struct pre_step *step, struct json_span json, inf_error *err)
{
    struct json_span behavior = scan_member(json, "behavior");

    switch (step->kind) {
    case PRE_BYTE_LEVEL:
        return read_byte_level(step, json, err);
    case PRE_SPLIT:
        return read_split(step, json, err);
    case PRE_METASPACE:
        return read_metaspace(step, json, err);
    case PRE_DIGITS:
        step->behavior = flag(json, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
        break;
    case PRE_PUNCTUATION:
        step->behavior = SPLIT_ISOLATED;
        return scan_is_none(behavior) ? INF_OK : read_behavior(step, behavior, "Punctuation", err);
    case PRE_DELIMITER:
        return read_character(step, scan_member(json, "delimiter"), "Delimiter", err);
    case PRE_FIXED_LENGTH:
        return read_length(step, scan_member(json, "length"), err);
    case PRE_WHITESPACE:
    case PRE_WHITESPACE_SPLIT:
    case PRE_BERT_SPACES:
    case PRE_BERT_PUNCTUATION:
        break;
    }
    return INF_OK;
}

static int32_t add_step(struct pre_tokenizer *p, struct json_span json, enum pre_kind kind,
                        inf_error *err)
{
    struct pre_step *step = p->steps + p->n;

    if (p->n == PRE_TOKENIZER_STEPS)
        return error_set(err, INF_ERROR_UNSUPPORTED, "pre_tokenizer: more than %d steps",
                         PRE_TOKENIZER_STEPS);
    step->kind = kind;
    p->n++;
    return read_options(step, json, err);
}

static int32_t read_step(struct pre_tokenizer *p, struct json_span json, int depth, inf_error *err);

static int32_t read_sequence(struct pre_tokenizer *p, struct json_span json, int depth,
                             inf_error *err)
{
    struct json_span step;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, scan_member(json, "pretokenizers")))
        return missing("Sequence", "pretokenizers", err);
    if (depth == DEEPEST)
        return error_set(err, INF_ERROR_UNSUPPORTED, "pre_tokenizer: nested too deeply");
    while (code == INF_OK && scan_next_item(&w, &step))
        code = read_step(p, step, depth + 1, err);
    return code;
}

static int32_t read_step(struct pre_tokenizer *p, struct json_span json, int depth, inf_error *err)
{
    static const char *const names[] = {
        [PRE_BYTE_LEVEL] = "ByteLevel",
        [PRE_SPLIT] = "Split",
        [PRE_METASPACE] = "Metaspace",
        [PRE_DIGITS] = "Digits",
        [PRE_PUNCTUATION] = "Punctuation",
        [PRE_WHITESPACE] = "Whitespace",
        [PRE_WHITESPACE_SPLIT] = "WhitespaceSplit",
        [PRE_DELIMITER] = "CharDelimiterSplit",
        [PRE_FIXED_LENGTH] = "FixedLength",
        [PRE_BERT_SPACES] = "BertPreTokenizer",
    };
    struct json_span type = scan_member(json, "type");
    int32_t code = INF_OK;

    if (!scan_is_object(json) || !scan_is_string(type))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "pre_tokenizer: an object with a type is expected");
    if (scan_equals(type, "Sequence"))
        return read_sequence(p, json, depth, err);
    if (scan_equals(type, "Delimiter"))
        return add_step(p, json, PRE_DELIMITER, err);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (scan_equals(type, names[i])) {
            code = add_step(p, json, (enum pre_kind)i, err);
            if (code == INF_OK && i == PRE_BERT_SPACES)
                code = add_step(p, json, PRE_BERT_PUNCTUATION, err);
            return code;
        }
    return error_set(err, INF_ERROR_UNSUPPORTED, "pre_tokenizer: the type %.*s is not known",
                     (int)(type.len < 60 ? type.len : 60), type.data);
}

int32_t pre_tokenizer_read(struct pre_tokenizer **out, struct json_span json, inf_error *err)
{
    int32_t code = INF_OK;

    *out = mem_calloc(1, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    if (!scan_is_none(json))
        code = read_step(*out, json, 0, err);
    if (code != INF_OK) {
        pre_tokenizer_free(*out);
        *out = NULL;
    }
    return code;
}

bool pre_tokenizer_ends_in_bytes(const struct pre_tokenizer *p)
{
    return p->n > 0 && p->steps[p->n - 1].kind == PRE_BYTE_LEVEL;
}

void pre_tokenizer_keep_bytes(struct pre_tokenizer *p)
{
    p->steps[p->n - 1].keep_bytes = true;
}
