"""What the documents show is what is tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {".py": "python", ".mjs": "js", ".go": "go"}


def blocks(document):
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def samples():
    return {path.read_text(): FILES[path.suffix] for path in sorted((ROOT / "docs/verify").iterdir()) if path.is_file()}


def test_every_file_is_shown_as_it_is():
    shown = blocks("docs/verify.md") + blocks("docs/webhooks.md")
    for text, language in samples().items():
        assert (language, text) in shown, text.splitlines()[0]


@pytest.mark.parametrize("document", ["docs/verify.md", "README.md"])
def test_nothing_is_shown_that_is_not_tested(document):
    tested = samples()
    for language, text in blocks(document):
        verifies = language in FILES.values() and re.search(r"jwks|openid-configuration|verify\(", text)
        assert not verifies or text in tested, text
