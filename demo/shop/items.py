"""The items: each stands on y = 208 around x = 128 in a square of 256, lit from the upper left."""

from __future__ import annotations

SHINE = 'fill="none" stroke="white" stroke-linecap="round"'


def mug() -> str:
    return (
        '<path d="M170 116 C214 108 216 178 166 178" fill="none" stroke="LINE" stroke-width="18"/>'
        '<path d="M170 116 C214 108 216 178 166 178" fill="none" stroke="url(#tube)" stroke-width="14"/>'
        '<path d="M74 92 L79 192 Q80 208 98 208 L150 208 Q168 208 169 192 L174 92 Z" fill="url(#tube)"/>'
        '<ellipse cx="124" cy="92" rx="50" ry="13" fill="url(#rim)"/>'
        '<ellipse cx="124" cy="93" rx="43" ry="9.5" fill="url(#deep)"/>'
        f'<path d="M92 120 L95 184" {SHINE} stroke-width="6" opacity=".45"/>'
    )


def teapot() -> str:
    return (
        '<path d="M172 130 C222 116 222 192 164 186" fill="none" stroke="LINE" stroke-width="16"/>'
        '<path d="M172 130 C222 116 222 192 164 186" fill="none" stroke="url(#tube)" stroke-width="12"/>'
        '<path d="M84 184 C52 176 56 138 30 122 L46 110 C70 122 66 144 92 146 Z" fill="url(#cloth)"/>'
        '<path d="M92 198 L156 198 L162 208 L86 208 Z" fill="url(#tube)"/>'
        '<path d="M124 104 C168 104 184 134 184 158 C184 188 158 202 124 202 C90 202 64 188 64 158 C64 134 80 104 124 104 Z" '
        'fill="url(#ball)"/>'
        '<path d="M84 110 C96 90 152 90 164 110 C152 118 96 118 84 110 Z" fill="url(#lit)"/>'
        '<circle cx="124" cy="86" r="10" fill="url(#ball)"/>'
        f'<path d="M86 136 C80 150 80 162 86 176" {SHINE} stroke-width="7" opacity=".5"/>'
    )


def bottle() -> str:
    return (
        '<path d="M106 70 L106 84 C106 92 92 96 92 110 L92 198 Q92 208 104 208 L152 208 Q164 208 164 198 L164 110 '
        'C164 96 150 92 150 84 L150 70 Z" fill="url(#tube)"/>'
        '<rect x="103" y="36" width="50" height="36" rx="7" fill="url(#metal)"/>'
        '<rect x="92" y="180" width="72" height="8" fill="url(#metal)"/>'
        '<rect x="116" y="122" width="24" height="34" rx="4" fill="white" fill-opacity=".82" stroke="none"/>'
        '<rect x="121" y="132" width="14" height="4" fill="#777" stroke="none"/>'
        '<rect x="121" y="141" width="14" height="4" fill="#777" stroke="none"/>'
        f'<path d="M104 116 L104 172" {SHINE} stroke-width="6" opacity=".5"/>'
    )


def lamp() -> str:
    return (
        '<rect x="123" y="112" width="10" height="86" fill="url(#metal)"/>'
        '<path d="M84 204 C84 188 172 188 172 204 Q172 208 164 208 L92 208 Q84 208 84 204 Z" fill="url(#tube)"/>'
        '<ellipse cx="128" cy="116" rx="56" ry="11" fill="#ffe9a8"/>'
        '<path d="M102 44 L154 44 L186 114 C172 126 84 126 70 114 Z" fill="url(#tube)"/>'
        '<path d="M102 44 C110 50 146 50 154 44 C146 39 110 39 102 44 Z" fill="url(#deep)"/>'
        f'<path d="M104 60 L90 108" {SHINE} stroke-width="6" opacity=".4"/>'
    )


def chair() -> str:
    return (
        '<path d="M90 158 L78 208 L86 208 L100 158 Z" fill="url(#oak)"/>'
        '<path d="M166 158 L178 208 L170 208 L156 158 Z" fill="url(#oak)"/>'
        '<path d="M106 158 L102 196 L109 196 L116 158 Z" fill="url(#oak)"/>'
        '<path d="M150 158 L154 196 L147 196 L140 158 Z" fill="url(#oak)"/>'
        '<path d="M92 64 Q92 44 112 44 L144 44 Q164 44 164 64 L168 142 L88 142 Z" fill="url(#tube)"/>'
        '<path d="M84 140 Q84 128 98 128 L158 128 Q172 128 172 140 L178 156 Q180 168 166 168 L90 168 Q76 168 78 156 Z" fill="url(#lit)"/>'
        '<path d="M108 58 L106 122 M128 58 L128 122 M148 58 L150 122" fill="none" stroke="LINE" stroke-width="2" opacity=".5"/>'
    )


