/*
 * lookup: see the header. Two tables lead from a hash of the last tokens, a few or very few, to where
 * they stood last, and from there to where they stood before.
 */
#include "local/lookup.h"

#include "core/growing.h"

#include <string.h>

enum {
    TABLES = 2,
    LOOKS = 16,   /* places of a table that are compared at most */
    LONGEST = 32, /* tokens that are compared at most */
    LEAST_HEADS = 256,
    MOST_HEADS = 65536,
    MOST_TOKENS = INT32_MAX / 2
};
#define END (-1) /* of the reference; no token */

/* Tokens that a table's hash is made of: the surer one is asked first. */
static const int32_t key_length[TABLES] = {4, 2};

/* Of drafted tokens behind matches of at least so many tokens, how many came true; the past fades. */
struct odds {
    int32_t length;
    double right, all;
};
enum { KINDS = 4 };
static const struct odds first_odds[KINDS] = {{2, 1, 4}, {4, 2, 4}, {8, 3, 4}, {16, 3.6, 4}};
#define FADING 0.97

struct lookup {
    int32_t *tokens; /* (n) the reference, END, the text */
    size_t capacity;
    int32_t n, begin;        /* begin: of the text */
    int32_t *heads[TABLES];  /* (n_heads) the last place of a hash, 0: none */
    int32_t *before[TABLES]; /* (n) of a place, the one before it */
    size_t before_capacity[TABLES];
    uint32_t n_heads; /* a power of two */

    int32_t at;     /* of the token that is expected next; -1: to be looked up */
    int32_t length; /* tokens before it that are the text's last */
    struct odds odds[KINDS];
};

/* ------------------------------------------------------------------ the tables */

/* A place is a number of tokens; its hash is that of the last ones among them. */
static uint32_t hash(const struct lookup *l, int32_t place, int32_t length)
{
    uint32_t sum = 0;

    for (int32_t i = place - length; i < place; i++)
        sum = (sum ^ (uint32_t)l->tokens[i]) * 0x9E3779B1u;
    return (sum ^ sum >> 15) & (l->n_heads - 1);
}

static void remember(struct lookup *l, int32_t table, int32_t place)
{
    int32_t *head = NULL;

    if (place < key_length[table])
        return;
    head = &l->heads[table][hash(l, place, key_length[table])];
    l->before[table][place] = *head;
    *head = place;
}

/* As many heads as there are tokens, or more, and all places anew. */
static bool make_heads(struct lookup *l)
{
    uint32_t n = l->n_heads;

    while (n < MOST_HEADS && n <= (uint32_t)l->n)
        n *= 2;
    for (int32_t i = 0; i < TABLES; i++) {
        int32_t *heads = mem_calloc(n, sizeof *heads);

        if (!heads)
            return false;
        mem_free(l->heads[i]);
        l->heads[i] = heads;
    }
    l->n_heads = n;
    for (int32_t i = 0; i < TABLES; i++)
        for (int32_t place = 1; place <= l->n; place++)
            remember(l, i, place);
    return true;
}

static bool append(struct lookup *l, int32_t token)
{
    bool ok = l->n < MOST_TOKENS && GROW(l->tokens, l->capacity, (size_t)l->n + 1);

    for (int32_t i = 0; i < TABLES && ok; i++)
        ok = GROW(l->before[i], l->before_capacity[i], (size_t)l->n + 2);
    if (!ok)
        return false;
    l->tokens[l->n++] = token;
    if (l->n_heads < MOST_HEADS && (uint32_t)l->n >= l->n_heads)
        return make_heads(l);
    for (int32_t i = 0; i < TABLES; i++)
        remember(l, i, l->n);
    return true;
}

struct lookup *lookup_create(const int32_t *reference, int32_t n)
{
    struct lookup *l = mem_calloc(1, sizeof *l);
    bool ok = false;

    if (!l)
        return NULL;
    l->at = -1;
    memcpy(l->odds, first_odds, sizeof l->odds);
    l->n_heads = LEAST_HEADS;
    ok = make_heads(l);
    for (int32_t i = 0; i < n && ok; i++)
        ok = append(l, reference[i]);
    if (n > 0)
        ok = ok && append(l, END);
    l->begin = l->n;
    if (ok)
        return l;
    lookup_free(l);
    return NULL;
}

void lookup_free(struct lookup *l)
{
    if (!l)
        return;
    for (int32_t i = 0; i < TABLES; i++) {
        mem_free(l->heads[i]);
        mem_free(l->before[i]);
    }
    mem_free(l->tokens);
    mem_free(l);
}

/* ------------------------------------------------------------------ looking up */

/* How many tokens before a place are the text's last ones. */
static int32_t agreeing(const struct lookup *l, int32_t place)
{
    int32_t most = l->n - l->begin < LONGEST ? l->n - l->begin : LONGEST;
    int32_t n = 0;

    while (n < most && n < place && l->tokens[place - 1 - n] == l->tokens[l->n - 1 - n])
        n++;
    return n;
}

static void look(struct lookup *l, int32_t table)
{
    int32_t place = 0;

    if (l->n - l->begin < key_length[table])
        return;
    place = l->before[table][l->n];
    for (int32_t looks = 0; place > 0 && looks < LOOKS && l->length < LONGEST; looks++) {
        int32_t length = agreeing(l, place);

        if (length >= key_length[table] && length > l->length && l->tokens[place] != END) {
            l->at = place;
            l->length = length;
        }
        place = l->before[table][place];
    }
}

static void expect(struct lookup *l)
{
    if (l->at >= 0 && l->tokens[l->at] != END)
        return;
    l->at = -1;
    l->length = 0;
    for (int32_t i = 0; i < TABLES && l->at < 0; i++)
        look(l, i);
}

/* What is drafted may go on from its own beginning: a text that repeats itself. */
int32_t lookup_draft(struct lookup *l, int32_t *out, int32_t most)
{
    int32_t n = 0;

    expect(l);
    for (; l->at >= 0 && n < most; n++) {
        int32_t place = l->at + n;
        int32_t token = place < l->n ? l->tokens[place] : out[place - l->n];

        if (token == END)
            break;
        out[n] = token;
    }
    return n;
}

/* ------------------------------------------------------------------ what came true */

static int32_t kind_of(int32_t length)
{
    int32_t kind = KINDS - 1;

    while (kind > 0 && length < first_odds[kind].length)
        kind--;
    return kind;
}

double lookup_chance(const struct lookup *l, int32_t i)
{
    const struct odds *odds = &l->odds[kind_of(l->length + i)];

    return odds->right / odds->all;
}

static void count(struct lookup *l, bool right)
{
    struct odds *odds = &l->odds[kind_of(l->length)];

    odds->right = odds->right * FADING + right;
    odds->all = odds->all * FADING + 1;
}

/* The match goes on, or it has to be looked for anew. */
static void follow(struct lookup *l, int32_t token)
{
    bool right = l->tokens[l->at] == token;

    count(l, right);
    l->at = right ? l->at + 1 : -1;
    l->length++;
}

bool lookup_add(struct lookup *l, int32_t token, bool generated)
{
    if (generated)
        expect(l);
    if (generated && l->at >= 0)
        follow(l, token);
    else
        l->at = -1;
    return append(l, token);
}
