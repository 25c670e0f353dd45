/*
 * schema_refs: where a $ref of a JSON schema leads, within its own document. Borrows from the
 * document. Threads: any, one list by one.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_REFS_H
#define INF_TEXT_CONSTRAINT_SCHEMA_REFS_H

#include <jansson.h>
#include <stdbool.h>

/* What "#" or "#/a/0/b" names (~0 and ~1 are ~ and /); NULL: nothing. */
json_t *schema_resolve(json_t *root, const json_t *ref);

/* The schema that a chain of $ref ends at; NULL: nothing, or a circle. */
json_t *schema_follow(json_t *root, json_t *schema);

/* Schemas met, each once, numbered in that order. Begin with zeros. */
struct schema_list {
    json_t **items;
    size_t n, cap;
};

/* The number of `schema`, which is added when it is new; SIZE_MAX when out of memory. */
size_t schema_list_number(struct schema_list *list, json_t *schema);
void schema_list_free(struct schema_list *list);

#endif
