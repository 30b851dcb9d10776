/* The scheduler: what happens when. Handlers take no virtual time, packets and transfers none.
 * (A board that enforces timing has another one, timing.c, and of this file only what stops and
 * starts cores.)
 *
 * The board works in rounds.
 *   1. Every core that is ready runs until it waits for interrupt, or for a slice of SLICE
 *      instructions; in the latter case it takes part in the next round too. If all of them have
 *      a running timer, as cores of a simulation have, they first run apart from each other, on
 *      as many threads as there are, up to the first use of something that the chip shares
 *      (router, system controller, and of its memory what sharing.c says), and then from there
 *      one after another.
 *   2. The packets that they sent are routed, core by core in the order of their numbers.
 *   3. Cores that have received packets but are not ready, or yield, are shown some of them.
 *   4. If now no core is ready but those that yield because they poll their timer (timer.c), time
 *      moves on by what they have polled away; if there are only hogs, which have run for PATIENCE
 *      instructions without waiting (they poll something else), by one slice.
 *   5. If none is ready at all, time jumps to the next expiry of a timer. It stands still when no
 *      timer runs that could interrupt, apart from the fast ones that doze.c describes: those
 *      alone do not make a board busy. While one does run, that is while a network is simulated,
 *      time does not pass the limit that the caller sets to keep pace with a clock of its own.
 *
 * So every tick of one instant is over before any packet of that instant is seen, cores do not
 * influence each other within a round but through the memory of their chip, and results depend on
 * neither the host's load nor on when its datagrams arrive. What the caller sets, an allowance of
 * instructions and the limit in time, is looked at between slices and changes no order.
 */
#include "board.h"
#include "cpu_native.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SLICE = 200000, PATIENCE = 20000000 };
enum { VCPU_BASE = 0x7000, VCPU_SIZE = 128, SV_CLOCK_MS = 0x7f10, SV_TIME_MS = 0x7f18 };
enum { STATE_RTE = 2, RTE_UNDEFINED = 2, RTE_PREFETCH_ABORT = 4, RTE_DATA_ABORT = 5 };

/* --- sets of cores ------------------------------------------------------------------------- */

/* May be called from several threads at once. */
static void add(core_set_t *set, const core_t *core) {
    core_set_t bit = (core_set_t)1 << core->index % 64, *word = &set[core->index / 64];
    if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
        __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

static void drop(core_set_t *set, const core_t *core) {
    set[core->index / 64] &= ~((core_set_t)1 << core->index % 64);
}

/* The first core of a set whose number is `from` or higher, or NULL. */
static core_t *next_core(board_t *board, const core_set_t *set, uint32_t from) {
    core_set_t rest = ~(core_set_t)0 << from % 64;
    for (uint32_t word = from / 64; word < board->words; word++, rest = ~(core_set_t)0) {
        if (set[word] & rest) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(set[word] & rest);
            return &board->chip[index / CORES_PER_CHIP].core[index % CORES_PER_CHIP];
        }
    }
    return NULL;
}

/* Go through a set in the order of the cores' numbers; the present one may be dropped. */
#define EACH_CORE(core, board, set)                                                                \
    core_t *core = next_core(board, set, 0);                                                       \
    core;                                                                                          \
    core = next_core(board, set, core->index + 1)

/* --- cores -------------------------------------------------------------------------------- */

void board_wake(core_t *core) {
    if (core->state != CORE_WAITING)
        return;
    core->state = CORE_READY;
    core->chip->next_event = 0; /* at once */
    core->chip->busy = true;
    add(core->chip->board->ready, core);
}

void board_has_packets(core_t *core, uint64_t when) {
    chip_t *chip = core->chip;
    add(chip->board->inbox, core);
    if (when < chip->next_event)
        chip->next_event = when;
    chip->busy = true;
}

void board_timer_runs(core_t *core) { add(core->chip->board->timed, core); }

