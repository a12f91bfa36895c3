// Checks of the stand-ins themselves: barriers, shuffles in divergent code, shared memory, atomics, halves, captures.
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>
#include <string>
extern "C" {
int cuInit(unsigned);
int cuStreamCreate(void **, unsigned);
int cuModuleLoadData(void **, const char *);
int cuModuleGetFunction(void **, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                   void **);
int cuMemAlloc_v2(uint64_t *, size_t);
int cuMemAllocAsync(uint64_t *, size_t, void *);
int cuMemFree_v2(uint64_t);
int cuMemFreeAsync(uint64_t, void *);
int cuMemcpyHtoDAsync_v2(uint64_t, const void *, size_t, void *);
int cuMemcpyDtoHAsync_v2(void *, uint64_t, size_t, void *);
int cuMemcpyDtoDAsync_v2(uint64_t, uint64_t, size_t, void *);
int cuMemsetD8Async(uint64_t, unsigned char, size_t, void *);
int cuStreamBeginCapture_v2(void *, int);
int cuStreamEndCapture(void *, void **);
int cuStreamSynchronize(void *);
int cuStreamIsCapturing(void *, int *);
int cuGraphGetNodes(void *, void **, size_t *);
int cuGraphNodeGetType(void *, int *);
int cuGraphInstantiateWithFlags(void **, void *, unsigned long long);
int cuGraphLaunch(void *, void *);
int cuGraphExecDestroy(void *);
int cuGraphDestroy(void *);
int cuEventCreate(void **, unsigned);
int cuEventRecord(void *, void *);
int cuStreamWaitEvent(void *, void *, unsigned);
int cuEventSynchronize(void *);
int cuEventQuery(void *);
int nvrtcCreateProgram(void **, const char *, const char *, int, const char *const *, const char *const *);
int nvrtcCompileProgram(void *, int, const char *const *);
int nvrtcGetPTXSize(void *, size_t *);
int nvrtcGetPTX(void *, char *);
int nvrtcGetProgramLogSize(void *, size_t *);
int nvrtcGetProgramLog(void *, char *);
}
#define CHECK(x, want)                                               \
  do {                                                               \
    long g_ = long(x), w_ = long(want);                              \
    if (g_ != w_) {                                                  \
      printf("line %d: %s is %ld, not %ld\n", __LINE__, #x, g_, w_); \
      bad++;                                                         \
    }                                                                \
  } while (0)
static int bad;
static const char *HEAD =
    "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\ntypedef unsigned int uint32_t;\ntypedef unsigned long long int "
    "uint64_t;\ntypedef signed long long int int64_t;\n";
static void *function(const std::string &src, const char *name) {
  void *p, *m, *f;
  nvrtcCreateProgram(&p, (HEAD + src).c_str(), 0, 0, 0, 0);
  int r = nvrtcCompileProgram(p, 0, 0);
  if (r) {
    size_t n;
    nvrtcGetProgramLogSize(p, &n);
    std::string l(n, 0);
    nvrtcGetProgramLog(p, &l[0]);
    printf("%s\n", l.c_str());
    return nullptr;
  }
  size_t n;
  nvrtcGetPTXSize(p, &n);
  std::string ptx(n, 0);
  nvrtcGetPTX(p, &ptx[0]);
  CHECK(cuModuleLoadData(&m, ptx.c_str()), 0);
  CHECK(cuModuleGetFunction(&f, m, name), 0);
  return f;
}
int main() {
  cuInit(0);
  void *s, *s2;
  cuStreamCreate(&s, 1);
  cuStreamCreate(&s2, 1);
  uint64_t a, b;
  cuMemAllocAsync(&a, 1 << 20, s);
  cuMemAllocAsync(&b, 1 << 20, s);
  std::vector<float> h(1024), o(1024);
  cuMemcpyDtoHAsync_v2(o.data(), a, 4096, s);
  for (float x : o) CHECK(x != x, 1);
  // 1: block sum of 256 by shared memory and barriers, 4 blocks
  void *sum = function(
      R"(extern "C" __global__ void __launch_bounds__(256)  sum(float  const* __restrict__ in, float * const __restrict__ out, uint32_t const n) {
extern __shared__ __align__(16) char v0[];float* const x = reinterpret_cast<float*>(&v0[0]);
if (threadIdx.x < 100u && n == 7u) { return; }
x[threadIdx.x] = in[blockIdx.x * 256u + threadIdx.x];
for (uint32_t k = 128u; k > 0u; k >>= 1) {
__syncthreads();
if (threadIdx.x < k) { x[threadIdx.x] = x[threadIdx.x] + x[threadIdx.x + k]; }
}
if (threadIdx.x == 0u) { out[blockIdx.x] = x[0]; }
}
)",
      "sum");
  for (int i = 0; i < 1024; i++) h[i] = i % 97;
  cuMemcpyHtoDAsync_v2(a, h.data(), 4096, s);
  unsigned n = 1024;
  void *args[] = {&a, &b, &n};
  CHECK(cuLaunchKernel(sum, 4, 1, 1, 256, 1, 1, 1024, s, args, 0), 0);
  cuMemcpyDtoHAsync_v2(o.data(), b, 16, s);
  for (int k = 0; k < 4; k++) {
    float w = 0;
    for (int i = 0; i < 256; i++) w += h[k * 256 + i];
    CHECK(o[k], w);
  }
  // 2: shuffles, ballots, divergence; a loop that lanes leave at different times, and meet after
  void *sh = function(R"(extern "C" __global__ void __launch_bounds__(48)  sh(uint32_t * const __restrict__ out) {
uint32_t const t = threadIdx.x;
uint32_t s = t;
s += __shfl_xor_sync(__activemask(), s, 1);
s += __shfl_xor_sync(__activemask(), s, 2);
uint32_t b = __ballot_sync(__activemask(), t % 3u == 0u);
uint32_t d = 0u;
if (t % 2u == 0u) {
d = __shfl_down_sync(__activemask(), t, 2);
b += __activemask() & 1u;
}
uint32_t turns = 0u;
for (uint32_t i = 0u; i < t % 4u; i += 1u) {
turns += __popc(__ballot_sync(__activemask(), true));
}
uint32_t const all = __activemask();
out[t * 5u] = s; out[t * 5u + 1u] = b; out[t * 5u + 2u] = d; out[t * 5u + 3u] = turns; out[t * 5u + 4u] = all;
}
)",
                      "sh");
  void *args2[] = {&b};
  CHECK(cuLaunchKernel(sh, 1, 1, 1, 48, 1, 1, 0, s, args2, 0), 0);
  std::vector<unsigned> u(240);
  cuMemcpyDtoHAsync_v2(u.data(), b, 960, s);
  for (unsigned t = 0; t < 48; t++) {
    unsigned lane = t % 32, n = t < 32 ? 32 : 16, base = t - lane;
    CHECK(u[t * 5], 4 * (t & ~3u) + 6);
    unsigned w = 0;
    for (unsigned i = 0; i < n; i++)
      if ((base + i) % 3 == 0) w |= 1u << i;
    CHECK(u[t * 5 + 1], w + (t % 2 == 0));
    CHECK(u[t * 5 + 2], t % 2 ? 0 : lane + 2 >= 32 ? t : lane + 2 >= n ? ~0u : t + 2);
    unsigned turns = 0;
    for (unsigned i = 0; i < t % 4; i++) turns += n / 4 * (3 - i);
    CHECK(u[t * 5 + 3], turns);
    CHECK(u[t * 5 + 4], n == 32 ? ~0u : 0xffff);
  }
  // 3: atomics as PTX, from many blocks, in a plain loop
  void *at = function(R"(extern "C" __global__ void __launch_bounds__(64)  at(float * const __restrict__ out) {
float const one = 1.0;float* const p = &out[0];
float const r = [&]{
float result;
asm volatile("atom.relaxed.add.f32 %0, [%1], %2;" : "=f"(result) : "l"(p), "f"(one) );
return result;
}();}
)",
                      "at");
  cuMemsetD8Async(b, 0, 4, s);
  CHECK(cuLaunchKernel(at, 100, 3, 1, 64, 1, 1, 0, s, args2, 0), 0);
  cuMemcpyDtoHAsync_v2(o.data(), b, 4, s);
  CHECK(o[0], 19200);
  // 4: halves
  void *hf = function(R"(struct alignas(4) __half_2 { __half i_0; __half i_1; };
extern "C" __global__ void __launch_bounds__(1)  hf(float * const __restrict__ out) {
__half const x = 1.0;__half const e = 0.0004;__half const y = x + e;out[0] = float(y);
__nv_bfloat16 const z = __nv_bfloat16(1.00390625f);out[1] = float(z);
__half_2 const v = __half_2{x, e};__half2 const w = h2exp(reinterpret_cast<const __half2&>(v));out[2] = float(w.x);
__half const m = __hmax(x, e);out[3] = float(m);out[4] = float(__half(70000));out[5] = float(__half(2049));
}
)",
                      "hf");
  CHECK(cuLaunchKernel(hf, 1, 1, 1, 1, 1, 1, 0, s, args2, 0), 0);
  cuMemcpyDtoHAsync_v2(o.data(), b, 24, s);
  CHECK(o[0] == 1.0f, 1);
  CHECK(o[1] == 1.0f, 1);
  CHECK(o[2] == 2.71875f, 1);
  CHECK(o[3] == 1.0f, 1);
  CHECK(std::isinf(o[4]), 1);
  CHECK(o[5] == 2048.0f, 1);
  // 5: a kernel that does not compile says so
  printf("-- the next message is meant:\n");
  CHECK(function("extern \"C\" __global__ void __launch_bounds__(1)  no(float * const out) { wrong(); }", "no") ==
            nullptr,
        1);
  printf("--\n");
  // 6: capture: nothing runs, values are copied, copies and kernels replay in order
  void *inc =
      function(R"(extern "C" __global__ void __launch_bounds__(1)  inc(float * const __restrict__ x, float const by) {
*x = *x + by;
}
)",
               "inc");
  float zero = 0, by = 2;
  cuMemcpyHtoDAsync_v2(a, &zero, 4, s);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  void *args3[] = {&a, &by};
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s, args3, 0), 0);
  by = 10;
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s, args3, 0), 0);
  CHECK(cuMemcpyDtoDAsync_v2(b, a, 4, s), 0);
  by = 1000;
  uint64_t keep = a;
  a = 0;
  CHECK(cuMemAlloc_v2(&a, 8), 900);
  void *g, *e;
  CHECK(cuStreamEndCapture(s, &g), 901);  // an allocation spoils it
  a = keep;
  by = 2;
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s, args3, 0), 0);
  by = 10;
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s, args3, 0), 0);
  CHECK(cuMemcpyDtoDAsync_v2(b, a, 4, s), 0);
  by = 1000;
  CHECK(cuMemcpyDtoHAsync_v2(o.data(), keep, 4, s2), 0);
  CHECK(o[0], 0);  // another stream runs, and sees that nothing ran
  CHECK(cuStreamEndCapture(s, &g), 0);
  size_t count = 0;
  CHECK(cuGraphGetNodes(g, 0, &count), 0);
  CHECK(count, 3);
  void *nodes[3];
  cuGraphGetNodes(g, nodes, &count);
  int type;
  cuGraphNodeGetType(nodes[0], &type);
  CHECK(type, 0);
  cuGraphNodeGetType(nodes[2], &type);
  CHECK(type, 1);
  CHECK(cuGraphInstantiateWithFlags(&e, g, 0), 0);
  cuGraphDestroy(g);
  a = 0;
  for (int i = 1; i <= 3; i++) {
    CHECK(cuGraphLaunch(e, s), 0);
    cuMemcpyDtoHAsync_v2(o.data(), b, 4, s);
    CHECK(o[0], 12 * i);
  }
  a = keep;
  // 7: what a capture forbids
  void *ev;
  cuEventCreate(&ev, 0);
  cuEventRecord(ev, s2);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuStreamSynchronize(s2), 0);
  CHECK(cuStreamSynchronize(s), 900);
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s, args3, 0), 901);
  CHECK(cuStreamEndCapture(s, &g), 901);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuStreamWaitEvent(s, ev, 0), 905);
  CHECK(cuStreamEndCapture(s, &g), 901);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuEventQuery(ev), 900);
  CHECK(cuStreamEndCapture(s, &g), 901);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuEventRecord(ev, s), 0);
  CHECK(cuEventSynchronize(ev), 907);
  CHECK(cuStreamEndCapture(s, &g), 0);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  cuEventRecord(ev, s);
  CHECK(cuStreamWaitEvent(s2, ev, 0), 0);
  int st;
  cuStreamIsCapturing(s2, &st);
  CHECK(st, 1);  // a fork
  CHECK(cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s2, args3, 0), 0);
  CHECK(cuStreamEndCapture(s, &g), 904);
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  cuEventRecord(ev, s);
  cuStreamWaitEvent(s2, ev, 0);
  cuLaunchKernel(inc, 1, 1, 1, 1, 1, 1, 0, s2, args3, 0);
  cuEventRecord(ev, s2);
  CHECK(cuStreamWaitEvent(s, ev, 0), 0);
  CHECK(cuStreamEndCapture(s, &g), 0);
  // 8: an allocation on the capturing stream is recorded, and its graph runs once
  uint64_t c;
  CHECK(cuStreamBeginCapture_v2(s, 0), 0);
  CHECK(cuMemAllocAsync(&c, 64, s), 0);
  CHECK(cuStreamEndCapture(s, &g), 0);
  count = 1;
  cuGraphGetNodes(g, nodes, &count);
  cuGraphNodeGetType(nodes[0], &type);
  CHECK(type, 10);
  cuGraphInstantiateWithFlags(&e, g, 0);
  CHECK(cuGraphLaunch(e, s), 0);
  CHECK(cuGraphLaunch(e, s), 1);
  // 9: wmma, tf32 16 x 16 x 8, row by column, with an accumulator that is loaded; two products in turn
  void *wm = function(R"(#include <mma.h>
extern "C" __global__ void __launch_bounds__(32)  wm(float const* const __restrict__ a, float * const __restrict__ d) {
nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 8, nvcuda::wmma::precision::tf32, nvcuda::wmma::row_major> x;
nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 8, nvcuda::wmma::precision::tf32, nvcuda::wmma::col_major> y;
nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 8, float> z;
nvcuda::wmma::fill_fragment(z, 1.0f);
for (int i = 0; i < 2; i++) {
nvcuda::wmma::load_matrix_sync(x, a + i * 8, 16);
nvcuda::wmma::load_matrix_sync(y, a + 256 + i * 8, 16);
for (int t = 0; t < x.num_elements; t++) { x.x[t] = nvcuda::wmma::__float_to_tf32(x.x[t]); }
nvcuda::wmma::mma_sync(z, x, y, z);
}
nvcuda::wmma::store_matrix_sync(d, z, 16, nvcuda::wmma::mem_col_major);
}
)",
                      "wm");
  for (int i = 0; i < 512; i++) h[i] = sinf(i * 1.7f);
  cuMemcpyHtoDAsync_v2(a, h.data(), 2048, s);
  void *args9[] = {&a, &b};
  CHECK(cuLaunchKernel(wm, 1, 1, 1, 32, 1, 1, 0, s, args9, 0), 0);
  cuMemcpyDtoHAsync_v2(o.data(), b, 1024, s);
  double worst = 0, plain = 0;
  for (int r = 0; r < 16; r++)
    for (int c2 = 0; c2 < 16; c2++) {
      double w = 1, p = 1;
      for (int k = 0; k < 16; k++) {
        unsigned u;
        float f = h[r * 16 + k];
        memcpy(&u, &f, 4);
        u = (u + 0x1000) & ~0x1fffu;
        memcpy(&f, &u, 4);
        w += double(f) * h[256 + c2 * 16 + k];
        p += double(h[r * 16 + k]) * h[256 + c2 * 16 + k];
      }
      worst = fmax(worst, fabs(w - o[c2 * 16 + r]));
      plain = fmax(plain, fabs(p - o[c2 * 16 + r]));
    }
  printf("wmma: within %.1e of rounded operands, %.1e of unrounded\n", worst, plain);
  CHECK(worst < 1e-5, 1);
  CHECK(plain > 1e-5, 1);
  printf(bad ? "%d FAILED\n" : "all right\n", bad);
  return bad != 0;
}
