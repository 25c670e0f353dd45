/* token_kinds: see the header. */
#include "llamacpp/token_kinds.h"

#include "core/ascii.h"

#include <string.h>

/* Tokens of the same use; of some the first alone counts, and none where a key names one. */
enum use {
    USE_END,     /* ends a generation */
    USE_SHOWN,   /* shown, whatever its type */
    USE_FIM_PAD, /* the first: also ends one */
    USE_FIM_REP,
    USE_FIM_SEP,
    USE_FIM_PRE, /* the first: not shown */
    USE_FIM_SUF,
    USE_FIM_MID,
    USE_SIGN, /* says something of the others */
    N_USES
};

enum { MOST_KNOWN = 22, LONGEST_KNOWN = 32 };

/* The texts of each use, NULL behind the last. */
static const char *const known[N_USES][MOST_KNOWN + 1] = {
    [USE_END] = {"<|eot_id|>",
                 "<|im_end|>",
                 "<|end|>",
                 "<|return|>",
                 "<|call|>",
                 "<|flush|>",
                 "<|calls|>",
                 "<end_of_turn>",
                 "<|endoftext|>",
                 "</s>",
                 "<|eom_id|>",
                 "<EOT>",
                 "_<EOT>",
                 "[EOT]",
                 "[EOS]",
                 "<|end_of_text|>",
                 "<end_of_utterance>",
                 "<eos>",
                 "<turn|>",
                 "<|tool_response>",
                 "<｜end▁of▁sentence｜>",
                 "[e~["},
    [USE_SHOWN] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"},
    [USE_FIM_PAD] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"},
    [USE_FIM_REP] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"},
    [USE_FIM_SEP] = {"<|file_sep|>"},
    [USE_FIM_PRE] = {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>",
                     "▁<PRE>", "<|code_prefix|>", "<|prefix|>"},
    [USE_FIM_SUF] = {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>",
                     "▁<SUF>", "<|code_suffix|>", "<|suffix|>"},
    [USE_FIM_MID] = {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>",
                     "▁<MID>", "<|code_middle|>", "<|middle|>"},
    [USE_SIGN] = {"<|plamo:eos|>"}};

