// Adam (Kingma & Ba 2015, Algorithm 1) on flat arrays, one thread a weight:
//
//     m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g^2
//     p -= lr mhat / (sqrt(vhat) + eps)    mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t)
//
// What depends on the step t are two numbers, step_size = lr / (1 - beta1^t) and
// v_scale = 1 / sqrt(1 - beta2^t).  A captured graph repeats its arguments, so there they cannot be
// arguments: adam_tick counts t in the memory of the device, and adam_at reads them from there.

static __device__ void update(float* p, float g, float* m, float* v, float step_size, float v_scale,
                              float one_minus_beta1, float one_minus_beta2, float eps,
                              float weight_decay) {
    float gradient = g + weight_decay * *p;
    *m += one_minus_beta1 * (gradient - *m);
    *v += one_minus_beta2 * (gradient * gradient - *v);
    *p -= step_size * *m / (sqrtf(*v) * v_scale + eps);
}

extern "C" __global__ void adam(float* p, const float* g, float* m, float* v, float step_size,
                                float v_scale, float one_minus_beta1, float one_minus_beta2,
                                float eps, float weight_decay, unsigned n) {
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        update(p + i, g[i], m + i, v + i, step_size, v_scale, one_minus_beta1, one_minus_beta2,
               eps, weight_decay);
}

// state (4,): lr, t, step_size, v_scale.  One thread, once a step.  In float64, as on the host:
// with beta2 = 0.999 the difference 1 - beta2^t would keep only four digits of a float32.
extern "C" __global__ void adam_tick(double* state, double beta1, double beta2) {
    if (blockIdx.x > 0 || threadIdx.x > 0) return;
    double t = state[1] + 1;
    state[1] = t;
    state[2] = state[0] / (1 - pow(beta1, t));
    state[3] = 1 / sqrt(1 - pow(beta2, t));
}

extern "C" __global__ void adam_at(float* p, const float* g, float* m, float* v,
                                   const double* state, float one_minus_beta1,
                                   float one_minus_beta2, float eps, float weight_decay,
                                   unsigned n) {
    float step_size = (float)state[2], v_scale = (float)state[3];
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        update(p + i, g[i], m + i, v + i, step_size, v_scale, one_minus_beta1, one_minus_beta2,
               eps, weight_decay);
}
