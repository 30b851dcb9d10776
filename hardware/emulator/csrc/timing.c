/* The scheduler where timing is enforced: about what a real board does when. It is an estimate.
 *
 * Every core has a clock of its own, which counts the cycles of its instructions (cpu_timed.c) and
 * of its waiting. The board works in windows of WINDOW cycles.
 *   1. A window begins with the first thing that is due: a core that has something to do, a timer,
 *      a packet, the end of a transfer. Time jumps there, but not past the caller's limit.
 *   2. Each chip that has something to do in the window does it, its cores one after another in the
 *      order of their numbers: a core takes what is due by its clock, then runs until the next
 *      such thing or the end of the window, which it notices at a taken branch, or until it waits
 *      for interrupt. What cores of a chip do
 *      to each other by way of memory and system controller is seen by higher numbers in this
 *      window, by lower ones in the next. Chips have nothing in common until the window is over, and
 *      are shared out among the threads.
 *   3. The packets that were sent are routed in the order of the time when they were, or of the
 *      cores' numbers. None arrives before the next window.
 *   4. Cores that have died are taken away, and signalled monitors act.
 *
 * So a handler that lasts longer than its tick delays the next one, and results depend neither on
 * the host's load nor on the number of threads. Not covered: senders are never held up, SDRAM
 * serves cores in the order in which they are simulated, and nothing waits for system RAM and
 * registers.
 */
#include <stdlib.h>

#include "board.h"

enum { WINDOW = CYCLES_PER_MS / 1000 };

/* A transfer waits like a single access, for 100 ns (S. Temple, "SpiNNaker Chip Resources",
 * SpiNNaker Workshop 2015), and then shares 1 GB/s with the other cores of its chip (E. Painkras
 * et al., IEEE J. Solid-State Circuits 48, 2013). */
enum { MEMORY_WAIT = 20, MEMORY_BYTES_PER_CYCLE = 5 };

/* Links carry 250 Mbit/s (Painkras et al.), packets have 40 or 72 bits. What a router takes is an
 * assumption of the right order: 200 ns. */
enum { ROUTER_CYCLES = 40, SHORT_BITS = 40, LONG_BITS = 72, HAS_PAYLOAD = 2 };
#define LINK_CYCLES(bits) ((bits) * 4 / 5)

struct letter {
    packet_t packet;
    core_t *from;
};

/* --- what things take ---------------------------------------------------------------------- */

/* When a transfer ends that is described now: behind the core's others, and those of the chip. */
uint64_t timing_transfer(core_t *core, uint32_t length) {
    uint64_t begin = core_now(core), *free_at = &core->chip->memory_free;
    if (*free_at > begin)
        begin = *free_at;
    *free_at = begin + length / MEMORY_BYTES_PER_CYCLE;
    return *free_at + MEMORY_WAIT;
}

/* A packet goes from a router to a core of its chip. */
void timing_arrive(packet_t *packet, const board_t *board) {
    if (!board->enforced)
        return;
    packet->time += ROUTER_CYCLES;
    if (packet->time < board->window_end)
        packet->time = board->window_end;
}

/* A packet goes through a router and over one of its links. */
void timing_cross(packet_t *packet, chip_t *chip, int link) {
    if (!chip->board->enforced)
        return;
    uint64_t *free_at = &chip->link_free[link];
    packet->time += ROUTER_CYCLES;
    if (packet->time < *free_at)
        packet->time = *free_at;
    packet->time += LINK_CYCLES(packet->control & HAS_PAYLOAD ? LONG_BITS : SHORT_BITS);
    *free_at = packet->time;
}

/* --- one core ------------------------------------------------------------------------------ */

static void set_clock(core_t *core, uint64_t now) { core->skew = now - core->cpu.instructions; }

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_event(core_t *core) {
    uint64_t next = earlier(core->expiry[0], core->expiry[1]);
    if (core->dma.under_way)
        next = earlier(next, core->dma.end[0]);
    return core->comms.count ? earlier(next, comms_next_event(core)) : next;
}

static void take_events(core_t *core, uint64_t now) {
    for (int which = 0; which < TIMERS_PER_CORE; which++)
        while (core->expiry[which] <= now)
            timer_expire(core, which);
    dma_advance(core, now);
    comms_advance(core, now);
}

static void run(core_t *core, uint64_t cycles) {
    core->exit = (uint8_t)cpu_run_timed(&core->cpu, cycles);
    if (core->exit == CPU_WAITING) {
        core->state = CORE_WAITING;
        core->waited_at = core->cpu.instructions;
        doze_consider(core);
        if (core->cpu.irq | core->cpu.fiq)
            board_wake(core);
    } else if (core->exit != CPU_BUDGET && core->exit != CPU_STOPPED) {
        core->chip->lost_core = true;
    }
}

static bool is_lost(const core_t *core) {
    return core->state == CORE_READY && core->exit != CPU_WAITING && core->exit != CPU_BUDGET &&
           core->exit != CPU_STOPPED && core->exit != CPU_DEFERRED;
}

