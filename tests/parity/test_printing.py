"""Thousands of tensors print as in PyTorch, under random options."""

import math
import random

import pytest

import mindtorch_v2 as ours

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")

pytestmark = pytest.mark.parity

DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex64 complex128"
).split()
DTYPES = [name for name in DTYPES if hasattr(ours, name)]
ODD = [math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-5, 1e9, 1e300, 5e-324, 1000.0, 0.001]


@pytest.fixture(autouse=True)
def default_options():
    yield
    for lib in (torch, ours):
        lib.set_printoptions(profile="default")


def values(rng, count):
    """Doubles of one of the kinds that printing tells apart."""
    kind = rng.randrange(9)
    out = [rng.gauss(0, 1) for _ in range(count)]
    if kind == 1:
        scale = 10.0 ** rng.randrange(-12, 12)
        out = [x * scale for x in out]
    elif kind == 2:
        scale = rng.choice([1, 10, 1000, 1e5, 1e9])
        out = [float(round(x * scale)) for x in out]
    elif kind == 3:
        spread = rng.choice([1, 3, 8])
        out = [x * 10 ** (rng.gauss(0, 1) * spread) for x in out]
    elif kind == 4:
        out = [0.0] * count
    elif kind == 5 and count:
        for _ in range(rng.randrange(1, 4)):
            out[rng.randrange(count)] = rng.choice(ODD)
    elif kind == 6:
        out = [rng.choice([1e8, 1e8 + 1, 1e-4, 9.99e-5, 1000, 1001, 0.1, -3, 1e10])] * count
    elif kind == 7:
        out = [float(round(x * 3)) for x in out]
    elif kind == 8:
        scale = rng.choice([1e-3, 1, 1e2, 1e3, 1e4])
        out = [abs(x) * scale for x in out]
    return out


def shape(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return ()
    if kind == 1:
        return (rng.randrange(40),)
    if kind == 2:
        return (rng.randrange(900, 1300),)
    return tuple(rng.choice([0, 1, 2, 3, 4, 6, 7, 8, 12]) for _ in range(rng.randrange(1, 5)))


def tensors(rng):
    """The same tensor in both libraries."""
    dtype, size = rng.choice(DTYPES), shape(rng)
    count = math.prod(size)
    data = values(rng, count)
    if dtype.startswith("complex"):
        data = [complex(a, b) for a, b in zip(data, values(rng, count), strict=True)]
    elif not dtype.startswith(("float", "bfloat")):
        top = 200 if dtype.endswith("8") else 6e4
        low = 0 if dtype.startswith(("u", "b")) else -100
        data = [int(min(max(x, low), top)) if math.isfinite(x) else 0 for x in data]
        if dtype == "int8":
            data = [min(x, 127) for x in data]
    kind = {"float": float, "bfloat": float, "complex": complex}.get(
        dtype.rstrip("0123456789"), numpy.int64
    )
    array = numpy.array(data, dtype=kind).reshape(size)
    return [lib.from_numpy(array.copy()).to(getattr(lib, dtype)) for lib in (torch, ours)]


def options(rng):
    out = {"profile": "default"}
    choices = {
        "precision": [0, 1, 2, 3, 6, 8, 10],
        "threshold": [0, 1, 5, 10, 50, 100, math.inf],
        "edgeitems": [0, 1, 2, 3, 5],
        "linewidth": [1, 10, 20, 40, 60, 120, 200],
        "sci_mode": [True, False, None],
        "profile": ["default", "short", "full"],
    }
    for name, possible in choices.items():
        if rng.random() < 0.35:
            out[name] = rng.choice(possible)
    return out


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore")
def test_random_tensors(seed):
    rng = random.Random(seed)
    for i in range(400):
        given = options(rng) if i % 2 else {"profile": "default"}
        pair = tensors(rng)
        if rng.random() < 0.1 and pair[0].dim() > 1:
            pair = [t.transpose(0, -1) for t in pair]
        if pair[0].numel() > 4000:
            continue
        for lib in (torch, ours):
            lib.set_printoptions(profile="default")
            lib.set_printoptions(**given)
        theirs, mine = (repr(t) for t in pair)
        assert mine == theirs, (given, pair[0].dtype, tuple(pair[0].shape))


FORMS = {
    "leaf": lambda lib: lib.ones(2, requires_grad=True),
    "result": lambda lib: lib.ones(2, requires_grad=True) * 2,
    "sum": lambda lib: lib.ones(2, requires_grad=True).sum(),
    "long result": lambda lib: lib.ones(30, requires_grad=True) + 1,
    "parameter": lambda lib: lib.nn.Parameter(lib.ones(2)),
    "frozen": lambda lib: lib.nn.Parameter(lib.ones(2), requires_grad=False),
    "meta": lambda lib: lib.empty(2, 3, device="meta", dtype=lib.int64),
    "meta leaf": lambda lib: lib.empty(0, device="meta", requires_grad=True),
    "empty": lambda lib: lib.empty(0, 3, dtype=lib.int32),
    "conj": lambda lib: lib.tensor([1 + 2j]).conj(),
    "imag of conj": lambda lib: lib.tensor([1 + 2j]).conj().imag,
    "subclass": lambda lib: lib.ones(2).as_subclass(type("Sub", (lib.Tensor,), {})),
    "parameter subclass": lambda lib: type("Sub", (lib.nn.Parameter,), {})(lib.ones(2)),
    "list": lambda lib: [lib.ones(2), lib.tensor(1)],
    "large": lambda lib: lib.zeros(3000, 2000),
    "contents": lambda lib: lib.ones(2).__repr__(tensor_contents="x"),
    "format": lambda lib: f"{lib.tensor(2.5):.3f} {lib.ones(1)}",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    assert repr(FORMS[form](ours)) == repr(FORMS[form](torch))


@pytest.mark.parametrize("default", ["float16", "bfloat16", "float32", "float64"])
def test_default_dtypes(default):
    texts = []
    for lib in (torch, ours):
        before = lib.get_default_dtype()
        lib.set_default_dtype(getattr(lib, default))
        try:
            texts.append(
                [repr(lib.ones(2, dtype=getattr(lib, name))) for name in DTYPES]
                + [repr(lib.empty(0, dtype=getattr(lib, name))) for name in DTYPES]
            )
        finally:
            lib.set_default_dtype(before)
    assert texts[0] == texts[1]
