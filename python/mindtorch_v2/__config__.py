"""How this library was built, and what it uses to compute in parallel."""

from . import _C


def show():
    """A text with compiler, libraries and instruction sets.

    "CPU capability usage" is the instruction set that the kernels use; see `parallel_info` for what
    decides about that of the BLAS library.
    """
    compiler, standard, best, _ = _C._build_facts()
    from .version import __version__

    try:
        blas = _C._blas_config()
    except RuntimeError as error:
        blas = f"no BLAS library ({error})"
    lines = [
        "mindtorch_v2 built with:",
        f"  - {compiler}",
        f"  - C Version: {standard}",
        f"  - {blas}",
        "  - LAPACK is enabled (usually provided by OpenBLAS)",
        f"  - CPU capability usage: {_C._get_cpu_capability()}",
        f"  - Build settings: BLAS_INFO=openblas, CPU_BEST={best}, LAPACK_INFO=openblas, TORCH_VERSION={__version__}, "
        "USE_CUDA=0, USE_CUDNN=OFF, USE_MKL=OFF, USE_MKLDNN=OFF, USE_MPI=OFF, USE_NCCL=OFF, USE_NNPACK=OFF, "
        "USE_OPENMP=OFF, USE_ROCM=OFF, USE_XPU=OFF, ",
    ]
    return "\n".join(lines) + "\n"


def parallel_info():
    """A text with the numbers of threads and the environment variables that matter for speed.

    OPENBLAS_CORETYPE tells OpenBLAS for which CPU to compute, whatever the CPU is: one that does not
    fit makes matrix products several times slower, or fail.
    """
    import os

    from ._switches import get_num_interop_threads

    def variable(name):
        return f"\t{name} : {os.environ.get(name, '[not set]')}"

    try:
        blas = _C._blas_config()
    except RuntimeError as error:
        blas = f"no BLAS library ({error})"
    lines = [
        "ATen/Parallel:",
        f"\tat::get_num_threads() : {_C.get_num_threads()}",
        f"\tat::get_num_interop_threads() : {get_num_interop_threads()}",
        blas,
        "\tthreads inside BLAS calls : 1",
        f"CPUs of this process : {_C._build_facts()[3]}",
        "Environment variables:",
        *map(variable, ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "MINDTORCH_ISA")),
        "ATen parallel backend: native thread pool",
    ]
    return "\n".join(lines) + "\n"
