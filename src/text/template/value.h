/*
 * value: Python's values as a chat template sees them, in an arena of one compilation or rendering.
 *
 * Nothing is freed alone and nothing that is shared is changed: the sandbox refuses every mutation.
 * A failure does not return: vm_throw goes back to where the vm was entered, and the arena goes as
 * a whole. So functions here have no error paths, and hold no resource but the arena.
 * Texts are UTF-8 (with lone surrogates in their three-byte form, as JSON may bring them), and
 * counted in code points.
 * Threads: a vm and its values belong to one thread. A compiled template's constants are read only.
 */
#ifndef INF_TEXT_TEMPLATE_VALUE_H
#define INF_TEXT_TEMPLATE_VALUE_H

#include "core/utf8.h"
#include "text/template/template.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------ the machine */

/* What an error is in Python; some filters tell one from another. */
enum error_kind {
    E_SYNTAX,
    E_TYPE,
    E_VALUE,
    E_LOOKUP,
    E_UNDEFINED,
    E_SECURITY,
    E_RUNTIME,
    E_RAISED, /* by the template: raise_exception */
    E_LIMIT,
    E_CANCELLED,
    E_ARGUMENT, /* what was given is wrong, not the template */
    E_UNSUPPORTED,
    E_MEMORY,
};

struct chunk;

struct vm {
    /* the arena */
    struct chunk *chunks;
    char *at;
    char *end;
    size_t used;
    size_t limit;
    char *join_end; /* of the newest joined text, which has room until join_cap */
    char *join_cap;
    /* failure */
    jmp_buf on_error;
    enum error_kind kind;
    int64_t detail; /* of E_ARGUMENT, E_UNSUPPORTED */
    int line;       /* where the template is executed, 0 unknown */
    char message[1024];
    /* limits of a rendering */
    uint32_t fuel; /* steps until the clock and the stop are looked at */
    uint64_t steps;
    uint64_t max_steps;
    int64_t deadline_us; /* of the thread's CPU clock */
    struct template_stop stop;
    unsigned depth; /* of C calls that follow the template's or the data's nesting */
    unsigned max_depth;
};

void vm_init(struct vm *vm, size_t limit);
void vm_free(struct vm *vm);
int64_t vm_clock_us(void); /* CPU time of this thread */
_Noreturn void vm_throw(struct vm *vm, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Time passes: `cost` units of about 10 ns. Throws E_LIMIT, E_CANCELLED. */
void vm_refuel(struct vm *vm, size_t cost);
static inline void vm_step(struct vm *vm, size_t cost)
{
    if (cost < vm->fuel)
        vm->fuel -= (uint32_t)cost;
    else
        vm_refuel(vm, cost);
}
/* Brackets every recursion. */
void vm_enter(struct vm *vm);
static inline void vm_leave(struct vm *vm)
{
    vm->depth--;
}

/* Throws E_LIMIT where n things of that size, which is not 0, have no room. */
void vm_check_room(struct vm *vm, size_t n, size_t size);
/* Aligned for anything; throws E_MEMORY, E_LIMIT. */
void *vm_alloc(struct vm *vm, size_t size);
void *vm_array(struct vm *vm, size_t n, size_t size);
/* Room for more than the n items of a full array: a copy of twice its size, at least of `least`. */
void *vm_grow(struct vm *vm, const void *items, size_t n, size_t size, size_t *cap, size_t least);
#define VM_GROW(vm, items, n, cap, least)                                                          \
    ((items) = vm_grow(vm, items, n, sizeof *(items), &(cap), least))
#define VM_NEW(vm, type) ((type *)vm_alloc(vm, sizeof(type)))
#define VM_ARRAY(vm, type, n) ((type *)vm_array(vm, n, sizeof(type)))

/* ------------------------------------------------------------------ values */

enum value_type {
    V_MISSING, /* no value: an unset variable, an argument not given */
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STR,
    V_LIST,
    V_TUPLE,
    V_DICT,
    V_RANGE,
    V_VIEW,
    V_SET,
    V_ITER,
    V_NAMESPACE,
    V_LOOP,
    V_MACRO,
    V_BUILTIN,
    V_METHOD,
    V_CYCLER,
    V_JOINER,
    V_SLICE,
    V_SELF,
    V_BLOCK,
};

/* UTF-8, maybe shared with a longer text. */
struct text {
    const char *data;
    size_t len;
    size_t count;  /* code points; equal to len where all are ASCII */
    uint32_t hash; /* 0: not computed */
    bool safe;     /* a Markup */
};

struct list; /* a list or a tuple */
struct dict;
struct undefined;
struct range;
struct view;
struct iter;
struct loop;
struct macro;
struct builtin;
struct method;
struct cycler;
struct slice;

struct value {
    enum value_type type;
    union {
        bool b;
        int64_t i;
        double f;
        struct text *s;
        struct list *l;
        struct dict *d; /* V_NAMESPACE too, and V_SET: keys alone */
        struct undefined *u;
        struct range *r;
        struct view *view;
        struct iter *it;
        struct loop *loop;
        struct macro *macro;
        const struct builtin *fn;
        struct method *method;
        struct cycler *cycler;
        struct slice *slice;
        void *p;
    };
};

struct list {
    struct value *items;
    size_t len;
    size_t cap;
    bool group; /* a groupby's tuple: .grouper and .list */
};

struct entry {
    struct value key;
    struct value value;
    uint32_t hash;
};

struct dict {
    struct entry *entries; /* in the order of insertion */
    size_t len;
    size_t cap;
    uint32_t *index; /* of entries, from 1; NULL while few */
    size_t n_index;
    bool proxy; /* a mappingproxy: what a view calls its mapping */
};

struct undefined {
    const struct text *hint; /* the whole message, or NULL */
    const struct text *name; /* of a variable or an attribute, or NULL */
    struct value key;        /* asked for, where it is no text */
    struct value object;     /* that lacks it, or V_MISSING */
    bool security;
};

struct range {
    int64_t start;
    int64_t stop;
    int64_t step;
    int64_t len;
};

enum view_kind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS };

