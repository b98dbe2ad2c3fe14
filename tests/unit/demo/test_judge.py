"""The judge's shapes, and the two scores of shape: each must tell what it is for."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from demo.judge import Judge, network
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.shop.picture import draw
from demo.training.judge import answers_of, right_shares, scenes_of
from demo.training.orders import every_sheet
from demo.training.outlines import Patterns, item_mask
from demo.training.real_or_generated import Examination, Share, told_apart

LIGHT = Examination(steps=60, crop=32)


@pytest.fixture
def judge(tmp_path):
    torch.manual_seed(0)
    save_file({name: value.half() for name, value in network().state_dict().items()}, tmp_path / "judge.safetensors")
    assert (tmp_path / "judge.safetensors").stat().st_size < 400_000
    return Judge.from_file(tmp_path / "judge.safetensors")


@pytest.mark.parametrize("side", [64, 128, 200])
def test_the_judge_answers_three_questions_on_any_size(judge, side):
    pictures = np.random.default_rng(0).integers(0, 256, (5, side, side, 3), np.uint8)
    said = judge.judge(pictures, batch=2)
    assert said.shape == (5, 3)
    assert ((said >= 0) & (said < 10)).all()
    assert (said == judge.judge(pictures)).all()
    assert judge.judge(pictures[:0]).shape == (0, 3)


def test_the_judge_refuses_what_is_no_stack_of_pictures(judge):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 3\)"):
        judge.judge(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="float32"):
        judge.judge(np.zeros((1, 64, 64, 3), np.float32))


def test_right_shares_count_each_question_and_all_three():
    true = answers_of(scenes_of(4, 1))
    said = true.copy()
    said[0, 0] += 1
    said[1, 2] += 1
    assert right_shares(said, true) == {"object": 0.75, "colour": 1.0, "background": 0.75, "all": 0.5}


def test_every_sheet_asks_for_every_item_in_every_colour_and_every_background_alike():
    sheets = every_sheet(3)
    assert len({sheet.name for sheet in sheets}) == 8
    seen: set[int] = set()
    for sheet in sheets:
        orders = sheet.orders()
        assert len({(order.scene.item, order.scene.colour) for order in orders}) == 100
        assert np.bincount([order.scene.background for order in orders]).tolist() == [10] * 10
        assert len({order.seed for order in orders} - seen) == 100
        seen |= {order.seed for order in orders}


@pytest.mark.parametrize("item", range(len(OBJECTS)), ids=OBJECTS)
def test_the_mask_is_around_the_item(item):
    mask = item_mask(Scene(item, 0, BACKGROUNDS.index("white"), 3), 128)
    assert 0.1 < mask.mean() < 0.6
    down, across = np.argwhere(mask).mean(axis=0) / 128
    assert 0.45 < down < 0.75
    assert 0.4 < across < 0.6
    assert not mask[:4].any()


def wobbled(picture, by):
    """The picture bent by up to about `by` pixels, smoothly, as an unsure hand draws."""
    side = len(picture)
    noise = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    bend = torch.nn.functional.interpolate(noise, (side, side), mode="bicubic")[0].permute(1, 2, 0) * by * 2 / side
    grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], (1, 3, side, side), align_corners=False) + bend
    values = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()
    moved = torch.nn.functional.grid_sample(values, grid, padding_mode="border", align_corners=False)
    return moved[0].permute(1, 2, 0).to(torch.uint8).numpy()


@pytest.mark.parametrize("item", [0, 4, 9])
def test_outlines_are_alike_in_another_pose_and_less_so_the_more_they_wobble(item):
    scene = Scene(item, COLOURS.index("blue"), BACKGROUNDS.index("white"), 3)
    picture = draw(scene, 128)
    assert Patterns.of(scene, 128, range(3, 4)).likeness(picture) == pytest.approx(1)
    patterns = Patterns.of(scene, 128, range(50, 53))
    scores = [patterns.likeness(shown) for shown in (picture, wobbled(picture, 2), wobbled(picture, 5))]
    assert scores[0] > 0.9
    assert scores[0] > scores[1] + 0.01 > scores[2] + 0.06
    other = Scene((item + 1) % 10, scene.colour, scene.background, 3)
    assert patterns.likeness(draw(other, 128)) < scores[1]


def stripes(count, seed, noise):
    chance = np.random.default_rng(seed)
    waves = np.sin(np.arange(32) / 3 + chance.uniform(0, 6, (count, 1)))[:, None, :, None] * 60 + 128
    return np.clip(waves + chance.normal(0, noise, (count, 32, 32, 3)), 0, 255).astype(np.uint8)


def test_nothing_tells_two_samples_of_one_kind_apart():
    share = told_apart(stripes(100, 1, 20), stripes(100, 2, 20), LIGHT)
    assert share.of == 80
    assert 0.3 < share.right < 0.7
    assert share.low < share.right < share.high


def test_smooth_pictures_are_told_from_rough_ones():
    assert told_apart(stripes(100, 1, 20), stripes(100, 2, 5), LIGHT).right > 0.9


def test_the_interval_is_wilsons():
    share = Share.of_counts(81, 263)  # the worked example of Newcombe 1998, table I: .2553 to .3662
    assert [share.low, share.high] == pytest.approx([0.2553, 0.3662], abs=1e-4)
    with pytest.raises(ValueError, match="no answers"):
        Share.of_counts(0, 0)


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="at least 10"):
        told_apart(stripes(5, 1, 5), stripes(5, 2, 5))
