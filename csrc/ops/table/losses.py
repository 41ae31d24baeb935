"""Losses: elementwise, with margins, of probabilities and of sequences."""

_R = "int reduction=Mean"
composite("_reduce_loss(Tensor loss, int reduction) -> Tensor", py=(), body="loss.mean() if reduction == 1 else (loss.sum() if reduction == 2 else loss)", doc="Mean, sum or all.")
# what a gradient is divided by: the elements for a mean
_N = "(1.0 / self.numel() if reduction == 1 else 1.0)"

# ---- elementwise -------------------------------------------------------------------------------
func(f"mse_loss(Tensor self, Tensor target, {_R}) -> Tensor", py=("nn",), cast="float32", out="out", body="_reduce_loss((self - target).square(), reduction)",
     grad={"self": "mse_loss_backward(grad, self, target, reduction)", "target": "mse_loss_backward(grad, target, self, reduction)"}, doc="Mean squared error.")
func("mse_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor", py=("nn",), out="grad_input",
     body=f"(self - target) * (grad_output * (2.0 * {_N}))",
     grad={"grad_output": f"grad * (self - target) * (2.0 * {_N})", "self": f"grad * grad_output * (2.0 * {_N})", "target": f"grad * grad_output * (-2.0 * {_N})"}, doc="Gradient of mse_loss.")
composite(f"l1_loss(Tensor self, Tensor target, {_R}) -> Tensor", py=("nn",), cast="float32", body="_reduce_loss((self - target).abs(), reduction)", doc="Mean absolute error.")
func(f"smooth_l1_loss(Tensor self, Tensor target, {_R}, float beta=1.0) -> Tensor", py=("nn",), cast="float32", out="out", body="""
d = (self - target).abs()
loss = where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta) if beta > 0 else d
_reduce_loss(loss, reduction)
""", grad={"self": "smooth_l1_loss_backward(grad, self, target, reduction, beta)", "target": "smooth_l1_loss_backward(grad, target, self, reduction, beta)"},
     doc="Squared below beta, absolute above.")
composite("_smooth_slope(Tensor d, float beta) -> Tensor", py=(), body="(d / beta).clamp(-1, 1) if beta > 0 else d.sign()", doc="Slope of smooth_l1_loss.")
composite("_smooth_curve(Tensor d, float beta) -> Tensor", py=(), body="(d.abs() < beta).to(d.dtype) / beta if beta > 0 else zeros_like(d)", doc="Slope of the slope of smooth_l1_loss.")
func("smooth_l1_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float beta) -> Tensor", py=("nn",), out="grad_input",
     body=f"_smooth_slope(self - target, beta) * (grad_output * {_N})",
     grad={"grad_output": f"grad * _smooth_slope(self - target, beta) * {_N}", "self": f"grad * grad_output * _smooth_curve(self - target, beta) * {_N}",
           "target": f"grad * grad_output * _smooth_curve(self - target, beta) * -{_N}"}, doc="Gradient of smooth_l1_loss.")
func(f"huber_loss(Tensor self, Tensor target, {_R}, float delta=1.0) -> Tensor", py=("nn",), cast="float32", out="out", body="""
d = (self - target).abs()
_reduce_loss(where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)), reduction)
""", grad={"self": "huber_loss_backward(grad, self, target, reduction, delta)", "target": "huber_loss_backward(grad, target, self, reduction, delta)"}, doc="Squared below delta, linear above.")
func("huber_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, float delta) -> Tensor", py=("nn",), out="out",
     body=f"(self - target).clamp(-delta, delta) * (grad_output * {_N})",
     grad={"grad_output": f"grad * (self - target).clamp(-delta, delta) * {_N}", "self": f"grad * grad_output * ((self - target).abs() < delta).to(self.dtype) * {_N}",
           "target": f"grad * grad_output * ((self - target).abs() < delta).to(self.dtype) * -{_N}"}, doc="Gradient of huber_loss.")
func(f"soft_margin_loss(Tensor self, Tensor target, {_R}) -> Tensor", py=("nn",), cast="float32", out="out", body="_reduce_loss((-target * self).exp().log1p(), reduction)",
     grad={"self": "soft_margin_loss_backward(grad, self, target, reduction)"}, doc="log(1 + exp(-y x)).")
