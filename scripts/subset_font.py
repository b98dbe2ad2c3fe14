"""Make the font of factory/fonts: `python scripts/subset_font.py NotoSansCJK-Regular.ttc` (Debian's fonts-noto-cjk). The same bytes each time."""

from __future__ import annotations

import argparse
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "factory" / "fonts" / "NotoSansCJKsc-Regular-common.otf"
SIMPLIFIED_CHINESE = 2  # its place in the collection
RANGES = (
    (0x20, 0x7E),  # ASCII
    (0xA0, 0xFF),  # Latin-1
    (0x2010, 0x2016),  # dashes
    (0x2018, 0x201A),  # quotation marks
    (0x201C, 0x201E),
    (0x2020, 0x2022),  # daggers, bullet
    (0x2025, 0x2027),  # dots
    (0x2190, 0x2193),  # arrows
    (0x2460, 0x2473),  # numbers in circles
    (0x3000, 0x301F),  # Chinese punctuation
    (0xFF01, 0xFF5E),  # full-width forms
    (0xFFE0, 0xFFE6),  # full-width currencies
)
SINGLES = "‰′″※€℃№™≈≠≤≥■□▲△●○★☆✓"
GB2312_LEVEL_1 = range(16, 56)  # rows: the 3 755 commonest characters
# Level 2, yet common in catalogues: materials, food, plants, colours, clothes, names.
GOODS = (
    "啫喱妍妤姝娅娉娓娴婕婧婵婷媛嫣嫦屐岚嶂帷幔庑惬扉斓旎旖旻昊昕晖晗晟曜曦杞杷枇枳枸柚栎桉桦梵棂椴楠楣楸榄榉榕榛榫榭槭樽橄橘橼檐"
    "氅氙氤氩氪氲汶沐泓泠淇淼渚湜溥滟漪潇潋潟澍瀚炖炜炝炫烨焖焱煜煲煸熠牖牦猕玥珀珏珩琥琦琪琬瑙瑜瑾璀璇璐璟璨瓯瓿甑皎眸睿砼穹箸簪"
    "粑粽糍绉绗绛绡绫绮绯绺绻绾缂缇缤缭缱罍羧羿翊翎翡芙芷苓苷茉茯茱荟莓菖菡萏萜萸蕙蕨薇薏薰藓蛎蛏蜊衩袢裆褓褶襁襦觚豚貂貅貔踝酯錾"
    "钏钛钯钴钼铑锂锃锆锢镂镯阙隼霁霭鞣飒饨馄馥馨骁鬲鱿鲈鲑鲷鳕鳗鳟鸢鸾鹌鹑鹭麂麒麟麸黛鼬報槍買賣"
)


def characters() -> set[int]:
    """Code points of the subset; what the demo says is always among them."""
    wanted = {point for low, high in RANGES for point in range(low, high + 1)} | set(map(ord, SINGLES + GOODS))
    for row in GB2312_LEVEL_1:
        wanted |= set(map(ord, bytes(byte for cell in range(1, 95) for byte in (0xA0 + row, 0xA0 + cell)).decode("gb2312", "ignore")))
    demo = (ROOT / "demo" / "skus.csv").read_text(encoding="utf-8")
    return wanted | {ord(character) for character in demo if character.isprintable()}


def subset(source: Path, target: Path) -> None:
    """No hints, no layout features, of the names only family, licence and version."""
    options = Options()
    options.font_number = SIMPLIFIED_CHINESE
    options.layout_features = []
    options.drop_tables += ["BASE", "GDEF", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    options.hinting = False
    options.name_IDs = [0, 1, 2, 5, 13, 14]
    options.notdef_outline = True  # a missing character is known by its box
    font = load_font(str(source), options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    save_font(font, str(target), options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, nargs="?", default=TARGET)
    chosen = parser.parse_args()
    subset(chosen.source, chosen.target)
    print(f"{chosen.target}: {chosen.target.stat().st_size} bytes, {len(characters())} characters asked for")
