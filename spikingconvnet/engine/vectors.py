"""Sums over rows of numbers, and their largest, in vectors of `LANES` numbers.

Numba cannot know that two arrays do not overlap: its loops test for that at every row, and write a
running sum back to memory. Here the loops are given to LLVM with vectors, which any processor runs.
Arrays are contiguous float32, their rows a multiple of `LANES` long. Nothing is checked.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Numbers in a vector: 16 of 4 bytes fill a register of AVX-512."""
SUMS = 4
"""Sums that are kept side by side, as an addition takes some 4 cycles and 1 can start in each."""
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_LOWEST = -1e30


def _number(value):
    return ir.Constant(_INDEX, value)


def _array(context, builder, kind, value):
    return context.make_array(kind)(context, builder, value)


def _row(builder, array, number):
    """Return a pointer to the vectors of a row, and how many there are."""
    width = cgutils.unpack_tuple(builder, array.shape)[-1]
    vectors = builder.udiv(width, _number(LANES))
    table = builder.bitcast(array.data, _VECTOR.as_pointer())
    return builder.gep(table, [builder.mul(number, vectors)]), vectors


def _load(builder, pointer, at):
    return builder.load(builder.gep(pointer, [at]), align=4)


def _spread(builder, number):
    """Return a vector with a number in all its lanes."""
    first = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
    )
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(first, first, lanes)


