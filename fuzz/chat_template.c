/*
 * Fuzz target: a chat template compiled and rendered. The input is a template, or a template, a NUL
 * byte and the messages as JSON. Whatever it is, there is text or an error, in bounded time.
 */
#include "text/chat_template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct chat_token TOKENS[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

static const char default_messages[] =
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"user\",\"content\":\"Hello\\nthere \\u00e9\"},"
    "{\"role\":\"assistant\",\"content\":\"Hi\",\"n\":1,\"list\":[1,2.5,null,true]},"
    "{\"role\":\"user\",\"content\":\"Bye\"}]";

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void render(const struct chat_template *t, inf_text messages)
{
    struct chat_input input = {.messages_json = messages, .add_generation_prompt = true};
    struct buffer out;
    inf_error err = {0};
    int32_t code = INF_OK;

    buffer_init(&out, BUFFER_NO_LIMIT);
    code = chat_template_render(t, &input, &out, &err);
    expect(code == INF_OK || (code == err.code && err.message[0] != '\0' && out.len == 0));
    expect(code == INF_OK || code == INF_ERROR_TEMPLATE || code == INF_ERROR_INVALID_ARGUMENT ||
           code == INF_ERROR_UNSUPPORTED);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0, size) : NULL;
    inf_text source = {(const char *)data, cut ? (size_t)(cut - data) : size};
    inf_text messages = {default_messages, sizeof default_messages - 1};
    struct chat_template *t = NULL;
    inf_error err = {0};
    int32_t code = INF_OK;

    if (cut)
        messages = (inf_text){(const char *)cut + 1, size - source.len - 1};
    code = chat_template_compile(&t, source, TOKENS, 2, &err);
    expect(code == INF_OK ? t != NULL : !t && code == INF_ERROR_TEMPLATE);
    if (t)
        render(t, messages);
    chat_template_free(t);
    return 0;
}
