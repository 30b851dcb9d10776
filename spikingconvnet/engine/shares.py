"""Sums over rows of numbers of which each spike counts a share, in vectors (see `lanes`)."""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from spikingconvnet.engine.lanes import INDEX, VECTOR, array, constant, filled, load, vectors_of


def _shares(context, builder, kinds, values):
    """Return, by place in the lists of spikes, the row of weights and the share that it counts."""
    units, steps, shares = (
        array(context, builder, kind, value).data for kind, value in zip(kinds, values, strict=True)
    )

    def at(place):
        row = builder.zext(builder.load(builder.gep(units, [place])), INDEX)
        step = builder.zext(builder.load(builder.gep(steps, [place])), INDEX)
        return row, filled(builder, builder.load(builder.gep(shares, [step])))

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
        out = array(context, builder, kinds[0], arguments[0]).data
        out = builder.bitcast(out, VECTOR.as_pointer())
        table, vectors = vectors_of(context, builder, kinds[1], arguments[1], constant(0))
        spike, span = _shares(context, builder, kinds[2:5], arguments[2:5]), arguments[5:]
        held = cgutils.alloca_once(builder, VECTOR)
        with cgutils.for_range(builder, vectors, intp=INDEX) as part:
            builder.store(load(builder, out, part.index), held)
            with cgutils.for_range_slice(builder, *span, constant(1), INDEX) as (at, _):
                row, counts = spike(at)
                place = builder.add(builder.mul(row, vectors), part.index)
                added = builder.fmul(counts, load(builder, table, place), flags=_FUSED)
                builder.store(builder.fadd(builder.load(held), added, flags=_FUSED), held)
            builder.store(builder.load(held), builder.gep(out, [part.index]), align=4)
        return context.get_dummy_value()

    return types.void(total, rows, unit, step, share, types.int64, types.int64), generate


@intrinsic
def spread_shares(context, rows, by, unit, step, share, first, end):
    """Add ``share[step[k]] * by`` to ``rows[unit[k]]``; the arguments are those of `add_shares`."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        table, vectors = vectors_of(context, builder, kinds[0], arguments[0], constant(0))
        given = array(context, builder, kinds[1], arguments[1]).data
        given = builder.bitcast(given, VECTOR.as_pointer())
        spike, span = _shares(context, builder, kinds[2:5], arguments[2:5]), arguments[5:]
        with cgutils.for_range_slice(builder, *span, constant(1), INDEX) as (at, _):
            row, counts = spike(at)
            with cgutils.for_range(builder, vectors, intp=INDEX) as part:
                place = builder.add(builder.mul(row, vectors), part.index)
                added = builder.fmul(counts, load(builder, given, part.index), flags=_FUSED)
                new = builder.fadd(load(builder, table, place), added, flags=_FUSED)
                builder.store(new, builder.gep(table, [place]), align=4)
        return context.get_dummy_value()

    return types.void(rows, by, unit, step, share, types.int64, types.int64), generate
