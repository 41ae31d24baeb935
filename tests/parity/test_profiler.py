"""The profiler beside PyTorch's: tables, averages, trees, schedules, the state machine."""

import random
import warnings

import pytest
import torch as theirs
from torch.autograd import profiler_util as their_util
from torch.profiler import profiler as their_profiler

import mindtorch_v2 as ours
from mindtorch_v2.autograd import profiler_util as our_util
from mindtorch_v2.profiler import profiler as our_profiler

NAMES = ["aten::add", "aten::addmm", "aten::linear", "x" * 40, "y" * 52, "z" * 60, "s"]


def made_up_events(seed):
    """Arguments of FunctionEvent, and of the EventList around them."""
    rnd = random.Random(seed)

    def chance(p):
        return rnd.random() < p

    memory, shapes, stacks, overloads = chance(0.5), chance(0.5), chance(0.5), chance(0.3)
    # With stacks and FLOPs together PyTorch puts the figures of one column under the other's title.
    flops = chance(0.5) and not stacks
    node = rnd.choice([-1, -1, 3])
    names = rnd.sample(NAMES, rnd.randint(1, len(NAMES)))
    events = []
    for i in range(rnd.randint(1, 25)):
        start = rnd.randint(0, 2000) * 1.5
        end = start + rnd.choice([0, 1, 10.25, 50, 1000, 3e6]) * rnd.random()
        events.append(
            dict(
                id=i,
                name=rnd.choice(names),
                thread=1,
                start_us=round(start, 3),
                end_us=round(end, 3),
                cpu_memory_usage=rnd.choice([0, 5, -7, 2048, 3 << 20, -(5 << 30)]) * memory,
                flops=rnd.choice([0, 1, 999, 10**6, 3 * 10**9, 10**17]) * flops,
                input_shapes=rnd.choice([[], [[2, 3], [4]], [[1] * 12], [[]]]) if shapes else [],
                stack=rnd.choice([[], ["a.py(3): f"], ["q" * 80 + ".py(4): g", "b"]]) * stacks,
                overload_name=rnd.choice(["", "Tensor", "w" * 60]) * overloads,
                is_async=chance(0.1),
                is_user_annotation=chance(0.2),
                node_id=node,
            )
        )
    return events, dict(use_device=None, profile_memory=memory, with_flops=flops), rnd


def build(util, events, options):
    out = util.EventList([util.FunctionEvent(**event) for event in events], **options)
    out._build_tree()
    return out


def without_totals(table):
    """Our table has one line more."""
    lines = table.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("Total: "))


@pytest.mark.parametrize("seed", range(60))
def test_tables_and_averages(seed):
    events, options, rnd = made_up_events(seed)
    table = dict(
        sort_by=rnd.choice(
            [None, "cpu_time_total", "self_cpu_time_total", "count", "cuda_time_total"]
        ),
        row_limit=rnd.choice([100, 3, -1, 0]),
        max_src_column_width=rnd.choice([75, 20]),
        max_name_column_width=rnd.choice([55, 20, None]),
        max_shapes_column_width=rnd.choice([80, 10]),
        header=rnd.choice([None, "HEAD"]),
        top_level_events_only=rnd.random() < 0.3,
        time_unit=rnd.choice([None, "s", "ms", "us"]),
    )
    grouping = dict(
        group_by_input_shapes=rnd.random() < 0.5,
        group_by_stack_n=rnd.choice([0, 1, 5]),
        group_by_overload_name=rnd.random() < 0.5,
    )
    reports = []
    for util in (our_util, their_util):
        built = build(util, events, options)
        averages = built.key_averages(**grouping)
        reports.append(
            [
                [(e.id, e.cpu_parent and e.cpu_parent.id, [c.id for c in e.cpu_children],
                  e.self_cpu_time_total, e.self_cpu_memory_usage, repr(e)) for e in built],
                [repr(row) for row in averages],
                repr(built.total_average()),
                without_totals(built.table(**table)),
                without_totals(averages.table(**table)),
            ]
        )  # fmt: skip
    for mine, other in zip(*reports, strict=True):
        assert mine == other


@pytest.mark.parametrize("seed", range(10))
def test_stack_files(seed, tmp_path):
    events, options, _ = made_up_events(seed)
    texts = []
    for util in (our_util, their_util):
        path = tmp_path / util.__name__
        build(util, events, options).export_stacks(str(path), "self_cpu_time_total")
        texts.append(path.read_text())
    assert texts[0] == texts[1]