void board_stop_core(core_t *core) {
    board_t *board = core->chip->board;
    drop(board->ready, core);
    drop(board->inbox, core);
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
    sharing_forget(core);
    cpu_reset(&core->cpu, r0, 0xd3, 0);
    core->waited_at = core->cpu.instructions;
    core->state = CORE_WAITING;
    core->exit = CPU_DEFERRED;
    core->yields = core->pinged = false;
    core->failures = 0;
    board_wake(core);
}

/* A core's block in its chip's system RAM. */
uint8_t *board_vcpu(core_t *core) {
    return core->chip->sysram + VCPU_BASE + VCPU_SIZE * core->id;
}

/* Take a core out of the scheduler for good: until it is started anew. */
void board_bury(core_t *core, uint8_t state) {
    board_vcpu(core)[VCPU_STATE] = state;
    board_stop_core(core);
    core->state = CORE_DEAD;
    core->chip->board->deaths++;
}

/* A core that cannot even run its own fault handler is reported as SARK would report it. */
void board_lose_core(core_t *core, int exit) {
    uint8_t *vcpu = board_vcpu(core);
    memcpy(vcpu, core->cpu.r, 32);
    memcpy(vcpu + 32, &core->cpu.cpsr, 4);
    memcpy(vcpu + 36, &core->cpu.r[13], 8);
    vcpu[44] = exit == CPU_UNDEFINED        ? RTE_UNDEFINED
               : exit == CPU_PREFETCH_ABORT ? RTE_PREFETCH_ABORT
                                            : RTE_DATA_ABORT;
    board_bury(core, STATE_RTE);
}

static void wait(core_t *core) {
    core->state = CORE_WAITING;
    core->waited_at = core->cpu.instructions;
    core->comms.credit = 0;
    if (core->comms.count)
        board_has_packets(core, core->chip->board->now);
    doze_consider(core);
    if (core->cpu.irq | core->cpu.fiq)
        board_wake(core);
}

static int run_slice(core_t *core) {
    int exit = core->recorder ? record_run(core, SLICE) : cpu_run(&core->cpu, SLICE);
    if (core->dma.awaited)
        dma_fetch(core);
    return exit;
}

/* Run a core for a slice, or until it would use what the chip shares. */
static void run_apart(void *item) {
    core_t *core = item;
    if (core->state != CORE_READY)
        return;
    core->cpu.isolated = 1;
    core->exit = (uint8_t)run_slice(core);
    core->cpu.isolated = 0;
}

/* Run a core for a slice, or on from where it was deferred. */
static void run_freely(core_t *core) {
    core->chip->board->running = core;
    core->exit = (uint8_t)run_slice(core);
    core->chip->board->running = NULL;
}

/* Finish a core's part in the round; false when it has stopped to let its monitor act first. */
static bool settle(core_t *core) {
    if (core->exit == CPU_DEFERRED || (core->exit == CPU_STOPPED && !core->yields))
        run_freely(core);
    switch (core->exit) {
    case CPU_WAITING: wait(core); return true;
    case CPU_BUDGET: add(core->chip->board->ready, core); return true;
    case CPU_STOPPED:
        if (core->yields)
            add(core->chip->board->ready, core);
        return core->yields;
    default: board_lose_core(core, core->exit); return true;
    }
}

static bool is_hog(const core_t *core) {
    return core->cpu.instructions - core->waited_at > PATIENCE;
}

/* --- rounds ------------------------------------------------------------------------------- */

/* How far time may move while only the cores of a round have something to do. */
enum pace { PACE_STILL, PACE_POLL, PACE_SLICE, PACE_FREE };

static enum pace pace_of(const core_t *core) {
    return core->yields ? PACE_POLL : is_hog(core) ? PACE_SLICE : PACE_STILL;
}

/* Take the ready cores that need no time to pass into a new round, or if there are none all ready
 * cores; returns the pace of the most urgent. */
static enum pace begin_round(board_t *board) {
    enum pace urgent = PACE_FREE;
    board->round_size = board->round_next = 0;
    board->round_apart = true;
    for (EACH_CORE(core, board, board->ready))
        if (pace_of(core) < urgent)
            urgent = pace_of(core);
    for (EACH_CORE(core, board, board->ready)) {
        if (urgent == PACE_STILL && pace_of(core) != PACE_STILL)
            continue;
        drop(board->ready, core);
        board->round[board->round_size++] = core;
        core->exit = CPU_DEFERRED;
        board->round_apart &= core->expiry[0] != NEVER;
    }
    return urgent;
}

