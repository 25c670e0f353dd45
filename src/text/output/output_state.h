/*
 * output_state: what the files of the output parser share: the text that waits, and where the parser stands.
 * Internal to output_parser.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_STATE_H
#define INF_TEXT_OUTPUT_OUTPUT_STATE_H

#include "text/output/output_parser.h"
#include "text/output/output_read.h"

enum output_mode {
    MODE_START, /* nothing but white space so far, of the answer or behind its reasoning */
    MODE_TEXT,
    MODE_THINK,
    MODE_CALL,   /* an opener has come: what waits begins with `glue` bytes of white space and it */
    MODE_AFTER,  /* behind a call */
    MODE_HEADER, /* channels: before "<|message|>" */
    MODE_MESSAGE, /* the call of a message: what waits begins with the header */
    MODE_BETWEEN  /* behind a message */
};

struct output_parser {
    struct output_format format;
    struct output_tools tools;
    bool calls_wanted;
    enum output_mode mode;
    enum output_mode from; /* where a call began: MODE_TEXT or MODE_THINK */
    bool opened;           /* the prompt has opened the reasoning; a model may do it once more */
    bool thought;          /* there was reasoning */
    bool wrote;            /* there was text */
    struct buffer held;    /* from `begin` on it waits */
    size_t begin;
    size_t glue;
    struct output_scan scan;
    size_t work; /* bytes looked at for calls that were none */
    struct output_calls calls;
    struct buffer text, reasoning;
    bool failed; /* out of memory */
};

/* What waits, n bytes. */
const char *output_waiting(const struct output_parser *p, size_t *n);
/* The first n bytes that wait go out, as reasoning or as text, or nowhere. */
void output_emit(struct output_parser *p, size_t n, bool reasoning);
void output_drop(struct output_parser *p, size_t n);

#endif
