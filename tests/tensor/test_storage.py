"""Storages of tensors: identity, set_, sharing, files."""

import pytest

import mindtorch_v2 as torch


def test_one_object_per_storage():
    x = torch.zeros(2, 3)
    s = x.untyped_storage()
    assert x[1].untyped_storage() is s and s.nbytes() == 24
    assert torch.zeros(1).untyped_storage() is not s


def test_bytes_are_those_of_the_tensor():
    x = torch.zeros(2, dtype=torch.int32)
    s = x.untyped_storage()
    s[0] = 5
    s[4:8] = 255
    assert x.tolist() == [5, -1] and s[0:4].tolist() == [5, 0, 0, 0]
    with pytest.raises(IndexError, match="index 8 out of range for storage of size 8"):
        s[8]


def test_set_makes_a_window():
    x, y = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(0)
    y.set_(x.untyped_storage(), 1, (2,), (2,))
    assert y.tolist() == [2, 4] and y.untyped_storage() is x.untyped_storage()
    with pytest.raises(RuntimeError, match="invalid storage offset -1"):
        y.set_(x.untyped_storage(), -1, (1,), (1,))
    with pytest.raises(RuntimeError, match="Could not set tensor"):
        y.set_(torch.tensor([1]))


def test_tensors_follow_into_shared_memory():
    x = torch.tensor([1, 2, 3])
    s = x.untyped_storage()
    fd, size = s._share_fd_cpu_()
    assert s.is_shared() and size == 24 and x.tolist() == [1, 2, 3]
    other = type(s)._new_shared_fd_cpu(fd, size)
    x[0] = 9
    assert torch.zeros(0, dtype=torch.int64).set_(other).tolist() == [9, 2, 3]


def test_named_shared_memory():
    x = torch.tensor([4, 5])
    manager, name, size = x.untyped_storage()._share_filename_cpu_()
    other = type(x.untyped_storage())._new_shared_filename_cpu(manager, name, size)
    x[1] = 6
    assert torch.zeros(0, dtype=torch.int64).set_(other).tolist() == [4, 6]


def test_mapped_files(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(8)))
    shared = torch.UntypedStorage.from_file(str(path), True, 8)
    shared[0] = 99
    assert path.read_bytes()[0] == 99 and shared.filename == str(path)
    private = torch.UntypedStorage.from_file(str(path), False, 8)
    private[1] = 98
    assert path.read_bytes()[1] == 1
    with pytest.raises(RuntimeError, match="unable to open file"):
        torch.UntypedStorage.from_file(str(tmp_path / "none"), False, 1)
    with pytest.raises(RuntimeError, match="smaller than the required"):
        torch.UntypedStorage.from_file(str(path), False, 80)
