"""Errors of the software board."""


class HardwareError(RuntimeError):
    """Anything that goes wrong with a board."""


class UnknownBoard(HardwareError, ValueError):
    """No description of the board that was asked for."""


class BadDescription(HardwareError, ValueError):
    """A file about a board that cannot be read or does not fit the board."""


class BadAddress(HardwareError, ValueError):
    """A network address or port that a board cannot be served at."""


class BadToolchain(HardwareError, ImportError):
    """No sPyNNaker that the board is made for."""


class BoardDied(HardwareError, ConnectionError):
    """The process that is the software board has ended or does not answer."""
