/*
 * template_files: a checkpoint's chat templates: chat_template.jinja, else a template named "default" in
 * additional_chat_templates/, else what tokenizer_config.json has, as transformers 5 looks for it. (A
 * folder additional_chat_templates makes it forget those of tokenizer_config.json.) One named "tool_use"
 * beside it is for chats with tools.
 */
#ifndef INF_HF_FILES_TEMPLATE_FILES_H
#define INF_HF_FILES_TEMPLATE_FILES_H

#include "core/buffer.h"
#include "core/error.h"

/* Into empty buffers, which stay empty when there is none. IO, BAD_FORMAT, NO_MEMORY. */
int32_t chat_templates_read(struct buffer *out, struct buffer *for_tools, const char *dir,
                            inf_error *err);

#endif
