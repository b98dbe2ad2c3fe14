"""HOMOGLYPHS: letters that look like Latin ones and that NFKC leaves alone, after case folding.

Source: the shapes in Unicode's confusables.txt, cut to whole alphabets that common fonts draw.
"""

from __future__ import annotations

from string import ascii_lowercase

HOMOGLYPHS = {
    # Cyrillic, Greek, Armenian
    **str.maketrans("асԁеһіјӏкмопԛрѕтѵԝхуүвнгь", "acdehijlkmonqpstvwxyybhrb"),
    **str.maketrans("αβγεηικνορτυχωϲϳμ", "abyenikvoptuxwcju"),
    **str.maketrans("օոսհքգցյւլռտ", "onuhpqgjilns"),
    # small capitals, and Latin letters with a stroke, a hook or another shape
    **str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz"),
    **str.maketrans("ıɑɡɩℓøđłħŧƀɓɗɛɵŋəɐƥɾʂʈʋƴɨʉƒɠɦɫɱɲɹǝȼꝑɍꞑꝛ", "iagilodlhtbbdeoneaprstvyiufghlmnrecprnr"),
    ord("æ"): "ae",
    ord("œ"): "oe",
    # Cherokee, Lisu, Coptic
    **str.maketrans("ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ", "abcdeghijklmprstvwz"),
    **str.maketrans("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz"),
    **str.maketrans("ⲁⲃⲥⲉⲓⲕⲙⲛⲟⲣⲧⲩⲭ", "abceikmnoptyx"),
    # white on a black disc (U+1F150) or a black square (U+1F170)
    **{first + offset: letter for first in (0x1F150, 0x1F170) for offset, letter in enumerate(ascii_lowercase)},
}
