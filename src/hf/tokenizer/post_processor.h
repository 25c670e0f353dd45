/*
 * post_processor: the "post_processor" of a tokenizer.json: the special tokens around a text. Read
 * once, then immutable: any thread.
 */
#ifndef INF_HF_TOKENIZER_POST_PROCESSOR_H
#define INF_HF_TOKENIZER_POST_PROCESSOR_H

#include "core/error.h"
#include "core/json.h"
#include "hf/tokenizer/id_list.h"

enum { POST_SEQUENCE = -1 };

/* The template of a single text: ids, and POST_SEQUENCE for its own. */
struct post_processor {
    struct id_list parts;
};

/* Errors: BAD_FORMAT, UNSUPPORTED, NO_MEMORY; their messages say what of the post-processor it is. */
int32_t post_processor_read(struct post_processor *p, struct json_span json, inf_error *err);
void post_processor_free(struct post_processor *p);
/* Puts the tokens around the ids from `begin` on. false: out of memory. */
bool post_processor_apply(const struct post_processor *p, bool add_special, size_t begin,
                          struct id_list *ids);

#endif
