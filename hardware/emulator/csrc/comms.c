/* The communications controller of a core.
 *
 * Sending never blocks: packets gather in an outbox that the scheduler empties at the end of the
 * round. Received packets wait in a queue without bound, of which a core is shown
 * at most HAND_OVER at a time and more only when it has waited for interrupt in between: packet
 * handlers on SpiNNaker fill a buffer of 256 that is emptied between packets, which on the real
 * chip arrive spread over time.
 *
 * Where timing is enforced they do so here as well: a core is shown one packet at a time, which
 * stays in the register until it is read. The next one waits in the router, and is dropped when
 * that has no more patience; those behind it are held up in the network, without end.
 */
#include <stdlib.h>

#include "board.h"

enum { HAND_OVER = 64, PAYLOAD = 2, RECEIVED = 1u << 31 };
enum { TX_EMPTY = 1u << 31, TX_NOT_FULL = 1u << 28 };
enum { RECEIVER_LINES = 1u << INT_CC_READY | 15u << INT_CC_MULTICAST };

static packet_t *packet_at(comms_t *comms, uint32_t i) {
    return &comms->queue[(comms->head + i) & (comms->capacity - 1)];
}

static packet_t *head(comms_t *comms) { return packet_at(comms, 0); }

/* Show the packet at the head of the queue, if there is one and the core may have it. */
static void update(core_t *core) {
    comms_t *comms = &core->comms;
    uint32_t lines = 0;
    if (comms->count > 0 && comms->credit > 0)
        lines = 1u << INT_CC_READY | 1u << (INT_CC_MULTICAST + (head(comms)->control >> 6));
    vic_lines(core, RECEIVER_LINES, lines);
}

void comms_reset(core_t *core) {
    comms_t *comms = &core->comms;
    *comms = (comms_t){.queue = comms->queue,
                       .capacity = comms->capacity,
                       .outbox = comms->outbox,
                       .out_capacity = comms->out_capacity};
}

void comms_free(core_t *core) {
    free(core->comms.queue);
    free(core->comms.outbox);
}

static void grow(comms_t *comms) {
    uint32_t capacity = comms->capacity ? comms->capacity * 2 : 256;
    packet_t *queue = malloc(capacity * sizeof(packet_t));
    if (!queue)
        abort();
    for (uint32_t i = 0; i < comms->count; i++)
        queue[i] = *packet_at(comms, i);
    free(comms->queue);
    comms->queue = queue;
    comms->capacity = capacity;
    comms->head = 0;
}

/* Queue a packet that the router delivers, in order of time; the scheduler hands it over. */
void comms_receive(core_t *core, const packet_t *packet) {
    comms_t *comms = &core->comms;
    if (core->state == CORE_OFF || core->state == CORE_DEAD)
        return;
    if (comms->count == comms->capacity)
        grow(comms);
    uint32_t i = comms->count++;
    for (; i > comms->credit && packet_at(comms, i - 1)->time > packet->time; i--)
        *packet_at(comms, i) = *packet_at(comms, i - 1);
    *packet_at(comms, i) = *packet;
    board_has_packets(core, packet->time);
}

static void pop(comms_t *comms) {
    comms->head = (comms->head + 1) & (comms->capacity - 1);
    comms->count--;
}

/* When the router will drop the packet that waits behind the one in the register. */
static uint64_t drop_time(core_t *core) {
    comms_t *comms = &core->comms;
    uint64_t patience = router_patience(core->chip);
    if (comms->credit == 0 || comms->count < 2 || patience == NEVER)
        return NEVER;
    uint64_t came = packet_at(comms, 1)->time;
    return (came > comms->blocked ? came : comms->blocked) + patience;
}

/* When something happens here by itself, with enforced timing. */
uint64_t comms_next_event(core_t *core) {
    comms_t *comms = &core->comms;
    return comms->credit == 0 && comms->count ? head(comms)->time : drop_time(core);
}

/* Let happen what happens here up to `now`, with enforced timing. */
void comms_advance(core_t *core, uint64_t now) {
    comms_t *comms = &core->comms;
    for (uint64_t next; (next = comms_next_event(core)) <= now;) {
        if (comms->credit == 0) {
            comms->credit = 1;
            if (next > comms->blocked)
                comms->blocked = next;
            update(core);
        } else {
            packet_t dropped = *packet_at(comms, 1);
            *packet_at(comms, 1) = *head(comms);
            pop(comms);
            comms->blocked = next;
            router_drop(core, dropped);
        }
    }
}

/* Let the core see up to HAND_OVER of the packets that wait for it. */
void comms_hand_over(core_t *core) {
    core->comms.credit = HAND_OVER;
    update(core);
}

static void put_out(comms_t *comms, packet_t packet) {
    if (comms->out_count == comms->out_capacity) {
        comms->out_capacity = comms->out_capacity ? comms->out_capacity * 2 : 64;
        comms->outbox = realloc(comms->outbox, comms->out_capacity * sizeof(packet_t));
        if (!comms->outbox)
            abort();
    }
    comms->outbox[comms->out_count++] = packet;
}

/* Give the router what the core has sent in this round. */
void comms_send_out(core_t *core) {
    comms_t *comms = &core->comms;
    for (uint32_t i = 0; i < comms->out_count; i++)
        router_send(core, &comms->outbox[i]);
    comms->out_count = 0;
}

/* Take the packet that is shown; what came by the time goes on from there. */
static uint32_t take(core_t *core) {
    comms_t *comms = &core->comms;
    bool enforced = core->chip->board->enforced;
    if (enforced)
        comms_advance(core, core_now(core));
    uint32_t key = head(comms)->key;
    pop(comms);
    comms->credit--;
    comms->received++;
    update(core);
    if (enforced) {
        comms->blocked = core_now(core);
        comms_advance(core, core_now(core));
    }
    return key;
}

uint32_t comms_read(core_t *core, uint32_t offset) {
    comms_t *comms = &core->comms;
    bool ready = comms->count > 0 && comms->credit > 0;
    switch (offset) {
    case 0x00: return TX_EMPTY | TX_NOT_FULL | (comms->tx_control & 0x00ff0000);
    case 0x0c: return ready ? RECEIVED | (uint32_t)head(comms)->control << 16 : 0;
    case 0x10: return ready ? head(comms)->payload : 0;
    case 0x14: return ready ? take(core) : 0;
    default: return 0;
    }
}

void comms_write(core_t *core, uint32_t offset, uint32_t value) {
    comms_t *comms = &core->comms;
    switch (offset) {
    case 0x00:
        comms->tx_control = value;
        break;
    case 0x04:
        comms->tx_payload = value;
        comms->tx_has_payload = true;
        break;
    case 0x08: {
        uint8_t control = (uint8_t)(comms->tx_control >> 16);
        control = (uint8_t)(comms->tx_has_payload ? control | PAYLOAD : control & ~PAYLOAD);
        packet_t packet = {core_now(core), value, comms->tx_payload, control, comms->tx_again};
        comms->tx_has_payload = comms->tx_again = false;
        comms->sent++;
        put_out(comms, packet);
        break;
    }
    case 0x18: comms->tx_again = true; break; /* whom it came from: it is somebody else's */
    default: break;
    }
}
