/* keys: what config.json of most families has in common, read and written as llama.cpp's metadata. */
#ifndef INF_ARCH_KEYS_H
#define INF_ARCH_KEYS_H

#include "arch/blueprint.h"

#define KEYS_MAX_WIDTH 1048576
#define KEYS_MAX_POSITIONS 2147483647
#define KEYS_MAX_VOCAB 16777216

/* What a family's config class fills in for absent keys, and what its graph can do. */
struct key_defaults {
    double rope_theta;
    int64_t positions; /* max_position_embeddings */
    double eps;        /* rms_norm_eps */
    int64_t head_dim;  /* 0: hidden_size / num_attention_heads */
    int64_t kv_heads;  /* num_key_value_heads; 0: num_attention_heads */
    double partial;    /* partial_rotary_factor; 0: heads turn whole, others are refused */
    bool tied;         /* tie_word_embeddings */
    bool square;       /* llama.cpp takes the width of all heads to be hidden_size */
};

/* Layers, widths, heads, vocabulary, positions, eps; the sizes of shapes; FEATURE_HEAD. */
void keys_transformer(struct blueprint *b, struct config_reader *r, const struct key_defaults *d);
/* FEATURE_HEAD alone, and the keys of sizes that describe has set, for a family that reads its own. */
void keys_head(struct blueprint *b, struct config_reader *r, const struct key_defaults *d);
void keys_put_sizes(struct blueprint *b);
/* rope's theta and scaling; after keys_transformer. Refuses what llama.cpp does not compute. Returns how
 * many dimensions of a head turn. */
int64_t keys_rope(struct blueprint *b, struct config_reader *r, const struct key_defaults *d);
/* The same of parameters that were read already. factors: where llama3's go to, rope_freqs.weight is
 * asked for by this architecture. */
void keys_rope_of(struct blueprint *b, struct config_rope *rope, bool factors);

/* How many dimensions of a head turn, written as metadata; those that this family cannot are refused. */
int64_t keys_put_turned(struct blueprint *b, struct config_rope *rope,
                        const struct key_defaults *d);

/* The activation under that key must be one of those names. */
void keys_activation(struct config_reader *r, const char *key, const char *const *names);
extern const char *const activation_silu[];
extern const char *const activation_gelu_tanh[];

/* A window under that key, in which each query sees so many keys: llama.cpp lets it see all, so that a
 * text may be no longer. otherwise: the class's default, 0: none. */
void keys_no_sliding(struct blueprint *b, struct config_reader *r, const char *key,
                     int64_t otherwise);

/* Of each layer whether it is of that kind, the others being full_attention: as layer_types says it, else
 * all but every step-th are. */
void keys_layer_types(bool *is, const struct blueprint *b, struct config_reader *r,
                      const char *kind, int64_t step);

/* Layers that slide by sliding_window (otherwise: the class's default). */
void keys_sliding(struct blueprint *b, struct config_reader *r, int64_t step, int64_t otherwise);

/* Gemma's query_pre_attn_scalar: llama.cpp scales by the size of a head, and where there are so many
 * layers by hidden_size / num_attention_heads. */
void keys_gemma_scale(struct blueprint *b, struct config_reader *r, int32_t layers_of_largest);

/* The same as the Qwen families write it: sliding_window counts with use_sliding_window, for layers from
 * max_window_layers on, or those that layer_types names. */
void keys_qwen_sliding(struct blueprint *b, struct config_reader *r);

/* Refuses a key that is true. */
void keys_refuse_true(struct config_reader *r, const char *key, const char *why);

/* "<architecture>.<suffix>". */
void keys_put_text(struct blueprint *b, const char *suffix, const char *value);
void keys_put_u32(struct blueprint *b, const char *suffix, int64_t value);
void keys_put_f32(struct blueprint *b, const char *suffix, double value);

/* What most families have: an embedding, a last norm and a head; the same where norms multiply by 1 + w;
 * tensors that rope is computed without. */
extern const struct family_weight usual_globals[], plus_one_globals[];
extern const char *const usual_ignored[];

/* A family whose file has model_types, describe and weights, and names blocks as most do. */
#define FAMILY(named)                                                                              \
    .name = (named), .blocks = "layers", .prefix = "model.", .model_types = model_types,           \
    .describe = describe, .weights = weights
#define FAMILY_USUAL(named) FAMILY(named), .globals = usual_globals, .ignored = usual_ignored

/* The rows that most families share. */
#define WEIGHTS_EMBEDDING                                                                          \
    {WEIGHT("^embed_tokens.weight", "token_embd.weight", SIZE_VOCAB, SIZE_EMBD)}
#define WEIGHTS_HEAD                                                                               \
    {WEIGHT("lm_head.weight", "output.weight", SIZE_VOCAB, SIZE_EMBD), .when = FEATURE_HEAD}
/* With what is changed in those of queries and of keys. */
#define WEIGHTS_ATTENTION(q, k)                                                                    \
    {WEIGHT("self_attn.q_proj.weight", "attn_q.weight", SIZE_Q, SIZE_EMBD), .change = (q)},        \
        {WEIGHT("self_attn.k_proj.weight", "attn_k.weight", SIZE_KV, SIZE_EMBD), .change = (k)},   \
        {WEIGHT("self_attn.v_proj.weight", "attn_v.weight", SIZE_KV, SIZE_EMBD)},                  \
    {                                                                                              \
        WEIGHT("self_attn.o_proj.weight", "attn_output.weight", SIZE_EMBD, SIZE_Q)                 \
    }
#define WEIGHTS_MLP                                                                                \
    {WEIGHT("mlp.gate_proj.weight", "ffn_gate.weight", SIZE_FF, SIZE_EMBD)},                       \
        {WEIGHT("mlp.up_proj.weight", "ffn_up.weight", SIZE_FF, SIZE_EMBD)},                       \
    {                                                                                              \
        WEIGHT("mlp.down_proj.weight", "ffn_down.weight", SIZE_EMBD, SIZE_FF)                      \
    }

#endif
