"""The block of memory that a pool's threads share: what lies where, and how the IR speaks of it."""

from __future__ import annotations

# Where things lie in the block. What different threads write at the same time is 128 bytes apart: x86
# fetches lines of 64 bytes in pairs, and Apple's lines have 128.
STATE = 0  # and so the block's own address
NEXT = 128
FUNCTION, ARGS, UNITS, SPIN, FLOATS = 256, 264, 272, 280, 288
BUSY = 384
SLEEPERS, SIZE = 512, 520
WAITING = 640
# A mutex of the system's takes at most 64 bytes and a condition variable 48, on Linux and macOS.
LOCK, WORK, DONE = 768, 896, 1024
# Addresses of the system's functions, in this order. They are data rather than symbols of the module, so
# that an object kept on disk refers to nothing outside itself.
CALLS = 1152
REQUIRED = (
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_cond_wait",
    "pthread_cond_signal",
    "pthread_cond_broadcast",
    "clock_gettime",
    "sched_yield",
)
# Linux only; 0 elsewhere.
OPTIONAL = ("sched_getcpu", "sched_getaffinity", "pthread_setaffinity_np")
SYSTEM = REQUIRED + OPTIONAL
# The core that workers keep off (−1: none, −2: not set for all of them), a set of cores as the system writes
# it (one bit each; Linux is built for 8192 at most), and the workers' names for the system.
AVOIDED = 1280
CORES, CORES_BYTES = 2048, 8192 // 8
THREADS = 4096
MOST = 1023
BLOCK_BYTES = THREADS + 8 * MOST

# STATE counts two things: in its upper half the seats that are free, in its lower the workers which joined.
SEATS = 0xFFFFFFFF << 32
ACTIVE = 0xFFFFFFFF
JOIN = 1 - (1 << 32)


def at(name: str, offset: int) -> str:
    """The instruction that names a place in the block."""
    return f"  %{name} = getelementptr i8, ptr %block, i64 {offset}"


def system(name: str, called: str = "call") -> str:
    """The two instructions that fetch a function of the system's, as %call or another name."""
    return f"{at(f'{called}.at', CALLS + 8 * SYSTEM.index(name))}\n  %{called} = load ptr, ptr %{called}.at"
