"""Datasets, samplers and loaders against PyTorch: orders, random states, batches, errors."""

import collections
import random
import re

import numpy as np
import pytest

import mindtorch_v2
from tests.parity.side_by_side import Outcome, compare

torch = pytest.importorskip("torch")


def kit(lib):
    """Datasets that answer by index or as streams, as classes of `lib`."""
    data = lib.utils.data

    class Kit:
        class Map(data.Dataset):
            def __init__(self, n, k=0):
                self.n, self.k = n, k

            def __len__(self):
                return self.n

            def __getitem__(self, i):
                return self.k + i

        class Bulk(Map):
            def __getitems__(self, indices):
                return [self.k + i for i in indices]

        class Liar(Map):
            def __getitems__(self, indices):
                return [1]

        class Stream(data.IterableDataset):
            def __init__(self, n, split=True):
                self.n, self.split = n, split

            def __iter__(self):
                info = data.get_worker_info()
                if info is None or not self.split:
                    return iter(range(self.n))
                return iter(range(info.id, self.n, info.num_workers))

        class Short(Stream):
            def __len__(self):
                return self.n - 2

        class Noisy(Map):
            """What every random state gives in this worker."""

            def __getitem__(self, i):
                info = data.get_worker_info()
                return (
                    i,
                    lib.rand(1).item(),
                    random.random(),
                    np.random.rand(),
                    -1 if info is None else info.id,
                )

    return Kit


def without_addresses(outcome):
    """An outcome whose texts are free of object addresses and process ids."""
    outcome.warnings = [
        (kind, re.sub(r"<.*? object at 0x\w+>", "<object>", text))
        for kind, text in outcome.warnings
        if "worker processes in total" not in text
    ]
    return outcome


def draws(lib):
    """Numbers that tell the state of the default generator."""
    return lib.randint(0, 2**31, (3,))


def test_datasets():
    def scenario(lib):
        data, k = lib.utils.data, kit(lib)
        yield Outcome(lambda: data.Dataset()[0])
        yield Outcome(data.IterableDataset).error
        t = lib.arange(8).view(4, 2)
        pair = data.TensorDataset(lib.arange(4), t)
        yield len(pair), pair[1], pair[-1], pair[[0, 2]], pair[1:3]
        yield Outcome(data.TensorDataset, lib.ones(2), lib.ones(3)), Outcome(data.TensorDataset, 5)
        for args, kwargs in (
            ((), {}),
            ((k.Map(2), k.Map(3)), {}),
            ((k.Map(2),), {"a": k.Map(2)}),
            ((), {"a": k.Map(2), "b": k.Map(3)}),
            ((5,), {}),
        ):
            yield Outcome(data.StackDataset, *args, **kwargs).error
        for stack in (
            data.StackDataset(k.Map(3), k.Bulk(3, 10)),
            data.StackDataset(a=k.Map(3), b=k.Bulk(3, 10)),
            data.StackDataset(k.Liar(3)),
        ):
            yield len(stack), stack[1], Outcome(stack.__getitems__, [0, 2])
        both = data.ConcatDataset([k.Map(2), k.Map(3, 10)])
        yield len(both), [both[i] for i in range(-5, 5)], both.cumulative_sizes
        yield Outcome(lambda: both[5]), Outcome(lambda: both[-6])
        yield Outcome(lambda: both.cummulative_sizes)
        yield Outcome(data.ConcatDataset, []), Outcome(data.ConcatDataset, [k.Stream(2)])
        yield len(k.Map(2) + k.Map(3) + k.Map(1)), Outcome(lambda: k.Map(2) + k.Stream(2)).error
        yield list(k.Stream(2) + k.Stream(3)), len(data.ChainDataset([k.Short(4), k.Short(5)]))
        mixed = data.ChainDataset([k.Stream(2), k.Map(2)])
        yield Outcome(list, mixed), Outcome(len, mixed)
        for base in (k.Map(5), k.Bulk(5, 10)):
            part = data.Subset(base, [3, 1])
            yield len(part), part[0], part.__getitems__([1, 0])
        yield data.Subset(pair, [3, 1, 0])[[0, 1]]

        class Overridden(data.Subset):
            def __getitem__(self, i):
                return 9

        yield Outcome(Overridden, k.Map(3), [1])

    compare(scenario, mindtorch_v2, torch)


