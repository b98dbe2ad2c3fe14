"""PromptRules: judge a prompt and say exactly why.

rules = load_rules()
decision = rules.evaluate("一位模特，毒 品")
decision.blocked  # Hit(rule="drugs", span=(5, 8), matched="毒 品", …)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from factory.errors import Invalid
from factory.postprocess.disguise import Disguises
from factory.postprocess.fold import fold, is_doubtful
from factory.postprocess.normalize import normalize
from factory.postprocess.rule_bundle import Rule, RuleBundle, read_bundle
from factory.postprocess.spellings import spellings
from factory.postprocess.word_tree import Owner, WordTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from factory.postprocess.normalize import Normalized

LONGEST_PROMPT = 8000
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|「[^」]*」|『[^』]*』|‘[^’]*’|＂[^＂]*＂")
# A pattern that begins with "no digit before" or with a word boundary, and then a character or a set that stands there once.
LEADING = re.compile(r"(?:\(\?<!\\d\)(?P<any>[0-9a-z]|\[[0-9a-z-]+\])|\\b(?P<word>[0-9a-z]))(?![?{*+])")


@dataclass(frozen=True)
class Hit:
    """`span` is (start, end) in characters of the prompt as it was sent; `matched` is that text."""

    rule: str
    category: str
    action: Literal["block", "warn"]
    span: tuple[int, int]
    matched: str
    suggestion: str


@dataclass(frozen=True)
class Decision:
    """`version` names the rules that judged. Hits are in reading order."""

    version: str
    hits: tuple[Hit, ...] = ()

    @property
    def blocked(self) -> Hit | None:
        """The first hit that forbids the prompt."""
        return next((hit for hit in self.hits if hit.action == "block"), None)


class Evidence(NamedTuple):
    """A word of `owner` at `span` of the prompt as sent; `doubtful` when it only met by squashing honest separators."""

    owner: Owner
    span: tuple[int, int]
    doubtful: bool


class PromptRules:
    """Rules ready to judge; safe to share between threads. Raises Invalid when the bundle fails its own golden examples."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.version = bundle.version
        self._rules = {rule.id: rule for rule in bundle.rules}
        words = [(normalize(word), owner) for rule in bundle.rules for word, owner in words_of(rule)]
        self._plain = WordTree((word.text.strip(), owner) for word, owner in words)
        self._folded = WordTree((fold(word).text.strip(), owner) for word, owner in words)
        self._disguises = Disguises((word.text.strip(), owner) for word, owner in words if self._rules[owner.rule].severe)
        self._allow = WordTree((normalize(word).text.strip(), Owner("")) for allowed in bundle.allow for word in spellings(allowed))
        # ASCII: a Chinese character beside a Latin word is a word boundary.
        self._regexes = [(re.compile(skipping(pattern), re.ASCII), Owner(rule.id)) for rule in bundle.rules for pattern in rule.regex]
        self._prove(bundle)

    def evaluate(self, prompt: str) -> Decision:
        """Raises Invalid for a prompt over 8000 characters: what cannot be judged is not let through."""
        if len(prompt) > LONGEST_PROMPT:
            raise Invalid(f"prompt has {len(prompt)} characters; send at most {LONGEST_PROMPT}", code="prompt_too_long")
        plain = normalize(prompt)
        found = dict.fromkeys(self._find(plain))
        if not found:
            return Decision(self.version)
        excused: dict[int, list[tuple[int, int]]] = {}
        for _, start, end in self._allow.find(plain):
            phrase = plain.span(start, end)
            for at in range(*phrase):
                excused.setdefault(at, []).append(phrase)
        quoted = [match.span() for match in QUOTED.finditer(prompt)]
        counted = [evidence for evidence in found if not any(covers(outer, evidence.span) for outer in excused.get(evidence.span[0], ()))]
        hits: list[Hit] = []
        taken: dict[str, set[int]] = {rule: set() for rule in self._rules}
        # Certain evidence before doubtful, long before short.
        for owner, span, doubtful in sorted(self._united(counted), key=lambda one: (one.doubtful, one.span[0] - one.span[1])):
            rule = self._rules[owner.rule]
            if rule.scope == "quoted" and not any(covers(outer, span) for outer in quoted):
                continue
            if taken[owner.rule].isdisjoint(range(*span)):
                taken[owner.rule].update(range(*span))
                hits.append(make_hit(rule, prompt, span, doubtful=doubtful))
        return Decision(self.version, tuple(sorted(hits, key=lambda hit: hit.span)))

    def _find(self, plain: Normalized) -> Iterator[Evidence]:
        for owner, start, end in self._plain.find(plain):
            yield Evidence(owner, plain.span(start, end), doubtful=False)
        for regex, owner in self._regexes:
            for match in regex.finditer(plain.text):
                if match.group():
                    yield Evidence(owner, plain.span(*match.span()), doubtful=False)
        folded = fold(plain)
        for owner, start, end in self._folded.find(folded):
            yield Evidence(owner, folded.span(start, end), is_doubtful(folded, start, end))
        for owner, span in self._disguises.find(plain, folded):
            yield Evidence(owner, span, doubtful=False)

    def _united(self, found: Iterable[Evidence]) -> Iterator[Evidence]:
        """Words as they are; of pairs, the two sides where they stand near each other."""
        last: dict[Owner, Evidence] = {}
        for evidence in sorted(found, key=lambda one: one.span):
            owner = evidence.owner
            if owner.pair < 0:
                yield evidence
                continue
            other = last.get(owner._replace(side=1 - owner.side))
            if other and evidence.span[0] - other.span[1] <= self._rules[owner.rule].pairs[owner.pair].within:
                span = other.span[0], max(other.span[1], evidence.span[1])
                yield Evidence(Owner(owner.rule), span, evidence.doubtful or other.doubtful)
            last[owner] = evidence

    def _prove(self, bundle: RuleBundle) -> None:
        wrong = [
            f"{example.text!r} must hit {example.rule!r}"
            for example in bundle.golden.must_hit
            if not any(h.rule == example.rule and h.action == self._rules[h.rule].action for h in self.evaluate(example.text).hits)
        ]
        for text in bundle.golden.must_not_hit:
            wrong += [f"{text!r} must not hit, but {hit.rule!r} hit {hit.matched!r}" for hit in self.evaluate(text).hits]
        if wrong:
            raise Invalid(f"policy {bundle.name!r} fails its own examples: {'; '.join(wrong)}", code="invalid_policy")


