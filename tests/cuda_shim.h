// CUDA on the CPU: as much of it as the kernels in minigan/kernels/*.cu use.
//
// The threads of a block are fibers: each runs until it ends or reaches __syncthreads, then the next
// one does.  Blocks run one after the other.  Whether some threads wait for others that have ended,
// which hangs a GPU, is noticed.  With `backwards` the threads run from the last to the
// first: a kernel that forgets to wait for a neighbour is then wrong in one of the two orders.

#include <math.h>
#include <ucontext.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __shared__ static  // one for all threads of a block

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;

static unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }

static void sincospif(float x, float* sine, float* cosine) {
    *sine = (float)sin(M_PI * x);
    *cosine = (float)cos(M_PI * x);
}

// Fibers --------------------------------------------------------------------------------------

struct Fiber {
    ucontext_t context;
    bool is_done;
    char stack[1 << 16];
};
static Fiber* fibers = new Fiber[1024];  // by the number of the thread in its block
static Fiber* running;                   // none: the thread runs on the caller's own stack
static ucontext_t scheduler;
static bool is_divided;  // some threads of a block wait for others that have ended

static void __syncthreads() {
    if (running)
        swapcontext(&running->context, &scheduler);
    else
        is_divided = true;
}

static void set_thread(unsigned t) {
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

// Thread t runs until it waits or ends.
static void resume(unsigned t) {
    set_thread(t);
    running = &fibers[t];
    swapcontext(&scheduler, &running->context);
    running = nullptr;
}

template <class Body>
static void fiber_main(Body* body) {
    (*body)();
    running->is_done = true;  // and back to the scheduler, by uc_link
}

template <class Body>
static void start(unsigned t, Body* body) {
    Fiber& f = fibers[t];
    f.is_done = false;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack;
    f.context.uc_stack.ss_size = sizeof f.stack;
    f.context.uc_link = &scheduler;
    makecontext(&f.context, (void (*)())fiber_main<Body>, 1, body);
    resume(t);
}

template <class Body>
static void run_block(Body body, bool backwards) {
    unsigned n = blockDim.x * blockDim.y * blockDim.z;
    auto number = [&](unsigned i) { return backwards ? n - 1 - i : i; };
    start(number(0), &body);
    if (fibers[number(0)].is_done) {  // It did not wait, so none may, and none needs a stack.
        for (unsigned i = 1; i < n; i++) {
            set_thread(number(i));
            body();
        }
        return;
    }
    for (unsigned i = 1; i < n; i++) start(number(i), &body);
    while (!is_divided) {
        unsigned done = 0;
        for (unsigned t = 0; t < n; t++) done += fibers[t].is_done;
        if (done == n) return;
        is_divided = done > 0;
        for (unsigned i = 0; i < n && !is_divided; i++) resume(number(i));
    }
}

// Calls from Python: an array of pointers to the arguments, as CUDA's own launch takes them ------

template <class... P, size_t... I>
static int run(void (*kernel)(P...), const unsigned* grid, const unsigned* block, void** arguments,
               bool backwards, std::index_sequence<I...>) {
    is_divided = false;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                run_block([&] { kernel(*(P*)arguments[I]...); }, backwards);
    return is_divided;
}

// A parameter's type as NumPy names it; an array of them has a * behind it, and ! if it is written.
template <class T>
static std::string type_name() {
    using U = std::remove_pointer_t<T>;
    const char* kind = std::is_floating_point_v<U> ? "float" : std::is_signed_v<U> ? "int" : "uint";
    const char* array = !std::is_pointer_v<T> ? "" : std::is_const_v<U> ? "*" : "*!";
    return kind + std::to_string(8 * sizeof(U)) + array;
}

template <class... P>
static std::string types(void (*)(P...)) {
    std::string all;
    ((all += type_name<P>() + " "), ...);
    return all;
}

template <class... P>
static auto indices(void (*)(P...)) { return std::index_sequence_for<P...>(); }

#define EXPORT(kernel)                                                                           \
    extern "C" const char* kernel##_types() {                                                    \
        static std::string all = types(kernel);                                                  \
        return all.c_str();                                                                      \
    }                                                                                            \
    extern "C" int kernel##_run(const unsigned* grid, const unsigned* block, void** arguments,   \
                                int backwards) {                                                 \
        return run(kernel, grid, block, arguments, backwards, indices(kernel));                  \
    }
