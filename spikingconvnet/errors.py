"""The errors this toolkit raises: one root, and leaves that are also the builtin a caller expects.

A message names object, attribute, value met and what would be valid, for example
``ConvLayer.stride: 0 (must be at least 1)``. ``exit_code`` is what the command line returns:
2 when the request itself is wrong, 1 when a good request could not be carried out.
"""


class SpikingConvNetError(Exception):
    """Be the root of every error that this toolkit raises on purpose."""

    exit_code = 1


class UsageError(SpikingConvNetError, ValueError):
    """Report a request that cannot be met: bad option, unknown layer or class, wrong order."""

    exit_code = 2


class ConfigError(SpikingConvNetError, ValueError):
    """Report a name, type or value in the parameter file that is not valid."""

    exit_code = 2


class ModelError(SpikingConvNetError, ValueError):
    """Report a model, layer, neuron, encoder or rule description that is not valid."""

    exit_code = 2


class DataError(SpikingConvNetError, ValueError):
    """Report image data that is damaged, truncated, contradictory or not to be had."""


class StorageError(SpikingConvNetError, OSError):
    """Report a file of the run directory that cannot be written, read or trusted."""


class NotTrainedError(UsageError, LookupError):
    """Report a step that needs weights or a read-out that were never trained."""


class BoardError(SpikingConvNetError, RuntimeError):
    """Report a board that started but did not do what was asked of it."""


class BoardUnreachable(BoardError, ConnectionError):
    """Report a board, or a server that lends boards, that does not answer."""


class NoDataError(SpikingConvNetError, RuntimeError):
    """Report that results were asked of a back end that cannot give any (virtual machine)."""

    exit_code = 2


class DependencyError(SpikingConvNetError, ImportError):
    """Report a package that this step needs and that is missing, broken or of another version."""

    exit_code = 2
