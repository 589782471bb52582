"""The part `kinds`: Lagoon and pgvector on many kinds of data (kinds.py), hnsw and in short ivfflat. Writes Markdown to the file
BENCH_KINDS_TABLE, anew after each kind.

Seconds of a build are those of CREATE INDEX and of what is inserted into the index of its first rows by COPY.

Recall is that of the K nearest rows, and whatever is as near as the last of them is a hit. Rates are of one connection, in turns
over both servers, the best of REPEATS rounds. "Processor" are the same by the processor time of the backend, which a busy machine
changes less; none of them with BENCH_SECONDS=0. "Net" is without the time of a statement that only takes the parameter.
BENCH_KIND_ROWS and BENCH_KINDS, names separated by commas, choose the data.
"""

import os
import statistics

import common
import kinds
from datasets import K
from servers import SECONDS

EFFORTS = {"hnsw": [10, 20, 40, 100, 200, 400], "ivfflat": [1, 5, 20]}
SHOWN = {"hnsw": [40, 100, 400], "ivfflat": [1, 5, 20]}
COMMON = {"hnsw": 100, "ivfflat": 5}  # rates are compared at the lower of both recalls here
RECALLS = [0.95, 0.99]
BELOW, FASTER, SMALLER = 0.01, 3, 0.45  # what does less is named below the tables
REPEATS, REBUILDS = 3, 4
HEAD = """# Kinds of data

<!-- Written by `BENCH_PARTS=kinds make bench-vector`. -->

[Against peers](README.md#kinds-of-data) says what the columns mean.
"""
AS_IT_IS, PROCESSOR = 0, 1  # of the two rates that a server measures


class Result:
    """What one server did with one kind. By effort: `recalls`, the variances of these means where there were several indexes, and
    `rates`; `floor` are those rates without an index."""

    def __init__(self):
        self.recalls, self.variances, self.rates, self.floor = {}, {}, {}, [0.0, 0.0]
        self.size = self.build = self.inserts = None

    def rate(self, recall, which, net):
        """Queries per second at a recall, None if it is not reached."""
        floor = 1 / self.floor[which] if net else 0.0
        # A query that seems to take less than its parameter alone: both are noise.
        points = [(self.recalls[at], 1 / max(1 / self.rates[at][which] - floor, 1e-6)) for at in self.rates]
        return common.at_recall(points, recall)


class Comparison:
    """The results of Lagoon and pgvector with one kind."""

    def __init__(self, kind, method):
        self.kind, self.method = kind, method
        self.both = self.ours, self.theirs = Result(), Result()

    def lower(self):
        """The recall that both reach at the common effort."""
        return min(result.recalls[COMMON[self.method]] for result in self.both)

    def times(self, recall, which, net):
        """How many times faster Lagoon is."""
        ours, theirs = (result.rate(recall, which, net) for result in self.both)
        return ours / theirs if ours and theirs else None

    def worst(self):
        """The largest loss of recall at one effort, a negative number, or the smallest gain."""
        return min(self.differences().values())

    def differences(self):
        return {effort: self.ours.recalls[effort] - self.theirs.recalls[effort] for effort in self.ours.recalls}

    def is_below(self):
        """By more than BELOW and, where indexes differ by chance, by more than chance."""
        noise = {effort: 2 * sum(r.variances.get(effort, 0) for r in self.both) ** 0.5 for effort in self.ours.recalls}
        return any(difference < -BELOW - noise[effort] for effort, difference in self.differences().items())


def measure(kind, servers, method):
    found = Comparison(kind, method)
    efforts = EFFORTS[method]
    for server in servers:
        server.method = method
        server.load(kind, kind.before)
        server.reset()
    for server, result in zip(servers, found.both):
        result.build = common.seconds(server.build)
        if kind.before < len(kind.rows):
            result.build += common.seconds(lambda server=server: server.add(kind.before))
        result.size = server.size()
        server.check_plan()
        server.execute("VACUUM items")
        server.execute("CHECKPOINT")
        recalls = [{effort: kind.recall(server.search(effort)) for effort in efforts}]
        # Lists begin at rows that are drawn: two indexes of the same server differ by more than what is looked for here.
        for _ in range(REBUILDS if method == "ivfflat" and kind.before == len(kind.rows) else 0):
            server.reset()
            server.build()
            recalls.append({effort: kind.recall(server.search(effort)) for effort in efforts})
        for effort in efforts:
            several = [one[effort] for one in recalls]
            result.recalls[effort] = statistics.mean(several)
            if len(several) > 1:
                result.variances[effort] = statistics.variance(several) / len(several)
    for _ in range(REPEATS if SECONDS else 0):
        for server, result in zip(servers, found.both):
            result.floor = fastest(result.floor, server.floor(SECONDS / 4))
        for effort in efforts:
            for server, result in zip(servers, found.both):
                result.rates[effort] = fastest(result.rates.get(effort, [0, 0]), server.rates(effort, SECONDS / 4))
    if method == "hnsw" and SECONDS:
        for server, result in zip(servers, found.both):
            result.inserts = server.insert()
    for server in servers:
        server.execute("DROP TABLE items")
        server.method = "hnsw"
    return found


