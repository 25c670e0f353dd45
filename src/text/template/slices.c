/*
 * slices: x[a:b:c].
 */
#include "text/template/engine.h"

static int64_t slice_bound(struct render *r, struct value v, int64_t fallback)
{
    if (v.type == V_NONE)
        return fallback;
    if (!is_integer(v))
        vm_throw(r->vm, E_TYPE,
                 "slice indices must be integers or None or have an __index__ method");
    return number_integer(v);
}

static int64_t clamp(int64_t at, int64_t len, int64_t low, int64_t high)
{
    if (at < 0) {
        at += len;
        return at < low ? low : at;
    }
    return at > high ? high : at;
}

struct bounds {
    int64_t start;
    int64_t stop;
    int64_t step;
    int64_t n;
};

static struct bounds slice_bounds(struct render *r, const struct slice *slice, int64_t len)
{
    struct bounds b;
    int64_t high;
    int64_t low;

    b.step = slice_bound(r, slice->step, 1);
    if (b.step == 0)
        vm_throw(r->vm, E_VALUE, "slice step cannot be zero");
    if (b.step == INT64_MIN)
        b.step = -INT64_MAX;
    low = b.step < 0 ? -1 : 0;
    high = b.step < 0 ? len - 1 : len;
    b.start = slice->start.type == V_NONE ? (b.step < 0 ? high : low)
                                          : clamp(slice_bound(r, slice->start, 0), len, low, high);
    b.stop = slice->stop.type == V_NONE ? (b.step < 0 ? low : high)
                                        : clamp(slice_bound(r, slice->stop, 0), len, low, high);
    b.n = 0;
    if (b.step > 0 && b.start < b.stop)
        b.n = (b.stop - b.start - 1) / b.step + 1;
    if (b.step < 0 && b.stop < b.start)
        b.n = (b.start - b.stop - 1) / -b.step + 1;
    return b;
}

static struct value text_part(struct render *r, const struct text *s, struct bounds b)
{
    struct builder built;
    struct text *part;

    if (b.step == 1 || b.n == 0)
        return v_str(text_marked(
            r->vm, text_slice(r->vm, s, (size_t)b.start, (size_t)(b.start + b.n)), s->safe));
    build_init(&built, r->vm);
    vm_step(r->vm, s->len / 8);
    if (b.step == -1 && !text_ascii(s)) { /* walked once, from behind */
        size_t end = text_offset(s, (size_t)b.start + 1);

        for (int64_t i = 0; i < b.n; i++) {
            size_t at = utf8_back(s->data, end);

            build_add(&built, s->data + at, end - at);
            end = at;
        }
    } else {
        for (int64_t i = 0; i < b.n; i++) {
            part = text_slice(r->vm, s, (size_t)(b.start + i * b.step),
                              (size_t)(b.start + i * b.step) + 1);
            build_text(&built, part);
        }
    }
    return v_str(text_marked(r->vm, build_done(&built), s->safe));
}

static struct value range_part(struct render *r, const struct range *range, struct bounds b)
{
    struct range *part = VM_NEW(r->vm, struct range);

    *part = (struct range){.start = range->start + b.start * range->step,
                           .stop = range->start + b.stop * range->step,
                           .step = range->step * b.step,
                           .len = b.n};
    return (struct value){.type = V_RANGE, .r = part};
}

struct value get_slice(struct render *r, struct value object, const struct slice *slice)
{
    struct bounds b;
    struct list *l;

    check_defined(r->vm, object);
    if (object.type == V_DICT)
        vm_throw(r->vm, E_TYPE, "unhashable type: 'slice'");
    if (object.type != V_STR && object.type != V_LIST && object.type != V_TUPLE &&
        object.type != V_RANGE)
        vm_throw(r->vm, E_TYPE, "'%s' object is not subscriptable", type_name(object));
    b = slice_bounds(r, slice, value_len(r->vm, object));
    if (object.type == V_STR)
        return text_part(r, object.s, b);
    if (object.type == V_RANGE)
        return range_part(r, object.r, b);
    l = list_new(r->vm, (size_t)b.n);
    for (int64_t i = 0; i < b.n; i++)
        list_add(r->vm, l, object.l->items[b.start + i * b.step]);
    return object.type == V_LIST ? v_list(l) : v_tuple(l);
}