def test_random_split():
    def scenario(lib):
        split, k = lib.utils.data.random_split, kit(lib)
        for n, lengths in (
            (10, [3, 7]),
            (10, [0.3, 0.3, 0.4]),
            (10, [0.33, 0.33, 0.34]),
            (10, [0.1] * 10),
            (7, [0.25] * 4),
            (3, [0.1, 0.9]),
            (3, [0, 3]),
            (2, [0.0, 1.0]),
            (10, [0.5, 0.3]),
            (10, [1.5, -0.5]),
            (10, [3, 6]),
        ):
            outcome = Outcome(split, k.Map(n), lengths)
            if outcome.value is not None:
                outcome.value = [part.indices for part in outcome.value]
            yield n, lengths, outcome, draws(lib)
        generator = lib.Generator().manual_seed(7)
        yield [part.indices for part in split(k.Map(9), [4, 5], generator)], draws(lib)

    compare(scenario, mindtorch_v2, torch)


def test_samplers():
    def scenario(lib):
        data, k = lib.utils.data, kit(lib)
        for make in (
            lambda g: data.SequentialSampler(k.Map(4)),
            lambda g: data.RandomSampler(k.Map(7), generator=g),
            lambda g: data.RandomSampler(k.Map(7), num_samples=17, generator=g),
            lambda g: data.RandomSampler(k.Map(7), num_samples=3, generator=g),
            lambda g: data.RandomSampler(k.Map(7), True, generator=g),
            lambda g: data.RandomSampler(k.Map(7), True, 64, generator=g),
            lambda g: data.RandomSampler(k.Map(7), True, 70, generator=g),
            lambda g: data.SubsetRandomSampler([5, 6, 9, 0], generator=g),
            lambda g: data.SubsetRandomSampler([], generator=g),
            lambda g: data.WeightedRandomSampler([0.1, 0.4, 0.0, 2.0], 10, generator=g),
            lambda g: data.WeightedRandomSampler([1, 2, 3], 3, False, generator=g),
            lambda g: data.BatchSampler(data.RandomSampler(k.Map(7), generator=g), 3, False),
            lambda g: data.BatchSampler(data.SequentialSampler(k.Map(7)), 3, True),
            lambda g: data.BatchSampler(data.SequentialSampler(k.Map(6)), 3, False),
            lambda g: data.BatchSampler("abcde", 2, False),
        ):
            for seed in (None, 5):
                generator = None if seed is None else lib.Generator().manual_seed(seed)
                sampler = make(generator)
                yield len(sampler), list(sampler), list(sampler), draws(lib)
                if generator is not None:
                    yield lib.randint(0, 2**31, (3,), generator=generator)

    compare(scenario, mindtorch_v2, torch)


def test_refused_samplers():
    def scenario(lib):
        data, k = lib.utils.data, kit(lib)
        for name, *args in (
            ("RandomSampler", k.Map(5), False, 0),
            ("RandomSampler", k.Map(5), False, 1.5),
            ("RandomSampler", k.Map(5), 3),
            ("RandomSampler", k.Map(0)),
            ("RandomSampler", 5),
            ("WeightedRandomSampler", [1, 2], 0),
            ("WeightedRandomSampler", [1, 2], True),
            ("WeightedRandomSampler", [1, 2], 1.5),
            ("WeightedRandomSampler", [[1, 2]], 2),
            ("WeightedRandomSampler", [1, 2], 2, 5),
            ("BatchSampler", [1], 0, False),
            ("BatchSampler", [1], True, False),
            ("BatchSampler", [1], 1.5, False),
            ("BatchSampler", [1], 2, 3),
            ("DistributedSampler", k.Map(5), 2, 5),
            ("DistributedSampler", k.Map(5), 2, -1),
            ("Sampler", [1]),
        ):
            yield name, Outcome(getattr(data, name), *args).error
        yield Outcome(list, data.Sampler()).error, Outcome(len, data.Sampler()).error
        yield Outcome(list, data.RandomSampler(k.Map(0), num_samples=3)).error

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize("n", [1, 5, 8])
@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
def test_distributed_sampler(n, replicas):
    def scenario(lib):
        for drop_last in (False, True):
            for shuffle in (False, True):
                for rank in range(replicas):
                    sampler = lib.utils.data.DistributedSampler(
                        range(n), replicas, rank, shuffle, seed=3, drop_last=drop_last
                    )
                    yield list(sampler), len(sampler), sampler.total_size
                    sampler.set_epoch(4)
                    yield list(sampler)

    compare(scenario, mindtorch_v2, torch)


