/* The communications controller of a core.
 *
 * Sending never blocks: packets gather in an outbox that the scheduler empties at the end of the
 * round. Received packets wait in a queue without bound, of which a core is shown
 * at most HAND_OVER at a time and more only when it has waited for interrupt in between: packet
 * handlers on SpiNNaker fill a buffer of 256 that is emptied between packets, which on the real
 * chip arrive spread over time.
 */
#include <stdlib.h>

#include "board.h"

enum { HAND_OVER = 64, PAYLOAD = 2, RECEIVED = 1u << 31 };
enum { TX_EMPTY = 1u << 31, TX_NOT_FULL = 1u << 28 };

static packet_t *head(comms_t *comms) { return &comms->queue[comms->head]; }

/* Show the packet at the head of the queue, if there is one and the core may have it. */
static void update(core_t *core) {
    comms_t *comms = &core->comms;
    bool ready = comms->count > 0 && comms->credit > 0;
    int type = ready ? head(comms)->control >> 6 : -1;
    vic_line(core, INT_CC_READY, ready);
    for (int i = 0; i < 4; i++)
        vic_line(core, (enum interrupt_source)(INT_CC_MULTICAST + i), i == type);
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
        queue[i] = comms->queue[(comms->head + i) & (comms->capacity - 1)];
    free(comms->queue);
    comms->queue = queue;
    comms->capacity = capacity;
    comms->head = 0;
}

/* Queue a packet that the router delivers; the scheduler hands it over. */
void comms_receive(core_t *core, packet_t packet) {
    comms_t *comms = &core->comms;
    if (core->state == CORE_OFF || core->state == CORE_DEAD)
        return;
    if (comms->count == comms->capacity)
        grow(comms);
    comms->queue[(comms->head + comms->count++) & (comms->capacity - 1)] = packet;
    board_has_packets(core);
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
        router_send(core, comms->outbox[i]);
    comms->out_count = 0;
}

uint32_t comms_read(core_t *core, uint32_t offset) {
    comms_t *comms = &core->comms;
    bool ready = comms->count > 0 && comms->credit > 0;
    switch (offset) {
    case 0x00: return TX_EMPTY | TX_NOT_FULL | (comms->tx_control & 0x00ff0000);
    case 0x0c: return ready ? RECEIVED | (uint32_t)head(comms)->control << 16 : 0;
    case 0x10: return ready ? head(comms)->payload : 0;
    case 0x14: {
        if (!ready)
            return 0;
        uint32_t key = head(comms)->key;
        comms->head = (comms->head + 1) & (comms->capacity - 1);
        comms->count--;
        comms->credit--;
        comms->received++;
        update(core);
        return key;
    }
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
        packet_t packet = {value, comms->tx_payload,
                           (uint8_t)(comms->tx_has_payload ? control | PAYLOAD : control & ~PAYLOAD)};
        comms->tx_has_payload = false;
        comms->sent++;
        put_out(comms, packet);
        break;
    }
    default: break;
    }
}
