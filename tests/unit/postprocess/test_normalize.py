import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.postprocess.fold import fold
from factory.postprocess.normalize import normalize, normalize_character

TRICKY = st.sampled_from(list("毒品槍裸體AaＡéѕоßŒﬁ㎏①ⅷﷺが _-*.·🌸\u3000\t\n\u200b\u200d\ufe0f\u202e\u20dd\u2060\u0301\u3099"))
TEXTS = st.lists(st.one_of(TRICKY, st.characters()), max_size=40).map("".join)


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_every_letter_points_at_the_character_it_came_from(text):
    for form in (normalize(text), fold(normalize(text))):
        assert len(form.text) == len(form.starts) == len(form.ends)
        assert list(form.starts) == sorted(form.starts)
        assert all(0 <= start < end <= len(text) for start, end in zip(form.starts, form.ends, strict=True))
        assert all(0 < at < len(form.text) for at in form.gaps)
    plain = normalize(text)
    for letter, start, end in zip(plain.text, plain.starts, plain.ends, strict=True):
        assert letter in normalize(text[start:end]).text


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_a_span_normalises_to_what_was_matched(text):
    plain = normalize(text)
    for start in range(0, len(plain.text), 3):
        for end in range(start + 1, len(plain.text) + 1, 4):
            first, last = plain.span(start, end)
            assert plain.text[start:end].strip() in normalize(text[first:last]).text


@given(TEXTS)
@settings(deadline=None)
def test_normalising_twice_changes_nothing_more_than_once(text):
    once = normalize(text).text
    assert normalize(once).text == normalize(normalize(once).text).text


@pytest.mark.parametrize(
    ("character", "normal"),
    [
        ("Ａ", "a"),
        ("é", "e"),
        ("ß", "ss"),
        ("槍", "枪"),
        ("體", "体"),
        ("姦", "奸"),
        ("𝐡", "h"),
        ("ᴘ", "p"),
        ("🅿", "p"),
        ("🅐", "a"),
        ("ք", "p"),
        ("Ꮲ", "p"),
        ("ꓑ", "p"),
        ("ø", "o"),
        ("ⓗ", "h"),
        ("ѕ", "s"),
        ("\u200b", ""),
        ("\ufe0f", ""),
        ("\u202e", ""),
        ("\U000e0061", ""),
        ("\u3164", ""),
        ("\u3000", " "),
        ("\x00", ""),
        ("가", "가"),
        ("が", "が"),
    ],
)
def test_single_characters(character, normal):
    assert normalize_character(character) == normal


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("毒*品", "毒品"),
        ("毒 _ * 品", "毒 品"),
        ("毒 _ 品", "毒品"),
        ("s.e.x toy", "sex toy"),
        ("nuuuude", "nude"),
        ("p0rn h264", "porn h26a"),
        ("100 % 2026", "100 2026"),
        ("nude_woman", "nude woman"),
        ("", ""),
        ("***", " "),
    ],
)
def test_folding(text, folded):
    assert fold(normalize(text)).text == folded
