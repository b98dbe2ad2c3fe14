from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.errors import Invalid, Refused
from factory.postprocess.prompt_filter import PromptFilter
from factory.postprocess.prompt_rules import PromptRules, load_rules
from factory.postprocess.rule_bundle import DEFAULT_RULES, RuleBundle, read_bundle
from factory.postprocess.spellings import spellings
from tests.cpu_time import cpu_seconds, least_seconds

from .drafts import make_spec

DATA = Path(__file__).parents[2] / "data"
RULES = load_rules()


def corpus(name):
    lines = (DATA / name).read_text(encoding="utf-8").split("\n")
    return [tuple(line.split("\t", 1)) for line in lines if line.strip() and not line.startswith("#")]


def bundle(*, rules=None, allow=(), hit="坏词", hit_rule="bad", clean="好的"):
    rules = rules or [{"id": "bad", "category": "test", "action": "block", "suggestion": "不要写。", "words": ["坏词", "bad"]}]
    return {
        "name": "test",
        "rules": rules,
        "allow": list(allow),
        "golden": {"must_hit": [{"text": hit, "rule": hit_rule}], "must_not_hit": [clean]},
    }


def rules_of(**parts):
    return PromptRules(RuleBundle.model_validate(bundle(**parts)))


def rule(**changed):
    return {"id": "bad", "category": "test", "action": "block", "suggestion": "不要写。", "words": ["坏词"]} | changed


@pytest.mark.parametrize(("rule_id", "prompt"), corpus("evasion_zh.txt"))
def test_hidden_spellings_are_blocked(rule_id, prompt):
    hits = RULES.evaluate(prompt).hits
    assert rule_id in [hit.rule for hit in hits if hit.action == "block"]
    assert [hit.matched for hit in hits] == [prompt[slice(*hit.span)] for hit in hits]


@pytest.mark.parametrize(("kind", "prompt"), corpus("false_positives.txt"))
def test_honest_prompts_pass(kind, prompt):
    decision = RULES.evaluate(prompt)
    assert decision.blocked is None
    assert bool(decision.hits) == (kind == "warn")


def test_the_corpora_are_not_empty():
    assert len(corpus("evasion_zh.txt")) >= 50
    assert len(corpus("false_positives.txt")) >= 50


@pytest.mark.parametrize(
    ("prompt", "matched"),
    [
        ("前面 毒*品 后面", "毒*品"),
        ("🌸🌸ＨＥＲＯＩＮ bag", "ＨＥＲＯＩＮ"),
        ("ﷺ 买賣槍\u200b枝和手\u200b槍", "手\u200b槍"),
        ("a  s-e-x  toy", "s-e-x"),
    ],
)
def test_the_span_is_in_the_text_as_sent(prompt, matched):
    hit = RULES.evaluate(prompt).blocked
    assert hit is not None
    assert (hit.matched, prompt[slice(*hit.span)]) == (matched, matched)
    assert hit.suggestion


@given(st.text(max_size=60), st.text(max_size=60))
@settings(deadline=None)
def test_a_word_between_spaces_is_found_wherever_it_stands(before, after):
    prompt = f"{before} zzforbiddenzz {after}"
    decision = rules_of(rules=[rule(words=["zzforbiddenzz"])], hit="zzforbiddenzz").evaluate(prompt)
    assert any("zzforbiddenzz" in hit.matched for hit in decision.hits)


def test_latin_words_stand_alone_and_chinese_is_a_border():
    rules = rules_of()
    assert not rules.evaluate("badger, sinbad").hits
    assert rules.evaluate("这是bad的").blocked
    assert rules.evaluate("bad!").blocked


def test_an_allowed_phrase_excuses_only_what_it_strictly_covers():
    rules = rules_of(rules=[rule(words=["黄片"])], hit="黄片", allow=["三黄片", "黄片"])
    assert not rules.evaluate("三黄片，药盒").hits
    assert rules.evaluate("黄片").blocked
    assert [hit.span for hit in rules.evaluate("三黄片和黄片").hits] == [(4, 6)]


def test_quoted_rules_look_only_between_quotation_marks():
    rules = rules_of(rules=[rule(scope="quoted", words=["最佳"])], hit="写“最佳”")
    assert not rules.evaluate("最佳光线").hits
    for opening, closing in ("“”", '""', "「」", "『』", "‘’"):
        assert rules.evaluate(f"海报 {opening}最佳品质{closing}").blocked
    assert not rules.evaluate("“标题”最佳光线“副题”").hits


def test_two_words_that_meet_across_a_space_only_warn():
    (hit,) = RULES.evaluate("酒精消毒 品味生活").hits
    assert (hit.rule, hit.action) == ("drugs", "warn")
    assert RULES.evaluate("桌上的毒 品").blocked
    assert RULES.evaluate("桌上的毒*品味道").blocked


