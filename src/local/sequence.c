/*
 * sequence: see the header. Knows tokens, text and when to stop; knows neither slots nor batches.
 */
#include "local/sequence.h"

#include "core/clock.h"
#include "core/growing.h"
#include "local/logprob_log.h"

#include <stdatomic.h>
#include <string.h>

void sequence_drop(struct sequence *s)
{
    if (!s)
        return;
    adapter_set_unpin(s->adapters);
    adapter_set_unref(s->adapters);
    if (s->in_flight)
        atomic_fetch_sub(s->in_flight, 1);
    sampler_free(s->sampler);
    if (s->tokenizer->ops->decoder_free)
        s->tokenizer->ops->decoder_free(s->decoder);
    text_stream_free(s->stream);
    output_parser_free(s->parser);
    logprob_list_free(&s->logprobs);
    lookup_free(s->lookup);
    buffer_free(&s->piece);
    buffer_free(&s->shown);
    mem_free(s->stop_ids);
    mem_free(s->tokens);
    mem_free(s);
}

static bool prepare_output(struct sequence *s, const inf_request *request)
{
    const struct tokenizer *t = s->tokenizer;
    size_t n = request->n_stop_token_ids;

    s->decoder = t->ops->decoder_create ? t->ops->decoder_create(t->impl) : t->impl;
    s->stream = text_stream_create(request->stop, request->n_stop);
    if (n)
        s->stop_ids = mem_alloc(n * sizeof *s->stop_ids);
    if (s->stop_ids)
        memcpy(s->stop_ids, request->stop_token_ids, n * sizeof *s->stop_ids);
    s->n_stop_ids = s->stop_ids ? n : 0;
    return s->decoder && s->stream && s->n_stop_ids == n;
}

int32_t sequence_create(struct sequence **out, inf_op *op, const struct tokenizer *tokenizer,
                        inf_error *err)
{
    const inf_request *request = op_request(op);
    struct sequence *s = mem_calloc(1, sizeof *s);

    *out = s;
    if (!s)
        return error_no_memory(err);
    s->op = op;
    s->tokenizer = tokenizer;
    s->ignore_eos = request->ignore_eos;
    s->n_logprobs = request->logprobs.is_set ? request->logprobs.value : -1;
    logprob_list_init(&s->logprobs, BUFFER_NO_LIMIT);
    s->slot = -1;
    buffer_init(&s->piece, BUFFER_NO_LIMIT);
    buffer_init(&s->shown, BUFFER_NO_LIMIT);
    return INF_OK;
}

int32_t sequence_begin(struct sequence *s, inf_error *err)
{
    bool ok = prepare_output(s, op_request(s->op));

    s->n_tokens = s->n_prompt;
    s->capacity = (size_t)s->n_prompt;
    for (int32_t i = 0; ok && i < s->n_prompt; i++)
        ok = sampler_accept(s->sampler, s->tokens[i], false);
    return ok ? INF_OK : error_no_memory(err);
}

static bool append_token(struct sequence *s, int32_t token)
{
    if (!GROW(s->tokens, s->capacity, (size_t)s->n_tokens + 1))
        return false;
    s->tokens[s->n_tokens++] = token;
    if (s->lookup && !lookup_add(s->lookup, token, true))
        sequence_stop_drafting(s);
    return true;
}

static bool is_stop_token(const struct sequence *s, int32_t token)
{
    for (size_t i = 0; i < s->n_stop_ids; i++)
        if (s->stop_ids[i] == token)
            return true;
    return s->tokenizer->ops->kind(s->tokenizer->impl, token) == TOKEN_END &&
           (!s->ignore_eos || sampler_is_complete(s->sampler)); /* nothing else could come */
}

/* ------------------------------------------------------------------ drafts */

int32_t sequence_start_drafting(struct sequence *s, const int32_t *reference, int32_t n,
                                bool always, inf_error *err)
{
    bool ok = true;

    s->lookup = lookup_create(reference, n);
    s->drafts_always = always;
    for (int32_t i = 0; s->lookup && ok && i < s->n_tokens; i++)
        ok = lookup_add(s->lookup, s->tokens[i], false);
    if (s->lookup && ok)
        return INF_OK;
    sequence_stop_drafting(s);
    return error_no_memory(err);
}

void sequence_stop_drafting(struct sequence *s)
{
    lookup_free(s->lookup);
    s->lookup = NULL;
    s->n_draft = 0;
}

