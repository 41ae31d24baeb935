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

func("embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor", py=("function",),
     grad={"weight": "embedding_dense_backward(grad, indices, weight.size(0), padding_idx, scale_grad_by_freq)"}, doc="Rows of a table.")
func("embedding_dense_backward(Tensor grad_output, Tensor indices, int num_weights, int padding_idx, bool scale_grad_by_freq) -> Tensor", py=("function",),
     grad={"grad_output": "embedding_double(grad, indices, padding_idx)"}, doc="Gradient of embedding.")
composite("embedding_double(Tensor grad, Tensor indices, int padding_idx) -> Tensor", py=(), body="embedding(grad, indices, padding_idx)", doc="Gradient of the gradient of embedding.")
