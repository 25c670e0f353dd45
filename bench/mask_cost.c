/*
 * mask_cost: what a constraint costs a step, without a model's compute: the mask over a real vocabulary at
 * each byte of a text that follows a JSON schema, the look at one token, taking one, and compiling.
 *
 *     mask_cost MODEL.gguf      prints a line of JSON for each schema; microseconds
 */
#include "core/clock.h"
#include "engine/guard.h"
#include "engine/llama_tokenizer.h"
#include "local/constraint.h"
#include "text/constraint/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 15, LONGEST = 4096 };

static struct tokenizer tokenizer;
static struct token_texts *texts;
static float *logits;
static int32_t of_byte[256];

static void fail(const char *why)
{
    fprintf(stderr, "mask_cost: %s\n", why);
    exit(1);
}

static void load(const char *path)
{
    struct llama_model_params params = llama_model_default_params();
    struct llama_model *model = NULL;
    inf_error err;
    int64_t before = 0;

    guard_start();
    params.vocab_only = true;
    model = guard_load_model(path, params, &err);
    if (!model)
        fail(err.message);
    llama_tokenizer_describe(model, &tokenizer);
    before = clock_us();
    texts = token_texts_create(&tokenizer);
    if (!texts)
        fail("out of memory");
    printf("{\"vocabulary\":%d,\"prepared_us\":%lld,\"nodes\":%zu}\n", (int)texts->n_vocab,
           (long long)(clock_us() - before), texts->all.n_nodes);
    for (int32_t i = 0; i < texts->n_vocab; i++)
        if (texts->by_id[i].len == 1)
            of_byte[(unsigned char)texts->by_id[i].text[0]] = i;
    logits = calloc((size_t)texts->n_vocab, sizeof *logits);
    if (!logits)
        fail("out of memory");
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The median of some masks. */
static int64_t mask_ns(struct sampling_constraint *c)
{
    int64_t times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int64_t before = clock_us();

        for (int k = 0; k < 4; k++)
            c->apply(c->state, logits, texts->n_vocab);
        times[i] = (clock_us() - before) * 250;
    }
    qsort(times, ROUNDS, sizeof *times, by_size);
    return times[ROUNDS / 2];
}

/* At every byte of the text. */
static void measure(const char *name, const char *schema, const char *text)
{
    static int64_t times[LONGEST];
    struct sampling_constraint c;
    struct grammar *grammar = NULL;
    inf_error err;
    int64_t before = clock_us();
    int64_t compiled = 0;
    int64_t total = 0;
    size_t n = strlen(text);

    if (json_schema_compile(&grammar, inf_str(schema), &err) != INF_OK)
        fail(err.message);
    compiled = clock_us() - before;
    if (constraint_create(&c, texts, grammar, &err) != INF_OK)
        fail(err.message);
    for (size_t i = 0; i < n; i++) {
        times[i] = mask_ns(&c);
        total += times[i];
        if (!c.accept(c.state, of_byte[(unsigned char)text[i]]))
            fail(text + i);
    }
    qsort(times, n, sizeof *times, by_size);
    printf("{\"schema\":\"%s\",\"compile_us\":%lld,\"mask_us\":{\"mean\":%.1f,\"median\":%.1f,"
           "\"most\":%.1f}}\n",
           name, (long long)compiled, (double)total / (double)n / 1000, (double)times[n / 2] / 1000,
           (double)times[n - 1] / 1000);
    c.destroy(c.state);
}

static char *wide(const char *before, int n)
{
    char *schema = malloc(200 + 64 * (size_t)n);
    size_t at = 0;

    if (!schema)
        fail("out of memory");
    at = (size_t)sprintf(schema, "{%s\"type\":\"object\",\"properties\":{", before);
    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(schema + at, "%s\"property_%d\":{\"type\":\"integer\"}", i ? "," : "",
                              i);
    strcpy(schema + at, "}}");
    return schema;
}

int main(int argc, char **argv)
{
    static const char person[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
                                 "\"string\"},\"age\":{\"type\":\"integer\"},"
                                 "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},"
                                 "\"required\":[\"name\",\"age\"]}";
    char *many = wide("", 128);
    char *any = wide("\"x-order\":\"any\",", 128);

    if (argc != 2)
        fail("MODEL.gguf expected");
    load(argv[1]);
    measure(
        "plain object", person,
        "{\"name\": \"Ada Lovelace, born in London\", \"age\": 36, \"tags\": [\"poet\", \"x\"]}");
    measure("128 optional properties", many,
            "{\"property_3\": 12, \"property_40\": 7, \"property_127\": 0}");
    measure("128 in any order", any,
            "{\"property_40\": 12, \"property_3\": 7, \"property_127\": 0}");
    measure("a pattern", "{\"type\":\"string\",\"pattern\":\"^[A-Z][a-z]+( [A-Z][a-z]+)*$\"}",
            "\"Ada Lovelace\"");
    measure("a length of 20 to 200", "{\"type\":\"string\",\"minLength\":20,\"maxLength\":200}",
            "\"It was a dark and stormy night; the rain fell\"");
    measure("any JSON", "{}", "{\"a\": [1, 2.5, true, null, \"text\"], \"b\": {}}");
    free(many);
    free(any);
    return 0;
}
