"""What the profiler costs: ns added per operator while recording, kernel slices included; scopes;
latencies; and what a million events take afterwards.

    python benchmarks/profiler_overhead.py [--million] [--processes N]

Each library runs in a process of its own, and where it is installed PyTorch beside ours. Figures
are minima over rounds and processes, of one thread.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing

OPS = """
import importlib, json, sys, timeit, warnings
warnings.simplefilter("ignore")
torch = importlib.import_module(sys.argv[1])
torch.set_num_threads(1)
profiler = importlib.import_module(sys.argv[1] + ".profiler")
profile, record_function = profiler.profile, profiler.record_function
a, b = torch.tensor([1.0] * 8), torch.tensor([2.0] * 8)
space = {"a": a, "b": b, "rf": record_function}
N, CHUNKS, ROUNDS = 500, 16, 7

def best(statement, **options):
    timer = timeit.Timer(statement, globals=space)
    low = float("inf")
    for _ in range(ROUNDS):
        if options.pop("off", False):
            low = min(low, *timer.repeat(CHUNKS, N))
            options["off"] = True
        else:
            with profile(**options):
                low = min(low, *timer.repeat(CHUNKS, N))
    return low / N * 1e9

ALL = dict(record_shapes=True, profile_memory=True, with_stack=True, with_flops=True)
scope = "with rf('x'): pass"
out = {
    "off": best("a + b", off=True),
    "default": best("a + b"),
    "record_shapes": best("a + b", record_shapes=True),
    "profile_memory": best("a + b", profile_memory=True),
    "with_stack": best("a + b", with_stack=True),
    "with_flops": best("a + b", with_flops=True),
    "all four": best("a + b", **ALL),
    "scope off": best(scope, off=True) - best("pass", off=True),
    "scope on": best(scope) - best("pass", off=True),
}
NONE = lambda step: profiler.ProfilerAction.NONE
prof = profile(schedule=NONE)
prof.start()
out["schedule in NONE"] = min(timeit.Timer("a + b", globals=space).repeat(CHUNKS, N)) / N * 1e9
out["step NONE -> NONE, us"] = min(timeit.Timer(prof.step).repeat(50, 1)) * 1e6
prof.stop()

def latency():
    from time import perf_counter
    p = profile()
    t0 = perf_counter(); p.start()
    t1 = perf_counter(); a + b
    t2 = perf_counter(); p.stop()
    t3 = perf_counter(); p.events()
    t4 = perf_counter()
    return t1 - t0, t3 - t2, t4 - t3
names = ("start, us", "stop, us", "events of one op, us")
for name, times in zip(names, zip(*(latency() for _ in range(30)))):
    out[name] = min(times) * 1e6
print(json.dumps(out))
"""

MILLION = """
import importlib, json, os, sys, tempfile, time
torch = importlib.import_module(sys.argv[1])
torch.set_num_threads(1)
profiler = importlib.import_module(sys.argv[1] + ".profiler")
a, b = torch.tensor([1.0] * 8), torch.tensor([2.0] * 8)
N = int(sys.argv[2])
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = resident()
prof = profiler.profile()
prof.start()
for _ in range(N):
    a + b
out, cpu = {}, time.process_time
def timed(name, call):
    start = cpu()
    result = call()
    out[name + ", s"] = cpu() - start
    return result
timed("stop", prof.stop)
path = os.path.join(tempfile.mkdtemp(), "trace.json")
timed("export", lambda: prof.export_chrome_trace(path))
size = os.path.getsize(path)
out["export, MB per s"] = size / 1e6 / out["export, s"]
out["trace, bytes per event"] = size / N
os.unlink(path)
out["peak until here, MB"] = resident() - before
timed("events", prof.events)
timed("key_averages", prof.key_averages)
out["peak, MB"] = resident() - before
print(json.dumps(out))
"""

SHOWN = ["default", "record_shapes", "profile_memory", "with_stack", "with_flops", "all four"]


def measure(script, name, processes, *arguments):
    """Minima of several processes; of rates the maxima."""
    runs = [timing.fresh(script, name, *arguments) for _ in range(processes)]
    return {key: (max if "per s" in key else min)(run[key] for run in runs) for key in runs[0]}


def show(title, sides, rows):
    ratio = len(sides) == 2
    header = [title, *sides] + (["ratio"] if ratio else [])
    timing.table(header, [row + ([row[1] / row[2]] if ratio else []) for row in rows])
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--million", action="store_true", help="what a million events take, too")
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    timing.clean_environment()
    sides = list(timing.libraries())
    got = {side: measure(OPS, side, options.processes) for side in sides}
    print("a + b of 8 floats, not recorded: "
          + ", ".join(f"{side} {got[side]['off']:.0f} ns" for side in sides) + "\n")  # fmt: skip
    added = [[name, *(got[s][name] - got[s]["off"] for s in sides)] for name in SHOWN]
    show("ns added per op", sides, added)
    rest = [
        key for key in got[sides[0]] if key not in SHOWN and key not in ("off", "schedule in NONE")
    ]
    show("ns, or as said", sides, [[key, *(got[s][key] for s in sides)] for key in rest])
    if options.million:
        for side in sides:
            got[side] = measure(MILLION, side, 1, "1000000")
        show("a million events (CPU time)", sides,
             [[key, *(got[s][key] for s in sides)] for key in got[sides[0]]])  # fmt: skip


if __name__ == "__main__":
    main()
