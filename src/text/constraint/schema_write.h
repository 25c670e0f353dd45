/*
 * schema_write: shapes as grammar, a file a kind of value. Each function gives the node that a value of
 * that kind begins with, and leads on to `next`; NOWHERE: no such value, or the error is set.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_WRITE_H
#define INF_TEXT_CONSTRAINT_SCHEMA_WRITE_H

#include "text/constraint/schema_shape.h"

/* schema_text.c */
int32_t schema_write_string(struct schema_compiler *c, const struct shape *s, int32_t next);
/* White space, or none; bounded. */
int32_t schema_write_space(struct schema_compiler *c, int32_t next);

/*
 * What stands between the quotes of a text that an automaton follows, of min to max (-1: any number of)
 * characters. leave: where to go on (behind the closing quote, which is written too) after a text that
 * matches these patterns; NOWHERE: it is none of those that are wanted.
 */
typedef int32_t (*schema_leave_fn)(void *arg, uint64_t matched);
int32_t schema_write_text(struct schema_compiler *c, const struct regex_automaton *a, int64_t min,
                          int64_t max, schema_leave_fn leave, void *arg);

/* schema_number.c: those kinds of numbers that the shape has */
int32_t schema_write_number(struct schema_compiler *c, const struct shape *s, int32_t next);

/* schema_literal.c: a list of values, as they are printed */
int32_t schema_write_values(struct schema_compiler *c, const json_t *values, int32_t next);
/* A text in quotes. */
int32_t schema_write_name(struct schema_compiler *c, const char *name, int32_t next);

/* schema_array.c, schema_object.c */
int32_t schema_write_array(struct schema_compiler *c, const struct shape *s, int32_t next);
int32_t schema_write_object(struct schema_compiler *c, const struct shape *s, int32_t next);

#endif