static void work_core(core_t *core, uint64_t begin, uint64_t end) {
    if (core_now(core) < begin)
        set_clock(core, begin);
    for (uint64_t now; (now = core_now(core)) < end;) {
        take_events(core, now);
        uint64_t next = earlier(next_event(core), end);
        if (core->state == CORE_WAITING)
            set_clock(core, next);
        else if (core->state == CORE_READY && !is_lost(core))
            run(core, next - now);
        else
            return;
    }
}

/* --- one chip ------------------------------------------------------------------------------ */

/* Note when the chip has something to do next, and whether it is anything that matters. */
static void look_ahead(chip_t *chip) {
    chip->next_event = NEVER;
    chip->all_ticked = 0;
    chip->busy = chip->simulates = false;
    for (int id = 1; id < chip->cores; id++) {
        core_t *core = &chip->core[id];
        if (core->state != CORE_READY && core->state != CORE_WAITING)
            continue;
        bool ready = core->state == CORE_READY;
        chip->next_event = earlier(chip->next_event, ready ? core_now(core) : next_event(core));
        chip->busy |= ready || core->dma.under_way || core->comms.count > core->comms.credit;
        for (int which = 0; which < TIMERS_PER_CORE; which++) {
            if (!timer_drives(core, which))
                continue;
            chip->simulates = true;
            if (core->expiry[which] > chip->all_ticked)
                chip->all_ticked = core->expiry[which];
        }
    }
}

static void work_chip(void *item) {
    chip_t *chip = item;
    for (int id = 1; id < chip->cores; id++)
        if (chip->core[id].state == CORE_READY || chip->core[id].state == CORE_WAITING)
            work_core(&chip->core[id], chip->board->now, chip->board->window_end);
}

/* --- the board ----------------------------------------------------------------------------- */

/* Find out what is due next; false when there is nothing that could matter. */
static bool find_window(board_t *board, uint64_t *begin) {
    bool busy = board->simulates = false;
    board->all_ticked = board->now;
    *begin = NEVER;
    for (uint32_t i = 0; i < board->chips; i++) {
        chip_t *chip = &board->chip[i];
        *begin = earlier(*begin, chip->next_event);
        busy |= chip->busy;
        board->simulates |= chip->simulates;
        if (chip->all_ticked > board->all_ticked)
            board->all_ticked = chip->all_ticked;
    }
    if (*begin < board->now)
        *begin = board->now;
    return (busy || board->simulates) && *begin != NEVER;
}

static void work_window(board_t *board, uint64_t begin) {
    watchdog_until(board, begin);
    board_set_time(board, begin);
    board->window_end = begin + WINDOW;
    board->window_size = 0;
    for (uint32_t i = 0; i < board->chips; i++)
        if (board->chip[i].next_event < board->window_end)
            board->window[board->window_size++] = &board->chip[i];
    workers_do(board->workers, work_chip, (void **)board->window, board->window_size);
}

static int by_time(const void *left, const void *right) {
    const struct letter *a = left, *b = right;
    if (a->packet.time != b->packet.time)
        return a->packet.time < b->packet.time ? -1 : 1;
    return a->from->index < b->from->index ? -1 : a->from->index > b->from->index;
}

static uint32_t collect(board_t *board, core_t *core, uint32_t count) {
    comms_t *comms = &core->comms;
    if (count + comms->out_count > board->post_capacity) {
        board->post_capacity = 2 * (count + comms->out_count);
        board->post = realloc(board->post, board->post_capacity * sizeof(struct letter));
        if (!board->post)
            abort();
    }
    for (uint32_t i = 0; i < comms->out_count; i++)
        board->post[count + i] = (struct letter){comms->outbox[i], core};
    count += comms->out_count;
    comms->out_count = 0;
    return count;
}

/* Finish what the chips cannot do apart; returns how many instructions the window held. */
static uint64_t end_window(board_t *board) {
    uint32_t count = 0;
    uint64_t executed = 0;
    for (uint32_t i = 0; i < board->window_size; i++) {
        chip_t *chip = board->window[i];
        for (int id = 1; id < chip->cores; id++) {
            core_t *core = &chip->core[id];
            executed += core->cpu.instructions - core->cpu.stalls - core->counted;
            core->counted = core->cpu.instructions - core->cpu.stalls;
            if (core->comms.out_count)
                count = collect(board, core, count);
            if (chip->lost_core && is_lost(core))
                board_lose_core(core, core->exit);
        }
        chip->lost_core = false;
    }
    qsort(board->post, count, sizeof(struct letter), by_time);
    for (uint32_t i = 0; i < count; i++)
        router_send(board->post[i].from, &board->post[i].packet);
    board->executed += executed;
    return executed;
}

enum run_result timing_run(board_t *board, int64_t instructions) {
    for (uint32_t i = 0; i < board->chips; i++)
        look_ahead(&board->chip[i]);
    while (!board->attention) {
        uint64_t begin;
        if (!find_window(board, &begin))
            return RUN_IDLE;
        if (board->simulates && begin > board->limit) {
            if (board->limit > board->now)
                board_set_time(board, board->limit);
            return RUN_LIMIT;
        }
        if (instructions <= 0)
            return RUN_ALLOWANCE;
        work_window(board, begin);
        instructions -= (int64_t)end_window(board) + 1;
        for (uint32_t i = 0; i < board->window_size; i++)
            look_ahead(board->window[i]);
    }
    return RUN_ATTENTION;
}
