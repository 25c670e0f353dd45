/* pre_tokenizer: reading; see the header. Using is pre_tokenizer_steps.c's. */
#include "hf/tokenizer/pre_tokenizer.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/pre_tokenizer_steps.h"
#include "hf/tokenizer/step_list.h"

#include <string.h>

void pre_tokenizer_free(struct pre_tokenizer *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        text_pattern_free(p->steps[i].pattern);
    mem_free(p);
}

/* ------------------------------------------------------------------ reading */

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
    step->invert = step_list_flag(json, "invert", false);
    return read_behavior(step, scan_member(json, "behavior"), "Split", err);
}

/* GPT-2's pattern. */
static int32_t read_byte_level(struct pre_step *step, struct json_span json, inf_error *err)
{
    static const char pattern[] =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    step->prefix_space = step_list_flag(json, "add_prefix_space", true);
    if (!step_list_flag(json, "use_regex", true))
        return INF_OK;
    return text_pattern_regex(&step->pattern, pattern, sizeof pattern - 1, err);
}

static int32_t read_character(struct pre_step *step, struct json_span json, const char *type,
                              const char *name, inf_error *err)
{
    struct buffer text;
    int32_t code = INF_OK;

    buffer_init(&text, BUFFER_NO_LIMIT);
    code = step_list_string(&text, "pre_tokenizer", json, type, name, err);
    if (code == INF_OK &&
        (text.len == 0 || text.len > 4 || utf8_sequence(text.data, text.len) != text.len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "pre_tokenizer: %s needs one character", type);
    else if (code == INF_OK)
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
    step->split = step_list_flag(json, "split", true);
    return read_character(step, json, "Metaspace", "replacement", err);
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
        step->behavior = step_list_flag(json, "individual_digits", false) ? SPLIT_ISOLATED
                                                                          : SPLIT_CONTIGUOUS;
        break;
    case PRE_PUNCTUATION:
        step->behavior = SPLIT_ISOLATED;
        return scan_is_none(behavior) ? INF_OK : read_behavior(step, behavior, "Punctuation", err);
    case PRE_DELIMITER:
        return read_character(step, json, "Delimiter", "delimiter", err);
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

static int32_t add_kind(struct pre_tokenizer *p, struct json_span json, enum pre_kind kind,
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

enum { OTHER_DELIMITER = PRE_BERT_PUNCTUATION + 1 }; /* another name of it */

static const char *const types[] = {
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
    [OTHER_DELIMITER] = "Delimiter",
};

static int32_t add_step(void *owner, struct json_span json, size_t type, inf_error *err)
{
    int32_t code = add_kind(owner, json,
                            type == OTHER_DELIMITER ? PRE_DELIMITER : (enum pre_kind)type, err);

    return code == INF_OK && type == PRE_BERT_SPACES
               ? add_kind(owner, json, PRE_BERT_PUNCTUATION, err)
               : code;
}

static const struct step_list list = {"pre_tokenizer", "pretokenizers", types,
                                      sizeof types / sizeof *types, add_step};

int32_t pre_tokenizer_read(struct pre_tokenizer **out, struct json_span json, inf_error *err)
{
    *out = mem_calloc(1, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    return scan_is_none(json) ? INF_OK : step_list_read(&list, *out, json, err);
}

bool pre_tokenizer_ends_in_bytes(const struct pre_tokenizer *p)
{
    return p->n > 0 && p->steps[p->n - 1].kind == PRE_BYTE_LEVEL;
}

void pre_tokenizer_keep_bytes(struct pre_tokenizer *p)
{
    p->steps[p->n - 1].keep_bytes = true;
}
