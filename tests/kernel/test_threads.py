from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.kernel import jit, threads, workers
from tilewright.plan import processor
from tilewright.plan.target import Target

pytest.importorskip("llvmlite")

# ++args[unit]
BUMP = """
define void @test_bump(i64 %unit, ptr %args, ptr %scratch) {
  %at = getelementptr i64, ptr %args, i64 %unit
  %old = atomicrmw add ptr %at, i64 1 monotonic
  ret void
}
"""

# Fill args[0] words of scratch with the unit's number, look around args[1] times, and count into
# args[2 + unit] the words that are still so; args[0] more are added when scratch isn't at a multiple of 64.
FILL = """
define void @test_fill(i64 %unit, ptr %args, ptr %scratch) {
entry:
  %words = load i64, ptr %args
  %looks.at = getelementptr i64, ptr %args, i64 1
  %looks = load i64, ptr %looks.at
  br label %fill
fill:
  %i = phi i64 [ 0, %entry ], [ %i.next, %fill ]
  %word.at = getelementptr i64, ptr %scratch, i64 %i
  store volatile i64 %unit, ptr %word.at
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %words
  br i1 %more, label %fill, label %wait
wait:
  %j = phi i64 [ 0, %fill ], [ %j.next, %wait ]
  %seen = load volatile i64, ptr %scratch
  %j.next = add i64 %j, 1
  %more.looks = icmp slt i64 %j.next, %looks
  br i1 %more.looks, label %wait, label %check
check:
  %k = phi i64 [ 0, %wait ], [ %k.next, %check ]
  %good = phi i64 [ 0, %wait ], [ %good.next, %check ]
  %check.at = getelementptr i64, ptr %scratch, i64 %k
  %found = load volatile i64, ptr %check.at
  %same = icmp eq i64 %found, %unit
  %one = zext i1 %same to i64
  %good.next = add i64 %good, %one
  %k.next = add i64 %k, 1
  %more.words = icmp slt i64 %k.next, %words
  br i1 %more.words, label %check, label %end
end:
  %address = ptrtoint ptr %scratch to i64
  %rest = and i64 %address, 63
  %aligned = icmp eq i64 %rest, 0
  %penalty = select i1 %aligned, i64 0, i64 %words
  %result = add i64 %good.next, %penalty
  %own = getelementptr i64, ptr %looks.at, i64 1
  %result.at = getelementptr i64, ptr %own, i64 %unit
  store i64 %result, ptr %result.at
  ret void
}
"""

# args[0] += 1, then wait until args[1] isn't 0.
HOLD = """
define void @test_hold(i64 %unit, ptr %args, ptr %scratch) {
entry:
  %old = atomicrmw add ptr %args, i64 1 seq_cst
  %flag.at = getelementptr i64, ptr %args, i64 1
  br label %wait
wait:
  %flag = load atomic i64, ptr %flag.at acquire, align 8
  %open = icmp ne i64 %flag, 0
  br i1 %open, label %end, label %wait
end:
  ret void
}
"""

# args[2 + unit] = the thread's scratch address; args[0] units wait for each other, so as many threads take
# part.
MEET = """
define void @test_meet(i64 %unit, ptr %args, ptr %scratch) {
entry:
  %own = getelementptr i64, ptr %args, i64 2
  %at = getelementptr i64, ptr %own, i64 %unit
  %address = ptrtoint ptr %scratch to i64
  store i64 %address, ptr %at
  %count.at = getelementptr i64, ptr %args, i64 1
  %old = atomicrmw add ptr %count.at, i64 1 seq_cst
  br label %wait
wait:
  %all = load i64, ptr %args
  %count = load atomic i64, ptr %count.at acquire, align 8
  %met = icmp sge i64 %count, %all
  br i1 %met, label %end, label %wait
end:
  ret void
}
"""

# Two units that wait for each other; each halves the smallest normal float32 into args[1 + unit] (its bits).
HALVE = """
define void @test_halve(i64 %unit, ptr %args, ptr %scratch) {
entry:
  %old = atomicrmw add ptr %args, i64 1 seq_cst
  br label %wait
wait:
  %count = load atomic i64, ptr %args acquire, align 8
  %met = icmp sge i64 %count, 2
  br i1 %met, label %end, label %wait
end:
  %own = getelementptr i64, ptr %args, i64 1
  %at = getelementptr i64, ptr %own, i64 %unit
  store i64 8388608, ptr %at
  %small = load volatile float, ptr %at
  %half = fmul float %small, 0.5
  %bits = bitcast float %half to i32
  %wide = zext i32 %bits to i64
  store i64 %wide, ptr %at
  ret void
}
"""

