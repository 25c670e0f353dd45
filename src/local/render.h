/* render: from messages or a prompt to the text that is tokenized. */
#ifndef INF_LOCAL_RENDER_H
#define INF_LOCAL_RENDER_H

#include "local/provider.h"

/* The text of op's request, appended to out; the model is open. *add_special: special tokens are to be
 * put around it (a template writes its own). UNSUPPORTED when there is no template for messages, the
 * errors of chat_template_compile and chat_template_render, CANCELLED and TIMEOUT. */
int32_t render_request(struct local_provider *p, inf_op *op, struct buffer *out, bool *add_special,
                       inf_error *err);

#endif
