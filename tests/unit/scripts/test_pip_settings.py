"""What pip is told here, uv is told too."""

import pip_settings
import pytest


@pytest.fixture(autouse=True)
def without_uv_settings(monkeypatch):
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "SSL_CERT_FILE", "ALL_PROXY", "UV_HTTP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_configured_means_the_default_index():
    settings = pip_settings.translate([])
    assert settings.indexes == ["--index-strategy", "unsafe-best-match"]
    assert settings.find_links == settings.warnings == []


def test_the_environment_beats_the_command_section_beats_global():
    pairs = [
        (":env:.index-url", "https://env.example/simple"),
        ("global.index-url", "https://g.example"),
        ("install.index-url", "https://i.example"),
    ]
    assert pip_settings.translate(pairs).indexes[-2:] == ["--index-url", "https://env.example/simple"]
    assert pip_settings.translate(pairs[1:]).indexes[-2:] == ["--index-url", "https://i.example"]


def test_a_local_place_that_does_not_exist_is_left_out_with_a_warning(tmp_path):
    (tmp_path / "simple").mkdir()
    there, missing = f"file://{tmp_path}/simple", f"file://{tmp_path}/missing"
    settings = pip_settings.translate([("global.extra-index-url", f"{there} {missing}"), ("global.find-links", str(tmp_path / "wheels"))])
    assert settings.indexes[-2:] == ["--extra-index-url", there]
    assert settings.find_links == []
    assert [word in warning for word, warning in zip([missing, "wheels"], sorted(settings.warnings), strict=True)] == [True, True]


def test_folders_of_wheels_are_found_as_path_and_as_url_with_a_space(tmp_path):
    (tmp_path / "my wheels").mkdir()
    settings = pip_settings.translate([("global.find-links", f"file://{tmp_path}/my%20wheels {tmp_path} https://wheels.example/")])
    assert list(settings.wheel_folders()) == [tmp_path / "my wheels", tmp_path]


def test_certificate_proxy_and_no_index_are_passed_on():
    settings = pip_settings.translate([("global.cert", "/c.pem"), ("global.proxy", "http://p.example"), ("install.no-index", "true")])
    assert settings.env == {"SSL_CERT_FILE": "/c.pem", "ALL_PROXY": "http://p.example"}
    assert settings.indexes == ["--no-index"]


def test_sections_of_other_pip_commands_do_not_count():
    assert pip_settings.translate([("download.no-index", "true")]).indexes == ["--index-strategy", "unsafe-best-match"]
