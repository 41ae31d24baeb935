"""Context managers that also decorate functions, generator functions and (deprecated) classes."""

import functools
import sys

_CO_GENERATOR = 0x20


def _is_generator_function(func):
    """True for generator functions, also behind ``functools.partial`` and bound methods."""
    while True:
        if isinstance(func, functools.partial):
            func = func.func
        elif hasattr(func, "__func__"):
            func = func.__func__
        else:
            break
    code = getattr(func, "__code__", None)
    return code is not None and bool(code.co_flags & _CO_GENERATOR)


def _wrap_generator(ctx_factory, func):
    """Wrap the generator function `func` so that a fresh context surrounds each resumption.

    Between two resumptions, while the caller has control, the context is left: a grad mode set for
    the generator's body never leaks into the loop that consumes it. Values sent, exceptions thrown,
    `close()` and the return value pass through.
    """

    @functools.wraps(func)
    def generator(*args, **kwargs):
        body = func(*args, **kwargs)
        resume, sent = body.send, (None,)
        while True:
            try:
                with ctx_factory():
                    item = resume(*sent)
            except StopIteration as stop:
                return stop.value
            try:
                resume, sent = body.send, ((yield item),)
            except GeneratorExit:
                with ctx_factory():
                    body.close()
                raise
            except BaseException:
                resume, sent = body.throw, (sys.exc_info()[1],)

    return generator


def context_decorator(ctx, func):
    """Decorate `func` so that it runs inside a context.

    `ctx` is a context manager (entered again at every call) or a callable that makes one. Something
    that is both is ambiguous and raises AssertionError; so does a class as `func`, as RuntimeError.
    """
    if callable(ctx) and hasattr(ctx, "__enter__"):
        raise AssertionError(
            f"Passed in {ctx} is both callable and also a valid context manager (has __enter__), "
            "making it ambiguous which interface to use.  If you intended to pass a context "
            "manager factory, rewrite your call as context_decorator(lambda: ctx()); if you "
            "intended to pass a context manager directly, rewrite your call as "
            "context_decorator(lambda: ctx)"
        )
    factory = ctx if callable(ctx) else lambda: ctx
    if isinstance(func, type):
        raise RuntimeError(
            "Cannot decorate classes; it is ambiguous whether or not only the constructor or all "
            "methods should have the context manager applied; additionally, decorating a class at "
            "definition-site will prevent use of the identifier as a conventional type.  To "
            "specify which methods to decorate, decorate each of them individually."
        )
    return _decorate(factory, func)


def _decorate(factory, func):
    if _is_generator_function(func):
        return _wrap_generator(factory, func)

    @functools.wraps(func)
    def decorate_context(*args, **kwargs):
        with factory():
            return func(*args, **kwargs)

    return decorate_context


class _DecoratorContextManager:
    """Base of context managers whose instances decorate: ``@cm(args)``."""

    def __call__(self, orig_func):
        func = orig_func
        if isinstance(orig_func, type):
            import warnings

            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You "
                "should only decorate functions or methods. To preserve the current behavior of "
                "class decoration, you can directly decorate the `__init__` method and nothing "
                "else.",
                FutureWarning,
                stacklevel=2,
            )

            def func(*args, **kwargs):
                return orig_func(*args, **kwargs)

            functools.update_wrapper(func, orig_func, updated=())
        return _decorate(self.clone, func)

    def __enter__(self):
        raise NotImplementedError

    def __exit__(self, exc_type, exc_value, traceback):
        raise NotImplementedError

    def clone(self):
        """A fresh manager with the same arguments, entered at a call of the decorated function."""
        return self.__class__()


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """The same for managers without arguments, which also decorate without brackets: ``@cm``."""

    def __new__(cls, orig_func=None):
        if orig_func is None:
            return super().__new__(cls)
        return cls()(orig_func)
