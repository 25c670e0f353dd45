/*
 * guarded_tree: makes a parsed template safe to execute. The nodes that do work are replaced by
 * nodes of ours that count, measure and check (limits.h, builtin_checks.h) and leave the work to
 * the engine's own node. Nodes whose kind the engine itself asks for (a loop's variable, the name
 * of a filter) stay as they are.
 */
#ifndef INF_TEXT_GUARDED_TREE_H
#define INF_TEXT_GUARDED_TREE_H

#include "text/limits.h"

#include <jinja/runtime.h>

#include <set>

namespace hf_text {

/* Guards every statement of `program` in place. Adds the names of the variables it sets to `names`.
 * Throws stopped beyond MAX_TREE_DEPTH or MAX_NAMES. */
void guard_tree(jinja::program &program, std::set<std::string> &names);

} // namespace hf_text

#endif