def test_formats():
    for time in (0, 0.5, 999.9994, 999.9996, 1000, 999_999.9999, 1e6, 1e9, 123456.789):
        assert our_util._format_time(time) == their_util._format_time(time)
    for nbytes in (0, 1023, 1024, -1024, 1 << 20, (1 << 30) - 1, 1 << 40):
        assert our_util._format_memory(nbytes) == their_util._format_memory(nbytes)


@pytest.mark.parametrize("seed", range(40))
def test_schedules(seed):
    rnd = random.Random(seed)
    arguments = {
        "wait": rnd.randint(0, 3),
        "warmup": rnd.randint(0, 3),
        "active": rnd.randint(1, 4),
        "repeat": rnd.randint(0, 3),
        "skip_first": rnd.randint(0, 4),
        "skip_first_wait": rnd.randint(0, 2),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plans = [module.schedule(**arguments) for module in (our_profiler, their_profiler)]
    assert [plans[0](i).name for i in range(40)] == [plans[1](i).name for i in range(40)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"wait": -1, "warmup": 1, "active": 1},
        {"wait": 1, "warmup": 1, "active": 0, "repeat": 2, "skip_first": 3},
        {"wait": 1, "warmup": 1, "active": 1, "repeat": -1},
        {"wait": 1, "warmup": 1, "active": 1, "skip_first": -5},
    ],
)
def test_schedule_errors(arguments):
    texts = []
    for module in (our_profiler, their_profiler):
        with pytest.raises(AssertionError) as caught:
            module.schedule(**arguments)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def log_of(module, lib, plan):
    action = module.ProfilerAction
    actions = dict(N=action.NONE, W=action.WARMUP, R=action.RECORD, S=action.RECORD_AND_SAVE)
    log = []

    class Logged(module.profile):
        def prepare_trace(self):
            log.append("prepare")
            super().prepare_trace()

        def start_trace(self):
            log.append("start")
            super().start_trace()

        def stop_trace(self):
            log.append("stop")
            super().stop_trace()

    def ask(step):
        log.append(step)
        return actions[plan[step]] if step < len(plan) else action.NONE

    def ready(prof):
        named = [event.trace_name for event in prof.events() if event.is_user_annotation]
        log.append(("ready", prof.step_num, prof.current_action.name, named))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Logged(schedule=ask, on_trace_ready=ready) as prof:
            for _ in range(len(plan) - 1):
                lib.tensor([1.0]) + 1
                prof.step()
    log.append([str(w.message) for w in caught if "Incorrect schedule" in str(w.message)])
    return log


@pytest.mark.parametrize("seed", range(30))
def test_state_machine(seed):
    rnd = random.Random(seed)
    plan = ""
    while len(plan) < 7:
        letter = rnd.choice("NWRS")
        if (plan[-1:], letter) != ("R", "W"):  # PyTorch crashes there
            plan += letter
    assert log_of(our_profiler, ours, plan) == log_of(their_profiler, theirs, plan)


@pytest.mark.parametrize("method", ["stop", "start_trace", "stop_trace", "events", "key_averages"])
def test_before_start(method):
    texts = []
    for module in (our_profiler, their_profiler):
        with pytest.raises(AssertionError) as caught:
            getattr(module.profile(), method)()
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_top_level_operators_and_nodes():
    """Names, nesting and numbers of what a program calls; what operators call inside differs."""

    def scenario(lib):
        w, one = lib.tensor([[1.0, 2.0, 3.0]] * 2, requires_grad=True), lib.tensor(1.0)
        with lib.profiler.profile(record_shapes=True) as prof:
            with lib.profiler.record_function("forward"):
                loss = (w * w + w).relu().sum()
            with lib.profiler.record_function("backward"):
                loss.backward(one)
        events = prof.events()
        first = min(event.sequence_nr for event in events if event.sequence_nr >= 0)
        for event in events:
            depth, at = 0, event
            while at.cpu_parent is not None:
                depth, at = depth + 1, at.cpu_parent
            node = "Backward" in event.name or "AccumulateGrad" in event.name
            if depth <= 1 or node:
                number = event.sequence_nr - first if event.sequence_nr >= 0 else -1
                shapes = event.input_shapes[:1] if event.name.startswith("aten::") else None
                yield (
                    event.name,
                    event.is_user_annotation,
                    event.scope,
                    depth,
                    number,
                    event.fwd_thread > 0,
                    shapes,
                )

    mine, other = list(scenario(ours)), list(scenario(theirs))
    assert mine == other


