/* Errors of float32 functions in units in the last place, against the C library's float64 functions.

   A float64 function is right to about 2^-52, so the error found is right to 2^-28 units. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*unary_kernel)(const float *, float *, int64_t);

static double sigmoid(double x) { return x > 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static float sigmoidf(float x) { return 1 / (1 + expf(-x)); }

static const struct unary {
    const char *name;
    double (*wide)(double);
    float (*narrow)(float);
} UNARY[] = {
    {"exp", exp, expf},       {"exp2", exp2, exp2f},    {"expm1", expm1, expm1f}, {"log", log, logf},
    {"log2", log2, log2f},    {"log10", log10, log10f}, {"log1p", log1p, log1pf}, {"sin", sin, sinf},
    {"cos", cos, cosf},       {"tan", tan, tanf},       {"asin", asin, asinf},    {"acos", acos, acosf},
    {"atan", atan, atanf},    {"sinh", sinh, sinhf},    {"cosh", cosh, coshf},    {"tanh", tanh, tanhf},
    {"asinh", asinh, asinhf}, {"acosh", acosh, acoshf}, {"atanh", atanh, atanhf}, {"erf", erf, erff},
    {"erfc", erfc, erfcf},    {"cbrt", cbrt, cbrtf},    {"sigmoid", sigmoid, sigmoidf},
    {"lgamma", lgamma, lgammaf}, {0}};

static const struct binary {
    const char *name;
    double (*wide)(double, double);
    float (*narrow)(float, float);
} BINARY[] = {{"atan2", atan2, atan2f}, {"pow", pow, powf}, {"hypot", hypot, hypotf}, {"fmod", fmod, fmodf}, {0}};

typedef struct {
    double worst, at, at2;            /* largest error, and where */
    int64_t wrong;                    /* results of another kind: NaN, infinity, sign */
    double wrong_at, wrong_at2, wrong_got;
} report;

static double unit(double value) {
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

static void judge(report *r, double x, double y, float got, double want) {
    int kind = 0;
    double error = 0, size = fabs(want);
    if (isnan(want) || isnan(got))
        kind = isnan(want) != isnan(got);
    else if (!!signbit(got) != !!signbit(want))
        kind = 1;
    else if (size > 0x1.000001p128)
        kind = !isinf(got);
    else if (isinf(x) || isinf(y) || size == 0)
        kind = isinf(got) || fabs(got - want) > unit(want);
    else
        error = fabs((isinf(got) ? 0x1p128 : fabs(got)) - size) / unit(size < 0x1p128 ? size : 0x1.fffffep127);
    if (kind && !r->wrong++) r->wrong_at = x, r->wrong_at2 = y, r->wrong_got = got;
    if (error > r->worst) r->worst = error, r->at = x, r->at2 = y;
}

static const struct unary *unary(const char *name) {
    const struct unary *f = UNARY;
    while (f->name && strcmp(f->name, name)) f++;
    return f->name ? f : 0;
}

static const struct binary *binary(const char *name) {
    const struct binary *f = BINARY;
    while (f->name && strcmp(f->name, name)) f++;
    return f->name ? f : 0;
}

/* The float32 with bits first, first + stride, ...: through the kernel, or through the C library's own if it is null. */
int check_bits(unary_kernel kernel, const char *name, uint32_t first, int64_t count, uint32_t stride, report *r) {
    enum { BLOCK = 16384 };
    const struct unary *f = unary(name);
    float *x = malloc(BLOCK * sizeof *x), *y = malloc(BLOCK * sizeof *y);
    if (!f || !x || !y) return 1;
    while (count > 0) {
        int64_t n = count < BLOCK ? count : BLOCK;
        for (int64_t i = 0; i < n; i++, first += stride) memcpy(x + i, &first, 4);
        if (kernel)
            kernel(x, y, n);
        else
            for (int64_t i = 0; i < n; i++) y[i] = f->narrow(x[i]);
        for (int64_t i = 0; i < n; i++) judge(r, x[i], 0, y[i], f->wide(x[i]));
        count -= n;
    }
    free(x), free(y);
    return 0;
}

int check_unary(const char *name, const float *x, const float *got, int64_t n, report *r) {
    const struct unary *f = unary(name);
    if (!f) return 1;
    for (int64_t i = 0; i < n; i++) judge(r, x[i], 0, got ? got[i] : f->narrow(x[i]), f->wide(x[i]));
    return 0;
}

int check_binary(const char *name, const float *x, const float *y, const float *got, int64_t n, report *r) {
    const struct binary *f = binary(name);
    if (!f) return 1;
    for (int64_t i = 0; i < n; i++)
        judge(r, x[i], y[i], got ? got[i] : f->narrow(x[i], y[i]), f->wide(x[i], y[i]));
    return 0;
}

/* The C library's float64 functions over arrays; y is ignored by the unary ones. */
int library_float64(const char *name, const double *x, const double *y, double *out, int64_t n) {
    const struct unary *f = unary(name);
    const struct binary *g = binary(name);
    if (!f && !g) return 1;
    for (int64_t i = 0; i < n; i++) out[i] = f ? f->wide(x[i]) : g->wide(x[i], y[i]);
    return 0;
}
