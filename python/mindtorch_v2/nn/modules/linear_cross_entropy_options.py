"""Options of the linear cross entropy."""

__all__ = ["LinearCrossEntropyOptions"]


class LinearCrossEntropyOptions:
    """How ``linear_cross_entropy`` may trade memory, time and exactness.

    Args:
        allow_retain_graph: whether the backward pass may run twice.
        batch_chunk_size: number of samples whose scores are computed at once.
        chunking_method: None, "auto" or "aspect_ratio:N", how to choose that number.
        acc_policy: "accurate", "balanced", "compact" or "auto".
        acc_dtype: dtype to sum up in: None, or float32 for half precision input.

    This library always computes the scores at once, with the accuracy of the operators; of the
    options only ``acc_dtype`` changes a result. ValueError for an unknown value.
    """

    __slots__ = (
        "allow_retain_graph",
        "batch_chunk_size",
        "chunking_method",
        "acc_policy",
        "acc_dtype",
    )

    def __init__(
        self,
        allow_retain_graph: bool = False,
        batch_chunk_size: int | None = None,
        chunking_method: str | None = "auto",
        acc_policy: str = "auto",
        acc_dtype=None,
    ) -> None:
        import mindtorch_v2 as torch

        if batch_chunk_size is not None and not (
            isinstance(batch_chunk_size, int) and batch_chunk_size > 0
        ):
            raise ValueError(
                f"batch_chunk_size must be positive int or None, got {batch_chunk_size!r}"
            )
        if chunking_method not in (None, "auto"):
            name, _, number = str(chunking_method).partition(":")
            if name != "aspect_ratio" or not number.isdigit() or int(number) == 0:
                raise ValueError(f"invalid chunking_method: {chunking_method!r}")
        if acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {acc_policy!r}")
        dtypes = (None, torch.float16, torch.bfloat16, torch.float32, torch.float64)
        if acc_dtype not in dtypes:
            raise ValueError(
                "acc_dtype must be one of {" + ", ".join(str(d) for d in dtypes) + "}, "
                f"got {acc_dtype!r}. Pass acc_dtype=None to let the op pick automatically."
            )
        self.allow_retain_graph = allow_retain_graph
        self.batch_chunk_size = batch_chunk_size
        self.chunking_method = chunking_method
        self.acc_policy = acc_policy
        self.acc_dtype = acc_dtype

    def _check_input(self, dtype):
        """RuntimeError if ``acc_dtype`` does not go with input of ``dtype``."""
        import mindtorch_v2 as torch

        if self.acc_dtype in (None, dtype):
            return
        if self.acc_dtype != torch.float32 or dtype not in (torch.float16, torch.bfloat16):
            raise RuntimeError(
                "linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 inputs, "
                f"but got {self.acc_dtype} acc_dtype and {dtype} inputs."
            )

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    __hash__ = None

    def __repr__(self):
        values = ", ".join(f"{n}={getattr(self, n)!r}" for n in self.__slots__)
        return f"{type(self).__name__}({values})"