struct view {
    enum view_kind kind;
    struct dict *d;
};

struct slice {
    struct value start;
    struct value stop;
    struct value step;
};

struct cycler {
    struct list *items;
    size_t pos;
};

struct method {
    struct value self;
    const struct builtin *fn;
};

/* Arguments of a call. */
struct keyword {
    struct text *name;
    struct value value;
};

struct call {
    struct value *args;
    size_t n;
    struct keyword *kw;
    size_t n_kw;
};

struct render;

/* A function in C: a filter, a test, a method, a global. */
struct builtin {
    const char *name;
    /* "a,b|c,d": the names of its parameters, before | required; "/" first: none by keyword; "*":
     * anything goes, and the function looks at the call itself. */
    const char *params;
    /* args: bound to params, V_MISSING where not given. NULL: a property, seen from its class. */
    struct value (*run)(struct render *r, struct value *args, const struct call *call);
};

#define MAX_PARAMS 8

static inline struct value v_of(enum value_type type)
{
    return (struct value){.type = type, .i = 0};
}
static inline struct value v_none(void)
{
    return v_of(V_NONE);
}
static inline struct value v_bool(bool b)
{
    return (struct value){.type = V_BOOL, .i = b};
}
static inline struct value v_int(int64_t i)
{
    return (struct value){.type = V_INT, .i = i};
}
static inline struct value v_float(double f)
{
    return (struct value){.type = V_FLOAT, .f = f};
}
static inline struct value v_str(const struct text *s)
{
    return (struct value){.type = V_STR, .s = (struct text *)(uintptr_t)s};
}
static inline struct value v_list(struct list *l)
{
    return (struct value){.type = V_LIST, .l = l};
}
static inline struct value v_tuple(struct list *l)
{
    return (struct value){.type = V_TUPLE, .l = l};
}
static inline struct value v_dict(struct dict *d)
{
    return (struct value){.type = V_DICT, .d = d};
}

/* ------------------------------------------------------------------ texts */

