/* normalizer_steps: the steps of a normalizer, one function each. Internal to normalizer. */
#ifndef INF_HF_TOKENIZER_NORMALIZER_STEPS_H
#define INF_HF_TOKENIZER_NORMALIZER_STEPS_H

#include "core/buffer.h"
#include "hf/tokenizer/charsmap.h"
#include "hf/tokenizer/text_pattern.h"

enum normalizer_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP,         /* first: left, second: right */
    NORMALIZE_STRIP_ACCENTS, /* marks */
    NORMALIZE_PREPEND,       /* content */
    NORMALIZE_REPLACE,       /* pattern by content */
    NORMALIZE_NMT,
    NORMALIZE_BERT, /* first: clean, second: spaces around Chinese, third: accents, fourth: lower */
    NORMALIZE_BYTE_LEVEL,
    NORMALIZE_PRECOMPILED /* charsmap */
};

struct normalizer_step {
    enum normalizer_kind kind;
    bool first, second, third, fourth;
    struct text_pattern *pattern;
    struct buffer content;
    struct charsmap *charsmap;
};

/* Writes to out, which is empty, when there is something to change. *moved: set when the first
 * character goes, never cleared. */
int32_t normalizer_step_apply(const struct normalizer_step *step,
                              struct text_pattern_work *patterns, inf_text text, struct buffer *out,
                              bool *changed, bool *moved, inf_error *err);

#endif
