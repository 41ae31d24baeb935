"""Switches of torch.backends, precision, determinism, facts about the build."""

import subprocess
import sys

import mindtorch_v2 as torch
import pytest
from mindtorch_v2 import backends


@pytest.fixture(autouse=True)
def restored():
    from mindtorch_v2.backends import _precision

    before = dict(_precision._set), dict(_precision._legacy)
    yield
    for state, old in zip((_precision._set, _precision._legacy), before):
        state.clear()
        state.update(old)
    torch.use_deterministic_algorithms(False)


def test_what_is_there():
    assert backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    for name in ("cudnn", "mkldnn", "mkl", "mps", "openmp", "nnpack", "cusparselt", "kleidiai"):
        assert getattr(backends, name).is_available() is False
    assert backends.cuda.is_built() is False and backends.cudnn.version() is None
    assert not backends.cudnn.is_acceptable(torch.ones(1))
    assert backends.quantized.engine == "none" and backends.quantized.supported_engines == ["none"]
    with pytest.raises(RuntimeError, match="x is not a valid value for quantized engine"):
        backends.quantized.engine = "x"
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        backends.no_such


def test_switches_keep_what_is_set():
    cudnn = backends.cudnn
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (True, False, False)
    with cudnn.flags(enabled=False, benchmark=True):
        assert (cudnn.enabled, cudnn.benchmark) == (False, True)
        cudnn.benchmark = False
        assert cudnn.benchmark is False
    assert (cudnn.enabled, cudnn.benchmark) == (True, False)
    with pytest.raises(RuntimeError, match="set_enabled_cudnn expects a bool, but got int"):
        cudnn.enabled = 3
    with backends.mkldnn.flags(enabled=False):
        assert backends.mkldnn.enabled is False
    assert backends.mkldnn.enabled is True
    with backends.cuda.sdp_kernel(enable_flash=False):
        assert not backends.cuda.flash_sdp_enabled() and backends.cuda.math_sdp_enabled()
    assert backends.cuda.flash_sdp_enabled()
    with pytest.raises(RuntimeError, match="expected 0 <= device index < 0"):
        backends.cuda.cufft_plan_cache[0]
    with pytest.raises(AssertionError, match="Failed to set MKL into verbose mode"):
        with backends.mkl.verbose(1):
            pass


def test_frozen_switches():
    program = """
import mindtorch_v2 as torch
b = torch.backends
b.disable_global_flags()
assert b.flags_frozen()
try:
    b.cudnn.benchmark = True
except RuntimeError as error:
    assert "not allowed to set torch.backends.cudnn flags after disable_global_flags" in str(error)
else:
    raise AssertionError
with b.cudnn.flags(benchmark=True):
    assert b.cudnn.benchmark
assert not b.cudnn.benchmark
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_precision():
    assert torch.get_float32_matmul_precision() == "highest"
    torch.set_float32_matmul_precision("high")
    assert torch.get_float32_matmul_precision() == "high" and backends.cuda.matmul.allow_tf32
    with pytest.warns(UserWarning, match="x is not one of 'highest', 'high', or 'medium'"):
        torch.set_float32_matmul_precision("x")
    torch.set_float32_matmul_precision("highest")
    backends.cuda.matmul.allow_tf32 = False
    assert torch.get_float32_matmul_precision() == "highest" and backends.cuda.matmul.fp32_precision == "ieee"
    backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
        torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError, match="backend 'cuda' does not support precision 'bf16'"):
        backends.cudnn.conv.fp32_precision = "bf16"
    backends.fp32_precision = "ieee"
    assert backends.mkldnn.conv.fp32_precision == backends.cudnn.conv.fp32_precision == "ieee"


def test_determinism():
    fill = lambda: [t.tolist() for t in (torch.empty(1, dtype=torch.int8), torch.empty(1, dtype=torch.bool))]  # noqa: E731
    torch.use_deterministic_algorithms(True)
    assert torch.are_deterministic_algorithms_enabled() and torch.get_deterministic_debug_mode() == 2
    assert fill() == [[127], [True]]
    for new in (torch.empty(3), torch.empty_like(torch.ones(3)), torch.ones(3).new_empty(3), torch.empty_strided((3,), (1,))):
        assert new.isnan().all()
    assert torch.zeros(3).tolist() == [0.0] * 3 and torch.ones_like(torch.ones(2)).tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
        torch.ones(3).put_(torch.tensor([0]), torch.zeros(1))
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    with pytest.warns(UserWarning, match="put_ does not have a deterministic implementation"):
        assert torch.ones(3).put_(torch.tensor([0]), torch.zeros(1)).tolist() == [0.0, 1.0, 1.0]
    torch.set_deterministic_debug_mode("default")
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(TypeError, match="must be bool, not int"):
        torch.use_deterministic_algorithms(1)
    with pytest.raises(RuntimeError, match="invalid value of debug_mode"):
        torch.set_deterministic_debug_mode(5)


def test_denormals():
    tiny = torch.tensor([1e-310], dtype=torch.float64)
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot")
    try:
        assert (tiny * 0.5).item() == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert (tiny * 0.5).item() > 0.0


def test_config():
    shown = torch.__config__.show()
    assert f"CPU capability usage: {backends.cpu.get_cpu_capability()}" in shown and "OpenBLAS" in shown
    info = torch.__config__.parallel_info()
    assert f"at::get_num_threads() : {torch.get_num_threads()}" in info and "OPENBLAS_CORETYPE : " in info


def test_import_does_not_load_backends():
    program = "import sys, mindtorch_v2; print([m for m in sys.modules if 'backends' in m or '_switches' in m])"
    out = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_bad_device_text():
    with pytest.raises(RuntimeError, match="at start of device string: foo$"):
        torch.device("foo:1")


def test_collect_env():
    from mindtorch_v2.utils import collect_env

    info = collect_env.get_env_info()
    assert info.torch_version == torch.__version__ and info.is_cuda_available == "False"
    text = collect_env.pretty_str(info)
    assert "OPENBLAS_CORETYPE" in text and "OS: " in text and sys.version.split()[0] in text
