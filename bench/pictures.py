"""Test pictures made by arithmetic: soft light, texture, grain and hard edges, as product photographs have them. Not flat, not noise."""

import numpy as np


def make_pictures(count: int, side: int = 1024, *, seed: int = 20) -> list[np.ndarray]:
    """side × side × 3, uint8, one scene after another: studio, fabric, bokeh, shelf."""
    random = np.random.default_rng(seed)
    scenes = (studio, fabric, bokeh, shelf)
    return [finish(scenes[i % len(scenes)](random, side), random) for i in range(count)]


def finish(scene: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Camera grain on a float scene of 0 … 1."""
    grain = random.normal(0, 0.004, scene.shape).astype(np.float32)
    return np.ascontiguousarray(np.clip((scene + grain) * 255, 0, 255).astype(np.uint8))


def coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    return x, y


def coloured(grey: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    return grey[..., None] * np.asarray(colour, np.float32)


def studio(random: np.random.Generator, side: int) -> np.ndarray:
    """A glazed sphere on a light sweep, with its shadow."""
    x, y = coordinates(side)
    scene = coloured(0.93 - 0.25 * (y - 0.3) ** 2 - 0.1 * (x - 0.5) ** 2, (1.0, 0.99, 0.96))
    scene *= (1 - 0.45 * np.exp(-(((x - 0.55) / 0.28) ** 2) - ((y - 0.8) / 0.05) ** 2))[..., None]
    radius = np.hypot(x - 0.5, y - 0.52)
    height = np.sqrt(np.clip(0.09 - radius**2, 0, None)) / 0.3
    light = 0.25 + 0.6 * np.clip((0.5 - x) * 1.2 + (0.52 - y) * 1.6 + height * 0.7, 0, 1)
    shine = np.exp(-((x - 0.42) ** 2 + (y - 0.4) ** 2) / 0.0012)
    ball = coloured(light, tuple(random.uniform(0.3, 1, 3))) + shine[..., None] * 0.7
    return np.where((radius < 0.3)[..., None], ball, scene)


def fabric(random: np.random.Generator, side: int) -> np.ndarray:
    """A weave in folds."""
    x, y = coordinates(side)
    folds = 0.6 + 0.18 * np.sin(9 * x + 3 * np.sin(4 * y)) + 0.1 * np.cos(14 * y - 5 * x)
    threads = 0.045 * np.sin(side * 0.55 * x + 6 * folds) * np.sin(side * 0.5 * y)
    slub = np.repeat(random.normal(0, 0.012, (side, side // 16)), 16, axis=1)
    return coloured((folds + threads + slub).astype(np.float32), tuple(random.uniform(0.4, 1, 3)))


def bokeh(random: np.random.Generator, side: int) -> np.ndarray:
    """Blurred lights behind a sharp bottle."""
    x, y = coordinates(side)
    scene = coloured(0.12 + 0.15 * y, (0.7, 0.8, 1.0))
    for _ in range(40):
        cx, cy, size = random.uniform(0, 1), random.uniform(0, 0.8), random.uniform(0.02, 0.09)
        disc = 0.5 - 0.5 * np.tanh((np.hypot(x - cx, y - cy) - size) * 80)
        scene += coloured(disc * random.uniform(0.08, 0.35), tuple(random.uniform(0.4, 1, 3)))
    bottle = np.abs(x - 0.5) < 0.09 + 0.05 * np.tanh((y - 0.4) * 14)
    glass = coloured(0.3 + 0.5 * np.cos((x - 0.5) * 18) ** 4 + 0.05 * np.sin(60 * y), (0.5, 0.9, 0.6))
    return np.where((bottle & (y > 0.15) & (y < 0.92))[..., None], glass, scene)


def shelf(random: np.random.Generator, side: int) -> np.ndarray:
    """Boxes with printed stripes on wooden boards."""
    x, y = coordinates(side)
    wood = 0.45 + 0.06 * np.sin(120 * y + 8 * np.sin(6 * x)) + 0.03 * np.sin(500 * y + 20 * x)
    scene = coloured(wood, (1.0, 0.75, 0.5))
    for row in range(3):
        for column in range(5):
            left, top = 0.04 + column * 0.19, 0.06 + row * 0.31
            inside = (x > left) & (x < left + 0.15) & (y > top) & (y < top + 0.25)
            stripes = 0.7 + 0.25 * (np.sin((y - top) * random.uniform(80, 260)) > 0.6) - 0.6 * (x - left)
            scene = np.where(inside[..., None], coloured(stripes, tuple(random.uniform(0.2, 1, 3))), scene)
    return scene
