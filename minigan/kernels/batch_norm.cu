// Batch normalisation and the activation after it, forward and backward.
//
//     xhat = (x - mean) inv_std     z = gamma xhat + beta     y = leaky_relu(z, slope)
//
// x, y, gy, gx: (n / C, C), rows of C channels; mean, inv_std, gamma, beta: (C,)

// One place says what z is: forward and backward must not disagree about its sign.
static __device__ float normalised(float x, float mean, float inv_std, float gamma, float beta) {
    return fmaf(x - mean, inv_std * gamma, beta);
}

extern "C" __global__ void batch_norm(const float* x, const float* mean, const float* inv_std,
                                      const float* gamma, const float* beta, float slope, float* y,
                                      unsigned C, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        unsigned c = i % C;
        float z = normalised(x[i], mean[c], inv_std[c], gamma[c], beta[c]);
        y[i] = z > 0 ? z : slope * z;
    }
}

// Sums over each channel of gz and of gz (x - mean), gz the gradient of z; in two kernels:
// see channel_sums.cu.
extern "C" __global__ void batch_norm_sums_partial(const float* gy, const float* x,
                                                   const float* mean, const float* inv_std,
                                                   const float* gamma, const float* beta,
                                                   float slope, unsigned M, unsigned C,
                                                   unsigned slice, double* partial) {
    unsigned c = blockIdx.x * CHANNELS + threadIdx.x;
    unsigned end = min(M, (blockIdx.y + 1) * slice);
    double sum = 0, product = 0;
    if (c < C)
        for (unsigned m = blockIdx.y * slice + threadIdx.y; m < end; m += TURNS) {
            unsigned i = m * C + c;
            float z = normalised(x[i], mean[c], inv_std[c], gamma[c], beta[c]);
            float gz = z > 0 ? gy[i] : slope * gy[i];
            sum += gz;
            product += (double)gz * (x[i] - mean[c]);
        }
    hand_in(sum, product, partial, c, C);
}

// sums (2, C): of gz, and of gz xhat.  One thread a channel.
extern "C" __global__ void batch_norm_sums_total(const double* partial, unsigned slices,
                                                 const float* inv_std, unsigned C, float* sums) {
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    sums[c] = (float)total(partial, 0, slices, c, C);
    sums[C + c] = (float)(total(partial, 1, slices, c, C) * inv_std[c]);
}

// gx = gamma inv_std (gz - sums[0] / M - xhat sums[1] / M).  inv_M = 1 / M
extern "C" __global__ void batch_norm_grad(const float* gy, const float* x, const float* mean,
                                           const float* inv_std, const float* gamma,
                                           const float* beta, float slope, const float* sums,
                                           float inv_M, float* gx, unsigned C, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        unsigned c = i % C;
        float z = normalised(x[i], mean[c], inv_std[c], gamma[c], beta[c]);
        float gz = z > 0 ? gy[i] : slope * gy[i];
        float x_hat = (x[i] - mean[c]) * inv_std[c];
        gx[i] = gamma[c] * inv_std[c] * (gz - inv_M * sums[c] - x_hat * (inv_M * sums[C + c]));
    }
}
