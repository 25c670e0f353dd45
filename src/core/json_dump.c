/* json_dump: see the header. */
#include "core/json_dump.h"

#include <stdlib.h>

int32_t json_dump(struct buffer *out, json_t *value, inf_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    bool ok = text && buffer_append_str(out, text);

    free(text); /* jansson's allocation */
    json_decref(value);
    return ok ? INF_OK : error_no_memory(err);
}
