"""The helpers of _utils: rebuilding tensors, exceptions on their way, lists of tensors."""

import pickle
import sys

import pytest

import mindtorch_v2 as torch

utils = torch._utils
wrap = torch.storage._wrap


def storage_of(tensor):
    return wrap(tensor.untyped_storage(), tensor.dtype)


# ---- tensors ----


def test_rebuilding_tensors():
    base = torch.arange(6.0)
    plain = utils._rebuild_tensor(storage_of(base), 1, (2, 2), (2, 1))
    assert plain.tolist() == [[1.0, 2.0], [3.0, 4.0]] and not plain.requires_grad
    hooks = {1: print}
    made = utils._rebuild_tensor_v2(storage_of(base), 0, (3,), (2,), True, hooks)
    assert made.tolist() == [0.0, 2.0, 4.0] and made.requires_grad
    assert made._backward_hooks == hooks
    assert made.data_ptr() == plain.data_ptr() - 4 == base.data_ptr()
    for storage in (
        torch.UntypedStorage([1, 0, 2, 0]),
        wrap(torch.UntypedStorage([1, 0, 2, 0]), torch.uint8),
    ):
        made = utils._rebuild_tensor_v3(storage, 0, (2,), (1,), False, None, torch.uint16)
        assert made.dtype == torch.uint16 and made.tolist() == [1, 2]
    meta = utils._rebuild_meta_tensor_no_storage(torch.float16, (2, 3), (1, 2), True)
    assert meta.is_meta and meta.stride() == (1, 2) and meta.requires_grad


def test_rebuilding_parameters():
    made = utils._rebuild_parameter(torch.ones(2), False, None)
    assert type(made) is torch.nn.Parameter and not made.requires_grad
    made = utils._rebuild_parameter_with_state(torch.ones(2), True, {}, {"note": 1})
    assert made.requires_grad and made.note == 1


class Sub(torch.Tensor):
    pass


class Slotted(torch.Tensor):
    __slots__ = ("first", "__private")


class Restored(torch.Tensor):
    def __setstate__(self, state):
        self.restored = state


def test_rebuilding_subclasses():
    rebuild = utils._rebuild_from_type_v2
    made = rebuild(torch.zeros, Sub, (2,), {"a": 1})
    assert type(made) is Sub and made.a == 1
    assert rebuild(torch.zeros, Restored, (2,), {"a": 1}).restored == {"a": 1}
    assert type(rebuild(torch.zeros, torch.Tensor, (2,), None)) is torch.Tensor
    made = rebuild(torch.zeros, Slotted, (2,), ({"a": 1}, {"first": 2}))
    assert made.a == 1 and made.first == 2
    with pytest.raises(RuntimeError, match="Invalid serialized state"):
        rebuild(torch.zeros, Sub, (2,), (1, 2, 3))


def test_states_of_objects():
    assert utils._get_obj_state(torch.ones(1)) is None
    tensor = torch.ones(1).as_subclass(Slotted)
    tensor.first, tensor.other = 1, 2
    tensor._Slotted__private = 3
    state = utils._get_obj_state(tensor)
    assert state == ({"other": 2}, {"first": 1, "_Slotted__private": 3})
    back = pickle.loads(pickle.dumps(tensor))
    assert (back.first, back.other, back._Slotted__private) == (1, 2, 3)


def test_what_reduce_gives():
    tensor = torch.arange(3.0, requires_grad=True)
    function, args = tensor.__reduce_ex__(2)
    assert function is utils._rebuild_tensor_v2
    assert isinstance(args[0], torch.storage.TypedStorage) and args[0].dtype == torch.float32
    assert args[1:] == (0, (3,), (1,), True, {})
    assert type(args[2]) is tuple
    function, args = torch.zeros(2, dtype=torch.uint32).__reduce_ex__(2)
    assert function is utils._rebuild_tensor_v3 and args[6] == torch.uint32
    function, args = torch.nn.Parameter(torch.ones(1)).__reduce_ex__(2)
    assert function is utils._rebuild_parameter and args[1:] == (True, {})
    function, args = torch.ones(1).as_subclass(Sub).__reduce_ex__(2)
    assert function is utils._rebuild_from_type_v2 and args[1] is Sub


# ---- exceptions ----


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(a)


