/* The parts of a SpiNNaker chip and the boards made of them.
 *
 * Each part has a file of its own: cpu.c (the ARM968 core), timer.c, vic.c (interrupt controller),
 * dma.c, comms.c (communications controller), router.c, sysctl.c (system controller), chip.c (the
 * address map), watchdog.c (the firmware's) and two schedulers, which state the order of events:
 * board.c, where work takes no time, and timing.c, where it takes about what it takes on a real
 * board. All state hangs off one board; nothing is global, so several boards can live in one
 * process.
 *
 * Addresses, register offsets and interrupt numbers are those of the SpiNNaker data sheet and of
 * spinnaker_tools' include/spinnaker.h.
 */
#ifndef SPIKINGCONVNET_BOARD_H
#define SPIKINGCONVNET_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "workers.h"

enum {
    CORES_PER_CHIP = 18,
    LINKS_PER_CHIP = 6,
    TIMERS_PER_CORE = 2,
    ITCM_SIZE = 0x8000,
    DTCM_BASE = 0x400000,
    DTCM_SIZE = 0x10000,
    SYSRAM_SIZE = 0x8000,
    ROUTER_ENTRIES = 1024,
    P2P_WORDS = 8192,
    CYCLES_PER_MS = 200000, /* the cores run at 200 MHz */
};

#define NEVER UINT64_MAX

/* Interrupt sources of the vectored interrupt controller. */
enum interrupt_source {
    INT_SOFTWARE = 1,
    INT_TIMER1 = 4,
    INT_TIMER2 = 5,
    INT_CC_READY = 6,
    INT_CC_TX_EMPTY = 11,
    INT_DMA_DONE = 12,
    INT_ROUTER_DUMP = 16,
    INT_CPU = 18,
    INT_CC_TX_NOT_FULL = 23,
    INT_CC_MULTICAST = 24, /* 25 point to point, 26 nearest neighbour, 27 fixed route */
};

typedef struct board board_t;
typedef struct chip chip_t;
typedef struct core core_t;
typedef struct recorder recorder_t;

/* A packet: `control` is the control byte, bits 7:6 the type, bit 1 "has a payload"; `time` the
 * cycle at which it was sent, or arrives. */
typedef struct {
    uint64_t time;
    uint32_t key, payload;
    uint8_t control;
    bool again; /* had been dropped before */
} packet_t;

enum packet_type { PACKET_MULTICAST, PACKET_P2P, PACKET_NEIGHBOUR, PACKET_FIXED_ROUTE };

typedef struct {
    uint32_t load, background, control;
    uint32_t stopped_count; /* the count while the timer is disabled */
    bool expired;           /* raw interrupt */
} timer_t_;

typedef struct {
    uint32_t lines; /* what the peripherals assert */
    uint32_t soft;  /* software interrupts */
    uint32_t enable, select;
    uint32_t vector[16], control[16], default_vector;
    uint8_t slot_of[32];     /* source -> slot, 16 = the default vector */
    uint8_t in_service[18];  /* slots being served, innermost last */
    uint8_t depth;
} vic_t;

typedef struct {
    uint32_t system_address, tcm_address, description, global;
    uint32_t completions; /* transfers done and not yet acknowledged */
    uint64_t bytes;
    uint64_t end[2]; /* enforced timing: when the transfers end that are under way */
    uint32_t under_way;
    uint8_t *awaited_to; /* where `awaited` bytes go that have been sent for, see dma.c */
    const uint8_t *awaited_from;
    uint32_t awaited;
} dma_t;

typedef struct {
    uint32_t tx_control, tx_payload;
    bool tx_has_payload, tx_again;
    packet_t *queue; /* ring of received packets; capacity is a power of two */
    uint32_t head, count, capacity;
    uint32_t credit; /* how many may still be handed over before the next wait; with enforced
                        timing whether the first is in the register for received packets */
    uint64_t blocked; /* enforced timing: since when the second may have waited in the router */
    packet_t *outbox; /* sent in this round, routed at its end */
    uint32_t out_count, out_capacity;
    uint64_t sent, received;
} comms_t;

enum core_state { CORE_OFF, CORE_READY, CORE_WAITING, CORE_DEAD };

/* What a core does between two expiries of its first timer, one number of each kind. */
enum meter_kind { METER_INSTRUCTIONS, METER_DMA_BYTES, METER_PACKETS, METERS };

typedef struct {
    uint64_t began; /* the count when the tick began */
    uint64_t most, total;
} meter_t;

