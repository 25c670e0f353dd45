/*
 * functions: tables of functions in C, and what they share.
 */
#ifndef INF_TEXT_TEMPLATE_FUNCTIONS_H
#define INF_TEXT_TEMPLATE_FUNCTIONS_H

#include "text/template/engine.h"

struct functions {
    const struct builtin *items;
    size_t n;
};

extern const struct functions FILTERS;          /* filters.c: of one value */
extern const struct functions SEQUENCE_FILTERS; /* filters_sequence.c */
extern const struct functions TESTS;
extern const struct functions GLOBALS;
extern const struct functions STR_METHODS;

const struct builtin *find_function(const struct functions *table, const struct text *name);

/* An argument that was not given, or its value. */
static inline struct value arg_or(struct value v, struct value fallback)
{
    return v.type == V_MISSING ? fallback : v;
}
bool arg_truth(struct render *r, struct value v, bool fallback);
/* Throws E_TYPE where it is no str. */
struct text *arg_text(struct render *r, struct value v);
int64_t arg_int(struct render *r, struct value v, int64_t fallback);

struct value call_joiner(struct render *r, struct value joiner, const struct call *call);
/* A filter or a test by name, for map, select and the like. */
struct value call_filter_by_name(struct render *r, struct value name, struct value v,
                                 const struct call *rest);
bool call_test_by_name(struct render *r, struct value name, struct value v,
                       const struct call *rest);

/* "a.b.0": what attribute filters look up. */
struct path {
    struct value *parts;
    size_t n;
};
struct path path_of(struct render *r, struct value attribute);
/* fallback V_MISSING or V_NONE: none. */
struct value path_get(struct render *r, const struct path *path, struct value item,
                      struct value fallback);
struct value ignore_case(struct render *r, struct value v);

#endif
