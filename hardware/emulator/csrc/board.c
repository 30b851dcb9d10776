/* The scheduler: what happens when. Handlers take no virtual time, packets and transfers none.
 *
 *   1. While a core is ready, the one that has been ready longest runs until it waits for
 *      interrupt (or for a slice of QUANTUM instructions, then it goes to the end of the queue).
 *   2. When all wait, cores with received packets are shown some of them, in the order in which
 *      they received their first; that makes them ready: back to 1.
 *   3. A core that has run for PATIENCE instructions without waiting is a hog: it probably polls
 *      for time to pass or for another core. Hogs run in turn, one slice each, and then time
 *      moves on by one slice: back to 1.
 *   4. When nothing else is left, time jumps to the next expiry of a timer, and all timers that
 *      expire at that moment raise their interrupts, chip by chip, core by core: back to 1.
 *      Time stands still when no timer runs that could interrupt, apart from the fast ones that
 *      doze.c describes: those alone do not make a board busy.
 *
 * So every tick of one instant is over before any packet of that instant is seen, and results
 * depend on neither the host's load nor on when its datagrams arrive. The only limit that the
 * caller sets, the allowance, is looked at between slices and changes no order.
 */
#include "board.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { QUANTUM = 200000, PATIENCE = 20000000 };
enum { VCPU_BASE = 0x7000, VCPU_SIZE = 128, SV_CLOCK_MS = 0x7f10, SV_TIME_MS = 0x7f18 };
enum { STATE_RTE = 2, RTE_UNDEFINED = 2, RTE_PREFETCH_ABORT = 4, RTE_DATA_ABORT = 5 };

/* --- queues ------------------------------------------------------------------------------- */

static int queue_init(core_queue_t *queue, uint32_t capacity) {
    *queue = (core_queue_t){.item = calloc(capacity, sizeof(core_t *)), .capacity = capacity};
    return queue->item ? 0 : -1;
}

static void push(core_queue_t *queue, core_t *core) {
    queue->item[(queue->head + queue->count++) % queue->capacity] = core;
}

static void push_front(core_queue_t *queue, core_t *core) {
    queue->head = (queue->head + queue->capacity - 1) % queue->capacity;
    queue->item[queue->head] = core;
    queue->count++;
}