CALLS = """
    abs(a); absolute(a); neg(a); negative(a); exp(a); arccos(c); arctan2(a, b); add(a, b); sub(a, b)
    subtract(a, b); mul(a, b); multiply(a, b); div(a, b); true_divide(a, b); divide(a, b)
    div(a, b, rounding_mode="floor"); clip(a, -1, 1); clamp(a, 0); fix(a); where(a > 0, a, b); pow(a, 2)
    sum(a); sum(a, 1); mean(a, 0); amax(a, 1); max(a); max(a, 1); sort(a); topk(a, 2); cumsum(a, 0); var(a)
    logsumexp(a, 1); softmax(a, 1); argmax(a); any(a > 0); matmul(a, b); mm(a, b); addmm(a, a, b); outer(v, v)
    dot(v, v); cat([a, b]); concat([a, b]); concatenate([a, b]); stack([a, b]); vstack([a, b])
    row_stack([a, b]); split(a, 1); split(a, [1, 2]); chunk(a, 2); movedim(a, 0, 1); moveaxis(a, 0, 1)
    swapaxes(a, 0, 1); swapdims(a, 0, 1); transpose(a, 0, 1); zeros(3); ones(3); full((2,), 1.0)
    arange(3); zeros_like(a); clone(a); conj(a); conj(z); real(z); gather(a, 0, i); index_select(a, 0, n)
    nn.functional.relu(a); nn.functional.linear(a, b, v); nn.functional.gelu(a)
    nn.functional.layer_norm(a, (3,)); nn.functional.cross_entropy(a, n); nn.functional.dropout(a)
    a.contiguous(); a.T.contiguous(); a.T; a.H; a.mT; a.mH; z.mH; a.float(); a.double(); a.to(int64); a.cpu()
    a.half(); a.long(); a.item() if a.numel() == 1 else v[0].item(); bool(v[0]); float(v[0]); int(v[0])
    a[0]; a[:, 1]; a[n]; a[a > 0]; a.view(-1); a.reshape(-1); a.flatten(); a.unsqueeze(0); a.expand(2, 3, 3)
    a + b; a - b; a * b; a / b; a @ b; a // b; a % b; -a; a == b; a < b; 2 - a; 2 / a; 2 ** a; 2 // a; 2 % a
    a.add_(b); a.mul_(2); a.zero_(); a.fill_(1); a.copy_(b); a.clamp_(0); a.negative_(); a.swapaxes_(0, 1)
    c.arccos_(); a.true_divide_(b); a.detach(); a.is_contiguous(); a.size(); list(a)
"""


@pytest.mark.parametrize("call", [part.strip() for part in CALLS.replace("\n", ";").split(";") if part.strip()])
def test_names_of_top_level_operators(call):
    """Each call records the operators that PyTorch records for it, aliases by their own names."""

    def names(lib):
        a = lib.tensor([[0.5, -1.5, 2.0], [1.0, 3.5, -0.25], [2.5, 0.75, 1.25]])
        space = {
            "a": a, "b": a + 1, "c": a / 10, "v": lib.tensor([1.0, 2.0, 3.0]), "n": lib.tensor([0, 2, 1]),
            "i": lib.tensor([[0, 1, 2]]), "z": a * 1j, **{k: v for k, v in vars(lib).items() if k[0] != "_"},
            "abs": lib.abs, "sum": lib.sum, "max": lib.max, "pow": lib.pow, "any": lib.any,
            "nn": lib.nn, "bool": bool, "float": float, "int": int, "list": list,
        }  # fmt: skip
        code = compile(call, "call", "eval")
        with lib.profiler.profile() as prof:
            eval(code, space)
        return [event.name for event in prof.events() if event.cpu_parent is None]

    assert names(ours) == names(theirs)


def test_traces_pass_their_validator(tmp_path):
    validator = pytest.importorskip("torch.profiler._trace_validator")
    w = ours.tensor([1.0, 2.0], requires_grad=True)
    with ours.profiler.profile(record_shapes=True, profile_memory=True) as prof:
        for _ in range(3):
            (w * w + w).sum().backward()
    path = str(tmp_path / "trace.json")
    prof.export_chrome_trace(path)
    ok, violations = validator.validate_trace(path)
    assert ok, violations
