"""Plain-text mathematics for terminals: Greek letters, roots, gradients and powers in Unicode."""

from __future__ import annotations

import re

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "phi": "φ", "psi": "ψ", "omega": "ω",
}  # fmt: skip
_DIGITS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_WORDS = {
    r"\nabla": "∇", r"\ddot x": "x''", r"\dot x": "x'", r"\dot z": "z'", r"\dot y": "y'", r"\dot p": "p'",
    r"\dot\psi": "ψ'", r"\sqrt{\mu}": "√μ", r"\langle": "⟨", r"\rangle": "⟩", r"\to": "→", r"\le": "≤", r"\top": "ᵀ",
    r"\varepsilon": "ε", r"\|": "|", r"\,": " ", r"\infty": "∞", r"\cdot": "·", r"\left": "", r"\right": "",
    r"\Delta": "Δ", r"\odot": "∘", r"\ge": "≥",
}  # fmt: skip


def pretty(line: str) -> str:
    """A line of the engine's plain text in Unicode."""
    line = line.replace("x_dot", "x'")
    line = re.sub(r"\bgrad (\w+)", r"∇\1", line)
    line = re.sub(r"\bhess (\w+)", r"∇²\1", line)
    line = re.sub(r"\bD(\d) (\w+)", lambda m: f"D{m[1].translate(_DIGITS)}{m[2]}", line)
    line = re.sub(r"[A-Za-z]+", lambda m: _GREEK.get(m[0], m[0]), line)
    line = re.sub(r"\bsqrt\((\w+)\)", r"√\1", line)
    line = re.sub(r"\*\*(\d+)", lambda m: m[1].translate(_DIGITS), line)
    line = re.sub(r"\*\*\(", "^(", line)
    line = re.sub(r"\^(\d)", lambda m: m[1].translate(_DIGITS), line)
    return line.replace("*", " ").replace(" . ", " ∘ ")


def unlatex(prose: str) -> str:
    """Prose with its dollar-delimited LaTeX as plain text."""

    def plain(match: re.Match[str]) -> str:
        body = match[1]
        for _ in range(4):  # nested braces, innermost first
            body = re.sub(r"\\sqrt\{\\?(\w+)\}", lambda m: "√" + _GREEK.get(m[1], m[1]), body)
            body = re.sub(r"\\frac\{(\\?\w+|√\w)\}\{(\\?\w+|√\w)\}", r"\1/\2", body)
            body = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", body)
            body = re.sub(r"\\(?:mathrm|text|operatorname)\{([^{}]*)\}", r"\1", body)
        for word in sorted(_WORDS, key=len, reverse=True):
            body = re.sub(
                re.escape(word) + r"(?![A-Za-z])" if word[-1].isalpha() else re.escape(word),
                _WORDS[word],
                body,
            )
        body = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", body)
        body = re.sub(r"\\([A-Za-z]+)", lambda m: _GREEK.get(m[1], m[1]), body)
        body = re.sub(r"\^\{?(-?\d+)\}?", lambda m: m[1].translate(_DIGITS), body)
        body = re.sub(r"∇(²?) +", r"∇\1", body).replace("^ᵀ", "ᵀ").replace("^*", "*")
        return re.sub(r"[{}]", "", body).replace("~", " ")

    return re.sub(r"\$([^$]*)\$", plain, prose)
