import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from prometheus_client import REGISTRY

from factory.errors import BadPicture, Refused
from factory.postprocess.chain import Chain
from factory.postprocess.digest import Digest, inspect_png
from factory.postprocess.encode import Encode
from factory.postprocess.label import VisibleLabel
from factory.postprocess.metadata import Metadata
from factory.postprocess.prompt_filter import PromptFilter
from factory.postprocess.prompt_rules import load_rules
from factory.postprocess.step import Phase, Step

from .drafts import make_draft, make_spec

STEPS = ["prompt_filter", "visible_label", "encode_png", "metadata", "digest"]


def whole_chain():
    return Chain([PromptFilter(load_rules()), VisibleLabel(), Encode(), Metadata(), Digest()])


def test_a_finished_draft_has_bytes_hash_times_and_facts():
    draft = whole_chain().apply(make_draft())
    assert draft.sha256 == hashlib.sha256(draft.content).hexdigest()
    assert draft.facts["chain"] == STEPS
    assert set(STEPS) <= set(draft.seconds)
    assert draft.facts["bytes"] == len(draft.content)
    with Image.open(io.BytesIO(draft.content)) as picture:
        assert np.array_equal(np.asarray(picture), draft.pixels)
    assert inspect_png(draft.content)["aigc"]["ProduceID"] == draft.produce_id


def test_the_same_picture_gives_the_same_file():
    assert whole_chain().apply(make_draft()).sha256 == whole_chain().apply(make_draft()).sha256


def test_a_finished_draft_is_left_alone():
    draft = whole_chain().apply(make_draft())
    content, pixels = draft.content, draft.pixels.copy()
    whole_chain().apply(draft)
    assert draft.content == content
    assert np.array_equal(draft.pixels, pixels)


class FailsOnce(Step):
    name = "fails_once"

    def __init__(self):
        self.left = 1

    def apply(self, draft):
        if self.left:
            self.left -= 1
            raise OSError(f"a passing fault of {draft.produce_id}")


def test_a_draft_that_comes_back_resumes_and_has_one_label():
    chain = Chain([VisibleLabel(), FailsOnce(), Encode(), Metadata(), Digest()])
    draft = make_draft()
    with pytest.raises(OSError, match="passing"):
        chain.apply(draft)
    assert draft.content is None
    assert draft.sha256 == ""
    resumed = chain.apply(draft)
    assert np.array_equal(resumed.pixels, whole_chain().apply(make_draft()).pixels)


def test_the_engines_picture_keeps_its_pixels():
    pixels = make_draft().pixels
    before = pixels.copy()
    whole_chain().apply(make_draft(pixels=pixels))
    assert np.array_equal(pixels, before)


def test_steps_out_of_order_are_refused():
    with pytest.raises(ValueError, match="swap them"):
        Chain([Encode(), VisibleLabel()])
    with pytest.raises(ValueError, match="swap them"):
        Chain([Encode(), Digest(), Metadata()])


def test_a_name_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        Chain([Encode(), Encode()])


def test_a_chain_without_an_end_gives_no_file():
    with pytest.raises(BadPicture, match="no sealed file"):
        Chain([VisibleLabel(), Encode()]).apply(make_draft())


def test_check_asks_every_step():
    chain = whole_chain()
    chain.check(make_spec())
    with pytest.raises(Refused):
        chain.check(make_spec(prompt="毒品的包装盒"))


def test_each_step_is_timed():
    def count():
        return REGISTRY.get_sample_value("factory_chain_seconds_count", {"step": "metadata"}) or 0

    before = count()
    whole_chain().apply(make_draft())
    assert count() == before + 1


def test_a_step_does_nothing_by_itself():
    draft = make_draft()
    Step().check(draft.spec)
    Step().apply(draft)
    assert Step().phase is Phase.PIXELS
    assert draft.content is None
