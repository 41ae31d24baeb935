"""Activations with gates, slopes that are learnt or random, and noise; tensors rearranged by channel."""

func("glu(Tensor self, int dim=-1) -> Tensor", py=("nn",), out="out", grad={"self": "glu_backward(grad, self, dim)"}, doc="First half times the sigmoid of the second half.")
composite("glu_backward(Tensor grad_output, Tensor self, int dim) -> Tensor", py=("nn",), out="grad_input", body="""
half = self.size(dim) // 2
a = self.narrow(dim, 0, half)
s = self.narrow(dim, half, half).sigmoid()
torch.cat([s * grad_output, (1 - s) * s * a * grad_output], dim)
""", doc="Gradient of glu.")
composite("prelu(Tensor self, Tensor weight) -> Tensor", cast="promote", doc="x above 0, a learnt slope times x below.")
binary("_prelu_kernel(Tensor self, Tensor weight) -> Tensor", kernel="a > 0 ? a : b * a", dtypes=FLOAT, inplace=False, out=False, py=("function",), kernel_name="prelu_cpu",
       node="PreluKernelBackward0", grad={"self, weight": "_prelu_kernel_backward(grad, self, weight)"}, doc="prelu of tensors that broadcast.")
composite("_prelu_kernel_backward(Tensor grad_output, Tensor self, Tensor weight) -> (Tensor, Tensor)", py=("function",), body="""
above = self > 0
(where(above, grad_output, weight * grad_output), where(above, zeros_like(grad_output), self * grad_output))
""", doc="Gradients of prelu.")
composite("rrelu(Tensor self, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor", py=("function",), flags=("RANDOM",),
          body="rrelu_with_noise(self, empty_like(self), lower, upper, training, generator)", doc="leaky_relu with random slopes.")
composite("rrelu_(Tensor(a!) self, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor(a!)", py=("function",), flags=("RANDOM",),
          doc="rrelu in place.")
func("rrelu_with_noise(Tensor self, Tensor(b!) noise, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor", py=("nn",), flags=("RANDOM",),
     grad={"self": "rrelu_with_noise_backward(grad, self, noise, lower, upper, training, False)"}, doc="rrelu whose slopes are left in noise.")
func("rrelu_with_noise_(Tensor(a!) self, Tensor(b!) noise, Scalar lower=0.125, Scalar upper=0.3333333333333333, bool training=False, Generator? generator=None) -> Tensor(a!)", py=("nn",),
     flags=("RANDOM",), node="RreluWithNoiseBackward1", grad={"self": "rrelu_with_noise_backward(grad, result, noise, lower, upper, training, True)"}, doc="rrelu in place.")
composite("rrelu_with_noise_backward(Tensor grad_output, Tensor self, Tensor noise, Scalar lower, Scalar upper, bool training, bool self_is_result) -> Tensor", py=("nn",),
          body="noise * grad_output if training and float(upper) - float(lower) > 1e-6 else leaky_relu_backward(grad_output, self, (float(lower) + float(upper)) / 2, self_is_result)",
          doc="Gradient of rrelu.")
for name, doc in (("alpha_dropout", "Dropout that keeps mean and variance of selu activations."), ("feature_dropout", "Dropout of whole channels."),
                  ("feature_alpha_dropout", "alpha_dropout of whole channels.")):
    composite(f"{name}(Tensor input, float p, bool train) -> Tensor", py=("function",), flags=("RANDOM",), doc=doc)
    composite(f"{name}_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", py=("function",), flags=("RANDOM",), doc=f"{name} in place.")

# ---- rearranging -------------------------------------------------------------------------------
func("pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", py=("function",), grad={"self": "pixel_unshuffle(grad, upscale_factor)"}, jvp="linear", doc="Channels as finer pixels.")
func("pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", py=("function",), grad={"self": "pixel_shuffle(grad, downscale_factor)"}, jvp="linear", doc="Finer pixels as channels.")
func("channel_shuffle(Tensor self, int groups) -> Tensor", py=("function",), grad={"self": "channel_shuffle(grad, grad.size(1) // groups)"}, jvp="linear", doc="Channels of groups interleaved.")
composite("native_channel_shuffle(Tensor self, int groups) -> Tensor", py=("function",), body="channel_shuffle(self, groups)", doc="channel_shuffle.")
