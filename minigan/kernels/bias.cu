// Bias and activation in one pass over the memory, in place.

// x = leaky_relu(x + bias, slope).  x: (n / C, C), rows of C channels, bias: (C,)
extern "C" __global__ void add_bias_leaky_relu(float* x, const float* bias, float slope, unsigned C,
                                               unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float z = x[i] + bias[i % C];
        x[i] = z > 0 ? z : slope * z;
    }
}
