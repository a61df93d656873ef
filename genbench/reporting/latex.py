"""Escape text for LaTeX: for the default fonts of an empty article, without any package."""

import re
import unicodedata

from genbench.reporting.numerals import SUPERSCRIPTS, one_line

LETTERS = ["ss", "ae", "oe", "o", "l", "i", "AE", "OE", "O", "L", "S", "P", "copyright", "pounds"]
LETTERS += ["textquestiondown", "textexclamdown"]
GREEK = ["alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"]
GREEK += ["xi", "", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega"]
CAPITALS = {"Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Φ": "Phi"}
CAPITALS |= {"Ψ": "Psi", "Ω": "Omega", "ϕ": "phi", "ϵ": "epsilon", "µ": "mu"}  # others look like Latin letters
MATHS = {chr(0x3B1 + place): f"\\{name}" for place, name in enumerate(GREEK) if name}
MATHS |= {letter: f"\\{name}" for letter, name in CAPITALS.items()}
MATHS |= {"±": r"\pm", "≈": r"\approx", "×": r"\times", "·": r"\cdot", "√": r"\surd", "∞": r"\infty", "−": "-"}
MATHS |= {"↑": r"\uparrow", "↓": r"\downarrow", "→": r"\rightarrow", "←": r"\leftarrow", "≤": r"\leq", "≥": r"\geq"}
MATHS |= {"≠": r"\neq", "∈": r"\in", "∇": r"\nabla", "∂": r"\partial", "°": r"^\circ", "•": r"\bullet"}
MATHS |= {"\u2113": r"\ell", "★": r"\star", "†": r"\dagger", "‡": r"\ddagger", "¬": r"\neg", "÷": r"\div"}
LATEX = {  # special characters, and signs that its fonts may lack; no command needs a package
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "{}$&#%_"},
    **{letter: f"{{{letter}}}" for letter in "[]*"},  # after \\ they would be read as an option or a star
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"{\ttfamily\char34}",  # \textquotedbl is not in the default encoding
    "`": r"\`{}",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "\u2018": r"\textquoteleft{}",
    "\u2019": r"\textquoteright{}",
    "\u201c": r"\textquotedblleft{}",
    "\u201d": r"\textquotedblright{}",
    "…": r"\dots{}",
    **{letter: f"{{\\{name}}}" for letter, name in zip("ßæœøłıÆŒØŁ§¶©£¿¡", LETTERS, strict=True)},
    **{sign: f"${name}$" for sign, name in MATHS.items()},
    **{chr(sign): f"$^{chr(plain)}$" for plain, sign in SUPERSCRIPTS.items()},
    **{chr(0x2080 + digit): f"$_{digit}$" for digit in range(10)},
}
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": "."}
ACCENTS |= {"\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0331": "b"}
MATHS_ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot"}
DOTLESS = {"i": r"\i", "j": r"\j"}  # below an accent
LIGATURES = "-',"  # LaTeX prints two of these in a row as another sign


def escape_latex(text: str) -> str:
    """Text escaped for LaTeX without any package, on one line; a question mark for letters that its fonts lack."""
    letters = re.findall(r".[\u0300-\u036f]*", unicodedata.normalize("NFC", one_line(text)))
    return "".join(
        "{}" * (letter in LIGATURES and before == letter) + latex_letter(letter)
        for before, letter in zip(["", *letters], letters, strict=False)
    )


def lacking_letters(text: str) -> set[str]:
    """The letters of a text that `escape_latex` replaces by a question mark."""
    return {letter for letter in unicodedata.normalize("NFC", one_line(text)) if latex_letter(letter) == "?"} - {"?"}


def latex_letter(letter: str) -> str:
    """One letter with its accents in LaTeX, written as commands, which every font encoding has."""
    if letter in LATEX or letter.isascii():
        return LATEX.get(letter, letter)
    plain, *marks = list(unicodedata.normalize("NFD", letter))
    mathematical = plain in MATHS
    accents = MATHS_ACCENTS if mathematical else ACCENTS
    written = MATHS.get(plain) or DOTLESS.get(plain) or (latex_letter(plain) if marks else "?")
    if written == "?" or any(mark not in accents for mark in marks):
        compatible = unicodedata.normalize("NFKD", letter)
        return compatible if compatible.isascii() and compatible.isalnum() else "?"
    for mark in marks:
        written = f"\\{accents[mark]}{{{written}}}"
    return f"${written}$" if mathematical else written
