/* call_pieces: tool calls put together from the pieces that were given out, as /v1 has them. */
#ifndef TESTS_CALL_PIECES_H
#define TESTS_CALL_PIECES_H

#include <inference/inference.h>

#include <jansson.h>

/* The piece belongs to one of `calls`, or begins the next one: else the test fails. */
void call_pieces_add(json_t *calls, const inf_tool_call_delta *piece);

#endif
