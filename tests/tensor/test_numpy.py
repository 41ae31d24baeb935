"""NumPy arrays, buffers and DLPack: shared memory, life times, errors."""

import gc

import pytest

import mindtorch_v2 as torch

np = pytest.importorskip("numpy")


def test_memory_is_shared_both_ways():
    a = np.arange(6.0).reshape(2, 3)
    x = torch.from_numpy(a)
    a[0, 0] = 9
    assert x[0, 0].item() == 9
    b = x.numpy()
    b[1, 2] = -1
    assert a[1, 2] == -1 and b.ctypes.data == a.ctypes.data


def test_strides_survive():
    a = np.arange(12).reshape(3, 4).T[::2]
    x = torch.from_numpy(a)
    assert x.tolist() == a.tolist() and x.numpy().strides == a.strides
    assert torch.zeros(2, 3).t().numpy().strides == (4, 12)


def test_each_side_keeps_the_memory():
    x = torch.from_numpy(np.full(100000, 3.0))
    gc.collect()
    assert x.tolist()[-1] == 3.0
    a = torch.tensor([1.0, 2.0]).numpy()
    gc.collect()
    assert a.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", "bool uint8 int8 int16 int32 int64 uint16 float16 float32 float64 complex64".split())
def test_dtypes(name):
    a = np.array([0, 1, 1]).astype(name)
    x = torch.from_numpy(a)
    assert str(x.dtype) == f"torch.{name}" and x.numpy().dtype == a.dtype and x.numpy().tolist() == a.tolist()


def test_what_cannot_be():
    with pytest.raises(RuntimeError, match="requires grad"):
        torch.ones(2, requires_grad=True).numpy()
    with pytest.raises(TypeError, match="BFloat16"):
        torch.ones(2).bfloat16().numpy()
    with pytest.raises(ValueError, match="negative"):
        torch.from_numpy(np.arange(3)[::-1])
    with pytest.raises(TypeError, match="numpy.str_"):
        torch.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="expected np.ndarray"):
        torch.from_numpy([1])
    assert torch.ones(2, requires_grad=True).numpy(force=True).tolist() == [1, 1]


def test_buffers():
    raw = bytearray(8)
    x = torch.frombuffer(raw, dtype=torch.int32, offset=4)
    x.fill_(-1)
    assert raw == b"\0" * 4 + b"\xff" * 4
    with pytest.raises(ValueError, match="multiple of element size"):
        torch.frombuffer(raw, dtype=torch.int32, offset=3)


def test_dlpack_shares():
    a = np.arange(4.0)
    x = torch.from_dlpack(a)
    x[1] = 7
    assert a[1] == 7
    b = np.from_dlpack(x)
    assert b.tolist() == a.tolist()
    from mindtorch_v2.utils.dlpack import from_dlpack, to_dlpack

    capsule = to_dlpack(x)
    assert from_dlpack(capsule).data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="only once"):
        from_dlpack(capsule)
