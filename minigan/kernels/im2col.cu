// im2col: what each output position sees, as a row of a matrix (see im2col.py).
//
//     columns[(n, p, q), (k, l, c)] = x[n, i, j, first + c]     or 0 outside of the image
//     i = sh p + dh k - ph,  j = sw q + dw l - pw
//
// x: (N, H, W, pixel), of whose channels a group of C is copied; columns: (N P Q, kh kw C)
//
// A block is (width, 256 / width) threads.  Its rows take positions (n, p, q, k, l) and work out
// i and j once; its columns take the channels there, neighbours in both memories.

extern "C" __global__ void im2col(const float* x, float* columns, unsigned positions, int H, int W,
                                  int pixel, int first, int C, int P, int Q, int kh, int kw, int sh,
                                  int sw, int ph, int pw, int dh, int dw) {
    for (unsigned position = blockIdx.x * blockDim.y + threadIdx.y; position < positions;
         position += gridDim.x * blockDim.y) {
        unsigned rest = position;  // = (((n P + p) Q + q) kh + k) kw + l
        int l = rest % kw; rest /= kw;
        int k = rest % kh; rest /= kh;
        int q = rest % Q; rest /= Q;
        int p = rest % P, n = rest / P;
        int i = sh * p + dh * k - ph, j = sw * q + dw * l - pw;
        bool is_inside = 0 <= i && i < H && 0 <= j && j < W;
        // Not read where it points outside; 64 bits, since a whole batch may be larger than 2^31.
        const float* from = x + ((long long)(n * H + i) * W + j) * pixel + first;
        float* to = columns + (long long)position * C;
        for (int c = threadIdx.x; c < C; c += blockDim.x) to[c] = is_inside ? from[c] : 0;
    }
}
