/* The thread block and its defaults. */
#include "base/thread.h"

#include "base/dtype.h"
#include "base/keys.h"

MT_TLS mt_thread mt_thread_block;

void
mt_thread_init(mt_thread *thread)
{
    thread->included = MT_DEFAULT_INCLUDED;
    thread->excluded = MT_DEFAULT_EXCLUDED;
    thread->grad_mode = true;
    thread->forward_grad_mode = true;
    thread->autocast_dtype = MT_BFLOAT16;
    thread->autocast_cache = true;
    thread->ready = true;
}
