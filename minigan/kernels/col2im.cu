// col2im, the adjoint of im2col: each value of the image is the sum of its copies.
//
//     x[n, i, j, first + c] = sum over k, l of columns[(n, p, q), (k, l, c)]
//     where  i = sh p + dh k - ph,  j = sw q + dw l - pw  for some 0 <= p < P, 0 <= q < Q
//
// columns: (N P Q, kh kw C), x: (N, H, W, pixel), of whose channels a group of C is written
//
// A gather: each thread collects one sum, in the order of k and l.  To scatter, which is im2col
// turned around, would take atomic additions, and those add in another order each time.
// Threads and blocks are arranged as in im2col.cu.

// The first k >= 0 for which  i = s p + d k - padding  has an integer p, and that p; further ones
// follow every ``step`` (= s / gcd(s, d)).  False if there is none.
static __device__ bool first_seen(int i, int s, int padding, int d, int step, int* k, int* p) {
    for (*k = 0; *k < step; ++*k)
        if ((i + padding - d * *k) % s == 0) {
            *p = (i + padding - d * *k) / s;
            return true;
        }
    return false;
}

extern "C" __global__ void col2im(const float* columns, float* x, unsigned pixels, int H, int W,
                                  int pixel, int first, int C, int P, int Q, int kh, int kw, int sh,
                                  int sw, int ph, int pw, int dh, int dw, int step_k, int step_l) {
    for (unsigned place = blockIdx.x * blockDim.y + threadIdx.y; place < pixels;
         place += gridDim.x * blockDim.y) {
        int n = place / (H * W), i = place / W % H, j = place % W;  // place = (n H + i) W + j
        int first_k, first_p, first_l, first_q;
        bool is_seen = first_seen(i, sh, ph, dh, step_k, &first_k, &first_p) &&
                       first_seen(j, sw, pw, dw, step_l, &first_l, &first_q);
        for (int c = threadIdx.x; c < C; c += blockDim.x) {
            float sum = 0;
            if (is_seen)
                for (int k = first_k, p = first_p; k < kh; k += step_k, p -= dh * step_k / sh) {
                    if (p < 0 || p >= P) continue;
                    for (int l = first_l, q = first_q; l < kw; l += step_l, q -= dw * step_l / sw) {
                        if (q < 0 || q >= Q) continue;
                        long long row = ((long long)n * P + p) * Q + q;
                        sum += columns[((row * kh + k) * kw + l) * C + c];
                    }
                }
            x[(long long)place * pixel + first + c] = sum;
        }
    }
}
