# SPDX-License-Identifier: Apache-2.0
"""What must hold of a trace of a run in Chrome's JSON format. Perfetto refuses or misdraws others."""

import collections
import json

SLACK_US = 1e-6  # times are microseconds with three decimals, read as floats


class Broken(Exception):
    """A rule that does not hold; the text begins with its name."""


def require(holds, rule, what):
    if not holds:
        raise Broken(f"{rule}: {what}")


def spans_of(trace):
    """All whole spans, as [name, pid, tid, begin, end, args]."""
    spans = []
    for event in trace["traceEvents"]:
        require(event["ph"] in ("M", "X", "i"), "all complete", f"begun or ended alone: {event}")
        if event["ph"] != "X":
            continue
        require("ts" in event and event.get("dur", -1) >= 0, "all complete", f"{event}")
        spans.append([event["name"], event["pid"], event["tid"], event["ts"],
                      event["ts"] + event["dur"], event["args"]])
    return spans


def check_nesting(spans):
    """On a track, each span follows another or lies within it."""
    tracks = collections.defaultdict(list)
    for span in spans:
        tracks[span[1], span[2]].append(span)
    for track, of_track in tracks.items():
        of_track.sort(key=lambda s: (s[3], -s[4]))
        open_spans = []
        for span in of_track:
            while open_spans and open_spans[-1][4] <= span[3] + SLACK_US:
                open_spans.pop()
            require(not open_spans or span[4] <= open_spans[-1][4] + SLACK_US, "strict nesting",
                    f"on track {track}: {span} overlaps {open_spans and open_spans[-1]}")
            open_spans.append(span)


def by_ticket(spans, name):
    found = {}
    for span in spans:
        if span[0] != name or span[1] > 2:  # what single SMs did is another matter
            continue
        ticket = span[5]["ticket"]
        require(ticket not in found, "all complete", f"two spans {name} of ticket {ticket}")
        found[ticket] = span
    return found


def check_order(spans):
    """One clock: a config is queued before it runs, and seen after that. Returns queue and steps."""
    queue, config, step, poll = (by_ticket(spans, n) for n in ("queue", "config", "step", "poll"))
    require(queue.keys() == config.keys() == step.keys() == poll.keys() and queue,
            "all complete", "a ticket lacks one of queue, config, step and poll")
    for ticket, q in queue.items():
        c, s, p = config[ticket], step[ticket], poll[ticket]
        require(q[3] <= c[3] + SLACK_US, "queued before taken", f"{q} {c}")
        require(c[4] <= p[4] + SLACK_US, "finished before polled", f"{c} {p}")
        require(c[3] <= s[3] + SLACK_US and s[4] <= c[4] + SLACK_US and c[2] == s[2],
                "step within config", f"{s} {c}")
        require(q[4] <= p[3] + SLACK_US, "queued before polled", f"{q} {p}")
    return list(queue.values()), list(step.values())


def check_workers(spans, uncertainty_us):
    """What SMs or threads ran is what the executor ran. Returns how many parts of steps there are."""
    config, count = by_ticket(spans, "config"), collections.Counter()
    for name, pid, _, begin, end, args in spans:
        if pid != 3 or name != "step":
            continue
        require(args["ticket"] in config, "worker's ticket", f"{args} is of no config")
        c = config[args["ticket"]]
        require(c[3] - uncertainty_us <= begin and end <= c[4] + uncertainty_us,
                "worker within config", f"{begin} to {end} is not within {c}")
        count[args["ticket"], args["worker"]] += 1
    require(all(n == 1 for n in count.values()), "worker's ticket", "a worker ran a ticket twice")
    return len(count)


def overlapping(queue, steps):
    """How many spans of queueing lie within the time of some step."""
    steps = sorted((s[3], s[4]) for s in steps)
    reach, at, count = -1.0, 0, 0  # reach: the latest end of the steps that have begun
    for span in sorted(queue, key=lambda q: q[3]):
        while at < len(steps) and steps[at][0] <= span[3]:
            reach = max(reach, steps[at][1])
            at += 1
        count += span[4] <= reach
    return count


def check(text, fed):
    """All rules. `fed`: the run queued ahead. Returns the spans."""
    trace = json.loads(text)
    spans = spans_of(trace)
    check_nesting(spans)
    queue, steps = check_order(spans)
    require(not fed or overlapping(queue, steps) > 0, "host and executor overlap",
            "nothing was queued while a step ran")
    check_workers(spans, 2e-3 * trace["otherData"]["clock_uncertainty_ns"] + SLACK_US)
    return spans
