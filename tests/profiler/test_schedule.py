"""When the profiler records: schedules, the state machine, callbacks, warnings, misuse."""

import itertools
import warnings

import pytest

import mindtorch_v2 as torch
from mindtorch_v2.profiler import (
    ProfilerAction,
    ProfilerActivity,
    _KinetoProfile,
    profile,
    schedule,
)

NONE, WARMUP, RECORD, SAVE, STOPPED = ProfilerAction
LETTERS = {NONE: "N", WARMUP: "W", RECORD: "R", SAVE: "S"}
ACTIONS = {letter: action for action, letter in LETTERS.items()}


def letters(steps, **arguments):
    plan = schedule(**arguments)
    return "".join(LETTERS[plan(step)] for step in range(steps))


def work():
    x = torch.tensor([1.0, 2.0])
    return x + x


# ---------------------------------------------------------------- schedules


def test_schedule_sequences():
    assert letters(16, wait=2, warmup=1, active=2, repeat=2, skip_first=3) == "NNNNNWRSNNWRSNNN"
    assert (
        letters(16, wait=2, warmup=1, active=2, repeat=2, skip_first=3, skip_first_wait=1)
        == "NNNWRSNNWRSNNNNN"
    )
    assert letters(7, wait=1, warmup=1, active=1) == "NWSNWSN"
    with pytest.warns(UserWarning, match="Profiler won't be using warmup"):
        assert letters(4, wait=0, warmup=0, active=2) == "RSRS"


@pytest.mark.parametrize(
    "arguments",
    [
        {"wait": -1, "warmup": 1, "active": 1},
        {"wait": 1, "warmup": -1, "active": 1},
        {"wait": 1, "warmup": 1, "active": 0},
        {"wait": 1, "warmup": 1, "active": -2},
        {"wait": 1, "warmup": 1, "active": 1, "repeat": -1},
        {"wait": 1, "warmup": 1, "active": 1, "skip_first": -1},
        {"wait": 1, "warmup": 1, "active": 1, "skip_first_wait": -1},
        {"wait": 1.5, "warmup": 1, "active": 1},
        {"wait": float("nan"), "warmup": 1, "active": 1},
        {"wait": float("inf"), "warmup": 1, "active": 1},
    ],
)
@pytest.mark.parametrize("kind", [AssertionError, ValueError])
def test_profiler_schedule_invalid_config_raises(arguments, kind):
    with pytest.raises(kind):
        schedule(**arguments)


def test_schedule_says_what_is_wrong():
    with pytest.raises(AssertionError) as caught:
        schedule(wait=1, warmup=1, active=0)
    assert str(caught.value) == (
        "Invalid profiler schedule arguments. Got wait=1 (need >= 0), warmup=1 (need >= 0),"
        " active=0 (need > 0), repeat=0 (need >= 0), skip_first=0 (need >= 0)."
    )
    with pytest.raises(TypeError):
        schedule(wait="1", warmup=1, active=1)
    with pytest.raises(TypeError):
        schedule(1, 1, 1)
    with pytest.raises(AssertionError, match="Step must be non-negative. Got -1."):
        schedule(wait=1, warmup=1, active=1)(-1)


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_profile_rejects_non_callable_schedule(kind):
    with pytest.raises(kind, match="'int' object is not callable"):
        profile(schedule=3)


def test_profile_rejects_a_schedule_that_stops_devices():
    with pytest.raises(ValueError, match="DEVICE_STOPPED is set internally"):
        profile(schedule=lambda step: STOPPED)


# ---------------------------------------------------------------- the state machine


class Logged(profile):
    def __init__(self, log, **arguments):
        self.log = log
        super().__init__(**arguments)

    def prepare_trace(self):
        self.log.append("prepare")
        super().prepare_trace()

    def start_trace(self):
        self.log.append("start")
        super().start_trace()

    def stop_trace(self):
        self.log.append("stop")
        super().stop_trace()


def run(plan):
    """What happens for a plan of letters: actions, questions to the schedule, callbacks."""
    log = []

    def ask(step):
        log.append(f"ask {step}")
        return ACTIONS[plan[step]] if step < len(plan) else NONE

    with (
        warnings.catch_warnings(record=True) as caught,
        Logged(log, schedule=ask, on_trace_ready=lambda p: log.append("ready")) as prof,
    ):
        warnings.simplefilter("always")
        for _ in range(len(plan) - 1):
            work()
            prof.step()
    texts = [str(w.message) for w in caught]
    return log, [text for text in texts if text.startswith("Incorrect schedule")]


