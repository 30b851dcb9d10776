/* Which cores of a chip transfer to and from which pages of its SDRAM.
 *
 * Cores that run apart from each other (board.c) use SDRAM and system RAM, and what they find there
 * must not depend on which of them is faster. So a transfer is put off, as any use of what the chip
 * shares, until the cores run one after another, unless
 *   - it reads, and its core has read the page before or no other has ever written to it, or
 *   - it writes, and its core has written to the page before and no other has ever used it.
 * Cores enter the list of a page's writers only while they run one after another. A core that reads
 * what another one writes in the same round therefore finds what was there before, as on the chip,
 * where neurons fetch their input at the beginning of a tick and the cores of split populations
 * write theirs later. Loads and stores are not watched: in none of the networks of
 * tests/hardware/test_every_binary.py do they reach what another core writes in the same round. In
 * system RAM cores write to their own blocks, and read what the monitor writes between rounds; for
 * its message buffers they take a lock first, which is in the system controller.
 */
#include "board.h"

/* The pages that a transfer touches, with the bit of its core. */
typedef struct {
    sharing_t *first, *last;
    uint32_t self;
} span_t;

static span_t span(core_t *core, uint32_t address, uint32_t length) {
    uint32_t last_byte = core->chip->board->sdram_size - 1, from = address & last_byte;
    uint32_t to = length > last_byte - from ? last_byte : from + length - (length > 0);
    sharing_t *pages = core->chip->sharing;
    return (span_t){pages + from / SHARING_PAGE, pages + to / SHARING_PAGE, 1u << core->id};
}

static void enter(uint32_t *cores, uint32_t self) {
    if (!(*cores & self))
        __atomic_fetch_or(cores, self, __ATOMIC_RELAXED);
}

/* Whether a core that runs apart may make a transfer now. */
bool sharing_permits(core_t *core, uint32_t address, uint32_t length, bool write) {
    span_t at = span(core, address, length);
    for (sharing_t *page = at.first; page <= at.last; page++) {
        if (write ? page->writers != at.self || (page->readers & ~at.self)
                  : !(page->readers & at.self) && (page->writers & ~at.self))
            return false;
        if (!write)
            enter(&page->readers, at.self);
    }
    return true;
}

/* Take note of a transfer that is made. */
void sharing_note(core_t *core, uint32_t address, uint32_t length, bool write) {
    span_t at = span(core, address, length);
    for (sharing_t *page = at.first; page <= at.last; page++)
        enter(write ? &page->writers : &page->readers, at.self);
}

/* Forget what a core's former program has used. */
void sharing_forget(core_t *core) {
    uint32_t self = 1u << core->id, pages = core->chip->board->sdram_size / SHARING_PAGE;
    for (sharing_t *page = core->chip->sharing; pages--; page++) {
        if ((page->readers | page->writers) & self) {
            page->readers &= ~self;
            page->writers &= ~self;
        }
    }
}