@intrinsic
def add_row(context, total, i, rows, k):
    """Add row k of `rows` (n, width) to row i of `total` (m, width)."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        target, vectors = _row(
            builder, _array(context, builder, kinds[0], arguments[0]), arguments[1]
        )
        source, _ = _row(builder, _array(context, builder, kinds[2], arguments[2]), arguments[3])
        with cgutils.for_range(builder, vectors, intp=_INDEX) as loop:
            both = builder.fadd(
                _load(builder, target, loop.index), _load(builder, source, loop.index)
            )
            builder.store(both, builder.gep(target, [loop.index]), align=4)
        return context.get_dummy_value()

    return types.void(total, types.int64, rows, types.int64), generate


@intrinsic
def any_above(context, table, i, threshold):
    """Tell whether a number in row i of `table` (n, width) is above `threshold` (float32)."""

    def generate(context, builder, signature, arguments):
        array = _array(context, builder, signature.args[0], arguments[0])
        row, vectors = _row(builder, array, arguments[1])
        limit = _spread(builder, arguments[2])
        bits = ir.IntType(LANES)
        found = cgutils.alloca_once_value(builder, ir.Constant(bits, 0))
        with cgutils.for_range(builder, vectors, intp=_INDEX) as loop:
            here = builder.fcmp_ordered(">", _load(builder, row, loop.index), limit)
            builder.store(builder.or_(builder.load(found), builder.bitcast(here, bits)), found)
        return builder.icmp_unsigned("!=", builder.load(found), ir.Constant(bits, 0))

    return types.boolean(table, types.int64, types.float32), generate


@intrinsic
def highest(context, table, i):
    """Return the largest number in row i of `table` (n, width)."""

    def generate(context, builder, signature, arguments):
        array = _array(context, builder, signature.args[0], arguments[0])
        row, vectors = _row(builder, array, arguments[1])
        top = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [_LOWEST] * LANES))
        with cgutils.for_range(builder, vectors, intp=_INDEX) as loop:
            here, held = _load(builder, row, loop.index), builder.load(top)
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
        array = _array(context, builder, signature.args[0], arguments[0])
        row, vectors = _row(builder, array, arguments[1])
        limit = _spread(builder, arguments[2])
        bits = ir.IntType(LANES)
        answer = cgutils.alloca_once_value(builder, _number(0))
        # All of them, the last first: where to stop could not be foreseen.
        with cgutils.for_range(builder, vectors, intp=_INDEX) as loop:
            number = builder.sub(builder.sub(vectors, _number(1)), loop.index)
            here = builder.fcmp_ordered(">=", _load(builder, row, number), limit)
            mask = builder.bitcast(here, bits)
            lane = builder.zext(builder.cttz(mask, ir.IntType(1)(0)), _INDEX)
            place = builder.add(builder.mul(number, _number(LANES)), lane)
            found = builder.icmp_unsigned("!=", mask, bits(0))
            builder.store(builder.select(found, place, builder.load(answer)), answer)
        return builder.load(answer)

    return types.int64(table, types.int64, types.float32), generate


BLOCKS = (4, 2, 1)
"""Vectors of a row that `add_listed` adds up together, each a multiple of the next."""


def _add_block(builder, row, table, vectors, first, size, listed):
    """Add the listed rows to `size` vectors from `first` on; return which are above `limit`."""
    numbers, begin, end, limit, old = listed
    sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(size)]
    for v, held in enumerate(sums):
        before = _load(builder, row, builder.add(first, _number(v)))
        builder.store(builder.select(old, before, ir.Constant(_VECTOR, None)), held)
    with cgutils.for_range_slice(builder, begin, end, _number(1), _INDEX) as (at, _):
        number = builder.zext(builder.load(builder.gep(numbers, [at])), _INDEX)
        source = builder.add(builder.mul(number, vectors), first)
        for v, held in enumerate(sums):
            weight = _load(builder, table, builder.add(source, _number(v)))
            builder.store(builder.fadd(builder.load(held), weight), held)
    bits = ir.IntType(LANES)
    found = bits(0)
    for v, held in enumerate(sums):
        total = builder.load(held)
        builder.store(total, builder.gep(row, [builder.add(first, _number(v))]), align=4)
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
        row, vectors = _row(builder, _array(context, builder, kinds[0], arguments[0]), arguments[1])
        old = builder.icmp_unsigned("!=", arguments[2], arguments[2].type(0))
        table, _ = _row(builder, _array(context, builder, kinds[3], arguments[3]), _number(0))
        numbers = _array(context, builder, kinds[4], arguments[4]).data
        listed = (numbers, _number(0), arguments[5], _spread(builder, arguments[6]), old)
        bits = ir.IntType(LANES)
        found = cgutils.alloca_once_value(builder, bits(0))
        done = _number(0)
        for size in BLOCKS:
            whole = builder.sub(vectors, builder.urem(vectors, _number(size)))
            with cgutils.for_range_slice(builder, done, whole, _number(size), _INDEX) as (at, _):
                above = _add_block(builder, row, table, vectors, at, size, listed)
                builder.store(builder.or_(builder.load(found), above), found)
            done = whole
        return builder.icmp_unsigned("!=", builder.load(found), bits(0))

    kinds = (types.int64, types.int64, rows, listed, types.int64, types.float32)
    return types.boolean(total, *kinds), generate


def _shares(context, builder, kinds, values):
    """Return, by place in the lists of spikes, the row of weights and the share that it counts."""
    units, steps, shares = (
        _array(context, builder, kind, value).data
        for kind, value in zip(kinds, values, strict=True)
    )

    def at(place):
        row = builder.zext(builder.load(builder.gep(units, [place])), _INDEX)
        step = builder.zext(builder.load(builder.gep(steps, [place])), _INDEX)
        return row, _spread(builder, builder.load(builder.gep(shares, [step])))

    return at


_FUSED = ("contract",)
"""Lets a processor that can multiply and add at once do so."""


@intrinsic
def add_shares(context, total, rows, unit, step, share, first, end):
    """Add ``share[step[k]] * rows[unit[k]]`` to `total` (width,) for all k of first..end - 1.

    `rows` (n, width); `unit` int32, `step` uint8, `share` float32.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        out = _array(context, builder, kinds[0], arguments[0]).data
        out = builder.bitcast(out, _VECTOR.as_pointer())
        table, vectors = _row(builder, _array(context, builder, kinds[1], arguments[1]), _number(0))
        spike = _shares(context, builder, kinds[2:5], arguments[2:5])
        held = cgutils.alloca_once(builder, _VECTOR)
        with cgutils.for_range(builder, vectors, intp=_INDEX) as part:
            builder.store(_load(builder, out, part.index), held)
            with cgutils.for_range_slice(
                builder, arguments[5], arguments[6], _number(1), _INDEX
            ) as (at, _):
                row, counts = spike(at)
                place = builder.add(builder.mul(row, vectors), part.index)
                added = builder.fmul(counts, _load(builder, table, place), flags=_FUSED)
                builder.store(builder.fadd(builder.load(held), added, flags=_FUSED), held)
            builder.store(builder.load(held), builder.gep(out, [part.index]), align=4)
        return context.get_dummy_value()

    return types.void(total, rows, unit, step, share, types.int64, types.int64), generate