# what is done when an action follows another (or the end, "")
TABLE = {
    "NN": "", "NW": "prepare", "NR": "prepare start", "NS": "prepare start",
    "WN": "start stop", "WW": "", "WR": "start", "WS": "start", "W": "start stop",
    "RN": "stop", "RW": "stop", "RR": "", "RS": "", "R": "stop ready",
    "SN": "stop ready", "SW": "stop ready prepare", "SR": "stop ready prepare start",
    "SS": "stop ready prepare start", "S": "stop ready", "N": "",
}  # fmt: skip
WRONG = {
    "WN": "Incorrect schedule: WARMUP followed by NONE",
    "RN": "Incorrect schedule: RECORD followed by NONE",
    "RW": "Incorrect schedule: RECORD followed by WARMUP",
}


@pytest.mark.parametrize(
    "plan", ["".join(p) for n in (1, 2, 3) for p in itertools.product("NWRS", repeat=n)]
)
def test_state_machine(plan):
    expected, warned = ["ask 0"], []
    before = "N"
    for step, now in enumerate(plan):
        expected += [f"ask {step}"] * (step > 0)
        expected += TABLE[before + now].split()
        warned += [WRONG[before + now]] if before + now in WRONG else []
        before = now
    expected += TABLE[before].split()
    log, texts = run(plan)
    assert log == expected
    assert texts == warned


def test_record_followed_by_warmup_goes_on():
    with (
        pytest.warns(UserWarning, match="RECORD followed by WARMUP"),
        profile(schedule=lambda step: ACTIONS["RWRS"[step % 4]]) as prof,
    ):
        for _ in range(4):
            work()
            prof.step()
    assert [event.trace_name for event in prof.events() if event.is_user_annotation]


def test_profiler_schedule_filters_recorded_steps():
    seen = []
    plan = schedule(wait=1, warmup=1, active=2, repeat=1)
    with profile(schedule=plan, on_trace_ready=lambda p: seen.append(p.events())) as prof:
        for _ in range(6):
            work()
            prof.step()
    (events,) = seen
    names = [event.trace_name for event in events if event.is_user_annotation]
    assert names == ["ProfilerStep#2", "ProfilerStep#3"]
    assert {event["step"] for event in events} == {2, 3}
    assert all(event.name == "ProfilerStep*" for event in events if event.is_user_annotation)
    adds = [event for event in events if event.name == "aten::add"]
    assert len(adds) == 2
    assert [event.cpu_parent.trace_name for event in adds] == names


def test_profiler_schedule_triggers_trace_ready_on_save_action():
    calls = []
    plan = schedule(wait=0, warmup=1, active=1, repeat=2)

    def ready(prof):
        calls.append((prof.step_num, prof.current_action, len(prof.events())))

    with profile(schedule=plan, on_trace_ready=ready) as prof:
        for _ in range(6):
            work()
            prof.step()
            assert len(calls) == (prof.step_num >= 2) + (prof.step_num >= 4)
    assert [call[:2] for call in calls] == [(2, WARMUP), (4, NONE)]
    assert all(count >= 2 for _, _, count in calls)


def test_nothing_is_recorded_outside_of_record():
    with profile(schedule=lambda step: [NONE, WARMUP][step % 2]) as prof, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            assert not torch._C._profiler.recording()
            work()
            prof.step()
    assert len(prof.events()) == 0


def test_exceptions_propagate():
    called = []
    with pytest.raises(KeyError, match="mine"), profile(on_trace_ready=called.append) as prof:
        work()
        raise KeyError("mine")
    assert called == [prof]
    assert [event.name for event in prof.events()] == ["aten::add"]

    def ready(prof):
        raise LookupError("callback")

    with pytest.raises(LookupError, match="callback"), profile(on_trace_ready=ready):
        work()
    assert not torch._C._profiler.recording()


def test_events_of_earlier_cycles():
    def run_twice(keep):
        seen = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = schedule(wait=0, warmup=0, active=1)
        with profile(
            schedule=plan,
            acc_events=keep,
            on_trace_ready=lambda p: seen.append([e.trace_name for e in p.events()]),
        ) as prof:
            work()
            prof.step()
            work()
            prof.step()
        return seen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second, last = run_twice(False)
    assert first == ["ProfilerStep#0", "aten::add"]
    assert second == ["ProfilerStep#1", "aten::add"]
    first, second, last = run_twice(True)
    assert second == ["ProfilerStep#1", "aten::add", "ProfilerStep#0", "aten::add"]
    assert last == ["ProfilerStep#2", *second]


