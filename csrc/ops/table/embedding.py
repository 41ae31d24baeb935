"""Tables of rows, classes as vectors, bilinear forms, alignments of sequences."""

func("_embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, int padding_idx=-1)"
     " -> (Tensor, Tensor, Tensor, Tensor)", py=("function",), nondiff=("result1", "result2", "result3"), node="EmbeddingBagBackward0",
     grad={"weight": "_embedding_bag_backward(grads[0], indices, offsets, result1, result2, result3, weight.size(0), scale_grad_by_freq, mode, sparse, per_sample_weights, padding_idx)",
           "per_sample_weights": "_embedding_bag_per_sample_weights_backward(grads[0], weight, indices, offsets, result1, mode, padding_idx)"}, doc="Sums, means or largest of bags of rows.")
composite("_embedding_bag_forward_only(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False, "
          "int padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)", py=("function",),
          body="_embedding_bag(weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx)", doc="_embedding_bag.")
func("_embedding_bag_backward(Tensor grad, Tensor indices, Tensor offsets, Tensor offset2bag, Tensor bag_size, Tensor maximum_indices, int num_weights, bool scale_grad_by_freq, int mode, bool sparse, "
     "Tensor? per_sample_weights, int padding_idx=-1) -> Tensor", py=(), node="EmbeddingBagBackwardBackward0", grad={"grad, per_sample_weights": "@not_implemented"},
     doc="Gradient of bags by the table.")
func("_embedding_bag_per_sample_weights_backward(Tensor grad, Tensor weight, Tensor indices, Tensor offsets, Tensor offset2bag, int mode, int padding_idx=-1) -> Tensor", py=(), grad={"grad, weight": "@not_implemented"}, doc="Gradient of bags by their weights.")
composite("embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? per_sample_weights=None, bool include_last_offset=False)"
          " -> (Tensor, Tensor, Tensor, Tensor)", py=("function",), body="_embedding_bag(weight, indices, offsets, scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset)", doc="Bags of rows.")
composite("embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, bool scale_grad_by_freq, int mode, bool sparse, Tensor? per_sample_weights, bool include_last_offset, int? padding_idx)"
          " -> (Tensor, Tensor, Tensor, Tensor)", py=("function",), doc="Bags of rows, one of which does not count.")
func("embedding_renorm_(Tensor(a!) self, Tensor indices, float max_norm, float norm_type) -> Tensor(a!)", py=("function",), doc="Rows that are used scaled to a norm of at most max_norm.")
composite("one_hot(Tensor self, int num_classes=-1) -> Tensor", py=("nn",), doc="Class indices as vectors of zeros and a one.")
composite("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", py=("function",), doc="input1^T weight[k] input2 for every k.")

_LENGTHS = {"": "int[] input_lengths, int[] target_lengths", ".Tensor": "Tensor input_lengths, Tensor target_lengths"}
func(f"_ctc_loss(Tensor log_probs, Tensor targets, {_LENGTHS['']}, int blank=0, bool zero_infinity=False) -> (Tensor, Tensor)", py=("function",), nondiff=("result1",),
     node="CtcLossBackward0", grad={"log_probs": "_ctc_loss_backward(grads[0], log_probs, targets, input_lengths, target_lengths, result0, result1, blank, zero_infinity)"},
     doc="Negative log likelihood of sequences without alignment, and the forward variables.")
func(f"_ctc_loss_backward(Tensor grad, Tensor log_probs, Tensor targets, {_LENGTHS['']}, Tensor neg_log_likelihood, Tensor log_alpha, int blank, bool zero_infinity=False) -> Tensor", py=(),
     doc="Gradient of ctc_loss.")
composite("ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, int reduction=Mean, bool zero_infinity=False) -> Tensor", py=("function",), cast="float32",
          doc="Connectionist temporal classification (Graves et al., 2006).")
composite("ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, int reduction=Mean, bool zero_infinity=False) -> Tensor", py=("function",), cast="float32",
          doc="Connectionist temporal classification (Graves et al., 2006).")
