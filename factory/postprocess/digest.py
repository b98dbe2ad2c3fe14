"""Digest: read the finished file back, then fix its SHA-256. Nothing may touch the bytes afterwards."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from xml.etree import ElementTree as ET

from factory.domain.draft import Draft
from factory.errors import BadPicture
from factory.postprocess.metadata import IPTC_NAMESPACE, TC260_NAMESPACE, TRAINED_ALGORITHMIC_MEDIA
from factory.postprocess.png import describe
from factory.postprocess.step import Phase, Step

AIGC_KEYS = {"Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"}


def read_packet(packet: str) -> ET.Element:
    """Parse XMP. Document types are refused: they could expand without end."""
    if "<!" in packet:
        raise BadPicture("XMP: a packet with a document type is not read")
    try:
        return ET.fromstring(packet)  # noqa: S314  document types, the way to do harm, are refused above
    except ET.ParseError as error:
        raise BadPicture(f"XMP: the packet is not well-formed: {error}") from error


def property_texts(tree: ET.Element, name: str) -> list[str]:
    """XMP allows a simple property as an element or as an attribute; both count."""
    return [item.text or "" for item in tree.iter(name)] + [item.attrib[name] for item in tree.iter() if name in item.attrib]


def read_label(text: str) -> dict[str, Any]:
    try:
        label = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadPicture(f"XMP: TC260:AIGC is not JSON: {error}") from error
    if not isinstance(label, dict):
        raise BadPicture(f"XMP: TC260:AIGC is {type(label).__name__}, not an object of seven strings")
    return label


def inspect_png(content: bytes) -> dict[str, Any]:
    """What a PNG says about itself: `width`, `height`, `chunks`, `xmp`, `aigc_count`, `aigc` (dict or None), `digital_source_type`,
    `sha256`. Raises BadPicture for a damaged file or a label that cannot be read.
    """
    seen = describe(content)
    trees = [read_packet(packet) for packet in seen["xmp"]]
    labels = [read_label(text) for tree in trees for text in property_texts(tree, f"{{{TC260_NAMESPACE}}}AIGC")]
    sources = [text for tree in trees for text in property_texts(tree, f"{{{IPTC_NAMESPACE}}}DigitalSourceType")]
    return seen | {
        "aigc_count": len(labels),
        "aigc": labels[0] if labels else None,
        "digital_source_type": sources[0] if sources else None,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


class Digest(Step):
    """Sets `draft.sha256` (lower-case hex). Facts: `bytes`, `aigc` (the label as it stands in the file)."""

    name = "digest"
    phase = Phase.SEAL

    def apply(self, draft: Draft) -> None:
        if draft.content is None:
            raise BadPicture("digest: the draft is not encoded yet; put the encoder before this step")
        seen = inspect_png(draft.content)
        if (seen["height"], seen["width"]) != draft.pixels.shape[:2]:
            raise BadPicture(
                f"the file says {seen['width']}×{seen['height']}, the picture has {draft.pixels.shape[1]}×{draft.pixels.shape[0]}"
            )
        if seen["aigc_count"] != 1 or seen["digital_source_type"] != TRAINED_ALGORITHMIC_MEDIA:
            raise BadPicture(
                f"the file has {seen['aigc_count']} AI labels and source type {seen['digital_source_type']!r}; exactly one is due"
            )
        if set(seen["aigc"]) != AIGC_KEYS or seen["aigc"]["ProduceID"] != draft.produce_id:
            raise BadPicture(f"the AI label {seen['aigc']} is not the one of {draft.produce_id}")
        draft.sha256 = seen["sha256"]
        draft.facts |= {"bytes": len(draft.content), "aigc": seen["aigc"]}
