/* Threads that share out the items of a list: the order in which they are done is nobody's to know. */
#ifndef SPIKINGCONVNET_WORKERS_H
#define SPIKINGCONVNET_WORKERS_H

#include <stdint.h>

typedef struct workers workers_t;
typedef void (*work_fn)(void *item);

/* `threads` counts the caller: with 1 the caller does everything. NULL when memory is short. */
workers_t *workers_new(unsigned threads);
void workers_free(workers_t *);

/* Do all `count` items and return when the last is done. */
void workers_do(workers_t *, work_fn work, void **items, uint32_t count);

#endif
