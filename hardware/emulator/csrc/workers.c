/* Lists come often and are short (a tick of a few cores, some ten microseconds), so workers look out
 * for the next one for a while before they sleep. `left` is generation << 32 | items not yet taken;
 * taking one is a compare-and-swap, which the generation makes fail for a worker that looked at an
 * earlier list. A list is replaced only when all its items are done.
 */
#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOKS = 4000 }; /* before a worker sleeps, some 50 microseconds */

struct workers {
    _Atomic uint64_t left;
    _Atomic uint32_t done;
    work_fn work;
    void **items;
    atomic_bool quit;
    _Atomic unsigned asleep;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    unsigned threads;
    pthread_t thread[];
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int has_work(workers_t *workers) { return (uint32_t)atomic_load(&workers->left) != 0; }

static void take_part(workers_t *workers) {
    uint64_t left = atomic_load(&workers->left);
    while ((uint32_t)left != 0) {
        if (!atomic_compare_exchange_weak(&workers->left, &left, left - 1))
            continue;
        workers->work(workers->items[(uint32_t)left - 1]);
        atomic_fetch_add(&workers->done, 1);
        left = atomic_load(&workers->left);
    }
}

static void sleep_until_woken(workers_t *workers) {
    pthread_mutex_lock(&workers->mutex);
    atomic_fetch_add(&workers->asleep, 1);
    while (!has_work(workers) && !atomic_load(&workers->quit))
        pthread_cond_wait(&workers->wake, &workers->mutex);
    atomic_fetch_sub(&workers->asleep, 1);
    pthread_mutex_unlock(&workers->mutex);
}

static void *worker(void *argument) {
    workers_t *workers = argument;
    unsigned looks = 0;
    while (!atomic_load(&workers->quit)) {
        if (has_work(workers)) {
            take_part(workers);
            looks = 0;
        } else if (++looks < LOOKS) {
            relax();
        } else {
            sleep_until_woken(workers);
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
    unsigned helpers = threads > 1 ? threads - 1 : 0;
    workers_t *workers = calloc(1, sizeof(workers_t) + helpers * sizeof(pthread_t));
    if (!workers)
        return NULL;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->wake, NULL);
    while (workers->threads < helpers &&
           pthread_create(&workers->thread[workers->threads], NULL, worker, workers) == 0)
        workers->threads++;
    return workers;
}

void workers_free(workers_t *workers) {
    if (!workers)
        return;
    atomic_store(&workers->quit, 1);
    wake_all(workers);
    for (unsigned i = 0; i < workers->threads; i++)
        pthread_join(workers->thread[i], NULL);
    pthread_mutex_destroy(&workers->mutex);
    pthread_cond_destroy(&workers->wake);
    free(workers);
}

void workers_do(workers_t *workers, work_fn work, void **items, uint32_t count) {
    if (workers->threads == 0 || count < 2) {
        for (uint32_t i = 0; i < count; i++)
            work(items[i]);
        return;
    }
    workers->work = work;
    workers->items = items;
    atomic_store(&workers->done, 0);
    atomic_store(&workers->left, ((atomic_load(&workers->left) >> 32) + 1) << 32 | count);
    if (atomic_load(&workers->asleep))
        wake_all(workers);
    take_part(workers);
    for (unsigned looks = 0; atomic_load(&workers->done) < count; looks++) {
        if (looks < LOOKS)
            relax();
        else
            sched_yield();
    }
}
