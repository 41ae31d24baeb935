"""The classes of named tuples that operators return: ``torch.return_types.max`` and its like.

Each is a tuple with named fields, made from one sequence; it pickles by its name here. The class
named ``*_out`` is what the form of the operator with ``out=`` returns.
"""

from . import _C

_NAMES = """aminmax cummax cummin frexp geqrf histogram histogramdd kthvalue linalg_cholesky_ex linalg_eig linalg_eigh
linalg_inv_ex linalg_ldl_factor linalg_ldl_factor_ex linalg_lstsq linalg_lu linalg_lu_factor linalg_lu_factor_ex linalg_qr
linalg_slogdet linalg_solve_ex linalg_svd lu_unpack max median min mode nanmedian qr slogdet sort svd topk
triangular_solve""".split()

all_return_types = []
__all__ = ["pytree_register_structseq", "all_return_types"]


def pytree_register_structseq(cls):
    """Makes a class of named tuples a node of torch.utils._pytree."""
    from .utils import _pytree

    def flatten(values):
        return list(values), None

    def unflatten(values, context):
        return cls(values)

    def flatten_with_keys(values):
        return [(_pytree.SequenceKey(i), value) for i, value in enumerate(values)], None

    _pytree.register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)


def _fill():
    for base in _NAMES:
        for name in (base, f"{base}_out"):
            kind = _C._return_type(name)
            if kind is not None:
                globals()[name] = kind
                all_return_types.append(kind)
                __all__.append(name)


_fill()
