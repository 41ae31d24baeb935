/* The generator that random operators take their words from: an object of the host around the
 * engine. */
#pragma once

#include "base/host.h"
#include "kernels/rng.h"

typedef struct mt_generator {
    mt_object head;
    void *weakrefs; /* the host's */
    mt_rng rng;
} mt_generator;

/* The process's default generator, made by the host. */
extern mt_generator *mt_default_generator;

MT_INLINE mt_rng *
mt_rng_of(mt_generator *generator)
{
    return generator ? &generator->rng : &mt_default_generator->rng;
}
