"""Rounds of a pair, and the judgement of what they leave behind.

A round is judged by four questions: is each answer one that is honest here, did a call get through
at all, is the result that of some order in which the successful calls came one after another (so
that a refusal has changed nothing), and does the row's own judgement hold. When all rounds of a
pair have ended, the rules of a healthy tree are asked over the whole directory.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from iredldap.dit.consistency import checks
from tests.races.hands import Answer, Hands
from tests.races.pair import Call, Ending, Names, Pair
from tests.races.stage import DELETED, Picture, Stage, comparable, difference

_TOKEN = re.compile(r"r\d{6}")
_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Args:
        kind: `violation`, `answer`, `order`, `nobody` or `judgement`.
        text: What.
        answers: Those of the round, or "" where the round is not known.
    """

    kind: str
    text: str
    answers: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f" [{self.answers}]" if self.answers else "")


@dataclass
class Result:
    """What became of a pair.

    Args:
        pair: The row.
        rounds: How many there were.
        answers: How often which answers came together.
        busy: How often a call was refused with 503 and `Retry-After`.
        findings: What must not be.
    """

    pair: Pair
    rounds: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def told(self) -> str:
        """The commonest answers."""
        common = self.answers.most_common(_SHOWN)
        rest = self.answers.total() - sum(count for _, count in common)
        said = [f"{count} times {answers}" for answers, count in common]
        return "; ".join(said + ([f"{rest} others"] if rest else []))


@dataclass
class Contest:
    """Runs pairs on a stage, one round after another.

    Args:
        stage: The directory and the mailing lists.
        hands: What calls are sent by.
    """

    stage: Stage
    hands: Hands
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, pair: Pair, rounds: int) -> Result:
        """Hold all rounds of a pair on an empty stage and judge them; leave it empty."""
        result = Result(pair)
        orders = _Orders(self, pair)
        seen: dict[str, str] = {}
        for _ in range(rounds):
            names = self._fresh_names()
            seen[names.token] = self._round(pair, names, orders, result)
        result.findings += self._violations(seen)
        self.stage.wipe()
        self.hands.forget_callers()
        return result

    def outcome(self, pair: Pair, order: tuple[int, ...]) -> Picture:
        """Return what is left when some of the calls come one after another, in this order."""
        names = self._fresh_names()
        self._prepare(pair, names)
        try:
            for call in pair.calls:
                self.hands.log_in(names.fill(call.who))
            for number in order:
                self.hands.one(pair.calls[number], names)
            return comparable(self.stage.picture(names), names)
        finally:
            self._tidy(pair, names)

    def _round(self, pair: Pair, names: Names, orders: "_Orders", result: Result) -> str:
        self._prepare(pair, names)
        try:
            answers = self.hands.together(pair.calls, names)
            told = " | ".join(map(str, answers))
            after = self.stage.picture(names)
            if pair.is_alone:
                result.findings += self._violations({names.token: told})
        finally:
            self._tidy(pair, names)
        result.rounds += 1
        result.answers[told] += 1
        result.busy += sum(answer.busy for answer in answers)
        ending = Ending(names, tuple(answer.is_yes for answer in answers), after)
        for kind, text in self._judged(pair, answers, ending, orders):
            result.findings.append(Finding(kind, text, told))
        return told

    def _judged(
        self, pair: Pair, answers: list[Answer], ending: Ending, orders: "_Orders"
    ) -> Iterator[tuple[str, str]]:
        for call, answer in zip(pair.calls, answers, strict=True):
            if fault := _fault(pair, call, answer):
                yield "answer", fault
        winners = sum(ending.succeeded)
        if pair.winners is None and not winners:
            yield "nobody", "no call got through"
        elif pair.winners is not None and winners != pair.winners:
            yield "judgement", f"{winners} instead of {pair.winners} calls succeeded"
        for text in pair.judge(ending) if pair.judge else ():
            yield "judgement", text
        for path in _deleted_in_use(ending):
            yield "judgement", f"{path} is written down as deleted, and used by an account"
        yield from orders.judge(ending)

    def _prepare(self, pair: Pair, names: Names) -> None:
        for step in pair.before:
            if isinstance(step, Call):
                answer = self.hands.one(step, names)
                if not answer.is_yes:
                    raise AssertionError(f"{pair.name}: {step.path} answered {answer}")
            else:
                self.stage.make(step, names)
        if pair.is_alone:
            for call in pair.calls:
                self.hands.log_in(names.fill(call.who))
            self.stage.switch_root("disabled")

    def _tidy(self, pair: Pair, names: Names) -> None:
        if pair.is_alone:
            # Before anything else: the installation must not stay without a global admin.
            self.stage.switch_root("active")
            self.stage.wipe()

    def _violations(self, seen: dict[str, str]) -> Iterator[Finding]:
        for violation in checks.examine(self.stage.tree, self.stage.entries()):
            text = f"{violation.rule} {violation.dn}: {violation.reason}"
            found = _TOKEN.search(text)
            told = seen.get(found[0], "one after another") if found else ""
            yield Finding("violation", text, told)

    def _fresh_names(self) -> Names:
        return Names(f"r{next(self._numbers):06d}")


class _Orders:
    """What the calls of a pair leave when they come one after another, computed when asked."""

    def __init__(self, contest: Contest, pair: Pair) -> None:
        self._contest, self._pair = contest, pair
        self._known: dict[tuple[int, ...], Picture] = {}

    def judge(self, ending: Ending) -> Iterator[tuple[str, str]]:
        """Say how a result differs from that of each order of the calls that succeeded."""
        found = comparable(ending.entries, ending.names)
        nearest: list[str] | None = None
        yes = [number for number, is_yes in enumerate(ending.succeeded) if is_yes]
        for order in itertools.permutations(yes):
            differs = difference(self._outcome(order), found)
            if not differs:
                return
            if nearest is None or len(differs) < len(nearest):
                nearest = differs
        kind = "order" if all(ending.succeeded) else "refusal"
        yield kind, "; ".join((nearest or [])[:_SHOWN])

    def _outcome(self, order: tuple[int, ...]) -> Picture:
        if order not in self._known:
            self._known[order] = self._contest.outcome(self._pair, order)
        return self._known[order]


def _deleted_in_use(ending: Ending) -> set[str]:
    """Return the mailboxes that iRedMail will remove, although an account has them."""
    used = {path for entry in ending.entries.values() for path in entry.get("homeDirectory", ())}
    gone = {path for entry in ending.entries.values() for path in entry.get(DELETED, ())}
    return {path.rstrip("/") for path in used} & {path.rstrip("/") for path in gone}


def _fault(pair: Pair, call: Call, answer: Answer) -> str:
    words = f"{call.method} {call.path}: {answer}"
    if answer.fault:
        return f"{words} ({answer.fault})"
    if answer.status == 503:
        return f"{words}, again and again"
    if not answer.is_yes and not set(answer.code.split(",")) <= pair.refusals:
        return words
    return ""
