/*
 * schema_texts: what the grammar of a JSON schema takes, without a model, for json_schema.py. A line on
 * standard input asks, a line on standard output answers:
 *
 *   S<schema>   compiles it         -> "G", or "R <why it is refused>"
 *   T<text>     matches the last    -> "yes", "unfinished", "no", or "-" without one
 *   W<seed>     a random text of it -> the text; "cut" after too many bytes; "stuck <text>", which never
 *                                      should be
 */
#include "text/constraint/grammar_matcher.h"
#include "text/constraint/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { LONGEST = 4000 };

static const char *match(const struct grammar *g, const char *text, size_t n)
{
    struct grammar_matcher *m = grammar_matcher_create(g);
    const char *answer = "no";
    size_t i = 0;

    while (m && i < n && grammar_matcher_accept(m, -1, text + i, 1))
        i++;
    if (m && i == n)
        answer = grammar_matcher_may_end(m) ? "yes" : "unfinished";
    grammar_matcher_free(m);
    return answer;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

/* The longer the text, the more what closes something is preferred. */
static uint64_t weight_of(unsigned byte, size_t len)
{
    if (byte >= 0x80 || byte == '\\')
        return 2;
    if (strchr("\"}]", (int)byte) && byte)
        return 8 + len;
    if (byte == ' ' || byte == '\n' || byte == '\t')
        return 1;
    return byte == '{' || byte == '[' ? 4 : 8;
}

/* 256: the end. */
static unsigned choose(const struct grammar_matcher *m, size_t len, uint64_t *random)
{
    uint64_t may[4];
    uint64_t total = grammar_matcher_may_end(m) ? 8 + len : 0;
    uint64_t at = 0;

    grammar_matcher_next_bytes(m, may);
    for (unsigned b = 0; b < 256; b++)
        if (may[b / 64] >> b % 64 & 1)
            total += weight_of(b, len);
    at = total ? next_random(random) % total : 0;
    for (unsigned b = 0; b < 256; b++) {
        uint64_t weight = may[b / 64] >> b % 64 & 1 ? weight_of(b, len) : 0;

        if (at < weight)
            return b;
        at -= weight;
    }
    return 256;
}

static void walk(const struct grammar *g, uint64_t seed)
{
    struct grammar_matcher *m = grammar_matcher_create(g);
    uint64_t random = seed * 2654435761u + 88172645463325252u;
    char text[LONGEST + 1];
    size_t len = 0;

    while (m && len < LONGEST) {
        unsigned byte = choose(m, len, &random);
        char c = (char)byte;

        if (byte == 256 && grammar_matcher_may_end(m))
            break;
        if (byte == 256 || !grammar_matcher_accept(m, -1, &c, 1)) {
            printf("stuck ");
            break;
        }
        text[len++] = c == '\n' ? ' ' : c; /* an answer is a line; within a text \n is an escape */
    }
    text[len] = '\0';
    puts(len == LONGEST ? "cut" : text);
    grammar_matcher_free(m);
}

int main(void)
{
    struct grammar *g = NULL;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = 0;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        size_t len = (size_t)n - (line[n - 1] == '\n') - 1;
        inf_error err = {0};

        if (line[0] == 'S') {
            grammar_free(g);
            if (json_schema_compile(&g, (inf_text){line + 1, len}, &err) == INF_OK)
                puts("G");
            else
                printf("R %s\n", err.message);
        } else if (!g) {
            puts("-");
        } else if (line[0] == 'T') {
            puts(match(g, line + 1, len));
        } else {
            walk(g, strtoull(line + 1, NULL, 10));
        }
        fflush(stdout);
    }
    grammar_free(g);
    free(line);
    return 0;
}
