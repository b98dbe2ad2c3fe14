"""The card says what was measured, and nothing is left to fill in."""

import json

from demo.training.card import write_card

ROW = {"object": 0.995, "colour": 1.0, "background": 0.98, "all": 0.975, "pictures": 300, "language": "zh", "wording": "plain"}
TOLD = {"right": 0.81, "low": 0.77, "high": 0.84, "of": 480}
SHAPES = {"told_apart": TOLD, "generated": 0.91, "reconstructed": 0.97, "drawn": 0.98, "other_item": 0.44, "generated_by_object": {}}
QUALITY = {
    "evaluations": 8,
    "guidance": 0.0,
    "table": [{"side": 128, **ROW}, {"side": 256, **ROW}],
    "misses": [{"side": 256, "prompt": "夜里的黑色耳机", "seed": 1, "asked": ["headphones"], "seen": ["lamp", "black", "night"]}],
    "seconds": {"128": 0.21, "256": 0.44},
    "shapes": {"128": SHAPES, "256": SHAPES},
}


def test_the_card_holds_what_was_measured(tmp_path):
    (tmp_path / "work" / "quality").mkdir(parents=True)
    (tmp_path / "work" / "quality" / "quality.json").write_text(json.dumps(QUALITY), encoding="utf-8")
    (tmp_path / "work" / "denoiser.jsonl").write_text('{"step": 50}\n{"step": 8000, "loss": 0.19, "seconds": 4320.0}\n')
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "weights").write_bytes(bytes(15_200_000))
    card = write_card(tmp_path / "work", tmp_path / "checkpoint").read_text(encoding="utf-8")
    assert "$" not in card
    assert "15.2 MB" in card
    assert "| denoiser | 8,000 | 72 | loss 0.19 |" in card
    assert "| 256² | zh | plain | 300 | 99.5 | 100 | 98 | 97.5 |" in card
    assert "81 (77 to 84, 480 pictures)" in card
    assert "夜里的黑色耳机" in card
    assert not (tmp_path / "checkpoint" / "README.md").exists()
