"""Counts and lists of int32 in vectors of `LANES`, for the reasons that `lanes` gives."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from spikingconvnet.engine.geometry import LANES
from spikingconvnet.engine.lanes import INDEX, array, constant

_FIRST = ir.IntType(32)(0)
_COUNTS = ir.VectorType(ir.IntType(32), LANES)


def _all(builder, number):
    """Return a vector with a number (int64) in all its lanes."""
    low = builder.trunc(number, ir.IntType(32))
    first = builder.insert_element(ir.Constant(_COUNTS, ir.Undefined), low, _FIRST)
    return builder.shuffle_vector(first, first, ir.Constant(_COUNTS, None))


def _counts(context, builder, kind, value):
    """Return the numbers of an int32 array, and its vectors."""
    data = array(context, builder, kind, value).data
    return data, lambda at: builder.bitcast(builder.gep(data, [at]), _COUNTS.as_pointer())


@intrinsic
def copy_less(context, out, at, source, i, first, end, less):
    """Write ``source[i, first:end] - less`` behind ``out[at]``; return the place behind.

    Both are int32 and have room for a whole vector more, which is overwritten: runs are short, and
    copying a vector is cheaper than foreseeing where they end.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        _, target = _counts(context, builder, kinds[0], arguments[0])
        table = array(context, builder, kinds[2], arguments[2])
        width = cgutils.unpack_tuple(builder, table.shape)[1]
        at, (row, begin, end, less) = arguments[1], arguments[3:]
        line = builder.gep(table.data, [builder.mul(row, width)])
        shift = _all(builder, less)
        place = cgutils.alloca_once_value(builder, begin)
        loop, done = (builder.append_basic_block(name) for name in ("copy", "copied"))
        builder.branch(loop)
        builder.position_at_end(loop)
        here = builder.load(place)
        pointer = builder.bitcast(builder.gep(line, [here]), _COUNTS.as_pointer())
        value = builder.sub(builder.load(pointer, align=4), shift)
        builder.store(value, target(builder.add(at, builder.sub(here, begin))), align=4)
        after = builder.add(here, constant(LANES))
        builder.store(after, place)
        more = builder.icmp_signed("<", after, end)
        builder.cbranch(more, loop, done)
        builder.position_at_end(done)
        return builder.add(at, builder.sub(end, begin))

    numbers = (types.int64,) * 4
    return types.int64(out, types.int64, source, *numbers), generate


@intrinsic
def append(context, lists, ends, first, count, value, less):
    """Append to lists that lie in one array, each ending before ``ends[i]``; move the ends.

    List `first` gets `value`, each of the `count` lists from there on `less` than the one before.
    All are int32.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        (table, _), (places, _) = (
            _counts(context, builder, kind, value)
            for kind, value in zip(kinds[:2], arguments[:2], strict=True)
        )
        first, count, value, less = arguments[2:]
        word = ir.IntType(32)
        held = cgutils.alloca_once_value(builder, builder.trunc(value, word))
        with cgutils.for_range(builder, count, intp=INDEX) as loop:
            end = builder.gep(places, [builder.add(first, loop.index)])
            at = builder.load(end)
            number = builder.load(held)
            builder.store(number, builder.gep(table, [builder.zext(at, INDEX)]))
            builder.store(builder.add(at, word(1)), end)
            builder.store(builder.sub(number, builder.trunc(less, word)), held)
        return context.get_dummy_value()

    return types.void(lists, ends, *(types.int64,) * 4), generate


@intrinsic
def slide(context, out, source, length, stride, count):
    """Write ``out[i] = source[i] + source[i + stride] + ...``, `count` of them, for all i < length.

    Both are int32 and have room for a whole vector more.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        _, target = _counts(context, builder, kinds[0], arguments[0])
        _, given = _counts(context, builder, kinds[1], arguments[1])
        size, stride, count = arguments[2:]
        held = cgutils.alloca_once(builder, _COUNTS)
        step = constant(LANES)
        with cgutils.for_range_slice(builder, constant(0), size, step, INDEX) as (at, _):
            builder.store(builder.load(given(at), align=4), held)
            with cgutils.for_range(builder, count, start=constant(1), intp=INDEX) as loop:
                further = builder.add(at, builder.mul(loop.index, stride))
                seen = builder.load(given(further), align=4)
                builder.store(builder.add(builder.load(held), seen), held)
            builder.store(builder.load(held), target(at), align=4)
        return context.get_dummy_value()

    return types.void(out, source, types.int64, types.int64, types.int64), generate


@intrinsic
def list_grown(context, out, counts, known, length, least):
    """List the i < length with ``least <= counts[i] > known[i]``; return how many.

    All are int32; `counts` and `known` have room for a whole vector more.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        listed, _ = _counts(context, builder, kinds[0], arguments[0])
        (_, now), (_, before) = (
            _counts(context, builder, kind, value)
            for kind, value in zip(kinds[1:3], arguments[1:3], strict=True)
        )
        length, least = arguments[3:]
        limit = _all(builder, least)
        bits = ir.IntType(LANES)
        found = cgutils.alloca_once_value(builder, constant(0))
        left = cgutils.alloca_once(builder, bits)
        step = constant(LANES)
        with cgutils.for_range_slice(builder, constant(0), length, step, INDEX) as (at, _):
            count = builder.load(now(at), align=4)
            enough = builder.icmp_signed(">=", count, limit)
            grown = builder.icmp_signed(">", count, builder.load(before(at), align=4))
            builder.store(builder.bitcast(builder.and_(enough, grown), bits), left)
            test, body, done = (
                builder.append_basic_block(name) for name in ("more", "list", "listed")
            )
            builder.branch(test)
            builder.position_at_end(test)
            mask = builder.load(left)
            builder.cbranch(builder.icmp_unsigned("!=", mask, bits(0)), body, done)
            builder.position_at_end(body)
            lane = builder.zext(builder.cttz(mask, ir.IntType(1)(1)), INDEX)
            place = builder.load(found)
            value = builder.trunc(builder.add(at, lane), ir.IntType(32))
            builder.store(value, builder.gep(listed, [place]))
            builder.store(builder.add(place, constant(1)), found)
            builder.store(builder.and_(mask, builder.sub(mask, bits(1))), left)
            builder.branch(test)
            builder.position_at_end(done)
        return builder.load(found)

    return types.int64(out, counts, known, types.int64, types.int64), generate
