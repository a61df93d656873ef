"""The project's English: texts for people use no word that has a plainer alternative."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator

import pytest
from checkouts import ROOT

NUMBER = r"(?:\d[\d,.]*|one|two|three|four|five|six|ten)"
COUNTED = r"(?:[TGM]?FLOPs?|evaluations?|images?|samples?|steps?|numbers?|labels?|rays?)"
UNIT = r"(?:image|row|step|sample|seed|batch|epoch|second|pixel|iteration)"
PLAINER = {  # a pattern, and what to write instead
    r"alone": "only",
    r"(?:tells?|told|telling)(?! \w+ apart| apart|, Draw)": "states, says, shows; distinguishes",
    r"(?:whence|thereof|whereof|therein|hitherto|unto|lest|amongst|whilst)": "from which, of it, to, among, while",
    r"(?:whoever|whosoever|whomever)": "who it is: the user, the caller, the process",
    r"anew": "again",
    r"learnt|by heart": "learned, memorised",
    r"(?:needs?|dares?) not": "does not need to, does not have to",
    r"(?:can't|cannot|could not|to) be had": "is unavailable, is missing",
    r"(?:in the place|in place) of": "instead of, replaces",
    r"(?:these|this|that) very": "exactly this, the same",
    r"without a word": "silently",
    r"takes? room|wants? a": "takes space; needs a",
    r"(?:is|are) to be": "the verb: write, read, type",
    r"takes long": "takes more than so many seconds, or: long jobs",
    r"(?:gray(?:scale)?|behavior|favorite|labeled|modeling)": "British spelling",
    r"(?:normal|initial|recogn|summar)iz\w+": "British spelling",
    rf"{NUMBER} {COUNTED} an? {UNIT}": "per image, per row, per step",
}
# A pattern of the surrounding words where a word is a name or a quotation.
NAMES = {
    r"alone": r"threads: alone|def alone",
    r"tells": r"\{told\}",
    r"gray": r"gray (?:sphere|cube|cylinder)|\"gray\"",
    r"normalized": r"charset-normalizer",
}


def texts() -> Iterator[tuple[str, int, str]]:
    """Yield every line of prose: its file, its number, and its text without code."""
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in found.splitlines():
        path = ROOT / name
        if path.suffix not in READ or name.startswith(("findings/", "tests/")):
            continue
        yield from ((name, number, line) for number, line in READ[path.suffix](path.read_text()))


def of_markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines outside code blocks, without inline code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield number, re.sub(r"`[^`]*`", "``", line)


def of_python(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments, docstrings and messages."""
    parts = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in parts:
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                yield number, re.sub(r"`[^`]*`", "``", line)


def of_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield every line."""
    yield from enumerate(text.splitlines(), 1)


READ = {".md": of_markdown, ".py": of_python, ".yaml": of_lines, ".j2": of_lines, ".smk": of_lines, ".toml": of_lines}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout has a list of its files")
def test_no_text_has_a_word_for_which_there_is_a_plainer_one() -> None:
    patterns = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): plain for words, plain in PLAINER.items()}
    names = re.compile("|".join(NAMES.values()))
    found = [
        f"{name}:{number}: {match[0]!r}: write {plain}"
        for name, number, line in texts()
        for pattern, plain in patterns.items()
        if (match := pattern.search(names.sub("", line)))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [("500 samples a row", True), ("two images are in a row", False), ("it tells them apart", False)],
)
def test_the_list_catches_a_rate_and_leaves_an_idiom(text: str, caught: bool) -> None:
    assert any(re.search(rf"\b(?:{words})\b", text) for words in PLAINER) is caught
