"""Layers that learn the sizes of their parameters from the first input."""

from ..parameter import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """Mixin for a layer whose parameters start as `UninitializedParameter`.

    A lazy class derives from this and the ordinary layer, in that order, makes placeholders in its
    ``__init__`` and gives them shape in ``initialize_parameters(*args, **kwargs)``, which gets the
    arguments of the first call. The object then turns into ``cls_to_become``, if that is set.
    A lazy layer can be saved and loaded; loading from a layer with shapes gives it those.
    """

    cls_to_become = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(
            self._infer_parameters, with_kwargs=True
        )

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        # a placeholder cannot be detached
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = (
                    param if is_lazy(param) or keep_vars else param.detach()
                )
        for name, buf in self._buffers.items():
            if buf is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buf if is_lazy(buf) or keep_vars else buf.detach()

    def _lazy_load_hook(
        self,
        state_dict,
        prefix,
        local_metadata,
        strict,
        missing_keys,
        unexpected_keys,
        error_msgs,
    ):
        import mindtorch_v2 as torch

        for members in (self._parameters, self._buffers):
            for name, member in members.items():
                key = prefix + name
                if member is None or key not in state_dict:
                    continue
                given = state_dict[key]
                if is_lazy(member) and not is_lazy(given):
                    with torch.no_grad():
                        member.materialize(given.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Give the placeholders their shapes; called once, before the first forward."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self):
        """Whether any parameter or buffer of this module is still without shape."""
        members = (*self._parameters.values(), *self._buffers.values())
        return any(is_lazy(m) for m in members)

    def _infer_parameters(self, module, args, kwargs=None):
        kwargs = kwargs or {}
        module.initialize_parameters(*args, **kwargs)
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook
        del module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
