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
    the call of the fastest; ways that fail are left out."""
    best = (0.0, None, None)
    for name, make in ways:
        try:
            call = make()
            call()
            found = rate(call, seconds / 2)
        except Exception as error:  # a way that this version doesn't have
            print("%s: %s" % (name, error), file=sys.stderr)
            continue
        if found > best[0]:
            best = (found, name, call)
    if best[2] is None:
        sys.exit("no way works")
    return best[1], best[2]


def serve(name, measure):
    print("ready", name, flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        time.sleep(PAUSE)
        found = measure()
        time.sleep(PAUSE)
        print(found, flush=True)