composite("soft_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction) -> Tensor", py=("nn",), out="grad_input", body=f"""
z = (-target * self).exp()
-target * grad_output * {_N} * z / (1 + z)
""", doc="Gradient of soft_margin_loss.")

# ---- probabilities -----------------------------------------------------------------------------
helper("check_probabilities(Tensor self) -> Tensor")
func(f"binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, {_R}) -> Tensor", py=("nn",), out="out", body="""
loss = -(target * check_probabilities(self).log().clamp(-100, None) + (1 - target) * (1 - self).log().clamp(-100, None))
loss = loss * weight if weight is not None else loss
_reduce_loss(loss, reduction)
""", grad={"self": "binary_cross_entropy_backward(grad, self, target, weight, reduction)", "target": "_bce_target_backward(grad, self, target, weight, reduction)"},
     doc="Binary cross entropy of probabilities.")
composite(f"binary_cross_entropy_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight=None, {_R}) -> Tensor", py=("nn",), out="grad_input", body=f"""
g = grad_output * (self - target) / ((1 - self) * self).clamp(1e-12, None)
g = g * weight if weight is not None else g
g * {_N}
""", doc="Gradient of binary_cross_entropy.")
composite("_bce_target_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction) -> Tensor", py=(), body=f"""
g = ((1 - self).log().clamp(-100, None) - self.log().clamp(-100, None)) * grad_output
g = g * weight if weight is not None else g
g * {_N}
""", doc="Gradient of binary_cross_entropy by its targets.")
composite(f"binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, {_R}) -> Tensor", py=("function",), cast="float32", body="""
loss = (1 - target) * self - ((pos_weight - 1) * target + 1) * log_sigmoid(self) if pos_weight is not None else (1 - target) * self - log_sigmoid(self)
loss = loss * weight if weight is not None else loss
_reduce_loss(loss, reduction)
""", doc="Binary cross entropy of logits.")
composite(f"kl_div(Tensor self, Tensor target, {_R}, *, bool log_target=False) -> Tensor", py=("function",), body="""
loss = target.exp() * (target - self) if log_target else xlogy(target, target) - target * self
_reduce_loss(loss, reduction)
""", doc="Kullback-Leibler divergence.")
composite("poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) -> Tensor", py=("function",), cast="float32", body="""
loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
loss = loss + (target * target.log() - target + 0.5 * (target * 6.283185307179586).log()).masked_fill(target <= 1, 0) if full else loss
_reduce_loss(loss, reduction)
""", doc="Negative log likelihood of Poisson counts.")

# ---- margins -----------------------------------------------------------------------------------
composite(f"hinge_embedding_loss(Tensor self, Tensor target, float margin=1.0, {_R}) -> Tensor", py=("function",), cast="float32", body="""
far = (-self + margin).clamp_min(0)
_reduce_loss(where(target != 1, far, zeros_like(self)) + where(target != -1, self, zeros_like(self)), reduction)
""", doc="Hinge on distances of pairs that are alike (1) or not (-1).")
composite(f"margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, {_R}) -> Tensor", py=("function",), cast="float32",
          body="_reduce_loss((-target * (input1 - input2) + margin).clamp_min(0), reduction)", doc="Hinge on the order of two scores.")
composite(f"cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0.0, {_R}) -> Tensor", py=("function",), cast="float32",
          doc="Hinge on the cosine of pairs that are alike (1) or not (-1).")
composite("_cosine_embedding(Tensor input1, Tensor input2, Tensor target, float margin, int reduction, int dim) -> Tensor", py=(), body="""
cos = (input1 * input2).sum(dim) / (((input1 * input1).sum(dim) + 1e-12) * ((input2 * input2).sum(dim) + 1e-12)).sqrt()
zeros = zeros_like(cos)
_reduce_loss(where(target == 1, 1 - cos, zeros) + where(target == -1, (cos - margin).clamp_min(0), zeros), reduction)
""", doc="cosine_embedding_loss along a dimension.")
composite(f"triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1.0, float p=2.0, float eps=1e-06, bool swap=False, {_R}) -> Tensor", py=("function",), cast="float32",
          doc="Hinge on the difference of the distances to a like and an unlike element.")
