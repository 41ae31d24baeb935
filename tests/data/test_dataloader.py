"""The loader, with and without worker processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.utils import data


class Stream(data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, self.n, step))


class Who(data.Dataset):
    """Which worker loads an item, and what its generator gives."""

    def __len__(self):
        return 8

    def __getitem__(self, i):
        info = data.get_worker_info()
        return i, -1 if info is None else info.id, torch.rand(1).item()


def flat(batches):
    return [x for batch in batches for x in batch.tolist()]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches(workers):
    loader = data.DataLoader(range(7), batch_size=3, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3
    loader = data.DataLoader(range(7), batch_size=3, drop_last=True, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5]]
    assert list(data.DataLoader([5, 6], batch_size=None, num_workers=workers)) == [5, 6]
    loader = data.DataLoader("abcd", batch_sampler=[[3, 0], [1]], num_workers=workers)
    assert list(loader) == [["d", "a"], ["b"]]
    shuffled = data.DataLoader(range(30), shuffle=True, num_workers=workers)
    order = flat(shuffled)
    assert sorted(order) == list(range(30)) != order != flat(shuffled)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_streams(workers):
    loader = data.DataLoader(Stream(10), batch_size=2, num_workers=workers)
    assert sorted(flat(loader)) == list(range(10))
    assert sorted(flat(loader)) == list(range(10))  # another pass starts anew


def test_order_and_seeds_follow_the_generator():
    def run(workers):
        generator = torch.Generator().manual_seed(3)
        loader = data.DataLoader(range(20), shuffle=True, generator=generator, num_workers=workers)
        return flat(loader)

    assert run(0) == run(1) == run(2)

    def noise(seed):
        torch.manual_seed(seed)
        return [x[2] for x in data.DataLoader(Who(), batch_size=None, num_workers=2)]

    assert noise(1) == noise(1) != noise(2)
    assert len(set(noise(1))) == 8  # no two workers draw the same numbers


def test_tensors_come_in_shared_memory():
    items = data.TensorDataset(torch.arange(12.0).view(6, 2))
    seen = []
    for (batch,) in data.DataLoader(items, batch_size=4, num_workers=2):
        assert batch.is_shared()
        batch += 1  # and are ours to change
        seen.append(batch)
    assert torch.cat(seen).tolist() == (torch.arange(12.0).view(6, 2) + 1).tolist()


def test_all_kinds_of_values_come_through():
    def everything(batch):
        return {
            "view": torch.arange(12).view(3, 4)[:, 1],
            "same": [t := torch.ones(3), t],
            "empty": torch.ones(0, 2),
            "zero": torch.tensor(5),
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "big": torch.ones(300, 1000),
            "bytes": b"x" * 1_000_000,
            "complex": torch.tensor([1 + 2j]).conj(),
            "items": batch,
        }

    (out,) = data.DataLoader([7], collate_fn=everything, num_workers=1)
    assert out["view"].tolist() == [1, 5, 9] and out["empty"].shape == (0, 2)
    out["same"][0][0] = 9
    assert out["same"][1][0] == 9
    assert out["zero"].item() == 5 and out["items"] == [7] and len(out["bytes"]) == 1_000_000
    assert isinstance(out["parameter"], torch.nn.Parameter) and out["parameter"].requires_grad
    assert out["big"].sum().item() == 300_000
    assert out["complex"].tolist() == [1 - 2j]


def test_more_descriptors_than_one_message_takes():
    (out,) = data.DataLoader(
        [0], collate_fn=lambda b: [torch.full((2,), i) for i in range(200)], num_workers=1
    )
    assert [t[0].item() for t in out] == list(range(200))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_start_methods(method):
    loader = data.DataLoader(
        torch.arange(6.0), batch_size=2, num_workers=2, multiprocessing_context=method
    )
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4, 5]]


def test_sharing_by_name():
    from mindtorch_v2 import multiprocessing

    before = multiprocessing.get_sharing_strategy()
    multiprocessing.set_sharing_strategy("file_system")
    try:
        loader = data.DataLoader(torch.arange(6.0), batch_size=2, num_workers=2)
        assert flat(loader) == [0, 1, 2, 3, 4, 5]
    finally:
        multiprocessing.set_sharing_strategy(before)


def test_worker_init_fn_and_info():
    started = torch.zeros(2, dtype=torch.int64).share_memory_()

    def init(i):
        started[i] = data.get_worker_info().num_workers

    ids = [w for _, w, _ in data.DataLoader(Who(), None, num_workers=2, worker_init_fn=init)]
    assert ids == [0, 1] * 4 and started.tolist() == [2, 2]
    assert data.get_worker_info() is None


def test_persistent_workers_stay():
    loader = data.DataLoader(range(6), num_workers=2, persistent_workers=True)
    assert flat(loader) == list(range(6))
    pids = [w.pid for w in loader._iterator._workers]
    first = iter(loader)
    next(first)  # the rest of this pass is thrown away
    assert flat(loader) == list(range(6))
    assert [w.pid for w in loader._iterator._workers] == pids
    streams = data.DataLoader(Stream(6), num_workers=2, persistent_workers=True)
    assert sorted(flat(streams)) == sorted(flat(streams)) == list(range(6))


def test_out_of_order():
    class Uneven(data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, i):
            time.sleep(0.4 if i == 0 else 0)
            return i

    got = flat(data.DataLoader(Uneven(), num_workers=2, in_order=False))
    assert sorted(got) == list(range(8)) and got[0] != 0
    assert flat(data.DataLoader(Uneven(), num_workers=2)) == list(range(8))


class Faulty(data.Dataset):
    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 6

    def __getitem__(self, i):
        if i == 3:
            self.fault()
        return i


def raise_key_error():
    raise KeyError("no such thing")


def test_errors_keep_type_and_traceback():
    iterator = iter(data.DataLoader(Faulty(raise_key_error), num_workers=2))
    assert [next(iterator).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError) as caught:
        next(iterator)
    text = str(caught.value)
    assert text.startswith("Caught KeyError in DataLoader worker process 1.\nOriginal Traceback")
    assert "raise_key_error" in text and "no such thing" in text
    assert [x.item() for x in iterator] == [4, 5]  # the pass goes on


def test_what_cannot_be_sent_is_an_error():
    loader = data.DataLoader([1], collate_fn=lambda b: lambda: b, num_workers=1)
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="worker process 0"):
        list(loader)
    history = data.DataLoader(
        [1], collate_fn=lambda b: torch.ones(2, requires_grad=True) * 2, num_workers=1
    )
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        list(history)


@pytest.mark.parametrize(
    "fault, how",
    [
        (lambda: os._exit(7), "exited unexpectedly with exit code 7"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by signal: Killed"),
    ],
    ids=["exit", "kill"],
)
def test_a_dead_worker_is_an_error_at_once(fault, how):
    start = time.monotonic()
    with pytest.raises(
        RuntimeError, match=r"worker \(pid\(s\) \d+\) exited unexpectedly"
    ) as caught:
        list(data.DataLoader(Faulty(fault), num_workers=2))
    assert how in str(caught.value.__cause__)
    assert time.monotonic() - start < 8


def test_timeout():
    loader = data.DataLoader(Faulty(lambda: time.sleep(60)), num_workers=1, timeout=1)
    with pytest.raises(RuntimeError, match="DataLoader timed out after 1 seconds"):
        list(loader)


def test_workers_end_with_the_iterator():
    iterator = iter(data.DataLoader(range(1000), num_workers=2))
    next(iterator)
    workers = iterator._workers
    start = time.monotonic()
    del iterator
    assert not any(worker.is_alive() for worker in workers)
    assert time.monotonic() - start < 4


PROGRAM = """
import os, sys
import mindtorch_v2 as torch
from mindtorch_v2.utils.data import DataLoader
kept = iter(DataLoader(range(1000), num_workers=2, persistent_workers=sys.argv[1] == "persistent"))
next(kept)
print(*(w.pid for w in kept._workers), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "raises":
    raise ValueError("here")
"""


def running(pid):
    """Whether the process still runs: one that has ended stays listed until its parent asks."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("how", ["ends", "persistent", "raises", "killed"])
def test_no_process_stays_behind(how, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(script), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == {"killed": -9, "raises": 1}.get(how, 0)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    end = time.monotonic() + 30  # orphans look for their parent every five seconds
    while any(map(running, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(running, pids))


@pytest.mark.parametrize(
    "options, text",
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only be specified"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"sampler": [0], "shuffle": True}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "batch_size=None option disables"),
        ({"multiprocessing_context": "fork"}, "can only be used with multi-process loading"),
        ({"num_workers": 1, "multiprocessing_context": "x"}, "should specify a valid start method"),
    ],
)
def test_refused_options(options, text):
    with pytest.raises(ValueError, match=text):
        data.DataLoader(range(3), **options)
    if "shuffle" not in options:
        with pytest.raises(ValueError, match="expected unspecified shuffle option"):
            data.DataLoader(Stream(3), shuffle=True)


def test_fixed_attributes():
    loader = data.DataLoader(range(3))
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader"):
        loader.batch_size = 5
    with pytest.raises(NotImplementedError):
        iter(loader).__getstate__()


def test_pinning_needs_an_accelerator():
    with pytest.warns(UserWarning, match="no accelerator is found"):
        assert flat(data.DataLoader(range(2), pin_memory=True)) == [0, 1]


def test_a_stream_longer_than_it_says_warns():
    class Short(Stream):
        def __len__(self):
            return 1

    loader = data.DataLoader(Short(2))
    assert len(loader) == 1
    with pytest.warns(UserWarning, match="was reported to be 1.*but 2 samples have been fetched"):
        list(loader)