void sequence_draft(struct sequence *s, int32_t most)
{
    int32_t left = s->max_tokens - (s->n_tokens - s->n_prompt) - 1;

    most = most < left ? most : left;
    s->n_draft = s->lookup && most > 0 ? lookup_draft(s->lookup, s->step + 1, most) : 0;
}

void sequence_cut_draft(struct sequence *s, int32_t n)
{
    if (s->n_draft >= n)
        s->n_draft = n - 1;
    for (int32_t i = 1; i < s->n_draft; i++)
        if (is_stop_token(s, s->step[i]))
            s->n_draft = i;
    s->n_draft = sampler_allows_run(s->sampler, s->step + 1, s->n_draft);
}

void sequence_fill_step(struct sequence *s, int32_t n)
{
    s->step[0] = s->tokens[s->n_tokens - 1];
    for (int32_t i = s->n_draft + 1; i < n; i++)
        s->step[i] = s->step[0];
}

/* ------------------------------------------------------------------ a token more */

/* A token that is not shown may be a marker of the answer's format: the parser has to see it. */
static bool append_marker(struct sequence *s, int32_t token)
{
    const struct tokenizer_ops *ops = s->tokenizer->ops;
    size_t before = s->piece.len;

    if (!s->parser || ops->kind(s->tokenizer->impl, token) != TOKEN_HIDDEN)
        return true;
    if (!ops->token_text(s->tokenizer->impl, token, &s->piece))
        return false;
    if (s->piece.len > before &&
        !output_parser_wants(s->parser, s->piece.data + before, s->piece.len - before))
        s->piece.len = before;
    return true;
}

static bool stream_piece(struct sequence *s, int32_t token, bool *stopped)
{
    buffer_clear(&s->piece);
    buffer_clear(&s->shown);
    return s->tokenizer->ops->decoder_push(s->decoder, token, &s->piece) &&
           append_marker(s, token) &&
           text_stream_push(s->stream, s->piece.data, s->piece.len, &s->shown, stopped);
}

/* What the parser has made of the text. */
static int32_t emit_parsed(struct sequence *s, inf_error *err)
{
    inf_text text = output_parser_text(s->parser);
    inf_text reasoning = output_parser_reasoning(s->parser);
    size_t n_pieces = 0;
    const inf_tool_call_delta *pieces = output_parser_call_pieces(s->parser, &n_pieces);
    int32_t code = op_emit(s->op, "", 0, s->n_tokens - s->n_prompt, err);

    if (code == INF_OK && reasoning.len)
        code = op_emit_reasoning(s->op, reasoning.data, reasoning.len, err);
    if (code == INF_OK && text.len)
        code = op_emit(s->op, text.data, text.len, s->n_tokens - s->n_prompt, err);
    for (size_t i = 0; i < n_pieces && code == INF_OK; i++)
        code = op_emit_tool_call(s->op, &pieces[i], err);
    return code;
}

static int32_t emit_shown(struct sequence *s, inf_error *err)
{
    if (s->shown.len == 0)
        return INF_OK;
    if (!s->parser)
        return op_emit(s->op, s->shown.data, s->shown.len, s->n_tokens - s->n_prompt, err);
    if (!output_parser_push(s->parser, s->shown.data, s->shown.len))
        return error_no_memory(err);
    return emit_parsed(s, err);
}

enum sequence_state sequence_advance(struct sequence *s, const float *logits, int32_t *finish,
                                     inf_error *err)
{
    int32_t token = sampler_sample(s->sampler, logits);
    bool stopped = false;

    *finish = INF_FINISH_NONE;
    error_none(err);
    if (token == SAMPLER_NOT_FINITE)
        return SEQUENCE_NOT_FINITE;
    if (token == SAMPLER_NO_CHOICE) {
        error_set(err, INF_ERROR_INVALID_ARGUMENT,
                  "the grammar allows no token of the vocabulary after the text so far, or has too "
                  "many ways to follow it; mend the grammar or the JSON schema");
        return SEQUENCE_ENDED;
    }
    s->last_token_us = clock_us();
    if (s->first_token_us == 0)
        s->first_token_us = s->last_token_us;
    if (!sampler_accept(s->sampler, token, true) || !append_token(s, token) ||
        (s->n_logprobs >= 0 &&
         !logprob_log_add(&s->logprobs, s->tokenizer, logits, token, s->n_logprobs)))
        goto no_memory;
    if (is_stop_token(s, token)) {
        *finish = INF_FINISH_STOP;
        return SEQUENCE_ENDED;
    }
    if (!stream_piece(s, token, &stopped))
        goto no_memory;
    if (emit_shown(s, err) != INF_OK)
        return SEQUENCE_ENDED;
    if (stopped)
        *finish = INF_FINISH_STOP;
    else if (s->n_tokens - s->n_prompt >= s->max_tokens)
        *finish = INF_FINISH_LENGTH;
    return *finish == INF_FINISH_NONE ? SEQUENCE_GOES_ON : SEQUENCE_ENDED;

no_memory:
    error_no_memory(err);
    return SEQUENCE_ENDED;
}

