/* request: a generate request from the settings of a command line or of a batch line. */
#ifndef INF_CLI_REQUEST_H
#define INF_CLI_REQUEST_H

#include "cli/options.h"

#define CHAT_ON_SERVER                                                                             \
    "--chat changes nothing for a server: a prompt is a user message there in any case"

/* `message` is where --chat puts the prompt. Everything is borrowed from the settings. */
int32_t request_fill(inf_request *request, inf_message *message, const struct settings *s,
                     inf_error *err);

/* 0 and less are no time, but for -1: INVALID_ARGUMENT with the field. */
int32_t request_check_time(const char *field, struct maybe_ms time, inf_error *err);

/* The adapters of a request, in its short form when it is one. */
int32_t request_adapters(inf_text *id, inf_maybe_f32 *scale, const inf_request_adapter **list,
                         size_t *n, const struct settings *s, inf_error *err);

#endif
