// Binary cross entropy of logits x against targets t, without overflow for any x.
//
// t_step is 1 if there is a target for each logit, and 0 if one target is meant for all.

// l = softplus(x) - t x = max(x, 0) + log(1 + e^-|x|) - t x
extern "C" __global__ void bce_with_logits(const float* x, const float* t, unsigned t_step,
                                           float* l, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        l[i] = fmaxf(x[i], 0) + log1pf(expf(-fabsf(x[i]))) - t[i * t_step] * x[i];
}

// gx = gl (sigmoid(x) - t)
extern "C" __global__ void bce_with_logits_grad(const float* gl, const float* x, const float* t,
                                                unsigned t_step, float* gx, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float e = expf(-fabsf(x[i]));
        gx[i] = gl[i] * ((x[i] >= 0 ? 1 : e) / (1 + e) - t[i * t_step]);
    }
}
