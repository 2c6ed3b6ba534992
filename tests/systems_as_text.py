"""Systems and algorithms of the library, written by hand in the language of system files."""

# The systems of the library, written by hand.
TEXTS = {
    "gradient_flow": "blocks x  objective f  field descent: x' = -grad f(x)",
    "saddle_flow": "blocks z  operator F  field flow: z' = -F(z)",
    "heavy_ball": """
        blocks v, x
        parameters c > 0
        objective f
        field damp: v' = -c*v
        field kick: v' = -grad f(x)
        field drift: x' = v
        output x""",
    "nesterov_sc": """
        blocks psi, y   parameters a > 0   objective f
        field damp:  psi' = -2*sqrt(mu)*psi
        field kick:  psi' = -grad f(y)
        field drift: y' = psi - a*grad f(y)
        output y - a*psi
        init y = x0  # psi starts at rest""",
    "triple_momentum": """
        blocks x, z   parameters a > 0   objective f
        let rate = sqrt(mu), g = grad f(x)
        field coupling: x' = 2*rate*(z - x)
        field law: x' = -a*g, z' = rate*(x - z) - g/rate
        output z
        init x = x0, z = x0""",
    "nesterov_c": """
        field damp:  psi' = -3*psi/t
        field kick:  psi' = -grad f(y)
        field drift: y' = psi - a*grad f(y)
        output y - a*psi
        init y = x0
        blocks psi, y   parameters a > 0   objective f   time t  # declared after their use""",
    "adam": """
        blocks m, v, x   parameters a > 0, b > 0, eps > 0   objective f   time t
        let g = grad f(x)
        field first: m' = a*(g - m)
        field second: v' = b*(g .* g - v)
        field drift: x' = -each((m/(1 - exp(-a*t)))/(sqrt(v/(1 - exp(-b*t))) + eps))
        output x""",
    "overdamped_langevin": """
        blocks x   objective f
        field descent: x' = -grad f(x)
        field heat
        noise heat: x += sqrt(2) dW
        output x""",
}  # fmt: skip
PASSIVE = (
    TEXTS["nesterov_sc"]
    + """
        scheme lie_trotter(kick: explicit, damp: cayley, drift: explicit)
        where a = h
        tuning h = 1/sqrt(L)"""
)
ALGORITHMS = {
    "nesterov_sc": PASSIVE,
    "triple_momentum": TEXTS["triple_momentum"]
    + "\nscheme coupling: cayley, law: explicit  where a = h  tuning h = 1/sqrt(L)",
    "heavy_ball": TEXTS["heavy_ball"]
    + "\nscheme semi_implicit_euler(v, x)"
    + "\ntuning c = 2*sqrt(mu)/(1 + sqrt(mu/L)), h = 2/(sqrt(L) + sqrt(mu))",
    "gradient_descent": TEXTS["gradient_flow"] + "\nscheme explicit_euler tuning h = 1/L",
    "proximal_point": TEXTS["gradient_flow"] + "\nscheme all: implicit",
    "extragradient": TEXTS["saddle_flow"]
    + "\nscheme all: explicit look half, flow: explicit read all from half tuning h = 1/L",
}
