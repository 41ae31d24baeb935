"""Multi-head attention as one function of all its weights. Vaswani et al., 2017."""

import math
import warnings

from ...overrides import has_torch_function
from .activation import softmax
from .common import Tensor, nn_ops, redirect, torch
from .dropout import dropout
from .vision import pad


def _require(condition, text):
    if not condition:
        raise AssertionError(text)


def _none_or_dtype(input):
    if input is None:
        return None
    if isinstance(input, Tensor):
        return input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type,
    other_name: str,
    target_type,
    check_other: bool = True,
) -> Tensor | None:
    """``mask`` as numbers to add to the scores: a bool mask becomes -inf where it is True."""
    if mask is None:
        return None
    is_float = mask.is_floating_point()
    if mask.dtype != torch.bool and not is_float:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} "
            "is deprecated. Use same type for both instead.",
            stacklevel=2,
        )
    if is_float:
        return mask
    return torch.zeros_like(mask, dtype=target_type).masked_fill_(mask, -math.inf)


def _check_key_padding_mask(key_padding_mask: Tensor, src_len: int, bsz: int) -> None:
    for dim, want in ((0, bsz), (1, src_len)):
        found = key_padding_mask.shape[dim]
        _require(
            found == want, f"Expected key_padded_mask.shape[{dim}] to be {want}, but got {found}"
        )


def _mha_shape_check(query, key, value, key_padding_mask, attn_mask, num_heads) -> bool:
    """Whether the arguments have a batch dimension; AssertionError if they do not fit together."""
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor"
        )
    what = f"For {'batched' if dims == 3 else 'unbatched'} ({dims}-D) `query`, expected"
    _require(
        key.dim() == dims and value.dim() == dims,
        f"{what} `key` and `value` to be {dims}-D but found {key.dim()}-D and {value.dim()}-D "
        "tensors respectively",
    )
    if key_padding_mask is not None:
        _require(
            key_padding_mask.dim() == dims - 1,
            f"{what} `key_padding_mask` to be `None` or {dims - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead",
        )
    if attn_mask is not None:
        _require(
            attn_mask.dim() in (2, 3),
            f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {attn_mask.dim()}-D tensor "
            "instead",
        )
        if dims == 2 and attn_mask.dim() == 3:
            shape = (num_heads, query.shape[0], key.shape[0])
            _require(
                attn_mask.shape == shape,
                f"Expected `attn_mask` shape to be {shape} but got {attn_mask.shape}",
            )
    return dims == 3


