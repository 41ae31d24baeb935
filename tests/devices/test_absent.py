"""Device modules of a build that has the CPU only: questions are answered, work is refused."""

import pytest

import mindtorch_v2 as torch


@pytest.mark.parametrize("name", ["cuda", "xpu", "mps", "mtia", "accelerator"])
def test_there_is_no_device(name):
    module = getattr(torch, name)
    assert module.is_available() is False
    assert module.device_count() == 0


@pytest.mark.parametrize("name, label", [("cuda", "CUDA"), ("xpu", "XPU")])
def test_work_is_refused(name, label):
    module = getattr(torch, name)
    text = f"Torch not compiled with {label} enabled"
    for function in ("synchronize", "current_device", "get_device_name", "get_rng_state", "init"):
        with pytest.raises(AssertionError, match=text):
            getattr(module, function)()


@pytest.mark.parametrize("name", ["cuda", "xpu"])
def test_what_programs_ask_on_every_machine(name):
    module = getattr(torch, name)
    module.manual_seed(1)
    module.manual_seed_all(1)
    with pytest.raises(ValueError):
        module.manual_seed_all("x")
    module.empty_cache()
    assert module.memory_allocated() == 0 and module.max_memory_reserved(0) == 0
    assert dict(module.memory_stats()) == {} and module.get_rng_state_all() == []
    with module.device(-1), module.device_of(torch.ones(1)):
        pass
    with pytest.raises(RuntimeError, match="compiled without"), module.device(0):
        pass


def test_cuda_classes():
    for name in ("Event", "CUDAGraph"):
        with pytest.raises(RuntimeError, match=f"dummy base class {name}"):
            getattr(torch.cuda, name)()
    with pytest.raises(RuntimeError, match="requires CUDA support"):
        torch.cuda.Stream()
    with torch.cuda.stream(None):
        pass
    assert not isinstance(torch.ones(1), torch.cuda.FloatTensor)
    with pytest.raises(TypeError, match="type torch.cuda.FloatTensor not available"):
        torch.cuda.FloatTensor(1)
    assert issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    assert torch.OutOfMemoryError is torch.cuda.OutOfMemoryError
    with pytest.raises(RuntimeError, match="NVTX functions not installed"):
        torch.cuda.nvtx.range_push("a")


def test_accelerator():
    assert torch.accelerator.current_accelerator() is None
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none"):
        torch.accelerator.synchronize()


def test_cpu_as_a_device_module():
    assert torch.cpu.is_available() and torch.cpu.device_count() == 1
    assert torch.cpu.current_device() == "cpu"
    torch.cpu.synchronize()
    before, other = torch.cpu.current_stream(), torch.cpu.Stream()
    with torch.cpu.stream(other):
        assert torch.cpu.current_stream() is other
    assert torch.cpu.current_stream() is before


def test_marks_for_a_compiler_change_nothing():
    def double(x):
        return 2 * x

    assert torch.compiler.is_compiling() is False and torch.compiler.is_exporting() is False
    assert torch.compiler.disable(double)(3) == 6
    assert torch.compiler.disable(recursive=False)(double)(3) == 6
    assert torch.compiler.allow_in_graph(double) is double
    with pytest.raises(AssertionError, match="callable"):
        torch.compiler.allow_in_graph(3)