# ---------------------------------------------------------------- by hand, and misuse


def test_without_a_schedule_everything_is_recorded():
    with profile() as prof:
        work()
        prof.step()
        work()
    assert prof.step_num == 1
    assert [event.name for event in prof.events()] == ["aten::add"] * 2
    assert [event["step"] for event in prof.events()] == [0, 1]


def test_step_before_start_counts():
    prof = profile()
    prof.step()
    prof.step()
    assert prof.step_num == 2


@pytest.mark.parametrize("kind", [AssertionError, RuntimeError])
@pytest.mark.parametrize(
    "call, before",
    [
        (lambda p: p.stop(), "stopping trace"),
        (lambda p: p.start_trace(), "starting trace"),
        (lambda p: p.events(), "accessing events"),
        (lambda p: p.key_averages(), "getting key averages"),
        (lambda p: p.export_chrome_trace("never.json"), "exporting chrome trace"),
        (lambda p: p.export_stacks("never.txt"), "exporting stacks"),
    ],
)
def test_before_start(call, before, kind):
    with pytest.raises(kind, match=f"Profiler must be initialized before {before}"):
        call(profile())


def test_one_profiler_records_at_a_time():
    with profile() as outer:
        work()
        with pytest.raises(RuntimeError, match="do not nest"), profile():
            pass
        work()
    assert [event.name for event in outer.events()] == ["aten::add"] * 2
    with profile() as again:
        work()
    assert len(again.events()) == 1


def test_results_are_empty_while_recording():
    with profile() as prof:
        work()
        assert len(prof.events()) == 0 and len(prof.key_averages()) == 0
        with pytest.raises(RuntimeError):
            prof.export_chrome_trace("never.json")
    assert len(prof.events()) == 1


def test_a_forgotten_profiler_stops():
    prof = profile()
    prof.start()
    assert torch._C._profiler_enabled()
    del prof
    assert not torch._C._profiler_enabled()


def test_entering_the_same_object_twice():
    prof = profile()
    with prof:
        work()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with prof:
            work()
            work()
    assert len(prof.events()) == 2


def test_toggle_collection():
    cpu = [ProfilerActivity.CPU]
    profile().toggle_collection_dynamic(False, cpu)
    with profile() as prof:
        work()
        prof.toggle_collection_dynamic(False, cpu)
        work()
        prof.toggle_collection_dynamic(False, [ProfilerActivity.CUDA])
        prof.toggle_collection_dynamic(True, cpu)
        work()
    assert len(prof.events()) == 2


def test_activities():
    assert profile().activities == {ProfilerActivity.CPU}
    for wrong in ([], ["CPU"]):
        with pytest.raises(AssertionError, match="No valid profiler activities found"):
            profile(activities=wrong)
    with pytest.raises(ValueError, match="ProfilerActivity.CPU specified more than once"):
        profile(activities=[ProfilerActivity.CPU] * 2)
    with pytest.raises(NotImplementedError, match="filters"):
        profile(activities={ProfilerActivity.CPU: ["cpu_op"]})
    with (
        pytest.warns(UserWarning, match="CUDA is not available, disabling CUDA profiling"),
        profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as prof,
    ):
        work()
    assert len(prof.events()) == 1
    with (
        pytest.warns(UserWarning, match="CUDA is not available"),
        pytest.raises(AssertionError, match="No activities specified"),
    ):
        profile(activities=[ProfilerActivity.CUDA]).start()
    with pytest.warns(FutureWarning, match="`use_cuda` is deprecated"):
        profile(use_cuda=False)
    with pytest.raises(TypeError):
        profile([ProfilerActivity.CPU])


def test_kineto_profile_by_hand():
    prof = _KinetoProfile(record_shapes=True)
    prof.start()
    work()
    prof.stop()
    assert [event.input_shapes[:2] for event in prof.events()] == [[[2], [2]]]


def test_trace_ids():
    ids = []
    prof = profile(custom_trace_id_callback=lambda: "mine")
    assert prof.get_trace_id() is None
    with prof:
        ids.append(prof.get_trace_id())
    with profile() as prof:
        ids.append(prof.get_trace_id())
    prof.set_custom_trace_id_callback(lambda: "next")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with prof:
            ids.append(prof.get_trace_id())
    assert ids[0] == "mine" and ids[2] == "next"
    assert len(ids[1]) == 32 and ids[1] == ids[1].upper() and int(ids[1], 16)
