/* splitters: see the header. */
#include "llamacpp/splitters.h"

#include "core/ascii.h"

#include <string.h>
#include <strings.h>

#define LEVEL(REGEX)                                                                               \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"                    \
    "\"use_regex\":" REGEX "}"
#define SEQUENCE(STEPS) "{\"type\":\"Sequence\",\"pretokenizers\":[" STEPS "]}"
#define SPLIT(PATTERN)                                                                             \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" PATTERN                                        \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define DIGITS "{\"type\":\"Digits\",\"individual_digits\":true}"

/* Patterns as they stand in JSON inside C. */
#define SHORTENED "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define WORDS(WORD, OTHERS, NUMBERS)                                                               \
    SHORTENED "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?" WORD "+|" NUMBERS "| ?[^\\\\s" OTHERS              \
              "]+[\\\\r\\\\n]*" SPACES
#define CASED(UPPER, LOWER)                                                                        \
    "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]" UPPER           \
    "[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]" LOWER
#define SIGNS "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*" SPACES

#define GPT2 LEVEL("true")
#define DIGITS_GPT2 SEQUENCE(DIGITS "," LEVEL("true"))
#define SPLIT_BY(PATTERN) SEQUENCE(SPLIT(PATTERN) "," LEVEL("false"))
#define LLAMA3 SPLIT_BY(WORDS("\\\\p{L}", "\\\\p{L}\\\\p{N}", "\\\\p{N}{1,3}"))
#define QWEN2 SPLIT_BY(WORDS("\\\\p{L}", "\\\\p{L}\\\\p{N}", "\\\\p{N}"))
#define QWEN35 SPLIT_BY(WORDS("[\\\\p{L}\\\\p{M}]", "\\\\p{L}\\\\p{M}\\\\p{N}", "\\\\p{N}"))
#define O200K                                                                                      \
    SPLIT_BY(CASED("*", "+") SHORTENED "?|" CASED("+", "*") SHORTENED "?|\\\\p{N}{1,3}" SIGNS)
#define TEKKEN SPLIT_BY(CASED("*", "+") "|" CASED("+", "*") "|\\\\p{N}" SIGNS)
#define DEEPSEEK3                                                                                  \
    SEQUENCE(SPLIT("\\\\p{N}{1,3}") "," SPLIT("[一-龥぀-ゟ゠-ヿ]+") "," SPLIT(               \
        "[!\\\"#$%&'()*+,\\\\-./:;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|"                       \
        "[^\\r\\n\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}\\\\p{M}]+| ?[\\\\p{P}\\\\p{S}]+[\\r\\n]*|"    \
        "\\\\s*[\\r\\n]+|\\\\s+(?!\\\\S)|\\\\s+") "," LEVEL("false"))

const char splitter_decoder[] = GPT2;

static const char composed[] = "{\"type\":\"NFC\"}";

static const struct splitter splitters[] = {
    {"gpt-2", GPT2, NULL, false, false, false},
    {"phi-2", GPT2, NULL, false, false, false},
    {"smollm", DIGITS_GPT2, NULL, false, false, false},
    {"starcoder", DIGITS_GPT2, NULL, false, false, false},
    {"refact", DIGITS_GPT2, NULL, false, false, false},
    {"llama-bpe", LLAMA3, NULL, true, true, false},
    {"llama3", LLAMA3, NULL, true, true, false},
    {"llama-v3", LLAMA3, NULL, true, true, false},
    {"smaug-bpe", LLAMA3, NULL, false, false, false},
    {"glm4", LLAMA3, NULL, true, false, true},
    {"qwen2", QWEN2, composed, false, false, false},
    {"deepseek-r1-qwen", QWEN2, NULL, false, false, false},
    {"qwen35", QWEN35, composed, false, false, false},
    {"gpt-4o", O200K, NULL, false, false, false},
    {"llama4", O200K, NULL, false, false, false},
    {"tekken", TEKKEN, NULL, true, true, false},
    {"deepseek-v3", DEEPSEEK3, NULL, false, false, false},
};

/* llama.cpp gives tokens of models of these names (general.name) white space of their own. */
static bool has_a_name_of_its_own(const struct gguf_file *file)
{
    static const char *const names[] = {"phi-3", "phi3", "modern-bert"};
    inf_text name = {0};

    gguf_get_text(file, "general.name", &name);
    for (size_t i = 0; i < name.len; i++)
        for (int k = 0; k < 3; k++)
            if (name.len - i >= strlen(names[k]) &&
                strncasecmp(name.data + i, names[k], strlen(names[k])) == 0)
                return true;
    return false;
}

const struct splitter *splitter_of(const struct gguf_file *file)
{
    inf_text model = {0}, pre = {0};

    if (!gguf_get_text(file, "tokenizer.ggml.model", &model) ||
        !text_equals(model.data, model.len, "gpt2") ||
        !gguf_get_text(file, "tokenizer.ggml.pre", &pre) || has_a_name_of_its_own(file))
        return NULL;
    for (size_t i = 0; i < sizeof splitters / sizeof splitters[0]; i++)
        if (text_equals(pre.data, pre.len, splitters[i].name))
            return &splitters[i];
    return NULL;
}
