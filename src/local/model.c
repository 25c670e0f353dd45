/* model: see the header. */
#include "local/model.h"

int32_t model_changed(const char *path, inf_error *err)
{
    return error_set(err, INF_ERROR_STATE,
                     "%s changed since it was first read; evict this provider and get it again",
                     path);
}

int32_t window_check(int32_t window, const char *of, size_t n, int32_t n_new, inf_error *err)
{
    int32_t room = window - n_new;
    const char *beside = n_new > 0 ? " and an answer" : "";

    if (n <= (size_t)room)
        return INF_OK;
    if (of)
        return error_set_detail(
            err, INF_ERROR_CONTEXT_FULL, (int64_t)n,
            "the prompt has %zu tokens and the model's %d %s have room for %d%s; "
            "shorten the prompt",
            n, window, of, room, beside);
    return error_set_detail(err, INF_ERROR_CONTEXT_FULL, (int64_t)n,
                            "the prompt has %zu tokens and the window n_ctx %d has room for %d%s; "
                            "shorten the prompt or raise n_ctx",
                            n, window, room, beside);
}
