"""Multi-head attention and transformers."""

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn import functional as F


def close(got, want, tolerance=1e-5):
    if isinstance(want, torch.Tensor):
        want = want.detach().numpy()
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(m, q, k, v, mask=0.0):
    """NumPy: (L, E), (S, E), (S, E) -> (L, E) and weights (h, L, S)."""
    w, b = m.in_proj_weight.detach().numpy(), m.in_proj_bias.detach().numpy()
    e, h = m.embed_dim, m.num_heads
    q, k, v = (x @ w[i * e : i * e + e].T + b[i * e : i * e + e] for i, x in enumerate((q, k, v)))
    heads = [np.split(x, h, axis=1) for x in (q, k, v)]
    scale = np.sqrt(e // h)
    weights = np.stack([softmax(a @ c.T / scale + mask) for a, c in zip(*heads[:2], strict=True)])
    joined = np.concatenate([p @ x for p, x in zip(weights, heads[2], strict=True)], axis=1)
    out = m.out_proj
    return joined @ out.weight.detach().numpy().T + out.bias.detach().numpy(), weights


@pytest.fixture
def layer():
    torch.manual_seed(0)
    m = nn.MultiheadAttention(6, 2)
    nn.init.normal_(m.in_proj_bias)
    nn.init.normal_(m.out_proj.bias)
    return m


def test_attention(layer):
    q, k, v = torch.randn(3, 2, 6), torch.randn(4, 2, 6), torch.randn(4, 2, 6)
    out, weights = layer(q, k, v)
    raw = layer(q, k, v, average_attn_weights=False)[1]
    for i in range(2):
        want, w = attention(layer, *(x[:, i].numpy() for x in (q, k, v)))
        close(out[:, i], want)
        close(weights[i], w.mean(0))
        close(raw[i], w)
    fast, nothing = layer(q, k, v, need_weights=False)
    assert nothing is None
    close(fast, out)
    single, w = layer(q[:, 0], k[:, 0], v[:, 0])
    close(single, out[:, 0])
    close(w, weights[0])


def test_masks(layer):
    x = torch.randn(4, 2, 6)
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    want, weights = attention(layer, *[x[:, 0].numpy()] * 3, mask=causal.numpy())
    for mask in (causal, causal.isinf()):
        for need in (True, False):
            close(layer(x, x, x, attn_mask=mask, need_weights=need)[0][:, 0], want)
    close(layer(x, x, x, attn_mask=causal, is_causal=True, need_weights=False)[0][:, 0], want)
    padding = torch.tensor([[False, False, False, True], [False] * 4])
    out, weights = layer(x, x, x, key_padding_mask=padding)
    close(out[:, 0], layer(x[:, 0], x[:3, 0], x[:3, 0])[0])
    assert weights[0, :, 3].abs().max().item() == 0.0
    per_head = causal.expand(4, 4, 4)
    close(layer(x, x, x, attn_mask=per_head)[0][:, 0], want)


def test_batch_first_and_separate_sizes():
    torch.manual_seed(0)
    m = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True)
    assert m.in_proj_weight is None and m.k_proj_weight.shape == (4, 3)
    out, weights = m(torch.randn(2, 3, 4), torch.randn(2, 6, 3), torch.randn(2, 6, 5))
    assert out.shape == (2, 3, 4) and weights.shape == (2, 3, 6)


def test_additional_sources(layer):
    m = nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True)
    x = torch.randn(3, 1, 6)
    assert m(x, x, x)[1].shape == (1, 3, 5)
    assert {"bias_k", "bias_v"} <= set(m.state_dict())


@pytest.mark.parametrize(
    "shapes, options, error, text",
    [
        (((3, 2, 5),) * 3, {}, AssertionError, "was expecting embedding dimension of 6, but got 5"),
        (((6,),) * 3, {}, AssertionError, "query should be unbatched 2D or batched 3D"),
        (((3, 2, 6), (3, 6), (3, 6)), {}, AssertionError, "expected `key` and `value` to be 3-D"),
        (((3, 2, 6),) * 3, {"is_causal": True}, RuntimeError, "Need attn_mask if specifying"),
        (((3, 2, 6),) * 3, {"attn_mask": (2, 3)}, RuntimeError, "The shape of the 2D attn_mask is"),
        (
            ((3, 2, 6),) * 3,
            {"key_padding_mask": (3, 2)},
            AssertionError,
            "Expected key_padded_mask",
        ),
    ],
)
def test_shapes_are_checked(layer, shapes, options, error, text):
    options = {k: torch.zeros(v) if isinstance(v, tuple) else v for k, v in options.items()}
    with pytest.raises(error, match=text):
        layer(*(torch.ones(s) for s in shapes), **options)


