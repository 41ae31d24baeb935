"""Datasets, samplers and collation."""

import collections

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2.utils import data


class Squares(data.Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i


class Count(data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


def test_tensor_dataset():
    x, y = torch.arange(6).view(3, 2), torch.tensor([7, 8, 9])
    pairs = data.TensorDataset(x, y)
    assert len(pairs) == 3
    assert pairs[1][0].tolist() == [2, 3] and pairs[-1][1].item() == 9
    assert pairs[[0, 2]][1].tolist() == [7, 9]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(x, torch.ones(2))


def test_made_of_others():
    both = Squares(2) + Squares(3)
    assert len(both) == 5 and [both[i] for i in range(5)] == [0, 1, 0, 1, 4] and both[-1] == 4
    with pytest.raises(ValueError, match="absolute value of index"):
        both[-6]
    assert list(Count(2) + Count(3)) == [0, 1, 0, 1, 2]
    stack = data.StackDataset(a=Squares(3), b=["x", "y", "z"])
    assert stack[2] == {"a": 4, "b": "z"}
    assert stack.__getitems__([0, 1]) == [{"a": 0, "b": "x"}, {"a": 1, "b": "y"}]
    part = data.Subset(Squares(5), [4, 2])
    assert list(part) == [16, 4] and part.__getitems__([1]) == [4]
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        data.ConcatDataset([Count(2)])


def test_streams_need_iter():
    with pytest.raises(TypeError, match="abstract"):
        data.IterableDataset()
    with pytest.raises(NotImplementedError, match="should implement __getitem__"):
        data.Dataset()[0]
    assert isinstance(Count(2), collections.abc.Iterable)


def test_classes_take_type_arguments():
    class Typed(data.Dataset[int]):
        def __getitem__(self, i):
            return i

    assert Typed()[3] == 3 and issubclass(Typed, data.Dataset)
    assert data.DataLoader[int] is not None


def test_random_split():
    generator = torch.Generator().manual_seed(3)
    a, b = data.random_split(Squares(10), [3, 7], generator)
    assert sorted(a.indices + b.indices) == list(range(10)) and len(a) == 3
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3)).tolist()
    assert a.indices + b.indices == order
    assert [len(s) for s in data.random_split(Squares(7), [0.25] * 4)] == [2, 2, 2, 1]
    with pytest.warns(UserWarning, match="Length of split at index 0 is 0"):
        data.random_split(Squares(2), [0.0, 1.0])
    with pytest.raises(ValueError, match="Sum of input lengths"):
        data.random_split(Squares(5), [2, 2])


def test_random_sampler_draws_permutations():
    sampler = data.RandomSampler(Squares(5), num_samples=12)
    drawn = list(sampler)
    assert len(sampler) == len(drawn) == 12
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == list(range(5))
    assert len(set(drawn[10:])) == 2
    torch.manual_seed(1)
    first = list(sampler)
    torch.manual_seed(1)
    assert list(sampler) == first
    again = [list(data.RandomSampler(Squares(99), generator=g)) for g in map(seeded, (4, 4, 5))]
    assert again[0] == again[1] != again[2]


def seeded(n):
    return torch.Generator().manual_seed(n)


def test_samplers_with_replacement():
    drawn = list(data.RandomSampler(Squares(3), True, 100))
    assert len(drawn) == 100 and set(drawn) == {0, 1, 2}
    weighted = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 400, generator=seeded(0)))
    assert weighted.count(0) == 0 and 2 < weighted.count(2) / weighted.count(1) < 4.5
    assert sorted(data.WeightedRandomSampler([1, 2, 3], 3, False)) == [0, 1, 2]
    assert sorted(data.SubsetRandomSampler([7, 8, 9])) == [7, 8, 9]


def test_batch_sampler():
    assert list(data.BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    short = data.BatchSampler(data.SequentialSampler(Squares(5)), 2, True)
    assert list(short) == [[0, 1], [2, 3]] and len(short) == 2
    for bad in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="batch_size should be a positive integer"):
            data.BatchSampler(range(5), bad, False)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("n", [5, 8])
def test_distributed_sampler_shares_the_data_out(n, drop_last):
    parts = [data.DistributedSampler(range(n), 3, rank, drop_last=drop_last) for rank in range(3)]
    lists = [list(part) for part in parts]
    assert len({len(x) for x in lists}) == 1 and len(parts[0]) == len(lists[0])
    seen = sorted(sum(lists, []))
    assert len(set(seen)) == (n - n % 3 if drop_last else n)
    parts[0].set_epoch(1)
    assert list(parts[0]) != lists[0] or n < 6
    with pytest.raises(ValueError, match="Invalid rank 3"):
        data.DistributedSampler(range(n), 3, 3)


Pair = collections.namedtuple("Pair", "x y")


def test_collate_keeps_the_structure():
    batch = data.default_collate(
        [
            {"a": torch.ones(2), "b": (1, 2.0), "c": "s", "d": Pair(np.ones(1), [True])},
            {"a": torch.zeros(2), "b": (3, 4.0), "c": "t", "d": Pair(np.zeros(1), [False])},
        ]
    )
    assert batch["a"].tolist() == [[1, 1], [0, 0]]
    ints, floats = batch["b"]
    assert ints.dtype == torch.int64 and floats.dtype == torch.float64
    assert batch["c"] == ["s", "t"]
    assert type(batch["d"]) is Pair and batch["d"].x.dtype == torch.float64
    assert batch["d"].y[0].tolist() == [True, False]


def test_what_cannot_be_collated():
    with pytest.raises(TypeError, match="default_collate: batch must contain tensors, numpy"):
        data.default_collate([None])
    with pytest.raises(TypeError, match="found <U1"):
        data.default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="should be of equal size"):
        data.default_collate([[1], [1, 2]])
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        data.default_collate([torch.ones(2), torch.ones(3)])


def test_default_convert():
    out = data.default_convert({"a": np.ones(2), "b": [np.float32(2), "x"], "c": np.array(["s"])})
    assert isinstance(out["a"], torch.Tensor) and out["b"][0].dtype == torch.float32
    assert out["b"][1] == "x" and isinstance(out["c"], np.ndarray)
