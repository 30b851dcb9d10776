"""Vectors of `LANES` numbers of float32 as LLVM has them: what the intrinsics share.

Numba cannot know that two arrays do not overlap: its loops test for that at every row, and write a
running sum back to memory. Here the loops are given to LLVM with vectors, which any processor runs.
Arrays are contiguous, their rows a multiple of `LANES` long. Nothing is checked.
"""

from llvmlite import ir
from numba.core import cgutils

from spikingconvnet.engine.geometry import LANES

INDEX = ir.IntType(64)
VECTOR = ir.VectorType(ir.FloatType(), LANES)


def constant(value):
    """Return a constant of type INDEX."""
    return ir.Constant(INDEX, value)


def array(context, builder, kind, value):
    """Return an argument that is an array."""
    return context.make_array(kind)(context, builder, value)


def vectors_of(context, builder, kind, value, row):
    """Return a pointer to the vectors of a row of an array, and how many there are."""
    table = array(context, builder, kind, value)
    width = cgutils.unpack_tuple(builder, table.shape)[-1]
    vectors = builder.udiv(width, constant(LANES))
    data = builder.bitcast(table.data, VECTOR.as_pointer())
    return builder.gep(data, [builder.mul(row, vectors)]), vectors


def load(builder, pointer, at):
    """Return the vector that lies `at` vectors behind a pointer."""
    return builder.load(builder.gep(pointer, [at]), align=4)


def filled(builder, value):
    """Return a vector with a number in all its lanes."""
    first = builder.insert_element(
        ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(first, first, lanes)
