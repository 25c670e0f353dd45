/*
 * cpu_operators: see the header.
 */
#include "engine/cpu_operators.h"

#include <ggml-internal/traits.h>

#include <ggml-cpu.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <new>

extern "C" {
void ggml_compute_forward_mul_mat(const struct ggml_compute_params *params,
                                  struct ggml_tensor *dst);
void ggml_compute_forward_get_rows(const struct ggml_compute_params *params,
                                   struct ggml_tensor *dst);
size_t ggml_tiled_wdata_size(int n_tasks, struct ggml_tensor *dst);
}

/* A pool's operator. Entries are never freed: one that is closed is taken again. */
struct cpu_operators {
    std::atomic<ggml_threadpool *> pool;
    bool exact;
    cpu_operator *compute;
    void *owner;
    cpu_operators *next;
};

namespace {

std::atomic<cpu_operators *> entries;
std::mutex entries_lock;   /* of those who open */
const cpu_kernels *common; /* written once, before anybody computes */

const cpu_operators *find(const ggml_threadpool *pool)
{
    for (const cpu_operators *e = entries.load(std::memory_order_acquire); e; e = e->next)
        if (e->pool.load(std::memory_order_acquire) == pool)
            return e;
    return nullptr;
}

/* Who is asked about norms of graphs that this thread plans. */
struct splitting {
    const cpu_operators *operators;
    cpu_splitter *splits;
};
thread_local splitting planned;

/* ggml leaves a node alone whose result somebody wants to see. A graph may be run again: what was said
 * the last time does not count. */
void keep_apart(const ggml_tensor *product, bool apart)
{
    if (apart)
        product->src[0]->flags |= GGML_TENSOR_FLAG_OUTPUT;
    else
        product->src[0]->flags &= ~GGML_TENSOR_FLAG_OUTPUT;
}

/* What ggml's own matmul takes: it may be the one that computes. */
size_t size_of_ggml(int n_threads, const ggml_tensor *node)
{
    const ggml_type type = ggml_get_type_traits_cpu(node->src[0]->type)->vec_dot_type;
    const size_t rows = node->src[1]->type == type
                            ? 0
                            : ggml_row_size(type, ggml_nelements(node->src[1]));

    size_t sorted = 0; /* rows by expert: counts, places and a counter each */

    if (node->op == GGML_OP_MUL_MAT_ID)
        sorted = (size_t)node->src[0]->ne[2] *
                     (sizeof(int64_t) + 128 + 8 * (size_t)ggml_nelements(node->src[2])) +
                 256;
    return GGML_PAD(rows + sorted, 64) +
           ggml_tiled_wdata_size(n_threads, const_cast<ggml_tensor *>(node));
}

/* ggml's own memory for work is aligned to 16 bytes. */
constexpr size_t work_alignment = 64;

cpu_thread thread_of(ggml_compute_params *params, bool exact)
{
    void *work = params->wdata;
    size_t size = params->wsize;

    if (!work || !std::align(work_alignment, 1, work, size))
        size = 0;
    return {params->ith, params->nth, exact, params, work, size};
}

class traits final : public ggml::cpu::tensor_traits {
  public:
    /* Asked when a graph is planned. False where ggml's own size, or that of repacked weights, is
     * enough. */
    bool work_size(int n_threads, const ggml_tensor *node, size_t &size) override
    {
        const size_t ours = common ? common->work_size(node) : 0;

        if (planned.splits && node->op == GGML_OP_MUL && node->src[0]->op == GGML_OP_RMS_NORM)
            keep_apart(node, planned.splits(planned.operators->owner, node));
        if (ours == 0)
            return false;
        size = std::max(ours + work_alignment, size_of_ggml(n_threads, node));
        return true;
    }

    bool compute_forward(ggml_compute_params *params, ggml_tensor *node) override
    {
        const cpu_operators *e = find(params->threadpool);

        if (!e)
            return false;

        const cpu_thread thread = thread_of(params, e->exact);

        return (e->compute && node->op != GGML_OP_FLASH_ATTN_EXT &&
                e->compute(e->owner, &thread, node)) ||
               (common && common->compute(&thread, node, nullptr) != CPU_NOT_COMPUTED);
    }
};

class operators_type final : public ggml::cpu::extra_buffer_type {
  public:
    /* No weight lies in a buffer of this type. */
    bool supports_op(ggml_backend_dev_t, const ggml_tensor *) override
    {
        return false;
    }

