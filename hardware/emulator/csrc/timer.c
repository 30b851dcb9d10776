/* The two counter/timers of a core (ARM SP804), at offsets 0x00 and 0x20.
 *
 * A running timer is one number: the cycle at which it expires, kept in core->expiry where the
 * scheduler finds the next one. LOAD restarts the count, BG_LOAD changes only what it restarts
 * from. Unless timing is enforced handlers take no time, but code that polls COUNT must see it
 * move: each read costs POLL_CYCLES. A core that has spent YIELD_CYCLES in this way, or a tenth of
 * a shorter tick, stops and goes on when the board's time has caught up with it.
 */
#include <string.h>

#include "board.h"

enum { ONE_SHOT = 1, INTERRUPT = 0x20, PERIODIC = 0x40, ENABLED = 0x80, POLL_CYCLES = 40 };
enum { YIELD_CYCLES = CYCLES_PER_MS / 10, YIELDS_A_TICK = 10 };

static unsigned prescale(const timer_t_ *timer) {
    return ((timer->control >> 2) & 3) * 4; /* divide by 1, 16 or 256 */
}

static void start(core_t *core, int which, uint32_t count) {
    timer_t_ *timer = &core->timer[which];
    core->expiry[which] = core_now(core) + ((uint64_t)count << prescale(timer));
    board_timer_runs(core);
}

static void update(core_t *core, int which) {
    timer_t_ *timer = &core->timer[which];
    vic_line(core, which == 0 ? INT_TIMER1 : INT_TIMER2,
             timer->expired && (timer->control & INTERRUPT));
}

static uint64_t most_polls(const core_t *core) {
    uint64_t most = timer_period(core, 0) / YIELDS_A_TICK;
    return core->expiry[0] == NEVER || most > YIELD_CYCLES ? YIELD_CYCLES : most;
}

/* What time it is for a core that looks again and again. */
static uint64_t poll(core_t *core) {
    uint64_t now = core_now(core);
    if (core->chip->board->enforced)
        return now;
    if (core->polled_at != now) {
        core->polled_at = now;
        core->polls = 0;
    }
    core->polls += POLL_CYCLES;
    if (core->polls >= most_polls(core)) {
        core->yields = true;
        core->cpu.stop = 1;
    }
    return now + core->polls;
}

static uint32_t count(core_t *core, int which) {
    timer_t_ *timer = &core->timer[which];
    uint64_t end = core->expiry[which];
    if (end == NEVER)
        return timer->stopped_count;
    uint64_t now = poll(core);
    return now >= end ? 0 : (uint32_t)((end - now) >> prescale(timer));
}

static uint64_t reading(const core_t *core, int kind) {
    return kind == METER_INSTRUCTIONS ? core->cpu.instructions - core->cpu.stalls
           : kind == METER_DMA_BYTES  ? core->dma.bytes
                                      : core->comms.received;
}

static void begin_tick(core_t *core) {
    for (int kind = 0; kind < METERS; kind++)
        core->meter[kind].began = reading(core, kind);
    core->tick_began = core->cpu.instructions;
}

/* Whether the tick that is over was too short: it held more instructions than cycles, or, where
 * timing is enforced, the core has not waited for interrupt since it began. */
static bool overran(const core_t *core, uint64_t used) {
    if (core->chip->board->enforced)
        return core->waited_at < core->tick_began;
    return used > timer_period(core, 0);
}

/* A tick is over: see what the core did in it. */
static void measure_tick(core_t *core) {
    for (int kind = 0; kind < METERS; kind++) {
        meter_t *meter = &core->meter[kind];
        uint64_t used = reading(core, kind) - meter->began;
        meter->total += used;
        if (used > meter->most)
            meter->most = used;
        if (kind == METER_INSTRUCTIONS)
            core->overruns += overran(core, used);
    }
    core->ticks++;
    begin_tick(core);
}

void timer_reset(core_t *core) {
    core->ticks = core->overruns = 0;
    memset(core->meter, 0, sizeof(core->meter));
    for (int which = 0; which < TIMERS_PER_CORE; which++) {
        core->timer[which] = (timer_t_){.stopped_count = 0xffffffff};
        core->expiry[which] = NEVER;
    }
}

static bool timer_interrupts(const core_t *core, int which) {
    uint32_t bit = 1u << (which == 0 ? INT_TIMER1 : INT_TIMER2);
    return (core->timer[which].control & INTERRUPT) && (core->vic.enable & bit);
}

uint64_t timer_period(const core_t *core, int which) {
    return (uint64_t)core->timer[which].background << prescale(&core->timer[which]);
}

/* Whether it is one that doze.c may stop: periodic, and faster than any simulation's. */
bool timer_is_fast(const core_t *core, int which) {
    return !(core->timer[which].control & ONE_SHOT) && timer_period(core, which) < DOZE_PERIOD;
}

/* Whether it runs and drives a simulation. */
bool timer_drives(const core_t *core, int which) {
    return core->expiry[which] != NEVER && timer_interrupts(core, which) &&
           !timer_is_fast(core, which);
}

/* Called by the scheduler when the timer's time has come. */
void timer_expire(core_t *core, int which) {
    timer_t_ *timer = &core->timer[which];
    if (which == 0 && !timer_is_fast(core, 0))
        measure_tick(core);
    if (timer->control & ONE_SHOT) {
        core->expiry[which] = NEVER;
        timer->stopped_count = 0;
        timer->control &= ~(uint32_t)ENABLED;
    } else {
        uint64_t period = timer->control & PERIODIC ? timer->background : 0xffffffffu;
        core->expiry[which] += (period ? period : 1) << prescale(timer);
    }
    timer->expired = true;
    update(core, which);
}

uint32_t timer_read(core_t *core, uint32_t offset) {
    int which = (offset >> 5) & 1;
    timer_t_ *timer = &core->timer[which];
    switch (offset & 0x1f) {
    case 0x00: return timer->load;
    case 0x04: return count(core, which);
    case 0x08: return timer->control;
    case 0x10: return timer->expired;
    case 0x14: return timer->expired && (timer->control & INTERRUPT);
    case 0x18: return timer->background;
    default: return 0;
    }
}

void timer_write(core_t *core, uint32_t offset, uint32_t value) {
    int which = (offset >> 5) & 1;
    timer_t_ *timer = &core->timer[which];
    switch (offset & 0x1f) {
    case 0x00:
        timer->load = timer->background = timer->stopped_count = value;
        if (timer->control & ENABLED)
            start(core, which, value);
        break;
    case 0x08: {
        bool was = timer->control & ENABLED, is = value & ENABLED;
        if (was && !is) {
            timer->stopped_count = count(core, which);
            core->expiry[which] = NEVER;
        }
        timer->control = value;
        if (is && !was) {
            start(core, which, timer->stopped_count);
            if (which == 0)
                begin_tick(core);
        }
        update(core, which);
        break;
    }
    case 0x0c:
        timer->expired = false;
        update(core, which);
        break;
    case 0x18: timer->background = value; break;
    default: break;
    }
}
