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
extern const struct functions SET_METHODS;
struct functions other_methods(struct value self);        /* of another type's value */
struct functions class_methods(const struct builtin *fn); /* of a global's */

/* What functions find by name while they run. */
struct library {
    const struct builtin *(*method)(struct value self, const struct text *name);
    const struct builtin *(*filter)(const struct text *name);
    const struct builtin *(*test)(const struct text *name);
    bool (*refused)(const struct text *name);
};
extern const struct library LIBRARY;

/* The head of a builtin's function, which need not look at all that it is given. */
#define BUILTIN(name)                                                                              \
    static struct value name(struct render *r __attribute__((unused)),                             \
                             struct value *args __attribute__((unused)),                           \
                             const struct call *call __attribute__((unused)))

/* One that is this value of its arguments. */
#define BUILTIN_VALUE(name, value)                                                                 \
    BUILTIN(name)                                                                                  \
    {                                                                                              \
        return value;                                                                              \
    }

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

struct value dict_fromkeys(struct render *r, struct value *args, const struct call *call);
bool is_mutator_name(const struct text *name);
#endif