def _in_projection_packed(q, k, v, w, b=None):
    """The three projections of (q, k, v) whose weights lie one below the other in ``w``."""
    size = q.size(-1)
    linear = nn_ops.linear
    if k is v:
        if q is k:
            # self-attention: one product for all three
            out = linear(q, w, b).unflatten(-1, (3, size)).unsqueeze(0)
            out = out.transpose(0, -2).squeeze(-2).contiguous()
            return out[0], out[1], out[2]
        w_q, w_kv = w.split([size, size * 2])
        b_q, b_kv = (None, None) if b is None else b.split([size, size * 2])
        out = linear(k, w_kv, b_kv).unflatten(-1, (2, size)).unsqueeze(0)
        out = out.transpose(0, -2).squeeze(-2).contiguous()
        return linear(q, w_q, b_q), out[0], out[1]
    w_q, w_k, w_v = w.chunk(3)
    b_q, b_k, b_v = (None, None, None) if b is None else b.chunk(3)
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def _in_projection(q, k, v, w_q, w_k, w_v, b_q=None, b_k=None, b_v=None):
    """The three projections of (q, k, v), with a weight each; AssertionError on wrong shapes."""
    e, e_k, e_v = q.size(-1), k.size(-1), v.size(-1)
    for name, w, shape in (
        ("query", w_q, (e, e)),
        ("key", w_k, (e, e_k)),
        ("value", w_v, (e, e_v)),
    ):
        _require(w.shape == shape, f"expecting {name} weights shape of {shape}, but got {w.shape}")
    for name, b in (("query", b_q), ("key", b_k), ("value", b_v)):
        _require(
            b is None or b.shape == (e,),
            f"expecting {name} bias shape of {(e,)}, but got {None if b is None else b.shape}",
        )
    linear = nn_ops.linear
    return linear(q, w_q, b_q), linear(k, w_k, b_k), linear(v, w_v, b_v)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `MultiheadAttention` computes.

    Shapes, with L targets, S sources, N samples (left out where there is no batch), E features and
    h heads:

    Args:
        query, key, value: (L, N, E), (S, N, E), (S, N, E), or (S, N, Ek) and (S, N, Ev) with
            separate weights.
        embed_dim_to_check: E.
        in_proj_weight, in_proj_bias: (3E, E), (3E,).
        bias_k, bias_v: (1, 1, E), one more source for all samples; ``add_zero_attn`` adds a zero
            one.
        dropout_p: probability of dropping an attention weight in ``training``.
        key_padding_mask: (N, S); True, or -inf, for sources that do not count.
        attn_mask: (L, S) or (N * h, L, S); True or numbers to add to the scores.
        q_proj_weight, k_proj_weight, v_proj_weight: (E, E), (E, Ek), (E, Ev), instead of
            ``in_proj_weight`` with ``use_separate_proj_weight``.
        static_k, static_v: (N * h, S, E / h), keys and values that are projected already.
        need_weights: return the weights, too; the faster kernel cannot.
        is_causal: hint that ``attn_mask``, to be given as well, is the causal one.

    Returns:
        (L, N, E), and None or the weights (N, L, S), with ``average_attn_weights`` False
        (N, h, L, S).

    Raises:
        AssertionError, RuntimeError: if the shapes do not fit together.
    """
    tensors = (
        query,
        key,
        value,
        in_proj_weight,
        in_proj_bias,
        bias_k,
        bias_v,
        out_proj_weight,
        out_proj_bias,
    )
    if has_torch_function(tensors):
        given = dict(locals())
        del given["tensors"]
        return redirect(multi_head_attention_forward, given)
    linear = nn_ops.linear
    batched = _mha_shape_check(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_kv, same_qk = key is value, query is key
        query = query.unsqueeze(1)
        key = query if same_qk else key.unsqueeze(1)
        value = key if same_kv else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    tgt_len, bsz, embed_dim = query.shape
    src_len = key.shape[0]
    key_padding_mask = _canonical_mask(
        key_padding_mask, "key_padding_mask", _none_or_dtype(attn_mask), "attn_mask", query.dtype
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. "
            "You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        # the kernel masks by itself
        attn_mask = None
    else:
        attn_mask = _canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        if key_padding_mask is not None:
            # with padding the mask to be merged is no longer the causal one
            is_causal = False
    _require(
        embed_dim == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}",
    )
    head_dim = embed_dim // num_heads
    _require(
        head_dim * num_heads == embed_dim,
        f"embed_dim {embed_dim} not divisible by num_heads {num_heads}",
    )
    if use_separate_proj_weight:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
        for name, w in (("q", q_proj_weight), ("k", k_proj_weight), ("v", v_proj_weight)):
            _require(
                w is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None"
            )
        biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
        q, k, v = _in_projection(
            query, key, value, q_proj_weight, k_proj_weight, v_proj_weight, *biases
        )
    else:
        _require(
            key.shape == value.shape,
            f"key shape {key.shape} does not match value shape {value.shape}",
        )
        _require(
            in_proj_weight is not None,
            "use_separate_proj_weight is False but in_proj_weight is None",
        )
        q, k, v = _in_projection_packed(query, key, value, in_proj_weight, in_proj_bias)

    if attn_mask is not None:
        dims = attn_mask.dim()
        if dims == 2:
            want = (tgt_len, src_len)
        elif dims == 3:
            want = (bsz * num_heads, tgt_len, src_len)
        else:
            raise RuntimeError(f"attn_mask's dimension {dims} is not supported")
        if attn_mask.shape != want:
            raise RuntimeError(
                f"The shape of the {dims}D attn_mask is {attn_mask.shape}, but should be {want}."
            )
        if dims == 2:
            attn_mask = attn_mask.unsqueeze(0)

    def widen(mask):
        # one more source, which everybody sees
        return None if mask is None else pad(mask, (0, 1))

    if bias_k is not None and bias_v is not None:
        _require(static_k is None, "bias cannot be added to static key.")
        _require(static_v is None, "bias cannot be added to static value.")
        k = torch.cat([k, bias_k.repeat(1, bsz, 1)])
        v = torch.cat([v, bias_v.repeat(1, bsz, 1)])
        attn_mask, key_padding_mask = widen(attn_mask), widen(key_padding_mask)
    else:
        _require(bias_k is None, "bias_k is not None")
        _require(bias_v is None, "bias_v is not None")

    heads = bsz * num_heads
    q = q.view(tgt_len, heads, head_dim).transpose(0, 1)
    k = _split_heads("static_k", static_k, k, heads, head_dim)
    v = _split_heads("static_v", static_v, v, heads, head_dim)
    if add_zero_attn:
        shape = (heads, 1, head_dim)
        k = torch.cat([k, torch.zeros(shape, dtype=k.dtype, device=k.device)], dim=1)
        v = torch.cat([v, torch.zeros(shape, dtype=v.dtype, device=v.device)], dim=1)
        attn_mask, key_padding_mask = widen(attn_mask), widen(key_padding_mask)
    src_len = k.size(1)
    if key_padding_mask is not None:
        _check_key_padding_mask(key_padding_mask, src_len, bsz)
        per_head = key_padding_mask.view(bsz, 1, 1, src_len).expand(-1, num_heads, -1, -1)
        per_head = per_head.reshape(heads, 1, src_len)
        attn_mask = per_head if attn_mask is None else attn_mask + per_head
    if not training:
        dropout_p = 0.0

    if not need_weights:
        if attn_mask is not None:
            if attn_mask.size(0) == 1 and attn_mask.dim() == 3:
                attn_mask = attn_mask.unsqueeze(0)
            else:
                attn_mask = attn_mask.view(bsz, num_heads, -1, src_len)
        q = q.view(bsz, num_heads, tgt_len, head_dim)
        k = k.view(bsz, num_heads, src_len, head_dim)
        v = v.view(bsz, num_heads, src_len, head_dim)
        out = nn_ops.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal)
        out = out.permute(2, 0, 1, 3).contiguous().view(bsz * tgt_len, embed_dim)
        out = linear(out, out_proj_weight, out_proj_bias)
        out = out.view(tgt_len, bsz, out.size(1))
        return (out if batched else out.squeeze(1)), None

    scaled = q * math.sqrt(1.0 / float(head_dim))
    if is_causal and attn_mask is None:
        raise AssertionError("is_causal not implemented for need_weights")
    if attn_mask is None:
        weights = torch.bmm(scaled, k.transpose(-2, -1))
    else:
        weights = torch.baddbmm(attn_mask, scaled, k.transpose(-2, -1))
    weights = softmax(weights, dim=-1)
    if dropout_p > 0.0:
        weights = dropout(weights, p=dropout_p)
    out = torch.bmm(weights, v).transpose(0, 1).contiguous().view(tgt_len * bsz, embed_dim)
    out = linear(out, out_proj_weight, out_proj_bias)
    out = out.view(tgt_len, bsz, out.size(1))
    weights = weights.view(bsz, num_heads, tgt_len, src_len)
    if average_attn_weights:
        weights = weights.mean(dim=1)
    if not batched:
        out, weights = out.squeeze(1), weights.squeeze(0)
    return out, weights


def _split_heads(name, static, projected, heads, head_dim):
    if static is None:
        return projected.view(projected.shape[0], heads, head_dim).transpose(0, 1)
    for dim, want in ((0, heads), (2, head_dim)):
        _require(
            static.size(dim) == want,
            f"expecting {name}.size({dim}) of {want}, but got {static.size(dim)}",
        )
    return static
