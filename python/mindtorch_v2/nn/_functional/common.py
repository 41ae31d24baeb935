"""What the families of functions share."""

import mindtorch_v2 as torch

from ...overrides import handle_torch_function

Tensor = torch.Tensor
nn_ops = torch._C._nn


def redirect(fn, given, body=None):
    """Hand a call of ``fn`` over to the ``__torch_function__`` of one of its arguments.

    ``given`` is ``locals()`` of ``fn`` (or of ``body``, which does its work) before it has any
    names but its parameters. Parameters without default go by position, all others by name.
    """
    body = body or fn
    code = body.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    n = code.co_argcount - len(body.__defaults__ or ())
    relevant = []
    for value in given.values():
        relevant += value if isinstance(value, (list, tuple)) else (value,)
    return handle_torch_function(
        fn, relevant, *[given[k] for k in names[:n]], **{k: given[k] for k in names[n:]}
    )
