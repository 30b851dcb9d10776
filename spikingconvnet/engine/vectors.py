"""Sums over rows of numbers, and their largest, in vectors (see `lanes`)."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from spikingconvnet.engine.geometry import LANES
from spikingconvnet.engine.lanes import INDEX, VECTOR, array, constant, filled, load, vectors_of

SUMS = 4
"""Sums that are kept side by side, as an addition takes some 4 cycles and 1 can start in each."""
_LOWEST = -1e30


@intrinsic
def add_row(context, total, i, rows, k):
    """Add row k of `rows` (n, width) to row i of `total` (m, width)."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        target, vectors = vectors_of(context, builder, kinds[0], arguments[0], arguments[1])
        source, _ = vectors_of(context, builder, kinds[2], arguments[2], arguments[3])
        with cgutils.for_range(builder, vectors, intp=INDEX) as loop:
            both = builder.fadd(
                load(builder, target, loop.index), load(builder, source, loop.index)
            )
            builder.store(both, builder.gep(target, [loop.index]), align=4)
        return context.get_dummy_value()

    return types.void(total, types.int64, rows, types.int64), generate


@intrinsic
def any_above(context, table, i, threshold):
    """Tell whether a number in row i of `table` (n, width) is above `threshold` (float32)."""

    def generate(context, builder, signature, arguments):
        row, vectors = vectors_of(context, builder, signature.args[0], *arguments[:2])
        limit = filled(builder, arguments[2])
        bits = ir.IntType(LANES)
        found = cgutils.alloca_once_value(builder, ir.Constant(bits, 0))
        with cgutils.for_range(builder, vectors, intp=INDEX) as loop:
            here = builder.fcmp_ordered(">", load(builder, row, loop.index), limit)
            builder.store(builder.or_(builder.load(found), builder.bitcast(here, bits)), found)
        return builder.icmp_unsigned("!=", builder.load(found), ir.Constant(bits, 0))

    return types.boolean(table, types.int64, types.float32), generate


@intrinsic
def highest(context, table, i):
    """Return the largest number in row i of `table` (n, width)."""

    def generate(context, builder, signature, arguments):
        row, vectors = vectors_of(context, builder, signature.args[0], *arguments[:2])
        top = cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [_LOWEST] * LANES))
        with cgutils.for_range(builder, vectors, intp=INDEX) as loop:
            here, held = load(builder, row, loop.index), builder.load(top)
            above = builder.fcmp_ordered(">", here, held)
            builder.store(builder.select(above, here, held), top)
        lanes = builder.load(top)
        size = LANES
        while size > 1:
            size //= 2
            order = [(lane + size) % LANES for lane in range(LANES)]
            indices = ir.Constant(ir.VectorType(ir.IntType(32), LANES), order)
            moved = builder.shuffle_vector(lanes, lanes, indices)
            lanes = builder.select(builder.fcmp_ordered(">", moved, lanes), moved, lanes)
        return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))

    return types.float32(table, types.int64), generate


@intrinsic
def first_at_least(context, table, i, value):
    """Return the first place in row i of `table` (n, width) with at least `value`, or 0."""

    def generate(context, builder, signature, arguments):
        row, vectors = vectors_of(context, builder, signature.args[0], *arguments[:2])
        limit = filled(builder, arguments[2])
        bits = ir.IntType(LANES)
        answer = cgutils.alloca_once_value(builder, constant(0))
        # All of them, the last first: where to stop could not be foreseen.
        with cgutils.for_range(builder, vectors, intp=INDEX) as loop:
            number = builder.sub(builder.sub(vectors, constant(1)), loop.index)
            here = builder.fcmp_ordered(">=", load(builder, row, number), limit)
            mask = builder.bitcast(here, bits)
            lane = builder.zext(builder.cttz(mask, ir.IntType(1)(0)), INDEX)
            place = builder.add(builder.mul(number, constant(LANES)), lane)
            found = builder.icmp_unsigned("!=", mask, bits(0))
            builder.store(builder.select(found, place, builder.load(answer)), answer)
        return builder.load(answer)

    return types.int64(table, types.int64, types.float32), generate


BLOCKS = (4, 2, 1)
"""Vectors of a row that `add_listed` adds up together, each a multiple of the next."""


