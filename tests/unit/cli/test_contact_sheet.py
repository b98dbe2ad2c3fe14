"""The sheet that people look at after a demo."""

from PIL import Image

from factory.cli.contact_sheet import CAPTION, GAP, PAPER, SIDE, contact_sheet


def test_pictures_stand_in_rows_with_their_captions(tmp_path):
    files = []
    for number, colour in enumerate([(200, 0, 0), (0, 200, 0), (0, 0, 200)]):
        files.append((tmp_path / f"{number}.png", f"SKU-{number} a caption that is far too long to fit under one picture"))
        Image.new("RGB", (256, 256) if number else (256, 128), colour).save(files[-1][0])
    sheet = Image.open(contact_sheet(files, tmp_path / "new" / "sheet.png", columns=2))
    assert sheet.size == (GAP + 2 * (SIDE + GAP), GAP + 2 * (SIDE + CAPTION + GAP))
    assert sheet.getpixel((GAP + SIDE // 2, GAP + SIDE // 2)) == (200, 0, 0)
    assert sheet.getpixel((GAP + SIDE // 2, GAP + 5)) == PAPER  # the wide picture keeps its proportions
    assert sheet.getpixel((2 * GAP + SIDE + SIDE // 2, GAP + SIDE // 2)) == (0, 200, 0)
    caption = sheet.crop((GAP, GAP + SIDE + 4, GAP + SIDE, GAP + SIDE + CAPTION))
    assert len(caption.getcolors(10_000) or []) > 4
    between = sheet.crop((GAP + SIDE, GAP + SIDE + 4, 2 * GAP + SIDE, GAP + SIDE + CAPTION))
    assert between.getcolors() == [(between.width * between.height, PAPER)]


def test_no_pictures_make_an_empty_sheet(tmp_path):
    assert Image.open(contact_sheet([], tmp_path / "sheet.png")).size[0] == 2 * GAP + SIDE


def test_captions_may_be_chinese(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "mug.png")
    captions = []
    for text in ("红色马克杯", "蓝色保温瓶", "龘" * 5):
        sheet = Image.open(contact_sheet([(tmp_path / "mug.png", text)], tmp_path / "sheet.png"))
        captions.append(sheet.crop((GAP, GAP + SIDE + 4, GAP + SIDE, GAP + SIDE + CAPTION)).tobytes())
    assert len(set(captions)) == 3