struct core {
    cpu_t cpu;
    chip_t *chip;
    uint32_t index; /* of the core on the board: chip index * 18 + virtual core */
    uint8_t id;     /* on the chip; physical and virtual numbers are the same */
    uint8_t state;
    uint8_t exit;           /* why it stopped running in this round */
    uint64_t expiry[TIMERS_PER_CORE]; /* cycle at which each timer expires, NEVER when stopped */
    uint64_t waited_at; /* instruction count when the core last waited */
    uint64_t tick_began; /* the same when its tick began */
    uint64_t counted;   /* instructions that have been charged to an allowance */
    uint64_t skew;      /* enforced timing: the core's clock less its cycles, see core_now */
    uint64_t polls, polled_at; /* cycles spent reading a counter at time `polled_at` */
    bool yields;               /* has spent so many that it goes on when time has moved */
    timer_t_ timer[TIMERS_PER_CORE];
    vic_t vic;
    dma_t dma;
    comms_t comms;
    meter_t meter[METERS];
    uint64_t ticks, overruns; /* measured, and those with more instructions than cycles */
    bool pinged;               /* by the watchdog, since it was started */
    uint8_t failures;          /* turns of the watchdog without an answer */
    bool touched;       /* has used a register that a dozing core may not use, see doze.c */
    struct doze *doze;
    recorder_t *recorder; /* NULL unless a test records this core */
};

typedef struct {
    uint32_t route[ROUTER_ENTRIES], key[ROUTER_ENTRIES], mask[ROUTER_ENTRIES];
    uint32_t used; /* one more than the highest entry ever written */
    uint32_t p2p[P2P_WORDS];
    uint32_t control, fixed_route, diagnostics_enable;
    uint32_t filter[16], counter[16];
    uint16_t counts[32]; /* packet class -> filters that match it, see router.c */
    struct {
        uint32_t key, generation, entry;
    } cache[4096];
    uint32_t generation;
    struct {
        packet_t packet;
        uint32_t status; /* where it should have gone, and the flags of the dump status */
    } dump;
    struct lost_packet *lost; /* dropped, and not yet sent again */
    uint32_t lost_count, lost_capacity;
} router_t;

/* The cores of a chip that have read a page of SDRAM by DMA, or written to it, one bit each. */
typedef struct {
    uint32_t readers, writers;
} sharing_t;

struct chip {
    board_t *board;
    uint32_t index;
    uint8_t x, y, cores;
    bool attention; /* an application core has signalled the monitor */
    uint8_t *sdram;
    sharing_t *sharing; /* one for each page of SDRAM, see sharing.c */
    uint8_t sysram[SYSRAM_SIZE];
    chip_t *neighbour[LINKS_PER_CHIP];
    uint64_t next_event, memory_free, link_free[LINKS_PER_CHIP]; /* see timing.c */
    uint64_t all_ticked;
    bool busy, simulates, lost_core;
    uint32_t flags, locks, interrupts, cpu_ok, disabled;
    router_t router;
    core_t core[CORES_PER_CHIP];
};

/* A set of cores, one bit each. */
typedef uint64_t core_set_t;

struct board {
    chip_t *chip;
    uint32_t chips;
    uint32_t sdram_size;
    uint64_t now;                /* cycles since start */
    uint64_t limit;              /* that `now` does not pass during a simulation, or NEVER */
    bool simulates;              /* a timer runs that is not one of doze.c's */
    uint64_t all_ticked;         /* when all such timers will have expired once more */
    uint64_t executed;           /* instructions, by all cores */
    core_set_t *ready;           /* have something to do */
    core_set_t *inbox;           /* have received packets that they have not been shown */
    core_set_t *timed;           /* have a timer that runs, or had one a moment ago */
    uint32_t words;              /* in a core set */
    core_t **round;              /* the cores of the present round, in the order of their numbers */
    uint32_t round_size, round_next;
    bool round_apart;            /* this round's cores have run apart from each other */
    workers_t *workers;
    core_t *running;             /* the core that executes now, or NULL */
    bool attention;              /* some chip's monitor is wanted */
    const cpu_native_t **translations; /* that cores may be using */
    uint32_t translation_count;
    uint32_t deaths;             /* cores that have left the scheduler by a fault or the watchdog */
    bool enforced;               /* timing.c schedules, with clocks for the cores */
    chip_t **window;             /* the chips that have something to do in the present window */
    uint32_t window_size;
    uint64_t window_end;
    struct letter *post;         /* what was sent in it */
    uint32_t post_capacity;
};

/* What a core takes for the time: its own clock where timing is enforced. */
static inline uint64_t core_now(const core_t *core) {
    return core->chip->board->enforced ? core->cpu.instructions + core->skew
                                       : core->chip->board->now;
}

