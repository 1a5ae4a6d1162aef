// Mean and (biased) variance of each channel, in two kernels: see channel_sums.cu.
//
// x: (M, C), rows of C channels -> mean, var: (C,)

// Sums of x - shift and of its square: with one of the values, x[0], as shift the variance is not
// the difference of two large numbers even if the mean is large.
extern "C" __global__ void batch_stats_partial(const float* x, unsigned M, unsigned C,
                                               unsigned slice, double* partial) {
    unsigned c = blockIdx.x * CHANNELS + threadIdx.x;
    unsigned end = min(M, (blockIdx.y + 1) * slice);
    double sum = 0, square = 0;
    if (c < C)
        for (unsigned m = blockIdx.y * slice + threadIdx.y; m < end; m += TURNS) {
            double deviation = (double)x[m * C + c] - x[c];
            sum += deviation;
            square += deviation * deviation;
        }
    hand_in(sum, square, partial, c, C);
}

// One thread a channel.
extern "C" __global__ void batch_stats_total(const double* partial, unsigned slices, const float* x,
                                             unsigned M, unsigned C, float* mean, float* var) {
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    double deviation = total(partial, 0, slices, c, C) / M;
    double square = total(partial, 1, slices, c, C);
    mean[c] = (float)(x[c] + deviation);
    var[c] = (float)(square / M - deviation * deviation);
}