static void fill_timings(const struct sequence *s, inf_timings *t)
{
    int64_t started = op_started_us(s->op);
    int64_t now = clock_us();

    t->total_us = now - started;
    t->queued_us = (s->prefill_started_us ? s->prefill_started_us : now) - started - t->load_us;
    if (s->prefill_done_us)
        t->prefill_us = s->prefill_done_us - s->prefill_started_us;
    if (s->first_token_us) {
        t->first_token_us = s->first_token_us - started;
        t->decode_us = s->last_token_us - s->first_token_us;
    }
}

static bool fill_tokens(const struct sequence *s, struct op_output *o)
{
    size_t n = (size_t)(s->n_tokens - s->n_prompt);

    if (n) {
        o->token_ids = mem_alloc(n * sizeof *o->token_ids);
        if (!o->token_ids)
            return false;
        memcpy(o->token_ids, s->tokens + s->n_prompt, n * sizeof *o->token_ids);
        o->n_token_ids = n;
    }
    return s->n_logprobs < 0 || logprob_list_fill(&s->logprobs, o, NULL) == INF_OK;
}

/* As servers say it. */
static const char *word_of(int32_t finish)
{
    return finish == INF_FINISH_STOP         ? "stop"
           : finish == INF_FINISH_TOOL_CALLS ? "tool_calls"
                                             : "length";
}

static bool fill_output(struct sequence *s, int32_t finish)
{
    struct op_output *o = op_output(s->op);

    o->prompt_tokens = s->n_prompt;
    o->completion_tokens = s->n_tokens - s->n_prompt;
    o->prefix_tokens = s->n_prefix;
    o->steps = s->steps;
    o->mean_rows = s->steps ? (double)s->step_rows / (double)s->steps : 0;
    o->mean_adapters = s->steps ? (double)s->step_adapters / (double)s->steps : 0;
    o->row_independent = s->row_independent;
    o->drafted_tokens = s->n_drafted;
    o->accepted_tokens = s->n_accepted;
    o->finish = finish;
    fill_timings(s, &o->timings);
    if (s->parser && !output_parser_calls(s->parser, &o->tool_calls))
        return false;
    if (finish == INF_FINISH_STOP && o->tool_calls && !s->named_call)
        o->finish = INF_FINISH_TOOL_CALLS;
    if (finish != INF_FINISH_NONE) {
        o->finish_reason = mem_strdup(word_of(o->finish));
        if (!o->finish_reason)
            return false;
    }
    return fill_tokens(s, o);
}

/* What the parser has kept back. */
static bool parse_rest(struct sequence *s)
{
    return !s->parser || (output_parser_finish(s->parser) && emit_parsed(s, NULL) == INF_OK);
}

/* What decoder, stream and parser have kept back. */
static bool show_rest(struct sequence *s)
{
    const struct tokenizer_ops *ops = s->tokenizer->ops;
    bool stopped = false;

    buffer_clear(&s->piece);
    buffer_clear(&s->shown);
    return (!ops->decoder_finish || ops->decoder_finish(s->decoder, &s->piece)) &&
           text_stream_push(s->stream, s->piece.data, s->piece.len, &s->shown, &stopped) &&
           text_stream_finish(s->stream, &s->shown) && emit_shown(s, NULL) == INF_OK &&
           parse_rest(s);
}

void sequence_end(struct sequence *s, int32_t finish, const inf_error *err)
{
    inf_op *op = s->op;
    inf_error final = {0};
    bool complete = true;

    if (err)
        final = *err;
    complete = show_rest(s);
    complete = fill_output(s, final.code == INF_OK ? finish : INF_FINISH_NONE) && complete;
    if (!complete && final.code == INF_OK) {
        op_output(op)->finish = INF_FINISH_NONE;
        error_no_memory(&final);
    }
    sequence_drop(s);
    op_finish(op, &final);
}
