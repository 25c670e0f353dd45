/*
 * engine: what the lexer, the parser, the resolver and the interpreter share.
 *
 * A source becomes tokens, the tokens a tree (parser.c), the tree's names places in scopes
 * (resolve.c), its constant expressions their values (fold.c), and what is wrong
 * in the rest is found (check.c); from then on the tree is only read
 * (interpret.c). The C stack is bounded: every
 * recursion is between vm_enter and vm_leave.
 *
 * Files call only those below them: values, containers, iter, repr, undefined, compare; operations on
 * texts and numbers; attributes and calls; filters, tests, methods and globals; library, which has
 * these by name; evaluate; fold and interpret. A rendering gives those below what they need from above: the
 * library, and what calling something written in the template does.
 */
#ifndef INF_TEXT_TEMPLATE_ENGINE_H
#define INF_TEXT_TEMPLATE_ENGINE_H

#include "text/template/value.h"

/* ------------------------------------------------------------------ tokens */

enum token_type {
    T_EOF,
    T_ERROR, /* the lexer failed here */
    T_DATA,
    T_VARIABLE_BEGIN,
    T_VARIABLE_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INTEGER,
    T_FLOAT,
    T_ADD,
    T_SUB,
    T_DIV,
    T_FLOORDIV,
    T_MUL,
    T_MOD,
    T_POW,
    T_TILDE,
    T_LBRACKET,
    T_RBRACKET,
    T_LPAREN,
    T_RPAREN,
    T_LBRACE,
    T_RBRACE,
    T_EQ,
    T_NE,
    T_GT,
    T_GTEQ,
    T_LT,
    T_LTEQ,
    T_ASSIGN,
    T_DOT,
    T_COLON,
    T_PIPE,
    T_COMMA,
    T_SEMICOLON,
};

struct token {
    enum token_type type;
    int line;
    struct text *text; /* data, a name, a string's value, an error's message */
    int64_t negative;  /* an integer, negated: there is one more of them */
    double number;
};

struct tokens {
    struct token *items; /* the last one is T_EOF or T_ERROR */
    size_t n;
};

struct tokens template_lex(struct vm *vm, const char *source, size_t len);
/* "+", "begin of print statement", ... */
const char *token_name(enum token_type type);

/* ------------------------------------------------------------------ the tree */

enum node_kind {
    /* expressions */
    N_CONST,
    N_INFINITE, /* a constant that has a number without digits: infinite, or none */
    N_NAME,
    N_NSREF,
    N_TUPLE,
    N_LIST,
    N_DICT,
    N_UNARY,
    N_BINARY,
    N_AND,
    N_OR,
    N_NOT,
    N_CONCAT,
    N_COMPARE,
    N_COND,
    N_GETATTR,
    N_GETITEM,
    N_SLICE,
    N_FILTER,
    N_TEST,
    N_CALL,
    N_KEYWORD, /* name=a, of a call */
    N_OPERAND, /* op a, of a comparison */
    /* statements */
    N_DATA,
    N_OUTPUT,
    N_FOR,
    N_IF,
    N_MACRO,
    N_CALLBLOCK,
    N_GENERATION,
    N_FILTERBLOCK,
    N_WITH,
    N_BLOCK,
    N_LOADER, /* extends, include, import, from: there is nothing to load from */
    N_ASSIGN,
    N_ASSIGNBLOCK,
    N_AUTOESCAPE,
    N_BREAK,
    N_CONTINUE,
};

struct nodes {
    struct node **items;
    size_t n;
    size_t cap;
};

/* A variable: `hops` scopes of functions outwards, there at `slot`. */
struct place {
    uint16_t hops;
    uint16_t slot;
};

enum load_action { LOAD_PARAMETER, LOAD_RESOLVE, LOAD_ALIAS, LOAD_UNDEFINED };

/* What a variable of a scope starts with. */
struct load {
    enum load_action action;
    struct place to;
    struct place from; /* of an alias */
    struct text *name; /* of what is resolved */
};

struct scope {
    struct load *loads;
    size_t n;
};

/* What is called with a scope of its own: the template, a macro, a block, a recursive loop. */
struct function {
    struct function *parent;
    uint16_t depth;
    uint16_t n_slots;
    struct ident *idents; /* while names are resolved */
};

enum escape_mode { ESCAPE_OFF, ESCAPE_ON, ESCAPE_AT_RUNTIME };

