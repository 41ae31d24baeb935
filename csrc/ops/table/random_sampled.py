"""Samplers with a tensor of parameters, and the gradients of gamma and Dirichlet samples."""

_GENERATOR = "Generator? generator=None"
func(f"poisson(Tensor self, {_GENERATOR}) -> Tensor", py=("function",), grad={"self": "zeros_like(grad)"}, flags=("RANDOM",), out=True,
     doc="Poisson draws of the given means, in their dtype.")
func(f"binomial(Tensor count, Tensor prob, {_GENERATOR}) -> Tensor", py=("function",), flags=("RANDOM",), out=True,
     doc="Successes in `count` trials of probability `prob`, in their dtype.")
func(f"_standard_gamma(Tensor self, {_GENERATOR}) -> Tensor", py=("function",), grad={"self": "grad * _standard_gamma_grad(self, result)"}, flags=("RANDOM",), out=True,
     doc="Gamma draws of the given shapes, with scale 1.")
func(f"_sample_dirichlet(Tensor self, {_GENERATOR}) -> Tensor", py=("function",), flags=("RANDOM",), out=True,
     doc="Dirichlet draws along the last dimension.")
func("_standard_gamma_grad(Tensor self, Tensor output) -> Tensor", py=("function",), out=True,
     doc="Derivatives of gamma draws `output` in their shapes, at a fixed probability below the draw.")
func("_dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor", py=("function",), out=True,
     doc="Derivatives of shares x ~ Beta(alpha, total - alpha) in alpha at fixed total - alpha and probability, over 1 - x.")
