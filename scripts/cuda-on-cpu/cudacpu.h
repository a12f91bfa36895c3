// What a kernel of CubeCL (CUDA C++, meant for NVRTC) sees when g++ compiles it for the processor instead. libnvrtc.so
// here puts this file in front of every kernel; libcuda.so.1 includes it too, for the few structs that both sides
// share. Numbers: f32 and f64 are the processor's, products and sums may be fused as nvcc fuses them; f16 and bf16
// round after every operation, as the card's own instructions do. Transcendental functions are glibc's (a card's differ
// in the last bit).
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmath>
#include <type_traits>
#include <utility>

struct uint3 {
  unsigned x, y, z;
};

namespace cudacpu {
constexpr unsigned lanes = 32, slot = 16;  // a warp; the most bytes that a lane can show the others at once
struct Snapshot {
  unsigned mask;
  char value[lanes][slot];
};
// What the running thread of a block knows about itself. A fiber has its own; threads run as a plain loop share one.
struct Thread {
  uint3 tid, bid, bdim, gdim;
  char *shared;
  unsigned lane;
  Snapshot *seen;
  char shown[slot];
};
struct Kernel {
  void (*call)(void **);
  const unsigned *sizes;
  unsigned count;
  bool meets;
};
}  // namespace cudacpu
extern "C" {
extern thread_local cudacpu::Thread *cudacpu_me __attribute__((tls_model("initial-exec")));  // lives in libcuda.so.1
void cudacpu_barrier(unsigned line);
// Waits until no lane of the warp can run on without the others; then those at the same line (the earliest one first,
// so that lanes that left a branch or loop wait for those still in it) go on together and see each other's `shown`.
void cudacpu_meet(unsigned line);
}

#ifndef CUDACPU_DRIVER  // from here on: for kernels only
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ \
  static thread_local  // a block stays on one thread of the system; `extern __shared__` is translated before
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__  // g++ would keep a value across a barrier that another thread of the block may have written
#define threadIdx (cudacpu_me->tid)
#define blockIdx (cudacpu_me->bid)
#define blockDim (cudacpu_me->bdim)
#define gridDim (cudacpu_me->gdim)
#define warpSize 32u
// The kernels bring their own typedefs, with CUDA's `long long`; glibc's are `long`.
#define int8_t cuda_int8_t
#define int16_t cuda_int16_t
#define int32_t cuda_int32_t
#define int64_t cuda_int64_t
#define uint8_t cuda_uint8_t
#define uint16_t cuda_uint16_t
#define uint32_t cuda_uint32_t
#define uint64_t cuda_uint64_t

