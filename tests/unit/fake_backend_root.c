/*
 * fake_backend_root: a composition root in place of src/backends.c, for tests of what stands in front of
 * it. vllm is the fake server, llamacpp the fake in process; the others were left out.
 */
#include "fake_backend.h"

const struct provider_ops *backend_ops(int32_t type, const char **hint)
{
    switch (type) {
    case INF_PROVIDER_VLLM:
        return &fake_server_ops;
    case INF_PROVIDER_LLAMACPP:
        return &fake_ops;
    default:
        *hint = "this build has no such provider; configure it with -DFAKE=ON";
        return NULL;
    }
}

int32_t backend_inspect(struct buffer *out, const char *path, const char *base, inf_error *err)
{
    bool ok = buffer_printf(out, "{\"path\": \"%s\", \"base\": \"%s\"}", path, base ? base : "");

    return ok ? INF_OK : error_no_memory(err);
}
