/* call_pieces: see the header. */
#include "call_pieces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* More of a member, which is "" at first. */
static void add_text(json_t *object, const char *key, inf_text more)
{
    const json_t *so_far = json_object_get(object, key);
    size_t n = json_string_length(so_far);
    char *all = malloc(n + more.len + 1);

    assert_non_null(all);
    if (n)
        memcpy(all, json_string_value(so_far), n);
    if (more.len)
        memcpy(all + n, more.data, more.len);
    json_object_set_new(object, key, json_stringn_nocheck(all, n + more.len));
    free(all);
}

void call_pieces_add(json_t *calls, const inf_tool_call_delta *piece)
{
    json_t *call = json_array_get(calls, (size_t)piece->index);

    if (!call) { /* calls begin in order */
        assert_int_equal(piece->index, json_array_size(calls));
        call = json_pack("{s:s,s:s,s:{}}", "id", "", "type", "function", "function");
        json_array_append_new(calls, call);
    }
    add_text(call, "id", piece->id);
    add_text(json_object_get(call, "function"), "name", piece->name);
    add_text(json_object_get(call, "function"), "arguments", piece->arguments);
}
