/*
 * builtin_checks: what the engine's filters, tests, methods and functions are given is looked at
 * before they run: they cannot be interrupted, some take quadratic time, and a few would crash the
 * process (division by zero, sorting what has no order, lists that contain themselves).
 */
#ifndef INF_TEXT_BUILTIN_CHECKS_H
#define INF_TEXT_BUILTIN_CHECKS_H

#include "text/limits.h"

#include <vector>

namespace hf_text {

/* x|name(args) or x.name(args). Throws stopped, or std::runtime_error where Jinja raises too. */
void check_filter(const std::string &name, const jinja::value &input,
                  const std::vector<jinja::value> &args);
/* x is name(args) */
void check_test(const std::string &name, const jinja::value &input,
                const std::vector<jinja::value> &args);
/* name(args), where name is a function of the engine or a macro. */
void check_function(const std::string &name, const std::vector<jinja::value> &args);
/* left op right, all but "and", "or". */
void check_operands(const std::string &op, const jinja::value &left, const jinja::value &right);
/* An assignment of `v` into `target`, or x.append(v): no list or object may come to contain itself
 * (it would never be freed), nor a function (it could hold anything). */
void check_stored(const jinja::value &v, const jinja::value_t *target);
/* An index or slice bound. */
void check_bound(const jinja::value &v);

} // namespace hf_text

#endif