Pair = collections.namedtuple("Pair", "a b")


class Dictionary(dict):
    pass


class List(list):
    pass


class Tuple(tuple):
    pass


class ReadOnly(collections.abc.Mapping):
    def __init__(self, content):
        self.content = content

    def __getitem__(self, key):
        return self.content[key]

    def __iter__(self):
        return iter(self.content)

    def __len__(self):
        return len(self.content)


def typed(value):
    """A structure with the types of its containers spelled out."""
    if isinstance(value, collections.abc.Mapping):
        return type(value).__name__, {key: typed(value[key]) for key in value}
    if isinstance(value, (list, tuple, collections.deque)):
        return type(value).__name__, [typed(item) for item in value]
    if type(value).__module__ == "numpy":
        return str(value), str(getattr(value, "dtype", ""))
    return value


@pytest.mark.parametrize("function", ["default_collate", "default_convert"])
def test_collate(function):
    def scenario(lib):
        for batch in (
            [1, 2],
            [1.0, 2.0],
            [True, False],
            [1, 2.0],
            [1, True],
            ["a", "b"],
            [b"a", b"c"],
            [lib.ones(2), lib.zeros(2)],
            [lib.tensor(1), lib.tensor(2)],
            [(1, 2.0), (3, 4.0)],
            [[1, 2], [3, 4]],
            [[], []],
            [{"a": 1}, {"a": 2}],
            [Pair(1, 2), Pair(3, 4)],
            [Dictionary(a=1), Dictionary(a=2)],
            [List([1, 2]), List([3, 4])],
            [Tuple((1, 2)), Tuple((3, 4))],
            [collections.UserDict(a=1), collections.UserDict(a=2)],
            [ReadOnly({"a": 1}), ReadOnly({"a": 2})],
            [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
            [collections.defaultdict(int, a=1), collections.defaultdict(int, a=2)],
            [collections.deque([1, 2]), collections.deque([3, 4])],
            [range(2), range(2)],
            [np.ones(2), np.zeros(2)],
            [np.ones(2, dtype=np.int16), np.zeros(2, dtype=np.int16)],
            [np.float32(1), np.float64(2)],
            [np.int64(1), np.int32(2)],
            [np.bool_(True)],
            [np.array(3.0)],
            [np.array("a"), np.array("b")],
            [np.array(["a"])],
            [np.array([None])],
            [np.str_("a")],
            [None],
            [],
            [{1}, {2}],
            [1j],
            [lib.ones(2), lib.ones(3)],
            [{"a": 1}, {}],
            [("a", 1), ("b", 2)],
            [[1, 2], [3]],
            [{"a": [np.ones(1), (1, "x")]}] * 2,
        ):
            outcome = Outcome(getattr(lib.utils.data, function), batch)
            outcome.value = typed(outcome.value)
            yield outcome
        if function == "default_collate":
            sparse = lib.ones(2).to_sparse()
            yield Outcome(lib.utils.data.default_collate, [sparse, sparse]).error

    compare(scenario, mindtorch_v2, torch)


def test_collate_with_a_map():
    def scenario(lib):
        collate = lib.utils.data._utils.collate.collate

        def mine(batch, *, collate_fn_map=None):
            return "mine", len(batch)

        for batch, types in (
            ([{1}, {2}], {set: mine}),
            ([[{1}], [{2}]], {set: mine}),
            ([1, 2], {(int, float): mine}),
            ([True], {int: mine}),
            ([(1, 2)], {tuple: mine}),
            ([1, 2], None),
        ):
            yield Outcome(collate, batch, collate_fn_map=types)

    compare(scenario, mindtorch_v2, torch)


def test_options():
    def scenario(lib):
        loader, k = lib.utils.data.DataLoader, kit(lib)
        for dataset, options in (
            (k.Map(5), {"num_workers": -1}),
            (k.Map(5), {"timeout": -1}),
            (k.Map(5), {"prefetch_factor": 2}),
            (k.Map(5), {"num_workers": 1, "prefetch_factor": -1}),
            (k.Map(5), {"persistent_workers": True}),
            (k.Stream(5), {"shuffle": True}),
            (k.Stream(5), {"shuffle": False}),
            (k.Stream(5), {"sampler": [1]}),
            (k.Stream(5), {"batch_sampler": [[1]]}),
            (k.Map(5), {"shuffle": True, "sampler": [1]}),
            (k.Map(5), {"batch_sampler": [[1]], "batch_size": 2}),
            (k.Map(5), {"batch_sampler": [[1]], "shuffle": True}),
            (k.Map(5), {"batch_sampler": [[1]], "drop_last": True}),
            (k.Map(5), {"batch_size": None, "drop_last": True}),
            (k.Map(5), {"batch_size": 0}),
            (k.Map(5), {"batch_size": 1.5}),
            (k.Map(0), {"shuffle": True}),
            (k.Map(5), {"drop_last": 3}),
            (k.Map(5), {"multiprocessing_context": "fork"}),
            (k.Map(5), {"multiprocessing_context": "x", "num_workers": 1}),
            (k.Map(5), {"multiprocessing_context": 5, "num_workers": 1}),
            (k.Map(5), {"num_workers": 1000}),
            (5, {"shuffle": True}),
        ):
            outcome = Outcome(loader, dataset, **options)
            outcome.value = outcome.value is not None
            yield options, outcome
        made = loader(k.Map(5))
        for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset"):
            yield Outcome(setattr, made, name, 3)
        yield Outcome(setattr, made, "multiprocessing_context", "fork")
        for dataset, options in (
            (k.Map(5), {"batch_size": 2}),
            (k.Map(5), {"batch_size": 2, "drop_last": True}),
            (k.Map(5), {"batch_size": None}),
            (k.Short(5), {"batch_size": 2}),
            (k.Short(5), {"batch_size": 2, "drop_last": True}),
            (k.Short(5), {"batch_size": None}),
            (k.Stream(5), {}),
        ):
            yield Outcome(lambda d=dataset, o=options: len(loader(d, **o)))
        for options in (
            {"pin_memory": True},
            {"pin_memory": True, "pin_memory_device": "cuda"},
            {"timeout": 5},
        ):
            yield Outcome(lambda o=options: list(loader(k.Map(3), **o)))
        short = loader(k.Short(5))
        len(short)
        yield without_addresses(Outcome(list, short))
        yield Outcome(iter(made).__getstate__).error

    compare(scenario, mindtorch_v2, torch)


LOADERS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": None},
    {"batch_size": 2, "shuffle": True},
    {"sampler": [4, 0, 2], "batch_size": 2},
    {"batch_sampler": [[0, 1], [4], []], "collate_fn": list},
    {"batch_size": 4, "collate_fn": tuple},
]


