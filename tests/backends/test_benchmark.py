"""torch.utils.benchmark, weak dictionaries, the switch of new memory."""

import gc

import mindtorch_v2 as torch
import pytest
from mindtorch_v2.utils import benchmark, deterministic, weak


def test_timer():
    timer = benchmark.Timer("y = x + 1; n.append(1)", globals={"x": torch.ones(3), "n": (calls := [])}, label="add", num_threads=1)
    threads = torch.get_num_threads()
    m = timer.timeit(50)
    assert len(calls) == 50 + 2 and len(m.times) == 1 and 0 < m.median < 1
    m = timer.blocked_autorange(min_run_time=0.02)
    assert sum(m.raw_times) >= 0.02 and torch.get_num_threads() == threads
    assert m.mean > 0 and m.title == "add" and m.as_row_name == "y = x + 1; n.append(1)"
    assert timer.adaptive_autorange(threshold=10.0, min_run_time=0.001).median > 0
    with pytest.raises(NameError):
        benchmark.Timer("no_such_name").timeit(1)
    with pytest.raises(NotImplementedError):
        benchmark.Timer("1;", language="c++")


def test_measurements_print_like_this():
    spec = benchmark.TaskSpec("x+1", "x=1", num_threads=2, label="L")
    m = benchmark.Measurement(10, [1.0, 1.1, 1.05, 1.2, 2.07], spec)
    assert repr(m).split("\n")[1:] == [
        "L",
        "setup: x=1",
        "  Median: 110.00 ms",
        "  IQR:    15.00 ms (105.00 to 120.00)",
        "  5 measurements, 10 runs per measurement, 2 threads",
        "  WARNING: Interquartile range is 13.6% of the median measurement.",
        "           This could indicate system fluctuation.",
    ]
    assert m.iqr == pytest.approx(0.015) and m.has_warnings and not m.meets_confidence()
    merged = benchmark.Measurement.merge([m, m])
    assert len(merged) == 1 and len(merged[0].times) == 10


def test_tables():
    def one(row, column, seconds, threads=1):
        return benchmark.Measurement(10, [seconds * 10] * 3, benchmark.TaskSpec("f", "", label="lab", sub_label=row, description=column, num_threads=threads))

    text = str(benchmark.Compare([one("a", "p", 1e-5), one("a", "q", 3e-5), one("b", "p", 2e-5), one("a", "p", 4e-5, threads=2)]))
    lines = text.split("\n")
    assert "lab" in lines[0] and "p" in lines[1] and "q" in lines[1]
    assert lines[2].startswith("1 threads: ") and "10.0" in lines[3] and "30.0" in lines[3] and "20.0" in lines[4]
    assert lines[5].startswith("2 threads: ") and "40.0" in lines[6]
    assert lines[-1] == "Times are in microseconds (us)."
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        benchmark.Compare([3])


def test_weak_dictionaries():
    d = weak.WeakTensorKeyDictionary()
    a, b = torch.ones(2), torch.ones(2)
    d[a], d[b] = 1, 2
    assert (d[a], d[b], len(d), a in d, torch.ones(2) in d) == (1, 2, 2, True, False)
    assert {id(k) for k in d} == {id(a), id(b)}
    del a
    gc.collect()
    assert len(d) == 1 and list(d.values()) == [2]
    reference = weak.TensorWeakRef(b)
    assert reference() is b
    del b
    gc.collect()
    assert reference() is None and len(d) == 0


def test_new_memory_is_filled_or_not():
    torch.use_deterministic_algorithms(True)
    try:
        assert deterministic.fill_uninitialized_memory is True and torch.empty(2).isnan().all()
        deterministic.fill_uninitialized_memory = False
        assert deterministic.fill_uninitialized_memory is False
        with pytest.raises(RuntimeError, match="expected a bool, but got int"):
            deterministic.fill_uninitialized_memory = 3
    finally:
        deterministic.fill_uninitialized_memory = True
        torch.use_deterministic_algorithms(False)
