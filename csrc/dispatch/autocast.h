/* The cache of casts that an autocast region keeps. */
#pragma once

#include "dispatch/op.h"

/* Drops the kept casts: called when the outermost region ends. */
void mt_autocast_clear_cache(void);