static core_t *pop(core_queue_t *queue) {
    core_t *core = queue->item[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return core;
}

static void drop(core_queue_t *queue, const core_t *core) {
    for (uint32_t left = queue->count; left > 0; left--) {
        core_t *item = pop(queue);
        if (item != core)
            push(queue, item);
    }
}

/* --- cores -------------------------------------------------------------------------------- */

void board_wake(core_t *core) {
    if (core->state != CORE_WAITING)
        return;
    core->state = CORE_READY;
    core->queued = true;
    push(&core->chip->board->ready, core);
}

void board_has_packets(core_t *core) {
    if (core->in_inbox)
        return;
    core->in_inbox = true;
    push(&core->chip->board->inbox, core);
}

void board_stop_core(core_t *core) {
    board_t *board = core->chip->board;
    if (core->queued) {
        drop(&board->ready, core);
        drop(&board->hogs, core);
    }
    if (core->in_inbox)
        drop(&board->inbox, core);
    core->queued = core->in_inbox = false;
    core->state = CORE_OFF;
    timer_reset(core);
    vic_reset(core);
    dma_reset(core);
    comms_reset(core);
    doze_reset(core);
}

/* Begin at address 0 in supervisor mode, with interrupts off, as after a reset. */
void board_start_core(core_t *core, uint32_t r0) {
    board_stop_core(core);
    cpu_invalidate(&core->cpu, 0, ITCM_SIZE);
    cpu_reset(&core->cpu, r0, 0xd3, 0);
    core->waited_at = core->cpu.instructions;
    core->state = CORE_WAITING;
    board_wake(core);
}

/* A core that cannot even run its own fault handler is reported as SARK would report it. */
static void die(core_t *core, int exit) {
    uint8_t *vcpu = core->chip->sysram + VCPU_BASE + VCPU_SIZE * core->id;
    memcpy(vcpu, core->cpu.r, 32);
    memcpy(vcpu + 32, &core->cpu.cpsr, 4);
    memcpy(vcpu + 36, &core->cpu.r[13], 8);
    vcpu[44] = exit == CPU_UNDEFINED        ? RTE_UNDEFINED
               : exit == CPU_PREFETCH_ABORT ? RTE_PREFETCH_ABORT
                                            : RTE_DATA_ABORT;
    vcpu[46] = STATE_RTE;
    board_stop_core(core);
    core->state = CORE_DEAD;
    core->chip->board->deaths++;
}

static void wait(core_t *core) {
    core->state = CORE_WAITING;
    core->waited_at = core->cpu.instructions;
    core->comms.credit = 0;
    if (core->comms.count)
        board_has_packets(core);
    doze_consider(core);
    if (core->cpu.irq | core->cpu.fiq)
        board_wake(core);
}

static void run_slice(core_t *core) {
    board_t *board = core->chip->board;
    uint64_t before = core->cpu.instructions;
    core->queued = false;
    core->cpu.stop = 0;
    board->running = core;
    int exit = cpu_run(&core->cpu, QUANTUM);
    board->running = NULL;
    board->allowance -= (int64_t)(core->cpu.instructions - before) + 1;
    switch (exit) {
    case CPU_WAITING: wait(core); break;
    case CPU_STOPPED:
        core->queued = true;
        push_front(&board->ready, core);
        break;
    case CPU_BUDGET:
        core->queued = true;
        push(core->cpu.instructions - core->waited_at > PATIENCE ? &board->hogs : &board->ready,
             core);
        break;
    default: die(core, exit); break;
    }
}

/* --- time --------------------------------------------------------------------------------- */

static void set_time(board_t *board, uint64_t now) {
    uint64_t ms = now / CYCLES_PER_MS;
    if (ms != board->now / CYCLES_PER_MS) {
        uint16_t fraction = (uint16_t)(ms % 1000);
        for (uint32_t i = 0; i < board->chips; i++) {
            memcpy(board->chip[i].sysram + SV_CLOCK_MS, &ms, 8);
            memcpy(board->chip[i].sysram + SV_TIME_MS, &fraction, 2);
        }
    }
    board->now = now;
}

static core_t *core_at(board_t *board, uint32_t index) {
    return &board->chip[index / CORES_PER_CHIP].core[index % CORES_PER_CHIP];
}

static uint64_t next_expiry(const board_t *board) {
    uint64_t next = NEVER;
    uint32_t timers = board->chips * CORES_PER_CHIP * TIMERS_PER_CORE;
    for (uint32_t i = 0; i < timers; i++)
        if (board->expiry[i] < next)
            next = board->expiry[i];
    return next;
}

static bool time_matters(board_t *board) {
    uint32_t timers = board->chips * CORES_PER_CHIP * TIMERS_PER_CORE;
    for (uint32_t i = 0; i < timers; i++) {
        if (board->expiry[i] == NEVER)
            continue;
        core_t *core = core_at(board, i / TIMERS_PER_CORE);
        int which = (int)(i % TIMERS_PER_CORE);
        if (timer_interrupts(core, which) && timer_period(core, which) >= DOZE_PERIOD)
            return true;
    }
    return false;
}

static void move_to(board_t *board, uint64_t now) {
    uint32_t timers = board->chips * CORES_PER_CHIP * TIMERS_PER_CORE;
    set_time(board, now);
    for (uint32_t i = 0; i < timers; i++)
        if (board->expiry[i] <= now)
            timer_expire(core_at(board, i / TIMERS_PER_CORE), (int)(i % TIMERS_PER_CORE));
}

static void run_hogs(board_t *board) {
    for (uint32_t left = board->hogs.count; left > 0 && board->hogs.count > 0; left--)
        run_slice(pop(&board->hogs));
    uint64_t later = board->now + QUANTUM, next = next_expiry(board);
    move_to(board, next < later ? next : later);
}

/* Run until nothing is left to do, a monitor is wanted or the allowance is used up; with `settle`,
 * time stands still. */
enum run_result board_run(board_t *board, int64_t instructions, bool settle) {
    board->allowance = instructions;
    for (;;) {
        if (board->attention)
            return RUN_ATTENTION;
        if (board->allowance <= 0)
            return RUN_ALLOWANCE;
        if (board->ready.count) {
            run_slice(pop(&board->ready));
        } else if (board->inbox.count) {
            core_t *core = pop(&board->inbox);
            core->in_inbox = false;
            comms_hand_over(core);
        } else if (settle) {
            return RUN_IDLE;
        } else if (board->hogs.count) {
            run_hogs(board);
        } else if (time_matters(board)) {
            move_to(board, next_expiry(board));
        } else {
            return RUN_IDLE;
        }
    }
}

/* --- construction ------------------------------------------------------------------------- */

static int init_core(chip_t *chip, uint8_t id) {
    core_t *core = &chip->core[id];
    core->chip = chip;
    core->id = id;
    core->index = chip->index * CORES_PER_CHIP + id;
    if (cpu_init(&core->cpu))
        return -1;
    core->cpu.itcm = calloc(1, ITCM_SIZE);
    core->cpu.dtcm = calloc(1, DTCM_SIZE);
    core->cpu.sdram = chip->sdram;
    core->cpu.sysram = chip->sysram;
    core->cpu.read = core_bus_read;
    core->cpu.write = core_bus_write;
    core->cpu.owner = core;
    board_stop_core(core);
    return core->cpu.itcm && core->cpu.dtcm ? 0 : -1;
}

/* Chips come without position, cores or neighbours: the caller sets those. Memory is reserved,
 * not touched. */
int board_init(board_t *board, uint32_t chips, uint32_t sdram_size) {
    uint32_t cores = chips * CORES_PER_CHIP;
    *board = (board_t){.chips = chips, .sdram_size = sdram_size};
    board->chip = calloc(chips, sizeof(chip_t));
    board->expiry = malloc(sizeof(uint64_t) * cores * TIMERS_PER_CORE);
    if (!board->chip || !board->expiry || queue_init(&board->ready, cores) ||
        queue_init(&board->hogs, cores) || queue_init(&board->inbox, cores))
        return -1;
    for (uint32_t i = 0; i < chips; i++) {
        chip_t *chip = &board->chip[i];
        chip->board = board;
        chip->index = i;
        chip->sdram = mmap(NULL, sdram_size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (chip->sdram == MAP_FAILED)
            return -1;
        router_reset(chip);
        sysctl_reset(chip);
        for (uint8_t id = 0; id < CORES_PER_CHIP; id++)
            if (init_core(chip, id))
                return -1;
    }
    return 0;
}

void board_free(board_t *board) {
    for (uint32_t i = 0; board->chip && i < board->chips; i++) {
        chip_t *chip = &board->chip[i];
        for (int id = 0; id < CORES_PER_CHIP; id++) {
            core_t *core = &chip->core[id];
            cpu_free(&core->cpu);
            comms_free(core);
            doze_free(core);
            free(core->cpu.itcm);
            free(core->cpu.dtcm);
        }
        if (chip->sdram && chip->sdram != MAP_FAILED)
            munmap(chip->sdram, board->sdram_size);
    }
    free(board->chip);
    free(board->expiry);
    free(board->ready.item);
    free(board->hogs.item);
    free(board->inbox.item);
}
