/*
 * splitters: how byte-level vocabularies split texts. A file names it (tokenizer.ggml.pre) without saying how; the
 * table says it as the tokenizer.json does from which such files are converted. Where llama.cpp splits otherwise (it
 * has no classes of capitals, and normalizes nothing) ids are those that the model was trained on, not its.
 */
#ifndef INF_LLAMACPP_SPLITTERS_H
#define INF_LLAMACPP_SPLITTERS_H

#include "gguf/file.h"

/* JSON as in a tokenizer.json. */
struct splitter {
    const char *name;
    const char *pre_tokenizer;
    const char *normalizer;
    bool whole_words; /* a word that is a token is that one, whatever the merges say */
    bool bos;
    bool no_bos_id; /* none is assumed */
};

/* The decoder of them all. */
extern const char splitter_decoder[];

/* NULL: the file's vocabulary is of no kind that is known here, and llama.cpp's. */
const struct splitter *splitter_of(const struct gguf_file *file);

#endif
