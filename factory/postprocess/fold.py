"""Fold a normalised prompt further: undo spellings that only hide a word.

Symbols between Chinese characters (毒*品), single letters (s.e.x), repeats (nuuude), digits for letters (p0rn). Homophones, pinyin and
split components are not undone: they would hit too many innocent words.
"""

from __future__ import annotations

from itertools import groupby

from factory.postprocess.normalize import Letter, Normalized, is_ideograph

LEET = str.maketrans("013457", "oieast")
LONGEST_GAP = 4
# What also stands between words of honest text; any other separator between two ideographs is there to hide.
HONEST_SEPARATORS = frozenset(" ,.;:!?()、。·/&+\"'“”‘’「」『』《》")


def fold(plain: Normalized) -> Normalized:
    """Offsets still point into the original; `gap` keeps what was squashed."""
    letters, text = plain.letters, plain.text
    out: list[Letter] = []
    at = 0
    while at < len(text):
        end = at
        while end < len(text) and not text[end].isalnum():
            end += 1
        if end == at:
            out.append(letters[at])
            at += 1
        elif at > 0 and end < len(text) and end - at <= LONGEST_GAP and joins(text, at, end):
            out.append(letters[end]._replace(gap=text[at:end]))
            at = end + 1
        else:
            out.append(Letter(" ", letters[at].start, letters[end - 1].end))
            at = end
    return Normalized(unhide(out))


def joins(text: str, start: int, end: int) -> bool:
    """Whether the separators text[start:end] stand between two ideographs or two letters that stand alone."""
    left, right = text[start - 1], text[end]
    if is_ideograph(left) and is_ideograph(right):
        return True
    alone = not is_word(text[start - 2 : start - 1]) and not is_word(text[end + 1 : end + 2])
    return alone and left.isascii() and right.isascii() and left.isalpha() and right.isalpha()


def is_word(character: str) -> bool:
    """A letter or digit of a script that writes words with spaces between."""
    return character.isalnum() and not is_ideograph(character)


def unhide(letters: list[Letter]) -> list[Letter]:
    """In each Latin word: digits become the letters they stand for, then three or more of one letter become one."""
    out: list[Letter] = []
    for latin, group in groupby(letters, lambda letter: letter.text.isascii() and letter.text.isalnum()):
        word = list(group)
        if latin and any(letter.text.isalpha() for letter in word):
            word = [letter._replace(text=letter.text.translate(LEET)) for letter in word]
            for _, same in groupby(word, lambda letter: letter.text):
                run = list(same)
                out += [run[0]._replace(end=run[-1].end)] if len(run) > 2 else run
        else:
            out += word
    return out


def is_doubtful(folded: Normalized, start: int, end: int) -> bool:
    """Whether text[start:end] only met by squashing what honest text has too, inside longer words on both sides: 消毒 品味."""
    gaps = [letter.gap for letter in folded.letters[start + 1 : end] if letter.gap]
    before, after = folded.letters[start - 1 : start], folded.letters[end : end + 1]
    runs_on_before = bool(before) and is_ideograph(before[0].text) and not folded.letters[start].gap
    runs_on_after = bool(after) and is_ideograph(after[0].text) and not after[0].gap
    return runs_on_before and runs_on_after and any(set(gap) <= HONEST_SEPARATORS for gap in gaps)
