/* The router of a chip: multicast and fixed-route packets between cores and chips.
 *
 * The first entry whose key matches under its mask wins. A multicast packet that matches nothing
 * goes straight on if it came over a link and is dropped if a local core sent it. With ideal timing
 * nothing is ever dropped for want of room; where timing is enforced, a packet for a core that does
 * not take it in time is (comms.c). The reinjector of the toolchain sees it in the dump registers
 * and sends it again, which here takes it to that core alone. MAX_HOPS stands in for the ageing
 * that ends endless loops. Point-to-point and neighbour packets belong to the monitors, which are not emulated at
 * that level, and are dropped. Entries are remembered by key; any write to a table forgets them.
 */
#include <stdlib.h>
#include <string.h>

#include "board.h"

enum { MAX_HOPS = 512, LINK_MASK = 0x3f, FROM_CORE = -1, NO_ENTRY = ROUTER_ENTRIES };
enum { CACHE_SIZE = sizeof(((router_t *)0)->cache) / sizeof(((router_t *)0)->cache[0]) };
enum { P2P_NO_ROUTES = 066666666, PAYLOAD = 2, COUNTER_DUMPED = 1 }; /* octal: eight times 6 */
enum { WAIT1 = 16, WAIT2 = 24, FOREVER = 0xff, DUMP_INTERRUPT = 4 }; /* in the control register */
enum { DUMPED = 1u << 31, OVERFLOW = 1 << 30, OUTPUTS = 0xffffff };  /* in the dump status */
enum { FROM_LOCAL = 7 };                                             /* in the dump header */

struct lost_packet {
    packet_t packet;
    core_t *to;
};

/* Which of the 16 diagnostic filters a packet passes, but for its destination. Filter bits: 3:0
 * type, 7:4 emergency state (4 = none), 10 default-routed, 11 not, 12 with payload, 13 without,
 * 14 from a local core, 15 from a link, 24:16 destination (dump, cores, monitor, six links). */
static void classify_filters(router_t *router) {
    for (unsigned class = 0; class < 32; class++) {
        unsigned type = class >> 3, straight = (class >> 2) & 1, payload = (class >> 1) & 1;
        uint32_t need = 1u << type | 1u << 4 | 1u << (straight ? 10 : 11) |
                        1u << (payload ? 12 : 13) | 1u << (class & 1 ? 14 : 15);
        router->counts[class] = 0;
        for (int i = 0; i < 16; i++)
            if ((router->filter[i] & need) == need && (router->diagnostics_enable >> i & 1))
                router->counts[class] |= (uint16_t)(1u << i);
    }
}

static void count(router_t *router, const packet_t *packet, bool straight, bool local, uint32_t route) {
    unsigned class = (unsigned)(packet->control >> 6) << 3 | (unsigned)straight << 2 |
                     (unsigned)((packet->control & PAYLOAD) != 0) << 1 | (unsigned)local;
    uint32_t where = route ? (route & LINK_MASK) << 3 : COUNTER_DUMPED;
    if (route >> (LINKS_PER_CHIP + 1))
        where |= 2;
    if (route >> LINKS_PER_CHIP & 1)
        where |= 4;
    for (unsigned left = router->counts[class]; left; left &= left - 1) {
        int i = __builtin_ctz(left);
        if (router->filter[i] >> 16 & where)
            router->counter[i]++;
    }
}

static uint32_t look_up(router_t *router, uint32_t key) {
    uint32_t slot = (key * 2654435761u) >> 20 & (CACHE_SIZE - 1);
    if (router->cache[slot].generation == router->generation && router->cache[slot].key == key)
        return router->cache[slot].entry;
    uint32_t entry = 0;
    while (entry < router->used &&
           ((key & router->mask[entry]) != router->key[entry] || router->route[entry] >> 24 == 0xff))
        entry++;
    if (entry >= router->used)
        entry = NO_ENTRY;
    router->cache[slot].key = key;
    router->cache[slot].generation = router->generation;
    router->cache[slot].entry = entry;
    return entry;
}

