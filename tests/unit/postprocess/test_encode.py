import io
import threading
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from factory.errors import BadPicture
from factory.postprocess.encode import encode_png
from factory.postprocess.png import read_chunks

from .drafts import make_pixels

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))


def decode(content):
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return np.asarray(picture), picture.mode


@given(pixels=arrays(np.uint8, SHAPES), level=st.sampled_from([0, 1, 2, 3]))
@settings(deadline=None)
def test_any_size_decodes_to_the_same_pixels(pixels, level):
    decoded, mode = decode(encode_png(pixels, level=level))
    assert mode == "RGB"
    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize(("height", "width"), [(1024, 1024), (1, 2048), (2048, 1), (512, 768)])
def test_large_and_narrow_sizes(height, width):
    pixels = make_pixels(height, width)
    assert np.array_equal(decode(encode_png(pixels))[0], pixels)


def test_a_view_that_is_not_contiguous():
    pixels = make_pixels(64, 96)[::2, ::-1]
    assert np.array_equal(decode(encode_png(pixels))[0], pixels)


def test_another_inflater_reads_the_stream():
    pixels = make_pixels(33, 17)
    stream = b"".join(bytes(chunk.body) for chunk in read_chunks(encode_png(pixels)) if chunk.kind == b"IDAT")
    assert len(zlib.decompress(stream)) == 33 * (17 * 3 + 1)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
    ids=["empty", "grey", "alpha", "float"],
)
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(BadPicture, match="uint8"):
        encode_png(pixels)


def test_other_threads_run_while_it_encodes():
    """With the GIL held through one encode, the other thread would get nothing done in it, however often it is tried."""
    pixels = make_pixels(2048, 2048)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    def ticks_in_one_encode():
        started = time.perf_counter()
        encode_png(pixels)
        ended = time.perf_counter()
        return len([t for t in ticks if started < t < ended])

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        # On a busy machine the other thread may wait for a core instead.
        assert any(ticks_in_one_encode() >= 5 for _ in range(10))
    finally:
        done.set()
        thread.join()
