/* Lists come often and are short (a tick of a few cores, some ten microseconds), so workers look out
 * for the next one for a while before they sleep. Each thread has a share of the list, a run of
 * neighbours, and helps with the others' when its own is done: as lists are much the same from one
 * time to the next, what an item needs is mostly still in the cache of the processor that it comes
 * back to. A share is generation << 32 | end << 16 | next item; taking one is a compare-and-swap,
 * which the generation makes fail for a worker that looked at an earlier list. A list is replaced
 * only when all its items are done.
 */
#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOKS = 20000 }; /* before a worker sleeps, some 250 microseconds */
enum { LINE = 64, MOST_ITEMS = 0xffff, MOST_THREADS = 64 };

typedef struct {
    _Atomic uint64_t word;
    uint8_t apart[LINE - sizeof(uint64_t)]; /* from what others write */
} share_t;

typedef struct {
    workers_t *workers;
    pthread_t thread;
    unsigned number; /* of its share: 0 is the caller's */
} helper_t;

struct workers {
    _Atomic uint32_t generation, done;
    work_fn work;
    void **items;
    atomic_bool quit;
    _Atomic unsigned asleep;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    share_t share[MOST_THREADS];
    _Atomic unsigned helpers; /* counted up while the first of them look out already */
    helper_t helper[];
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Do what is left of a share; returns how many items that was. */
static uint32_t do_share(workers_t *workers, share_t *share) {
    uint32_t done = 0;
    uint64_t word = atomic_load(&share->word);
    while ((uint16_t)word < (uint16_t)(word >> 16)) {
        if (!atomic_compare_exchange_weak(&share->word, &word, word + 1))
            continue;
        workers->work(workers->items[(uint16_t)word]);
        done++;
        word = atomic_load(&share->word);
    }
    return done;
}

static void take_part(workers_t *workers, unsigned number) {
    uint32_t done = 0;
    for (unsigned i = 0; i <= workers->helpers; i++)
        done += do_share(workers, &workers->share[(number + i) % (workers->helpers + 1)]);
    atomic_fetch_add(&workers->done, done);
}

static int is_new(workers_t *workers, uint32_t seen) {
    return atomic_load(&workers->generation) != seen;
}

static void sleep_until_woken(workers_t *workers, uint32_t seen) {
    pthread_mutex_lock(&workers->mutex);
    atomic_fetch_add(&workers->asleep, 1);
    while (!is_new(workers, seen) && !atomic_load(&workers->quit))
        pthread_cond_wait(&workers->wake, &workers->mutex);
    atomic_fetch_sub(&workers->asleep, 1);
    pthread_mutex_unlock(&workers->mutex);
}

static void *help(void *argument) {
    helper_t *helper = argument;
    workers_t *workers = helper->workers;
    uint32_t seen = 0;
    unsigned looks = 0;
    while (!atomic_load(&workers->quit)) {
        if (is_new(workers, seen)) {
            seen = atomic_load(&workers->generation);
            take_part(workers, helper->number);
            looks = 0;
        } else if (++looks < LOOKS) {
            relax();
        } else {
            sleep_until_woken(workers, seen);
            looks = 0;
        }
    }
    return NULL;
}

static void wake_all(workers_t *workers) {
    pthread_mutex_lock(&workers->mutex);
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->mutex);
}

workers_t *workers_new(unsigned threads) {
    unsigned most = threads > MOST_THREADS ? MOST_THREADS - 1 : threads > 1 ? threads - 1 : 0;
    workers_t *workers = calloc(1, sizeof(workers_t) + most * sizeof(helper_t));
    if (!workers)
        return NULL;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->wake, NULL);
    for (unsigned i = 0; i < most; i++) {
        helper_t *helper = &workers->helper[i];
        *helper = (helper_t){.workers = workers, .number = i + 1};
        if (pthread_create(&helper->thread, NULL, help, helper))
            break;
        workers->helpers++;
    }
    return workers;
}

void workers_free(workers_t *workers) {
    if (!workers)
        return;
    atomic_store(&workers->quit, 1);
    wake_all(workers);
    for (unsigned i = 0; i < workers->helpers; i++)
        pthread_join(workers->helper[i].thread, NULL);
    pthread_mutex_destroy(&workers->mutex);
    pthread_cond_destroy(&workers->wake);
    free(workers);
}

static void share_out(workers_t *workers, uint32_t count) {
    uint32_t generation = atomic_load(&workers->generation) + 1, shares = workers->helpers + 1;
    for (uint32_t i = 0; i < shares; i++) {
        uint32_t next = count * i / shares, end = count * (i + 1) / shares;
        atomic_store(&workers->share[i].word, (uint64_t)generation << 32 | end << 16 | next);
    }
    atomic_store(&workers->generation, generation);
}

void workers_do(workers_t *workers, work_fn work, void **items, uint32_t count) {
    if (workers->helpers == 0 || count < 2 || count > MOST_ITEMS) {
        for (uint32_t i = 0; i < count; i++)
            work(items[i]);
        return;
    }
    workers->work = work;
    workers->items = items;
    atomic_store(&workers->done, 0);
    share_out(workers, count);
    if (atomic_load(&workers->asleep))
        wake_all(workers);
    take_part(workers, 0);
    for (unsigned looks = 0; atomic_load(&workers->done) < count; looks++) {
        if (looks < LOOKS)
            relax();
        else
            sched_yield();
    }
}
