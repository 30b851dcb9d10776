/* The firmware's watchdog: it looks whether the cores of a chip still answer.
 *
 * The host turns it on with the system variable soft_wdog, how many times a core may fail to; the
 * firmware, as SpiNNMan boots it, leaves that 0, and then nothing happens. Every 10 ms of virtual
 * time the next core is pinged: its mailbox gets a NOP and it is interrupted, to which SARK's
 * handler answers with the address where that happened. A core whose mailbox is still not empty
 * when its turn comes again has failed. SC&MP waits one millisecond for the answer, so a core is
 * stopped here up to one turn (170 ms for 17 cores) later than there.
 * Source: spinnaker_tools `scamp/scamp-3.c`, soft_wdog.
 */
#include <string.h>

#include "board.h"

enum { SOFT_WDOG = 0x7f43, TURN = 10 * CYCLES_PER_MS };
enum { VCPU_LR = 40, VCPU_MESSAGE = 48, VCPU_COMMAND = 56, COMMAND_IDLE = 0, COMMAND_NOP = 2 };
enum { STATE_WATCHDOG = 3, FIRST_STATE_ALIVE = 4, SYSCTL_SET_INTERRUPT = 0x08 };

static void ping(core_t *core, uint8_t most) {
    uint8_t *vcpu = board_vcpu(core);
    if (vcpu[VCPU_STATE] < FIRST_STATE_ALIVE || core->state == CORE_OFF) {
        core->pinged = false;
        core->failures = 0;
    } else if (vcpu[VCPU_COMMAND] == COMMAND_IDLE) {
        if (core->pinged)
            memcpy(vcpu + VCPU_LR, vcpu + VCPU_MESSAGE, 4);
        core->pinged = true;
        core->failures = 0;
        vcpu[VCPU_COMMAND] = COMMAND_NOP;
        sysctl_write(core->chip, SYSCTL_SET_INTERRUPT, 1u << core->id);
    } else if (++core->failures == most) {
        board_bury(core, STATE_WATCHDOG);
    }
}

/* Called before time moves from board->now. */
void watchdog_until(board_t *board, uint64_t time) {
    for (uint64_t turn = board->now / TURN + 1; turn <= time / TURN; turn++) {
        for (uint32_t i = 0; i < board->chips; i++) {
            chip_t *chip = &board->chip[i];
            uint8_t most = chip->sysram[SOFT_WDOG];
            if (most && chip->cores > 1)
                ping(&chip->core[1 + turn % (chip->cores - 1u)], most);
        }
    }
}
