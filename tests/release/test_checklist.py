"""The checklists have five stages, in both languages."""

from pathlib import Path


def test_the_checklists_have_five_stages_and_boxes(bundle: Path) -> None:
    for language, stages in (("en", "Preparation"), ("ko", "사전준비")):
        text = (bundle / f"checklist.{language}.md").read_text(encoding="utf-8")
        assert text.count("\n## ") == 5
        assert stages in text
        assert text.count("- [x]") >= 8
        assert text.count("- [ ]") >= 10
        assert text.count("____  ") == text.count("- [ ]")
    english, korean = (
        (bundle / f"checklist.{language}.md").read_text(encoding="utf-8").count("\n- [")
        for language in ("en", "ko")
    )
    assert english == korean
