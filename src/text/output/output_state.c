/*
 * output_state: see the header.
 */
#include "text/output/output_state.h"

const char *output_waiting(const struct output_parser *p, size_t *n)
{
    *n = p->held.len - p->begin;
    return p->held.data ? p->held.data + p->begin : "";
}

void output_drop(struct output_parser *p, size_t n)
{
    p->begin += n;
}

void output_emit(struct output_parser *p, size_t n, bool reasoning)
{
    struct buffer *out = reasoning ? &p->reasoning : &p->text;

    if (n && !buffer_append(out, p->held.data + p->begin, n))
        p->failed = true;
    p->wrote = p->wrote || (n && !reasoning);
    p->begin += n;
}
