"""A Function under vmap: its own rule, or the one that is made from it.

The node of the call belongs to the level of its batched arguments and is differentiated there as it is
written. Its forward, however, takes the batch out of the arguments and goes on below that level, with the
`vmap` of the class or with a Function that runs every part of the class under vmap.
"""

from collections import namedtuple

from .. import _C
from ..utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_unflatten
from .function import Function

__all__ = ["VmapInfo", "apply"]

_F = _C._functorch
_MORE = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"

VmapInfo = namedtuple("VmapInfo", ["batch_size", "randomness"])


def _check(cls):
    name = cls.__name__
    own = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to "
            f"avoid ambiguity. {_MORE}"
        )
    if not cls.generate_vmap_rule and not own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it does not have vmap support. Please override and implement the "
            f"vmap staticmethod or set generate_vmap_rule=True. {_MORE}"
        )


def _bare(value, level):
    """(tensor without the batch of this level, 0 or None), anything else with None."""
    batch = _F._batch_of(value) if isinstance(value, _C.TensorBase) else None
    if batch is None or batch[1] != level:
        return value, None
    return batch[0], batch[2]


def apply(cls, args):
    """cls.apply(*args) while a transform is open."""
    if not cls._has_setup_context:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it "
            f"must override the setup_context staticmethod. {_MORE}"
        )
    if not _F._vmap_level():
        return super(Function, cls).apply(*args)
    _check(cls)
    leaves, structure = tree_flatten(args)
    batches = [_F._batch_of(x) if isinstance(x, _C.TensorBase) else None for x in leaves]
    level = max((b[1] for b in batches if b is not None and b[2] is not None), default=0)
    if not level:
        return super(Function, cls).apply(*args)
    size = next(b[0].shape[b[2]] for b in batches if b is not None and b[1] == level and b[2] is not None)
    info = VmapInfo(size, _F._vmap_randomness(level))
    rule = _generated(cls) if cls.generate_vmap_rule else cls.vmap
    recording, forward_levels = _C.is_grad_enabled(), len(_F._forward_levels())

    def forward(*given):
        flat = tree_flatten(given)[0]
        pairs = [_bare(x, level) for x in flat]
        values = tree_unflatten([v for v, _ in pairs], structure)
        dims = tree_unflatten([d for _, d in pairs], structure)
        made = _F._outside(level, recording, forward_levels, lambda: rule(info, dims, *values))
        return _wrap(made, level)

    lowered = type(cls)(cls.__name__, (cls,), {"forward": staticmethod(forward), "__module__": cls.__module__})
    return super(Function, lowered).apply(*args)


def _wrap(made, level):
    if not isinstance(made, tuple) or len(made) != 2:
        got = f"{len(made)} returns" if isinstance(made, tuple) else f"a {type(made)}"
        raise RuntimeError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure "
            f"compatible with the output. Got {got} instead"
        )
    output, out_dims = made
    flat, structure = tree_flatten(output)
    dims = _broadcast_to_and_flatten(out_dims, structure)
    if dims is None:
        raise RuntimeError(
            "The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
            f"out_dims={out_dims} to be compatible with the structure of `output`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but output has structure {structure}. {_MORE}"
        )
    return tree_unflatten(
        [_F._add_batch_dim(x, d, level) if isinstance(x, _C.TensorBase) else x for x, d in zip(flat, dims)],
        structure,
    )


class _Context:
    """ctx as a part of the class sees it under vmap: what it saves goes on without the batch."""

    def __init__(self, ctx, level, saved=None):
        object.__setattr__(self, "_own", (ctx, level, saved))

    def __getattr__(self, name):
        return getattr(self._own[0], name)

    def __setattr__(self, name, value):
        setattr(self._own[0], name, value)

    def _save(self, method, tensors):
        ctx, level, _ = self._own
        pairs = [_bare(x, level) for x in tensors]
        method(*(v for v, _ in pairs))
        return tuple(d for _, d in pairs)

    def save_for_backward(self, *tensors):
        self._own[0]._batch_dims = self._save(self._own[0].save_for_backward, tensors)

    def save_for_forward(self, *tensors):
        self._own[0]._batch_dims_forward = self._save(self._own[0].save_for_forward, tensors)

    def mark_dirty(self, *tensors):
        self._save(self._own[0].mark_dirty, tensors)

    def mark_non_differentiable(self, *tensors):
        self._save(self._own[0].mark_non_differentiable, tensors)

    @property
    def saved_tensors(self):
        return self._own[2]


def _tuple(value):
    return value if isinstance(value, tuple) else (value,)


def _fit(grad, dim, wanted, like, size):
    """A gradient as the input wants it: summed where the input had no batch, else with the batch in place."""
    if grad is None or not isinstance(like, _C.TensorBase):
        return None
    if wanted is None:
        return grad if dim is None else grad.sum(dim)
    if dim is None:
        grad, dim = grad.expand(size, *grad.shape), 0
    return grad.movedim(dim, wanted)


def _generated(cls):
    """A vmap staticmethod for `cls`: every part runs under vmap."""
    from ..func._vmap import restore_vmap

    def rule(info, in_dims, *args):
        size, randomness = info

        class Generated(Function):
            generate_vmap_rule = True
            out_dims = None

            @staticmethod
            def forward(*operands):
                made, Generated.out_dims = restore_vmap(cls.forward, in_dims, size, randomness)(*operands)
                return made

            @staticmethod
            def setup_context(ctx, inputs, output):
                def part(ins, outs):
                    cls.setup_context(_Context(ctx, _F._vmap_level()), ins, outs)

                restore_vmap(part, (in_dims, Generated.out_dims), size, randomness)(inputs, output)
                ctx._likes = [x if not isinstance(x, _C.TensorBase) else x.detach() for x in inputs]

            @staticmethod
            def backward(ctx, *grads):
                saved = ctx.saved_tensors

                def part(kept, weights):
                    return cls.backward(_Context(ctx, _F._vmap_level(), kept), *weights)

                dims = (getattr(ctx, "_batch_dims", ()), _tuple(Generated.out_dims))
                found, where = restore_vmap(part, dims, size, randomness)(saved, grads)
                return tuple(
                    _fit(g, d, wanted, x, size)
                    for g, d, wanted, x in zip(_tuple(found), _tuple(where), in_dims, ctx._likes)
                )

            @staticmethod
            def jvp(ctx, *tangents):
                saved = ctx.saved_tensors

                def part(kept, along):
                    return cls.jvp(_Context(ctx, _F._vmap_level(), kept), *along)

                dims = (getattr(ctx, "_batch_dims_forward", ()), in_dims)
                found, where = restore_vmap(part, dims, size, randomness)(saved, tangents)
                made = tuple(
                    t if t is None or w is None or d is not None else t.expand(size, *t.shape)
                    for t, d, w in zip(_tuple(found), _tuple(where), _tuple(Generated.out_dims))
                )
                return made if isinstance(found, tuple) else made[0]

        Generated.__name__ = f"Vmapped{cls.__name__}"
        return Generated.apply(*args), Generated.out_dims

    return rule
