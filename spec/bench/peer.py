"""What the peers of the benchmarks share: a process that measures when asked.

A peer says `ready NAME`, then answers each line on its standard input with a
line: the numbers that it measured. It sleeps in between, so that it can be
started once and asked in turn with ours. `quit` or the input's end ends it.
"""
import sys
import time

# Threads that have nothing to do look for work for a while before they sleep:
# what was measured before is let come to rest, and so is this before the next.
PAUSE = 0.1


def options(words):
    """KEY=VALUE words as a dictionary: numbers as such."""
    found = {}
    for word in words:
        key, value = word.split("=", 1)
        for kind in (int, float, str):
            try:
                found[key] = kind(value)
                break
            except ValueError:
                pass
    return found


def rate(call, seconds):
    """Calls a second, after one that is not counted."""
    call()
    n, start = 0, time.perf_counter()
    while True:
        call()
        n += 1
        taken = time.perf_counter() - start
        if taken >= seconds:
            return n / taken


def fastest(ways, seconds):
    """Of (name, make) pairs, where `make` gives what is to be called, the name and
    the call of the fastest, each measured three times in turn; ways that fail are
    left out."""
    calls, best = {}, {}
    for name, make in ways:
        try:
            calls[name] = make()
            calls[name]()
            best[name] = 0.0
        except Exception as error:  # a way that this version doesn't have
            print("%s: %s" % (name, error), file=sys.stderr)
            calls.pop(name, None)
    if not calls:
        sys.exit("no way works")
    if len(calls) > 1:
        for _ in range(3):
            for name, call in calls.items():
                best[name] = max(best[name], rate(call, seconds / 3))
    name = max(best, key=best.get)
    return name, calls[name]


def serve(name, measure):
    print("ready", name, flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        time.sleep(PAUSE)
        found = measure()
        time.sleep(PAUSE)
        print(found, flush=True)
