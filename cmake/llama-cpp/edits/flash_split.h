/*
 * Attention of a single row over a long cache, split the same way however many threads there are, so
 * that their number changes no bit of the result. Part of a copy of ops.cpp, see edits.cmake;
 * ggml-cpu.c takes the number of pieces, for the memory they need.
 *
 * ggml cuts the cache into as many pieces as there are threads and adds the pieces up: other sums with
 * other threads. Here the pieces depend on the cache's length alone.
 */
#ifndef INF_FLASH_SPLIT_H
#define INF_FLASH_SPLIT_H

#define INF_FLASH_MIN_CHUNK  64
#define INF_FLASH_MAX_CHUNKS 64

#ifdef __cplusplus
static void inf_flash_attn_split(const ggml_compute_params * params, ggml_tensor * dst) {
    const int64_t n_head = dst->src[0]->ne[2];
    const int64_t DK     = dst->src[1]->ne[0];
    const int64_t DV     = dst->src[2]->ne[0];
    const int64_t n_kv   = dst->src[1]->ne[1];

    const int64_t most     = (n_kv + INF_FLASH_MIN_CHUNK - 1) / INF_FLASH_MIN_CHUNK;
    const int64_t n_chunks = std::min<int64_t>(most, INF_FLASH_MAX_CHUNKS);
    const int64_t chunk    = (n_kv + n_chunks - 1) / n_chunks;

    /* After each thread's scratch: [head][chunk][M, S, VKQ], as the reduction wants it. */
    float * partials = (float *) params->wdata + params->nth * (DK + 2 * DV + CACHE_LINE_SIZE_F32);

    /* Neighbouring heads of a chunk read the same keys: a thread takes a run of them. */
    const int64_t items = n_chunks * n_head;
    const int64_t end   = items * (params->ith + 1) / params->nth;

    for (int64_t item = items * params->ith / params->nth; item < end; item++) {
        const int64_t i     = item / n_head;
        const int     head  = (int) (item % n_head);
        const int64_t first = std::min(i * chunk, n_kv);

        ggml_compute_forward_flash_attn_ext_f16_one_chunk(
            params, dst, head, head + 1, first, std::min(first + chunk, n_kv),
            partials + i * (2 + DV), n_chunks * (2 + DV));
    }
    ggml_barrier(params->threadpool);
    ggml_flash_attn_ext_reduce_partials(params, dst, n_chunks, chunk);
}
#endif

#endif
