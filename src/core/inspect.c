/* inspect: see the header. */
#include "core/inspect.h"

#include "core/json_dump.h"
#include "core/provider.h"

bool inspect_is_misfit(int32_t code)
{
    return code == INF_ERROR_MISMATCH || code == INF_ERROR_UNSUPPORTED ||
           code == INF_ERROR_NOT_FINITE;
}

/* The row that the path tells, else the first in process: it says what is wrong with the path. */
static int32_t find_row(const struct provider_ops **out, const char *path, inf_error *err)
{
    const struct provider_ops *row = provider_row_of_model(path);

    for (size_t i = 0; !row && backends[i]; i++)
        if (backends[i]->in_process)
            row = backends[i];
    *out = row;
    if (row && row->inspect)
        return INF_OK;
    return error_set(err, INF_ERROR_UNSUPPORTED, "cannot inspect %s: %s", path,
                     row && row->missing ? row->missing : "no provider of this build reads files");
}

/* Puts "fits" and "reason" at the end of the object in out; nothing there: an adapter that is refused whatever
 * the base. */
static int32_t add_fit(struct buffer *out, const char *format, const inf_error *misfit,
                       inf_error *err)
{
    json_t *object = out->len ? json_loadb(out->data, out->len, JSON_ALLOW_NUL, NULL)
                              : json_pack("{s:s, s:s}", "kind", "adapter", "format", format);

    buffer_clear(out);
    if (object) {
        json_object_set_new(object, "fits", json_boolean(misfit->code == INF_OK));
        if (misfit->code != INF_OK)
            json_object_set_new(object, "reason", json_string(misfit->message));
    }
    return json_dump(out, object, err);
}

/* code: of describing the adapter, err its error. */
static int32_t hold_against(struct buffer *out, const char *format, const char *path,
                            const char *base, int32_t code, inf_error *err)
{
    const struct provider_ops *row = NULL;
    inf_error misfit = {0};

    if (inspect_is_misfit(code)) {
        misfit = *err;
        buffer_clear(out);
        code = error_none(err);
    } else if (code == INF_OK) {
        code = find_row(&row, base, err);
        if (code == INF_OK)
            code = row->check_fit(base, path, &misfit, err);
    }
    return code == INF_OK ? add_fit(out, format, &misfit, err) : code;
}

int32_t inspect_path(struct buffer *out, const char *path, const char *base, inf_error *err)
{
    const struct provider_ops *row = NULL;
    const char *format = NULL;
    int32_t code = find_row(&row, path, err);

    if (code == INF_OK)
        code = row->inspect(out, &format, path, err);
    if (base && format)
        code = hold_against(out, format, path, base, code, err);
    else if (base && code == INF_OK)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s is a model, not an adapter; only an adapter is held against a base",
                         path);
    if (code != INF_OK)
        buffer_clear(out);
    return code;
}