def loaded(lib, options, workers, kind="Map"):
    k = kit(lib)
    generator = lib.Generator().manual_seed(11)
    for seeded in (None, generator):
        loader = lib.utils.data.DataLoader(
            getattr(k, kind)(7), num_workers=workers, generator=seeded, **options
        )
        for _ in range(2):
            yield without_addresses(Outcome(lambda loader=loader: list(loader)))
            yield draws(lib)
    yield lib.randint(0, 2**31, (3,), generator=generator)


@pytest.mark.parametrize("options", LOADERS, ids=str)
@pytest.mark.parametrize("kind", ["Map", "Bulk", "Noisy"])
def test_loading_in_this_process(options, kind):
    random.seed(0)

    def scenario(lib):
        random.seed(1)
        np.random.seed(1)
        return loaded(lib, options, 0, kind)

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_loading_in_workers(options, workers):
    """The batches, and the random states of the workers and of this process."""
    compare(loaded, mindtorch_v2, torch, options, workers, "Noisy")


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"batch_size": None}], ids=str)
def test_streams(options, workers):
    compare(loaded, mindtorch_v2, torch, options, workers, "Stream")
    if "batch_size" in options and options["batch_size"]:
        compare(loaded, mindtorch_v2, torch, {**options, "drop_last": True}, workers, "Stream")