    ggml::cpu::tensor_traits *get_tensor_traits(const ggml_tensor *node) override
    {
        switch (node->op) {
        case GGML_OP_MUL_MAT:
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_GET_ROWS:
        case GGML_OP_MUL:
        case GGML_OP_ADD:
        case GGML_OP_GLU:
        case GGML_OP_FLASH_ATTN_EXT:
            return &all;
        default:
            return nullptr;
        }
    }

  private:
    traits all;
};

const char *type_name(ggml_backend_buffer_type_t)
{
    return "inference operators";
}

ggml_backend_buffer_t no_buffer(ggml_backend_buffer_type_t, size_t)
{
    return nullptr;
}

size_t alignment(ggml_backend_buffer_type_t)
{
    return 64;
}

ggml_backend_buffer_type *make_type()
{
    static operators_type operators;
    static ggml_backend_buffer_type type = {};

    type.iface.get_name = type_name;
    type.iface.alloc_buffer = no_buffer;
    type.iface.get_alignment = alignment;
    type.device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    type.context = &operators;
    return &type;
}

/* Whether one of the other types (repacked weights) does it. */
bool others_compute(ggml_compute_params *params, ggml_tensor *node)
{
    const auto &types = ggml_backend_cpu_get_extra_buffer_types();

    for (size_t i = 1; i < types.size(); i++) {
        auto *type = static_cast<ggml::cpu::extra_buffer_type *>(types[i]->context);
        ggml::cpu::tensor_traits *theirs = type ? type->get_tensor_traits(node) : nullptr;

        if (theirs && theirs->compute_forward(params, node))
            return true;
    }
    return false;
}

cpu_operators *take_closed()
{
    for (cpu_operators *e = entries.load(std::memory_order_relaxed); e; e = e->next)
        if (!e->pool.load(std::memory_order_relaxed))
            return e;
    return nullptr;
}

ggml_compute_params *params_of(const cpu_thread *thread)
{
    return static_cast<ggml_compute_params *>(thread->params);
}

} /* namespace */

extern "C" {

void cpu_operators_install(const struct cpu_kernels *kernels)
{
    static std::once_flag once;

    std::call_once(once, [kernels] {
        auto &types = ggml_backend_cpu_get_extra_buffer_types();

        common = kernels;
        types.insert(types.begin(), make_type());
    });
}

int32_t cpu_operators_open(struct cpu_operators **out, struct ggml_threadpool *pool, bool exact,
                           cpu_operator *compute, void *owner, inf_error *err)
{
    std::lock_guard<std::mutex> lock(entries_lock);
    cpu_operators *e = take_closed();
    bool made = !e;

    *out = nullptr;
    if (made)
        e = new (std::nothrow) cpu_operators{};
    if (!e)
        return error_no_memory(err);
    e->exact = exact;
    e->compute = compute;
    e->owner = owner;
    e->pool.store(pool, std::memory_order_release);
    if (made) {
        e->next = entries.load(std::memory_order_relaxed);
        entries.store(e, std::memory_order_release);
    }
    *out = e;
    return INF_OK;
}

void cpu_operators_close(struct cpu_operators *operators)
{
    if (operators)
        operators->pool.store(nullptr, std::memory_order_release);
}

bool cpu_operators_matmul(const struct cpu_thread *thread, struct ggml_tensor *node,
                          const struct cpu_after *after)
{
    const cpu_computed computed = common ? common->compute(thread, node, after) : CPU_NOT_COMPUTED;

    if (computed == CPU_NOT_COMPUTED && !others_compute(params_of(thread), node))
        ggml_compute_forward_mul_mat(params_of(thread), node);
    return computed == CPU_COMPUTED_AND_AFTER;
}

void cpu_operators_split(struct cpu_operators *operators, cpu_splitter *splits)
{
    planned = {operators, operators ? splits : nullptr};
}

void cpu_operators_get_rows(const struct cpu_thread *thread, struct ggml_tensor *node)
{
    ggml_compute_forward_get_rows(params_of(thread), node);
}

void cpu_operators_barrier(const struct cpu_thread *thread)
{
    ggml_barrier(params_of(thread)->threadpool);
}

void cpu_operators_share(const struct cpu_thread *thread)
{
    if (thread->index == 0)
        ggml_threadpool_chunk_set(params_of(thread)->threadpool, thread->n);
    cpu_operators_barrier(thread);
}

int32_t cpu_operators_next(const struct cpu_thread *thread)
{
    return ggml_threadpool_chunk_add(params_of(thread)->threadpool, 1);
}

} /* extern "C" */
