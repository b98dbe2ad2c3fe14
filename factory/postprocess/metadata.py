"""Metadata: the machine-readable AI label, put into the finished bytes without encoding again.

One XMP packet holds `TC260:AIGC` (GB 45438-2025 clause 6.1 and Annex E, TC260-PG-20259A) and IPTC `DigitalSourceType`.
Never the prompt, never a user: the only identity is the job's UUID.
"""

from __future__ import annotations

import json
import re
from xml.sax.saxutils import escape

from factory.domain.draft import Draft
from factory.errors import BadPicture
from factory.postprocess.png import IHDR_END, XMP_KEYWORD, describe, write_chunk
from factory.postprocess.step import Phase, Step

TC260_NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
IPTC_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PROVIDER_CODE = re.compile(r"00[0-9A-Z]{25}")
ANNEX_E_TEXT = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:TC260="{TC260_NAMESPACE}" xmlns:Iptc4xmpExt="{IPTC_NAMESPACE}">'
    "<TC260:AIGC>%s</TC260:AIGC>"
    f"<Iptc4xmpExt:DigitalSourceType>{TRAINED_ALGORITHMIC_MEDIA}</Iptc4xmpExt:DigitalSourceType>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def write_xmp(produce_id: str, provider_code: str = "") -> str:
    """The packet's text. On the first write propagator and producer are the same (Annex E, note 1); Label "1": is AI-made."""
    label = {
        "Label": "1",
        "ContentProducer": provider_code,
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": provider_code,
        "PropagateID": produce_id,
        "ReservedCode2": "",
    }
    return PACKET % escape(json.dumps(label, separators=(",", ":")))


def insert_xmp(content: bytes, xmp: str) -> bytes:
    """The same PNG with the packet as an uncompressed iTXt right after IHDR; no other byte changes."""
    chunk = write_chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp.encode())
    return b"".join((content[:IHDR_END], chunk, content[IHDR_END:]))


class Metadata(Step):
    """`provider_code`: the 27 characters given to the organisation (TC260-PG-20252A), or "" to leave the field empty."""

    name = "metadata"
    phase = Phase.BYTES

    def __init__(self, *, provider_code: str = "") -> None:
        if provider_code and not PROVIDER_CODE.fullmatch(provider_code):
            raise ValueError(
                f"provider_code {provider_code!r} is not 27 characters of 0-9 A-Z that begin with 00; leave it empty if you have none"
            )
        self.provider_code = provider_code

    def apply(self, draft: Draft) -> None:
        if draft.content is None:
            raise BadPicture("metadata: the draft is not encoded yet; put the encoder before this step")
        if not ANNEX_E_TEXT.fullmatch(draft.produce_id):
            raise BadPicture(f"produce_id {draft.produce_id!r} must be printable ASCII without space, quote or backslash")
        if describe(draft.content)["xmp"]:
            raise BadPicture("metadata: the file already has an XMP label; exactly one is allowed")
        draft.content = insert_xmp(draft.content, write_xmp(draft.produce_id, self.provider_code))
