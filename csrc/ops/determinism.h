/* torch.use_deterministic_algorithms: what is refused or warned about, and what new memory holds. */
#pragma once

#include "tensor/tensor.h"

typedef enum mt_determinism { MT_DETERMINISM_OFF, MT_DETERMINISM_WARN, MT_DETERMINISM_ERROR } mt_determinism;

/* Sets the mode of the process; fill: whether new memory gets a value while the mode is on. */
void mt_set_determinism(mt_determinism mode, bool fill);

/* For an operator whose result may depend on chance: -1 with RuntimeError where the mode forbids
 * it (or a warning became an error), else 0. */
int mt_alert_nondeterministic(const char *name);

/* `t` (taken), which nobody has written yet: where the mode asks for it filled with NaN, the
 * greatest integer or True. NULL stays NULL. */
mt_tensor *mt_fresh(mt_tensor *t);
