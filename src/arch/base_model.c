/* base_model: see the header. */
#include "arch/base_model.h"

#include "core/file.h"

static int32_t open_checkpoint(struct base_model *out, const char *dir, inf_error *err)
{
    int32_t code = checkpoint_open(&out->checkpoint, dir, WEIGHT_TYPE_AUTO, err);

    if (code == INF_OK)
        out->model = out->checkpoint->model;
    return code;
}

static int32_t open_file(struct base_model *out, const char *path, inf_error *err)
{
    int32_t code = gguf_file_open(&out->file, path, err);

    if (code != INF_OK)
        return code;
    code = gguf_model_check(&out->model, out->file, err);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", path);
}

int32_t base_model_open(struct base_model *out, const char *path, inf_error *err)
{
    int32_t code = INF_OK;

    *out = (struct base_model){.file = NULL};
    code = is_directory(path) ? open_checkpoint(out, path, err) : open_file(out, path, err);
    if (code != INF_OK)
        base_model_close(out);
    return code;
}

void base_model_close(struct base_model *b)
{
    gguf_file_close(b->file);
    checkpoint_close(b->checkpoint);
    *b = (struct base_model){.file = NULL};
}
