# What this project changes in llama.cpp: a few lines of our own, put into copies of its files in the
# build folder; the source is never touched. A place is found by the text that stands there, which must
# be there exactly once. In the pinned source it is, or the build ends (PINNED). A checkout of one's own
# may be of another version: there an edit that does not find its places is left out, all of it, and
# llama_edits.h, which is installed beside llama.h, says so.

# inf_edit(NAME TARGET [FILE OLD NEW]...): FILE as it stands in the target's list of sources.
function(inf_edit name target)
    get_target_property(folder ${target} SOURCE_DIR)
    set(files)
    set(found 1)
    math(EXPR last "${ARGC} - 1")
    foreach(i RANGE 2 ${last} 3)
        math(EXPR old "${i} + 1")
        math(EXPR new "${i} + 2")
        set(file ${ARGV${i}})
        if(NOT file IN_LIST files)
            list(APPEND files ${file})
            set(copy_${file} ${CMAKE_BINARY_DIR}/edited/${file})
            if(EXISTS ${copy_${file}})
                file(READ ${copy_${file}} text_${file})
            elseif(EXISTS ${folder}/${file})
                file(READ ${folder}/${file} text_${file})
            endif()
        endif()
        string(FIND "${text_${file}}" "${ARGV${old}}" first)
        string(FIND "${text_${file}}" "${ARGV${old}}" final REVERSE)
        if(first EQUAL -1 OR NOT first EQUAL final)
            set(problem "${file} has not exactly one place for the edit \"${name}\":\n${ARGV${old}}")
            if(PINNED)
                message(FATAL_ERROR "${problem}")
            endif()
            message(WARNING "${problem}")
            set(found 0)
            break()
        endif()
        string(REPLACE "${ARGV${old}}" "${ARGV${new}}" text_${file} "${text_${file}}")
    endforeach()

    if(found)
        get_target_property(sources ${target} SOURCES)
        foreach(file IN LISTS files)
            file(WRITE ${copy_${file}} "${text_${file}}")
            string(REPLACE "." "\\." pattern ${file})
            list(TRANSFORM sources REPLACE "^(.*/)?${pattern}$" ${copy_${file}})
        endforeach()
        set_property(TARGET ${target} PROPERTY SOURCES ${sources})
    endif()
    string(TOUPPER ${name} name)
    file(APPEND ${CMAKE_BINARY_DIR}/llama_edits.h "#define INF_LLAMA_HAS_${name} ${found}\n")
endfunction()

file(WRITE ${CMAKE_BINARY_DIR}/llama_edits.h "/* Which of this project's edits this llama.cpp has. */\n")
target_include_directories(ggml-base PRIVATE ${CMAKE_CURRENT_LIST_DIR})
target_include_directories(ggml-cpu PRIVATE ${CMAKE_CURRENT_LIST_DIR})

# Buffers of other kinds (mapped files, a device's pinned memory) use the same function.
inf_edit(untouched_zeros ggml-base
    ggml-backend.cpp
    [[
static void ggml_backend_cpu_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    GGML_ASSERT(buffer);
]] [[
#include "zero.h"

static void ggml_backend_cpu_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    GGML_ASSERT(buffer);
    if (value == 0 && buffer->buft == ggml_backend_cpu_buffer_type()) {
        inf_zero(buffer->context, buffer->size);
        return;
    }
]])

