/*
 * chat_words: what servers put into a stream that is no part of an answer: values that stand for
 * nothing, words that keep a connection alive, the word that ends it, and how they tell a failure
 * without the error object that the field knows. Pure functions over bytes.
 */
#ifndef INF_REMOTE_CHAT_WORDS_H
#define INF_REMOTE_CHAT_WORDS_H

#include "core/json.h"

/* Absent, null, false, 0, white space, a text like "null" or "None", or nothing but such. */
bool words_say_nothing(struct json_span value);

/*
 * These are of an event's data, or a line, that is no JSON or a JSON string. Only the few words that
 * servers are known to send keep a connection alive: any others may be what is left of a chunk, and
 * text that is lost must not pass for silence.
 */
bool words_keep_alive(const char *data, size_t len);
bool words_end(const char *data, size_t len);

/* An object with neither an answer nor an error object in it tells a failure: a code or status that is
 * one, a type that says error, success false, or FastAPI's detail. */
bool words_tell_failure(struct json_span object);

#endif