def test_the_version_follows_the_content_not_the_layout(tmp_path):
    content = yaml.safe_load(DEFAULT_RULES.read_text(encoding="utf-8"))
    (tmp_path / "same.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert load_rules(tmp_path / "same.yaml").version == RULES.version
    content["rules"][0]["words"].append("another word")
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert load_rules(tmp_path / "other.yaml").version != RULES.version
    assert len(RULES.version) == 12


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"hit": "好的词"}, "must hit 'bad'"),
        ({"clean": "坏词"}, "must not hit"),
        ({"rules": [rule(words=["毒品"])], "hit": "毒品", "clean": "消毒 品味"}, "must not hit"),
        ({"rules": [rule(words=["毒品"])], "hit": "消毒 品味"}, "must hit 'bad'"),
    ],
)
def test_a_bundle_that_fails_its_examples_is_refused(parts, says):
    with pytest.raises(Invalid, match=says):
        rules_of(**parts)


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ({"rules": [rule(action="shout")]}, "/rules/0/action"),
        ({"rules": [rule(words=[])]}, "/rules/0"),
        ({"rules": [rule(words=["坏"])]}, "/rules/0/words/0"),
        ({"rules": [rule(words=["\u200b\u200b"])]}, "/rules/0/words/0"),
        ({"rules": [rule(wordz=["x"])]}, "/rules/0/wordz"),
        ({"rules": [rule(suggestion="")]}, "/rules/0/suggestion"),
        ({"rules": [rule(), rule()]}, "/"),
        ({"hit_rule": "unknown"}, "/"),
        ({"rules": [rule(regex=["(a"])]}, "/rules/0/regex/0"),
    ],
)
def test_a_wrong_file_says_where(tmp_path, parts, pointer):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(bundle(**parts), allow_unicode=True), encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        read_bundle(path)
    assert pointer in [problem.pointer for problem in refused.value.problems]
    assert refused.value.code == "invalid_policy"


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "a*", "(a{1,9}){1,9}", r"(a)\1", "a{2,}", "a{1,500}", "a{1,9}b{1,9}c{1,9}", "(" + "a?" * 30 + ")" + "a" * 30, "(a|a)" * 30],
)
def test_a_regex_that_may_take_long_is_refused(tmp_path, pattern):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(bundle(rules=[rule(regex=[pattern])]), allow_unicode=True), encoding="utf-8")
    with pytest.raises(Invalid, match="regex"):
        read_bundle(path)


def test_the_widest_regex_that_passes_is_quick():
    pattern = "a?" * 6 + "(a|a)" * 6 + "b"
    rules = rules_of(rules=[rule(regex=[pattern])], hit="坏词")
    assert least_seconds(lambda: cpu_seconds(lambda: rules.evaluate("a" * 500)), below=5) < 5


def test_pairs_hit_in_either_order_and_only_near():
    pair = {"these": ["苹果", "box", "{1-17}岁"], "those": ["红"], "within": 3}
    rules = rules_of(rules=[rule(pairs=[pair])], hit="坏词", allow=["红茶"])
    for prompt in ("苹果红", "红 苹果", "红boxes", "the boxes 红", "12岁红", "红123苹果"):
        assert rules.evaluate(prompt).blocked, prompt
    for prompt in ("苹果", "红", "苹果很大很大红", "苹果红茶", "112岁红", "18岁红", "boxer红"):
        assert not rules.evaluate(prompt).hits, prompt
    assert rules.evaluate("一个苹果，红").hits[0].matched == "苹果，红"


def test_marks_inside_a_word_count_for_severe_rules_only():
    severe = rules_of(rules=[rule(words=["坏词", "badword"], severe=True)])
    lenient = rules_of(rules=[rule(words=["坏词", "badword"])])
    for prompt in ("bad-word", "b*dword", "badw#rd", "b@dword", "bad3word", "坏0词", "坏x词", "bad-w*rds"):
        assert severe.evaluate(prompt).blocked, prompt
        assert not lenient.evaluate(prompt).hits, prompt
    for prompt in ("badworder", "b-d word", "b*dger", "bad. word"):
        assert not severe.evaluate(prompt).hits, prompt


@pytest.mark.parametrize(("word", "many"), [("toy", "toys"), ("baby", "babies"), ("box", "boxes"), ("church bell", "church bells")])
def test_latin_words_bring_their_plurals(word, many):
    assert list(spellings(word)) == [word, many]
    assert rules_of(rules=[rule(words=["坏词", word])]).evaluate(f"two {many}!").blocked


@pytest.mark.parametrize("content", ["", "[]", "name: [", "rules: !!python/object:os.system x"])
def test_what_is_no_rule_file_is_refused(tmp_path, content):
    path = tmp_path / "rules.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Invalid, match=r"rules\.yaml"):
        load_rules(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"):
        load_rules(tmp_path / "absent.yaml")


def test_the_filter_refuses_and_explains():
    with pytest.raises(Refused) as refused:
        PromptFilter(RULES).check(make_spec(prompt="桌上的毒 品，白底"))
    assert refused.value.detail == {
        "rule": "drugs",
        "span": (3, 6),
        "matched": "毒 品",
        "category": "drugs",
        "suggestion": "删除毒品及吸食器具。 Remove narcotics and their use.",
        "policy_version": RULES.version,
    }
    assert "毒 品" in str(refused.value)


def test_the_filter_lets_warnings_pass_and_names_its_version():
    PromptFilter(RULES).check(make_spec(prompt="nude silk dress"))
    assert PromptFilter(RULES).check_prompt("陶瓷杯") == RULES.version


def test_a_variable_cannot_smuggle_a_word_past_the_filter():
    """The template is honest, the value completes the word: only the expanded text tells."""
    template, value = "包装上的毒{name}", "品"
    assert not RULES.evaluate(template).hits
    assert not RULES.evaluate(value).hits
    assert RULES.evaluate(template.format(name=value)).blocked


def test_a_prompt_that_is_too_long_is_not_let_through():
    with pytest.raises(Invalid, match="at most 8000"):
        RULES.evaluate("a" * 8001)


@pytest.mark.parametrize(
    "unit",
    [
        "“",
        '"',
        "毒 ",
        "s.",
        "a",
        "儿童",
        "child ",
        "1",
        "ﷺ",
        "\u200b",
        "nude ",
        "*",
        "p*rn ",
        "a-",
        "裸0体",
        "child nude ",
        "n u d e ",
        "1岁",
    ],
)
def test_no_prompt_takes_long(unit):
    prompt = (unit * 8000)[:8000]
    assert least_seconds(lambda: cpu_seconds(lambda: RULES.evaluate(prompt)), below=2) < 2
