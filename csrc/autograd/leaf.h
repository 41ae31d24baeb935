/* Leaves and the nodes that add to their gradients. */
#pragma once

#include "autograd/autograd.h"

/* The count of an accumulator fell to zero: true where it rests with its leaf until the next graph
 * needs one (its count is one again, the leaf owns it, `variable` is NULL), so that no operator on a
 * leaf has to make it anew. */
bool mt_accumulator_rests(mt_node *node);