def fastest(*rates):
    return [max(column) for column in zip(*rates)]


def recall_cells(result, method):
    return " / ".join(f"{result.recalls[effort]:.3f}" for effort in SHOWN[method])


def ratio(number):
    return "" if number is None else f"{number:.2f}"


def head(*columns):
    """With the names of the columns to the left, all others to the right."""
    return [f"| {' | '.join(columns)} |", "|---|" + "--:|" * (len(columns) - 1)]


def line(*cells):
    return f"| {' | '.join(cells)} |"


def tables(comparisons, method, peer):
    shown = ", ".join(map(str, SHOWN[method]))
    setting = "ef_search" if method == "hnsw" else "probes"
    lines = head(
        f"{method}: kind (rows, type and distance, dimensions)", f"recall@{K} at {setting} {shown}", peer, "worst difference",
        "MB", peer, "ratio", "build s", peer, "ratio", "inserts/s", peer,
    )  # fmt: skip
    for found in comparisons:
        kind, ours, theirs = found.kind, found.ours, found.theirs
        lines.append(line(
            kind.described, recall_cells(ours, method), recall_cells(theirs, method), f"{found.worst():+.3f}",
            f"{ours.size / 1e6:.1f}", f"{theirs.size / 1e6:.1f}", ratio(ours.size / theirs.size),
            f"{ours.build:.1f}", f"{theirs.build:.1f}", ratio(theirs.build / ours.build),
            *(common.amount(result.inserts) if result.inserts else "" for result in found.both),
        ))  # fmt: skip
    misses = [
        (f"recall more than {BELOW} below", Comparison.is_below),
        (f"larger than {SMALLER} of {peer}'s", lambda c: c.ours.size > SMALLER * c.theirs.size),
    ]
    if SECONDS:
        lines += rate_table(comparisons, method, peer)
        misses += [
            (f"net of the round trip less than {FASTER} times the rate", lambda c: c.times(c.lower(), AS_IT_IS, True) < FASTER),
            ("the same by processor time", lambda c: c.times(c.lower(), PROCESSOR, True) < FASTER),
        ]
    for title, misses_it in misses:
        names = [found.kind.name for found in comparisons if misses_it(found)]
        lines.append(f"\n{method}, {title}: {', '.join(names) or 'none'}.")
    return lines


def rate_table(comparisons, method, peer):
    lines = ["", *head(
        f"{method}: kind", "at recall", "queries/s", peer, "ratio", "net", "processor", "processor net",
        *(f"net at {recall}" for recall in RECALLS), *(f"processor net at {recall}" for recall in RECALLS),
    )]  # fmt: skip
    for found in comparisons:
        at = found.lower()
        lines.append(line(
            found.kind.name, f"{at:.3f}", *(common.amount(result.rate(at, AS_IT_IS, False)) for result in found.both),
            *(ratio(found.times(at, which, net)) for which in (AS_IT_IS, PROCESSOR) for net in (False, True)),
            *(ratio(found.times(recall, which, True)) for which in (AS_IT_IS, PROCESSOR) for recall in RECALLS),
        ))  # fmt: skip
    return lines


def compare(lagoon, pgvector):
    results = {"hnsw": [], "ivfflat": []}
    for kind in kinds.chosen():
        kind.fill()
        kind.described = f"{kind.name} ({len(kind.rows):,}, {kind.opclass[:-4].replace('_', ' ')}, {kind.dimensions:,})"
        for method, comparisons in results.items():
            # Over an empty table the centres of lists are drawn, which says nothing about data.
            if method == "hnsw" or (kind.has_lists and kind.before):
                common.say(f"vector: {method}, {kind.described}")
                comparisons.append(measure(kind, (lagoon, pgvector), method))
                for text in tables(comparisons[-1:], method, pgvector.name):
                    common.say(text)
        kind.empty()
        with open(os.environ["BENCH_KINDS_TABLE"], "w") as file:
            file.write(HEAD + "\n")
            for method, comparisons in results.items():
                if comparisons:
                    file.write("\n".join([*tables(comparisons, method, pgvector.name), "", ""]))
