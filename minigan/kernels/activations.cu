// Activations, one thread a value.  x, y, gy, gx: n values in the same memory order.
//
// Every kernel here and in the other files is a grid-stride loop: as many threads as were started
// share n values, neighbours read neighbours, and the bound is checked in one place.

extern "C" __global__ void leaky_relu(const float* x, float slope, float* y, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

extern "C" __global__ void leaky_relu_grad(const float* gy, const float* x, float slope, float* gx,
                                           unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        gx[i] = x[i] > 0 ? gy[i] : slope * gy[i];
}

extern "C" __global__ void sigmoid(const float* x, float* y, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float e = expf(-fabsf(x[i]));  // never overflows: 1/(1+e) for x >= 0, e/(1+e) for x < 0
        y[i] = (x[i] >= 0 ? 1 : e) / (1 + e);
    }
}
