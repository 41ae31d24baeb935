/* Forward mode: tangents carried along with values. */
#pragma once

#include "dispatch/op.h"

/* Whether an argument of the call has a tangent at the open level. */
bool mt_has_tangents(const mt_call *call);
/* Runs the call and the operator's tangent formula. */
int mt_forward_mode(mt_call *call);
/* The tangent of a tensor, borrowed; NULL when it has none. */
mt_tensor *mt_tangent_of(const mt_tensor *self);
int mt_set_tangent(mt_tensor *self, mt_tensor *tangent);
/* The Autograd layer's way down, without recording. */
int mt_call_below_autograd(mt_call *call);
