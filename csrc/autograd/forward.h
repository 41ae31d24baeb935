/* Forward mode: tangents carried along with values. */
#pragma once

#include "dispatch/op.h"

/* Opens a level; its number (never used again), or -1 with the error set. Closed innermost first. */
int64_t mt_forward_open(void);
void mt_forward_close(void);
/* Whether an argument of the call has a tangent at an open level. */
bool mt_has_tangents(const mt_call *call);
/* Runs the call and the operator's tangent formula. */
int mt_forward_mode(mt_call *call);
/* The tangent of a tensor at the level with this number, borrowed; NULL when it has none. */
mt_tensor *mt_tangent_of(const mt_tensor *self, uint32_t id);
/* Sets it (NULL: takes it away). */
int mt_set_tangent(mt_tensor *self, mt_tensor *tangent, uint32_t id);
