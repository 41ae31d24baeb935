"""Padding by the elements at the border."""

for name, title in (("reflection", "Reflection"), ("replication", "Replication")):
    for n in (1, 2, 3):
        op(f"{name}_pad{n}d(Tensor self, int[{2 * n}] padding) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node=f"{title}Pad{n}DBackward0",
           grad={"self": f"{name}_pad{n}d_backward(grad, self, padding)"}, jvp="linear",
           doc=f"Pads the last {n} dimensions with " + ("the mirrored border, its outermost element left out." if name == "reflection" else "copies of the outermost element."))
        op(f"{name}_pad{n}d_backward(Tensor grad_output, Tensor self, int[{2 * n}] padding) -> Tensor", py=("nn",), out="grad_input", flags=("OUT_CONTIGUOUS",),
           node=f"{title}Pad{n}DBackwardBackward0",
           grad={"grad_output": f"{name}_pad{n}d(grad, padding)", "self": "zeros_like(grad)"}, doc=f"Gradient of {name}_pad{n}d.")
composite("_pad_circular(Tensor self, int[] pad) -> Tensor", py=("nn",), doc="Pads as if the last dimensions were closed to rings.")
composite("_pad_enum(Tensor self, int[] pad, int mode, float? value=None) -> Tensor", py=("nn",), doc="pad with a number for the mode: constant, reflect, replicate, circular.")
composite("pad(Tensor self, int[] pad, str mode='constant', float? value=None) -> Tensor", py=("nn",), doc="Padding by mode.")
func("constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor", py=("function",), grad={"self": "constant_pad_backward(grad, pad)"},
     jvp="constant_pad_nd(self_t, pad, 0)", doc="Padding with a number, last dimension first.")
helper("constant_pad_backward(Tensor grad, int[] pad) -> Tensor")
