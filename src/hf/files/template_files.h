/*
 * template_files: a checkpoint's chat template: chat_template.jinja, else a template named "default" in
 * additional_chat_templates/, else what tokenizer_config.json has, as transformers 5 looks for it. (A
 * folder additional_chat_templates makes it forget the one of tokenizer_config.json.)
 */
#ifndef INF_HF_FILES_TEMPLATE_FILES_H
#define INF_HF_FILES_TEMPLATE_FILES_H

#include "core/buffer.h"
#include "core/error.h"

/* Into an empty buffer, which stays empty when there is none. IO, BAD_FORMAT, NO_MEMORY. */
int32_t chat_template_read(struct buffer *out, const char *dir, inf_error *err);

#endif
