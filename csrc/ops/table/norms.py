"""Normalisation layers and weights."""

func("native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)", py=("function",), nondiff=("result1", "result2"),
     grad={"input, weight, bias": "native_layer_norm_backward(grads[0], input, normalized_shape, result1, result2, weight, bias, [want['input'], want['weight'], want['bias']])"},
     doc="Layer norm with the mean and the reciprocal deviation.")
composite("native_layer_norm_backward(Tensor grad_out, Tensor input, int[] normalized_shape, Tensor mean, Tensor rstd, Tensor? weight, Tensor? bias, bool[3] output_mask) -> (Tensor?, Tensor?, Tensor?)",
          py=("function",), doc="Gradients of layer norm.")
composite("layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor", py=("function",), cast="float32",
          body="native_layer_norm(input, normalized_shape, weight, bias, eps)[0]", doc="Normalises over the last dimensions (Ba et al., 2016).")
composite("rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", py=("function",), doc="Divides by the root mean square of the last dimensions.")
func("native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) -> (Tensor, Tensor, Tensor)", py=("function",),
     grad={"input, weight, bias": "_group_norm_backward(grads[0], input, result1, result2, weight, bias, group, eps, [want['input'], want['weight'], want['bias']])"},
     doc="Group norm with the means and the reciprocal deviations.")
composite("_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, Tensor? bias, int group, float eps, bool[3] output_mask) -> (Tensor?, Tensor?, Tensor?)", hidden=True,
          doc="Gradients of group norm.")
composite("native_group_norm_backward(Tensor grad_out, Tensor input, Tensor mean, Tensor rstd, Tensor? weight, int N, int C, int HxW, int group, bool[3] output_mask) -> (Tensor?, Tensor?, Tensor?)", py=(),
          doc="Gradients of group norm.")
composite("group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor", py=("function",), cast="float32",
          doc="Normalises groups of channels (Wu and He, 2018).")
_BN = "Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var"
func(f"native_batch_norm({_BN}, bool training, float momentum, float eps) -> (Tensor, Tensor, Tensor)", py=("function",), nondiff=("result1", "result2"),
     grad={"input, weight, bias": "_batch_norm_backward(grads[0], input, weight, bias, running_mean, running_var, result1, result2, training, eps, [want['input'], want['weight'], want['bias']])"},
     doc="Batch norm with the means and the reciprocal deviations.")
composite("_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, Tensor? save_mean, Tensor? save_invstd, bool train, float eps, bool[3] output_mask)"
          " -> (Tensor?, Tensor?, Tensor?)", hidden=True, doc="Gradients of batch norm.")
composite("native_batch_norm_backward(Tensor grad_out, Tensor input, Tensor? weight, Tensor? running_mean, Tensor? running_var, Tensor? save_mean, Tensor? save_invstd, bool train, float eps, bool[3] output_mask)"
          " -> (Tensor?, Tensor?, Tensor?)", py=(), body="_batch_norm_backward(grad_out, input, weight, weight, running_mean, running_var, save_mean, save_invstd, train, eps, output_mask)", doc="Gradients of batch norm.")
composite(f"batch_norm({_BN}, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor", py=("function",), doc="Normalises channels over the batch (Ioffe and Szegedy, 2015).")
composite(f"instance_norm({_BN}, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor", py=("function",), doc="batch_norm for each sample on its own.")

func("renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor", out="out", grad={"self": "_renorm_backward(grad, self, p, dim, maxnorm)"}, doc="Sub-tensors along dim scaled to a norm of at most maxnorm.")
composite("renorm_(Tensor(a!) self, Scalar p, int dim, Scalar maxnorm) -> Tensor(a!)", py=("method",), doc="renorm in place.")
composite("_renorm_backward(Tensor grad, Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor", hidden=True, doc="Gradient of renorm.")
composite("norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor", py=("function",), doc="Norm over all dimensions but one.")
composite("_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor", py=("function",), doc="v with the norms g (Salimans and Kingma, 2016).")
func("_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)", py=("function",), nondiff=("result1",),
     grad={"v, g": "_weight_norm_interface_backward(grads[0], v, g, result1, dim)"}, doc="v with the norms g, and the norms that v has.")
composite("_weight_norm_interface_backward(Tensor grad_w, Tensor saved_v, Tensor saved_g, Tensor saved_norms, int dim) -> (Tensor, Tensor)", py=(), doc="Gradients of weight norm.")