def handbag() -> str:
    return (
        '<path d="M96 116 C96 44 160 44 160 116" fill="none" stroke="LINE" stroke-width="13"/>'
        '<path d="M96 116 C96 44 160 44 160 116" fill="none" stroke="url(#tube)" stroke-width="9"/>'
        '<path d="M68 110 L188 110 L202 196 Q204 208 190 208 L66 208 Q52 208 54 196 Z" fill="url(#tube)"/>'
        '<path d="M66 108 L190 108 L194 140 Q166 164 128 164 Q90 164 62 140 Z" fill="url(#cloth)"/>'
        '<circle cx="128" cy="160" r="9" fill="url(#brass)"/>'
        '<circle cx="96" cy="116" r="5" fill="url(#brass)"/><circle cx="160" cy="116" r="5" fill="url(#brass)"/>'
        f'<path d="M72 178 L70 196" {SHINE} stroke-width="5" opacity=".35"/>'
    )


def sneaker() -> str:
    return (
        '<path d="M40 192 C36 172 52 164 78 156 C102 148 114 130 128 116 Q136 110 144 118 C154 128 172 126 180 112 '
        'Q190 104 198 112 C208 136 212 164 214 192 Z" fill="url(#cloth)"/>'
        '<path d="M40 192 C37 174 50 166 70 159 C82 168 86 182 86 192 Z" fill="url(#lit)"/>'
        '<path d="M144 118 C154 128 172 126 180 112 Q190 104 198 112 C190 130 164 140 140 124 Z" fill="url(#deep)"/>'
        '<path d="M134 192 C136 172 152 158 170 152 L186 152 C168 162 158 176 158 192 Z" fill="white" fill-opacity=".85"/>'
        '<path d="M96 150 L116 164 M108 140 L128 154 M119 129 L139 143" fill="none" stroke="white" stroke-width="6" stroke-linecap="round"/>'
        '<path d="M36 188 L218 188 Q224 206 208 208 L52 208 Q34 208 36 188 Z" fill="#f4f2ec"/>'
        '<path d="M38 199 L220 199" fill="none" stroke="#b9b4a8" stroke-width="2"/>'
    )


def tshirt() -> str:
    return (
        '<path d="M98 62 C108 80 148 80 158 62 L186 74 L218 118 L190 138 L176 120 L178 202 Q178 208 170 208 L86 208 Q78 208 78 202 '
        'L80 120 L66 138 L38 118 L70 74 Z" fill="url(#cloth)"/>'
        '<path d="M98 62 C108 80 148 80 158 62 L150 58 C142 70 114 70 106 58 Z" fill="url(#deep)"/>'
        '<path d="M80 120 C82 108 80 98 76 90 M176 120 C174 108 176 98 180 90" fill="none" stroke="LINE" stroke-width="2.5" opacity=".7"/>'
        '<path d="M100 204 C104 176 98 160 104 140 M154 204 C148 180 156 166 152 146" fill="none" stroke="LINE" stroke-width="3" '
        'opacity=".35"/>'
        f'<path d="M92 96 C90 120 92 150 90 180" {SHINE} stroke-width="7" opacity=".3"/>'
    )


def headphones() -> str:
    return (
        '<path d="M66 160 C50 24 206 24 190 160" fill="none" stroke="LINE" stroke-width="19"/>'
        '<path d="M66 160 C50 24 206 24 190 160" fill="none" stroke="url(#tube)" stroke-width="15"/>'
        '<path d="M84 82 C104 54 152 54 172 82" fill="none" stroke="#3a3b42" stroke-width="7" stroke-linecap="round"/>'
        '<rect x="78" y="130" width="22" height="72" rx="11" fill="url(#rubber)"/>'
        '<rect x="156" y="130" width="22" height="72" rx="11" fill="url(#rubber)"/>'
        '<rect x="50" y="124" width="36" height="84" rx="17" fill="url(#tube)"/>'
        '<rect x="170" y="124" width="36" height="84" rx="17" fill="url(#tube)"/>'
        f'<path d="M62 146 L62 184" {SHINE} stroke-width="6" opacity=".45"/>'
    )


def watch() -> str:
    return (
        '<path d="M104 100 L108 48 Q109 40 118 40 L138 40 Q147 40 148 48 L152 100 Z" fill="url(#tube)"/>'
        '<path d="M104 152 L108 200 Q109 208 118 208 L138 208 Q147 208 148 200 L152 152 Z" fill="url(#tube)"/>'
        '<rect x="176" y="118" width="12" height="16" rx="3" fill="url(#metal)"/>'
        '<circle cx="128" cy="126" r="52" fill="url(#metal)"/>'
        '<circle cx="128" cy="126" r="45" fill="url(#lit)"/>'
        '<circle cx="128" cy="126" r="33" fill="#fbfaf5"/>'
        '<path d="M128 98 L128 104 M128 148 L128 154 M100 126 L106 126 M150 126 L156 126" fill="none" stroke="#333" stroke-width="4"/>'
        '<path d="M128 126 L113 114 M128 126 L146 109" fill="none" stroke="#222" stroke-width="4.5" stroke-linecap="round"/>'
        '<circle cx="128" cy="126" r="4" fill="#222"/>'
    )


DRAWINGS = {
    "mug": mug,
    "teapot": teapot,
    "bottle": bottle,
    "lamp": lamp,
    "chair": chair,
    "handbag": handbag,
    "sneaker": sneaker,
    "tshirt": tshirt,
    "headphones": headphones,
    "watch": watch,
}
