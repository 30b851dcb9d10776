"""Sums over rows of numbers up to the step in which one is high enough, in vectors of `lanes`."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from spikingconvnet.engine.geometry import LANES
from spikingconvnet.engine.lanes import INDEX, VECTOR, array, constant, filled, load, vectors_of

MOST = 16
"""Vectors of a row up to which `climb` keeps all sums in registers."""


class _Climb:
    """Write the loops of `climb` for rows of so many vectors."""

    def __init__(self, builder, vectors, total, weights, codes, threshold):
        self.builder, self.total, self.weights, self.codes = builder, total, weights, codes
        self.threshold = threshold
        self.sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)]
        self.at = cgutils.alloca_once(builder, INDEX)

    def write(self, begin, start, end, least):
        """Write all; what comes next is written behind."""
        builder = self.builder
        names = ("blind", "blindly", "watch", "watching", "within", "rest", "ended", "on", "done")
        at = {name: builder.append_basic_block(name) for name in names}
        for v, held in enumerate(self.sums):
            builder.store(load(builder, self.total, constant(v)), held)
        builder.store(start, self.at)
        unseen = builder.sub(builder.add(begin, least), constant(1))
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
            builder.store(builder.load(held), builder.gep(self.total, [constant(v)]), align=4)

    def _go_on(self):
        builder = self.builder
        builder.store(builder.add(builder.load(self.at), constant(1)), self.at)

    def _code(self, at):
        return self.builder.load(self.builder.gep(self.codes, [at]))

    def _add(self, go_on):
        """Add the row of the present place."""
        builder = self.builder
        code = self._code(builder.load(self.at))
        row = builder.zext(builder.lshr(code, code.type(8)), INDEX)
        first = builder.mul(row, constant(len(self.sums)))
        for v, held in enumerate(self.sums):
            weight = load(builder, self.weights, builder.add(first, constant(v)))
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
        after = builder.add(here, constant(1))
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
        zero = constant(0)
        out, vectors = vectors_of(context, builder, kinds[0], arguments[0], zero)
        table, _ = vectors_of(context, builder, kinds[1], arguments[1], zero)
        listed = array(context, builder, kinds[2], arguments[2]).data
        limit = filled(builder, arguments[7])
        answer = cgutils.alloca_once_value(builder, arguments[5])
        ready = builder.append_basic_block("climbed")
        choice = builder.switch(vectors, ready)
        for count in range(1, MOST + 1):
            block = builder.append_basic_block("vectors")
            choice.add_case(constant(count), block)
            builder.position_at_end(block)
            loops = _Climb(builder, count, out, table, listed, limit)
            loops.write(*arguments[3:7])
            builder.store(builder.load(loops.at), answer)
            builder.branch(ready)
        builder.position_at_end(ready)
        return builder.load(answer)

    numbers = (types.int64,) * 4
    return types.int64(total, weights, codes, *numbers, types.float32), generate