/* How long a wait register makes a packet wait: mantissa 3:0 and exponent 7:4 count cycles of the
 * router's 133 MHz (data sheet, router control register). */
static uint64_t wait_cycles(uint32_t value) {
    uint32_t mantissa = value & 15, exponent = value >> 4 & 15;
    uint64_t base = exponent <= 4 ? mantissa + 16 - (16u >> exponent) : mantissa + 16;
    return (base << exponent) * 3 / 2;
}

/* How long a packet waits for a core before it is dropped, or NEVER. */
uint64_t router_patience(const chip_t *chip) {
    uint32_t wait1 = chip->router.control >> WAIT1 & 0xff, wait2 = chip->router.control >> WAIT2;
    if (wait1 == FOREVER || wait2 == FOREVER)
        return NEVER;
    return wait_cycles(wait1) + wait_cycles(wait2);
}

static void remember(router_t *router, packet_t packet, core_t *to) {
    if (router->lost_count == router->lost_capacity) {
        router->lost_capacity = router->lost_capacity ? router->lost_capacity * 2 : 64;
        router->lost = realloc(router->lost, router->lost_capacity * sizeof(*router->lost));
        if (!router->lost)
            abort();
    }
    router->lost[router->lost_count++] = (struct lost_packet){packet, to};
}

/* The core that a packet was dropped for, if it is one that was; it is forgotten. */
static core_t *recall(router_t *router, const packet_t *packet) {
    for (uint32_t i = 0; i < router->lost_count; i++) {
        packet_t *lost = &router->lost[i].packet;
        if (lost->key != packet->key || lost->payload != packet->payload)
            continue;
        core_t *to = router->lost[i].to;
        memmove(router->lost + i, router->lost + i + 1,
                (--router->lost_count - i) * sizeof(*router->lost));
        return to;
    }
    return NULL;
}

static void show_dump(chip_t *chip) {
    router_t *router = &chip->router;
    bool asserted = (router->dump.status & DUMPED) && (router->control & DUMP_INTERRUPT);
    for (int id = 1; id < chip->cores; id++)
        vic_line(&chip->core[id], INT_ROUTER_DUMP, asserted);
}

/* Give up a packet that a core does not take. Whoever reads the dump registers can save it, unless
 * they still hold another one. */
void router_drop(core_t *to, packet_t packet) {
    router_t *router = &to->chip->router;
    count(router, &packet, false, true, 0);
    if (router->dump.status & DUMPED) {
        router->dump.status |= OVERFLOW;
        return;
    }
    router->dump.packet = packet;
    router->dump.status = DUMPED | 1u << (LINKS_PER_CHIP + to->id);
    remember(router, packet, to);
    show_dump(to->chip);
}

static uint32_t read_dump(chip_t *chip, uint32_t offset) {
    router_t *router = &chip->router;
    uint32_t status = router->dump.status;
    switch (offset) {
    case 0x18: return FROM_LOCAL << 24 | (uint32_t)router->dump.packet.control << 16;
    case 0x1c: return router->dump.packet.key;
    case 0x20: return router->dump.packet.payload;
    case 0x24: return status & OUTPUTS;
    default: /* the status, which is cleared */
        router->dump.status = 0;
        show_dump(chip);
        return status;
    }
}

static void deliver(core_t *core, const packet_t *packet) {
    packet_t arriving = *packet;
    timing_arrive(&arriving, core->chip->board);
    comms_receive(core, &arriving);
}

