"""Fold a normalised prompt further: undo spellings that only hide a word.

Symbols between Chinese characters (毒*品), single letters (s.e.x), repeats (nuuude), digits for letters (p0rn). Homophones, pinyin and
split components are not undone: they would hit too many innocent words.
"""

from __future__ import annotations

import re

from factory.postprocess.normalize import Normalized, Offsets, is_ideograph

LEET = str.maketrans("013457", "oieast")
LONGEST_GAP = 4
# What also stands between words of honest text; any other separator between two ideographs is there to hide.
HONEST_SEPARATORS = frozenset(" ,.;:!?()、。·/&+\"'“”‘’「」『』《》")
# Not [\W_]+: a pattern that begins with one set skips to its characters, any other is tried at each.
SEPARATORS = re.compile(r"[\W_][\W_]*")
# Digits stand for letters only beside letters; a word that is neither so nor has a letter three times in a row is as it was meant.
MIXED = re.compile(r"[0-9](?:(?=[a-z])|(?<=[a-z].))")
TRIPLED = re.compile(r"([a-z])\1\1")
WORD = re.compile(r"[0-9]*[a-z][0-9a-z]*")
REPEATED = re.compile(r"(.)\1\1+")
Run = tuple[int, int, bool]


def fold(plain: Normalized) -> Normalized:
    """Offsets still point into the original; `gaps` keep what was squashed."""
    text = plain.text
    pieces: list[str] = []
    runs: list[Run] = []
    gaps: dict[int, str] = {}
    at = length = 0
    for run in SEPARATORS.finditer(text):
        begin, end = run.span()
        pieces.append(text[at:begin])
        length += begin - at
        squashed = begin > 0 and end < len(text) and end - begin <= LONGEST_GAP and joins(text, begin, end)
        if squashed:
            gaps[length] = text[begin:end]
        else:
            pieces.append(" ")
            length += 1
        runs.append((begin, end, squashed))
        at = end
    pieces.append(text[at:])
    return unhide(Normalized("".join(pieces), lambda: offsets_without(plain, runs), gaps))


def offsets_without(plain: Normalized, runs: list[Run]) -> Offsets:
    """Those of `plain`, each of the runs of separators squashed or made one space."""
    before, after = plain.starts, plain.ends
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for begin, end, squashed in runs:
        starts += before[at:begin]
        ends += after[at:begin]
        if not squashed:
            starts.append(before[begin])
            ends.append(after[end - 1])
        at = end
    starts += before[at:]
    ends += after[at:]
    return starts, ends


def joins(text: str, start: int, end: int) -> bool:
    """Whether the separators text[start:end] stand between two ideographs or two letters that stand alone."""
    left, right = text[start - 1], text[end]
    if not left.isascii():
        return is_ideograph(left) and is_ideograph(right)
    if is_word(text[start - 2 : start - 1]) or is_word(text[end + 1 : end + 2]):
        return False
    return right.isascii() and left.isalpha() and right.isalpha()


def is_word(character: str) -> bool:
    """A letter or digit of a script that writes words with spaces between."""
    return character.isalnum() and not is_ideograph(character)


def unhide(folded: Normalized) -> Normalized:
    """In each Latin word: digits become the letters they stand for, then three or more of one letter become one."""
    if not (MIXED.search(folded.text) or TRIPLED.search(folded.text)):
        return folded
    text = WORD.sub(lambda word: word[0].translate(LEET), folded.text)
    kept: list[int] = []
    starts, ends = folded.starts, list(folded.ends)
    at = 0
    for word in WORD.finditer(text):
        for run in REPEATED.finditer(text, *word.span()):
            kept += range(at, run.start() + 1)
            ends[run.start()] = ends[run.end() - 1]
            at = run.end()
    kept += range(at, len(text))
    return pick(Normalized(text, lambda: (starts, ends), folded.gaps), kept)


def pick(where: Normalized, kept: list[int]) -> Normalized:
    """Only the characters at the positions `kept`."""
    gaps = {new: where.gaps[old] for new, old in enumerate(kept) if old in where.gaps} if where.gaps else {}
    text = "".join([where.text[at] for at in kept])
    starts, ends = where.starts, where.ends
    return Normalized(text, lambda: ([starts[at] for at in kept], [ends[at] for at in kept]), gaps)


def is_doubtful(folded: Normalized, start: int, end: int) -> bool:
    """Whether text[start:end] only met by squashing what honest text has too, inside longer words on both sides: 消毒 品味."""
    gaps = [folded.gaps[at] for at in range(start + 1, end) if at in folded.gaps]
    runs_on_before = start > 0 and is_ideograph(folded.text[start - 1]) and start not in folded.gaps
    runs_on_after = is_ideograph(folded.text[end : end + 1]) and end not in folded.gaps
    return runs_on_before and runs_on_after and any(set(gap) <= HONEST_SEPARATORS for gap in gaps)
