"""Mathematical Unicode in plain ASCII, for terminals without Unicode."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ"
_ORDINARY = str.maketrans(_SUPERSCRIPTS, "0123456789+-T")
_LETTERS = "αβγδεζηθκλμνξπρστφψωΓΔΘΛΞΠΣΦΨΩ"
_NAMES = """
    alpha beta gamma delta eps zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi psi omega
    Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
"""
_GREEK = dict(zip(_LETTERS, _NAMES.split(), strict=True))
_TOUCHING = re.compile(
    f"(?<=[0-9A-Za-z{_LETTERS}])(?=[{_LETTERS}])|(?<=[{_LETTERS}])(?=[0-9A-Za-z])"
)
_SIGNS = {
    "∇²": "hess ", "∇": "grad ", "✓": "ok", "✗": "x", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "⟨": "<", "⟩": ">", "∞": "inf", "·": "*", "∘": "o", "⊙": ".*", "×": "x", "−": "-", "–": "-", "—": "-",
    "…": "...", "‖": "||", "∈": "in", "ℝ": "R", "±": "+-", "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip


def plain(text: str) -> str:
    """The text in ASCII: √μ is sqrt(mu), ∇f is grad f, h² is h^2, ç is c; what has no spelling becomes "?"."""
    # Signs and letters that touch are factors: 2√μ is 2 sqrt(mu), εψ is eps psi, a∇f is a grad f.
    text = re.sub(r"(?<=[\w)])(?=[√∇])", " ", text)
    text = re.sub(r"√(\w+)", lambda m: f"sqrt({m[1]})", text).replace("√", "sqrt")
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = re.sub(f"[{_SUPERSCRIPTS}]+", lambda m: "^" + m[0].translate(_ORDINARY), text)
    text = _TOUCHING.sub(" ", text)
    for letter, name in _GREEK.items():
        text = text.replace(letter, name)
    letters = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return letters.encode("ascii", "replace").decode("ascii")
