/*
 * template: Jinja templates as jinja2 3.1.6 renders them in the environment of transformers 5.23
 * (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loopcontrols, the generation tag, its
 * tojson, raise_exception, strftime_now, dict and namespace).
 *
 * Not there, and refused when the template is parsed: lipsum, random, urlize, xmlattr, encode.
 * Different from Python: integers have 64 bits and no number is complex (an error), and a template is bounded in
 * every way: see MAX_... in limits.h.
 * Knows no chat, no file and no model. Threads: a compiled template is never changed and may be
 * rendered on any number of threads at once.
 */
#ifndef INF_TEXT_TEMPLATE_TEMPLATE_H
#define INF_TEXT_TEMPLATE_TEMPLATE_H

#include "core/buffer.h"
#include "core/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct template;
struct vm;
struct dict;

/* Whether the work has lost its point; asked every fraction of a millisecond. */
struct template_stop {
    bool (*requested)(void *arg); /* may be NULL */
    void *arg;
};

struct template_input {
    /* Puts the variables in, as values (value.h) of this vm or of one that lives longer; may throw. */
    void (*fill)(struct vm *vm, struct dict *variables, void *arg);
    void *arg;
    struct template_stop stop;
    int64_t deadline_us; /* from template_deadline_us; 0: a new one */
    int64_t now;         /* seconds since 1970 for strftime_now; 0: the clock */
};

/* When a rendering that starts now on this thread has used up its time (of the CPU: a busy machine is
 * no reason to fail). */
int64_t template_deadline_us(void);

/* Errors: TEMPLATE (with the line), NO_MEMORY. *out is NULL then. */
int32_t template_compile(struct template **out, inf_text source, inf_error *err);
void template_free(struct template *t); /* NULL is fine */

/* Appends the text to `out`. Errors: TEMPLATE (with the line; also raise_exception and limits),
 * CANCELLED, NO_MEMORY, and what fill throws: INVALID_ARGUMENT, UNSUPPORTED. `out` is then as it was. */
int32_t template_render(const struct template *t, const struct template_input *input,
                        struct buffer *out, inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