/* Copies, and ends the copy with a NUL that is not counted. */
struct text *text_new(struct vm *vm, const char *data, size_t len);
struct text *text_of(struct vm *vm, const char *s);
struct text *text_printf(struct vm *vm, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Borrows: data lives in the arena, or longer. */
struct text *text_wrap(struct vm *vm, const char *data, size_t len);
struct text *text_wrap_counted(struct vm *vm, const char *data, size_t len, size_t count);
/* Code points from..to (from <= to <= count) of s. Keeps no mark of safety. */
struct text *text_slice(struct vm *vm, const struct text *s, size_t from, size_t to);
/* In place where a is the newest text. */
struct text *text_join2(struct vm *vm, const struct text *a, const struct text *b);
struct text *text_marked(struct vm *vm, const struct text *s, bool safe);
bool text_equal(const struct text *a, const struct text *b);
bool text_is(const struct text *s, const char *other);
uint32_t text_hash(struct text *s);
static inline bool text_ascii(const struct text *s)
{
    return s->count == s->len;
}
/* Bytes before the code point of this index. */
size_t text_offset(const struct text *s, size_t index);

/* A text that grows in the arena. */
struct builder {
    struct vm *vm;
    char *data;
    size_t len;
    size_t cap;
};

void build_init(struct builder *b, struct vm *vm);
void build_add(struct builder *b, const char *data, size_t len);
void build_text(struct builder *b, const struct text *s);
void build_str(struct builder *b, const char *s);
void build_char(struct builder *b, uint32_t c);
void build_fill(struct builder *b, uint32_t c, size_t n);
struct text *build_done(struct builder *b);

/* ------------------------------------------------------------------ containers */

struct list *list_new(struct vm *vm, size_t cap);
void list_add(struct vm *vm, struct list *l, struct value v);
struct value tuple2(struct vm *vm, struct value a, struct value b);

struct dict *dict_new(struct vm *vm);
struct dict *dict_copy(struct vm *vm, const struct dict *d);
/* Throws E_TYPE for a key that cannot be hashed. */
void dict_set(struct vm *vm, struct dict *d, struct value key, struct value v);
struct value *dict_get(struct vm *vm, const struct dict *d, struct value key);
struct value *dict_get_text(const struct dict *d, struct text *key);
bool value_hashable(struct vm *vm, struct value v);

struct value view_new(struct vm *vm, enum view_kind kind, struct dict *d);
/* What a view has of an entry. */
struct value view_item(struct vm *vm, enum view_kind kind, const struct entry *e);
/* A set, and what compares as one: keys and items. */
bool is_set_like(struct value v);
bool set_like_contains(struct vm *vm, struct value set, struct value v);

/* JSON as Python's json.loads reads it. The text must live as long as the values. Throws E_ARGUMENT:
 * "<what>: not JSON, line ...". */
struct value json_parse(struct vm *vm, const char *data, size_t len, const char *what);

/* ------------------------------------------------------------------ what Python does with them */

bool value_truth(struct vm *vm, struct value v);
bool value_equal(struct vm *vm, struct value a, struct value b);
/* `is`, as far as a copy can tell: numbers and texts that are equal are the same. */
bool value_same(struct value a, struct value b);
/* a < b and so on: op is one of "<", "<=", ">", ">=". */
bool value_compare(struct vm *vm, const char *op, struct value a, struct value b);
bool value_contains(struct vm *vm, struct value in, struct value v);
/* -1: it has no len(), or it is a loop. */
int64_t value_size(struct value v);
/* -1: it has no len(). */
int64_t value_len(struct vm *vm, struct value v);
int64_t value_len_or_throw(struct vm *vm, struct value v);
const char *type_name(struct value v);
/* "method", "builtin_function_or_method", or "wrapper": jinja2's in the place of str.format. */
const char *method_type(const struct method *m);
/* Of a global that is a class; NULL: it is none. */
const char *class_name(struct value v);
struct text *undefined_message(struct vm *vm, const struct undefined *u);
void check_defined(struct vm *vm, struct value v);

struct text *value_str(struct vm *vm, struct value v);   /* str(v); keeps a Markup as it is */
struct text *value_plain(struct vm *vm, struct value v); /* str(v), never a Markup */
struct text *value_repr(struct vm *vm, struct value v);
void build_repr(struct builder *b, struct value v);
void repr_text(struct builder *b, const struct text *s);
const char *repr_chars(struct vm *vm, struct value v); /* for messages; shortened */
struct text *text_escape(struct vm *vm, struct value v);

/* Numbers. */
bool is_number(struct value v);  /* bool, int, float */
bool is_integer(struct value v); /* bool, int */
double number_double(struct value v);
/* Of a bool or an int. */
static inline int64_t number_integer(struct value v)
{
    return v.type == V_BOOL ? v.b : v.i;
}
/* An int where Python wants an index; throws E_TYPE. */
int64_t value_index(struct vm *vm, struct value v);
size_t float_chars(double f, char out[32]);

struct value undefined_new(struct vm *vm, const char *hint);
struct value undefined_name(struct vm *vm, const struct text *name);
struct value undefined_item(struct vm *vm, struct value object, struct value key);

#endif
