/* char_tables: kinds of characters as the tokenizers library knows them, in runs. Internal to
 * char_kind. */
#ifndef INF_HF_TOKENIZER_CHAR_TABLES_H
#define INF_HF_TOKENIZER_CHAR_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum {
    RUN_MODIFIER = 4, /* a letter that is Lm; the other bits are those of enum char_class, */
    RUN_NEWER = 256,  /* or this: assigned after Unicode 14, which the oldest PCRE2 knows */
    RUN_KIND_BITS = 9
};

/* Where runs of characters of one kind begin: the code point, and the kind in the last bits. */
extern const uint32_t char_runs[];
extern const size_t char_runs_n;
/* What the library's normalizers know; kinds are of enum char_form. */
extern const uint32_t char_runs_form[];
extern const size_t char_runs_form_n;

struct char_run {
    uint32_t first, end;
    unsigned kind;
};

/* One of n runs. */
static inline struct char_run char_run_at(const uint32_t *runs, size_t n, size_t i)
{
    return (struct char_run){runs[i] >> RUN_KIND_BITS,
                             i + 1 < n ? runs[i + 1] >> RUN_KIND_BITS : 0x110000,
                             runs[i] & ((1u << RUN_KIND_BITS) - 1)};
}

#endif
