/*
 * charsmap: SentencePiece's table of replacements, as a tokenizer.json has it in base64: a double-array
 * trie and the texts that its values point to. Every index is checked. Immutable: any thread.
 */
#ifndef INF_HF_TOKENIZER_CHARSMAP_H
#define INF_HF_TOKENIZER_CHARSMAP_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

struct charsmap;

/* NULL for null. BAD_FORMAT, NO_MEMORY. */
int32_t charsmap_read(struct charsmap **out, struct json_span base64, inf_error *err);
void charsmap_free(struct charsmap *c); /* NULL is ignored */
/* Appends the text with all replacements. false: out of memory. */
bool charsmap_apply(const struct charsmap *c, const char *s, size_t n, struct buffer *out);

#endif
