/* structs: reading and writing versioned structs of callers built against another header. */
#ifndef INF_CORE_STRUCTS_H
#define INF_CORE_STRUCTS_H

#include "core/error.h"

/*
 * Reads a struct that starts with struct_size from a caller built against another header: `known`
 * bytes at most go over the defaults in dst. INVALID_ARGUMENT for a struct_size of 0, or unknown
 * bytes that are not zero. src NULL: the defaults stay.
 */
int32_t struct_read(void *dst, size_t known, const void *src, const char *name, inf_error *err);
/* The struct_size of a caller's struct; false when no version's struct has that size. */
bool struct_size(size_t *out, const void *src);
/* Writes `known` bytes of src into a caller's struct of `size` bytes: less if it is smaller, zeros
 * behind if it is larger; its first member becomes `size`. false, and nothing written, without room
 * for that. */
bool struct_write(void *dst, size_t size, const void *src, size_t known);
/* Refuses an inf_maybe_* that has a value (other than 0) without is_set. */
int32_t maybe_check(const char *field, bool is_set, bool has_value, inf_error *err);

#endif
