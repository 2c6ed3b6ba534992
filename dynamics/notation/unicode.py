"""Plain-text mathematics for terminals: Greek letters, roots, gradients and powers in Unicode."""

from __future__ import annotations

import re

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eps": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "Delta": "Δ", "phi": "φ", "psi": "ψ", "omega": "ω",
    "lam": "λ", "gam": "γ", "kap": "κ",
}  # fmt: skip
_DIGITS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_WORDS = {
    r"\nabla": "∇", r"\in": "∈", r"\sqrt{\mu}": "√μ", r"\langle": "⟨", r"\rangle": "⟩", r"\to": "→", r"\le": "≤",
    r"\top": "ᵀ",
    r"\varepsilon": "ε", r"\|": "|", r"\,": " ", r"\infty": "∞", r"\cdot": "·", r"\left": "", r"\right": "",
    r"\Delta": "Δ", r"\odot": "⊙", r"\ge": "≥", r"\ne": "≠",
}  # fmt: skip


def pretty(line: str) -> str:
    """A line of the engine's plain text in Unicode."""
    line = re.sub(r"\b(\w+?)_(d{1,2})ot\b", lambda m: m[1] + "'" * len(m[2]), line)
    line = re.sub(r"(\w)\+(?=[\s,)\]]|$)", r"\1⁺", line)  # x+ is x after the step; sums have spaces
    line = re.sub(r"\bensemble_(\w+)\(([^();]*); (\w+)", r"m_\3,\1(\2", line)
    line = re.sub(r"\bsqrt\(\|([^|]*)\|\^2\)", r"|\1|", line)
    line = re.sub(r"\bgrad (\w+)", r"∇\1", line)
    line = re.sub(r"\bgrad_(\w+) (\w+)", r"∇_\1 \2", line)
    line = re.sub(r"\bhess (\w+)", r"∇²\1", line)
    line = re.sub(r"\bD (\w+)\(", r"D\1(", line).replace("^T ", "ᵀ ")
    line = re.sub(r"\bD(\d) (\w+)", lambda m: f"D{m[1].translate(_DIGITS)}{m[2]}", line)
    line = re.sub(r"[A-Za-z]+", lambda m: _GREEK.get(m[0], m[0]), line)
    line = re.sub(r"\bsqrt\((\w+)\)", r"√\1", line)
    line = re.sub(r"\*\*(\d+)", lambda m: m[1].translate(_DIGITS), line)
    line = re.sub(r"\*\*\(", "^(", line)
    line = re.sub(r"\^(\d)", lambda m: m[1].translate(_DIGITS), line)
    line = re.sub(r"<([^<>\n]+, [^<>\n]+)>", r"⟨\1⟩", line)
    line = line.replace(" .* ", " ⊙ ")
    return re.sub(r"\*(?![,)\s]|$)", " ", line)  # a product; x* is the minimizer


def _dotted(found: re.Match[str]) -> str:
    return (found[2] or found[3]) + "'" * len(found[1])


def unlatex(prose: str) -> str:
    """Prose with its dollar-delimited LaTeX as plain text."""

    def plain(match: re.Match[str]) -> str:
        body = match[1]
        body = re.sub(r"\\(d{1,2})ot *(?:\{(\\?\w+(?:\{\w+\})?)\}|(\\?[A-Za-z]+))", _dotted, body)
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
        body = body.replace("^+", "⁺")
        return re.sub(r"[{}]", "", body).replace("~", " ")

    return re.sub(r"\$([^$]*)\$", plain, prose)
