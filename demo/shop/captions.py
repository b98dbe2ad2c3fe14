"""What a shop could have typed to get a given picture, in Chinese or English, plain or in free wording."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.shop.wording import Language, Wording, Words, wording

CANONICAL = 0.4  # how often the first word of a list is taken; the others share the rest
WITHOUT_BACKGROUND = 0.06
BRIEF = 0.05
BRIEF_SENTENCES = {"zh": 3, "en": 4}
LOUDEST = 60  # letters: nobody shouts a whole brief, and capitals cost a token each
LENGTHENED = 1 / 3
HALF_WIDTH = str.maketrans("，。：；", ",.:;")


@dataclass(frozen=True)
class Said:
    """The words that one caption uses for its scene."""

    language: Language
    noun: str
    colour: str
    product: str
    thing: str
    label: str
    scene: str
    where: str

    def ordered(self, order: str) -> str:
        """`order` with these words in it; one 的 in a phrase is enough."""
        words = vars(self)
        if "的" in order:
            words = words | {slot: words[slot].replace(f"{self.colour}的", self.colour) for slot in ("product", "thing")}
        return order.format_map(words)


def plain_captions(scene: Scene) -> tuple[str, str]:
    """The canonical Chinese and English caption of `scene`, without any chance: the wording that all others are measured against."""
    item, colour, background = OBJECTS[scene.item], COLOURS[scene.colour], BACKGROUNDS[scene.background]
    zh, en = wording("zh"), wording("en")
    noun, measure = zh.objects[item]["noun"][0], zh.objects[item]["measure"][0]
    chinese = f"{measure}{zh.colours[colour]['word'][0]}{noun}，{zh.backgrounds[background]['label'][0]}"
    product = f"{en.colours[colour]['word'][0]} {en.objects[item]['noun'][0]}"
    english = f"{_with_article(en.objects[item]['before'][0], product)} {en.backgrounds[background]['where'][0]}"
    return chinese, english


def caption(scene: Scene, rng: random.Random) -> str:
    """A caption of `scene` in free wording: Chinese or English by half, from two words to a poster brief of sixty; an `rng` in the same state says the same.

    It names the object and its colour always, the background in all but 6 %, and never another object, colour or background.
    """
    language: Language = rng.choice(("zh", "en"))
    words = wording(language)
    extras = _extras(words, OBJECTS[scene.item], rng)
    material = ""
    if extras and rng.random() < 0.5:
        extras.pop()
        material = rng.choice(words.objects[OBJECTS[scene.item]]["material"])
    said = _say(scene, language, material, rng)
    orders = words.orders_without_background if rng.random() < WITHOUT_BACKGROUND else words.orders
    order = rng.choice(orders)
    text = _decorated(said.ordered(order), order, words, rng)
    if rng.random() < BRIEF:
        extras = rng.sample(words.brief, BRIEF_SENTENCES[language])
    comma = "，" if language == "zh" else ", "
    return _typed(comma.join([text, *extras]), language, rng)


def _say(scene: Scene, language: Language, material: str, rng: random.Random) -> Said:
    words = wording(language)
    item, colours = words.objects[OBJECTS[scene.item]], words.colours[COLOURS[scene.colour]]
    background = words.backgrounds[BACKGROUNDS[scene.background]]
    noun, colour = _pick(item["noun"], rng), _pick(colours["word"], rng)
    if language == "zh":
        product = _chinese_product(noun, colour, colours, material, rng)
        thing = _pick(item["measure"], rng) + product
    else:
        product = " ".join(filter(None, (colour, material, noun)))
        thing = _with_article(_pick(item["before"], rng), product)
    places = {form: _pick(background[form], rng) for form in ("label", "scene", "where")}
    return Said(language=language, noun=noun, colour=colour, product=product, thing=thing, **places)


def _chinese_product(noun: str, colour: str, colours: Words, material: str, rng: random.Random) -> str:
    way = rng.random()
    if way < 0.2:
        return f"{colour}的{material}{noun}"
    if way < 0.35 and not material:
        return _pick(colours["short"], rng) + noun
    if way < 0.5:
        return f"{material}{colour}{noun}"
    return f"{colour}{material}{noun}"


def _with_article(before: str, product: str) -> str:
    if before == "a" and product[0] in "aeiou":
        before = "an"
    return f"{before} {product}".lstrip()


def _pick(choices: list[str], rng: random.Random) -> str:
    return choices[0] if len(choices) == 1 or rng.random() < CANONICAL else rng.choice(choices[1:])


def _extras(words: Wording, item: str, rng: random.Random) -> list[str]:
    if rng.random() >= LENGTHENED:
        return []
    count = rng.choices((1, 2, 3, 4), (70, 20, 7, 3))[0]
    own = rng.sample(words.objects[item]["quality"], 1 if rng.random() < 0.6 else 0)
    return own + rng.sample(words.selling, count - len(own))


def _decorated(text: str, order: str, words: Wording, rng: random.Random) -> str:
    """`text` with a photographer's words around it, none twice; before it only where no order or place begins."""
    if order.startswith(("{thing}", "{product}", "{where}的")) and rng.random() < 0.15:
        text = rng.choice([said for said in words.before if said.strip("，：:, ") not in text]) + text
    if rng.random() < 0.12:
        text += rng.choice([said for said in words.after if said.strip("，, ") not in text])
    return text


def _typed(text: str, language: Language, rng: random.Random) -> str:
    """`text` as keyboards and habits leave it: half-width marks, blanks or none, capitals, a full stop or not."""
    if language == "zh":
        text += "。" if rng.random() < 0.1 else ""
        habit = rng.random()
        if habit < 0.2:
            return text.translate(HALF_WIDTH)
        # In a list of properties the pause says which colour is whose.
        return re.sub("[，。]", " ", text).strip() if habit < 0.28 and "；" not in text else text
    text += "." if rng.random() < 0.12 else ""
    habit = rng.random()
    if habit < 0.04 and len(text) <= LOUDEST:
        return text.upper()
    if habit < 0.27:
        return text[0].upper() + text[1:]
    return text
