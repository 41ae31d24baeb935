"""Operators that tell modes and subclasses of what would otherwise pass them by."""

func("_local_scalar_dense(Tensor self) -> Scalar", py=(), flags=("NO_META",), doc="The only element as a number.")
func("lift_fresh(Tensor(a) self) -> Tensor(a)", py=(), flags=("CONJ_OK",),
     doc="A tensor that was just made from numbers.")
