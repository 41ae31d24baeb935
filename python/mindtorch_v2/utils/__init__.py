"""Data loading, checkpointing and small helpers. Submodules load on first use."""


def __getattr__(name):
    if not name.startswith("__"):
        import importlib

        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def set_module(obj, mod):
    """Set the `__module__` attribute of `obj`, a class or function, to the name `mod` (str)."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod
