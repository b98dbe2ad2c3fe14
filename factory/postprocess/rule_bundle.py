"""RuleBundle: the shape of a rule file, checked when it is read. A bundle that is not right is not used at all."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from factory.errors import Invalid, Problem
from factory.postprocess.normalize import normalize

DEFAULT_RULES = Path(__file__).parent / "rules" / "default.yaml"
# Without unbounded and nested repeats and back-references the time of a match is bounded by the pattern, not by the prompt.
NOT_LINEAR = re.compile(r"[*+]|\{\d*,\}|\)\{|\)\?\{|\(\?P=|\(\?R|\(\?\(")
LONGEST_REPEAT = 40
MOST_RANGES = 2
# Each may double the ways to match: (a?a?a?…)aaa…
MOST_OPTIONAL = 6
MOST_CHOICES = 6


def check_word(word: str) -> str:
    text = normalize(word).text
    if len(text.strip()) < 2:
        raise ValueError(f"word {word!r} has fewer than two letters after normalising; it would hit nearly everything")
    return word


def check_part(word: str) -> str:
    if not normalize(word).text.strip():
        raise ValueError(f"word {word!r} has no letters after normalising")
    return word


def check_regex(pattern: str) -> str:
    if re.search(r"\\[1-9]", pattern):
        raise ValueError(f"regex {pattern!r} has a back-reference")
    bare = re.sub(r"\\.", "", pattern)
    ranges = re.findall(r"\{(\d*),(\d+)\}", bare)
    if NOT_LINEAR.search(bare) or len(ranges) > MOST_RANGES or any(int(high) > LONGEST_REPEAT for _, high in ranges):
        raise ValueError(
            f"regex {pattern!r} may take too long: no * and +, no repeated group, at most {MOST_RANGES} ranges {{m,n}} with n ≤ {LONGEST_REPEAT}"
        )
    bare = re.sub(r"\[[^]]*\]", "", bare)
    optional, choices = len(re.findall(r"(?<!\()\?", bare)), len(re.findall(r"\((?!\?[=!<])[^()]*\|", bare))
    if optional > MOST_OPTIONAL or choices > MOST_CHOICES:
        raise ValueError(f"regex {pattern!r} may take too long: at most {MOST_OPTIONAL} times ? and {MOST_CHOICES} groups with |")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"regex {pattern!r}: {error}") from error
    return pattern


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pair(Strict):
    """One of `these` and one of `those`, in either order, with at most `within` characters between. `{1-17}岁` means each of 1岁 to 17岁."""

    these: tuple[Annotated[str, AfterValidator(check_part)], ...] = Field(min_length=1)
    those: tuple[Annotated[str, AfterValidator(check_part)], ...] = Field(min_length=1)
    within: int = Field(ge=0, le=80)


class Rule(Strict):
    """`scope` quoted: only text between quotation marks counts, which is what the picture will show as writing.

    `severe`: its words are also looked for behind marks and digits within them (po-rn, p*rn, 裸0体), at the price of a rare false hit.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    category: str = Field(min_length=1)
    action: Literal["block", "warn"]
    scope: Literal["prompt", "quoted"] = "prompt"
    suggestion: str = Field(min_length=1, description="what to write instead; shown to the customer")
    words: tuple[Annotated[str, AfterValidator(check_word)], ...] = ()
    regex: tuple[Annotated[str, AfterValidator(check_regex)], ...] = ()
    pairs: tuple[Pair, ...] = ()
    severe: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.words and not self.regex and not self.pairs:
            raise ValueError(f"rule {self.id!r} has neither words nor regex nor pairs")
        return self


class MustHit(Strict):
    """`rule` must hit `text`, with its own action."""

    text: str
    rule: str


class Golden(Strict):
    """Examples that the rules are held to whenever they are loaded."""

    must_hit: tuple[MustHit, ...] = Field(min_length=1)
    must_not_hit: tuple[str, ...] = Field(min_length=1)


class RuleBundle(Strict):
    """One file of rules. `allow`: phrases that excuse a hit which lies within them and is shorter."""

    name: str
    rules: tuple[Rule, ...] = Field(min_length=1)
    allow: tuple[Annotated[str, AfterValidator(check_word)], ...] = ()
    golden: Golden

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        ids = [rule.id for rule in self.rules]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"rule ids {twice} occur twice")
        unknown = sorted({example.rule for example in self.golden.must_hit} - set(ids))
        if unknown:
            raise ValueError(f"golden.must_hit names rules {unknown} that do not exist")
        return self

    @property
    def version(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical content: comments and layout of the file do not count."""
        canonical = json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def read_bundle(path: Path | None = None) -> RuleBundle:
    """Read a rule file; None: the one in the package. Raises Invalid that names each wrong field."""
    path = path or DEFAULT_RULES
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return RuleBundle.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"policy {path}: cannot be read: {error}", code="invalid_policy") from error
    except ValidationError as error:
        problems = [
            Problem("invalid_policy", item["msg"], "/" + "/".join(map(str, item["loc"])), str(item["input"])[:80])
            for item in error.errors()
        ]
        shown = "; ".join(f"{problem.pointer}: {problem.message}" for problem in problems)
        raise Invalid(f"policy {path}: {shown}", *problems, code="invalid_policy") from error