class HasMessage(Exception):
    message = "given by name"

    def __init__(self, *, message):
        super().__init__(message)


def caught(error, where="in a worker"):
    try:
        raise error
    except BaseException:
        wrapper = utils.ExceptionWrapper(where=where)
    return pickle.loads(pickle.dumps(wrapper))


@pytest.mark.parametrize(
    "error,type_",
    [
        (ValueError("x"), ValueError),
        (KeyError("x"), KeyError),
        (KeyboardInterrupt("x"), KeyboardInterrupt),
        (OSError(2, "x"), FileNotFoundError),
        (HasMessage(message="x"), HasMessage),
        (NeedsTwo("x", 1), RuntimeError),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "x"), RuntimeError),
    ],
)
def test_exceptions_travel(error, type_):
    with pytest.raises(type_) as raised:
        caught(error).reraise()
    assert type(raised.value) is type_
    text = str(raised.value)
    assert text.startswith(f"Caught {type(error).__name__} in a worker.\nOriginal Traceback (most ")
    assert "raise error\n" in text and "x" in text.splitlines()[-1]


def test_exceptions_by_hand():
    try:
        raise ValueError("mine")
    except ValueError:
        info = sys.exc_info()
    wrapper = utils.ExceptionWrapper(info)
    assert wrapper.exc_type is ValueError and wrapper.where == "in background"
    assert wrapper.exc_msg.endswith("ValueError: mine\n")
    assert repr(utils.KeyErrorMessage("a\nb")) == "a\nb"


# ---- names, devices, lists ----


def test_dotted_names():
    assert utils._import_dotted_name("torch.nn.Linear") is torch.nn.Linear
    assert utils._import_dotted_name("mindtorch_v2.float32") is torch.float32
    assert utils._import_dotted_name("sys") is sys
    with pytest.raises(AttributeError):
        utils._import_dotted_name("torch.nn.Nothing")
    with pytest.raises(ModuleNotFoundError):
        utils._import_dotted_name("nothing.x")


def test_device_indices():
    index = utils._get_device_index
    assert index("cuda:1") == 1 and index(torch.device("cuda", 2)) == 2 and index(3) == 3
    assert index(None, optional=True) is None and index("cuda", optional=True) is None
    assert index("cpu", allow_cpu=True) == -1
    with pytest.raises(ValueError, match="Expected a non cpu device, but got: cpu"):
        index("cpu")
    with pytest.raises(
        ValueError, match="Expected a torch.device with a specified index or an integ"
    ):
        index(None)


def test_lists_of_tensors():
    tensors = [torch.ones(3), torch.zeros(10), torch.ones(2, dtype=torch.float64), torch.ones(4)]
    groups = [[t.numel() for t in g] for g in utils._take_tensors(tensors, 40)]
    assert groups == [[3], [10], [4], [2]]
    assert [len(g) for g in utils._take_tensors(tensors, 1000)] == [3, 1]
    mixed = list(utils._take_tensors(tensors, 1000))
    flat = [t for group in mixed for t in group]
    assert all(
        a is b for a, b in zip(utils._reorder_tensors_as(flat, tensors), tensors, strict=True)
    )
    parts = [torch.arange(6.0).reshape(2, 3), torch.arange(4.0), torch.empty(0, 2)]
    flat = utils._flatten_dense_tensors(parts)
    assert flat.shape == (10,)
    back = utils._unflatten_dense_tensors(flat, parts)
    assert (
        all(a.equal(b) for a, b in zip(back, parts, strict=True))
        and back[0].data_ptr() == flat.data_ptr()
    )


def test_small_things():
    assert utils._element_size(torch.complex128) == 16
    with pytest.raises(RuntimeError, match="expected torch.dtype, but got <class 'int'>"):
        utils._element_size(5)
    assert utils._get_async_or_non_blocking("f", True, {}) is True
    with pytest.warns(UserWarning, match="'async' is deprecated"):
        assert utils._get_async_or_non_blocking("f", False, {"async": True}) is True
    with pytest.raises(TypeError, match=r"f\(\) got an unexpected keyword argument 'x'"):
        utils._get_async_or_non_blocking("f", False, {"x": 1})

    class Class:
        @utils.classproperty
        def name(cls):
            return cls.__name__

    assert Class.name == Class().name == "Class"
    assert not utils.is_compiling()
