"""Module: what is registered where, states, conversions, calling."""

import copy
import pickle
from collections import OrderedDict

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn


class Small(nn.Module):
    """A parameter, a buffer of each kind, a child used twice, and gaps."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.register_parameter("missing", None)
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(1), persistent=False)
        self.register_buffer("nothing", None)
        self.first = nn.Linear(2, 2)
        self.again = self.first

    def forward(self, x):
        return self.first(x) * self.scale


# ------------------------------------------------------------------------------- registration


def test_assignment_files_values_by_type():
    m = nn.Module()
    m.p, m.b, m.t, m.m, m.n = (
        nn.Parameter(torch.ones(1)),
        nn.Buffer(torch.ones(1)),
        torch.ones(1),
        nn.Identity(),
        5,
    )
    assert list(m._parameters) == ["p"]
    assert list(m._buffers) == ["b"]
    assert list(m._modules) == ["m"]
    assert m.__dict__["n"] == 5 and "t" in m.__dict__


def test_a_name_lives_in_one_place():
    m = nn.Module()
    m.x = 3
    m.x = nn.Parameter(torch.ones(1))
    assert "x" not in m.__dict__
    m.x = None
    assert m._parameters == {"x": None}
    del m.x
    m.x = nn.Identity()
    m.x = nn.Parameter(torch.ones(1))
    assert not m._modules and list(m._parameters) == ["x"]


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "cannot assign 'int' as parameter 'weight' (torch.nn.Parameter or None expected)"),
        ("s", "cannot assign 'str' as parameter 'weight' (torch.nn.Parameter or None expected)"),
    ],
)
def test_a_parameter_cannot_become_something_else(value, text):
    with pytest.raises(TypeError) as error:
        nn.Linear(1, 1).weight = value
    assert str(error.value) == text


def test_children_and_buffers_cannot_become_something_else():
    m = Small()
    with pytest.raises(TypeError, match="as child module 'first'"):
        m.first = 3
    with pytest.raises(TypeError, match="as buffer 'seen'"):
        m.seen = 3
    m.seen = None
    assert m._buffers["seen"] is None


@pytest.mark.parametrize("register", ["register_buffer", "register_parameter", "add_module"])
@pytest.mark.parametrize(
    "name, error, text",
    [
        ("a.b", KeyError, "can't contain"),
        ("", KeyError, "can't be empty string"),
        (1, TypeError, "name should be a string. Got int"),
        ("training", KeyError, "attribute 'training' already exists"),
    ],
)
def test_names_are_checked(register, name, error, text):
    with pytest.raises(error) as caught:
        getattr(nn.Module(), register)(name, None)
    assert text in caught.value.args[0]


def test_values_are_checked():
    m = nn.Module()
    with pytest.raises(TypeError, match="cannot assign 'int' object to buffer 'x'"):
        m.register_buffer("x", 3)
    with pytest.raises(TypeError, match="to parameter 'x'.*Parameter or None required"):
        m.register_parameter("x", torch.ones(1))
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        m.add_module("x", 3)


def test_the_result_of_an_operation_is_no_parameter():
    x = nn.Parameter(torch.ones(1))
    doubled = x * 2
    doubled._is_param = True
    with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'y'"):
        nn.Module().register_parameter("y", doubled)


@pytest.mark.parametrize(
    "value, what",
    [
        (lambda: nn.Parameter(torch.ones(1)), "parameters"),
        (lambda: nn.Identity(), "module"),
        (lambda: nn.Buffer(torch.ones(1)), "buffer"),
    ],
)
def test_nothing_can_be_registered_before_init(value, what):
    class Hasty(nn.Module):
        def __init__(self):
            self.x = value()

    with pytest.raises(
        AttributeError, match=f"cannot assign {what} before Module.__init__\\(\\) call"
    ):
        Hasty()


def test_init_takes_no_arguments_unless_it_passes_them_on():
    with pytest.raises(TypeError, match="unexpected keyword argument 'a'"):
        nn.Tanh(a=1)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        nn.Tanh(1)

    class Base:
        def __init__(self, a):
            self.a = a

    class Both(nn.Module, Base):
        call_super_init = True

        def __init__(self, a):
            super().__init__(a)

    assert Both(7).a == 7


def test_missing_attribute_and_forward():
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'nothing'"):
        nn.Linear(1, 1).nothing  # noqa: B018
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "f'):
        nn.Module()(1)


def test_dir_lists_members_but_no_numbers():
    names = dir(nn.Sequential(nn.Linear(1, 1)))
    assert "append" in names and "0" not in names
    assert {"scale", "seen", "first"} <= set(dir(Small()))


# -------------------------------------------------------------------------------- enumerating


def test_named_members():
    m = Small()
    assert [n for n, _ in m.named_parameters()] == ["scale", "first.weight", "first.bias"]
    every = [n for n, _ in m.named_parameters(prefix="p", remove_duplicate=False)]
    assert every == [
        "p.scale",
        "p.first.weight",
        "p.first.bias",
        "p.again.weight",
        "p.again.bias",
    ]
    assert [n for n, _ in m.named_parameters(recurse=False)] == ["scale"]
    assert [n for n, _ in m.named_buffers()] == ["seen", "cache"]
    assert [n for n, _ in m.named_modules()] == ["", "first"]
    assert [n for n, _ in m.named_modules(remove_duplicate=False)] == ["", "first", "again"]
    assert [n for n, _ in m.named_children()] == ["first"]
    assert len(list(m.parameters())) == 3 and len(list(m.buffers())) == 2


def test_look_up_by_path():
    m = nn.Sequential(OrderedDict(a=nn.Sequential(nn.Linear(1, 1)), b=nn.BatchNorm1d(1)))
    assert m.get_submodule("") is m
    assert m.get_submodule("a.0") is m.a[0]
    assert m.get_parameter("a.0.weight") is m.a[0].weight
    assert m.get_buffer("b.running_mean") is m.b.running_mean
    for path, text in (
        ("zz", "Sequential has no attribute `zz`"),
        ("a.0.weight", "`weight` is not an nn.Module"),
    ):
        with pytest.raises(AttributeError) as error:
            m.get_submodule(path)
        assert str(error.value) == text
    with pytest.raises(AttributeError, match="`running_mean` is not an nn.Parameter"):
        m.get_parameter("b.running_mean")
    with pytest.raises(AttributeError, match="`weight` is not a buffer"):
        m.get_buffer("b.weight")


def test_set_submodule():
    m = nn.Sequential(OrderedDict(a=nn.Sequential(nn.Linear(1, 1))))
    new = nn.Tanh()
    m.set_submodule("a.0", new)
    assert m.a[0] is new
    m.set_submodule("c", new)
    assert m.c is new
    with pytest.raises(AttributeError, match="has no attribute `d`"):
        m.set_submodule("d", new, strict=True)
    with pytest.raises(ValueError, match="without a target name"):
        m.set_submodule("", new)
    with pytest.raises(ValueError, match="is not an nn.Module"):
        m.set_submodule("a.0", 3)


# ------------------------------------------------------------------------------------- states


def test_state_dict():
    m = Small()
    state = m.state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == [
        "scale",
        "seen",
        "first.weight",
        "first.bias",
        "again.weight",
        "again.bias",
    ]
    assert state._metadata == {"": {"version": 1}, "first": {"version": 1}, "again": {"version": 1}}
    assert not state["scale"].requires_grad
    assert state["scale"].data_ptr() == m.scale.data_ptr()
    assert m.state_dict(keep_vars=True)["scale"] is m.scale
    assert list(m.state_dict(prefix="x."))[0] == "x.scale"
    given = {}
    assert m.state_dict(destination=given) is given
    with pytest.warns(FutureWarning, match="Positional args are being deprecated"):
        assert list(m.state_dict(OrderedDict(), "y."))[0] == "y.scale"


def test_load_copies_in_place_and_keeps_the_dtype():
    m, other = Small(), Small().double()
    torch.nn.init.constant_(other.scale, 7.0)
    scale = m.scale
    result = m.load_state_dict(other.state_dict())
    assert m.scale is scale and m.scale.dtype == torch.float32
    assert m.scale.tolist() == [7.0, 7.0]
    assert result == ([], []) and repr(result) == "<All keys matched successfully>"


def test_load_reports_all_problems_at_once():
    state = Small().state_dict()
    del state["scale"]
    state["first.bias"] = torch.ones(9)
    state["first.other"] = state["unknown"] = torch.ones(1)
    with pytest.raises(RuntimeError) as error:
        Small().load_state_dict(state)
    assert str(error.value) == (
        "Error(s) in loading state_dict for Small:\n"
        '\tMissing key(s) in state_dict: "scale". \n'
        '\tUnexpected key(s) in state_dict: "unknown", "first.other". \n'
        "\tsize mismatch for first.bias: copying a param with shape torch.Size([9]) from "
        "checkpoint, the shape in current model is torch.Size([2])."
    )
    state["first.bias"] = torch.ones(2)
    found = Small().load_state_dict(state, strict=False)
    assert found.missing_keys == ["scale"]
    assert found.unexpected_keys == ["unknown", "first.other"]


def test_load_refuses_what_is_no_state():
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        Small().load_state_dict([1])
    with pytest.raises(RuntimeError, match='parameter named "weight", expected torch.Tensor'):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": 3})


def test_assign_takes_the_tensors_themselves():
    m = nn.BatchNorm1d(2)
    m.weight.requires_grad_(False)
    state = nn.BatchNorm1d(2).double().state_dict()
    m.load_state_dict(state, assign=True)
    assert m.running_mean is state["running_mean"]
    assert m.weight.dtype == torch.float64 and isinstance(m.weight, nn.Parameter)
    assert not m.weight.requires_grad and m.bias.requires_grad


def test_a_vector_of_one_fits_a_scalar():
    m = nn.Module()
    m.p = nn.Parameter(torch.tensor(1.0))
    m.load_state_dict({"p": torch.tensor([5.0])})
    assert m.p.item() == 5.0


def test_versions_reach_the_module():
    seen = []

    class Versioned(nn.Module):
        _version = 3

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            seen.append((prefix, local_metadata.get("version"), list(state_dict)))
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    m = nn.Sequential(Versioned())
    m.load_state_dict(m.state_dict())
    m.load_state_dict(dict(m.state_dict()))
    assert seen == [("0.", 3, []), ("0.", None, [])]


def test_extra_state():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]

    m = nn.Sequential(Counter())
    m[0].n = 4
    state = m.state_dict()
    assert state == {"0._extra_state": {"n": 4}}
    other = nn.Sequential(Counter())
    other.load_state_dict(state)
    assert other[0].n == 4
    with pytest.raises(RuntimeError, match='Missing key.*"0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected key.*"0._extra_state"'):
        nn.Sequential(nn.Tanh()).load_state_dict(state)


def test_state_dict_hooks():
    log = []
    m = nn.Sequential(nn.Linear(1, 1))
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", prefix, keep)))
    handle = m.register_state_dict_post_hook(
        lambda mod, state, prefix, meta: log.append(("post", len(state), prefix, meta))
    )
    m.state_dict()
    assert log == [("pre", "", False), ("post", 2, "", {"version": 1})]
    handle.remove()
    m.register_state_dict_post_hook(lambda *args: 1)
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        m.state_dict()
    m = nn.Linear(1, 1)
    m._register_state_dict_hook(lambda *args: {"replaced": 1})
    assert m.state_dict() == {"replaced": 1}


def test_load_state_dict_hooks():
    m = nn.Sequential(nn.Linear(1, 1))
    state = m.state_dict()
    renamed = {k.replace("weight", "w"): v for k, v in state.items()}

    def rename(module, state_dict, prefix, *rest):
        state_dict[prefix + "0.weight"] = state_dict.pop(prefix + "0.w")

    handle = m.register_load_state_dict_pre_hook(rename)
    m.load_state_dict(renamed)
    assert list(renamed) == ["0.w", "0.bias"], "the user's dictionary is not changed"
    handle.remove()

    def forgive(module, keys):
        keys.missing_keys.clear()
        keys.unexpected_keys.clear()

    m.register_load_state_dict_post_hook(forgive)
    m.load_state_dict({"other": torch.ones(1)})
    m.register_load_state_dict_post_hook(lambda module, keys: 1)
    with pytest.raises(AssertionError, match="not expected to return new values"):
        m.load_state_dict(state)


# -------------------------------------------------------------------------------- conversions


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.double(),
        lambda m: m.to(torch.float64),
        lambda m: m.to(dtype=torch.float64),
        lambda m: m.to("cpu", torch.float64),
        lambda m: m.to(torch.ones(1, dtype=torch.float64)),
    ],
)
def test_casts_keep_parameters_and_integers(convert):
    m = nn.BatchNorm1d(2)
    weight = m.weight
    assert convert(m) is m
    assert m.weight is weight and weight.dtype == torch.float64
    assert m.running_mean.dtype == torch.float64
    assert m.num_batches_tracked.dtype == torch.int64


def test_casts_take_gradients_along():
    m = nn.Linear(2, 2)
    m(torch.ones(1, 2)).sum().backward()
    grad = m.weight.grad.clone()
    m.double()
    assert m.weight.grad.dtype == torch.float64
    assert m.weight.grad.tolist() == grad.tolist()


def test_half_precision():
    assert nn.Linear(1, 1).half().weight.dtype == torch.float16
    assert nn.Linear(1, 1).bfloat16().float().weight.dtype == torch.float32


def test_to_refuses_integers():
    with pytest.raises(TypeError, match="only accepts floating point or complex dtypes"):
        nn.Linear(1, 1).to(torch.int64)


def test_memory_format():
    m = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Linear(2, 2))
    m.to(memory_format=torch.channels_last)
    assert m[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert m[1].weight.is_contiguous()


def test_meta_and_back():
    m = nn.Linear(2, 2, device="meta")
    assert m.weight.is_meta
    with pytest.raises(NotImplementedError, match="to_empty"):
        m.to("cpu")
    m.to_empty(device="cpu")
    assert not m.weight.is_meta and isinstance(m.weight, nn.Parameter) and m.weight.requires_grad


def test_modes_and_gradients():
    m = nn.Sequential(nn.Dropout(), nn.Linear(2, 1))
    assert m.eval() is m and not any(x.training for x in m.modules())
    assert m.train()[0].training
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        m.train(1)
    m.requires_grad_(False)
    assert not any(p.requires_grad for p in m.parameters())
    m.requires_grad_()
    m(torch.ones(1, 2)).sum().backward()
    grad = m[1].weight.grad
    m.zero_grad(set_to_none=False)
    assert m[1].weight.grad is grad and grad.tolist() == [[0.0, 0.0]]
    m.zero_grad()
    assert m[1].weight.grad is None


def test_apply_visits_children_first():
    seen = []
    m = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    assert m.apply(lambda x: seen.append(type(x).__name__)) is m
    assert seen == ["Linear", "Tanh", "Sequential"]


# --------------------------------------------------------------------------- copies and prints


def test_deepcopy_keeps_what_is_shared_shared():
    m = Small()
    twin = copy.deepcopy(m)
    assert twin.again is twin.first and twin.first is not m.first
    assert twin.scale is not m.scale and twin.scale.tolist() == m.scale.tolist()
    assert list(twin.state_dict()) == list(m.state_dict())


def test_copy_is_shallow():
    m = nn.Linear(1, 1)
    assert copy.copy(m).weight is m.weight


def test_pickle():
    m = pickle.loads(pickle.dumps(nn.Sequential(nn.Tanh(), nn.Threshold(0.1, 2.0))))
    assert repr(m) == repr(nn.Sequential(nn.Tanh(), nn.Threshold(0.1, 2.0)))


def test_old_states_get_what_they_lack():
    m = nn.Linear(1, 1)
    state = m.__getstate__()
    del state["_forward_pre_hooks"], state["_non_persistent_buffers_set"]
    old = nn.Linear.__new__(nn.Linear)
    old.__setstate__(state)
    assert old(torch.ones(1, 1)).shape == (1, 1)


def test_repr():
    class Described(nn.Module):
        def __init__(self, text):
            super().__init__()
            self.text = text

        def extra_repr(self):
            return self.text

    assert repr(Described("")) == "Described()"
    assert repr(Described("a=1")) == "Described(a=1)"
    assert repr(Described("a\nb")) == "Described(\n  a\n  b\n)"
    m = nn.Sequential(OrderedDict(x=Described("a"), y=nn.Sequential(nn.Tanh())))
    assert repr(m) == (
        "Sequential(\n  (x): Described(a)\n  (y): Sequential(\n    (0): Tanh()\n  )\n)"
    )


def test_modules_are_found_by_their_pytorch_names():
    from mindtorch_v2.nn.modules.linear import Linear
    from mindtorch_v2.nn.modules.module import Module

    assert Linear is nn.Linear is nn.modules.Linear and Module is nn.Module
    assert nn.Linear.__module__.endswith(".nn.modules.linear")
    assert "Linear" in dir(nn) and "functional" in dir(nn)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        nn.Nothing  # noqa: B018
