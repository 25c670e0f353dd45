/*
 * template_source: a chat template's text before it is parsed, and where in it something failed.
 * The parser recurses with the nesting of what it reads: the tokens are counted first.
 */
#ifndef INF_TEXT_TEMPLATE_SOURCE_H
#define INF_TEXT_TEMPLATE_SOURCE_H

#include <cstddef>
#include <string>

#include <jinja/lexer.h>

namespace hf_text {

/* The text for the engine's lexer: size and UTF-8 checked, every line ending "\n", and the lexer's
 * loss of a first character prevented. Lines keep their numbers. Throws stopped. */
std::string prepare_source(const char *data, size_t len);

/* Throws stopped when blocks or brackets are nested, or a block is long, beyond limits.h, or a number
 * is too large to be one. */
void check_tokens(const jinja::lexer_result &lexed);

/* The engine's message for a user: "line 3: what", or "what" where it does not tell the line. */
std::string readable(const std::string &source, const std::string &engine_message);

} // namespace hf_text

#endif