composite("_triplet_margin(Tensor anchor, Tensor positive, Tensor negative, float margin, float p, float eps, bool swap, int reduction) -> Tensor", py=(), body="""
far = pairwise_distance(anchor, negative, p, eps)
far = far.minimum(pairwise_distance(positive, negative, p, eps)) if swap else far
_reduce_loss((pairwise_distance(anchor, positive, p, eps) - far + margin).clamp_min(0), reduction)
""", doc="triplet_margin_loss of tensors that fit.")
op("multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int reduction=Mean) -> Tensor", py=("nn",), out="out", flags=("OUT_CONTIGUOUS",),
   grad={"self": "multi_margin_loss_backward(grad, self, target, p, margin, weight, reduction)"}, doc="Hinge on the scores of wrong classes.")
op("multi_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, Scalar p, Scalar margin, Tensor? weight=None, int reduction=Mean) -> Tensor", py=("nn",), out="grad_input",
   flags=("OUT_CONTIGUOUS",), node="NotImplemented", grad={"grad_output, self": "@not_implemented"}, doc="Gradient of multi_margin_loss.")
composite(f"multilabel_margin_loss(Tensor self, Tensor target, {_R}) -> Tensor", py=("nn",), body="multilabel_margin_loss_forward(self, target, reduction)[0]", out="out",
          doc="Hinge between the scores of the target classes and the others.")
op("multilabel_margin_loss_forward(Tensor self, Tensor target, int reduction) -> (Tensor output, Tensor is_target)", py=("nn",), out=False, flags=("OUT_CONTIGUOUS",), nondiff=("is_target",),
   node="MultilabelMarginLossBackward0", grad={"self": "multilabel_margin_loss_backward(grads.output, self, target, reduction, is_target)"}, doc="multilabel_margin_loss, and which classes are targets.")
op("multilabel_margin_loss_backward(Tensor grad_output, Tensor self, Tensor target, int reduction, Tensor is_target) -> Tensor", py=("nn",), out="grad_input", flags=("OUT_CONTIGUOUS",),
   node="NotImplemented", grad={"grad_output, self": "@not_implemented"}, doc="Gradient of multilabel_margin_loss.")

# ---- distances ---------------------------------------------------------------------------------
composite("pairwise_distance(Tensor x1, Tensor x2, float p=2.0, float eps=1e-06, bool keepdim=False) -> Tensor", py=("function",), body="(x1 - x2 + eps).norm(p, -1, keepdim)",
          doc="Norm of the differences of the last dimension.")
composite("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", py=("function",), cast="float32", doc="Cosine of the angle between vectors.")
composite("_cosine_similarity(Tensor x1, Tensor x2, int dim, float eps) -> Tensor", py=(), body="""
n1 = linalg_vector_norm(x1, 2, [dim], True)
n2 = linalg_vector_norm(x2, 2, [dim], True)
n1 = n1 + (n1.clamp_min(eps) - n1).detach()
n2 = n2 + (n2.clamp_min(eps) - n2).detach()
(x1 / n1 * (x2 / n2)).sum(dim)
""", doc="cosine_similarity of tensors of one dtype.")

# ---- class indices -----------------------------------------------------------------------------
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
func("nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor output, Tensor total_weight)", py=("nn",), nondiff=("total_weight",),
     node="NllLoss2DBackward0", grad={"self": "nll_loss2d_backward(grads.output, self, target, weight, reduction, ignore_index, total_weight)"}, doc="nll_loss of images.")
func("nll_loss2d_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index, Tensor total_weight) -> Tensor", py=("nn",),
     node="NllLoss2DBackwardBackward0", grad={"grad_output": "_nll_loss2d_double(grad, target, weight, reduction, ignore_index)", "self": "zeros_like(grad)"}, doc="Gradient of nll_loss2d.")
composite("_nll_loss2d_double(Tensor grad, Tensor target, Tensor? weight, int reduction, int ignore_index) -> Tensor", py=(),
          body="nll_loss2d_forward(grad, target, weight, reduction, ignore_index)[0]", doc="Gradient of the gradient of nll_loss2d.")
composite("nll_loss2d(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, int ignore_index=-100) -> Tensor", py=("nn",), cast="float32",
          body="nll_loss2d_forward(self, target, weight, reduction, ignore_index)[0]", doc="Negative log likelihood of images.")
