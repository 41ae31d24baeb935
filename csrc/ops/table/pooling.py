"""Pooling."""

for n in (2, 3):
    op(f"max_pool{n}d_with_indices(Tensor self, int[{n}] kernel_size, int[{n}] stride=[], int[{n}] padding=0, int[{n}] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
       py=("nn",), out=False, nondiff=(), flags=("OUT_CONTIGUOUS",), node=f"MaxPool{n}DWithIndicesBackward0",
       grad={"self": f"max_pool{n}d_with_indices_backward(grads[0], self, kernel_size, stride, padding, dilation, ceil_mode, result1)"},
       doc="The largest of each window, and where it lies in the plane.")
    op(f"max_pool{n}d_with_indices_backward(Tensor grad_output, Tensor self, int[{n}] kernel_size, int[{n}] stride, int[{n}] padding, int[{n}] dilation, bool ceil_mode, Tensor indices) -> Tensor",
       py=("nn",), out=False, flags=("OUT_CONTIGUOUS",), grad={"grad_output": f"max_pool_double_backward(grad, indices, {n})", "self": "zeros_like(self)"}, doc="Gradient of max pooling.")
    op(f"avg_pool{n}d(Tensor self, int[{n}] kernel_size, int[{n}] stride=[], int[{n}] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor",
       py=("nn",), flags=("OUT_CONTIGUOUS",), grad={"self": f"avg_pool{n}d_backward(grad, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)"},
       jvp="linear", doc="The average of each window.")
    op(f"avg_pool{n}d_backward(Tensor grad_output, Tensor self, int[{n}] kernel_size, int[{n}] stride, int[{n}] padding, bool ceil_mode, bool count_include_pad, int? divisor_override) -> Tensor",
       py=("nn",), out=False, flags=("OUT_CONTIGUOUS",),
       grad={"grad_output": f"avg_pool{n}d(grad, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)", "self": "zeros_like(self)"}, doc="Gradient of average pooling.")
    op(f"_adaptive_avg_pool{n}d(Tensor self, int[{n}] output_size) -> Tensor", py=("function",), out=False, flags=("OUT_CONTIGUOUS",),
       node=f"AdaptiveAvgPool{n}DBackward0", grad={"self": f"_adaptive_avg_pool{n}d_backward(grad, self)"}, jvp="linear", doc="Averages of windows that give a size.")
    composite(f"max_pool{n}d(Tensor self, int[{n}] kernel_size, int[{n}] stride=[], int[{n}] padding=0, int[{n}] dilation=1, bool ceil_mode=False) -> Tensor", py=("function",),
              body=f"max_pool{n}d_with_indices(self, kernel_size, stride, padding, dilation, ceil_mode)[0]", doc="The largest of each window.")
    op(f"adaptive_max_pool{n}d(Tensor self, int[{n}] output_size) -> (Tensor, Tensor)", py=("nn",), out=False, flags=("OUT_CONTIGUOUS",), node=f"AdaptiveMaxPool{n}DBackward0",
       grad={"self": f"adaptive_max_pool{n}d_backward(grads[0], self, result1)"}, doc="The largest of windows that give a size.")
    op(f"adaptive_max_pool{n}d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor", py=("nn",), out=False, flags=("OUT_CONTIGUOUS",),
       grad={"grad_output": f"max_pool_double_backward(grad, indices, {n})", "self": "zeros_like(self)"}, doc="Gradient of adaptive max pooling.")
op("_adaptive_avg_pool2d_backward(Tensor grad_output, Tensor self) -> Tensor", py=("function",), out=False, flags=("OUT_CONTIGUOUS",),
   grad={"grad_output": "_adaptive_avg_pool2d(grad, [grad_output.size(-2), grad_output.size(-1)])", "self": "zeros_like(self)"}, doc="Gradient of adaptive average pooling.")
op("_adaptive_avg_pool3d_backward(Tensor grad_output, Tensor self) -> Tensor", py=("function",), out=False, flags=("OUT_CONTIGUOUS",),
   grad={"grad_output": "_adaptive_avg_pool3d(grad, [grad_output.size(-3), grad_output.size(-2), grad_output.size(-1)])", "self": "zeros_like(self)"}, doc="Gradient of adaptive average pooling.")
helper("max_pool_double_backward(Tensor grad, Tensor indices, int dims) -> Tensor")
composite("adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor", py=("nn",), doc="Averages of windows that give a size.")
composite("adaptive_avg_pool3d(Tensor self, int[3] output_size) -> Tensor", py=("nn",), doc="Averages of windows that give a size.")
composite("max_pool1d_with_indices(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)", py=("function",),
          doc="The largest of each window of a line, and where.")
composite("max_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> Tensor", py=("function",),
          doc="The largest of each window of a line.")
composite("avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor", py=("function",),
          doc="The average of each window of a line.")
composite("adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor", py=("function",),
          doc="Averages of windows that give a length.")
composite("adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)", py=("function",),
          doc="The largest of windows that give a length.")