// ---- the warp and the block. The masks are always __activemask() in CubeCL's code, and that is who has met.
#define __syncthreads() cudacpu_barrier(__LINE__)
#define __syncwarp(...) cudacpu_meet(__LINE__)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __activemask() (cudacpu_meet(__LINE__), cudacpu_me->seen->mask)
#define __shfl_sync(mask, v, from) cudacpu::shuffle(__LINE__, v, (unsigned)(from) % 32)
#define __shfl_xor_sync(mask, v, by) cudacpu::shuffle(__LINE__, v, cudacpu_me->lane ^ (unsigned)(by))
#define __shfl_up_sync(mask, v, by) cudacpu::shuffle(__LINE__, v, cudacpu_me->lane - (unsigned)(by))
#define __shfl_down_sync(mask, v, by) cudacpu::shuffle(__LINE__, v, cudacpu_me->lane + (unsigned)(by))
#define __ballot_sync(mask, p) cudacpu::ballot(__LINE__, p)
#define __any_sync(mask, p) (cudacpu::ballot(__LINE__, p) != 0)
#define __all_sync(mask, p) (cudacpu::ballot(__LINE__, p) == cudacpu_me->seen->mask)
namespace cudacpu {
template <class T>
T shuffle(unsigned line, T v, unsigned from) {
  static_assert(sizeof(T) <= slot && std::is_trivially_copyable<T>::value, "cudacpu: a value too big to shuffle");
  memcpy(cudacpu_me->shown, &v, sizeof v);
  cudacpu_meet(line);
  if (from >= lanes) return v;  // past the edge a lane keeps its own
  if (cudacpu_me->seen->mask >> from & 1)
    memcpy(&v, cudacpu_me->seen->value[from], sizeof v);
  else
    memset(&v, 0xff, sizeof v);  // undefined on a card: shows as NaN
  return v;
}
inline unsigned ballot(unsigned line, bool p) {
  cudacpu_me->shown[0] = p;
  cudacpu_meet(line);
  unsigned r = 0;
  for (unsigned i = 0; i < lanes; i++)
    if (cudacpu_me->seen->mask >> i & 1 && cudacpu_me->seen->value[i][0]) r |= 1u << i;
  return r;
}
// ---- atomics: blocks run on several threads of the system
template <class T, class F>
T update(T *p, F f) {
  using U = std::conditional_t<sizeof(T) == 8, unsigned long long,
                               std::conditional_t<sizeof(T) == 4, unsigned, unsigned short>>;
  U old = __atomic_load_n((U *)p, __ATOMIC_RELAXED), next;
  T v;
  do {
    memcpy(&v, &old, sizeof v);
    T n = f(v);
    memcpy(&next, &n, sizeof n);
  } while (!__atomic_compare_exchange_n((U *)p, &old, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return v;
}
template <class T>
T atom_add(T *p, T v) {
  return update(p, [=](T o) { return T(o + v); });
}
template <class T>
T atom_min(T *p, T v) {
  return update(p, [=](T o) { return v < o ? v : o; });
}
template <class T>
T atom_max(T *p, T v) {
  return update(p, [=](T o) { return v > o ? v : o; });
}
template <class T>
struct same {
  using type = T;
};
template <class T>
using same_t = typename same<T>::type;
}  // namespace cudacpu
template <class T>
T atomicAdd(T *p, cudacpu::same_t<T> v) {
  return cudacpu::atom_add(p, v);
}
template <class T>
T atomicMin(T *p, cudacpu::same_t<T> v) {
  return cudacpu::atom_min(p, v);
}
template <class T>
T atomicMax(T *p, cudacpu::same_t<T> v) {
  return cudacpu::atom_max(p, v);
}
template <class T>
T atomicAnd(T *p, cudacpu::same_t<T> v) {
  return __atomic_fetch_and(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T *p, cudacpu::same_t<T> v) {
  return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicXor(T *p, cudacpu::same_t<T> v) {
  return __atomic_fetch_xor(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicExch(T *p, cudacpu::same_t<T> v) {
  return __atomic_exchange_n(p, v, __ATOMIC_RELAXED);
}
template <class T>
T atomicCAS(T *p, cudacpu::same_t<T> cmp, cudacpu::same_t<T> v) {
  __atomic_compare_exchange_n(p, &cmp, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return cmp;
}

// ---- half precision: a 16-bit pattern, arithmetic in f32, one rounding (to nearest even) after each operation.
// Through f32 this is exact rounding for + - * / sqrt; for a fused product-sum f64 is used.
namespace cudacpu {
struct F16 {
  static float up(unsigned short b) {
    _Float16 h;
    memcpy(&h, &b, 2);
    return float(h);
  }
  static unsigned short down(float f) {
    _Float16 h = _Float16(f);
    unsigned short b;
    memcpy(&b, &h, 2);
    return b;
  }
};
struct BF16 {
  static float up(unsigned short b) {
    unsigned u = (unsigned)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
  }
  static unsigned short down(float f) {
    unsigned u;
    memcpy(&u, &f, 4);
    return f != f ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
  }
};
// f64 to f32 rounded to odd, so that rounding on to 16 bits rounds once
inline float to_odd(double d) {
  float f = float(d);
  if (double(f) != d && std::isfinite(f)) {
    if (std::fabs(double(f)) > std::fabs(d)) f = std::nextafterf(f, 0.0f);
    unsigned u;
    memcpy(&u, &f, 4);
    u |= 1;
    memcpy(&f, &u, 4);
  }
  return f;
}
template <class K>
struct Half {
  unsigned short bits;
  Half() = default;
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>>
  Half(T v) : bits(K::down(std::is_same<T, float>::value || sizeof(T) < 4 ? float(v) : to_odd(double(v)))) {}
  operator float() const { return K::up(bits); }
  template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value && !std::is_same<T, float>::value>>
  explicit operator T() const {
    return T(K::up(bits));
  }
  friend Half operator+(Half a, Half b) { return float(a) + float(b); }
  friend Half operator-(Half a, Half b) { return float(a) - float(b); }
  friend Half operator*(Half a, Half b) { return float(a) * float(b); }
  friend Half operator/(Half a, Half b) { return float(a) / float(b); }
  friend Half operator-(Half a) {
    a.bits ^= 0x8000;
    return a;
  }
  friend bool operator==(Half a, Half b) { return float(a) == float(b); }
  friend bool operator!=(Half a, Half b) { return float(a) != float(b); }
  friend bool operator<(Half a, Half b) { return float(a) < float(b); }
  friend bool operator<=(Half a, Half b) { return float(a) <= float(b); }
  friend bool operator>(Half a, Half b) { return float(a) > float(b); }
  friend bool operator>=(Half a, Half b) { return float(a) >= float(b); }
};
template <class K>
struct alignas(4) Half2 {
  Half<K> x, y;
};
}  // namespace cudacpu
using __half = cudacpu::Half<cudacpu::F16>;
using __half2 = cudacpu::Half2<cudacpu::F16>;
using __nv_bfloat16 = cudacpu::Half<cudacpu::BF16>;
using __nv_bfloat162 = cudacpu::Half2<cudacpu::BF16>;
#define HALF1(name, expr)                           \
  template <class K>                                \
  cudacpu::Half<K> h##name(cudacpu::Half<K> h) {    \
    float x = h;                                    \
    return float(expr);                             \
  }                                                 \
  template <class K>                                \
  cudacpu::Half2<K> h2##name(cudacpu::Half2<K> v) { \
    return {h##name(v.x), h##name(v.y)};            \
  }
HALF1(log, logf(x))
HALF1(sin, sinf(x)) HALF1(cos, cosf(x)) HALF1(tanh, tanhf(x)) HALF1(sqrt, sqrtf(x)) HALF1(rsqrt, 1.0f / sqrtf(x))
    HALF1(exp, expf(x)) HALF1(ceil, ceilf(x)) HALF1(trunc, truncf(x)) HALF1(floor, floorf(x)) HALF1(rint, rintf(x))
#define HALF2OP(op)                                                         \
  template <class K>                                                        \
  cudacpu::Half2<K> operator op(cudacpu::Half2<K> a, cudacpu::Half2<K> b) { \
    return {a.x op b.x, a.y op b.y};                                        \
  }
        HALF2OP(+) HALF2OP(-) HALF2OP(*) HALF2OP(/) template <class K>
        cudacpu::Half2<K> operator-(cudacpu::Half2<K> a) {
  return {-a.x, -a.y};
}
template <class K>
bool __hisnan(cudacpu::Half<K> a) {
  return std::isnan(float(a));
}
template <class K>
bool __hisinf(cudacpu::Half<K> a) {
  return std::isinf(float(a));
}
template <class K>
cudacpu::Half<K> __habs(cudacpu::Half<K> a) {
  a.bits &= 0x7fff;
  return a;
}
template <class K>
cudacpu::Half<K> __hfma(cudacpu::Half<K> a, cudacpu::Half<K> b, cudacpu::Half<K> c) {
  return double(float(a)) * double(float(b)) + double(float(c));
}  // exact in f64 but for far-apart exponents
#define HALFMM(name, pick)                                                       \
  template <class K>                                                             \
  cudacpu::Half<K> __h##name(cudacpu::Half<K> a, cudacpu::Half<K> b) {           \
    return pick(float(a), float(b));                                             \
  }                                                                              \
  template <class K>                                                             \
  cudacpu::Half<K> __h##name##_nan(cudacpu::Half<K> a, cudacpu::Half<K> b) {     \
    return __hisnan(a) ? a : __hisnan(b) ? b : __h##name(a, b);                  \
  }                                                                              \
  template <class K>                                                             \
  cudacpu::Half2<K> __h##name##2(cudacpu::Half2<K> a, cudacpu::Half2<K> b) {     \
    return {__h##name(a.x, b.x), __h##name(a.y, b.y)};                           \
  }                                                                              \
  template <class K>                                                             \
  cudacpu::Half2<K> __h##name##2_nan(cudacpu::Half2<K> a, cudacpu::Half2<K> b) { \
    return {__h##name##_nan(a.x, b.x), __h##name##_nan(a.y, b.y)};               \
  }
HALFMM(min, fminf)
HALFMM(max, fmaxf) template <class K>
cudacpu::Half2<K> __habs2(cudacpu::Half2<K> a) {
  return {__habs(a.x), __habs(a.y)};
}
template <class K>
cudacpu::Half2<K> __hfma2(cudacpu::Half2<K> a, cudacpu::Half2<K> b, cudacpu::Half2<K> c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}

// ---- CUDA's functions that C++ has not, or has otherwise
inline float rsqrt(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rhypotf(float x, float y) { return 1.0f / hypotf(x, y); }
inline double rhypot(double x, double y) { return 1.0 / hypot(x, y); }
inline float pow(float x, int n) { return powf(x, float(n)); }  // C++ would make it a double
// CUDA's min and max of floats are C's fmin and fmax: of a number and a NaN, the number
#define MINMAX(T)                                  \
  inline T min(T a, T b) { return a < b ? a : b; } \
  inline T max(T a, T b) { return a > b ? a : b; }
MINMAX(int)
MINMAX(unsigned) MINMAX(long) MINMAX(unsigned long) MINMAX(long long)
    MINMAX(unsigned long long) inline float min(float a, float b) {
  return fminf(a, b);
}
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned long long __brevll(unsigned long long x) {
  return (unsigned long long)__brev(unsigned(x)) << 32 | __brev(unsigned(x >> 32));
}
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}

// ---- nvcuda::wmma: element e of a matrix, row by row, is with lane e % 32; nothing in CubeCL's code depends on where
// it is
namespace nvcuda {
namespace wmma {
struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision {
struct tf32;
}
enum layout_t { mem_row_major, mem_col_major };
template <class Use, int M, int N, int K, class T, class Layout = row_major>
struct fragment {
  using type = std::conditional_t<std::is_same<T, precision::tf32>::value, float, T>;
  static constexpr int rows = std::is_same<Use, matrix_b>::value ? K : M,
                       cols = std::is_same<Use, matrix_a>::value ? K : N, num_elements = rows * cols / 32;
  type x[num_elements];
  // where an element of mine lies in memory
  static int at(int t, unsigned stride, bool row) {
    int e = t * 32 + cudacpu_me->lane, r = e / cols, c = e % cols;
    return row ? r * stride + c : c * stride + r;
  }
};
inline float __float_to_tf32(float f) {
  unsigned u;
  memcpy(&u, &f, 4);
  if ((u >> 23 & 255) != 255) u = (u + 0x1000) & ~0x1fffu;
  memcpy(&f, &u, 4);
  return f;
}  // cvt.rna
template <class F, class V>
void fill_fragment(F &f, V v) {
  for (auto &x : f.x) x = typename F::type(v);
}
inline void whole_warp(unsigned line) {
  cudacpu_meet(line);
  if (cudacpu_me->seen->mask != ~0u) {
    fprintf(stderr, "cudacpu: wmma with a part of a warp\n");
    abort();
  }
}
template <class U, int M, int N, int K, class T, class L, class P>
void load(unsigned line, fragment<U, M, N, K, T, L> &f, const P *p, unsigned stride,
          layout_t l = std::is_same<L, row_major>::value ? mem_row_major : mem_col_major) {
  whole_warp(line);
  for (int t = 0; t < f.num_elements; t++) f.x[t] = p[f.at(t, stride, l == mem_row_major)];
}
template <class F, class P>
void store(unsigned line, P *p, const F &f, unsigned stride, layout_t l) {
  whole_warp(line);
  for (int t = 0; t < f.num_elements; t++) p[f.at(t, stride, l == mem_row_major)] = f.x[t];
}
// Products are exact in f32 (tf32: of operands that were rounded on the way in), the sum is f32.
template <class D, class A, class B, class C>
void mma(unsigned line, D &d, const A &a, const B &b, const C &c) {
  const void *mine[2] = {&a, &b};
  memcpy(cudacpu_me->shown, mine, sizeof mine);
  whole_warp(line);
  float sum[D::num_elements];
  const void *all[32][2];
  memcpy(all, cudacpu_me->seen->value, sizeof all);
  for (int t = 0; t < D::num_elements; t++) {
    int e = t * 32 + cudacpu_me->lane, row = e / D::cols, col = e % D::cols;
    float s = 0;
    for (int k = 0; k < A::cols; k++) {
      int i = row * A::cols + k, j = k * B::cols + col;
      s += float(((const A *)all[i % 32][0])->x[i / 32]) * float(((const B *)all[j % 32][1])->x[j / 32]);
    }
    sum[t] = s + float(c.x[t]);
  }
  cudacpu_meet(line);  // only now may a lane change what the others read
  for (int t = 0; t < D::num_elements; t++) d.x[t] = typename D::type(sum[t]);
}
}  // namespace wmma
}  // namespace nvcuda
#define load_matrix_sync(...) load(__LINE__, __VA_ARGS__)
#define store_matrix_sync(...) store(__LINE__, __VA_ARGS__)
#define mma_sync(...) mma(__LINE__, __VA_ARGS__)

// ---- how libcuda.so.1 calls a kernel: pointers to the arguments, as cuLaunchKernel gets them, and their sizes for a
// capture
namespace cudacpu {
template <auto F>
struct Entry;
template <class... A, void (*F)(A...)>
struct Entry<F> {
  static constexpr unsigned sizes[sizeof...(A) + 1] = {unsigned(sizeof(A))...};
  template <size_t... I>
  static void go(void **a, std::index_sequence<I...>) {
    F(*(std::remove_reference_t<A> *)a[I]...);
  }
  static void call(void **a) { go(a, std::index_sequence_for<A...>{}); }
};
}  // namespace cudacpu
#define CUDACPU_ENTRY(name, meets)                                                                                   \
  extern "C" {                                                                                                       \
  extern const cudacpu::Kernel cudacpu_kernel_##name;                                                                \
  const cudacpu::Kernel cudacpu_kernel_##name = {&cudacpu::Entry<name>::call, cudacpu::Entry<name>::sizes,           \
                                                 sizeof(cudacpu::Entry<name>::sizes) / sizeof(unsigned) - 1, meets}; \
  }
#endif
