"""Tensors from Python data, and conversions."""

import pytest

import mindtorch_v2 as torch


@pytest.mark.parametrize(
    "data, dtype",
    [(1, torch.int64), (1.5, torch.float32), (True, torch.bool), (1j, torch.complex64), ([1, 2.0], torch.float32),
     ([True, 2], torch.int64), ([], torch.float32), ([[1], [2j]], torch.complex64)],
)  # fmt: skip
def test_inferred_dtypes(data, dtype):
    x = torch.tensor(data)
    assert x.dtype == dtype and x.tolist() == data


def test_data_that_do_not_fit():
    with pytest.raises(ValueError, match=r"expected sequence of length 2 at dim 1 \(got 1\)"):
        torch.tensor([[1, 2], [3]])
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.tensor(300, dtype=torch.uint8)
    with pytest.raises(ValueError, match="Overflow when unpacking long long"):
        torch.tensor(2**64)
    with pytest.raises(RuntimeError, match="Could not infer dtype of object"):
        torch.tensor(object())
    with pytest.raises(RuntimeError, match="can require gradients"):
        torch.tensor(1, requires_grad=True)


def test_copies_and_aliases():
    x = torch.tensor([1.0, 2.0])
    assert torch.as_tensor(x) is x
    assert torch.asarray(x, copy=True).data_ptr() != x.data_ptr()
    with pytest.warns(UserWarning, match="copy construct"):
        assert torch.tensor(x).data_ptr() != x.data_ptr()
    assert torch.tensor([1], device="meta").is_meta


def test_legacy_constructors():
    assert tuple(torch.Tensor(2, 3).shape) == (2, 3)
    assert torch.Tensor([1, 2]).dtype == torch.float32
    assert torch.LongTensor([1, 2]).tolist() == [1, 2]
    assert isinstance(torch.ones(1), torch.FloatTensor) and not isinstance(torch.ones(1), torch.LongTensor)


def test_to():
    x = torch.tensor([1.5, -2.5], requires_grad=True)
    assert x.to(torch.float32) is x and x.to("cpu") is x and x.float() is x
    assert x.to(torch.float32, copy=True) is not x
    assert x.to(torch.int64).tolist() == [1, -2] and x.double().dtype == torch.float64
    x.double().sum().backward()
    assert x.grad.dtype == torch.float32
    assert x.type() == "torch.FloatTensor" and x.type("torch.DoubleTensor").dtype == torch.float64
    with pytest.raises(TypeError, match="invalid combination"):
        x.to()
