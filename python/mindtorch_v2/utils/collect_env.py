"""What a bug report should say about the machine: ``python -m mindtorch_v2.utils.collect_env``."""

from collections import namedtuple

SystemEnv = namedtuple(
    "SystemEnv",
    "torch_version is_debug_build gcc_version clang_version cmake_version os libc_version python_version python_platform "
    "is_cuda_available pip_version pip_packages cpu_info config parallel_info",
)


def _first_line(*command):
    """The first line that a command prints, None where it cannot run."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def get_os():
    """Name and version of the operating system."""
    import platform

    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({platform.machine()})"
    except OSError:
        return f"{platform.system()} {platform.release()} ({platform.machine()})"


def get_libc_version():
    """"glibc-2.36", or "N/A" elsewhere than on Linux."""
    import platform
    import sys

    return "-".join(platform.libc_ver()) if sys.platform == "linux" else "N/A"


def get_cpu_info():
    """Model and number of CPUs as text."""
    import os
    import platform

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} CPUs"


def get_pip_packages():
    """(version of pip or None, lines "name==version" of installed packages that matter here)."""
    from importlib import metadata

    wanted = ("numpy", "mindtorch", "torch", "scipy", "safetensors", "openblas")
    lines, pip = [], None
    for package in metadata.distributions():
        name = package.metadata["Name"] or ""
        if name == "pip":
            pip = package.version
        if any(word in name.lower() for word in wanted):
            lines.append(f"{name}=={package.version}")
    return pip, "\n".join(sorted(set(lines)))


def get_env_info():
    """A `SystemEnv`: texts, None where something is not known."""
    import platform
    import sys

    import mindtorch_v2 as torch

    pip, packages = get_pip_packages()
    return SystemEnv(
        torch_version=torch.__version__,
        is_debug_build="False",
        gcc_version=_first_line("gcc", "--version"),
        clang_version=_first_line("clang", "--version"),
        cmake_version=_first_line("cmake", "--version"),
        os=get_os(),
        libc_version=get_libc_version(),
        python_version=f"{sys.version} ({sys.maxsize.bit_length() + 1}-bit runtime)".replace("\n", " "),
        python_platform=platform.platform(),
        is_cuda_available=str(torch.cuda.is_available()),
        pip_version=pip,
        pip_packages=packages,
        cpu_info=get_cpu_info(),
        config=torch.__config__.show(),
        parallel_info=torch.__config__.parallel_info(),
    )


def pretty_str(envinfo):
    """A `SystemEnv` as a page of text."""
    say = {key: "Could not collect" if value is None else value for key, value in envinfo._asdict().items()}
    return (
        "PyTorch version: {torch_version}\nIs debug build: {is_debug_build}\nCUDA used to build PyTorch: None\n\n"
        "OS: {os}\nGCC version: {gcc_version}\nClang version: {clang_version}\nCMake version: {cmake_version}\n"
        "Libc version: {libc_version}\n\nPython version: {python_version}\nPython platform: {python_platform}\n"
        "Is CUDA available: {is_cuda_available}\n\nCPU:\n{cpu_info}\n\nVersions of relevant libraries:\n"
        "[pip {pip_version}]\n{pip_packages}\n\n{config}\n{parallel_info}"
    ).format(**say)


def get_pretty_env_info():
    """What `main` prints."""
    return pretty_str(get_env_info())


def main():
    """Prints the page."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
