// Random numbers by Philox4x32-10: philox.py in CUDA, and its words bit for bit.
//
// One thread makes the four numbers of one counter.  key: the seed, low and high word; counter:
// (i / 4, stream, step, high word of the step).

static __device__ void philox(unsigned counter, unsigned stream, unsigned step0, unsigned step1,
                              unsigned key0, unsigned key1, unsigned word[4]) {
    word[0] = counter; word[1] = stream; word[2] = step0; word[3] = step1;
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, word[0]), low0 = 0xD2511F53u * word[0];
        unsigned high2 = __umulhi(0xCD9E8D57u, word[2]), low2 = 0xCD9E8D57u * word[2];
        word[0] = high2 ^ word[1] ^ key0; word[1] = low2;
        word[2] = high0 ^ word[3] ^ key1; word[3] = low0;
        key0 += 0x9E3779B9u; key1 += 0xBB67AE85u;
    }
}

// The upper 24 bits, in [0, 1).
static __device__ float to_uniform(unsigned word) { return (word >> 8) * (1.0f / (1 << 24)); }

// Two normal numbers from two words (Box & Muller 1958).
static __device__ void to_normal(unsigned word0, unsigned word1, float* number) {
    float v = ((float)word0 + 0.5f) * (1.0f / 4294967296.0f);  // in (0, 1]
    float r = sqrtf(-2 * logf(v)), sine, cosine;
    sincospif(2 * to_uniform(word1), &sine, &cosine);
    number[0] = r * cosine;
    number[1] = r * sine;
}

extern "C" __global__ void fill_uniform(float* out, unsigned key0, unsigned key1, unsigned stream,
                                        unsigned step0, unsigned step1, unsigned n) {
    unsigned counters = n / 4 + (n % 4 > 0), word[4];
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < counters;
         i += gridDim.x * blockDim.x) {
        philox(i, stream, step0, step1, key0, key1, word);
        for (unsigned j = 0; j < 4 && 4 * i + j < n; j++) out[4 * i + j] = to_uniform(word[j]);
    }
}

extern "C" __global__ void fill_normal(float* out, unsigned key0, unsigned key1, unsigned stream,
                                       unsigned step0, unsigned step1, unsigned n) {
    unsigned counters = n / 4 + (n % 4 > 0), word[4];
    float number[4];
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < counters;
         i += gridDim.x * blockDim.x) {
        philox(i, stream, step0, step1, key0, key1, word);
        to_normal(word[0], word[1], number);
        to_normal(word[2], word[3], number + 2);
        for (unsigned j = 0; j < 4 && 4 * i + j < n; j++) out[4 * i + j] = number[j];
    }
}
