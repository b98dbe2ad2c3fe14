"""The shop draws every scene, the same one each time, and no two alike."""

import numpy as np
import pytest

from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene, every_scene
from demo.shop.picture import STYLES, draw
from demo.train import PICTURES, styled
from demo.train import STYLES as TRAINED


@pytest.mark.parametrize("side", [64, 128])
def test_a_scene_is_the_same_picture_each_time_and_another_seed_another_pose(side):
    scene = Scene(1, 2, 3, seed=4)
    picture = draw(scene, side)
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, draw(scene, side))
    assert not np.array_equal(picture, draw(Scene(1, 2, 3, seed=5), side))


def test_every_item_colour_and_background_looks_different():
    assert (len(OBJECTS), len(COLOURS), len(BACKGROUNDS)) == (10, 10, 10)
    for place in range(3):
        pictures = [draw(Scene(*(n if place == axis else 0 for axis in range(3))), 64).astype(float) for n in range(10)]
        apart = [np.abs(one - other).mean() for n, one in enumerate(pictures) for other in pictures[:n]]
        assert min(apart) > 2


def test_a_style_changes_every_picture_and_an_unknown_one_is_an_error():
    scene = Scene(0, 0, 0)
    assert len({draw(scene, 64, style).tobytes() for style in STYLES}) == len(STYLES) == 3
    with pytest.raises(KeyError, match="oil"):
        draw(scene, 64, "oil")


def test_every_scene_comes_as_often_as_asked_with_a_seed_of_its_own():
    scenes = list(every_scene(2, first_seed=10))
    assert len(scenes) == len({scene.seed for scene in scenes}) == 2000
    assert len({(scene.item, scene.colour, scene.background) for scene in scenes}) == 1000


def test_no_two_corpora_of_the_training_share_a_pose():
    corpora = [*PICTURES.values(), *styled(TRAINED[0]).values()]
    seeds = [scene.seed for corpus in corpora for scene in corpus.scenes]
    assert len(seeds) == len(set(seeds))
