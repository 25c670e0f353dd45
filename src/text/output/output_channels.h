/*
 * output_channels: the steps of the output parser for answers in messages on channels (gpt-oss). Internal to
 * output_parser.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_CHANNELS_H
#define INF_TEXT_OUTPUT_OUTPUT_CHANNELS_H

#include "text/output/output_state.h"

/* One step forward, true; false: nothing can be told before more comes (end: it is all told). */
bool output_channels_step(struct output_parser *p, bool end);

#endif
