/*
 * normalizer: see the header. Sequences are flattened: a text goes through the steps one behind the
 * other, from one buffer into the other; a step that has nothing to change leaves it where it is.
 */
#include "hf/tokenizer/normalizer.h"

#include "core/growing.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/byte_level.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/normalizer_steps.h"
#include "hf/tokenizer/step_list.h"
#include "hf/tokenizer/unicode_form.h"

#include <string.h>

enum {
    MOST_STEPS = 256,
    LARGEST_GROWTH = 64, /* a normalized text is at most so many times as long, and */
    LEAST_LIMIT = 64 * 1024
};

struct normalizer {
    struct normalizer_step *steps;
    size_t n, cap;
};

void normalizer_free(struct normalizer *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++) {
        text_pattern_free(n->steps[i].pattern);
        mem_free(n->steps[i].content.data);
        charsmap_free(n->steps[i].charsmap);
    }
    mem_free(n->steps);
    mem_free(n);
}

/* ------------------------------------------------------------------ reading */

static int32_t read_replace(struct normalizer_step *step, struct json_span json, inf_error *err)
{
    int32_t code = text_pattern_read(&step->pattern, scan_member(json, "pattern"), err);

    if (code != INF_OK)
        return error_prefix(err, "normalizer: Replace");
    return step_list_string(&step->content, "normalizer", json, "Replace", "content", err);
}

static void read_bert(struct normalizer_step *step, struct json_span json)
{
    bool lower = step_list_flag(json, "lowercase", true);

    step->first = step_list_flag(json, "clean_text", true);
    step->second = step_list_flag(json, "handle_chinese_chars", true);
    step->third = step_list_flag(json, "strip_accents", lower);
    step->fourth = lower;
}

static int32_t read_options(struct normalizer_step *step, struct json_span json, inf_error *err)
{
    switch (step->kind) {
    case NORMALIZE_PREPEND:
        return step_list_string(&step->content, "normalizer", json, "Prepend", "prepend", err);
    case NORMALIZE_REPLACE:
        return read_replace(step, json, err);
    case NORMALIZE_STRIP:
        step->first = step_list_flag(json, "strip_left", false);
        step->second = step_list_flag(json, "strip_right", false);
        break;
    case NORMALIZE_BERT:
        read_bert(step, json);
        break;
    case NORMALIZE_PRECOMPILED:
        return charsmap_read(&step->charsmap, scan_member(json, "precompiled_charsmap"), err);
    default:
        break;
    }
    return INF_OK;
}

static int32_t add_step(void *owner, struct json_span json, size_t type, inf_error *err)
{
    struct normalizer *n = owner;
    struct normalizer_step *step = NULL;

    if (n->n == MOST_STEPS)
        return error_set(err, INF_ERROR_UNSUPPORTED, "normalizer: more than %d steps", MOST_STEPS);
    if (!GROW(n->steps, n->cap, n->n + 1))
        return error_no_memory(err);
    step = n->steps + n->n++;
    memset(step, 0, sizeof *step);
    step->kind = (enum normalizer_kind)type;
    buffer_init(&step->content, BUFFER_NO_LIMIT);
    return read_options(step, json, err);
}

static const char *const types[] = {[NORMALIZE_NFC] = "NFC",
                                    [NORMALIZE_NFD] = "NFD",
                                    [NORMALIZE_NFKC] = "NFKC",
                                    [NORMALIZE_NFKD] = "NFKD",
                                    [NORMALIZE_LOWERCASE] = "Lowercase",
                                    [NORMALIZE_STRIP] = "Strip",
                                    [NORMALIZE_STRIP_ACCENTS] = "StripAccents",
                                    [NORMALIZE_PREPEND] = "Prepend",
                                    [NORMALIZE_REPLACE] = "Replace",
                                    [NORMALIZE_NMT] = "Nmt",
                                    [NORMALIZE_BERT] = "BertNormalizer",
                                    [NORMALIZE_BYTE_LEVEL] = "ByteLevel",
                                    [NORMALIZE_PRECOMPILED] = "Precompiled"};

static const struct step_list list = {"normalizer", "normalizers", types,
                                      sizeof types / sizeof *types, add_step};

int32_t normalizer_read(struct normalizer **out, struct json_span json, inf_error *err)
{
    *out = mem_calloc(1, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    return scan_is_none(json) ? INF_OK : step_list_read(&list, *out, json, err);
}

/* ------------------------------------------------------------------ using */

int32_t normalizer_apply(const struct normalizer *n, struct normalizer_work *w, inf_text text,
                         inf_text *out, bool *moved, inf_error *err)
{
    struct buffer *free_one = &w->a, *other = &w->b;
    size_t limit = text.len * LARGEST_GROWTH + LEAST_LIMIT;

    *out = text;
    *moved = false;
    for (size_t i = 0; n && i < n->n; i++) {
        bool changed = false;
        int32_t code = INF_OK;

        buffer_clear(free_one);
        free_one->limit = limit;
        code = normalizer_step_apply(n->steps + i, w->patterns, *out, free_one, &changed, moved,
                                     err);
        if (code == INF_ERROR_NO_MEMORY && free_one->len > limit / 4)
            return error_set(err, INF_ERROR_UNSUPPORTED,
                             "the tokenizer's normalizer makes too long a text of this one");
        if (code != INF_OK)
            return code;
        if (changed) {
            struct buffer *written = free_one;

            *out = (inf_text){written->data ? written->data : "", written->len};
            free_one = other;
            other = written;
        }
    }
    return INF_OK;
}

int32_t normalizer_apply_once(const struct normalizer *n, const char *s, size_t len,
                              struct buffer *out, inf_error *err)
{
    struct normalizer_work w;
    bool moved = false;
    inf_text text;
    int32_t code = INF_OK;

    buffer_init(&w.a, BUFFER_NO_LIMIT);
    buffer_init(&w.b, BUFFER_NO_LIMIT);
    w.patterns = text_pattern_work_create();
    code = w.patterns ? normalizer_apply(n, &w, (inf_text){s, len}, &text, &moved, err)
                      : error_no_memory(err);
    if (code == INF_OK && !buffer_append(out, text.data, text.len))
        code = error_no_memory(err);
    text_pattern_work_free(w.patterns);
    buffer_free(&w.a);
    buffer_free(&w.b);
    return code;
}
