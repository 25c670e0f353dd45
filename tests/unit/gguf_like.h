/*
 * gguf_like: small files of architectures that have no fixture, made of Qwen3's: its vocabulary and what
 * tensors they have in common, the others filled with small numbers.
 */
#ifndef TEST_GGUF_LIKE_H
#define TEST_GGUF_LIKE_H

#include "gguf_edit.h"

/* A delta net, then attention. */
void document_become_qwen35(struct document *qwen3);
void document_become_qwen3moe(struct document *qwen3);

/* Adds a tensor of f32; 0: no such dimension. */
void document_add_tensor(struct document *d, const char *name, uint64_t a, uint64_t b, uint64_t c);
/* As document_remove_tensor; there must be one. */
void document_drop(struct document *d, const char *name);

#endif
