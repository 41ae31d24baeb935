/* Which ways scaled_dot_product_attention may take. */
#pragma once

#include "base/base.h"

/* PyTorch's numbers of the ways (torch.nn.attention.SDPBackend). The CPU has the first two. */
enum { MT_SDP_MATH, MT_SDP_FLASH, MT_SDP_EFFICIENT, MT_SDP_CUDNN, MT_SDP_OVERRIDEABLE, MT_SDP_COUNT };

/* For the whole process; all are allowed at first. */
bool mt_sdp_allowed(int way);
void mt_sdp_allow(int way, bool allowed);
