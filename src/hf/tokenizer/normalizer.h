/*
 * normalizer: the "normalizer" of a tokenizer.json: from a text to the text that is split. Read once,
 * then immutable: any thread; its scratch memory belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_NORMALIZER_H
#define INF_HF_TOKENIZER_NORMALIZER_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"
#include "hf/tokenizer/text_pattern.h"

struct normalizer;

/* A normalizer without steps for null. Errors: BAD_FORMAT, UNSUPPORTED, NO_MEMORY; their messages say
 * what of the normalizer it is. What *out is then is to be freed all the same. */
int32_t normalizer_read(struct normalizer **out, struct json_span json, inf_error *err);
void normalizer_free(struct normalizer *n); /* NULL is ignored */

struct normalizer_work {
    struct buffer a, b;
    struct text_pattern_work *patterns; /* borrowed */
};

/* *out is the normalized text: the one given, or in the scratch memory until its next use. *moved: the
 * first character that is left was not the first. */
int32_t normalizer_apply(const struct normalizer *n, struct normalizer_work *w, inf_text text,
                         inf_text *out, bool *moved, inf_error *err);
/* The same, appended to out, with scratch memory of its own. */
int32_t normalizer_apply_once(const struct normalizer *n, const char *s, size_t len,
                              struct buffer *out, inf_error *err);

#endif
