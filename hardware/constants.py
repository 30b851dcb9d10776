"""Numbers that the host, the monitor and the binaries agree on.

Sources: the SpiNNaker data sheet and spinnaker_tools' `include/spinnaker.h`, `include/sark.h` and
`scamp/scamp.h`.
"""

from enum import IntEnum
from typing import Final

SCP_PORT: Final = 17893
"""UDP port on which a booted board takes SDP messages."""

BOOT_PORT: Final = 54321
"""UDP port on which a board that is not booted takes the firmware."""
SPALLOC_PORT: Final = 22244
"""TCP port of the older spalloc protocol (spalloc_client.spalloc_config)."""
SPALLOC_SOFTWARE: Final = "software"
"""Tag by which our spalloc server tells that what it lends is software."""

ITCM_SIZE: Final = 0x8000
DTCM_BASE: Final = 0x00400000
DTCM_SIZE: Final = 0x10000

SDRAM: Final = 0x60000000
SDRAM_SIZE: Final = 0x08000000
SDRAM_SYSTEM_SIZE: Final = 0x00800000
"""Bytes at the top of SDRAM that the monitor keeps for itself."""
SYSTEM_BUFFER_SIZE: Final = 0x20000
"""Bytes at the bottom of SDRAM reserved for each core."""
SDRAM_LOAD_AREA: Final = 0x40000
"""Bytes at the bottom of the system area into which binaries are loaded."""

SYSRAM: Final = 0xE5000000
SYSRAM_HEAP: Final = SYSRAM + 0x1100
SYSRAM_HEAP_TOP: Final = SYSRAM + 0x7000

VCPU: Final = 0xE5007000
VCPU_SIZE: Final = 128
VCPU_KEPT: Final = 112
"""Bytes of a vcpu block that a restart clears; the host's user words behind them are kept."""
SYSTEM_VARIABLES: Final = 0xE5007F00

ROUTER: Final = 0xE1000000
ROUTER_CONTROL: Final = ROUTER
ROUTER_DIAGNOSTICS: Final = ROUTER + 0x2C
ROUTER_FIXED_ROUTE: Final = ROUTER + 0x84
ROUTER_FILTERS: Final = ROUTER + 0x200
ROUTER_ROUTES: Final = ROUTER + 0x4000
ROUTER_KEYS: Final = ROUTER + 0x8000
ROUTER_MASKS: Final = ROUTER + 0xC000
ROUTER_P2P: Final = ROUTER + 0x10000
ROUTER_ENTRIES: Final = 1024
P2P_SELF: Final = 7
P2P_NONE: Final = 6

SYSCTL: Final = 0xE2000000
SYSCTL_SET_IRQ: Final = 0xE2000008
SYSCTL_CLEAR_IRQ: Final = 0xE200000C
SYSCTL_SET_FLAGS: Final = 0xE2000058
SYSCTL_CLEAR_FLAGS: Final = 0xE200005C
SYSCTL_CODE: Final = 0x5EC00000

CORES_PER_CHIP: Final = 18
SDRAM_HEAP: Final = SDRAM + SYSTEM_BUFFER_SIZE * CORES_PER_CHIP
SDRAM_USABLE: Final = SDRAM + SDRAM_SIZE - SDRAM_SYSTEM_SIZE - SDRAM_HEAP - 32
"""Bytes that applications may have of a chip's SDRAM: one block, without the heap's own 32."""
LINKS: Final = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))
"""Chip offset (x, y) behind each link: E, NE, N, W, SW, S."""

CYCLES_PER_MS: Final = 200_000
CPU_MHZ: Final = 200
SDRAM_MHZ: Final = 130
SOFTWARE_VERSION: Final = 0x00040000
"""4.0.0; the binaries insist on the same major version and at least their minor version."""

SDP_DATA: Final = 256
"""Bytes of user data in one SDP message."""


class Command(IntEnum):
    """SCP commands."""

    VER = 0
    RUN = 1
    READ = 2
    WRITE = 3
    APLX = 4
    FILL = 5
    COUNT = 15
    REMAP = 16
    LINK_READ = 17
    LINK_WRITE = 18
    AR = 19
    NNP = 20
    APP_COPY_RUN = 21
    SIG = 22
    FFD = 23
    AS = 24
    LED = 25
    IPTAG = 26
    SROM = 27
    ALLOC = 28
    RTR = 29
    RSVD = 30
    INFO = 31
    SYNC = 32
    TUBE = 64


class Result(IntEnum):
    """SCP return codes."""

    OK = 0x80
    LENGTH = 0x81
    SUM = 0x82
    COMMAND = 0x83
    ARGUMENT = 0x84
    PORT = 0x85
    TIMEOUT = 0x86
    ROUTE = 0x87
    CPU = 0x88
    DEAD = 0x89
    BUFFER = 0x8A
    P2P_NO_REPLY = 0x8B
    P2P_REJECT = 0x8C
    P2P_BUSY = 0x8D
    P2P_TIMEOUT = 0x8E
    PACKET = 0x8F


class CoreState(IntEnum):
    """What a core says of itself in its vcpu block."""

    DEAD = 0
    POWERED_DOWN = 1
    RUN_TIME_ERROR = 2
    WATCHDOG = 3
    INITIALISING = 4
    READY = 5
    SARK = 6
    RUNNING = 7
    SYNC0 = 8
    SYNC1 = 9
    PAUSED = 10
    FINISHED = 11
    IDLE = 15


class Signal(IntEnum):
    """Signals to the cores of an application."""

    INIT = 0
    POWER_DOWN = 1
    STOP = 2
    START = 3
    SYNC0 = 4
    SYNC1 = 5
    PAUSE = 6
    CONTINUE = 7
    EXIT = 8
    TIMER = 9
    USER0 = 10
    USER1 = 11
    USER2 = 12
    USER3 = 13


class Mailbox(IntEnum):
    """Commands in the mailboxes between the monitor and a core."""

    IDLE = 0
    MESSAGE = 1
    NOP = 2
    SIGNAL = 3
    COMMAND = 4