def test_persistent_workers():
    def scenario(lib):
        k = kit(lib)
        for dataset, options in (
            (k.Noisy(5), {"shuffle": True, "batch_size": 2}),
            (k.Stream(7), {"batch_size": 2}),
        ):
            loader = lib.utils.data.DataLoader(
                dataset, num_workers=2, persistent_workers=True, **options
            )
            yield list(loader), list(loader)
            first = iter(loader)
            next(first)
            yield list(loader), draws(lib), iter(loader) is first

    compare(scenario, mindtorch_v2, torch)


class Fancy(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def test_errors_in_workers():
    def scenario(lib):
        data = lib.utils.data

        class Bad(data.Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, i):
                if i == 3:
                    raise KeyError("bad\nkey")
                if i == 5:
                    raise ValueError("five")
                if i == 7:
                    raise Fancy(1, 2)
                return i

        iterator = iter(data.DataLoader(Bad(), num_workers=2))
        for _ in range(8):
            outcome = Outcome(next, iterator)
            if outcome.error is not None:
                kind, text = type(outcome.error).__name__, str(outcome.error)
                lines = text.strip().split("\n")
                yield (
                    kind,
                    lines[0],
                    lines[1].split("(")[0],
                    lines[-1],
                    isinstance(outcome.error, KeyError),
                )
            else:
                yield outcome.value

        def broken(i):
            if i == 1:
                raise ValueError(f"init {i}")

        iterator = iter(data.DataLoader(range(4), num_workers=2, worker_init_fn=broken))
        for _ in range(2):
            outcome = Outcome(next, iterator)
            yield outcome.value, str(outcome.error).split("\n")[0]
        iterator = iter(data.DataLoader([lib.ones(2, requires_grad=True)] * 2, num_workers=1))
        outcome = Outcome(next, iterator)
        yield type(outcome.error).__name__, str(outcome.error).strip().split("\n")[-1]

    compare(scenario, mindtorch_v2, torch)


def test_dead_and_slow_workers():
    import os
    import time

    def scenario(lib):
        data = lib.utils.data

        class Dying(data.Dataset):
            def __init__(self, how):
                self.how = how

            def __len__(self):
                return 6

            def __getitem__(self, i):
                if i == 3 and self.how == "exit":
                    os._exit(7)
                if i == 3 and self.how == "kill":
                    os.kill(os.getpid(), 9)
                if i == 1 and self.how == "sleep":
                    time.sleep(20)
                return i

        for how, options in (
            ("exit", {"num_workers": 2}),
            ("kill", {"num_workers": 2}),
            ("sleep", {"num_workers": 1, "timeout": 1}),
        ):
            outcome = Outcome(lambda h=how, o=options: list(data.DataLoader(Dying(h), **o)))
            yield type(outcome.error).__name__, re.sub(r"\d{2,}", "N", str(outcome.error))

    compare(scenario, mindtorch_v2, torch)


def test_worker_info():
    def scenario(lib):
        data = lib.utils.data

        class Asking(data.Dataset):
            def __len__(self):
                return 2

            def __getitem__(self, i):
                info = data.get_worker_info()
                frozen = Outcome(setattr, info, "id", 5).error
                return (
                    info.id,
                    info.num_workers,
                    info.dataset is self,
                    info.worker_method,
                    repr(info).split("seed")[0],
                    type(frozen).__name__,
                    str(frozen),
                    lib.initial_seed() == info.seed,
                )

        yield list(data.DataLoader(Asking(), num_workers=2, collate_fn=tuple))
        yield data.get_worker_info()

    compare(scenario, mindtorch_v2, torch)
