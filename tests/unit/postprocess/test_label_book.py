import hashlib
import json
import uuid
from datetime import UTC, date, datetime

import numpy as np
import pytest

from factory.domain.claim import Claim
from factory.domain.draft import Picture
from factory.errors import Invalid
from factory.jobs.finish_picture import finish_picture
from factory.postprocess.chain import Chain
from factory.postprocess.digest import Digest
from factory.postprocess.encode import Encode
from factory.postprocess.label import VisibleLabel
from factory.postprocess.label_book import PLAIN, LabelBook, load_labels
from factory.postprocess.logo import MOST_BYTES
from factory.postprocess.metadata import Metadata

from .drafts import make_draft, make_logo_png, make_pixels, make_spec

GOOD = """
profiles:
  cn: {text: AI合成, position: top-left}
tenants:
  acme:
    cn: {logo: logos/acme.png, tile: 0.12, scale: 0.06}
  globex:
    eu: {position: top-right}
"""


def write(folder, text):
    (folder / "logos").mkdir(exist_ok=True)
    (folder / "logos" / "acme.png").write_bytes(make_logo_png())
    file = folder / "labels.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder, text):
    with pytest.raises(Invalid) as refused:
        load_labels(write(folder, text))
    assert refused.value.code == "invalid_labels"
    return str(refused.value)


def test_without_a_file_the_built_in_styles_hold():
    book = load_labels(None, text="AI合成")
    china = book.style("acme", "cn")
    assert china is not None
    assert china.text == "AI合成"
    assert book.style("acme", "eu") == PLAIN["eu"]
    assert book.style("acme", "marketplace-clean") is None
    assert book.sha256 == ""


def test_a_profile_that_a_book_forgets_keeps_its_label():
    assert LabelBook({}).style("acme", "cn") == PLAIN["cn"]


def test_a_tenant_has_its_own_style_over_the_profiles(tmp_path):
    file = write(tmp_path, GOOD)
    book = load_labels(file)
    acme, other = book.style("acme", "cn"), book.style("globex", "cn")
    assert acme is not None
    assert other is not None
    assert acme.logo is not None
    assert (acme.text, acme.position, acme.scale, acme.tile) == ("AI合成", "top-left", 0.06, 0.12)
    assert acme.logo.sha256 == hashlib.sha256(make_logo_png()).hexdigest()
    assert other == book.style("nobody", "cn") == book.profiles["cn"]
    assert other.logo is None
    globex = book.style("globex", "eu")
    assert globex is not None
    assert globex.position == "top-right"
    assert book.style("acme", "eu") == PLAIN["eu"]
    assert book.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_tenants_have_their_own_pictures_and_records(tmp_path):
    step = VisibleLabel(load_labels(write(tmp_path, GOOD)))
    drafts = {name: make_draft() for name in ("acme", "globex", "initech")}
    for name, draft in drafts.items():
        draft.tenant = name
        step.apply(draft)
    assert np.array_equal(drafts["globex"].pixels, drafts["initech"].pixels)
    assert not np.array_equal(drafts["globex"].pixels, drafts["acme"].pixels)
    fact = drafts["acme"].facts["label"]
    assert fact["logo"] is True
    assert fact["book"] == step.book.sha256
    assert json.loads(json.dumps(fact)) == fact


def test_a_claimed_job_gets_the_label_of_its_tenant_on_record(tmp_path):
    chain = Chain([VisibleLabel(load_labels(write(tmp_path, GOOD))), Encode(), Metadata(), Digest()])
    picture = Picture(make_pixels(), 8)
    records = {}
    for tenant in ("acme", "globex"):
        day = date(2026, 11, 21)
        claim = Claim(uuid.UUID(int=7), 1, "w", tenant, None, None, "shop", day, 1, make_spec(), datetime(2026, 11, 21, tzinfo=UTC))
        records[tenant] = finish_picture(claim, picture, chain, policy_version="1").record
    assert records["acme"].sha256 != records["globex"].sha256
    assert records["acme"].facts["label"]["style"]["tile"] == 0.12
    assert records["globex"].facts["label"]["style"]["tile"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profiles: [cn]", "/profiles: ['cn'] must be a mapping"),
        ("", "/: None must be a mapping"),
        ("labels: {}", "'labels' is not known here; use profiles, tenants"),
        ("profiles: {jp: {}}", "/profiles: 'jp' is not known here; use cn, eu"),
        ("profiles: {marketplace-clean: {text: AI生成}}", "'marketplace-clean' is not known"),
        ("tenants: {acme: {cn: {colour: red}}}", "/tenants/acme/cn: 'colour' is not known here; use text"),
        ("tenants: {7: {cn: {}}}", "7 is not known here; put the name in quotes"),
        ("profiles: {cn: {scale: 0.03}}", "/profiles/cn: label scale 0.03 is below the 0.05 of profile cn"),
        ("profiles: {cn: {text: AI}}", "/profiles/cn: label text 'AI' must hold"),
        ("tenants: {acme: {cn: {scale: 0.04}}}", "/tenants/acme/cn: label scale 0.04"),
        ("tenants: {acme: {cn: {text: ACME}}}", "/tenants/acme/cn: label text 'ACME' must hold"),
        ("tenants: {acme: {cn: {opacity: 0}}}", "label opacity 0 is out of range"),
        ("tenants: {acme: {cn: {text: }}}", "label text None"),
        ("tenants: {acme: {cn: {logo: none.png}}}", "logo 'none.png' cannot be read"),
        ("tenants: {acme: {cn: {logo: ../out.png}}}", "not beside the label file"),
        ("tenants: {acme: {cn: {logo: /etc/passwd}}}", "not beside the label file"),
        ("tenants: {acme: {cn: {logo: labels.yaml}}}", "not a whole PNG"),
        ("tenants: {acme: {cn: {}}, acme: {eu: {}}}", "key 'acme' is given twice"),
        ("tenants: {acme: [", "cannot be read"),
        ("tenants: !!python/object:os.system {}", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_field_and_remedy(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_every_mistake_is_named_at_once(tmp_path):
    said = refusal(tmp_path, "profiles: {cn: {scale: 0.01}, eu: {tile: 7}}\ntenants: {a: {cn: {margin: 1}}}")
    assert all(name in said for name in ("/profiles/cn", "/profiles/eu", "/tenants/a/cn"))


@pytest.mark.parametrize(
    ("png", "said"),
    [
        (make_logo_png()[:-60], "not a whole PNG"),
        (b"GIF89a" + bytes(40), "not a whole PNG"),
        (make_logo_png(2100, 600), "2100×600"),
        (make_logo_png(500, 100), "at most 4 times"),
        (make_logo_png() + bytes(MOST_BYTES), "over 1048576 bytes"),
    ],
)
def test_a_wrong_logo_is_refused(tmp_path, png, said):
    (tmp_path / "bad.png").write_bytes(png)
    assert said in refusal(tmp_path, "tenants: {acme: {cn: {logo: bad.png}}}")


def test_the_text_of_the_settings_is_held_to_the_law_too(tmp_path):
    for path in (None, write(tmp_path, "profiles: {eu: {position: top-left}}")):
        with pytest.raises(Invalid, match="FACTORY_LABEL_TEXT: label text 'hello'"):
            load_labels(path, text="hello")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Invalid, match="cannot be read"):
        load_labels(tmp_path / "none.yaml")
