/*
 * libFuzzer target: a tokenizer.json of any bytes, and behind the first NUL byte a text for it. What is
 * accepted must encode or say why not; decoding must be well-formed and the same token for token.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const inf_error *err)
{
    if (err->code == INF_OK || err->message[0] == '\0' || strchr(err->message, '\n'))
        abort();
}

static void decode(struct hf_tokenizer *t, const int32_t *ids, size_t n, bool skip)
{
    struct hf_decoder *d = hf_decoder_create(t, skip);
    struct buffer whole, parts;
    inf_error err = {0};

    buffer_init(&whole, BUFFER_NO_LIMIT);
    buffer_init(&parts, BUFFER_NO_LIMIT);
    if (!d || hf_tokenizer_decode(t, ids, n, skip, &whole, &err) != INF_OK)
        abort();
    for (size_t i = 0; i <= n; i++) {
        size_t before = parts.len;

        if (i < n ? !hf_decoder_push(d, ids[i], &parts) : !hf_decoder_finish(d, &parts))
            abort();
        if (!utf8_valid(parts.data ? parts.data + before : "", parts.len - before))
            abort();
    }
    if (parts.len != whole.len || (whole.len && memcmp(parts.data, whole.data, whole.len) != 0))
        abort();
    hf_decoder_free(d);
    buffer_free(&whole);
    buffer_free(&parts);
}

static void encode(struct hf_tokenizer *t, inf_text text, bool special)
{
    int32_t *ids = NULL, n = 0;
    inf_error err = {0};

    if (hf_tokenizer_encode(t, text, special, special, &ids, &n, &err) != INF_OK) {
        check_error(&err);
        return;
    }
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < 0)
            abort();
    decode(t, ids, (size_t)n, special);
    mem_free(ids);
}

static void all_tokens(struct hf_tokenizer *t)
{
    int32_t ids[64];
    struct buffer out;

    buffer_init(&out, BUFFER_NO_LIMIT);
    for (int32_t i = 0; i < 64; i++) {
        ids[i] = i - 2;
        if (!hf_tokenizer_token_text(t, ids[i], &out))
            abort();
    }
    buffer_free(&out);
    decode(t, ids, 64, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *begin = (const char *)data;
    const char *end = size ? memchr(begin, '\0', size) : NULL;
    size_t n = end ? (size_t)(end - begin) : size;
    char *json = malloc(n + 1);
    struct hf_tokenizer_files files = {.json = json,
                                       .len = n,
                                       .names = {"tokenizer.json", "tokenizer_config.json",
                                                 "special_tokens_map.json", "added_tokens.json"}};
    inf_text text = {end ? end + 1 : "", end ? size - n - 1 : 0};
    struct hf_tokenizer *t = NULL;
    inf_error err = {0};

    if (!json)
        abort();
    if (n)
        memcpy(json, begin, n);
    if (hf_tokenizer_parse(&t, &files, &err) == INF_OK) {
        encode(t, text, true);
        encode(t, text, false);
        all_tokens(t);
    } else {
        check_error(&err);
    }
    hf_tokenizer_free(t);
    free(json);
    return 0;
}
