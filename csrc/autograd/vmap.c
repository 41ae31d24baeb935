/* vmap: operators on tensors with a hidden batch dimension. */
#include "base/error.h"
#include "dispatch/op.h"

int
mt_handle_batched(mt_call *call)
{
    return mt_handle_missing(call);
}
