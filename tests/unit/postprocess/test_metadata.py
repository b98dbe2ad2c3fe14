import io
import json

import numpy as np
import pytest
from PIL import Image

from factory.errors import BadPicture
from factory.postprocess.digest import Digest, inspect_png
from factory.postprocess.encode import encode_png
from factory.postprocess.metadata import PACKET, TRAINED_ALGORITHMIC_MEDIA, Metadata, insert_xmp, write_xmp

from .drafts import PRODUCE_ID, make_draft

PROVIDER = "001191110102MAD55U9H0F10002"


def labelled(provider_code="", **changed):
    draft = make_draft(**changed)
    draft.content = encode_png(draft.pixels)
    Metadata(provider_code=provider_code).apply(draft)
    return draft


def test_the_label_has_the_seven_keys_of_annex_e():
    seen = inspect_png(labelled(PROVIDER).content)
    assert seen["aigc_count"] == 1
    assert seen["digital_source_type"] == TRAINED_ALGORITHMIC_MEDIA
    assert seen["aigc"] == {
        "Label": "1",
        "ContentProducer": PROVIDER,
        "ProduceID": PRODUCE_ID,
        "ReservedCode1": "",
        "ContentPropagator": PROVIDER,
        "PropagateID": PRODUCE_ID,
        "ReservedCode2": "",
    }


def test_no_provider_code_is_invented():
    aigc = inspect_png(labelled().content)["aigc"]
    assert aigc["ContentProducer"] == aigc["ContentPropagator"] == ""


def test_another_library_reads_the_label_and_the_same_pixels():
    draft = labelled(PROVIDER)
    with Image.open(io.BytesIO(draft.content)) as picture:
        assert '"ProduceID":"' + PRODUCE_ID in picture.info["XML:com.adobe.xmp"]
        assert np.array_equal(np.asarray(picture), draft.pixels)


def test_nothing_but_one_chunk_is_added():
    before = encode_png(make_draft().pixels)
    after = labelled().content
    added = len(after) - len(before)
    assert 0 < added < 1400
    assert before == after[:33] + after[33 + added :]


def test_the_prompt_is_not_in_the_file():
    content = labelled(prompt="very secret campaign 机密活动").content
    assert b"secret" not in content
    assert "机密".encode() not in content


@pytest.mark.parametrize("code", ["123", "001191110102mad55u9h0f10002", PROVIDER + "0", "11" + PROVIDER[2:]])
def test_a_provider_code_of_another_form_is_refused(code):
    with pytest.raises(ValueError, match="27 characters"):
        Metadata(provider_code=code)


@pytest.mark.parametrize("produce_id", ["", "two words", 'quote"', "back\\slash", "中文"])
def test_an_id_outside_annex_e_is_refused(produce_id):
    draft = make_draft()
    draft.produce_id, draft.content = produce_id, encode_png(draft.pixels)
    with pytest.raises(BadPicture, match="produce_id"):
        Metadata().apply(draft)


def test_a_second_label_is_refused():
    draft = labelled()
    with pytest.raises(BadPicture, match="exactly one"):
        Metadata().apply(draft)


def test_metadata_before_the_encoder_is_refused():
    with pytest.raises(BadPicture, match="not encoded"):
        Metadata().apply(make_draft())


def test_digest_wants_exactly_one_label():
    draft = labelled()
    twice = insert_xmp(draft.content, write_xmp(PRODUCE_ID))
    draft.content = twice
    with pytest.raises(BadPicture, match="2 AI labels"):
        Digest().apply(draft)
    draft.content = encode_png(draft.pixels)
    with pytest.raises(BadPicture, match="0 AI labels"):
        Digest().apply(draft)


def test_digest_wants_the_label_of_this_picture():
    draft = labelled()
    draft.content = insert_xmp(encode_png(draft.pixels), write_xmp("another-id"))
    with pytest.raises(BadPicture, match="another-id"):
        Digest().apply(draft)


def test_digest_finds_every_flipped_byte():
    draft = labelled()
    good = draft.content
    for at in {*range(60), *range(60, len(good), max(1, len(good) // 200)), len(good) - 1}:
        draft.content = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(BadPicture):
            Digest().apply(draft)


@pytest.mark.parametrize("cut", [1, 4, 12, 100])
def test_digest_finds_a_cut_or_padded_file(cut):
    draft = labelled()
    good = draft.content
    draft.content = good[:-cut]
    with pytest.raises(BadPicture):
        Digest().apply(draft)
    draft.content = good + b"\0" * cut
    with pytest.raises(BadPicture):
        Digest().apply(draft)


@pytest.mark.parametrize(
    "xmp",
    [PACKET % "not json", PACKET % "[1]", "<broken", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', " "],
    ids=["no json", "no object", "no xml", "entities", "empty"],
)
def test_a_label_that_cannot_be_read_is_a_bad_picture(xmp):
    with pytest.raises(BadPicture):
        inspect_png(insert_xmp(encode_png(make_draft().pixels), xmp))


def test_a_label_written_as_an_attribute_counts_too():
    value = json.dumps({"Label": "1"}).replace('"', "&quot;")
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" TC260:AIGC="{value}"/></rdf:RDF>'
    )
    seen = inspect_png(insert_xmp(encode_png(make_draft().pixels), xmp))
    assert (seen["aigc_count"], seen["aigc"]) == (1, {"Label": "1"})
