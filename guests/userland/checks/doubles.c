/* Arithmetic whose result every IEEE 754 machine agrees on, and the C library's functions. */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value == value ? bits : 0x7ff8000000000000u;
}

static double from(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 1099511628211u;
}

static void operations(void)
{
    uint64_t sum = 0, difference = 0, product = 0, quotient = 0, root = 0, order = 0, narrow = 0;
    int i;
    for (i = 0; i < 20000; i++) {
        volatile double a = from(next()), b = from(next());
        sum = mix(sum, bits(a + b));
        difference = mix(difference, bits(a - b));
        product = mix(product, bits(a * b));
        quotient = mix(quotient, bits(a / b));
        root = mix(root, bits(sqrt(fabs(a))));
        order = mix(order, (a < b) | (a > b) << 1 | (a == b) << 2 | (a != a) << 3);
        narrow = mix(narrow, bits((double)(float)a));
    }
    printf("sum %016llx difference %016llx\n", (unsigned long long)sum,
           (unsigned long long)difference);
    printf("product %016llx quotient %016llx\n", (unsigned long long)product,
           (unsigned long long)quotient);
    printf("root %016llx order %016llx narrow %016llx\n", (unsigned long long)root,
           (unsigned long long)order, (unsigned long long)narrow);
}

static void conversions(void)
{
    uint64_t hash = 0;
    int i;
    for (i = 0; i < 20000; i++) {
        int64_t whole = (int64_t)next();
        volatile double a = (double)whole, b = (double)(uint64_t)whole, c = (double)(int32_t)whole;
        volatile double small = (double)(int64_t)(next() % 2000001) / 1000.0 - 1000.0;
        hash = mix(hash, bits(a));
        hash = mix(hash, bits(b));
        hash = mix(hash, bits(c));
        hash = mix(hash, (uint64_t)(int64_t)small);
        hash = mix(hash, (uint64_t)(int32_t)small);
        hash = mix(hash, bits(floor(small)));
        hash = mix(hash, bits(ceil(small)));
        hash = mix(hash, bits(rint(small)));
        hash = mix(hash, bits(trunc(small)));
        hash = mix(hash, (uint64_t)lround(small));
    }
    printf("conversions %016llx\n", (unsigned long long)hash);
}

static void functions(void)
{
    double x;
    for (x = 0.125; x < 700; x *= 5.5) {
        printf("%.17g %.17g %.17g %.17g\n", sin(x), cos(x), exp(x / 16), log(x));
        printf("%.17g %.17g %.17g %.17g\n", pow(x, 1.5), cbrt(x), atan2(x, 3), tanh(x / 9));
    }
    printf("%.17g %.17g %a %Lg\n", DBL_MAX, DBL_MIN / 8, 1.0 / 3, (long double)1 / 3);
    printf("%.17g %.17g\n", strtod("2.2250738585072011e-308", NULL), strtod("1e23", NULL));
}

static void series(void)
{
    static double matrix[40][40], square[40][40];
    double trace = 0, pi = 0;
    int i, j, k;
    for (i = 0; i < 40; i++)
        for (j = 0; j < 40; j++)
            matrix[i][j] = (double)(int64_t)(next() % 2001) / 1000 - 1;
    for (i = 0; i < 40; i++)
        for (j = 0; j < 40; j++)
            for (k = 0; k < 40; k++)
                square[i][j] += matrix[i][k] * matrix[k][j];
    for (i = 0; i < 40; i++)
        trace += square[i][i];
    for (i = 0; i < 200000; i++)
        pi += (i % 2 ? -4.0 : 4.0) / (2 * i + 1);
    printf("trace %.17g pi %.17g\n", trace, pi);
}

static void roundings(void)
{
#ifdef __GNUC__
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    static const char *names[] = {"nearest", "up", "down", "zero"};
    int i;
    for (i = 0; i < 4; i++) {
        volatile double one = 1, three = 3, result;
        fesetround(modes[i]);
        result = one / three;
        printf("%s %016llx %g %g\n", names[i], (unsigned long long)bits(result), rint(2.5),
               rint(-2.5));
    }
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    {
        volatile double zero = 0, one = 1, big = DBL_MAX, result;
        result = one / zero;
        printf("divide by zero %d\n", !!fetestexcept(FE_DIVBYZERO));
        result = zero / zero;
        printf("invalid %d\n", !!fetestexcept(FE_INVALID));
        result = big * big;
        printf("overflow %d inexact %d\n", !!fetestexcept(FE_OVERFLOW), !!fetestexcept(FE_INEXACT));
        (void)result;
    }
#endif
}

int main(void)
{
    operations();
    conversions();
    functions();
    series();
    roundings();
    return 0;
}
