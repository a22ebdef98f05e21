"""docs/settings.md, which a script makes from the classes of settings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_script_would_write() -> None:
    script = ROOT / "scripts" / "make_settings_reference.py"
    spec = importlib.util.spec_from_file_location("make_settings_reference", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert module.reference() == written, "run: python scripts/make_settings_reference.py"
    assert "| `api_key` | text | required |  | yes | the key of your Forvo plan |" in written
