// Two sums over the rows, for each channel: what batch_stats.cu and batch_norm.cu have in common.
//
// The rows (M, C) are cut into gridDim.y slices.  A block of (32, 8) threads takes 32 channels of
// one slice: its 32 columns of threads read 32 neighbours, its 8 rows of threads take turns.  The
// eight sums of a channel meet in shared memory, the sums of the slices in a second kernel.  All is
// added in one fixed order, so the same input gives the same bits; an atomic add would not.
//
// Sums are float64: the loop waits for memory, not for arithmetic, and a float32 sum over the many
// pixels of a batch would lose digits.

#define CHANNELS 32
#define TURNS 8

// The eight threads of a channel hand in a and b; the sums, added by the first, go to partial
// (2, slices, C).  All threads of the block must come here: it waits for them.
static __device__ void hand_in(double a, double b, double* partial, unsigned c, unsigned C) {
    __shared__ double sums[2][TURNS][CHANNELS];
    sums[0][threadIdx.y][threadIdx.x] = a;
    sums[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    if (threadIdx.y > 0 || c >= C) return;
    for (unsigned turn = 1; turn < TURNS; turn++) {
        a += sums[0][turn][threadIdx.x];
        b += sums[1][turn][threadIdx.x];
    }
    partial[blockIdx.y * C + c] = a;
    partial[(gridDim.y + blockIdx.y) * C + c] = b;
}

// One of the two sums of a channel over all slices, in their order: which is 0 for a, 1 for b.
static __device__ double total(const double* partial, unsigned which, unsigned slices, unsigned c,
                               unsigned C) {
    double sum = 0;
    for (unsigned s = which * slices; s < (which + 1) * slices; s++) sum += partial[s * C + c];
    return sum;
}
