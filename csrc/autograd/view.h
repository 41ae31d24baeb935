/* Views as autograd sees them. */
#pragma once

#include "autograd/autograd.h"

/* `view` aliases `self`: records base, version and how it came to be. */
int mt_make_view(mt_tensor *view, mt_tensor *self, mt_creation creation);

MT_INLINE bool
mt_is_bw_view(const mt_tensor *t)
{
    return t->flags & MT_T_VIEW;
}
