/* pre_tokenizer_steps: the steps of a pre-tokenizer. Internal to pre_tokenizer. */
#ifndef INF_HF_TOKENIZER_PRE_TOKENIZER_STEPS_H
#define INF_HF_TOKENIZER_PRE_TOKENIZER_STEPS_H

#include "hf/tokenizer/pre_tokenizer.h"

enum pre_kind {
    PRE_BYTE_LEVEL,
    PRE_SPLIT,
    PRE_METASPACE,
    PRE_DIGITS,
    PRE_PUNCTUATION,
    PRE_WHITESPACE,
    PRE_WHITESPACE_SPLIT,
    PRE_DELIMITER,
    PRE_FIXED_LENGTH,
    PRE_BERT_SPACES,
    PRE_BERT_PUNCTUATION /* always behind it */
};

enum split_behavior {
    SPLIT_ISOLATED,
    SPLIT_REMOVED,
    SPLIT_CONTIGUOUS,
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT
};

enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct pre_step {
    enum pre_kind kind;
    struct text_pattern *pattern; /* of Split; of ByteLevel, when it splits */
    enum split_behavior behavior;
    bool invert;
    bool prefix_space, keep_bytes; /* of ByteLevel */
    enum prepend_scheme scheme;    /* of Metaspace, */
    bool split;                    /* too */
    char character[4];             /* of Metaspace and Delimiter */
    size_t character_len;
    size_t length; /* of FixedLength */
};

struct pre_tokenizer {
    struct pre_step steps[PRE_TOKENIZER_STEPS];
    size_t n;
};

#endif
