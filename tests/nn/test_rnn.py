"""Recurrent layers, their single steps, and packed sequences."""

import copy

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def close(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731


def weights(m, suffix=""):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(m, n + suffix).detach().numpy().astype(np.float64) for n in names]


def rnn_step(x, h, c, wi, wh, bi, bh):
    return np.tanh(x @ wi.T + bi + h @ wh.T + bh), None


def lstm_step(x, h, c, wi, wh, bi, bh):
    i, f, g, o = np.split(x @ wi.T + bi + h @ wh.T + bh, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, c, wi, wh, bi, bh):
    ri, zi, ni = np.split(x @ wi.T + bi, 3, axis=-1)
    rh, zh, nh = np.split(h @ wh.T + bh, 3, axis=-1)
    z = sigmoid(zi + zh)
    return (1 - z) * np.tanh(ni + sigmoid(ri + rh) * nh) + z * h, None


KINDS = [
    (nn.RNN, nn.RNNCell, rnn_step),
    (nn.LSTM, nn.LSTMCell, lstm_step),
    (nn.GRU, nn.GRUCell, gru_step),
]


def run(step, x, arrays):
    h = c = np.zeros((x.shape[1], arrays[1].shape[1]))
    out = []
    for row in x:
        h, c = step(row, h, c, *arrays)
        out.append(h)
    return np.stack(out), h, c


@pytest.mark.parametrize("layer, cell, step", KINDS)
def test_one_layer(layer, cell, step):
    m = layer(3, 4)
    x = torch.randn(5, 2, 3)
    out, state = m(x)
    want, h, c = run(step, x.numpy().astype(np.float64), weights(m, "_l0"))
    close(out, want)
    state = state if layer is nn.LSTM else (state, None)
    close(state[0][0], h)
    if layer is nn.LSTM:
        close(state[1][0], c)
    single = cell(3, 4)
    single.load_state_dict({k[:-3]: v for k, v in m.state_dict().items()})
    hidden = single(x[0])
    close(hidden[0] if layer is nn.LSTM else hidden, want[0])


@pytest.mark.parametrize("layer, cell, step", KINDS)
def test_layers_and_directions(layer, cell, step):
    m = layer(3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 3)
    n = x.numpy().astype(np.float64)
    for k in range(2):
        there = run(step, n, weights(m, f"_l{k}"))[0]
        back = run(step, n[::-1], weights(m, f"_l{k}_reverse"))[0][::-1]
        n = np.concatenate([there, back], -1)
    close(m(x)[0], n)
    turned = layer(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    turned.load_state_dict(m.state_dict())
    close(turned(x.transpose(0, 1))[0].transpose(0, 1), n)
    close(m(x[:, 0])[0], n[:, 0])


def test_projection():
    m = nn.LSTM(3, 4, proj_size=2)
    out, (h, c) = m(torch.randn(5, 1, 3))
    assert out.shape == (5, 1, 2) and h.shape == (1, 1, 2) and c.shape == (1, 1, 4)
    assert m.weight_hr_l0.shape == (2, 4) and m.weight_hh_l0.shape == (16, 2)


def test_relu():
    m = nn.RNN(2, 3, nonlinearity="relu")
    assert m.mode == "RNN_RELU" and m(torch.randn(4, 1, 2))[0].min().item() >= 0.0
    assert nn.RNN(2, 3, 1, "relu").mode == "RNN_RELU"


def test_gradients_flow_to_all_parameters():
    m = nn.GRU(2, 3, num_layers=2, dropout=0.5)
    x = torch.randn(4, 2, 2, requires_grad=True)
    m(x)[0].sum().backward()
    assert x.grad is not None and all(p.grad is not None for p in m.parameters())


def test_replaced_parameters_are_used():
    m = nn.LSTM(2, 3)
    x = torch.randn(4, 1, 2)
    m.weight_ih_l0 = nn.Parameter(torch.zeros(12, 2))
    m._parameters["bias_ih_l0"] = nn.Parameter(torch.zeros(12))
    want = run(lstm_step, x.numpy().astype(np.float64), weights(m, "_l0"))[0]
    close(m(x)[0], want)
    twin = copy.deepcopy(m)
    nn.init.zeros_(twin.weight_hh_l0)
    close(m(x)[0], want)
    assert twin._flat_weights[1] is twin.weight_hh_l0
    assert m.double()(x.double())[0].dtype == torch.float64
    assert m.all_weights[0][0] is m.weight_ih_l0


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"hidden_size": 0}, ValueError, "hidden_size must be greater than zero"),
        ({"hidden_size": 2.0}, TypeError, "hidden_size should be of type int, got: float"),
        ({"num_layers": 0}, ValueError, "num_layers must be greater than zero"),
        ({"dropout": 2}, ValueError, r"dropout should be a number in range \[0, 1\]"),
        ({"proj_size": 3}, ValueError, "proj_size has to be smaller than hidden_size"),
        ({"bias": 0}, TypeError, "bias should be of type bool, got: int"),
    ],
)
def test_arguments_are_checked(options, error, text):
    with pytest.raises(error, match=text):
        nn.LSTM(**{"input_size": 2, "hidden_size": 3, **options})


