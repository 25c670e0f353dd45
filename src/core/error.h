/*
 * error: filling inf_error values. Messages are one line of valid UTF-8: control characters become
 * spaces, invalid bytes U+FFFD, a message too long ends in "...".
 */
#ifndef INF_CORE_ERROR_H
#define INF_CORE_ERROR_H

#include <inference/inference.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ERROR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Fills err (may be NULL) and returns code. */
int32_t error_set(inf_error *err, int32_t code, const char *format, ...) ERROR_PRINTF(3, 4);
int32_t error_set_detail(inf_error *err, int32_t code, int64_t detail, const char *format, ...)
    ERROR_PRINTF(4, 5);
/* "cannot <what> <path>: <strerror>", INF_ERROR_IO (NO_MEMORY for ENOMEM), detail = errno. */
int32_t error_set_errno(inf_error *err, int error_number, const char *what, const char *path);
/* INF_ERROR_NO_MEMORY with the standard message. Never allocates. */
int32_t error_no_memory(inf_error *err);
/* Clears err to INF_OK and returns INF_OK. */
int32_t error_none(inf_error *err);
/* Copies what went wrong (code INF_OK: nothing) into err, which may be NULL; returns its code. */
int32_t error_copy(inf_error *err, const inf_error *why);
/* Puts "prefix: " (printf) before the message that err holds; returns err's code. */
int32_t error_prefix(inf_error *err, const char *format, ...) ERROR_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif

/* What an analyzer of one file at a time cannot see: these return the code they are given. */
#ifdef __clang_analyzer__
#define error_set(err, code, ...) (error_set(err, code, __VA_ARGS__), (code))
#define error_set_detail(err, code, detail, ...)                                                   \
    (error_set_detail(err, code, detail, __VA_ARGS__), (code))
#define error_no_memory(err) (error_no_memory(err), INF_ERROR_NO_MEMORY)
#define error_set_errno(err, number, what, path)                                                   \
    (error_set_errno(err, number, what, path), INF_ERROR_IO)
#endif

#endif
