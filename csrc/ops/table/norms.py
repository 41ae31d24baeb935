"""Normalisation layers, made of reductions."""

composite("native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)", py=("function",),
          doc="Layer norm with the mean and the reciprocal deviation.")
composite("layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor", py=("function",), cast="float32",
          body="native_layer_norm(input, normalized_shape, weight, bias, eps)[0]", doc="Normalises over the last dimensions (Ba et al., 2016).")
composite("rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", py=("function",), doc="Divides by the root mean square of the last dimensions.")
composite("group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor", py=("function",), cast="float32",
          doc="Normalises groups of channels (Wu and He, 2018).")
composite("batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor",
          py=("function",), doc="Normalises channels over the batch (Ioffe and Szegedy, 2015).")
composite("instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool use_input_stats, float momentum, float eps, bool cudnn_enabled) -> Tensor",
          py=("function",), doc="batch_norm for each sample on its own.")