def test_inputs_are_checked():
    m = nn.GRU(2, 3)
    for x, h, error, text in (
        (torch.ones(4), None, ValueError, "GRU: Expected input to be 2D or 3D, got 1D"),
        (torch.ones(4, 1, 3), None, RuntimeError, "Expected 2, got 3"),
        (torch.ones(4, 1, 2), torch.ones(1, 2, 3), RuntimeError, "Expected hidden size"),
        (torch.ones(4, 2), torch.ones(1, 1, 3), RuntimeError, "For unbatched 2-D input, hx"),
        (torch.ones(4, 1, 2).double(), None, ValueError, "does not match weight dtype"),
    ):
        with pytest.raises(error, match=text):
            m(x, h)
    with pytest.raises(ValueError, match="Unknown nonlinearity 'some'"):
        nn.RNN(2, 3, nonlinearity="some")
    with pytest.raises(ValueError, match="only supported for LSTM, not RNN or GRU"):
        nn.GRU(2, 3, proj_size=1)
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.LSTM(2, 3, dropout=0.5)
    with pytest.raises(ValueError, match="LSTMCell: Expected input to be 1D or 2D, got 3D"):
        nn.LSTMCell(2, 3)(torch.ones(1, 1, 2))


def test_printed_forms():
    m = nn.LSTM(2, 3, 2, bias=False, batch_first=True, bidirectional=True, proj_size=1)
    assert repr(m) == (
        "LSTM(2, 3, proj_size=1, num_layers=2, bias=False, batch_first=True, bidirectional=True)"
    )
    assert repr(nn.RNNCell(2, 3, nonlinearity="relu")) == "RNNCell(2, 3, nonlinearity=relu)"


# ------------------------------------------------------------------------------------- packing


def test_packing_orders_elements_by_step():
    x = torch.arange(15.0).view(5, 3)
    packed = pack_padded_sequence(x, [5, 3, 2])
    assert packed.batch_sizes.tolist() == [3, 3, 2, 1, 1]
    assert packed.data.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 12]
    padded, lengths = pad_packed_sequence(packed, padding_value=-1.0)
    assert lengths.tolist() == [5, 3, 2]
    assert padded[:, 2].tolist() == [2.0, 5.0, -1.0, -1.0, -1.0]
    assert pad_packed_sequence(packed, total_length=7)[0].shape == (7, 3)
    with pytest.raises(ValueError, match="got total_length=3 and max sequence length being 5"):
        pad_packed_sequence(packed, total_length=3)


def test_unsorted_sequences_come_back_in_their_order():
    rows = [torch.arange(float(n)) for n in (2, 5, 3)]
    packed = pack_sequence(rows, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == [1, 2, 0]
    assert packed.unsorted_indices.tolist() == [2, 0, 1]
    assert [r.tolist() for r in unpack_sequence(packed)] == [r.tolist() for r in rows]
    with pytest.raises(RuntimeError):
        pack_sequence(rows)


def test_padding_of_lists():
    rows = [torch.ones(2), torch.ones(3)]
    assert pad_sequence(rows).tolist() == [[1, 1], [1, 1], [0, 1]]
    left = pad_sequence(rows, batch_first=True, padding_value=9.0, padding_side="left")
    assert left.tolist() == [[9, 1, 1], [1, 1, 1]]
    back = unpad_sequence(pad_sequence(rows), torch.tensor([2, 3]))
    assert [b.tolist() for b in back] == [[1, 1], [1, 1, 1]]
    with pytest.raises(RuntimeError, match="Expected iterable for input sequences"):
        pad_sequence(5)


def test_packed_sequences_move_and_cast():
    packed = pack_sequence([torch.ones(2), torch.ones(3)], enforce_sorted=False)
    double = packed.double()
    assert isinstance(double, PackedSequence) and double.data.dtype == torch.float64
    assert double.batch_sizes.dtype == torch.int64 and double.sorted_indices.tolist() == [1, 0]
    assert packed.float() is packed and packed.cpu() is packed and not packed.is_cuda
    assert invert_permutation(None) is None
    assert invert_permutation(torch.tensor([2, 0, 1])).tolist() == [1, 2, 0]


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
def test_layers_take_packed_sequences(layer):
    m = layer(2, 3, bidirectional=True)
    rows = [torch.randn(n, 2) for n in (2, 4, 3)]
    out, state = m(pack_sequence(rows, enforce_sorted=False))
    state = state[0] if layer is nn.LSTM else state
    for i, row in enumerate(rows):
        alone, last = m(row)
        last = last[0] if layer is nn.LSTM else last
        close(unpack_sequence(out)[i], alone.detach().numpy())
        close(state[:, i], last.detach().numpy())
