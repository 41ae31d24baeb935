"""Images: resampling, windows as columns, sampling at places, unpooling."""

def _resampling(name, n, title, corners, back=True):
    scales = ("scales",) if n == 1 else ("scales_d", "scales_h", "scales_w")[3 - n:]
    extra = ", bool align_corners" if corners else ""
    pass_on = ", align_corners" if corners else ""
    sig = f"int[{n}] output_size{{}}{extra}" + "".join(f", float? {s}=None" for s in scales)
    args = ", ".join(scales)
    grad = {"self": f"{name}_backward(grad, output_size, self.shape{pass_on}, {args})"} if back else None
    op(f"{name}(Tensor self, {sig.format('')}) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node=f"{title}Backward0", grad=grad, jvp="linear",
       doc="Resampled to another size.")
    if back:
        op(f"{name}_backward(Tensor grad_output, {sig.format(f', int[{n + 2}] input_size')}) -> Tensor", py=("nn",), out="grad_input", flags=("OUT_CONTIGUOUS",), node=f"{title}BackwardBackward0",
           grad={"grad_output": f"{name}(grad, output_size{pass_on}, {args})"}, doc=f"Gradient of {name}.")
    composite(f"{name}.vec(Tensor input, int[]? output_size{extra}, float[]? scale_factors) -> Tensor", py=("nn",), doc="Resampled to another size, or by factors.")


for n in (1, 2, 3):
    _resampling(f"upsample_nearest{n}d", n, f"UpsampleNearest{n}D", False)
    _resampling(f"_upsample_nearest_exact{n}d", n, f"UpsampleNearestExact{n}D", False)
_resampling("upsample_linear1d", 1, "UpsampleLinear1D", True)
_resampling("upsample_bilinear2d", 2, "UpsampleBilinear2D", True)
_resampling("upsample_bicubic2d", 2, "UpsampleBicubic2D", True)
_resampling("upsample_trilinear3d", 3, "UpsampleTrilinear3D", True)
_resampling("_upsample_bilinear2d_aa", 2, "UpsampleBilinear2DAa", True)
_resampling("_upsample_bicubic2d_aa", 2, "UpsampleBicubic2DAa", True)
_resampling("_upsample_lanczos2d_aa", 2, "UpsampleLanczos2DAa", True)

op("im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node="Im2ColBackward0",
   grad={"self": "col2im(grad, [self.size(-2), self.size(-1)], kernel_size, dilation, padding, stride)"}, jvp="linear", doc="Windows as columns.")
op("col2im(Tensor self, int[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node="Col2ImBackward0",
   grad={"self": "im2col(grad, kernel_size, dilation, padding, stride)"}, jvp="linear", doc="Sums of columns at the places of their windows.")

composite("grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor", py=("function",), cast="promote", doc="Values at the places that a grid gives.")
for n in (2, 3):
    op(f"grid_sampler_{n}d(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor", py=("function",), out=False, flags=("OUT_CONTIGUOUS",),
       node=f"GridSampler{n}DBackward0",
       grad={"input, grid": f"grid_sampler_{n}d_backward(grad, input, grid, interpolation_mode, padding_mode, align_corners, [want['input'], want['grid']])"}, doc="Values at the places that a grid gives.")
    func(f"grid_sampler_{n}d_backward(Tensor grad_output, Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners, bool[2] output_mask) -> (Tensor?, Tensor?)",
         py=("function",), doc=f"Gradients of grid_sampler_{n}d.")
func("affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor", py=("function",), grad={"theta": "affine_grid_generator_backward(grad, size, align_corners)"}, jvp="linear",
     doc="Grid of an affine map.")
composite("affine_grid_generator_backward(Tensor grad, int[] size, bool align_corners) -> Tensor", py=("function",), doc="Gradient of affine_grid_generator.")

op("max_unpool2d(Tensor self, Tensor indices, int[2] output_size) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node="MaxUnpool2DBackward0",
   grad={"self": "max_pool_double_backward(grad, indices, 2)"}, jvp="linear", doc="Values at the places that max_pool2d found.")
op("max_unpool3d(Tensor self, Tensor indices, int[3] output_size, int[3] stride, int[3] padding) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",), node="MaxUnpool3DBackward0",
   grad={"self": "max_pool_double_backward(grad, indices, 3)"}, jvp="linear", doc="Values at the places that max_pool3d found.")
for n in (2, 3):
    op(f"fractional_max_pool{n}d(Tensor self, int[{n}] kernel_size, int[{n}] output_size, Tensor random_samples) -> (Tensor, Tensor)", py=("nn",), out=False, flags=("OUT_CONTIGUOUS",),
       node=f"FractionalMaxPool{n}DBackward0", grad={"self": f"fractional_max_pool{n}d_backward(grads[0], self, kernel_size, output_size, result1)"}, doc="The largest of windows at random distances.")
    op(f"fractional_max_pool{n}d_backward(Tensor grad_output, Tensor self, int[{n}] kernel_size, int[{n}] output_size, Tensor indices) -> Tensor", py=("nn",), out=False, flags=("OUT_CONTIGUOUS",),
       grad={"grad_output": f"max_pool_double_backward(grad, indices, {n})", "self": "zeros_like(grad)"}, doc="Gradient of fractional max pooling.")
