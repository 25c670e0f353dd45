/* char_tables: kinds of characters as the tokenizers library knows them, in runs. Internal to
 * char_kind. */
#ifndef INF_HF_TOKENIZER_CHAR_TABLES_H
#define INF_HF_TOKENIZER_CHAR_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum { RUN_MODIFIER = 4 }; /* a letter that is Lm; the other bits are those of enum char_class */

struct char_run {
    uint32_t first, last;
    uint8_t kind;
};

extern const struct char_run char_runs[];
extern const size_t char_runs_n;
/* Those that were assigned after Unicode 14, which the oldest PCRE2 knows. */
extern const struct char_run char_runs_newer[];
extern const size_t char_runs_newer_n;
/* What the library's normalizers know; kinds are of enum char_form. */
extern const struct char_run char_runs_form[];
extern const size_t char_runs_form_n;

#endif