def test_constructor_checks():
    with pytest.raises(AssertionError, match="embed_dim must be divisible by num_heads"):
        nn.MultiheadAttention(5, 2)
    with pytest.raises(ValueError, match="must be greater than 0, got embed_dim=0"):
        nn.MultiheadAttention(0, 1)
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not some"):
        nn.TransformerEncoderLayer(4, 2, activation="some")


def test_mismatched_masks_warn(layer):
    x = torch.randn(3, 1, 6)
    with pytest.warns(UserWarning, match="Support for mismatched key_padding_mask and attn_mask"):
        layer(x, x, x, attn_mask=torch.zeros(3, 3), key_padding_mask=torch.zeros(1, 3).bool())


# -------------------------------------------------------------------------------- transformers


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer(norm_first):
    torch.manual_seed(0)
    m = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, norm_first=norm_first)
    x = torch.randn(3, 2, 4)

    def feed(y):
        return m.linear2(F.relu(m.linear1(y)))

    if norm_first:
        y = m.norm1(x)
        y = x + m.self_attn(y, y, y)[0]
        want = y + feed(m.norm2(y))
    else:
        y = m.norm1(x + m.self_attn(x, x, x)[0])
        want = m.norm2(y + feed(y))
    close(m(x), want)


def test_decoder_layer():
    torch.manual_seed(0)
    m = nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0, activation="gelu")
    x, memory = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    y = m.norm1(x + m.self_attn(x, x, x)[0])
    y = m.norm2(y + m.multihead_attn(y, memory, memory)[0])
    want = m.norm3(y + m.linear2(F.gelu(m.linear1(y))))
    close(m(x, memory), want)


def test_stacks_copy_their_layer():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0)
    m = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4)).eval()
    assert m.layers[0] is not layer and m.layers[0] is not m.layers[1]
    x = torch.randn(2, 3, 4)
    close(m(x), m.norm(m.layers[1](m.layers[0](x))))
    causal = nn.Transformer.generate_square_subsequent_mask(3)
    close(m(x, mask=causal), m(x, mask=causal, is_causal=True))


def test_padding_comes_out_as_zeros_where_pytorch_leaves_it_out():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0)
    m = nn.TransformerEncoder(layer, 1)
    assert m.use_nested_tensor
    x = torch.randn(2, 3, 4)
    padding = torch.tensor([[False, False, True], [False, False, False]])
    m.eval()
    with torch.no_grad():
        out = m(x, src_key_padding_mask=padding)
    assert out[0, 2].tolist() == [0.0] * 4 and out[1, 2].abs().sum().item() > 0
    recorded = m(x, src_key_padding_mask=padding)
    assert recorded[0, 2].abs().sum().item() > 0
    close(recorded[~padding], out[~padding])
    with pytest.warns(UserWarning, match="use_nested_tensor is False because.*norm_first was True"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, norm_first=True), 1)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_transformer():
    torch.manual_seed(0)
    m = nn.Transformer(4, 2, 1, 2, 8, dropout=0.0)
    src, tgt = torch.randn(3, 2, 4), torch.randn(5, 2, 4)
    close(m(src, tgt), m.decoder(tgt, m.encoder(src)))
    causal = m.generate_square_subsequent_mask(5)
    assert causal[0].tolist() == [0.0] + [-np.inf] * 4
    close(m(src, tgt, tgt_mask=causal)[0], m(src, tgt[:1])[0])
    with pytest.raises(RuntimeError, match="the batch number of src and tgt must be equal"):
        m(src, tgt[:, :1])
    with pytest.raises(RuntimeError, match="the feature number of src and tgt must be equal"):
        m(src, torch.randn(5, 2, 3))
