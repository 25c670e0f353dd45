/* commands: what each of the command's commands does, and what it wants of its command line. */
#ifndef INF_CLI_COMMANDS_H
#define INF_CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/session.h"

void run_generate(struct session *session, struct settings *s, inf_error *err);
void run_adapters(struct session *session, struct settings *s, inf_error *err);
void run_inspect(struct session *session, struct settings *s, inf_error *err);
void run_tokenize(struct session *session, struct settings *s, inf_error *err);
void run_detokenize(struct session *session, struct settings *s, inf_error *err);
void run_render(struct session *session, struct settings *s, inf_error *err);
void run_logits(struct session *session, struct settings *s, inf_error *err);

int check_generate(const struct command *command, const struct settings *s);
int check_adapters(const struct command *command, const struct settings *s);
int check_inspect(const struct command *command, const struct settings *s);
int check_text(const struct command *command, const struct settings *s);
int check_logits(const struct command *command, const struct settings *s);

/* generate --batch, with the adapters loaded. */
int32_t run_batch(struct session *session, const struct settings *s, inf_error *err);

#endif
