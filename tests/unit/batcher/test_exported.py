from __future__ import annotations

from pathlib import Path

import pytest

from batcher.exported import EXPORTED, FORMS, Exported


def test_what_was_written_is_read(tmp_path: Path) -> None:
    exported = Exported("int8_blocks", 4096)
    exported.write(tmp_path)
    assert Exported.read(tmp_path) == exported


@pytest.mark.parametrize("text", ["", "[]", '{"form": "int2"}', '{"shape": 1}'])
def test_what_cannot_be_read_is_no_export(tmp_path: Path, text: str) -> None:
    assert Exported.read(tmp_path) is None
    (tmp_path / EXPORTED).write_text(text)
    assert Exported.read(tmp_path) is None


def test_forms_follow_each_other_until_the_last() -> None:
    form, met = Exported(FORMS[0]), [FORMS[0]]
    while form.next_form is not None:
        form = Exported(form.next_form)
        met.append(form.form)
    assert tuple(met) == FORMS


def test_exports_that_answer_differently_have_different_names() -> None:
    exports = [Exported("int8"), Exported("bfloat16"), Exported("int8", 256), Exported("int8", 512)]
    assert len({exported.name for exported in exports}) == len(exports)


def test_an_export_for_one_context_does_not_serve_another() -> None:
    assert Exported("int8", 256).serves(256)
    assert not Exported("int8", 256).serves(512)
    assert Exported("int8").serves(512)
