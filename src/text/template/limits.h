/* limits: what compiling and one rendering may use. */
#ifndef INF_TEXT_TEMPLATE_LIMITS_H
#define INF_TEXT_TEMPLATE_LIMITS_H

#include <stddef.h>

#define MAX_SOURCE_BYTES ((size_t)256 * 1024)
#define MAX_BLOCK_DEPTH 100 /* Python's own for what jinja2 makes of them */
#define MAX_TREE_DEPTH 400
#define MAX_DEPTH 900 /* of calls, scopes, expressions and values while rendering */
#define MAX_TREE_BYTES ((size_t)64 << 20)
#define MAX_RENDER_BYTES ((size_t)256 << 20) /* of all values of a rendering */
#define MAX_TEXT_BYTES ((size_t)32 << 20)
#define MAX_STEPS 400000000ULL /* of about 10 ns */
#ifdef __SANITIZE_THREAD__
#define MAX_TIME_US 10000000 /* under which everything takes ten times as long */
#else
#define MAX_TIME_US 1000000 /* of CPU */
#endif
#define MAX_JSON_BYTES ((size_t)16 << 20)
#define MAX_JSON_NODES ((size_t)500 * 1000)
#define MAX_JSON_DEPTH 128

#endif