# Sets how the calling thread does arithmetic to args[0], having put into args[1] how it was.
ARITHMETIC = {
    "x86_64": """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @test_arithmetic(i64 %unit, ptr %args, ptr %scratch) {
  %old = getelementptr i64, ptr %args, i64 1
  call void @llvm.x86.sse.stmxcsr(ptr %old)
  call void @llvm.x86.sse.ldmxcsr(ptr %args)
  ret void
}
""",
    "aarch64": """
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define void @test_arithmetic(i64 %unit, ptr %args, ptr %scratch) {
  %at = getelementptr i64, ptr %args, i64 1
  %old = call i64 @llvm.aarch64.get.fpcr()
  store i64 %old, ptr %at
  %new = load i64, ptr %args
  call void @llvm.aarch64.set.fpcr(i64 %new)
  ret void
}
""",
}

THREADS = (1, 2, 3, 7)
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def kernel(text: str) -> int:
    """The address of the function that `text` defines."""
    name = text.partition("@test_")[2].partition("(")[0]
    return jit.address(f"test_{name}", lambda target: text)


def counters(count: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    array = np.zeros(max(count, 1), np.int64)
    return array, array.ctypes.data


@pytest.fixture(params=["native", "python"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's own pool, or one of Python's threads, which every system has."""
    if request.param == "python":
        monkeypatch.setattr(threads, "_pool", workers.PythonPool())
    elif sys.platform == "win32":
        pytest.skip("POSIX only")
    yield


@pytest.fixture
def restored() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


# -- jobs ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("count", THREADS)
@pytest.mark.parametrize("units", [0, 1, 2, 3, 5, 6, 7, 8, 9, 64, 1000, 4097])
def test_every_unit_runs_exactly_once(units: int, count: int) -> None:
    array, address = counters(units + 1)
    threads.run(kernel(BUMP), units, address, 0, threads=count)
    assert array.tolist() == [1] * units + [0]


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("count", THREADS)
def test_scratch_belongs_to_one_thread(count: int) -> None:
    units, words = 40, 2000
    array, address = counters(2 + units)
    array[:2] = words, 5000
    threads.run(kernel(FILL), units, address, 8 * words, threads=count)
    assert array[2:].tolist() == [words] * units


@pytest.mark.usefixtures("pool")
def test_all_threads_asked_for_take_part_with_scratch_of_their_own() -> None:
    count = 3
    array, address = counters(2 + count)
    array[0] = count
    threads.run(kernel(MEET), count, address, 0, threads=count)
    assert len(set(array[2:].tolist())) == count


def test_the_largest_scratch_can_be_used_to_its_end() -> None:
    array, address = counters(2 + 2)
    words = (4 << 20) // 8
    array[:2] = words, 1
    threads.run(kernel(FILL), 2, address, 4 << 20, threads=2)
    assert array[2:].tolist() == [words] * 2


def test_more_scratch_than_that_is_a_mistake_of_the_library() -> None:
    _, address = counters(1)
    with pytest.raises(AssertionError, match=r"a kernel asks for 4194305 bytes of scratch memory"):
        threads.run(kernel(BUMP), 1, address, (4 << 20) + 1)


@pytest.mark.usefixtures("pool")
def test_many_jobs_in_a_row() -> None:
    array, address = counters(5)
    function = kernel(BUMP)
    for job in range(10_000):
        threads.run(function, 2 + job % 4, address, 0, threads=2 + job % 2)
    assert array.tolist() == [10_000, 10_000, 7_500, 5_000, 2_500]


@posix
def test_jobs_after_a_rest() -> None:
    array, address = counters(3)
    function = kernel(BUMP)
    random_waits = random.Random(1)
    for _ in range(300):
        threads.run(function, 3, address, 0, threads=3)
        # Around the time after which workers stop looking for a job and sleep.
        time.sleep(random_waits.uniform(0, 0.0003))
    assert array.tolist() == [300] * 3


@pytest.mark.usefixtures("pool")
def test_uneven_units_end_before_the_call_returns() -> None:
    # The last unit of each job waits for long: its thread is still at work when the others have finished.
    units = 4
    for looks in (10, 20_000, 400_000):
        array, address = counters(2 + units)
        array[:2] = 10, looks
        threads.run(kernel(FILL), units, address, 80, threads=3)
        assert array[2:].tolist() == [10] * units


@pytest.mark.usefixtures("pool")
def test_threads_of_python_call_at_once() -> None:
    function = kernel(FILL)
    wrong: list[object] = []
    jobs = [0] * 5
    end = time.monotonic() + 1

    def call(number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < end:
            units, words = rng.randrange(1, 20), rng.randrange(1, 100)
            array, address = counters(2 + units)
            array[:2] = words, rng.randrange(1, 200)
            threads.run(function, units, address, 8 * words, threads=rng.randrange(1, 5))
            jobs[number] += 1
            if array[2:].tolist() != [words] * units:
                wrong.append((number, units, words, array.tolist()))
                return

    in_parallel(call, len(jobs))
    assert not wrong
    assert all(jobs), jobs


@pytest.mark.usefixtures("pool")
def test_who_finds_the_workers_busy_does_not_wait() -> None:
    held, held_address = counters(2)
    caller = threading.Thread(
        target=threads.run, args=(kernel(HOLD), 2, held_address, 0), kwargs={"threads": 2}
    )
    caller.start()
    try:
        wait_until(lambda: held[0] > 0)
        array, address = counters(50)
        threads.run(kernel(BUMP), 50, address, 0, threads=2)
        assert array.tolist() == [1] * 50
    finally:
        held[1] = 1
        caller.join()
    assert held[0] == 2


@posix
def test_a_system_that_allows_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_pool", None)
    asked = []

    def refuse(self: workers.NativePool) -> bool:
        asked.append(1)
        return False

    monkeypatch.setattr(workers.NativePool, "_start", refuse)
    array, address = counters(9)
    for _ in range(3):
        threads.run(kernel(BUMP), 9, address, 0, threads=3)
    assert array.tolist() == [3] * 9
    assert len(asked) == 1, "it is asked once, not for every job"


def test_scratch_goes_with_its_thread() -> None:
    seen: list[weakref.ref[object]] = []

    def call() -> None:
        _, address = counters(1)
        threads.run(kernel(BUMP), 1, address, 0)
        seen.append(weakref.ref(workers.mine._memory))

    in_parallel(lambda number: call(), 1)
    assert [reference() for reference in seen] == [None]


@pytest.mark.usefixtures("pool")
def test_workers_do_arithmetic_as_the_caller_does(request: pytest.FixtureRequest) -> None:
    if "python" in request.node.name:
        pytest.skip("Python's threads keep the arithmetic that they started with")
    halved = 1 << 22  # half of the smallest normal number, as bits
    arm = host_is_arm()
    flush = 1 << 24 if arm else 0x1F80 | 0x8040  # numbers next to zero become zero
    set_arithmetic = kernel(ARITHMETIC["aarch64" if arm else "x86_64"])

    def halve() -> list[int]:
        array, address = counters(3)
        threads.run(kernel(HALVE), 2, address, 0, threads=2)
        return [int(bits) for bits in array[1:]]

    assert halve() == [halved, halved]
    state, address = counters(2)
    state[0] = flush
    threads.run(set_arithmetic, 1, address, 0)
    try:
        flushed = halve()
    finally:
        state[0] = state[1]
        threads.run(set_arithmetic, 1, address, 0)
    assert flushed == [0, 0]
    assert halve() == [halved, halved]


# -- the number of threads -------------------------------------------------------------------------------


@pytest.mark.usefixtures("restored")
def test_set_num_threads() -> None:
    for n in (3, np.int64(2), 1, 1024):
        threads.set_num_threads(n)
        assert threads.get_num_threads() == n
        assert type(threads.get_num_threads()) is int


@pytest.mark.parametrize("n", [0, -1, 1025, 2.0, "2", None, True])
@pytest.mark.usefixtures("restored")
def test_numbers_that_are_refused(n: object) -> None:
    before = threads.get_num_threads()
    with pytest.raises(ArgumentError) as error:
        threads.set_num_threads(n)  # type: ignore[arg-type]
    assert str(error.value) == (
        f"set_num_threads needs a whole number of threads from 1 to 1024. Received: n={n!r}."
    )
    assert threads.get_num_threads() == before


@pytest.mark.usefixtures("restored")
def test_the_number_changes_while_jobs_run() -> None:
    function = kernel(BUMP)
    done = threading.Event()
    array, address = counters(30)
    jobs = 2000

    def change() -> None:
        n = 0
        while not done.is_set():
            n = n % 7 + 1
            threads.set_num_threads(n)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(jobs):
            threads.run(function, 30, address, 0)
    finally:
        done.set()
        changing.join()
    assert array.tolist() == [jobs] * 30


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", 0)
    monkeypatch.setenv("TILEWRIGHT_NUM_THREADS", "5")
    assert threads.get_num_threads() == 5
    monkeypatch.setenv("TILEWRIGHT_NUM_THREADS", "6")
    assert threads.get_num_threads() == 5, "it is read once"


def test_one_thread_per_core_when_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", 0)
    monkeypatch.delenv("TILEWRIGHT_NUM_THREADS", raising=False)
    assert threads.get_num_threads() == processor.usable_cores()


@pytest.mark.parametrize("text", ["0", "-2", "two", "2.5", "1_0", " 2", "٣", "1025", "9" * 30])
def test_an_environment_that_makes_no_sense(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_threads", 0)
    monkeypatch.setenv("TILEWRIGHT_NUM_THREADS", text)
    _, address = counters(1)
    for use in (threads.get_num_threads, lambda: threads.run(kernel(BUMP), 1, address, 0)):
        with pytest.raises(ArgumentError) as error:
            use()
        assert str(error.value) == (
            "TILEWRIGHT_NUM_THREADS must be a whole number of threads from 1 to 1024. Received: "
            f"TILEWRIGHT_NUM_THREADS={text!r}. Leave it unset for one thread per core."
        )
    threads.set_num_threads(2)
    assert threads.get_num_threads() == 2, "a number set by the program needs no environment"


# -- processes -------------------------------------------------------------------------------------------

# What the programs below begin with: `bump()` does a job on three threads and checks it.
PRELUDE = f"""
import ctypes, os, sys, threading, time
from tilewright.kernel import jit, threads
BUMP, HOLD = {BUMP!r}, {HOLD!r}
def address_of(name, text):
    return jit.address(name, lambda target: text)
def bump(times=1):
    for _ in range(times):
        array = (ctypes.c_int64 * 40)()
        threads.run(address_of("test_bump", BUMP), 40, ctypes.addressof(array), 0, threads=3)
        assert list(array) == [1] * 40, list(array)
def hold(array, **more):
    threads.run(address_of("test_hold", HOLD), 3, ctypes.addressof(array), 0, threads=3)
def tasks():
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None
"""


def program(text: str) -> str:
    """What a fresh interpreter prints that runs this program; it must end well, and soon."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + text], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert not done.stderr, done.stderr
    return done.stdout


ENDS = {
    "workers look for a job": "bump()",
    "workers sleep": "bump(); time.sleep(0.2)",
    "no job was ever split": "threads.run(address_of('test_bump', BUMP), 0, 0, 0)",
    "a job in an exit handler": "import atexit; atexit.register(bump); bump()",
    "a first job in an exit handler": "import atexit; atexit.register(bump)",
    "a daemon thread's job goes on": """
array = (ctypes.c_int64 * 2)()
threading.Thread(target=hold, args=(array,), daemon=True).start()
while array[0] < 3: time.sleep(0.001)
""",
    "a daemon thread gives job after job": """
threading.Thread(target=bump, args=(10**9,), daemon=True).start()
time.sleep(0.2)
""",
    "a daemon thread's own job goes on, on itself alone": """
array = (ctypes.c_int64 * 2)()
threading.Thread(
    target=threads.run, args=(address_of("test_hold", HOLD), 1, ctypes.addressof(array), 0), daemon=True
).start()
while array[0] < 1: time.sleep(0.001)
""",
}


@posix
@pytest.mark.parametrize("name", list(ENDS))
def test_the_interpreter_ends(name: str) -> None:
    assert program(ENDS[name] + "\nprint('end', flush=True)") == "end\n"


@posix
def test_a_forked_child_has_workers_of_its_own() -> None:
    printed = program(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that one forks at all while threads run
bump()
child = os.fork()
if not child:
    before = tasks()
    bump(100)
    after = tasks()
    print("child", before, after, threads.get_num_threads() >= 1, flush=True)
    os._exit(0)
bump(100)
assert os.waitpid(child, 0)[1] == 0
bump(100)
"""
    )
    assert printed == ("child 1 3 True\n" if sys.platform.startswith("linux") else "child None None True\n")


@posix
def test_a_fork_while_another_thread_has_the_workers() -> None:
    printed = program(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
array = (ctypes.c_int64 * 2)()
caller = threading.Thread(target=hold, args=(array,))
caller.start()
while array[0] < 3: time.sleep(0.001)
for _ in range(3):
    child = os.fork()
    if not child:
        bump(100)
        if os.fork() == 0:
            bump(100)
            os._exit(0)
        os._exit(os.wait()[1] != 0)
    assert os.waitpid(child, 0)[1] == 0
array[1] = 1
caller.join()
bump()
print("end")
"""
    )
    assert printed == "end\n"


@posix
def test_forks_amid_jobs_of_other_threads() -> None:
    printed = program(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
end = False
def call():
    while not end: bump()
callers = [threading.Thread(target=call) for _ in range(2)]
for caller in callers: caller.start()
for _ in range(20):
    child = os.fork()
    if not child:
        bump(10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
end = True
for caller in callers: caller.join()
print("end")
"""
    )
    assert printed == "end\n"


@posix
def test_processes_of_multiprocessing() -> None:
    printed = program(
        """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
bump()
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    print(pool.map(bump, [50] * 4))
"""
    )
    assert printed == "[None, None, None, None]\n"


@linux
def test_workers_start_when_they_are_needed_and_take_no_signals() -> None:
    printed = program(
        """
import signal
address_of("test_bump", BUMP)
own = set(os.listdir("/proc/self/task"))
threads.run(address_of("test_bump", BUMP), 0, 0, 0)
threads.run(address_of("test_bump", BUMP), 1, ctypes.addressof(ctypes.c_int64()), 0, threads=8)
print(len(set(os.listdir("/proc/self/task")) - own))
bump()
new = set(os.listdir("/proc/self/task")) - own
print(len(new), threading.active_count())
def blocked(task):
    with open(f"/proc/self/task/{task}/status") as file:
        mask = int(next(line for line in file if line.startswith("SigBlk")).split()[1], 16)
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}
faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
# While a thread starts, the system's library holds back every signal.
while any(faults & blocked(task) for task in new): time.sleep(0.001)
for task in new:
    print({1, 2, 3, 10, 12, 13, 14, 15, 17} - blocked(task))
print(blocked(os.getpid()))
"""
    )
    assert printed.splitlines() == ["0", "2 1", "set()", "set()", "set()"]


@linux
@pytest.mark.skipif(processor.usable_cores() < 2, reason="needs two cores")
def test_workers_keep_off_the_core_of_the_caller() -> None:
    printed = program(
        """
usable = os.sched_getaffinity(0)
one = min(usable)
own = set(os.listdir("/proc/self/task"))
def job(count):
    array = (ctypes.c_int64 * 40)()
    threads.run(address_of("test_bump", BUMP), 40, ctypes.addressof(array), 0, threads=count)
def cores():
    return [os.sched_getaffinity(int(task)) for task in set(os.listdir("/proc/self/task")) - own]
address_of("test_bump", BUMP)
own = set(os.listdir("/proc/self/task"))
job(2)
print([len(usable - found) for found in cores()])
# More threads than cores may use them all.
job(len(usable) + 1)
print([len(usable - found) for found in cores()] == [0] * len(usable))
# A caller that is kept on one core leaves the workers where they were.
os.sched_setaffinity(0, {one})
job(2)
print([len(usable - found) for found in cores()] == [0] * len(usable))
os.sched_setaffinity(0, usable)
job(2)
print([len(usable - found) for found in cores()] == [1] * len(usable))
"""
    )
    assert printed == "[1]\nTrue\nTrue\nTrue\n"


# -- helpers ---------------------------------------------------------------------------------------------


def in_parallel(call: Callable[[int], None], count: int) -> None:
    """`call(0)` … `call(count - 1)`, each in a thread of Python's."""
    callers = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "nothing happened for a minute"
        time.sleep(0.001)


def host_is_arm() -> bool:
    seen: list[Target] = []
    jit.text("test_bump", lambda target: (seen.append(target), BUMP)[1])
    return not seen[0].triple.startswith("x86_64")
