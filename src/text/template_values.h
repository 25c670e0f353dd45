/*
 * template_values: what a template can name: the variables given with a request, and the functions
 * that replace the engine's own (range, strftime_now, raise_exception) because those have no bound,
 * are not safe on several threads, or bury their message.
 */
#ifndef INF_TEXT_TEMPLATE_VALUES_H
#define INF_TEXT_TEMPLATE_VALUES_H

#include "text/limits.h"

#include <jansson.h>

#include <jinja/runtime.h>

namespace hf_text {

/* `json` as the engine's value. */
jinja::value value_of(const json_t *json);

/* What `v` prints: lists and objects as Python writes them, nothing for what is undefined. */
jinja::value as_text(const jinja::value &v);

/* Sets every member of the object `json`, which may be NULL. */
void set_variables(jinja::context &ctx, const json_t *json);

void set_functions(jinja::context &ctx);

/* What raise_exception throws; its message is in the budget. Not a std::exception. */
struct raised_by_template {};

} // namespace hf_text

#endif