def _add_block(builder, row, table, vectors, first, size, listed):
    """Add the listed rows to `size` vectors from `first` on; return which are above `limit`."""
    numbers, begin, end, limit, old = listed
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(size)]
    for v, held in enumerate(sums):
        before = load(builder, row, builder.add(first, constant(v)))
        builder.store(builder.select(old, before, ir.Constant(VECTOR, None)), held)
    with cgutils.for_range_slice(builder, begin, end, constant(1), INDEX) as (at, _):
        number = builder.zext(builder.load(builder.gep(numbers, [at])), INDEX)
        source = builder.add(builder.mul(number, vectors), first)
        for v, held in enumerate(sums):
            weight = load(builder, table, builder.add(source, constant(v)))
            builder.store(builder.fadd(builder.load(held), weight), held)
    bits = ir.IntType(LANES)
    found = bits(0)
    for v, held in enumerate(sums):
        total = builder.load(held)
        builder.store(total, builder.gep(row, [builder.add(first, constant(v))]), align=4)
        above = builder.fcmp_ordered(">", total, limit)
        found = builder.or_(found, builder.bitcast(above, bits))
    return found


@intrinsic
def add_listed(context, total, i, old, rows, listed, count, threshold):
    """Add rows ``listed[:count]`` (int32) of `rows` (n, width), one by one, to row i of `total`.

    That is taken for 0 unless `old`. Returns whether a number in it is above `threshold` (float32)
    then.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        row, vectors = vectors_of(context, builder, kinds[0], arguments[0], arguments[1])
        old = builder.icmp_unsigned("!=", arguments[2], arguments[2].type(0))
        table, _ = vectors_of(context, builder, kinds[3], arguments[3], constant(0))
        numbers = array(context, builder, kinds[4], arguments[4]).data
        listed = (numbers, constant(0), arguments[5], filled(builder, arguments[6]), old)
        bits = ir.IntType(LANES)
        found = cgutils.alloca_once_value(builder, bits(0))
        done = constant(0)
        for size in BLOCKS:
            whole = builder.sub(vectors, builder.urem(vectors, constant(size)))
            with cgutils.for_range_slice(builder, done, whole, constant(size), INDEX) as (at, _):
                above = _add_block(builder, row, table, vectors, at, size, listed)
                builder.store(builder.or_(builder.load(found), above), found)
            done = whole
        return builder.icmp_unsigned("!=", builder.load(found), bits(0))

    kinds = (types.int64, types.int64, rows, listed, types.int64, types.float32)
    return types.boolean(total, *kinds), generate


@intrinsic
def add_rows(context, total, rows, index, first, end):
    """Add rows ``index[first:end]`` (int32) of `rows` (n, LANES) to `total` (LANES,)."""

    def generate(context, builder, signature, arguments):
        arrays = [
            array(context, builder, kind, value)
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        ]
        pointer = VECTOR.as_pointer()
        out, table = (builder.bitcast(held.data, pointer) for held in arrays[:2])
        begin, stop = arguments[3:]

        def row(at):
            number = builder.load(builder.gep(arrays[2].data, [at]))
            place = builder.zext(number, INDEX)
            return builder.load(builder.gep(table, [place]), align=4)

        sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(SUMS)]
        builder.store(builder.load(out, align=4), sums[0])
        for held in sums[1:]:
            builder.store(ir.Constant(VECTOR, None), held)
        odd = builder.urem(builder.sub(stop, begin), constant(SUMS))
        whole = builder.sub(stop, odd)
        with cgutils.for_range_slice(builder, begin, whole, constant(SUMS), INDEX) as (at, _):
            for j, held in enumerate(sums):
                added = builder.fadd(builder.load(held), row(builder.add(at, constant(j))))
                builder.store(added, held)
        with cgutils.for_range_slice(builder, whole, stop, constant(1), INDEX) as (at, _):
            builder.store(builder.fadd(builder.load(sums[0]), row(at)), sums[0])
        left, right = (
            builder.fadd(builder.load(sums[j]), builder.load(sums[j + 1])) for j in (0, 2)
        )
        builder.store(builder.fadd(left, right), out, align=4)
        return context.get_dummy_value()

    return types.void(total, rows, index, types.int64, types.int64), generate
