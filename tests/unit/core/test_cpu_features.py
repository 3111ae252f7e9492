from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.cpu_features import CAP, cpu_features


@pytest.mark.parametrize(
    ("facts", "features"),
    [
        ("flags\t\t: fpu avx2 amx_int8 avx512_vnni\n", ["avx2", "avx512_vnni", "amx_int8"]),
        ("processor : 0\nFeatures\t: fp asimd asimddp bf16\n", ["asimddp", "bf16"]),
        ("flags : avx512_bf16_of_others\n", []),
        ("model name : none of these\n", []),
    ],
)
def test_features_are_those_that_the_system_reports(
    facts: str, features: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(facts)

    assert cpu_features(file) == features


@pytest.mark.parametrize(
    ("cap", "features"),
    [
        ("AVX512_CORE_VNNI", ["avx2", "avx512_vnni"]),
        ("avx512_core_bf16", ["avx2", "avx512_vnni", "avx512_bf16"]),
        ("AVX2", ["avx2"]),
        ("DEFAULT", ["avx2", "avx512_vnni", "avx512_bf16", "amx_int8"]),
    ],
)
def test_onednn_may_be_told_to_use_fewer(
    cap: str, features: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAP, cap)
    file = tmp_path / "cpuinfo"
    file.write_text("flags : avx2 avx512_vnni avx512_bf16 amx_int8\n")

    assert cpu_features(file) == features


def test_a_system_that_reports_none_has_none(tmp_path: Path) -> None:
    assert cpu_features(tmp_path / "absent") == []
