/* message: the command's own errors, one line each. */
#ifndef INF_CLI_MESSAGE_H
#define INF_CLI_MESSAGE_H

#include <inference/inference.h>

/* Controls become spaces, what is not UTF-8 question marks: what is quoted in a message may be
 * anything, and a buffer may end within a letter. */
void make_one_line(char *text);

/* An error of the command's own. */
int32_t command_error(inf_error *err, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As in core/error.h. */
#ifdef __clang_analyzer__
#define command_error(err, code, ...) (command_error(err, code, __VA_ARGS__), (code))
#endif

#endif
