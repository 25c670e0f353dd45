/* pattern_parts: what the files of a pattern share: pattern_parse.c makes nodes, pattern.c a program of
 * them, which it runs. Not for others. */
#ifndef INF_HF_FILES_PATTERN_PARTS_H
#define INF_HF_FILES_PATTERN_PARTS_H

#include "core/ascii.h"
#include "hf/files/pattern.h"

enum {
    MAX_DEPTH = 64,      /* of groups in each other */
    MAX_LOOK = 3,        /* of lookaheads in each other */
    MAX_PROGRAM = 16384, /* instructions */
    MAX_EMITTED = 4 * MAX_PROGRAM,
    MAX_COUNT = 1000, /* in {m,n} */
    UNBOUNDED = -1
};

enum node_type { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_ALT, NODE_REPEAT, NODE_AT, NODE_LOOK };
enum at_type { AT_START, AT_END, AT_DOLLAR, AT_WORD, AT_NOT_WORD };

/* One node of the parsed pattern; CAT and ALT are lists chained through `next`. */
struct node {
    int32_t type;     /* enum node_type */
    int32_t first;    /* child */
    int32_t next;     /* rest of the list, -1 at its end */
    int32_t min, max; /* REPEAT; max may be UNBOUNDED */
    int32_t detail;   /* SET: index; AT: enum at_type; LOOK: 1 when negative */
};

struct set {
    uint32_t bits[8];
};

enum opcode { OP_SET, OP_AT, OP_SPLIT, OP_JUMP, OP_LOOK, OP_MATCH };

struct instruction {
    int32_t op;     /* enum opcode */
    int32_t x, y;   /* SPLIT: both ways; JUMP: y; LOOK: x its program, y what follows */
    int32_t detail; /* as the node's */
};

/* The states alive at one position, and the stack that finds them. */
struct walk {
    int32_t *now, *then; /* program counters */
    int32_t *stack;
    uint32_t *seen; /* per instruction: the mark of the position it was added at */
    uint32_t mark;
};

struct pattern {
    struct node *nodes;
    int32_t n_nodes, n_sets, n_program;
    size_t cap_nodes, cap_sets, cap_program;
    struct set *sets;
    struct instruction *program;
    struct walk walks[MAX_LOOK + 1];
    int32_t *scratch; /* of the walks */
};

struct parser {
    struct pattern *p;
    const char *text, *end, *start;
    int32_t depth, looks;
    int32_t emitted; /* nodes so far: a repetition of nothing makes no program, but takes time */
    int32_t code;    /* the first error */
    inf_error *err;
};

static inline bool pattern_set_has(const struct set *set, unsigned char c)
{
    return set->bits[c / 32] >> (c % 32) & 1;
}

static inline bool pattern_is_word(unsigned char c)
{
    return is_letter((char)c) || is_digit((char)c) || c == '_';
}

/* The first error stays; -1. */
int32_t pattern_fail(struct parser *s, int32_t code, const char *what);
int32_t pattern_no_memory(struct parser *s);
/* The whole text's node; -1 with the error set. */
int32_t pattern_parse(struct parser *s);

#endif