/* The keys that name a token of a use; the later one counts. */
static const struct {
    enum use use;
    const char *keys[2];
} fim_keys[] = {
    {USE_FIM_PAD, {"tokenizer.ggml.fim_pad_token_id", NULL}},
    {USE_FIM_REP, {"tokenizer.ggml.fim_rep_token_id", NULL}},
    {USE_FIM_SEP, {"tokenizer.ggml.fim_sep_token_id", NULL}},
    {USE_FIM_PRE, {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"}},
    {USE_FIM_SUF, {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"}},
    {USE_FIM_MID, {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"}},
};

struct reading {
    uint8_t *kinds;
    size_t n;
    const struct gguf_file *file;
    int32_t found[N_USES][MOST_KNOWN]; /* the ids of known; -1: no token has that text */
};

/* ------------------------------------------------------------------ the file's own words */

static uint8_t kind_of_type(int32_t type)
{
    switch (type) {
    case 1: /* normal */
        return 0;
    case 2: /* unknown */
    case 3: /* control */
        return KIND_CONTROL;
    case 4: /* user-defined */
        return KIND_DEFINED;
    case 6:
        return KIND_BYTE;
    default: /* unused, undefined */
        return KIND_WITHOUT;
    }
}

static void read_types(struct reading *r)
{
    size_t count = 0;
    const uint8_t *types = gguf_array_bytes(r->file, "tokenizer.ggml.token_type", GGUF_I32, &count);

    for (size_t i = 0; i < r->n; i++) {
        int32_t type = 1;

        if (types && i < count)
            memcpy(&type, types + i * sizeof type, sizeof type);
        r->kinds[i] = kind_of_type(type);
    }
}

/* The id of a key; `otherwise` where there is none, or one that no token has. */
static int32_t id_of_key(const struct reading *r, const char *key, int32_t otherwise)
{
    int64_t id = 0;

    if (key && gguf_get_int(r->file, key, &id) && id >= 0 && (size_t)id < r->n)
        return (int32_t)id;
    return otherwise >= 0 && (size_t)otherwise < r->n ? otherwise : -1;
}

/* ------------------------------------------------------------------ known by their texts */

static bool may_be_known(inf_text t)
{
    return t.len > 0 && t.len <= LONGEST_KNOWN &&
           (t.data[0] == '<' || t.data[0] == '[' || t.data[0] == '_' || t.data[0] == '\xe2');
}

static void find_known(struct reading *r, const inf_text *texts)
{
    memset(r->found, -1, sizeof r->found);
    for (size_t id = 0; id < r->n; id++)
        for (int use = 0; use < N_USES && may_be_known(texts[id]); use++)
            for (int k = 0; known[use][k]; k++)
                if (text_equals(texts[id].data, texts[id].len, known[use][k]))
                    r->found[use][k] = (int32_t)id;
}

static int32_t found(const struct reading *r, const char *text)
{
    for (int use = 0; use < N_USES; use++)
        for (int k = 0; known[use][k]; k++)
            if (strcmp(known[use][k], text) == 0)
                return r->found[use][k];
    return -1;
}

static bool ends(const struct reading *r, const char *text)
{
    int32_t id = found(r, text);

    return id >= 0 && (r->kinds[id] & KIND_END) != 0;
}

/* ------------------------------------------------------------------ what they are for */

static void set_control(struct reading *r, int32_t id)
{
    if ((r->kinds[id] & ~KIND_END) == 0)
        r->kinds[id] |= KIND_GUESSED;
    r->kinds[id] |= KIND_CONTROL;
    r->kinds[id] &= (uint8_t)~KIND_WITHOUT;
}

static void set_end(struct reading *r, int32_t id)
{
    if (id >= 0)
        r->kinds[id] |= KIND_END;
}

/* The token of a use for filling in the middle: a key's, or the first that has one of the texts. */
static void read_fim(struct reading *r, enum use use, const char *const keys[2])
{
    int32_t id = id_of_key(r, keys[1], id_of_key(r, keys[0], -1));

    for (int k = 0; k < MOST_KNOWN && id < 0; k++) {
        id = r->found[use][k];
        if (id >= 0)
            set_control(r, id);
    }
    if (use == USE_FIM_PAD || use == USE_FIM_REP || use == USE_FIM_SEP)
        set_end(r, id);
}

static void read_known(struct reading *r)
{
    for (size_t i = 0; i < sizeof fim_keys / sizeof fim_keys[0]; i++)
        read_fim(r, fim_keys[i].use, fim_keys[i].keys);
    for (int k = 0; k < MOST_KNOWN; k++) {
        int32_t end = r->found[USE_END][k];

        if (end >= 0)
            set_control(r, end);
        set_end(r, end);
    }
    for (int k = 0; k < MOST_KNOWN; k++) {
        int32_t shown = r->found[USE_SHOWN][k];

        if (shown >= 0)
            r->kinds[shown] = (uint8_t)((r->kinds[shown] & KIND_END) | KIND_DEFINED);
    }
}

/* Some vocabularies have a token of that text that ends a part of an answer, or nothing. */
static void take_back_ends(struct reading *r)
{
    int32_t end = found(r, "<|end|>"), s = found(r, "</s>");
    bool called = ends(r, "<|call|>") || ends(r, "<|calls|>");

    if (ends(r, "<|end|>") && called && (ends(r, "<|return|>") || ends(r, "<|flush|>")))
        r->kinds[end] = KIND_DEFINED;
    if (ends(r, "</s>") && (ends(r, "<|tool_response>") || ends(r, "<|plamo:eos|>")))
        r->kinds[s] = 0;
}

void token_kinds_read(uint8_t *kinds, size_t n, const inf_text *texts, const struct gguf_file *file,
                      struct token_ids *ids)
{
    struct reading r = {.kinds = kinds, .n = n, .file = file};

    read_types(&r);
    find_known(&r, texts);
    ids->bos = id_of_key(&r, "tokenizer.ggml.bos_token_id", ids->bos);
    ids->eos = id_of_key(&r, "tokenizer.ggml.eos_token_id", ids->eos);
    read_known(&r);
    set_end(&r, ids->eos);
    set_end(&r, id_of_key(&r, "tokenizer.ggml.eot_token_id", -1));
    set_end(&r, id_of_key(&r, "tokenizer.ggml.eom_token_id", -1));
    take_back_ends(&r);
}
