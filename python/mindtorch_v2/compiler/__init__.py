"""torch.compiler where every program runs eagerly: the questions and marks that programs leave in
their code for a compiler. There is none here, so a mark changes nothing."""


def is_compiling() -> bool:
    """False: nothing is being compiled."""
    return False


def is_dynamo_compiling() -> bool:
    """False."""
    return False


def is_exporting() -> bool:
    """False."""
    return False


def disable(fn=None, recursive=True, *, reason=None):
    """Marks a function (or, called without one, makes such a mark) not to be compiled.

    Raises AssertionError where `fn` is not callable.
    """
    if fn is None:
        return lambda fn: disable(fn, recursive, reason=reason)
    if not callable(fn):
        raise AssertionError("fn must be callable")
    return fn


def allow_in_graph(fn):
    """Marks functions to be taken up as they are; returns what it was given. AssertionError for
    what is not callable."""
    if isinstance(fn, (list, tuple)):
        return [allow_in_graph(each) for each in fn]
    if not callable(fn):
        raise AssertionError("allow_in_graph expects a callable")
    return fn


def assume_constant_result(fn):
    """Marks a function whose result does not change; returns it."""
    fn._dynamo_marked_constant = True
    return fn


def reset() -> None:
    """Nothing has been compiled: does nothing."""


def cudagraph_mark_step_begin():
    """Does nothing: there are no graphs of a device."""
