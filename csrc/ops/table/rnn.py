"""Recurrent layers, their cells, and sequences of different lengths."""

_CELL = "Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None"
composite(f"lstm_cell(Tensor input, Tensor[] hx, {_CELL}) -> (Tensor, Tensor)", py=("function",), doc="One step of an LSTM (Hochreiter and Schmidhuber, 1997).")
composite(f"gru_cell(Tensor input, Tensor hx, {_CELL}) -> Tensor", py=("function",), doc="One step of a gated recurrent unit (Cho et al., 2014).")
for act in ("tanh", "relu"):
    composite(f"rnn_{act}_cell(Tensor input, Tensor hx, {_CELL}) -> Tensor", py=("function",), doc="One step of a recurrent layer (Elman, 1990).")
# a step, given what the input contributes
composite("_lstm_step(Tensor gates, Tensor hx, Tensor cx, Tensor w_hh, Tensor? b_hh, Tensor? w_hr) -> (Tensor, Tensor)", hidden=True, body="""
parts = (gates + linear(hx, w_hh, b_hh)).chunk(4, 1)
c = parts[1].sigmoid() * cx + parts[0].sigmoid() * parts[2].tanh()
h = parts[3].sigmoid() * c.tanh()
h = linear(h, w_hr) if w_hr is not None else h
(h, c)
""", doc="One step of an LSTM.")
composite("_gru_step(Tensor gates, Tensor hx, Tensor w_hh, Tensor? b_hh) -> Tensor", hidden=True, body="""
mine = gates.chunk(3, 1)
its = linear(hx, w_hh, b_hh).chunk(3, 1)
reset = (its[0] + mine[0]).sigmoid()
keep = (its[1] + mine[1]).sigmoid()
new = (mine[2] + its[2] * reset).tanh()
(hx - new) * keep + new
""", doc="One step of a gated recurrent unit.")

_ARGS = "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
composite(f"lstm.input(Tensor input, Tensor[] hx, {_ARGS}, bool batch_first) -> (Tensor, Tensor, Tensor)", py=("function",), cast="lower", flags=("RANDOM",), doc="Layers of LSTM over a sequence.")
composite(f"lstm.data(Tensor data, Tensor batch_sizes, Tensor[] hx, {_ARGS}) -> (Tensor, Tensor, Tensor)", py=("function",), cast="lower", flags=("RANDOM",), doc="Layers of LSTM over packed sequences.")
for name in ("gru", "rnn_tanh", "rnn_relu"):
    composite(f"{name}.input(Tensor input, Tensor hx, {_ARGS}, bool batch_first) -> (Tensor, Tensor)", py=("function",), cast="lower", flags=("RANDOM",), doc="Recurrent layers over a sequence.")
    composite(f"{name}.data(Tensor data, Tensor batch_sizes, Tensor hx, {_ARGS}) -> (Tensor, Tensor)", py=("function",), cast="lower", flags=("RANDOM",), doc="Recurrent layers over packed sequences.")

func("_pack_padded_sequence(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)", py=("function",), nondiff=("result1",),
     grad={"input": "_pack_padded_sequence_backward(grads[0], input.shape, result1, batch_first)"}, doc="Sequences packed step by step, and how many take part in each step.")
composite("_pack_padded_sequence_backward(Tensor grad, int[] input_size, Tensor batch_sizes, bool batch_first) -> Tensor", py=(), doc="Gradient of _pack_padded_sequence.")
composite("_pad_packed_sequence(Tensor data, Tensor batch_sizes, bool batch_first, Scalar padding_value, int total_length) -> (Tensor, Tensor)", py=("function",), doc="Packed sequences padded, and their lengths.")
composite("pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0.0, str padding_side='right') -> Tensor", py=("nn",), doc="Sequences of different lengths in one tensor.")
