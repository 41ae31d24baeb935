"""Cross entropy."""

composite("cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean, int ignore_index=-100, float label_smoothing=0.0) -> Tensor",
          py=("nn",), cast="float32", doc="Softmax and negative log likelihood.")

composite("_cross_entropy_probabilities(Tensor logs, Tensor target, Tensor? weight, int reduction, float label_smoothing, int dim) -> Tensor", py=(), body="""
p = target * (1 - label_smoothing) + label_smoothing / logs.size(dim) if label_smoothing > 0 else target
loss = -(logs * p)
loss = loss * _class_weight(weight, logs, dim) if weight is not None else loss
each = loss.sum([dim])
each.sum() / (each.numel() if each.dim() > 0 else 1) if reduction == 1 else _reduce_loss(each, reduction)
""", doc="Cross entropy against class probabilities.")
helper("_class_weight(Tensor weight, Tensor like, int dim) -> Tensor")
helper("_smooth_loss(Tensor logs, Tensor target, Tensor? weight, int reduction, int ignore_index, int dim) -> Tensor")
composite("_cross_entropy_smooth(Tensor logs, Tensor target, Tensor? weight, int reduction, int ignore_index, float label_smoothing, int dim) -> Tensor", py=(), body="""
nll = nll_loss_nd(logs, target, weight, reduction, ignore_index)
nll * (1 - label_smoothing) + _smooth_loss(logs, target, weight, reduction, ignore_index, dim) * (label_smoothing / logs.size(dim))
""", doc="Cross entropy with label smoothing.")
