/* Dozing: a timer handler that changes nothing is not run again.
 *
 * The toolchain's extra monitors look every 10 microseconds whether the router has dropped a
 * packet. On this board it never has, and running that handler 100 times a millisecond on every
 * chip would cost more than the network. So a core whose fast timer handler has left registers and
 * data memory as they were, and has used no register but those of chip.c's leaves_no_trace, would
 * do the same at every further expiry: its timer is stopped until anything else happens to the
 * core (an interrupt line moves, or the host writes to the chip), and then goes on in step.
 * Not covered: a handler this fast that watches memory which another core writes.
 */
#include <stdlib.h>
#include <string.h>

#include "board.h"

struct doze {
    bool asleep, has_snapshot;
    uint64_t expiry; /* an expiry of the stopped timer, to go on in step */
    uint32_t r[16], cpsr;
    uint8_t dtcm[DTCM_SIZE];
};

void doze_reset(core_t *core) {
    core->touched = true;
    if (core->doze)
        core->doze->asleep = core->doze->has_snapshot = false;
}

void doze_free(core_t *core) { free(core->doze); }

static bool unchanged(const core_t *core) {
    const struct doze *doze = core->doze;
    return doze->has_snapshot && doze->cpsr == core->cpu.cpsr &&
           memcmp(doze->r, core->cpu.r, sizeof(doze->r)) == 0 &&
           memcmp(doze->dtcm, core->cpu.dtcm, DTCM_SIZE) == 0;
}

/* Called when the core waits for interrupt. */
void doze_consider(core_t *core) {
    uint64_t *end = &core->expiry[0];
    if (*end == NEVER || !timer_is_fast(core, 0))
        return;
    if (!core->doze && !(core->doze = calloc(1, sizeof(struct doze))))
        return;
    struct doze *doze = core->doze;
    if (core->touched) {
        core->touched = doze->has_snapshot = false;
    } else if (unchanged(core)) {
        doze->asleep = true;
        doze->expiry = *end;
        *end = NEVER;
    } else {
        doze->has_snapshot = true;
        doze->cpsr = core->cpu.cpsr;
        memcpy(doze->r, core->cpu.r, sizeof(doze->r));
        memcpy(doze->dtcm, core->cpu.dtcm, DTCM_SIZE);
    }
}

/* Something has happened to the core: let its timer go on. */
void doze_rouse(core_t *core) {
    struct doze *doze = core->doze;
    if (!doze || !doze->asleep)
        return;
    uint64_t now = core->chip->board->now, period = timer_period(core, 0), next = doze->expiry;
    if (next <= now)
        next += (now - next) / period * period + period;
    core->expiry[0] = next;
    board_timer_runs(core);
    doze->asleep = doze->has_snapshot = false;
    core->touched = true;
}
