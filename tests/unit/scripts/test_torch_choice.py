"""Which torch is tried in which order, and that gigabytes are announced."""

import platform
import sys

import pytest
import torch_choice

PIN = "torch==2.13.0"
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def plan(what, folders=(), *, nvidia=False, system="linux"):
    return [(a.arguments, a.notice, a.find_links) for a in torch_choice.plan(what, PIN, folders, nvidia=nvidia, system=system)]


@pytest.fixture
def wheels(tmp_path):
    (tmp_path / f"torch-2.13.0+cpu-{TAG}-{TAG}-manylinux_2_28_{platform.machine().lower()}.whl").touch()
    return [tmp_path]


def test_none_installs_nothing():
    assert plan("none", nvidia=True) == []


def test_an_nvidia_card_gets_the_default_build_with_its_size_and_never_the_cpu_wheel(wheels):
    [(arguments, notice, find_links)] = plan("auto", wheels, nvidia=True)
    assert arguments == [PIN]
    assert "3 GB" in notice
    assert not find_links  # a folder's +cpu build would count as newer


def test_without_a_card_the_local_wheel_comes_first_then_the_cpu_build_then_the_default(wheels):
    assert [arguments for arguments, _, _ in plan("auto", wheels)] == [["torch==2.13.0+cpu"], [PIN, "--torch-backend", "cpu"], [PIN]]


def test_gigabytes_are_never_silent():
    assert all("3 GB" in notice for arguments, notice, _ in plan("auto") + plan("cuda") if arguments == [PIN])


def test_cpu_never_falls_back_to_gigabytes(wheels):
    assert [PIN] not in [arguments for arguments, _, _ in plan("cpu", wheels) + plan("cpu")]


@pytest.mark.parametrize(
    "name",
    [
        f"torch-2.12.0+cpu-{TAG}-{TAG}-linux_x86_64.whl",
        "torch-2.13.0+cpu-cp39-cp39-linux_x86_64.whl",
        f"torch-2.13.0+cpu-{TAG}-{TAG}-linux_riscv.whl",
    ],
)
def test_a_wheel_for_another_version_python_or_machine_does_not_count(tmp_path, name):
    (tmp_path / name).touch()
    assert torch_choice.local_wheel(PIN, [tmp_path], sys.version_info[:2]) is None


def test_a_mac_takes_the_default_build():
    assert [arguments for arguments, _, _ in plan("auto", system="darwin")] == [[PIN]]


def test_a_requirement_is_passed_on_as_it_is():
    assert plan("torch==2.12.1") == [(["torch==2.12.1"], "", True)]
