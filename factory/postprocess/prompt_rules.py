"""PromptRules: judge a prompt and say exactly why.

rules = load_rules()
decision = rules.evaluate("一位模特，毒 品")
decision.blocked  # Hit(rule="drugs", span=(5, 8), matched="毒 品", …)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from factory.errors import Invalid
from factory.postprocess.fold import fold, is_doubtful, is_word
from factory.postprocess.normalize import Normalized, normalize
from factory.postprocess.rule_bundle import Rule, RuleBundle, read_bundle
from factory.postprocess.word_tree import WordTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_PROMPT = 8000
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|「[^」]*」|『[^』]*』|‘[^’]*’|＂[^＂]*＂")


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


class PromptRules:
    """Rules ready to judge; safe to share between threads. Raises Invalid when the bundle fails its own golden examples."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.version = bundle.version
        self._rules = {rule.id: rule for rule in bundle.rules}
        words = [(word, rule.id) for rule in bundle.rules for word in rule.words]
        self._plain = WordTree((normalize(word).text.strip(), rule) for word, rule in words)
        self._folded = WordTree((fold(normalize(word)).text.strip(), rule) for word, rule in words)
        self._allow = WordTree((normalize(word).text.strip(), "") for word in bundle.allow)
        # ASCII: a Chinese character beside a Latin word is a word boundary.
        self._regexes = [(re.compile(pattern, re.ASCII), rule.id) for rule in bundle.rules for pattern in rule.regex]
        self._prove(bundle)

    def evaluate(self, prompt: str) -> Decision:
        """Raises Invalid for a prompt over 8000 characters: what cannot be judged is not let through."""
        if len(prompt) > LONGEST_PROMPT:
            raise Invalid(f"prompt has {len(prompt)} characters; send at most {LONGEST_PROMPT}", code="prompt_too_long")
        plain = normalize(prompt)
        excused = [plain.span(start, end) for _, start, end in find_words(self._allow, plain)]
        quoted = [match.span() for match in QUOTED.finditer(prompt)]
        hits: list[Hit] = []
        for rule_id, span, doubtful in self._find(plain):
            rule = self._rules[rule_id]
            if rule.scope == "quoted" and not any(covers(outer, span) for outer in quoted):
                continue
            if any(covers(outer, span) for outer in excused):
                continue
            if not any(hit.rule == rule_id and overlap(hit.span, span) for hit in hits):
                hits.append(make_hit(rule, prompt, span, doubtful=doubtful))
        return Decision(self.version, tuple(sorted(hits, key=lambda hit: hit.span)))

    def _find(self, plain: Normalized) -> Iterator[tuple[str, tuple[int, int], bool]]:
        """(rule, span, doubtful): certain evidence before doubtful, long before short."""
        found = [(rule, plain.span(start, end), False) for rule, start, end in find_words(self._plain, plain)]
        for regex, rule in self._regexes:
            found += [(rule, plain.span(*match.span()), False) for match in regex.finditer(plain.text) if match.group()]
        folded = fold(plain)
        found += [(rule, folded.span(start, end), is_doubtful(folded, start, end)) for rule, start, end in find_words(self._folded, folded)]
        yield from sorted(found, key=lambda item: (item[2], item[1][0] - item[1][1]))

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


def find_words(tree: WordTree, where: Normalized) -> Iterator[tuple[str, int, int]]:
    """(owner, start, end) of each word; one that begins or ends with a Latin letter must stand alone there."""
    for owner, start, end in tree.find(where.text):
        if not glued(where, start, start + 1) and not glued(where, end, end - 1):
            yield owner, start, end


def glued(where: Normalized, at: int, inner: int) -> bool:
    """Whether letters go on across the edge `at` of a word; in "a s-e-x" the other separator ends the word. `inner` is the gap inside it."""
    if not (0 < at < len(where.text) and is_word(where.text[at - 1]) and is_word(where.text[at])):
        return False
    return where.letters[at].gap == where.letters[inner].gap


def make_hit(rule: Rule, prompt: str, span: tuple[int, int], *, doubtful: bool) -> Hit:
    """A doubtful hit may at most warn."""
    action = "warn" if doubtful else rule.action
    return Hit(rule.id, rule.category, action, span, prompt[span[0] : span[1]], rule.suggestion)


def covers(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    """Strictly: `outer` holds `inner` and more."""
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
