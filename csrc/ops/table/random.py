"""Factories of sequences, and random numbers."""

_OPT = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
factory(f"full(int[] size, Scalar fill_value, *, {_OPT}) -> Tensor", doc="Filled with a number; the dtype follows from it.")
factory(f"arange(Scalar end, *, {_OPT}) -> Tensor", doc="0, 1, ... below end.")
factory(f"arange.start(Scalar start, Scalar end, *, {_OPT}) -> Tensor", doc="start, start + 1, ... below end.", hidden=True, out=False)
factory(f"arange.start_step(Scalar start, Scalar end, Scalar step=1, *, {_OPT}) -> Tensor", doc="start, start + step, ... before end.", out="start_out")
factory(f"linspace(Scalar start, Scalar end, int steps, *, {_OPT}) -> Tensor", doc="Evenly spaced numbers, both ends included.")
factory(f"logspace(Scalar start, Scalar end, int steps, float base=10.0, *, {_OPT}) -> Tensor", doc="base to evenly spaced powers.")
factory(f"eye(int n, *, {_OPT}) -> Tensor", doc="Identity matrix.")
factory(f"eye.m(int n, int m, *, {_OPT}) -> Tensor", doc="Ones on the diagonal.")
func(f"full_like(Tensor self, Scalar fill_value, *, {_OPT}, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="Filled with a number, like self.")
func(f"new_empty(Tensor self, int[] size, *, {_OPT}) -> Tensor", py=("method",), doc="Uninitialised, of self's dtype.")
func(f"new_zeros(Tensor self, int[] size, *, {_OPT}) -> Tensor", py=("method",), doc="Zeros of self's dtype.")
func(f"new_ones(Tensor self, int[] size, *, {_OPT}) -> Tensor", py=("method",), doc="Ones of self's dtype.")
func(f"new_full(Tensor self, int[] size, Scalar fill_value, *, {_OPT}) -> Tensor", py=("method",), doc="Filled, of self's dtype.")

factory(f"rand.generator(int[] size, *, Generator? generator, {_OPT}) -> Tensor", doc="Uniform in [0, 1).", flags=("RANDOM",))
factory(f"rand(int[] size, *, {_OPT}) -> Tensor", doc="Uniform in [0, 1).", flags=("RANDOM",))
factory(f"randn.generator(int[] size, *, Generator? generator, {_OPT}) -> Tensor", doc="Standard normal.", flags=("RANDOM",))
factory(f"randn(int[] size, *, {_OPT}) -> Tensor", doc="Standard normal.", flags=("RANDOM",))
factory("randint.low_generator(int low, int high, int[] size, *, Generator? generator, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="Integers in [low, high).", flags=("RANDOM",))
factory("randint.generator(int high, int[] size, *, Generator? generator, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="Integers in [0, high).", flags=("RANDOM",))
factory("randint.low(int low, int high, int[] size, *, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="Integers in [low, high).", flags=("RANDOM",))
factory("randint(int high, int[] size, *, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="Integers in [0, high).", flags=("RANDOM",))
factory("randperm.generator(int n, *, Generator? generator, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="0 to n - 1 in random order.", flags=("RANDOM",))
factory("randperm(int n, *, ScalarType? dtype=long, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        doc="0 to n - 1 in random order.", flags=("RANDOM",))
func(f"rand_like(Tensor self, *, {_OPT}, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="rand of self's shape.", flags=("RANDOM",))
func(f"randn_like(Tensor self, *, {_OPT}, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="randn of self's shape.", flags=("RANDOM",))
func(f"randint_like(Tensor self, int high, *, {_OPT}, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="randint of self's shape.", flags=("RANDOM",))
func(f"randint_like.low_dtype(Tensor self, int low, int high, *, {_OPT}, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="randint of self's shape.", flags=("RANDOM",))
for name, sig, doc in (("uniform_", "float from=0, float to=1", "Uniform in [from, to)."), ("normal_", "float mean=0, float std=1", "Normal."),
                       ("exponential_", "float lambd=1", "Exponential."), ("cauchy_", "float median=0, float sigma=1", "Cauchy."),
                       ("log_normal_", "float mean=1, float std=2", "Log-normal."), ("geometric_", "float p", "Trials to the first success.")):
    func(f"{name}(Tensor(a!) self, {sig}, *, Generator? generator=None) -> Tensor(a!)",
         py=("method",), grad={"self": "zeros_like(grad)"}, flags=("RANDOM",), doc=doc, node=name[:-1].title().replace("_", "") + "Backward0")
func("random_.from(Tensor(a!) self, int from, int? to, *, Generator? generator=None) -> Tensor(a!)", py=("method",), flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, node="RandomBackward0", doc="Integers in [from, to).")
func("random_.to(Tensor(a!) self, int to, *, Generator? generator=None) -> Tensor(a!)", py=("method",), flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, node="RandomBackward1", doc="Integers in [0, to).")
func("random_(Tensor(a!) self, *, Generator? generator=None) -> Tensor(a!)", py=("method",), flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, node="RandomBackward2", doc="Integers over the dtype's range.")
func("bernoulli_.float(Tensor(a!) self, float p=0.5, *, Generator? generator=None) -> Tensor(a!)", py=("method",), flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, node="BernoulliBackward2", doc="1 with probability p.")
func("bernoulli_.Tensor(Tensor(a!) self, Tensor p, *, Generator? generator=None) -> Tensor(a!)", py=("method",), flags=("RANDOM",), grad={"self": "zeros_like(grad)", "p": "zeros_like(p)"}, node="BernoulliBackward1", doc="1 with probability p.")
func("bernoulli(Tensor self, *, Generator? generator=None) -> Tensor", out=True, flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, doc="1 with the probability that each element gives.")
func("bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor", flags=("RANDOM",), grad={"self": "zeros_like(grad)"}, doc="1 with probability p, of self's shape.")
func("multinomial(Tensor self, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor", out=True, flags=("RANDOM",), doc="Category numbers drawn by weight.")
func("normal.Tensor_float(Tensor mean, float std=1, *, Generator? generator=None) -> Tensor", py=("function",), out=True, flags=("RANDOM",), node="NormalBackward1", grad={"mean": "zeros_like(mean)"}, doc="Normal with a mean per element.")
func("normal.float_Tensor(float mean, Tensor std, *, Generator? generator=None) -> Tensor", py=("function",), out=True, flags=("RANDOM",), node="NormalBackward2", grad={"std": "zeros_like(std)"}, doc="Normal with a deviation per element.")
func("normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor", py=("function",), out=True, flags=("RANDOM",), node="NormalBackward3", grad={"mean": "zeros_like(mean)", "std": "zeros_like(std)"}, doc="Normal per element.")
composite("normal.float_float(float mean, float std, int[] size, *, Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
          py=("function",), out=True, doc="Normal of a size.")
func("native_dropout(Tensor input, float p, bool? train) -> (Tensor out, Tensor mask)", py=("function",), nondiff=("mask",), flags=("RANDOM",),
     grad={"input": "dropout_backward(grads.out, mask, p, train)"}, doc="Dropout and the mask of what was kept.")
helper("dropout_backward(Tensor grad, Tensor mask, float p, bool? train) -> Tensor")
composite("dropout(Tensor input, float p, bool train) -> Tensor", py=("function",), flags=("RANDOM",), doc="Elements zeroed with probability p, the rest scaled by 1 / (1 - p).")
composite("dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", py=("function",), flags=("RANDOM",), doc="dropout in place.")
