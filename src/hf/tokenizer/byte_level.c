/*
 * byte_level: see the header. Bytes that are printable in Latin-1 stand for themselves; the others,
 * in their order, are U+0100, U+0101, ...
 */
#include "hf/tokenizer/byte_level.h"

#include "core/utf8.h"

/* 0x00 to 0x20 (33 of them), 0x7f to 0xa0 (34), 0xad. */
uint32_t byte_level_char(uint8_t byte)
{
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte >= 0x7f && byte <= 0xa0)
        return 0x100u + 33 + byte - 0x7fu;
    return byte == 0xad ? 0x100u + 67 : byte;
}

int byte_level_byte(uint32_t c)
{
    if (c < 0x100)
        return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad ? -1 : (int)c;
    c -= 0x100;
    if (c < 33)
        return (int)c;
    return c < 67 ? (int)(c - 33 + 0x7f) : c == 67 ? 0xad : -1;
}

size_t byte_level_read(char *out, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0, width = 0; i < len; i += width, n++) {
        int byte = -1;

        width = utf8_sequence(text + i, len - i);
        if (width > 0)
            byte = byte_level_byte(utf8_decode(text + i, width));
        if (byte < 0)
            return SIZE_MAX;
        out[n] = (char)byte;
    }
    return n;
}

bool byte_level_write(struct buffer *out, const char *bytes, size_t n)
{
    if (!buffer_reserve(out, 2 * n))
        return false;
    for (size_t i = 0; i < n; i++)
        out->len += utf8_encode(out->data + out->len, byte_level_char((uint8_t)bytes[i]));
    if (out->data)
        out->data[out->len] = '\0';
    return true;
}
