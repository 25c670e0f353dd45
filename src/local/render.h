/* render: from messages or a prompt to the text that is tokenized. */
#ifndef INF_LOCAL_RENDER_H
#define INF_LOCAL_RENDER_H

#include "local/provider.h"
#include "text/output/output_format.h"

/* What a request's text is. */
struct rendered {
    bool add_special;  /* special tokens are to be put around it; a template writes its own */
    bool in_reasoning; /* it ends within reasoning */
    const struct output_format
        *format; /* the template's, which lives as long as the provider; NULL: no chat */
};

/* The text of op's request, appended to out; the model is open. UNSUPPORTED when there is no template for
 * messages, the errors of chat_template_compile and chat_template_render, CANCELLED and TIMEOUT. */
int32_t render_request(struct local_provider *p, inf_op *op, struct buffer *out,
                       struct rendered *rendered, inf_error *err);

/* The tools of a chat as JSON, borrowed: those given, else those among the template's variables, else beside the
 * messages. Absent: none. */
inf_text chat_tools(inf_text given, inf_text variables, inf_text messages);

#endif