struct node {
    enum node_kind kind;
    int line;
    int op;        /* a token_type; of N_OPERAND also 'i' (in) and 'n' (not in) */
    bool flag;     /* recursive; negated; scoped; a name that is stored; in a loop */
    bool constant; /* jinja2 can compute it when it compiles */
    bool flag2;    /* required; an extended loop; takes caller; an unknown name may stand */
    enum escape_mode escape; /* of output, and what becomes a Markup */
    struct node *a;
    struct node *b;
    struct node *c;
    struct nodes list;
    struct nodes list2;
    struct text *name;
    struct value value;
    struct place place;
    struct scope scope;
    const char *fault; /* what jinja2's compiler refuses here, or NULL */
    int fault_line;
    void *info;               /* of its kind */
    const struct builtin *fn; /* a filter's or test's, NULL: unknown */
};

/* N_FOR's */
struct for_info {
    struct function *test; /* the scope in which the test is done, or NULL */
    struct scope test_scope;
    struct node *test_target;
    struct function *body; /* of a recursive loop, or NULL */
    struct scope else_scope;
    struct place loop;
    bool extended;
};

/* N_MACRO's, N_CALLBLOCK's, N_GENERATION's */
struct macro_info {
    struct function *function;
    struct text *name; /* NULL: a call block's */
    struct text **names;
    struct place *params;
    size_t n;
    struct node **defaults; /* of the last ones */
    bool takes_caller;
    bool takes_kwargs;
    bool takes_varargs;
    bool explicit_caller;
    struct place caller;
    struct place kwargs;
    struct place varargs;
    struct place self; /* the macro's own name */
    bool exported;
};

/* N_BLOCK's */
struct block_info {
    struct text *name;
    struct node *node;
    struct function *function;
    struct scope scope;
    bool uses_self;
    bool uses_super;
    struct place self;
    struct place super;
    /* where it stands: names that a scoped block sees */
    struct text **names;
    struct place *places;
    size_t n;
    struct block_info *next;
};

struct tree {
    struct nodes body;
    struct function *function;
    struct scope scope;
    struct block_info *blocks;
    bool uses_self;
    struct place self;
};

struct tree *template_parse(struct vm *vm, struct tokens tokens);
/* Gives names their places; finds filters and tests. Throws E_SYNTAX. */
void template_resolve(struct vm *vm, struct tree *tree);
/* Computes what jinja2 computes when it compiles, and says where output is escaped. `scratch` is its own,
 * the caller's to free. */
void template_fold(struct vm *vm, struct vm *scratch, struct tree *tree);
/* Throws E_SYNTAX. */
void template_check(struct vm *vm, const struct tree *tree);

