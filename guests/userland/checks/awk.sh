# Floating point as a scripting language has it: doubles, and the C library's functions.

awk 'BEGIN {
    printf "%.17g %.17g %.17g\n", 1/3, 2/3, 0.1 + 0.2
    printf "%.17g %.17g %.17g %.17g\n", sin(1), cos(1), exp(1), log(2)
    printf "%.17g %.17g %.17g\n", sqrt(2), atan2(1, 1) * 4, 2 ^ 0.5
    printf "%d %d %d %d\n", 2.999999, -2.999999, 1e15, -0.5
    printf "%.3f %.0f %.0f %.0f %e %g\n", 2.0005, 0.5, 1.5, 2.5, 6.02214076e23, 1e-10
    printf "%.17g %.17g\n", 1e308 * 10, -1e308 * 10
    printf "%.17g %.17g\n", 2.2250738585072014e-308 / 2, 2.2250738585072014e-308 / 4503599627370496
    s = 0; c = 0
    for (i = 1; i <= 200000; i++) { s += 1 / i; c += 1 / (i * i) }
    printf "%.17g %.17g\n", s, sqrt(6 * c)
}'

# The three-body problem, in small steps.
awk 'BEGIN {
    n = 3
    m[1] = 1.0; x[1] = -0.97000436; y[1] = 0.24308753; u[1] = 0.466203685; v[1] = 0.43236573
    m[2] = 1.0; x[2] = 0.97000436; y[2] = -0.24308753; u[2] = 0.466203685; v[2] = 0.43236573
    m[3] = 1.0; x[3] = 0; y[3] = 0; u[3] = -0.93240737; v[3] = -0.86473146
    dt = 0.001
    for (t = 0; t < 4000; t++) {
        for (i = 1; i <= n; i++) for (j = 1; j <= n; j++) if (i != j) {
            dx = x[j] - x[i]; dy = y[j] - y[i]; r = sqrt(dx * dx + dy * dy)
            f = m[j] / (r * r * r); u[i] += dt * f * dx; v[i] += dt * f * dy
        }
        for (i = 1; i <= n; i++) { x[i] += dt * u[i]; y[i] += dt * v[i] }
    }
    for (i = 1; i <= n; i++) printf "%.15g %.15g\n", x[i], y[i]
}'

awk 'BEGIN {
    for (y = -1.2; y <= 1.2; y += 0.15) {
        line = ""
        for (x = -2.1; x <= 0.7; x += 0.045) {
            a = b = 0
            for (i = 0; i < 60 && a * a + b * b < 4; i++) { t = a * a - b * b + x; b = 2 * a * b + y; a = t }
            line = line substr(" .:-=+*#%@", int(i / 60 * 9) + 1, 1)
        }
        print line "|"
    }
}'

seq 1 20000 | awk '{ s += $1 * 1.5; q += $1 * $1; if ($1 % 2) odd++ } END { print s, q, odd, s / NR }'
seq 1 5000 | awk '{ print sin($1), log($1), sqrt($1), int($1 / 7) }' | sha256sum