def load_rules(path: Path | None = None) -> PromptRules:
    """Read, check and prove a rule file; None: the one in the package. Raises Invalid: without good rules nothing is let through."""
    return PromptRules(read_bundle(path))


def words_of(rule: Rule) -> Iterator[tuple[str, Owner]]:
    """Each spelling of each word of a rule, and whose it is."""
    for word in rule.words:
        yield from ((spelling, Owner(rule.id)) for spelling in spellings(word))
    for at, pair in enumerate(rule.pairs):
        for side, words in enumerate((pair.these, pair.those)):
            yield from ((spelling, Owner(rule.id, at, side)) for word in words for spelling in spellings(word))


def make_hit(rule: Rule, prompt: str, span: tuple[int, int], *, doubtful: bool) -> Hit:
    """A doubtful hit may at most warn."""
    action = "warn" if doubtful else rule.action
    return Hit(rule.id, rule.category, action, span, prompt[span[0] : span[1]], rule.suggestion)


def covers(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    """Strictly: `outer` holds `inner` and more."""
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


def skipping(pattern: str) -> str:
    """The same pattern, with its first character before the look behind it: a search skips to such characters instead of trying each."""
    found = LEADING.match(pattern)
    if not found:
        return pattern
    first, before = (found["any"], r"\d") if found["any"] else (found["word"], r"\w")
    return f"{first}(?<!{before}{first}){pattern[found.end() :]}"
