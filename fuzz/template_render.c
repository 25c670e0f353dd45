/*
 * Fuzz target: a template and its data. The input is a template, or a template, a NUL byte and an
 * object of variables as JSON. Whatever it is, there is text or an error, in bounded time; and what
 * is rendered twice is the same.
 */
#include "text/template/template.h"
#include "text/template/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char default_variables[] =
    "{\"s\":\"Grüße <b>\",\"l\":[3,1,2.5,null,true],\"d\":{\"b\":1,\"A\":[\"x\"],\"c\":null},"
    "\"m\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null}],"
    "\"f\":48.137154,\"i\":-7,\"e\":\"\"}";

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void fill(struct vm *vm, struct dict *variables, void *arg)
{
    const inf_text *json = arg;
    struct value all = json_parse(vm, json->data, json->len, "variables");

    if (all.type != V_DICT)
        vm_throw(vm, E_ARGUMENT, "no object");
    for (size_t i = 0; i < all.d->len; i++)
        dict_set(vm, variables, all.d->entries[i].key, all.d->entries[i].value);
}

static int32_t render(const struct template *t, inf_text variables, struct buffer *out)
{
    struct template_input input = {.fill = fill, .arg = &variables, .now = 1750000000};
    inf_error err = {0};
    int32_t code;

    buffer_init(out, BUFFER_NO_LIMIT);
    code = template_render(t, &input, out, &err);
    expect(code == INF_OK || code == INF_ERROR_TEMPLATE || code == INF_ERROR_INVALID_ARGUMENT);
    expect(code == INF_OK || (code == err.code && err.message[0] != '\0' && out->len == 0));
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    inf_text source = {(const char *)data, cut ? (size_t)(cut - data) : size};
    inf_text variables = {default_variables, sizeof default_variables - 1};
    struct template *t = NULL;
    struct buffer first;
    struct buffer second;
    inf_error err = {0};

    if (cut)
        variables = (inf_text){(const char *)cut + 1, size - source.len - 1};
    if (template_compile(&t, source, &err) != INF_OK) {
        expect(!t && err.code == INF_ERROR_TEMPLATE && err.message[0] != '\0');
        return 0;
    }
    if (render(t, variables, &first) == INF_OK) {
        if (render(t, variables, &second) == INF_OK) /* else its time was up */
            expect(first.len == second.len &&
                   (first.len == 0 || memcmp(first.data, second.data, first.len) == 0));
        buffer_free(&second);
    }
    buffer_free(&first);
    template_free(t);
    return 0;
}
