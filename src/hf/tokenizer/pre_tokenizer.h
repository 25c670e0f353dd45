/*
 * pre_tokenizer: the "pre_tokenizer" of a tokenizer.json: from a text to the pieces that the model is
 * given. Pieces are handed on as they are found, through all steps, so that no list of them is built.
 * Read once, then immutable: any thread; its scratch memory belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_PRE_TOKENIZER_H
#define INF_HF_TOKENIZER_PRE_TOKENIZER_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"
#include "hf/tokenizer/text_pattern.h"

enum { PRE_TOKENIZER_STEPS = 32 };

struct pre_tokenizer;

/* A pre-tokenizer without steps for null. Errors: BAD_FORMAT, UNSUPPORTED, NO_MEMORY; their messages
 * say what of the pre-tokenizer it is. What *out is then is to be freed all the same. */
int32_t pre_tokenizer_read(struct pre_tokenizer **out, struct json_span json, inf_error *err);
void pre_tokenizer_free(struct pre_tokenizer *p); /* NULL is ignored */

/* The last step is ByteLevel, which writes bytes in its alphabet, */
bool pre_tokenizer_ends_in_bytes(const struct pre_tokenizer *p);
/* unless this is said once: then pieces are the bytes themselves. */
void pre_tokenizer_keep_bytes(struct pre_tokenizer *p);

/* A piece; `first`: it begins where the text of the request does. */
struct piece {
    const char *s;
    size_t n;
    bool first;
};

struct pre_tokenizer_run {
    const struct pre_tokenizer *pre;
    struct text_pattern_work *patterns; /* borrowed */
    struct buffer scratch[PRE_TOKENIZER_STEPS];
    /* Takes a piece (at least a byte; valid during the call). false: stop, with code set. */
    bool (*take)(struct pre_tokenizer_run *run, struct piece piece);
    void *user;
    int32_t code;
    inf_error *err;
};

void pre_tokenizer_run_init(struct pre_tokenizer_run *run);
void pre_tokenizer_run_free(struct pre_tokenizer_run *run);
/* false: stopped, and run->code says why. */
bool pre_tokenizer_apply(struct pre_tokenizer_run *run, struct piece text);

#endif
