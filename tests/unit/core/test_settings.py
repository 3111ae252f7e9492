from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import SettingsError
from headrace.core.settings import Settings, as_environment, load_settings, variable


def test_a_variable_overrides_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MAX_SLOTS", "7")
    assert load_settings().max_slots == 7


def test_an_empty_variable_leaves_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MAX_SLOTS", "")
    assert load_settings().max_slots == Settings().max_slots


def test_an_option_overrides_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "9000")
    assert load_settings(port=9001).port == 9001


def test_an_option_that_was_not_given_overrides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "9000")
    assert load_settings(port=None).port == 9000


def test_the_bare_redis_url_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://queue:6379")
    assert load_settings().redis_url == "redis://queue:6379"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEADRACE_PORT", "none"),
        ("HEADRACE_PORT", "70000"),
        ("HEADRACE_ENGINE", "steam"),
        ("HEADRACE_LEASE_S", "0"),
        ("HEADRACE_DEVICE", "gpu"),
        ("HEADRACE_DEVICE", "cuda:"),
        ("HEADRACE_DEVICE", "cuda:-1"),
        ("HEADRACE_DEVICE", "cuda:one"),
        ("HEADRACE_DEVICE", "cpu:0"),
        ("HEADRACE_DEVICE", " cuda"),
    ],
)
def test_a_complaint_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_a_complaint_about_an_option_names_its_variable_too() -> None:
    with pytest.raises(SettingsError, match="HEADRACE_PORT"):
        load_settings(port="none")


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "none")
    monkeypatch.setenv("HEADRACE_WORKERS", "-1")
    with pytest.raises(SettingsError, match=r"HEADRACE_PORT.*HEADRACE_WORKERS"):
        load_settings()


def test_a_child_process_reads_the_same_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parent = Settings(state_dir=tmp_path, redis_url="unix:///r.sock", drain_s=2.5, port=9000)
    for name, value in as_environment(parent).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == parent


def test_a_setting_that_is_unset_is_no_variable() -> None:
    assert variable("redis_url") not in as_environment(Settings(redis_url=None))


def test_settings_never_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_says_what_it_does(field: str) -> None:
    assert Settings.model_fields[field].description


def test_the_state_folder_may_start_at_home_and_is_absolute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADRACE_STATE_DIR", "~/queue")
    assert load_settings().state_dir == Path.home() / "queue"
    assert load_settings(state_dir="queue").state_dir == Path.cwd() / "queue"


def test_the_monitor_needs_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(port=9000).metrics_port == 9001
    assert Settings(port=65535, monitor_port=9000).metrics_port == 9000
    monkeypatch.setenv("HEADRACE_PORT", "65535")
    with pytest.raises(SettingsError, match="HEADRACE_MONITOR_PORT"):
        load_settings()


def test_a_scaler_needs_bounds_that_leave_room_and_counts_to_go_by() -> None:
    with pytest.raises(SettingsError, match="HEADRACE_SCALER_MIN"):
        load_settings(scaler_min=3, scaler_max=2)
    with pytest.raises(SettingsError, match="HEADRACE_METRICS"):
        load_settings(scaler_max=2, metrics=False)


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({"workers": 3}, 3),
        ({"workers": 3, "scaler_min": 5}, 3),
        ({"workers": 3, "scaler_max": 8}, 3),
        ({"workers": 3, "scaler_max": 2}, 2),
        ({"workers": 1, "scaler_min": 2, "scaler_max": 8}, 2),
    ],
)
def test_a_deployment_starts_with_its_workers_within_the_bounds_of_its_scaler(
    fields: dict[str, int], first: int
) -> None:
    assert load_settings(**fields).first_workers == first


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_a_device_may_be_one_gpu_of_several(device: str) -> None:
    assert load_settings(device=device).device == device


def test_a_device_that_is_none_is_told_what_there_is() -> None:
    with pytest.raises(SettingsError, match="auto, cpu, cuda or cuda:N"):
        load_settings(device="cuda:x")
