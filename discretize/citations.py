"""BibTeX for what a result rests on."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from odescent._errors import OdescentError, unknown

_BIBTEX: dict[str, tuple[str, dict[str, str]]] = {
    "parimi2025": ("misc", {
        "author": "Parimi, M. and Mehra, Rachit and Wagh, S. R. and Yerudkar, Amol and Singh, Navdeep",
        "title": "On the Dynamics of Acceleration in First order Gradient Methods", "year": "2025",
        "eprint": "2509.18346", "archivePrefix": "arXiv"}),
    "astolfi2003": ("article", {
        "author": "Astolfi, Alessandro and Ortega, Romeo",
        "title": "Immersion and Invariance: A New Tool for Stabilization and Adaptive Control of Nonlinear Systems",
        "journal": "IEEE Transactions on Automatic Control", "volume": "48", "number": "4", "pages": "590--606",
        "year": "2003", "doi": "10.1109/TAC.2003.809820"}),
    "fenichel1979": ("article", {
        "author": "Fenichel, Neil",
        "title": "Geometric Singular Perturbation Theory for Ordinary Differential Equations",
        "journal": "Journal of Differential Equations", "volume": "31", "number": "1", "pages": "53--98",
        "year": "1979", "doi": "10.1016/0022-0396(79)90152-9"}),
    "nesterov1983": ("article", {
        "author": "Nesterov, Yurii",
        "title": "A Method of Solving a Convex Programming Problem with Convergence Rate {$O(1/k^2)$}",
        "journal": "Doklady Akademii Nauk SSSR", "volume": "269", "number": "3", "pages": "543--547", "year": "1983"}),
    "nesterov2004": ("book", {
        "author": "Nesterov, Yurii", "title": "Introductory Lectures on Convex Optimization: A Basic Course",
        "publisher": "Kluwer", "year": "2004", "doi": "10.1007/978-1-4419-8853-9"}),
    "polyak1964": ("article", {
        "author": "Polyak, Boris T.", "title": "Some Methods of Speeding Up the Convergence of Iteration Methods",
        "journal": "USSR Computational Mathematics and Mathematical Physics", "volume": "4", "number": "5",
        "pages": "1--17", "year": "1964", "doi": "10.1016/0041-5553(64)90137-5"}),
    "vanscoy2018": ("article", {
        "author": "Van Scoy, Bryan and Freeman, Randy A. and Lynch, Kevin M.",
        "title": "The Fastest Known Globally Convergent First-Order Method for Minimizing Strongly Convex Functions",
        "journal": "IEEE Control Systems Letters", "volume": "2", "number": "1", "pages": "49--54", "year": "2018",
        "doi": "10.1109/LCSYS.2017.2722406"}),
    "lessard2016": ("article", {
        "author": "Lessard, Laurent and Recht, Benjamin and Packard, Andrew",
        "title": "Analysis and Design of Optimization Algorithms via Integral Quadratic Constraints",
        "journal": "SIAM Journal on Optimization", "volume": "26", "number": "1", "pages": "57--95", "year": "2016",
        "doi": "10.1137/15M1009597"}),
    "su2016": ("article", {
        "author": "Su, Weijie and Boyd, Stephen and Cand{\\`e}s, Emmanuel J.",
        "title": "A Differential Equation for Modeling {Nesterov's} Accelerated Gradient Method: Theory and Insights",
        "journal": "Journal of Machine Learning Research", "volume": "17", "number": "153", "pages": "1--43",
        "year": "2016"}),
    "barakat2021": ("article", {
        "author": "Barakat, Anas and Bianchi, Pascal",
        "title": "Convergence and Dynamical Behavior of the {ADAM} Algorithm for Nonconvex Stochastic Optimization",
        "journal": "SIAM Journal on Optimization", "volume": "31", "number": "1", "pages": "244--274", "year": "2021",
        "doi": "10.1137/19M1263443"}),
    "dasilva2020": ("article", {
        "author": "Belotto da Silva, Andr{\\'e} and Gazeau, Maxime",
        "title": "A General System of Differential Equations to Model First-Order Adaptive Algorithms",
        "journal": "Journal of Machine Learning Research", "volume": "21", "number": "129", "pages": "1--42",
        "year": "2020"}),
    "kingma2015": ("inproceedings", {
        "author": "Kingma, Diederik P. and Ba, Jimmy", "title": "Adam: A Method for Stochastic Optimization",
        "booktitle": "International Conference on Learning Representations", "year": "2015",
        "eprint": "1412.6980", "archivePrefix": "arXiv"}),
    "korpelevich1976": ("article", {
        "author": "Korpelevich, G. M.",
        "title": "The Extragradient Method for Finding Saddle Points and Other Problems",
        "journal": "Matecon", "volume": "12", "pages": "747--756", "year": "1976"}),
    "rockafellar1976": ("article", {
        "author": "Rockafellar, R. Tyrrell", "title": "Monotone Operators and the Proximal Point Algorithm",
        "journal": "SIAM Journal on Control and Optimization", "volume": "14", "number": "5", "pages": "877--898",
        "year": "1976", "doi": "10.1137/0314056"}),
    "roberts1996": ("article", {
        "author": "Roberts, Gareth O. and Tweedie, Richard L.",
        "title": "Exponential Convergence of {Langevin} Distributions and Their Discrete Approximations",
        "journal": "Bernoulli", "volume": "2", "number": "4", "pages": "341--363", "year": "1996",
        "doi": "10.2307/3318418"}),
    "cauchy1847": ("article", {
        "author": "Cauchy, Augustin-Louis",
        "title": "M{\\'e}thode g{\\'e}n{\\'e}rale pour la r{\\'e}solution des syst{\\`e}mes d'{\\'e}quations "
        "simultan{\\'e}es",
        "journal": "Comptes rendus hebdomadaires des s{\\'e}ances de l'Acad{\\'e}mie des sciences", "volume": "25",
        "pages": "536--538", "year": "1847"}),
    "beck2009": ("article", {
        "author": "Beck, Amir and Teboulle, Marc",
        "title": "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems",
        "journal": "SIAM Journal on Imaging Sciences", "volume": "2", "number": "1", "pages": "183--202",
        "year": "2009",
        "doi": "10.1137/080716542"}),
    "kim2016": ("article", {
        "author": "Kim, Donghwan and Fessler, Jeffrey A.",
        "title": "Optimized First-Order Methods for Smooth Convex Minimization",
        "journal": "Mathematical Programming",
        "volume": "159", "pages": "81--107", "year": "2016", "doi": "10.1007/s10107-015-0949-3"}),
    "taylor2023": ("article", {
        "author": "Taylor, Adrien and Drori, Yoel",
        "title": "An Optimal Gradient Method for Smooth Strongly Convex Minimization",
        "journal": "Mathematical Programming", "volume": "199", "pages": "557--594", "year": "2023",
        "doi": "10.1007/s10107-022-01839-y"}),
    "kim2023": ("misc", {
        "author": "Kim, Jungbin and Yang, Insoon",
        "title": "Unifying {Nesterov's} Accelerated Gradient Methods for Convex and Strongly Convex Objective "
        "Functions: "
        "From Continuous-Time Dynamics to Discrete-Time Algorithms",
        "year": "2023", "eprint": "2301.03576", "archivePrefix": "arXiv"}),
    "popov1980": ("article", {
        "author": "Popov, Leonid D.",
        "title": "A Modification of the {Arrow--Hurwicz} Method for Search of Saddle Points",
        "journal": "Mathematical Notes of the Academy of Sciences of the USSR", "volume": "28", "number": "5",
        "pages": "845--848",
        "year": "1980"}),
    "lions1979": ("article", {
        "author": "Lions, Pierre-Louis and Mercier, Bertrand",
        "title": "Splitting Algorithms for the Sum of Two Nonlinear Operators",
        "journal": "SIAM Journal on Numerical Analysis", "volume": "16", "number": "6", "pages": "964--979",
        "year": "1979", "doi": "10.1137/0716071"}),
    "halpern1967": ("article", {
        "author": "Halpern, Benjamin", "title": "Fixed Points of Nonexpanding Maps",
        "journal": "Bulletin of the American Mathematical Society", "volume": "73", "number": "6",
        "pages": "957--961", "year": "1967", "doi": "10.1090/S0002-9904-1967-11864-0"}),
    "suh2023": ("inproceedings", {
        "author": "Suh, Jaewook J. and Park, Jisun and Ryu, Ernest K.",
        "title": "Continuous-time Analysis of Anchor Acceleration",
        "booktitle": "Advances in Neural Information Processing Systems", "year": "2023", "eprint": "2304.00771",
        "archivePrefix": "arXiv"}),
    "muehlebach2019": ("inproceedings", {
        "author": "Muehlebach, Michael and Jordan, Michael I.",
        "title": "A Dynamical Systems Perspective on {Nesterov} Acceleration",
        "booktitle": "International Conference on Machine Learning", "pages": "4656--4662", "year": "2019",
        "eprint": "1905.07436",
        "archivePrefix": "arXiv"}),
    "franca2020": ("article", {
        "author": "Fran{\\c c}a, Guilherme and Sulam, Jeremias and Robinson, Daniel P. and Vidal, Ren{\\'e}",
        "title": "Conformal Symplectic and Relativistic Optimization",
        "journal": "Journal of Statistical Mechanics: Theory and Experiment", "volume": "2020", "pages": "124008",
        "year": "2020", "doi": "10.1088/1742-5468/abcaee", "eprint": "1903.04100",
        "archivePrefix": "arXiv"}),
    "franca2021": ("article", {
        "author": "Fran{\\c c}a, Guilherme and Jordan, Michael I. and Vidal, Ren{\\'e}",
        "title": "On Dissipative Symplectic Integration with Applications to Gradient-Based Optimization",
        "journal": "Journal of Statistical Mechanics: Theory and Experiment", "volume": "2021", "pages": "043402",
        "year": "2021", "doi": "10.1088/1742-5468/abf5d4", "eprint": "2004.06840",
        "archivePrefix": "arXiv"}),
    "alvarez2002": ("article", {
        "author": "Alvarez, Felipe and Attouch, Hedy and Bolte, J{\\'e}r{\\^o}me and Redont, Patrick",
        "title": "A Second-Order Gradient-Like Dissipative Dynamical System with {Hessian}-Driven Damping. "
        "Application to Optimization and Mechanics",
        "journal": "Journal de Math{\\'e}matiques Pures et Appliqu{\\'e}es", "volume": "81", "number": "8",
        "pages": "747--779", "year": "2002", "doi": "10.1016/S0021-7824(01)01253-3"}),
    "castera2021": ("article", {
        "author": "Castera, Camille and Bolte, J{\\'e}r{\\^o}me and F{\\'e}votte, C{\\'e}dric and Pauwels, Edouard",
        "title": "An Inertial {Newton} Algorithm for Deep Learning",
        "journal": "Journal of Machine Learning Research", "volume": "22", "number": "134", "pages": "1--31",
        "year": "2021"}),
    "luo2022": ("article", {
        "author": "Luo, Hao and Chen, Long",
        "title": "From Differential Equation Solvers to Accelerated First-Order Methods for Convex Optimization",
        "journal": "Mathematical Programming", "volume": "195", "number": "1", "pages": "735--781", "year": "2022",
        "doi": "10.1007/s10107-021-01713-3",
        "eprint": "1909.03145", "archivePrefix": "arXiv"}),
    "smale1976": ("article", {
        "author": "Smale, Steve", "title": "A Convergent Process of Price Adjustment and Global {Newton} Methods",
        "journal": "Journal of Mathematical Economics", "volume": "3", "number": "2", "pages": "107--120",
        "year": "1976"}),
    "nemirovsky1983": ("book", {
        "author": "Nemirovsky, Arkadi S. and Yudin, David B.",
        "title": "Problem Complexity and Method Efficiency in Optimization", "publisher": "Wiley", "year": "1983"}),
    "kivinen1997": ("article", {
        "author": "Kivinen, Jyrki and Warmuth, Manfred K.",
        "title": "Exponentiated Gradient versus Gradient Descent for Linear Predictors",
        "journal": "Information and Computation", "volume": "132", "number": "1", "pages": "1--63", "year": "1997",
        "doi": "10.1006/inco.1996.2612"}),
    "krichene2015": ("inproceedings", {
        "author": "Krichene, Walid and Bayen, Alexandre M. and Bartlett, Peter L.",
        "title": "Accelerated Mirror Descent in Continuous and Discrete Time",
        "booktitle": "Advances in Neural Information Processing Systems", "year": "2015"}),
    "allenzhu2017": ("inproceedings", {
        "author": "Allen-Zhu, Zeyuan and Orecchia, Lorenzo",
        "title": "Linear Coupling: An Ultimate Unification of Gradient and Mirror Descent",
        "booktitle": "Innovations in Theoretical Computer Science", "pages": "3:1--3:22", "year": "2017",
        "doi": "10.4230/LIPIcs.ITCS.2017.3", "eprint": "1407.1537",
        "archivePrefix": "arXiv"}),
    "tieleman2012": ("misc", {
        "author": "Tieleman, Tijmen and Hinton, Geoffrey",
        "title": "Lecture 6.5 -- {RMSProp}: Divide the Gradient by a Running Average of Its Recent Magnitude",
        "howpublished": "COURSERA: Neural Networks for Machine Learning", "year": "2012"}),
    "duchi2011": ("article", {
        "author": "Duchi, John and Hazan, Elad and Singer, Yoram",
        "title": "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
        "journal": "Journal of Machine Learning Research", "volume": "12", "pages": "2121--2159", "year": "2011"}),
    "bernstein2018": ("inproceedings", {
        "author": "Bernstein, Jeremy and Wang, Yu-Xiang and Azizzadenesheli, Kamyar and Anandkumar, Animashree",
        "title": "{signSGD}: Compressed Optimisation for Non-Convex Problems",
        "booktitle": "International Conference on Machine Learning", "pages": "560--569", "year": "2018",
        "eprint": "1802.04434",
        "archivePrefix": "arXiv"}),
    "bernstein2024": ("misc", {
        "author": "Bernstein, Jeremy and Newhouse, Laker", "title": "Old Optimizer, New Norm: An Anthology",
        "year": "2024", "eprint": "2409.20325", "archivePrefix": "arXiv"}),
    "jordan2024": ("misc", {
        "author": "Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and "
        "Newhouse, Laker and Bernstein, Jeremy",
        "title": "Muon: An Optimizer for Hidden Layers in Neural Networks", "year": "2024",
        "url": "https://kellerjordan.github.io/posts/muon/"}),
    "ma2022": ("inproceedings", {
        "author": "Ma, Chao and Wu, Lei and E, Weinan",
        "title": "A Qualitative Study of the Dynamic Behavior for Adaptive Gradient Algorithms",
        "booktitle": "Mathematical and Scientific Machine Learning", "pages": "671--692", "year": "2022",
        "eprint": "2009.06125",
        "archivePrefix": "arXiv"}),
    "cortes2006": ("article", {
        "author": "Cort{\\'e}s, Jorge",
        "title": "Finite-Time Convergent Gradient Flows with Applications to Network Consensus",
        "journal": "Automatica", "volume": "42", "number": "11", "pages": "1993--2000", "year": "2006"}),
    "cheng2018": ("inproceedings", {
        "author": "Cheng, Xiang and Chatterji, Niladri S. and Bartlett, Peter L. and Jordan, Michael I.",
        "title": "Underdamped {Langevin} {MCMC}: A Non-Asymptotic Analysis",
        "booktitle": "Conference on Learning Theory", "pages": "300--323", "year": "2018",
        "eprint": "1707.03663",
        "archivePrefix": "arXiv"}),
    "li2017": ("inproceedings", {
        "author": "Li, Qianxiao and Tai, Cheng and E, Weinan",
        "title": "Stochastic Modified Equations and Adaptive Stochastic Gradient Algorithms",
        "booktitle": "International Conference on Machine Learning", "pages": "2101--2110", "year": "2017",
        "eprint": "1511.06251",
        "archivePrefix": "arXiv"}),
    "cyrus2018": ("inproceedings", {
        "author": "Cyrus, Saman and Hu, Bin and Van Scoy, Bryan and Lessard, Laurent",
        "title": "A Robust Accelerated Optimization Algorithm for Strongly Convex Functions",
        "booktitle": "2018 Annual American Control Conference (ACC)", "year": "2018",
        "eprint": "1710.04753", "archivePrefix": "arXiv"}),
    "pinnau2017": ("article", {
        "author": "Pinnau, Ren{\\'e} and Totzeck, Claudia and Tse, Oliver and Martin, Stephan",
        "title": "A Consensus-Based Model for Global Optimization and its Mean-Field Limit",
        "journal": "Mathematical Models and Methods in Applied Sciences", "volume": "27", "number": "1",
        "pages": "183--204", "year": "2017", "doi": "10.1142/S0218202517400061"}),
    "carrillo2021": ("article", {
        "author": "Carrillo, Jos{\\'e} A. and Jin, Shi and Li, Lei and Zhu, Yuhua",
        "title": "A Consensus-Based Global Optimization Method for High Dimensional Machine Learning Problems",
        "journal": "ESAIM: Control, Optimisation and Calculus of Variations", "volume": "27", "pages": "S5",
        "year": "2021", "doi": "10.1051/cocv/2020046"}),
    "kalise2022": ("misc", {
        "author": "Kalise, Dante and Sharma, Akash and Tretyakov, Michael V.",
        "title": "Consensus-Based Optimization via Jump-Diffusion Stochastic Differential Equations", "year": "2022",
        "eprint": "2205.04880", "archivePrefix": "arXiv"}),
    "bungert2024": ("article", {
        "author": "Bungert, Leon and Roith, Tim and Wacker, Philipp",
        "title": "Polarized Consensus-Based Dynamics for Optimization and Sampling",
        "journal": "Mathematical Programming", "year": "2024", "doi": "10.1007/s10107-024-02095-y",
        "eprint": "2211.05238", "archivePrefix": "arXiv"}),
    "bungert2025": ("misc", {
        "author": "Bungert, Leon and Hoffmann, Franca and Kim, Dohyeon and Roith, Tim",
        "title": "{MirrorCBO}: A Consensus-Based Optimization Method in the Spirit of Mirror Descent",
        "year": "2025", "eprint": "2501.12189", "archivePrefix": "arXiv"}),
    "riedl2023": ("misc", {
        "author": "Riedl, Konstantin and Klock, Timo and Geldhauser, Carina and Fornasier, Massimo",
        "title": "Gradient is All You Need? How Consensus-Based Optimization can be Interpreted as a Stochastic "
        "Relaxation of Gradient Descent", "year": "2023", "eprint": "2306.09778", "archivePrefix": "arXiv"}),
    "riedl2022": ("misc", {
        "author": "Riedl, Konstantin",
        "title": "Leveraging Memory Effects and Gradient Information in Consensus-Based Optimization: On Global "
        "Convergence in Mean-Field Law", "year": "2022", "eprint": "2211.12184", "archivePrefix": "arXiv"}),
    "grassi2020": ("misc", {
        "author": "Grassi, Sara and Pareschi, Lorenzo",
        "title": "From Particle Swarm Optimization to Consensus Based Optimization: Stochastic Modeling and "
        "Mean-Field Limit", "year": "2020", "eprint": "2012.05613", "archivePrefix": "arXiv"}),
    "fornasier2023": ("misc", {
        "author": "Fornasier, Massimo and Richt{\\'a}rik, Peter and Riedl, Konstantin and Sun, Lukang",
        "title": "Consensus-Based Optimization with Truncated Noise", "year": "2023", "eprint": "2310.16610",
        "archivePrefix": "arXiv"}),
    "fornasier2026": ("misc", {
        "author": "Fornasier, Massimo and Huang, Hui and Klemenc, Jona and Malaspina, Greta",
        "title": "From Consensus-Based Optimization to Evolution Strategies: Proof of Global Convergence",
        "year": "2026", "eprint": "2602.11677", "archivePrefix": "arXiv"}),
    "chiang1987": ("article", {
        "author": "Chiang, Tzuu-Shuh and Hwang, Chii-Ruey and Sheu, Shuenn Jyi",
        "title": "Diffusion for Global Optimization in {$\\mathbb{R}^n$}",
        "journal": "SIAM Journal on Control and Optimization", "volume": "25", "number": "3", "pages": "737--753",
        "year": "1987", "doi": "10.1137/0325042"}),
    "robbins1951": ("article", {
        "author": "Robbins, Herbert and Monro, Sutton", "title": "A Stochastic Approximation Method",
        "journal": "The Annals of Mathematical Statistics", "volume": "22", "number": "3", "pages": "400--407",
        "year": "1951", "doi": "10.1214/aoms/1177729586"}),
    "welling2011": ("inproceedings", {
        "author": "Welling, Max and Teh, Yee Whye",
        "title": "Bayesian Learning via Stochastic Gradient {Langevin} Dynamics",
        "booktitle": "International Conference on Machine Learning", "pages": "681--688", "year": "2011"}),
    "leimkuhler2013": ("article", {
        "author": "Leimkuhler, Benedict and Matthews, Charles",
        "title": "Rational Construction of Stochastic Numerical Methods for Molecular Sampling",
        "journal": "Applied Mathematics Research eXpress", "volume": "2013", "number": "1", "pages": "34--56",
        "year": "2013", "doi": "10.1093/amrx/abs010", "eprint": "1203.5428", "archivePrefix": "arXiv"}),
    "bussi2007": ("article", {
        "author": "Bussi, Giovanni and Parrinello, Michele",
        "title": "Accurate Sampling Using {Langevin} Dynamics", "journal": "Physical Review E", "volume": "75",
        "pages": "056707", "year": "2007", "doi": "10.1103/PhysRevE.75.056707"}),
    "kloeden1992": ("book", {
        "author": "Kloeden, Peter E. and Platen, Eckhard",
        "title": "Numerical Solution of Stochastic Differential Equations", "publisher": "Springer",
        "year": "1992", "doi": "10.1007/978-3-662-12616-5"}),
    "miyatake2018": ("article", {
        "author": "Miyatake, Yuto and Sogabe, Tomohiro and Zhang, Shao-Liang",
        "title": "On the Equivalence between {SOR}-Type Methods for Linear Systems and the Discrete Gradient "
        "Methods for Gradient Systems", "journal": "Journal of Computational and Applied Mathematics",
        "volume": "342", "pages": "58--69", "year": "2018", "doi": "10.1016/j.cam.2018.04.013",
        "eprint": "1711.02277", "archivePrefix": "arXiv"}),
    "wright2015": ("article", {
        "author": "Wright, Stephen J.", "title": "Coordinate Descent Algorithms",
        "journal": "Mathematical Programming", "volume": "151", "number": "1", "pages": "3--34", "year": "2015",
        "doi": "10.1007/s10107-015-0892-3", "eprint": "1502.04759", "archivePrefix": "arXiv"}),
    "itoh1988": ("article", {
        "author": "Itoh, Toshiaki and Abe, Kanji",
        "title": "{Hamiltonian}-Conserving Discrete Canonical Equations Based on Variational Difference Quotients",
        "journal": "Journal of Computational Physics", "volume": "76", "number": "1", "pages": "85--102",
        "year": "1988", "doi": "10.1016/0021-9991(88)90132-5"}),
}  # fmt: skip


def keys() -> list[str]:
    """The known citation keys."""
    return sorted(_BIBTEX)


def cite(thing: Any) -> str:
    """BibTeX of what a system, an algorithm or a derivation rests on; or of one citation key.

    Raises OdescentError for an unknown key (naming the nearest) or a thing that carries no references.
    """
    if isinstance(thing, str):
        if thing not in _BIBTEX:
            raise unknown("citation key", thing, _BIBTEX)
        wanted = [thing]
    else:
        wanted = [*getattr(thing, "references", ()), getattr(thing, "reference", "")]
        system = getattr(thing, "system", None)
        wanted += [*getattr(system, "references", ())]
    known = [k for k in dict.fromkeys(wanted) if k in _BIBTEX]
    if not known:
        raise OdescentError(f"{thing!r} carries no reference that is known here.")
    return "\n\n".join(_entry(k) for k in known)


def _entry(key: str) -> str:
    kind, fields = _BIBTEX[key]
    body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{body}\n}}"


def short_reference(key: str) -> str:
    """One reference as it stands in running text: authors and year."""
    if key not in _BIBTEX:
        raise unknown("reference", key, _BIBTEX)
    entry = _BIBTEX[key][1]
    return f"{_authors(entry)} {entry['year']}"


def reference_line(key: str) -> str:
    """One reference as a line: authors, title, year, DOI or arXiv number."""
    if key not in _BIBTEX:
        raise unknown("reference", key, _BIBTEX)
    entry = _BIBTEX[key][1]
    place = (
        f"doi:{entry['doi']}"
        if "doi" in entry
        else f"arXiv:{entry['eprint']}"
        if "eprint" in entry
        else ""
    )
    return f"{_authors(entry)}, {_plain(entry['title'])} ({entry['year']}){', ' + place if place else ''}."


def _authors(entry: dict[str, str]) -> str:
    names = [_plain(a.split(",")[0]) for a in entry["author"].split(" and ")]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


_ACCENTS = {
    "'": "\N{COMBINING ACUTE ACCENT}",
    "`": "\N{COMBINING GRAVE ACCENT}",
    "^": "\N{COMBINING CIRCUMFLEX ACCENT}",
    "c ": "\N{COMBINING CEDILLA}",
}


def _plain(field: str) -> str:
    """A field of BibTeX as text: accents, dashes, and R^n for the Euclidean space."""
    accented = re.sub(r"\\(c |['`^])(\w)", lambda m: m[2] + _ACCENTS[m[1]], field)
    bare = re.sub(r"[{}$]|\\mathbb", "", accented).replace("--", "–")
    return unicodedata.normalize("NFC", bare)
