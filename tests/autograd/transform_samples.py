"""Operators that the tests of transforms run through: name -> (function, shapes of its inputs).

Inputs are positive and distinct (see `inputs`), so that every function is smooth there.
"""

import mindtorch_v2 as torch

F = torch.nn.functional
INDEX = torch.tensor([2, 0, 1])

OPERATORS = {
    "add": (lambda a, b: a + b, [(3,), (2, 3)]),
    "sub": (lambda a, b: a - 2 * b, [(2, 3), (3,)]),
    "mul": (lambda a, b: a * b, [(2, 1), (3,)]),
    "div": (lambda a, b: a / b, [(2, 3), ()]),
    "pow": (lambda a, b: a**b, [(3,), (3,)]),
    "pow.scalar": (lambda a: a**2.5, [(3,)]),
    "rsub": (lambda a: 1 - a, [(2,)]),
    "neg": (lambda a: -a, [(2, 2)]),
    "exp": (lambda a: a.exp(), [(3,)]),
    "log": (lambda a: a.log(), [(3,)]),
    "sin": (lambda a: a.sin(), [()]),
    "cos": (lambda a: a.cos(), [(2, 3)]),
    "tanh": (lambda a: a.tanh(), [(3,)]),
    "sigmoid": (lambda a: a.sigmoid(), [(3,)]),
    "sqrt": (lambda a: a.sqrt(), [(3,)]),
    "rsqrt": (lambda a: a.rsqrt(), [(3,)]),
    "reciprocal": (lambda a: a.reciprocal(), [(3,)]),
    "abs": (lambda a: (a - 1.03).abs(), [(3,)]),
    "relu": (lambda a: (a - 1.03).relu(), [(3,)]),
    "gelu": (lambda a: F.gelu(a), [(3,)]),
    "silu": (lambda a: F.silu(a), [(3,)]),
    "softplus": (lambda a: F.softplus(a), [(3,)]),
    "leaky_relu": (lambda a: F.leaky_relu(a - 1.03), [(3,)]),
    "elu": (lambda a: F.elu(a - 1.03), [(3,)]),
    "clamp": (lambda a: a.clamp(0.7, 1.3), [(6,)]),
    "where": (lambda a, b: torch.where(a > 1, a, b), [(3,), (3,)]),
    "maximum": (lambda a, b: torch.maximum(a, 2 - b), [(3,), (3,)]),
    "atan2": (lambda a, b: torch.atan2(a, b), [(3,), (3,)]),
    "lerp": (lambda a, b: torch.lerp(a, b, 0.3), [(3,), (3,)]),
    "addcmul": (lambda a, b, c: torch.addcmul(a, b, c, value=2), [(3,), (3,), (3,)]),
    "erf": (lambda a: a.erf(), [(3,)]),
    "log1p": (lambda a: a.log1p(), [(3,)]),
    "expm1": (lambda a: a.expm1(), [(3,)]),
    "sum": (lambda a: a.sum(), [(2, 3)]),
    "sum.dim": (lambda a: a.sum(0), [(2, 3)]),
    "sum.dims": (lambda a: a.sum([0, -1], keepdim=True), [(2, 3, 2)]),
    "mean": (lambda a: a.mean(), [(2, 3)]),
    "mean.dim": (lambda a: a.mean(-1, keepdim=True), [(2, 3)]),
    "prod": (lambda a: a.prod(), [(4,)]),
    "prod.dim": (lambda a: a.prod(1), [(2, 3)]),
    "var": (lambda a: a.var(), [(2, 3)]),
    "std.dim": (lambda a: a.std(0), [(3, 2)]),
    "amax": (lambda a: a.amax(1), [(2, 3)]),
    "max": (lambda a: a.max(), [(2, 3)]),
    "max.dim": (lambda a: a.max(1)[0], [(2, 3)]),
    "min.dim": (lambda a: a.min(0, keepdim=True).values, [(2, 3)]),
    "median.dim": (lambda a: a.median(1)[0], [(2, 3)]),
    "logsumexp": (lambda a: a.logsumexp(-1), [(2, 3)]),
    "norm": (lambda a: a.norm(), [(2, 3)]),
    "norm.dim": (lambda a: a.norm(2, [1]), [(2, 3)]),
    "cumsum": (lambda a: a.cumsum(0), [(2, 3)]),
    "cumprod": (lambda a: a.cumprod(-1), [(2, 3)]),
    "softmax": (lambda a: a.softmax(-1), [(2, 3)]),
    "log_softmax": (lambda a: F.log_softmax(a, 0), [(2, 3)]),
    "sort": (lambda a: a.sort(descending=True)[0], [(4,)]),
    "topk": (lambda a: a.topk(2)[0], [(2, 4)]),
    "reshape": (lambda a: a.reshape(3, 2), [(2, 3)]),
    "view": (lambda a: a.view(-1), [(2, 3)]),
    "flatten": (lambda a: a.flatten(), [(2, 3)]),
    "transpose": (lambda a: a.transpose(0, 1), [(2, 3)]),
    "t": (lambda a: a.t(), [(2, 3)]),
    "permute": (lambda a: a.permute(2, 0, 1), [(2, 3, 4)]),
    "movedim": (lambda a: a.movedim(0, -1), [(2, 3)]),
    "unsqueeze": (lambda a: a.unsqueeze(-1), [(2,)]),
    "squeeze": (lambda a: a.squeeze(), [(2, 1, 3)]),
    "squeeze.dim": (lambda a: a.squeeze(1), [(2, 1, 3)]),
    "expand": (lambda a: a.expand(4, 2, 3), [(2, 3)]),
    "repeat": (lambda a: a.repeat(2, 3), [(2,)]),
    "select": (lambda a: a[1], [(2, 3)]),
    "slice": (lambda a: a[..., 1:], [(2, 3)]),
    "narrow": (lambda a: a.narrow(-1, 0, 2), [(2, 3)]),
    "index": (lambda a: a[INDEX], [(3, 2)]),
    "index.none": (lambda a: a[:, INDEX], [(2, 3)]),
    "index_select": (lambda a: a.index_select(1, INDEX), [(2, 3)]),
    "gather": (lambda a: a.gather(0, INDEX[None].expand(1, 3) % 2), [(2, 3)]),
    "diagonal": (lambda a: a.diagonal(), [(3, 3)]),
    "split": (lambda a: a.split(2)[1] * a.split(2)[0], [(4,)]),
    "chunk": (lambda a: a.chunk(2, 1)[0], [(2, 4)]),
    "unbind": (lambda a: a.unbind(0)[1], [(2, 3)]),
    "unfold": (lambda a: a.unfold(0, 2, 1), [(4,)]),
    "flip": (lambda a: a.flip(0), [(3, 2)]),
    "roll": (lambda a: a.roll(1, 0), [(3, 2)]),
    "cat": (lambda a, b: torch.cat([a, b], -1), [(2, 3), (2, 1)]),
    "stack": (lambda a, b: torch.stack([a, b], 1), [(2,), (2,)]),
    "tril": (lambda a: a.tril(), [(3, 3)]),
    "clone": (lambda a: a.clone() * a, [(3,)]),
    "masked_fill": (lambda a: a.masked_fill(a > 1, 0.0), [(3, 2)]),
    "mm": (lambda a, b: a @ b, [(2, 3), (3, 2)]),
    "mv": (lambda a, b: a @ b, [(2, 3), (3,)]),
    "dot": (lambda a, b: a @ b, [(3,), (3,)]),
    "bmm": (lambda a, b: torch.bmm(a, b), [(2, 2, 3), (2, 3, 1)]),
    "matmul": (lambda a, b: a @ b, [(2, 2, 3), (3, 2)]),
    "addmm": (lambda a, b, c: torch.addmm(a, b, c, beta=2, alpha=3), [(2,), (2, 3), (3, 2)]),
    "linear": (lambda a, b, c: F.linear(a, b, c), [(2, 3), (4, 3), (4,)]),
    "linear.vector": (lambda a, b, c: F.linear(a, b, c), [(3,), (4, 3), (4,)]),
    "nll_loss": (lambda a: F.nll_loss(a.log(), INDEX), [(3, 3)]),
    "cross_entropy": (lambda a: F.cross_entropy(a, INDEX), [(3, 3)]),
    "layer_norm": (lambda a: F.layer_norm(a, (3,)), [(2, 3)]),
    "conv1d": (lambda a, b: F.conv1d(a, b), [(1, 2, 5), (2, 2, 3)]),
    "conv2d": (lambda a, b, c: F.conv2d(a, b, c, padding=1), [(1, 1, 3, 3), (2, 1, 3, 3), (2,)]),
    "max_pool2d": (lambda a: F.max_pool2d(a, 2), [(1, 1, 4, 4)]),
    "avg_pool2d": (lambda a: F.avg_pool2d(a, 2), [(1, 4, 4)]),
    "adaptive_avg_pool2d": (lambda a: F.adaptive_avg_pool2d(a, 1), [(2, 1, 3, 3)]),
    "pad": (lambda a: F.pad(a, (1, 2)), [(2, 3)]),
    "embedding": (lambda a: F.embedding(INDEX, a), [(3, 2)]),
    "inplace": (lambda a, b: (a * 1).mul_(b).add_(a), [(3,), (3,)]),
    "inplace.view": (lambda a, b: _write(a, b), [(2, 3), (3,)]),
    "detach": (lambda a: a.detach() * a, [(3,)]),
    "to": (lambda a: a.to(torch.float64) * 2, [(3,)]),
    "scalars": (lambda a, b: a * b + a, [(), ()]),
}


def _write(a, b):
    made = a * 1
    made[0].mul_(b)
    return made


def inputs(name, batch=(), seed=0):
    """Fresh float64 inputs of an operator, with further leading dimensions."""
    torch.manual_seed(seed)
    return [torch.rand((*batch, *shape), dtype=torch.float64) + 0.5 for shape in OPERATORS[name][1]]


def close(a, b, tolerance=1e-9):
    """Asserts that two tensors (or tuples of them) have the same shape and nearly the same values."""
    if isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            close(x, y, tolerance)
        return
    assert a.shape == b.shape, (a.shape, b.shape)
    assert a.dtype == b.dtype
    assert torch.allclose(a, b, rtol=tolerance, atol=tolerance), (a, b)
