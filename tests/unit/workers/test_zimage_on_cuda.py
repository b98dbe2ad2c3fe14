"""Z-Image on a card: what a CPU cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from factory.errors import LeaseLost
from tests.orders import ignore_step, order

pytestmark = pytest.mark.gpu


def test_a_card_draws_in_bfloat16_reproducibly_and_stops_in_time(tiny_checkpoint):
    import torch

    from factory.workers.engines.zimage import ZImageEngine, modules_of

    engine = ZImageEngine()
    pipeline = engine.load(tiny_checkpoint)
    assert 0 <= pipeline.bytes - engine.footprint(tiny_checkpoint) < 1024
    assert {parameter.dtype for module in modules_of(pipeline.pipeline) for parameter in module.parameters()} == {torch.bfloat16}
    first = pipeline.generate(order(), on_step=ignore_step)
    assert first.evaluations == 8
    assert first.facts["device"] == torch.cuda.get_device_name()

    def stop(_done: int, _total: int) -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        pipeline.generate(order(seed=1), on_step=stop)
    assert np.array_equal(first.pixels, pipeline.generate(order(), on_step=ignore_step).pixels)