inf_edit(sleeping_barrier ggml-cpu
    ggml-cpu/ggml-cpu.c
    [[
    atomic_int GGML_CACHE_ALIGN n_barrier_passed;
]] [[
    atomic_int GGML_CACHE_ALIGN n_barrier_passed;
    atomic_int inf_waker_cpu;
]]
    ggml-cpu/ggml-cpu.c
    [[
void ggml_barrier(struct ggml_threadpool * tp) {
]] [[
#include "barrier.h"

void ggml_barrier(struct ggml_threadpool * tp) {
]]
    ggml-cpu/ggml-cpu.c
    [[
        threadpool->n_barrier_passed = 0;
]] [[
        threadpool->n_barrier_passed = 0;
        threadpool->inf_waker_cpu    = -1;
]]
    ggml-cpu/ggml-cpu.c
    [[int n_passed = atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed);]]
    [[int n_passed = inf_barriers_passed(tp);]]
    ggml-cpu/ggml-cpu.c
    [[
        atomic_fetch_add_explicit(&tp->n_barrier_passed, 1, memory_order_seq_cst);
]] [[
        inf_barrier_open(tp, n_passed);
]]
    ggml-cpu/ggml-cpu.c
    [[
    while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed) {
        ggml_thread_cpu_relax();
    }
]] [[
    inf_barrier_wait(tp, n_passed);
]]
    ggml-cpu/ggml-cpu.c
    [[
    for (uint64_t i=0; !ggml_graph_compute_thread_ready(state) && i < n_rounds; i++) {
]] [[
    const int64_t begin = inf_now_ns();
    for (uint64_t i=0; !ggml_graph_compute_thread_ready(state) && i < n_rounds && inf_keeps_polling(i, begin); i++) {
]])

inf_edit(fixed_split ggml-cpu
    ggml-cpu/ops.cpp
    [[
static void ggml_compute_forward_flash_attn_ext_f16(
]] [[
#include "flash_split.h"

static void ggml_compute_forward_flash_attn_ext_f16(
]]
    ggml-cpu/ops.cpp
    [[
    if (use_split_kv_path) {
]] [[
    if (use_split_kv_path) {
        inf_flash_attn_split(params, dst);
    } else if (false) {
]]
    ggml-cpu/ggml-cpu.c
    [[
#include "tiled/tiled.h"
]] [[
#include "tiled/tiled.h"
#include "flash_split.h"
]]
    ggml-cpu/ggml-cpu.c
    [[size_t n_chunks = n_tasks;]]
    [[size_t n_chunks = INF_FLASH_MAX_CHUNKS;]])

inf_edit(exact_gelu ggml-cpu
    ggml-cpu/ops.cpp
    [[
// ggml_compute_forward_gelu

]] [[
#include "gelu.h"

]]
    ggml-cpu/ops.cpp
    [[ggml_vec_gelu_f32(nc,]]
    [[inf_vec_gelu_f32(nc,]]
    ggml-cpu/ops.cpp
    [[ggml_vec_geglu_f32(nc,]]
    [[inf_vec_geglu_f32(nc,]])

# A model without a file (llama_model_init_from_user): a tensor that the metadata does not list is absent
# (there, every optional one was taken to exist), one of another shape than the graph wants is refused, a
# tied head is the same tensor, and nothing is reserved for weights in host memory, which whoever gives
# the weights points to.
inf_edit(user_tensors llama
    llama-model-loader.cpp
    [[
        if (flags & TENSOR_SKIP_IF_VIRTUAL) {
            return nullptr;
        }
        ggml_type type =]] [[
        ggml_type type =]]
    llama-model-loader.cpp
    [[
        if (tid != -1) {
            type = gguf_get_tensor_type(metadata, tid);
        }
]] [[
        if (tid == -1 && (flags & TENSOR_NOT_REQUIRED)) {
            return nullptr;
        }
        if (tid == -1) {
            throw std::runtime_error(format("missing tensor '%s'", tn.str().c_str()));
        }
        const int64_t * given = gguf_get_tensor_ne(metadata, tid);
        for (size_t dim = 0; dim < GGML_MAX_DIMS; dim++) {
            if (given[dim] != (dim < ne.size() ? ne.begin()[dim] : 1)) {
                throw std::runtime_error(format("tensor '%s' has wrong shape; expected %s", tn.str().c_str(),
                    llama_format_tensor_shape(std::vector<int64_t>(ne)).c_str()));
            }
        }
        type = gguf_get_tensor_type(metadata, tid);
]]
    llama-model-loader.cpp
    [[
        ggml_tensor * ret = ggml_dup_tensor(ctx, &t_meta);
]] [[
        if (flags & TENSOR_DUPLICATED) {
            ggml_tensor * first = ggml_get_tensor(ctx, tn.str().c_str());
            if (first) {
                return first;
            }
        }
        ggml_tensor * ret = ggml_dup_tensor(ctx, &t_meta);
]]
    llama-model.cpp
    [[
            if (ml.no_alloc) {
                buf = ggml_backend_buft_alloc_buffer(buft, /*size =*/ 0); // dummy buffer
]] [[
            if (ml.no_alloc || (ml.files.empty() && ggml_backend_buft_is_host(buft))) {
                buf = ggml_backend_buft_alloc_buffer(buft, /*size =*/ 0); // dummy buffer
]])

# What graphs fix and transformers does not: a scale of the attention's scores that the metadata names
# counts for every architecture; Qwen3.5 norms queries and keys with an epsilon of their own.
inf_edit(exact_keys llama
    llama-model.cpp
    [[
    load_arch_hparams(ml);
]] [[
    load_arch_hparams(ml);
    ml.get_key(LLM_KV_ATTENTION_SCALE, hparams.f_attention_scale, false);
]]
    models/qwen35.cpp
    [[#include "models.h"]]
    [[#include "models/models.h"]]
    models/qwen35.cpp
    [[const float eps_norm = hparams.f_norm_rms_eps;]]
    [[const float eps_norm = 1e-6f;]])

# What a sliding window has passed is left out of a sequence's state and its cells are used again, so that positions
# lie in other cells than those of a sequence that was never moved: attention adds them up in another order, and a
# prefix is gone. It stays where it is while the cache has room for the whole sequence.
inf_edit(whole_windows llama
    llama-kv-cache.cpp
    [[
            if (add_cell && seq_id != -1) {
]] [[
            if (add_cell && seq_id != -1 && (uint32_t) cells.seq_pos_max(seq_id) >= cells.size()) {
]]
    llama-kv-cache.cpp
    [[
                        if (llama_hparams::is_masked_swa(n_swa, swa_type, pos_cell, cells.seq_pos_max(seq_id_cell) + 1)) {
]] [[
                        if ((uint32_t) cells.seq_pos_max(seq_id_cell) + 1 >= cells.size() &&
                            llama_hparams::is_masked_swa(n_swa, swa_type, pos_cell, cells.seq_pos_max(seq_id_cell) + 1)) {
]])
