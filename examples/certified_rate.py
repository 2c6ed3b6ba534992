"""A proved convergence rate, and its proof checked by a script independent of this package.

The triple momentum method has the rate 1 - 1 / sqrt(kappa) over all mu-strongly convex functions with
L-Lipschitz gradient, kappa = L / mu (Van Scoy, Freeman, Lynch, 10.1109/LCSYS.2017.2722406). Run it:

    python examples/certified_rate.py

It leaves out/certified_rate/certificate.json and out/certified_rate/check_certificate.py, which anyone with a
Python can run on it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import odescent as od
from odescent.analysis.certificates.checking import checker

MU, L = 1, 10


def main(out: Path = Path("out/certified_rate")) -> tuple[float, float]:
    """The certified rate, and the theorem's.

    Raises subprocess.CalledProcessError if the checker refuses the certificate.
    """
    certificate = od.analysis.certify(od.algorithm("triple_momentum"), MU, L)
    print(certificate)

    out.mkdir(parents=True, exist_ok=True)
    proof, script = out / "certificate.json", out / "check_certificate.py"
    proof.write_text(certificate.to_json())
    shutil.copy(checker.__file__, script)
    subprocess.run([sys.executable, "-I", "-S", str(script), str(proof)], check=True)

    # heavy ball in Polyak's tuning has none here: it runs in circles on a function of this class
    cycle = od.analysis.counterexample(od.algorithm("heavy_ball"), MU, 25)
    assert cycle is not None
    print(f"heavy ball at kappa = 25: {cycle}")
    return certificate.rate, 1 - (MU / L) ** 0.5


if __name__ == "__main__":
    main()
