"""Tensors between processes, and starting several processes."""

import os
import pickle
import signal
import sys
import time

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import multiprocessing as mp


@pytest.fixture(params=["file_descriptor", "file_system"])
def strategy(request):
    before = mp.get_sharing_strategy()
    mp.set_sharing_strategy(request.param)
    yield request.param
    mp.set_sharing_strategy(before)


def echo(inbox, outbox):
    while (value := inbox.get()) is not None:
        if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
            value.detach().add_(1)
        outbox.put(value)
    time.sleep(0.5)  # what was sent last must be fetched while its sender lives


@pytest.fixture
def child(strategy):
    context = mp.get_context("fork")
    inbox, outbox = context.Queue(), context.Queue()
    process = context.Process(target=echo, args=(inbox, outbox), daemon=True)
    process.start()

    def call(value):
        inbox.put(value)
        return outbox.get(timeout=30)

    yield call
    inbox.put(None)
    process.join(timeout=30)
    assert process.exitcode == 0


def test_memory_is_shared_both_ways(child):
    x = torch.zeros(3, 2)
    back = child(x)
    assert x.is_shared() and x.tolist() == [[1.0] * 2] * 3
    back[0, 0] = 7
    assert x[0, 0].item() == 7  # the same storage comes back


def test_views_keep_their_geometry(child):
    base = torch.zeros(4, 3)
    back = child(base[1:, 1].t())
    assert back.shape == (3,) and back.stride() == (3,) and back.tolist() == [1.0] * 3
    assert base[:, 1].tolist() == [0.0, 1.0, 1.0, 1.0]


def test_what_makes_a_tensor_travels(child):
    p = child(torch.nn.Parameter(torch.zeros(2)))
    assert isinstance(p, torch.nn.Parameter) and p.requires_grad
    assert child(torch.zeros(2, dtype=torch.int16)).dtype == torch.int16
    assert child(torch.zeros(0, 3)).shape == (0, 3)
    meta = child(torch.empty(2, 3, device="meta", dtype=torch.int64))
    assert meta.device.type == "meta" and meta.shape == (2, 3)
    assert child(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]
    assert child({"a": [torch.ones(1, dtype=torch.int64)], "b": "x"})["a"][0].tolist() == [1]


def test_storages_travel(child):
    storage = torch.arange(4, dtype=torch.uint8).untyped_storage()
    back = child(storage)
    assert back.nbytes() == 4 and list(back) == [0, 1, 2, 3]


def test_history_is_refused():
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        mp.reductions.reduce_tensor(torch.ones(1, requires_grad=True) * 2)


def test_strategies():
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    with pytest.raises(AssertionError, match="invalid sharing strategy"):
        mp.set_sharing_strategy("telepathy")


def test_no_descriptor_is_lost():
    context = mp.get_context("fork")
    inbox, outbox = context.SimpleQueue(), context.SimpleQueue()

    def work():
        while (value := inbox.get()) is not None:
            outbox.put(value + 1)

    process = context.Process(target=work, daemon=True)
    process.start()
    for _ in range(3):
        inbox.put(torch.zeros(2))
        outbox.get()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        inbox.put(torch.zeros(2))
        outbox.get()
    assert len(os.listdir("/proc/self/fd")) <= before + 6
    inbox.put(None)
    process.join()


def test_pool():
    from mindtorch_v2.multiprocessing.pool import Pool

    with Pool(2, context=mp.get_context("fork")) as pool:
        out = pool.map(double, [torch.ones(2) * i for i in range(4)])
    assert [t.tolist() for t in out] == [[0.0] * 2, [2.0] * 2, [4.0] * 2, [6.0] * 2]


def double(x):
    return x * 2


def write_rank(i, table):
    table[i] = i + 1


def fail(i):
    if i == 1:
        raise ValueError(f"boom {i}")
    time.sleep(30)


def leave(i):
    sys.exit(3)


def die(i):
    os.kill(os.getpid(), signal.SIGKILL)


def start(fn, args=(), nprocs=2, **kwargs):
    return mp.start_processes(fn, args, nprocs, start_method="fork", **kwargs)


def test_start_processes():
    table = torch.zeros(3).share_memory_()
    assert start(write_rank, (table,), 3) is None
    assert table.tolist() == [1.0, 2.0, 3.0]


def test_spawn():
    table = torch.zeros(2).share_memory_()
    mp.spawn(write_rank, (table,), nprocs=2)
    assert table.tolist() == [1.0, 2.0]


def test_exceptions_of_started_processes():
    begin = time.monotonic()
    with pytest.raises(mp.ProcessRaisedException) as caught:
        start(fail)
    assert "-- Process 1 terminated with the following error:" in str(caught.value)
    assert "ValueError: boom 1" in str(caught.value)
    assert caught.value.error_index == 1 and caught.value.error_pid > 0
    assert time.monotonic() - begin < 20  # the other process was ended
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.error_index == 1 and str(copy) == str(caught.value)


def test_exits_of_started_processes():
    with pytest.raises(mp.ProcessExitedException, match="terminated with exit code 3") as caught:
        start(leave, nprocs=1)
    assert caught.value.exit_code == 3
    with pytest.raises(mp.ProcessExitedException, match="terminated with signal SIGKILL") as caught:
        start(die, nprocs=1)
    assert caught.value.signal_name == "SIGKILL" and caught.value.exit_code == -9


def test_joining_later():
    context = start(time.sleep, nprocs=2, join=False)
    assert len(context.pids()) == 2
    assert not context.join(timeout=0.05)
    while not context.join():
        pass
    assert context.join()
