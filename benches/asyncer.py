"""Asyncer's own figures, in nanoseconds for each call, for `compare PY` to put beside ours.

    python3 -m pip install asyncer
    python3 benches/asyncer.py [asyncify] [syncify] [loop] [gather]

The calls do nothing, so what is measured is the way there and back. Each is warmed up first.
"""

import asyncio
import sys
import time

# This file has the name of what it imports: look past its own folder.
sys.path.pop(0)

import anyio
from asyncer import asyncify, syncify


def noop():
    pass


async def async_noop():
    pass


def per_call(begin, calls):
    return (time.perf_counter_ns() - begin) / calls


async def one_after_another(calls):
    begin = time.perf_counter_ns()
    for _ in range(calls):
        await asyncify(noop)()
    return per_call(begin, calls)


def on_a_worker(calls):
    begin = time.perf_counter_ns()
    for _ in range(calls):
        syncify(async_noop)()
    return per_call(begin, calls)


async def from_a_worker(calls):
    return await asyncify(on_a_worker)(calls)


def temporary_loops(calls):
    begin = time.perf_counter_ns()
    for _ in range(calls):
        syncify(async_noop, raise_sync_error=False)()
    return per_call(begin, calls)


async def gathered(calls):
    begin = time.perf_counter_ns()
    await asyncio.gather(*(asyncify(noop)() for _ in range(calls)))
    return per_call(begin, calls)


MEASURES = {
    "asyncify": lambda calls: anyio.run(one_after_another, calls or 3000),
    "syncify": lambda calls: anyio.run(from_a_worker, calls or 3000),
    "loop": lambda calls: temporary_loops(calls or 2000),
    "gather": lambda calls: anyio.run(gathered, calls or 10_000),
}


def main():
    for name in sys.argv[1:] or MEASURES:
        MEASURES[name](100)
        print(f"{name} {MEASURES[name](None):.0f}")


if __name__ == "__main__":
    main()