@intrinsic
def spread_shares(context, rows, by, unit, step, share, first, end):
    """Add ``share[step[k]] * by`` to ``rows[unit[k]]``; the arguments are those of `add_shares`."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        table, vectors = _row(builder, _array(context, builder, kinds[0], arguments[0]), _number(0))
        given = _array(context, builder, kinds[1], arguments[1]).data
        given = builder.bitcast(given, _VECTOR.as_pointer())
        spike = _shares(context, builder, kinds[2:5], arguments[2:5])
        with cgutils.for_range_slice(builder, arguments[5], arguments[6], _number(1), _INDEX) as (
            at,
            _,
        ):
            row, counts = spike(at)
            with cgutils.for_range(builder, vectors, intp=_INDEX) as part:
                place = builder.add(builder.mul(row, vectors), part.index)
                added = builder.fmul(counts, _load(builder, given, part.index), flags=_FUSED)
                new = builder.fadd(_load(builder, table, place), added, flags=_FUSED)
                builder.store(new, builder.gep(table, [place]), align=4)
        return context.get_dummy_value()

    return types.void(rows, by, unit, step, share, types.int64, types.int64), generate


@intrinsic
def add_rows(context, total, rows, index, first, end):
    """Add rows ``index[first:end]`` (int32) of `rows` (n, LANES) to `total` (LANES,)."""

    def generate(context, builder, signature, arguments):
        arrays = [
            _array(context, builder, kind, value)
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        ]
        pointer = _VECTOR.as_pointer()
        out, table = (builder.bitcast(array.data, pointer) for array in arrays[:2])
        begin, stop = arguments[3:]

        def row(at):
            number = builder.load(builder.gep(arrays[2].data, [at]))
            place = builder.zext(number, _INDEX)
            return builder.load(builder.gep(table, [place]), align=4)

        sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(SUMS)]
        builder.store(builder.load(out, align=4), sums[0])
        for held in sums[1:]:
            builder.store(ir.Constant(_VECTOR, None), held)
        odd = builder.urem(builder.sub(stop, begin), _number(SUMS))
        whole = builder.sub(stop, odd)
        with cgutils.for_range_slice(builder, begin, whole, _number(SUMS), _INDEX) as (at, _):
            for j, held in enumerate(sums):
                added = builder.fadd(builder.load(held), row(builder.add(at, _number(j))))
                builder.store(added, held)
        with cgutils.for_range_slice(builder, whole, stop, _number(1), _INDEX) as (at, _):
            builder.store(builder.fadd(builder.load(sums[0]), row(at)), sums[0])
        left, right = (
            builder.fadd(builder.load(sums[j]), builder.load(sums[j + 1])) for j in (0, 2)
        )
        builder.store(builder.fadd(left, right), out, align=4)
        return context.get_dummy_value()

    return types.void(total, rows, index, types.int64, types.int64), generate


MOST = 16
"""Vectors of a row up to which `climb` keeps all sums in registers."""


class _Climb:
    """Write the loops of `climb` for rows of so many vectors."""

    def __init__(self, builder, vectors, total, weights, codes, threshold):
        self.builder, self.total, self.weights, self.codes = builder, total, weights, codes
        self.threshold = threshold
        self.sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)]
        self.at = cgutils.alloca_once(builder, _INDEX)

    def write(self, begin, start, end, least):
        """Write all; what comes next is written behind."""
        builder = self.builder
        names = ("blind", "blindly", "watch", "watching", "within", "rest", "ended", "on", "done")
        at = {name: builder.append_basic_block(name) for name in names}
        for v, held in enumerate(self.sums):
            builder.store(_load(builder, self.total, _number(v)), held)
        builder.store(start, self.at)
        unseen = builder.sub(builder.add(begin, least), _number(1))
        unseen = builder.select(builder.icmp_signed("<", unseen, end), unseen, end)
        builder.branch(at["blind"])
        # Too few rows for any sum to be above the threshold.
        builder.position_at_end(at["blind"])
        more = builder.icmp_signed("<", builder.load(self.at), unseen)
        builder.cbranch(more, at["blindly"], at["watch"])
        builder.position_at_end(at["blindly"])
        self._add(True)
        builder.branch(at["blind"])
        # Sums are looked at after each row: few are above, so this is foreseen, and steps are not.
        builder.position_at_end(at["watch"])
        more = builder.icmp_signed("<", builder.load(self.at), end)
        builder.cbranch(more, at["watching"], at["done"])
        builder.position_at_end(at["watching"])
        self._add(False)
        builder.cbranch(self._above(), at["within"], at["on"])
        builder.position_at_end(at["on"])
        self._go_on()
        builder.branch(at["watch"])
        # One is; what counts is the end of the step.
        builder.position_at_end(at["within"])
        builder.cbranch(self._step_ends(end), at["ended"], at["rest"])
        builder.position_at_end(at["rest"])
        self._go_on()
        self._add(False)
        builder.branch(at["within"])
        builder.position_at_end(at["ended"])
        builder.cbranch(self._above(), at["done"], at["on"])
        builder.position_at_end(at["done"])
        for v, held in enumerate(self.sums):
            builder.store(builder.load(held), builder.gep(self.total, [_number(v)]), align=4)

    def _go_on(self):
        builder = self.builder
        builder.store(builder.add(builder.load(self.at), _number(1)), self.at)

    def _code(self, at):
        return self.builder.load(self.builder.gep(self.codes, [at]))

    def _add(self, go_on):
        """Add the row of the present place."""
        builder = self.builder
        code = self._code(builder.load(self.at))
        row = builder.zext(builder.lshr(code, code.type(8)), _INDEX)
        first = builder.mul(row, _number(len(self.sums)))
        for v, held in enumerate(self.sums):
            weight = _load(builder, self.weights, builder.add(first, _number(v)))
            builder.store(builder.fadd(builder.load(held), weight), held)
        if go_on:
            self._go_on()

    def _above(self):
        """Tell whether any sum is above the threshold."""
        builder, bits = self.builder, ir.IntType(LANES)
        found = ir.Constant(bits, 0)
        for held in self.sums:
            above = builder.fcmp_ordered(">", builder.load(held), self.threshold)
            found = builder.or_(found, builder.bitcast(above, bits))
        return builder.icmp_unsigned("!=", found, ir.Constant(bits, 0))

    def _step_ends(self, end):
        """Tell whether the next row belongs to another step, or there is none."""
        builder = self.builder
        here = builder.load(self.at)
        after = builder.add(here, _number(1))
        ended = builder.icmp_unsigned("==", after, end)
        following = self._code(builder.select(ended, here, after))
        times = builder.and_(builder.xor(self._code(here), following), following.type(255))
        return builder.or_(ended, builder.icmp_unsigned("!=", times, times.type(0)))


@intrinsic
def climb(context, total, weights, codes, begin, start, end, least, threshold):
    """Add weights until, at the end of a step, a sum in `total` (1, width) is above `threshold`.

    ``codes[begin:end]`` (int32): 256 times a row of `weights` (n, width) plus a step, ascending in
    step; work goes on at `start`. Nothing is looked at before `least` rows since `begin`. Returns
    the place of the last row added, or `end`. `width` is at most ``MOST * LANES``.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        zero = _number(0)
        out, vectors = _row(builder, _array(context, builder, kinds[0], arguments[0]), zero)
        table, _ = _row(builder, _array(context, builder, kinds[1], arguments[1]), zero)
        listed = _array(context, builder, kinds[2], arguments[2]).data
        limit = _spread(builder, arguments[7])
        answer = cgutils.alloca_once_value(builder, arguments[5])
        ready = builder.append_basic_block("climbed")
        choice = builder.switch(vectors, ready)
        for count in range(1, MOST + 1):
            block = builder.append_basic_block("vectors")
            choice.add_case(_number(count), block)
            builder.position_at_end(block)
            loops = _Climb(builder, count, out, table, listed, limit)
            loops.write(*arguments[3:7])
            builder.store(builder.load(loops.at), answer)
            builder.branch(ready)
        builder.position_at_end(ready)
        return builder.load(answer)

    numbers = (types.int64,) * 4
    return types.int64(total, weights, codes, *numbers, types.float32), generate
