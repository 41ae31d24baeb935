"""Layers: convolution, losses, embedding."""

op("convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool transposed, "
   "int[] output_padding, int groups) -> Tensor", py=("function",), out=False, cast="lower", flags=("OUT_CONTIGUOUS",),
   grad={"input, weight, bias": "convolution_backward(grad, input, weight, bias.shape, stride, padding, dilation, transposed, output_padding, groups,"
         " [want['input'], want['weight'], want['bias']])"},
   doc="Convolution over 1 to 3 spatial dimensions.")
func("convolution_backward(Tensor grad_output, Tensor input, Tensor weight, int[]? bias_sizes, int[] stride, int[] padding, int[] dilation, bool transposed, "
     "int[] output_padding, int groups, bool[3] output_mask) -> (Tensor?, Tensor?, Tensor?)", py=("function",), flags=("UNDEFINED_OK",),
     grad={"grad_output, input, weight": "convolution_double_backward(grads[0], grads[1], grads[2], grad_output, input, weight, stride, padding, dilation,"
           " transposed, output_padding, groups, [want['grad_output'], want['input'], want['weight']])"},
     doc="Gradients of convolution.")
helper("convolution_double_backward(Tensor? ggI, Tensor? ggW, Tensor? ggb, Tensor gO, Tensor input, Tensor weight, int[] stride, int[] padding, int[] dilation,"
       " bool transposed, int[] output_padding, int groups, bool[3] output_mask) -> (Tensor?, Tensor?, Tensor?)")
for n in (1, 2, 3):
    composite(f"conv{n}d(Tensor input, Tensor weight, Tensor? bias=None, int[{n}] stride=1, int[{n}] padding=0, int[{n}] dilation=1, int groups=1) -> Tensor",
              py=("function",), cast="lower", doc=f"{n}-D convolution.")
    composite(f"conv{n}d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[{n}] stride=1, str padding='valid', int[{n}] dilation=1, int groups=1) -> Tensor",
              py=("function",), cast="lower", doc=f"{n}-D convolution with padding 'same' or 'valid'.")
    name = f"conv_transpose{n}d" + ("" if n == 1 else ".input")
    composite(f"{name}(Tensor input, Tensor weight, Tensor? bias=None, int[{n}] stride=1, int[{n}] padding=0, int[{n}] output_padding=0, int groups=1, int[{n}] dilation=1) -> Tensor",
              py=("function",), cast="lower", doc=f"{n}-D transposed convolution.")

op("nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor output, Tensor total_weight)", py=("nn",), out=False,
   nondiff=("total_weight",), node="NllLossBackward0",
   grad={"self": "nll_loss_backward(grads.output, self, target, weight, reduction, ignore_index, total_weight)"},
   doc="Negative log likelihood of class indices.")
op("nll_loss_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index, Tensor total_weight) -> Tensor", py=("nn",), out=False,
   grad={"grad_output": "nll_loss_double(grad, target, weight, reduction, ignore_index)", "self": "zeros_like(grad)"}, doc="Gradient of nll_loss.")
composite("nll_loss_double(Tensor grad, Tensor target, Tensor? weight, int reduction, int ignore_index) -> Tensor", py=(),
          body="nll_loss_forward(grad, target, weight, reduction, ignore_index)[0]", doc="Gradient of the gradient of nll_loss.")
composite("nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, int ignore_index=-100) -> Tensor", py=("nn",), cast="float32",
          body="nll_loss_forward(self, target, weight, reduction, ignore_index)[0]", doc="Negative log likelihood.")
composite("nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, int ignore_index=-100) -> Tensor", py=("nn",), cast="float32",
          doc="Negative log likelihood with spatial dimensions.")
composite("_reduce_loss(Tensor loss, int reduction) -> Tensor", py=(), body="loss.mean() if reduction == 1 else (loss.sum() if reduction == 2 else loss)", doc="Mean, sum or all.")
composite("mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", py=("nn",), cast="float32", body="_reduce_loss((self - target).square(), reduction)", doc="Mean squared error.")
composite("l1_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", py=("nn",), cast="float32", body="_reduce_loss((self - target).abs(), reduction)", doc="Mean absolute error.")
composite("smooth_l1_loss(Tensor self, Tensor target, int reduction=Mean, float beta=1.0) -> Tensor", py=("nn",), cast="float32", body="""
d = (self - target).abs()
loss = where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta) if beta > 0 else d
_reduce_loss(loss, reduction)
""", doc="Squared below beta, absolute above.")
composite("huber_loss(Tensor self, Tensor target, int reduction=Mean, float delta=1.0) -> Tensor", py=("nn",), cast="float32", body="""
d = (self - target).abs()
_reduce_loss(where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)
""", doc="Squared below delta, linear above.")
composite("binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean) -> Tensor", py=("nn",), body="""
loss = -(target * self.log().clamp(-100, None) + (1 - target) * (1 - self).log().clamp(-100, None))
loss = loss * weight if weight is not None else loss
_reduce_loss(loss, reduction)
""", doc="Binary cross entropy of probabilities.")
composite("binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=Mean) -> Tensor", py=("function",), cast="float32", body="""
factor = (pos_weight - 1) * target + 1 if pos_weight is not None else ones_like(self)
loss = (1 - target) * self - factor * log_sigmoid(self)
loss = loss * weight if weight is not None else loss
_reduce_loss(loss, reduction)
""", doc="Binary cross entropy of logits.")
composite("soft_margin_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", py=("nn",), body="_reduce_loss((-target * self).exp().log1p(), reduction)", doc="log(1 + exp(-y x)).")
composite("kl_div(Tensor self, Tensor target, int reduction=Mean, *, bool log_target=False) -> Tensor", py=("function",), body="""
loss = target.exp() * (target - self) if log_target else xlogy(target, target) - target * self
_reduce_loss(loss, reduction)
""", doc="Kullback-Leibler divergence.")
func("embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor", py=("function",),
     grad={"weight": "embedding_dense_backward(grad, indices, weight.size(0), padding_idx, scale_grad_by_freq)"}, doc="Rows of a table.")
func("embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool scale_grad_by_freq) -> Tensor", py=("function",),
     grad={"grad_output": "embedding_double(grad, indices, padding_idx)"}, doc="Gradient of embedding.")
composite("embedding_double(Tensor grad, Tensor indices, int padding_idx) -> Tensor", py=(), body="embedding(grad, indices, padding_idx)", doc="Gradient of the gradient of embedding.")
