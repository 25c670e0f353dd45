/*
 * GELU (its tanh form) of f32 rows in f32, where ggml looks the value up in a table of halves and errs
 * by up to 2e-3. Part of a copy of ops.cpp, see edits.cmake.
 *
 * x/2 (1 + tanh u) is x / (1 + exp(-2u)), u = sqrt(2/pi) x (1 + 0.044715 x^2). With z = 2u that is
 * silu(z) x/z, which is silu(z) / (2 sqrt(2/pi) (1 + 0.044715 x^2)): nothing divides by zero, and ggml's
 * own silu is vectorised.
 */
#ifndef INF_GELU_H
#define INF_GELU_H

#define INF_GELU_BLOCK 256

static void inf_gelu_block(int n, float * y, const float * x) {
    const float two_root = 1.595769122f; /* 2 sqrt(2/pi) */
    float z[INF_GELU_BLOCK];
    float f[INF_GELU_BLOCK];

    for (int i = 0; i < n; i++) {
        const float c = x[i] < -10.0f ? -10.0f : x[i] > 10.0f ? 10.0f : x[i];

        f[i] = two_root * (1.0f + 0.044715f * c * c);
        z[i] = f[i] * c;
    }
    ggml_vec_silu_f32(n, z, z);
    for (int i = 0; i < n; i++) { /* beyond 10 it is x, below -10 0, to the last bit; a NaN stays one */
        y[i] = x[i] > 10.0f ? x[i] : x[i] < -10.0f ? 0.0f : z[i] / f[i];
    }
}

static void inf_vec_gelu_f32(int n, float * y, const float * x) {
    for (int i = 0; i < n; i += INF_GELU_BLOCK) {
        inf_gelu_block(n - i < INF_GELU_BLOCK ? n - i : INF_GELU_BLOCK, y + i, x + i);
    }
}

static void inf_vec_geglu_f32(int n, float * y, const float * x, const float * g) {
    float t[INF_GELU_BLOCK];

    for (int i = 0; i < n; i += INF_GELU_BLOCK) {
        const int m = n - i < INF_GELU_BLOCK ? n - i : INF_GELU_BLOCK;

        inf_gelu_block(m, t, x + i);
        for (int k = 0; k < m; k++) {
            y[i + k] = t[k] * g[i + k];
        }
    }
}

#endif