static void end_round(board_t *board) {
    for (uint32_t i = 0; i < board->round_size; i++)
        comms_send_out(board->round[i]);
    board->round_size = board->round_next = 0;
}

/* Let the cores of a round that has not begun wait for another one. */
static void put_off_round(board_t *board) {
    for (uint32_t i = 0; i < board->round_size; i++)
        add(board->ready, board->round[i]);
    board->round_size = 0;
}

static void hand_over(board_t *board) {
    for (EACH_CORE(core, board, board->inbox)) {
        if (core->state == CORE_READY && !core->yields)
            continue;
        drop(board->inbox, core);
        comms_hand_over(core);
    }
}

/* --- time --------------------------------------------------------------------------------- */

void board_set_time(board_t *board, uint64_t now) {
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

/* Forget the cores whose timers have stopped, and return the next expiry of the others; note
 * what there is to know of those that drive a simulation. */
static uint64_t next_expiry(board_t *board) {
    uint64_t next = NEVER;
    board->simulates = false;
    board->all_ticked = board->now;
    for (EACH_CORE(core, board, board->timed)) {
        bool runs = false;
        for (int which = 0; which < TIMERS_PER_CORE; which++) {
            if (core->expiry[which] == NEVER)
                continue;
            runs = true;
            if (core->expiry[which] < next)
                next = core->expiry[which];
            if (!timer_drives(core, which))
                continue;
            board->simulates = true;
            if (core->expiry[which] > board->all_ticked)
                board->all_ticked = core->expiry[which];
        }
        if (!runs)
            drop(board->timed, core);
    }
    return next;
}

static void move_to(board_t *board, uint64_t now) {
    watchdog_until(board, now);
    board_set_time(board, now);
    for (EACH_CORE(core, board, board->timed))
        for (int which = 0; which < TIMERS_PER_CORE; which++)
            if (core->expiry[which] <= now)
                timer_expire(core, which);
}

/* What the core that has polled away least of the cores in the round has polled away. */
static uint64_t fewest_polls(const board_t *board) {
    uint64_t fewest = NEVER;
    for (uint32_t i = 0; i < board->round_size; i++)
        if (board->round[i]->yields && board->round[i]->polls < fewest)
            fewest = board->round[i]->polls;
    return fewest;
}

/* Move on to the next expiry, or less far if there are cores that poll; false when in a simulation
 * that would be past the limit. */
static bool let_time_pass(board_t *board, uint64_t next, enum pace pace) {
    uint64_t later = pace == PACE_FREE ? NEVER : board->now;
    if (pace == PACE_POLL)
        later += fewest_polls(board);
    else if (pace == PACE_SLICE)
        later += SLICE;
    if (later < next)
        next = later;
    if (board->simulates && next > board->limit) {
        put_off_round(board);
        if (pace == PACE_FREE && board->limit > board->now)
            move_to(board, board->limit);
        return false;
    }
    move_to(board, next);
    for (uint32_t i = 0; i < board->round_size; i++)
        board->round[i]->yields = false;
    return true;
}

/* Run until nothing is left to do, a monitor is wanted or about so many instructions are over. */
enum run_result board_run(board_t *board, int64_t instructions) {
    if (board->enforced)
        return timing_run(board, instructions);
    for (;;) {
        if (board->round_apart) {
            workers_do(board->workers, run_apart, (void **)board->round, board->round_size);
            board->round_apart = false;
        }
        for (; board->round_next < board->round_size; board->round_next++) {
            core_t *core = board->round[board->round_next];
            if (board->attention)
                return RUN_ATTENTION;
            if (instructions <= 0)
                return RUN_ALLOWANCE;
            bool settled = core->state != CORE_READY || settle(core);
            uint64_t executed = core->cpu.instructions - core->counted;
            core->counted = core->cpu.instructions;
            board->executed += executed;
            instructions -= (int64_t)executed + 1;
            if (!settled)
                return RUN_ATTENTION;
        }
        if (board->attention)
            return RUN_ATTENTION;
        end_round(board);
        hand_over(board);
        enum pace pace = begin_round(board);
        if (pace == PACE_STILL)
            continue;
        uint64_t next = next_expiry(board);
        if (pace == PACE_FREE && !board->simulates)
            return RUN_IDLE;
        if (!let_time_pass(board, next, pace))
            return RUN_LIMIT;
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
    core->cpu.itcm = chip->sdram + chip->board->sdram_size + id * (ITCM_SIZE + DTCM_SIZE);
    core->cpu.dtcm = core->cpu.itcm + ITCM_SIZE;
    core->cpu.sdram = chip->sdram;
    core->cpu.sysram = chip->sysram;
    core->cpu.read = core_bus_read;
    core->cpu.write = core_bus_write;
    core->cpu.owner = core;
    board_stop_core(core);
    return 0;
}

/* Reserve a chip's SDRAM and, behind it, its cores' own memories and the lists of who shares SDRAM,
 * or return NULL. Most of it will never be touched: with huge pages an idle board of 48 chips would take 330 MB in place of 27. */
static uint8_t *reserve(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#ifdef MADV_NOHUGEPAGE
    madvise(memory, size, MADV_NOHUGEPAGE);
#endif
    return memory;
}

static size_t memory_of_cores(void) { return (size_t)CORES_PER_CHIP * (ITCM_SIZE + DTCM_SIZE); }

static size_t memory_of_chip(const board_t *board) {
    size_t lists = board->sdram_size / SHARING_PAGE * sizeof(sharing_t);
    return board->sdram_size + memory_of_cores() + lists;
}

/* Chips come without position, cores or neighbours: the caller sets those. */
int board_init(board_t *board, uint32_t chips, uint32_t sdram_size, unsigned threads,
               bool enforced) {
    uint32_t cores = chips * CORES_PER_CHIP;
    *board = (board_t){.chips = chips, .sdram_size = sdram_size, .limit = NEVER, .enforced = enforced};
    board->chip = calloc(chips, sizeof(chip_t));
    board->words = (cores + 63) / 64;
    board->ready = calloc(board->words, sizeof(core_set_t));
    board->inbox = calloc(board->words, sizeof(core_set_t));
    board->timed = calloc(board->words, sizeof(core_set_t));
    board->round = calloc(cores, sizeof(core_t *));
    board->window = calloc(chips, sizeof(chip_t *));
    board->workers = workers_new(threads);
    if (!board->chip || !board->ready || !board->inbox || !board->timed || !board->round ||
        !board->window || !board->workers)
        return -1;
    for (uint32_t i = 0; i < chips; i++) {
        chip_t *chip = &board->chip[i];
        chip->board = board;
        chip->index = i;
        chip->sdram = reserve(memory_of_chip(board));
        if (!chip->sdram)
            return -1;
        chip->sharing = (sharing_t *)(chip->sdram + sdram_size + memory_of_cores());
        router_reset(chip);
        sysctl_reset(chip);
        for (uint8_t id = 0; id < CORES_PER_CHIP; id++)
            if (init_core(chip, id))
                return -1;
    }
    return 0;
}

void board_free(board_t *board) {
    workers_free(board->workers);
    for (uint32_t i = 0; board->chip && i < board->chips; i++) {
        chip_t *chip = &board->chip[i];
        for (int id = 0; id < CORES_PER_CHIP; id++) {
            core_t *core = &chip->core[id];
            cpu_free(&core->cpu);
            comms_free(core);
            doze_free(core);
            record_end(core);
        }
        router_free(chip);
        if (chip->sdram)
            munmap(chip->sdram, memory_of_chip(board));
    }
    for (uint32_t i = 0; i < board->translation_count; i++)
        cpu_native_free(board->translations[i]);
    free(board->translations);
    free(board->chip);
    free(board->ready);
    free(board->inbox);
    free(board->timed);
    free(board->round);
    free(board->window);
    free(board->post);
}
