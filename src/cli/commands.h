/* commands: what each of the command's commands does. Each returns the exit code. */
#ifndef INF_CLI_COMMANDS_H
#define INF_CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/session.h"

int command_generate(const struct command *command, int argc, char **argv);
int command_adapters(const struct command *command, int argc, char **argv);
int command_inspect(const struct command *command, int argc, char **argv);
int command_tokenize(const struct command *command, int argc, char **argv);
int command_detokenize(const struct command *command, int argc, char **argv);
int command_render(const struct command *command, int argc, char **argv);
int command_logits(const struct command *command, int argc, char **argv);

/* generate --batch, with the adapters loaded. */
int32_t run_batch(struct session *session, const struct settings *s, inf_error *err);

#endif