/* A packet arrives at a router, from a core or over the link `from` of this chip. */
static void arrive(chip_t *chip, const packet_t *packet, int from, int hops) {
    router_t *router = &chip->router;
    uint32_t route = 0;
    bool straight = false;
    switch (packet->control >> 6) {
    case PACKET_MULTICAST: {
        uint32_t entry = look_up(router, packet->key);
        straight = entry == NO_ENTRY && from != FROM_CORE;
        if (entry != NO_ENTRY)
            route = router->route[entry];
        else if (straight)
            route = 1u << (from + 3) % LINKS_PER_CHIP;
        break;
    }
    case PACKET_FIXED_ROUTE: route = router->fixed_route & 0xffffff; break;
    default: break;
    }
    count(router, packet, straight, from == FROM_CORE, route);
    for (uint32_t cores = route >> LINKS_PER_CHIP; cores; cores &= cores - 1) {
        int id = __builtin_ctz(cores);
        if (id < chip->cores)
            deliver(&chip->core[id], packet);
    }
    for (uint32_t links = route & LINK_MASK; links && hops < MAX_HOPS; links &= links - 1) {
        int link = __builtin_ctz(links);
        packet_t crossing = *packet;
        if (!chip->neighbour[link])
            continue;
        timing_cross(&crossing, chip, link);
        arrive(chip->neighbour[link], &crossing, (link + 3) % LINKS_PER_CHIP, hops + 1);
    }
}

void router_send(core_t *from, const packet_t *packet) {
    packet_t sent = *packet;
    core_t *to = sent.again ? recall(&from->chip->router, packet) : NULL;
    sent.again = false;
    if (to)
        deliver(to, &sent);
    else
        arrive(from->chip, &sent, FROM_CORE, 0);
}

void router_free(chip_t *chip) { free(chip->router.lost); }

/* Set up the router of a new chip, which is all zeros. */
void router_reset(chip_t *chip) {
    router_t *router = &chip->router;
    memset(router->route, 0xff, sizeof(router->route));
    memset(router->key, 0xff, sizeof(router->key));
    for (int i = 0; i < P2P_WORDS; i++)
        router->p2p[i] = P2P_NO_ROUTES;
    router->generation = 1;
}

static uint32_t *table_word(router_t *router, uint32_t offset) {
    if (offset >= 0x10000 && offset < 0x10000 + 4 * P2P_WORDS)
        return &router->p2p[(offset - 0x10000) / 4];
    uint32_t entry = (offset & 0x3fff) / 4;
    if (entry >= ROUTER_ENTRIES)
        return NULL;
    switch (offset >> 14) {
    case 1: return &router->route[entry];
    case 2: return &router->key[entry];
    case 3: return &router->mask[entry];
    default: return NULL;
    }
}

uint32_t router_read(chip_t *chip, uint32_t offset) {
    router_t *router = &chip->router;
    if (offset >= 0x4000) {
        uint32_t *word = table_word(router, offset);
        return word ? *word : 0;
    }
    if (offset >= 0x200 && offset < 0x240)
        return router->filter[(offset - 0x200) / 4];
    if (offset >= 0x300 && offset < 0x340)
        return router->counter[(offset - 0x300) / 4];
    switch (offset) {
    case 0x00: return router->control;
    case 0x04: return router->dump.status & DUMPED ? 5u << 29 : 0; /* dump, and any, interrupt */
    case 0x18:
    case 0x1c:
    case 0x20:
    case 0x24:
    case 0x28: return read_dump(chip, offset);
    case 0x2c: return router->diagnostics_enable;
    case 0x84: return router->fixed_route;
    default: return 0;
    }
}

void router_write(chip_t *chip, uint32_t offset, uint32_t value) {
    router_t *router = &chip->router;
    if (offset >= 0x4000) {
        uint32_t *word = table_word(router, offset);
        if (!word)
            return;
        *word = value;
        if (offset < 0x10000) {
            uint32_t entry = (offset & 0x3fff) / 4;
            if (entry >= router->used)
                router->used = entry + 1;
            router->generation++;
        }
    } else if (offset >= 0x200 && offset < 0x240) {
        router->filter[(offset - 0x200) / 4] = value;
        classify_filters(router);
    } else if (offset >= 0x300 && offset < 0x340) {
        router->counter[(offset - 0x300) / 4] = value;
    } else if (offset == 0x00) {
        router->control = value;
    } else if (offset == 0x2c) {
        router->diagnostics_enable = value & 0xffff;
        for (int i = 0; i < 16; i++)
            if (value >> (16 + i) & 1)
                router->counter[i] = 0;
        classify_filters(router);
    } else if (offset == 0x84) {
        router->fixed_route = value;
    }
}
