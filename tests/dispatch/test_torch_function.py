"""Subclasses and tensor-like objects take operators over through __torch_function__."""

import threading
import warnings

import mindtorch_v2 as torch
import pytest
from mindtorch_v2 import overrides


class Logged(torch.Tensor):
    """Notes what it sees, then does as every subclass does."""

    seen = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs)


class Declining:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


class Answering:
    """Answers with what it was asked."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func, types, args, kwargs


def calls_of(function, *args):
    Logged.seen.clear()
    result = function(*args)
    return result, list(Logged.seen)


def logged(*shape):
    return torch.ones(*shape).as_subclass(Logged)


OPERATORS = {
    "add": lambda x: x + 1, "sub": lambda x: x - 1, "mul": lambda x: 2 * x,
    "div": lambda x: x / 2, "neg": lambda x: -x, "abs": lambda x: abs(x), "lt": lambda x: x < 1,
    "__eq__": lambda x: x == 1, "__rsub__": lambda x: 1 - x, "__pow__": lambda x: x**2,
    "__getitem__": lambda x: x[0], "matmul": lambda x: x @ torch.ones(2, 2),
    "add_": lambda x: x.__iadd__(1),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_arrive_as_methods(name):
    result, seen = calls_of(OPERATORS[name], logged(2, 2))
    assert seen == [getattr(torch.Tensor, name)]
    assert type(result) is Logged
    assert (result.as_subclass(torch.Tensor) == OPERATORS[name](torch.ones(2, 2))).all()


def test_methods_functions_and_layers():
    x = logged(2, 2)
    for call, func in [
        (lambda: x.add(1), torch.Tensor.add),
        (lambda: torch.add(x, 1), torch.add),
        (lambda: torch.cat([torch.ones(2, 2), x]), torch.cat),
        (lambda: torch.nn.functional.relu(x), torch.nn.functional.relu),
        (lambda: torch.nn.functional.linear(torch.ones(2, 2), x), torch.nn.functional.linear),
        (lambda: x.to(torch.float64), torch.Tensor.to),
        (lambda: x.float(), torch.Tensor.float),
        (lambda: x.detach(), torch.Tensor.detach),
    ]:
        result, seen = calls_of(call)
        assert seen[0] == func
        assert type(result) is Logged


def test_answers_that_are_no_tensors_stay_as_they_are():
    x = logged(2, 3)
    for call, func, value in [
        (lambda: x.shape, torch.Tensor.shape.__get__, (2, 3)),
        (lambda: x.dtype, torch.Tensor.dtype.__get__, torch.float32),
        (lambda: x.size(), torch.Tensor.size, (2, 3)),
        (lambda: x.dim(), torch.Tensor.dim, 2),
        (lambda: len(x), torch.Tensor.__len__, 2),
        (lambda: x.numel(), torch.Tensor.numel, 6),
        (lambda: x.tolist(), torch.Tensor.tolist, [[1.0] * 3] * 2),
        (lambda: x.is_contiguous(), torch.Tensor.is_contiguous, True),
        (lambda: torch.numel(x), torch.numel, 6),
    ]:
        result, seen = calls_of(call)
        assert seen == [func]
        assert result == value


def test_setting_attributes():
    x = logged(2)
    _, seen = calls_of(lambda: setattr(x, "grad", torch.zeros(2)))
    assert seen == [torch.Tensor.grad.__set__]
    grad, seen = calls_of(lambda: x.grad)
    assert seen == [torch.Tensor.grad.__get__]
    assert type(grad) is torch.Tensor  # handed out, not made
    _, seen = calls_of(lambda: delattr(x, "grad"))
    assert seen == [torch.Tensor.grad.__delete__]
    assert x.grad is None
    y = torch.ones(2)
    _, seen = calls_of(lambda: y.__setitem__(0, logged(1)))
    assert seen == [torch.Tensor.__setitem__]


def test_results_that_are_tuples():
    result, _ = calls_of(lambda: logged(2, 3).max(1))
    assert type(result) is torch.return_types.max if hasattr(torch, "return_types") else result
    assert type(result.values) is Logged and type(result.indices) is Logged
    assert all(type(t) is Logged for t in logged(4).split(2))


REQUIRED = {"nonzero_static": {"size": 1}}  # keywords without a default


def test_every_tensor_function_is_overridable():
    """Whatever takes a tensor offers the call before it looks at anything else."""
    missed = []
    for name, function in vars(torch._C._VariableFunctions).items():
        if name not in torch._C._functions_with_tensors() or name.startswith("_"):
            continue
        for n in range(1, 26):
            for list_first in (False, True):
                args = [Answering()] * n
                if list_first:
                    args[0] = [Answering()]
                try:
                    answer = function(*args, **REQUIRED.get(name, {}))
                except TypeError:
                    continue
                if isinstance(answer, tuple) and answer[0] is function:
                    break
            else:
                continue
            break
        else:
            missed.append(name)
    assert not missed


def test_every_method_is_overridable():
    class Quiet(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func

    x = torch.ones(2, 2).as_subclass(Quiet)
    missed = []
    for function in overrides.get_overridable_functions()[torch.Tensor]:
        name = function.__name__
        if name.startswith("__"):
            continue  # operators arrive under the name of the method that does the work
        for args in ([value] * n for n in range(8) for value in (Answering(), 1, [x], "x")):
            try:
                answer = function(x, *args, **REQUIRED.get(name, {}))
            except (TypeError, ValueError, NotImplementedError):
                continue
            if answer is function or getattr(answer, "__name__", None) == name:
                break
        else:
            missed.append(name)
    assert not missed
    for descriptor, functions in overrides.get_overridable_functions().items():
        if type(descriptor).__name__ == "getset_descriptor":
            assert descriptor.__get__(x) == functions[0]


def test_other_arguments_can_override_too():
    x, a = torch.ones(2), Answering()
    assert torch.sum(x, dim=a) == (torch.sum, (Answering,), (x,), {"dim": a})
    assert torch.add(x, x, alpha=a)[3] == {"alpha": a}
    assert torch.ones(a)[0] == torch.ones
    assert torch.reshape(x, (1, a))[2] == (x, (1, a))
    assert torch.cat((x, a))[1] == (Answering,)
    assert x[a][0] == torch.Tensor.__getitem__
    assert torch.add(x, a) == (torch.add, (Answering,), (x, a), None)


class A(torch.Tensor):
    asked = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        A.asked.append(cls)
        return NotImplemented


class B(A):
    pass


class C(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        A.asked.append(cls)
        return NotImplemented


def test_subclasses_are_asked_first():
    a, b, c = (torch.ones(2).as_subclass(cls) for cls in (A, B, C))
    for call, order in [
        (lambda: torch.add(a, b), [B, A]),
        (lambda: torch.add(c, a), [C, A]),
        (lambda: torch.where(c, a, b), [C, B, A]),
        (lambda: torch.where(input=a, condition=c, other=b), [C, B, A]),
        (lambda: a.add(c), [A, C]),
        (lambda: torch.cat([a, a, b]), [B, A]),
    ]:
        A.asked.clear()
        with pytest.raises(TypeError, match="Multiple dispatch failed"):
            call()
        assert A.asked == order


def test_error_texts():
    x, d = torch.ones(2), Declining()
    with pytest.raises(TypeError) as error:
        torch.add(x, d)
    assert str(error.value) == (
        "Multiple dispatch failed for 'torch.add'; all __torch_function__ handlers returned "
        f"NotImplemented:\n\n  - tensor subclass {Declining}\n\nFor more information, try re-running "
        "with TORCH_LOGS=not_implemented"
    )
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'Tensor' and 'Declining'"):
        x + d
    with pytest.raises(TypeError, match="no implementation found for 'torch.nn.functional.relu' on types"):
        torch.nn.functional.relu(d)
    with pytest.raises(TypeError, match="Multiple dispatch failed for 'torch.Tensor.shape.__get__'"):
        x.as_subclass(A).shape


def test_plain_method_warns():
    class Old:
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return 7

    with pytest.warns(DeprecationWarning, match="as a plain method is deprecated"):
        assert torch.nn.functional.relu(Old()) == 7


def test_switching_off():
    x = logged(2)
    with torch._C.DisableTorchFunctionSubclass():
        result, seen = calls_of(lambda: x + 1)
        assert type(result) is torch.Tensor and not seen
        assert not overrides.has_torch_function_unary(x)
    assert overrides.has_torch_function_unary(x)
    with torch._C.DisableTorchFunction():
        assert torch._C._is_torch_function_all_disabled()
        assert type(x + 1) is torch.Tensor
    assert torch._C._is_torch_function_enabled()

    class OptedOut(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl

    assert type(torch.ones(2).as_subclass(OptedOut) + 1) is torch.Tensor


def test_exceptions_come_through():
    class Failing(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise KeyError("from the override")

    x = torch.ones(2).as_subclass(Failing)
    for call in (lambda: x + 1, lambda: x.shape, lambda: x[0], lambda: torch.add(x, x), lambda: len(x),
                 lambda: x.to(torch.float64), lambda: bool(x)):  # fmt: skip
        with pytest.raises(KeyError, match="from the override"):
            call()


def test_unrelated_classes_decline():
    class P(torch.Tensor):
        pass

    class Q(torch.Tensor):
        pass

    p, q = torch.ones(2).as_subclass(P), torch.ones(2).as_subclass(Q)
    assert type(p + torch.ones(2)) is P
    with pytest.raises(TypeError):
        p + q


def test_helpers():
    assert overrides.is_tensor_like(torch.ones(1)) and overrides.is_tensor_like(Declining())
    assert not overrides.is_tensor_like(3)
    assert overrides.resolve_name(torch.add) == "torch.add"
    assert overrides.resolve_name(torch.Tensor.add) == "torch.Tensor.add"
    assert overrides.resolve_name(torch.Tensor.shape.__get__) == "torch.Tensor.shape.__get__"
    assert overrides.resolve_name(torch.nn.functional.relu) == "torch.nn.functional.relu"
    assert overrides.resolve_name(print) is None
    assert overrides.is_tensor_method_or_property(torch.Tensor.shape.__get__)
    assert overrides.is_tensor_method_or_property(torch.Tensor.add)
    assert not overrides.is_tensor_method_or_property(torch.add)
    found = overrides.get_overridable_functions()
    assert torch.add in found[torch] and torch.Tensor.add in found[torch.Tensor]
    assert torch.empty in overrides.get_ignored_functions()
    assert torch.empty not in found[torch]

    @overrides.wrap_torch_function(lambda x, y: (x, y))
    def own(x, y):
        return "own"

    assert own(1, 2) == "own"
    assert own(1, Answering())[0] is own


def test_backward_through_a_subclass():
    x = torch.ones(3).as_subclass(Logged).requires_grad_()
    y = (x * 2).sum()
    assert type(y) is Logged and y.requires_grad
    _, seen = calls_of(y.backward)
    assert seen[0] is torch.Tensor.backward
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_no_warning_and_no_mode_left_over():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logged(2) + 1
    assert torch._C._len_torch_function_stack() == 0


def test_threads_have_their_own_switches():
    result = []
    with torch._C.DisableTorchFunctionSubclass():
        thread = threading.Thread(target=lambda: result.append(type(logged(2) + 1)))
        thread.start()
        thread.join()
    assert result == [Logged]


def test_testing_overrides():
    answers = overrides.get_testing_overrides()
    assert torch.add in answers and torch.Tensor.add in answers and torch.Tensor.grad.__get__ in answers
    assert answers[torch.add](1, 2, alpha=3) == -1 and answers[torch.add] is not answers[torch.mul]