void nodes_add(struct vm *vm, struct nodes *list, struct node *n);
_Noreturn void syntax_error(struct vm *vm, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ------------------------------------------------------------------ rendering */

/* Variables of one call of a function. */
struct env {
    struct env *parent;
    struct value slots[];
};

struct macro {
    const struct macro_info *info;
    const struct node *node;
    struct env *env;
};

struct recurse {
    const struct node *node;
    struct env *env;
};

/* What a call of something that is written in the template does; in interpret.c. */
struct template_calls {
    struct value (*macro)(struct render *r, const struct macro *m, const struct call *call);
    struct value (*loop)(struct render *r, const struct recurse *to, struct value items,
                         int64_t depth);
    struct value (*block)(struct render *r, const struct block_info *block);
};

struct library;

struct render {
    struct vm *vm;
    const struct tree *tree;
    const struct library *library;
    const struct template_calls *calls;
    struct buffer *out; /* the text, and above it what is captured for a variable */
    struct dict *variables;
    struct dict *exported; /* variables set at the top, where there are blocks to see them */
    struct env *env;
    bool autoescape;
    bool folding;         /* evaluating when compiled: fold.c */
    const char *not_text; /* the type of what stands in the place of a text, or NULL */
    int64_t now;
};

void template_execute(struct render *r);
/* Evaluates an expression. */
struct value evaluate(struct render *r, const struct node *n);
void fill_call(struct render *r, const struct node *n, struct call *call, size_t n_first);
static inline struct value *slot_of(const struct render *r, struct place place)
{
    struct env *env = r->env;

    for (unsigned i = 0; i < place.hops; i++)
        env = env->parent;
    return &env->slots[place.slot];
}

/* ------------------------------------------------------------------ used by filters and methods */

struct value call_value(struct render *r, struct value f, const struct call *call);
struct value call_builtin(struct render *r, const struct builtin *fn, struct value *self,
                          const struct call *call);
/* environment.getattr, getitem */
struct value get_attribute(struct render *r, struct value object, struct text *name);
struct value get_item(struct render *r, struct value object, struct value key);
struct value get_slice(struct render *r, struct value object, const struct slice *slice);
/* An attribute of the object's type: a method, a property. V_MISSING: none. */
struct value type_attribute(struct render *r, struct value object, const struct text *name);
/* The filter attr's of an undefined object. */
struct value undefined_attribute(struct render *r, struct value object, struct text *name);

const struct builtin *find_filter(const struct text *name);
const struct builtin *find_test(const struct text *name);
/* A global's value, V_MISSING: none of that name. */
struct value find_global(const struct text *name);
/* Some type has an attribute of this name: a method or a dunder name. */
bool is_attribute_name(const struct text *name);
/* A filter, a global or an attribute that is not supported. */
bool refused_name(const struct text *name);

struct value op_binary(struct render *r, int op, struct value a, struct value b);
/* A set of what is in a and not in b. */
struct value set_subtract(struct vm *vm, struct value a, struct value b);
struct value op_unary(struct render *r, int op, struct value a);
struct value op_add(struct vm *vm, struct value a, struct value b);

/* '%' of texts, str.format, format(). */
struct value percent_format(struct render *r, struct text *format, struct value args);
struct value str_format(struct render *r, struct text *format, const struct call *call,
                        struct value mapping);
struct text *value_ascii(struct vm *vm, struct value v); /* ascii(v) */
struct text *format_value(struct vm *vm, struct value v, const struct text *spec);

/* Writing JSON. */
struct json_style {
    bool ascii;
    bool sort_keys;
    bool multi_line;
    struct text *indent;
    struct text *item_separator; /* NULL: Python's */
    struct text *key_separator;
};
struct text *json_text(struct vm *vm, struct value v, const struct json_style *style);

/* int(), float() of a text: false where Python raises ValueError. */
bool text_to_int(struct vm *vm, const struct text *s, int base, int64_t *out);
/* float.fromhex; throws E_RUNTIME where it is too large. */
bool text_to_hex_double(struct vm *vm, const struct text *s, double *out);
bool text_to_double(struct vm *vm, const struct text *s, double *out);

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_FOLD, CASE_SWAP, CASE_TITLE, CASE_CAPITALIZE };
/* Keeps a mark of safety. */
struct text *text_in_case(struct vm *vm, const struct text *s, enum letter_case wanted);
/* chars NULL: whitespace */
struct text *text_strip(struct vm *vm, const struct text *s, const struct text *chars, bool left,
                        bool right);
struct text *text_replace(struct vm *vm, const struct text *s, const struct text *old,
                          const struct text *with, int64_t count);
struct list *text_splitlines(struct vm *vm, const struct text *s, bool keep);
struct list *text_split(struct vm *vm, const struct text *s, const struct text *sep, int64_t max);
struct list *text_rsplit(struct vm *vm, const struct text *s, const struct text *sep, int64_t max);
struct text *text_center(struct vm *vm, const struct text *s, int64_t width, uint32_t fill);
struct text *text_join(struct vm *vm, const struct text *sep, struct value items);
bool text_islower(struct vm *vm, const struct text *s);
bool text_isupper(struct vm *vm, const struct text *s);
struct text *text_pprint(struct vm *vm, struct value v);
struct text *text_striptags(struct vm *vm, struct value v);
struct text *text_unescape(struct vm *vm, const struct text *s);
struct value number_round(struct vm *vm, struct value v, int64_t digits);
struct list *list_sorted(struct vm *vm, const struct list *items, const struct list *keys,
                         bool reverse);
struct list *list_sorted_by(struct vm *vm, const struct list *items, const struct list *keys,
                            bool reverse, bool (*is_less)(struct vm *, struct value, struct value));
struct text *text_strftime(struct vm *vm, int64_t now, const struct text *format);
struct text *text_wordwrap(struct vm *vm, const struct text *s, int64_t width, bool break_long,
                           const struct text *wrap, bool hyphens);

#endif