/* vic.c */
void vic_reset(core_t *core);
void vic_lines(core_t *core, uint32_t mask, uint32_t asserted);
void vic_line(core_t *core, enum interrupt_source source, bool asserted);
uint32_t vic_read(core_t *core, uint32_t offset);
void vic_write(core_t *core, uint32_t offset, uint32_t value);

/* timer.c */
void timer_reset(core_t *core);
void timer_expire(core_t *core, int which);
bool timer_drives(const core_t *core, int which);
uint64_t timer_period(const core_t *core, int which);
bool timer_is_fast(const core_t *core, int which);
uint32_t timer_read(core_t *core, uint32_t offset);
void timer_write(core_t *core, uint32_t offset, uint32_t value);

/* dma.c */
void dma_reset(core_t *core);
void dma_fetch(core_t *core);
bool dma_is_private(core_t *core, uint32_t description);
void dma_advance(core_t *core, uint64_t now);
uint32_t dma_read(core_t *core, uint32_t offset);
void dma_write(core_t *core, uint32_t offset, uint32_t value);

/* sharing.c */
enum { SHARING_PAGE = 4096 }; /* bytes */
bool sharing_permits(core_t *core, uint32_t address, uint32_t length, bool write);
void sharing_note(core_t *core, uint32_t address, uint32_t length, bool write);
void sharing_forget(core_t *core);

/* comms.c */
void comms_reset(core_t *core);
void comms_free(core_t *core);
void comms_receive(core_t *core, const packet_t *packet);
void comms_hand_over(core_t *core);
void comms_send_out(core_t *core);
void comms_advance(core_t *core, uint64_t now);
uint64_t comms_next_event(core_t *core);
uint32_t comms_read(core_t *core, uint32_t offset);
void comms_write(core_t *core, uint32_t offset, uint32_t value);

/* router.c */
void router_reset(chip_t *chip);
void router_free(chip_t *chip);
void router_send(core_t *from, const packet_t *packet);
void router_drop(core_t *to, packet_t packet);
uint64_t router_patience(const chip_t *chip);
uint32_t router_read(chip_t *chip, uint32_t offset);
void router_write(chip_t *chip, uint32_t offset, uint32_t value);

/* sysctl.c */
void sysctl_reset(chip_t *chip);
uint32_t sysctl_read(chip_t *chip, uint32_t offset);
void sysctl_write(chip_t *chip, uint32_t offset, uint32_t value);

/* chip.c: the address map as the monitor and the application cores see it */
uint8_t *chip_memory(chip_t *chip, uint32_t address, uint32_t length);
bool chip_is_register(uint32_t address);
uint32_t chip_read_register(chip_t *chip, uint32_t address);
void chip_write_register(chip_t *chip, uint32_t address, uint32_t value);
uint32_t core_bus_read(cpu_t *cpu, uint32_t address, int size);
void core_bus_write(cpu_t *cpu, uint32_t address, uint32_t value, int size);
uint8_t *core_memory(core_t *core, uint32_t address, uint32_t length);

/* doze.c */
enum { DOZE_PERIOD = 4000 }; /* cycles: only timers faster than this are considered */
void doze_reset(core_t *core);
void doze_free(core_t *core);
void doze_consider(core_t *core);
void doze_rouse(core_t *core);

/* watchdog.c */
void watchdog_until(board_t *board, uint64_t time);

/* record.c */
int record_run(core_t *core, uint64_t budget);
int record_core(core_t *core, const char *path, uint32_t segments);
void record_end(core_t *core);

/* board.c */
enum { VCPU_STATE = 46 };
enum run_result { RUN_IDLE, RUN_ALLOWANCE, RUN_ATTENTION, RUN_LIMIT };
int board_init(board_t *board, uint32_t chips, uint32_t sdram_size, unsigned threads,
               bool enforced);
void board_free(board_t *board);
void board_start_core(core_t *core, uint32_t r0);
void board_stop_core(core_t *core);
void board_bury(core_t *core, uint8_t state);
uint8_t *board_vcpu(core_t *core);
void board_wake(core_t *core);
void board_has_packets(core_t *core, uint64_t when);
void board_timer_runs(core_t *core);
void board_lose_core(core_t *core, int exit);
void board_set_time(board_t *board, uint64_t now);
enum run_result board_run(board_t *board, int64_t instructions);

/* timing.c */
enum run_result timing_run(board_t *board, int64_t instructions);
uint64_t timing_transfer(core_t *core, uint32_t length);
void timing_arrive(packet_t *packet, const board_t *board);
void timing_cross(packet_t *packet, chip_t *chip, int link);

#endif
