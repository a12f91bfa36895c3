// A stand-in for libcuda.so.1 that computes on the processor: device memory is host memory, a "module" is the shared
// object that the libnvrtc.so here made of a kernel, a launch runs all blocks of its grid before it returns. Streams
// are therefore always in order; a stream that is being captured records and does not run, as on a card. Launches,
// copies and waits are counted.
//   CUDACPU_CC=7.5      compute capability that is reported. At 7.5 CubeCL takes a GTX for a card without tensor cores and
//                       multiplies in plain f32, and else does what it does on newer cards (arguments by value)
//   CUDACPU_THREADS=n   threads of the system that blocks are spread over; all cores otherwise
//   CUDACPU_GB=8        device memory that is reported, and the most that is given
//   CUDACPU_LOG=file    counters, and at the end launches and seconds of every kernel
//   CUDACPU_TRACE=1     and every launch
//   CUDACPU_IDLE_GRAPHS=1  graphs do nothing: whoever runs one is to see that
// Fresh and freed memory and a block's shared memory are filled with 0xff, which is NaN: what is read there shows.
#define CUDACPU_DRIVER
#include "cudacpu.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
using namespace cudacpu;
typedef int R;  // CUresult
enum {
  OK,
  INVALID_VALUE,
  OUT_OF_MEMORY,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  ILLEGAL_STATE = 401,
  NOT_FOUND = 500,
  UNSUPPORTED = 900,
  INVALIDATED,
  MERGE,
  UNMATCHED,
  UNJOINED,
  ISOLATION,
  IMPLICIT,
  CAPTURED_EVENT
};

// ---- a block of threads
// ------------------------------------------------------------------------------------------------------
extern "C" {
thread_local Thread *cudacpu_me;
void cudacpu_switch(void **save, void *to);
}
asm(".text\n.globl cudacpu_switch\n.hidden cudacpu_switch\n.type cudacpu_switch,@function\ncudacpu_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\nmovq %rsp,(%rdi)\n"
    "movq %rsi,%rsp\npopq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");

namespace {
struct Function {
  std::string name;
  const Kernel *kernel;
  long count;
  double seconds;
};
struct Launch {
  Function *f;
  void **args;
  uint3 grid, block;
  unsigned shared;
  unsigned long blocks;
  std::atomic<unsigned long> next;
};

enum State { READY, AT_BARRIER, MEETING, DONE };
struct Worker;
struct Fiber : Thread {
  void *sp;
  State state;
  unsigned line;
  Worker *worker;
};
struct Worker {  // one for each thread of the system that runs blocks
  std::vector<Fiber *> fibers;
  std::vector<char> shared;
  void *sp;
  Launch *launch;
  Thread plain;
};

void fiber_body() {
  Fiber *me = static_cast<Fiber *>(cudacpu_me);
  for (;;) {  // a fiber is used again for the next block
    me->worker->launch->f->kernel->call(me->worker->launch->args);
    me->state = DONE;
    cudacpu_switch(&me->sp, me->worker->sp);
  }
}

Fiber *new_fiber(Worker *w) {
  const size_t size = 256 << 10, guard = 4096;  // an overflow hits the guard page
  char *stack = (char *)mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, guard, PROT_NONE)) {
    perror("cudacpu: stack of a thread");
    abort();
  }
  Fiber *f = new Fiber{};
  f->worker = w;
  void **top = (void **)(stack + size) - 2;  // as a call leaves it: 8 past a multiple of 16 once the address is popped
  *top = (void *)fiber_body;
  f->sp = top - 6;  // the six saved registers
  return f;
}

void resume(Worker &w, Fiber *f) {
  f->state = READY;
  cudacpu_me = f;
  cudacpu_switch(&w.sp, f->sp);
}

void run_block(Worker &w, Launch &l, unsigned long index) {
  unsigned threads = l.block.x * l.block.y * l.block.z;
  Thread &t = w.plain;
  t.bid = {unsigned(index % l.grid.x), unsigned(index / l.grid.x % l.grid.y), unsigned(index / l.grid.x / l.grid.y)};
  t.bdim = l.block;
  t.gdim = l.grid;
  if (w.shared.size() < l.shared + 128u) w.shared.resize(l.shared + 128u);
  t.shared = (char *)(((uintptr_t)w.shared.data() + 127) & ~uintptr_t(127));
  memset(t.shared, 0xff, l.shared);
  auto place = [&](Thread &t, unsigned i) {
    t.tid = {i % l.block.x, i / l.block.x % l.block.y, i / l.block.x / l.block.y};
    t.lane = i % lanes;
  };
  if (!l.f->kernel->meets) {
    cudacpu_me = &t;  // one Thread for all, one after another
    for (unsigned i = 0; i < threads; i++) {
      place(t, i);
      l.f->kernel->call(l.args);
    }
    return;
  }
  while (w.fibers.size() < threads) w.fibers.push_back(new_fiber(&w));
  w.launch = &l;
  unsigned warps = (threads + lanes - 1) / lanes;
  std::vector<Snapshot> seen(warps);
  for (unsigned i = 0; i < threads; i++) {
    Fiber *f = w.fibers[i];
    *(Thread *)f = t;
    place(*f, i);
    f->seen = &seen[i / lanes];
    f->state = READY;
  }
  for (bool first = true;; first = false) {
    for (unsigned warp = 0; warp < warps; warp++) {
      Fiber **lane = &w.fibers[warp * lanes];
      unsigned n = std::min(lanes, threads - warp * lanes);
      for (unsigned i = 0; i < n; i++)
        if (first || lane[i]->state == AT_BARRIER) resume(w, lane[i]);
      for (;;) {  // now each lane meets, is at the barrier or has ended
        unsigned line = ~0u;
        for (unsigned i = 0; i < n; i++)
          if (lane[i]->state == MEETING) line = std::min(line, lane[i]->line);
        if (line == ~0u) break;
        Snapshot &s = seen[warp];
        s.mask = 0;
        for (unsigned i = 0; i < n; i++)
          if (lane[i]->state == MEETING && lane[i]->line == line) {
            s.mask |= 1u << i;
            memcpy(s.value[i], lane[i]->shown, slot);
          }
        for (unsigned i = 0, mask = s.mask; i < n; i++)
          if (mask >> i & 1) resume(w, lane[i]);
      }
    }
    unsigned line = 0;
    for (unsigned i = 0; i < threads; i++)
      if (w.fibers[i]->state == AT_BARRIER) {
        if (line && w.fibers[i]->line != line) {
          fprintf(stderr, "cudacpu: threads of a block of %s wait at different barriers, lines %u and %u\n",
                  l.f->name.c_str(), line, w.fibers[i]->line);
          abort();
        }
        line = w.fibers[i]->line;
      }
    if (!line) return;
  }
}

// ---- the cores
// -------------------------------------------------------------------------------------------------------------
void work(Launch &l, unsigned long chunk) {
  static thread_local Worker w{};
  for (unsigned long i; (i = l.next.fetch_add(chunk)) < l.blocks;)
    for (unsigned long j = i; j < std::min(i + chunk, l.blocks); j++) run_block(w, l, j);
}

struct Pool {
  std::mutex m;
  std::condition_variable go, done;
  Launch *l = nullptr;
  unsigned long chunk, turn = 0;
  unsigned size, busy = 0;
};
Pool *pool() {
  static Pool *p = [] {  // never destroyed: its threads wait on it when the process ends
    Pool *p = new Pool;
    const char *n = getenv("CUDACPU_THREADS");
    p->size = n ? std::max(1, atoi(n)) : std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 1; i < p->size; i++)
      std::thread([p] {
        std::unique_lock<std::mutex> k(p->m);
        for (unsigned long seen = 0;;) {
          p->go.wait(k, [&] { return p->l && p->turn != seen; });
          seen = p->turn;
          p->busy++;
          Launch *l = p->l;
          unsigned long chunk = p->chunk;
          k.unlock();
          work(*l, chunk);
          k.lock();
          if (!--p->busy) p->done.notify_one();
        }
      }).detach();
    return p;
  }();
  return p;
}

void run_grid(Launch &l) {
  Pool *p = pool();
  l.blocks = (unsigned long)l.grid.x * l.grid.y * l.grid.z;
  l.next = 0;
  if (p->size == 1 || l.blocks == 1 || l.blocks * l.block.x * l.block.y * l.block.z < 8192) return work(l, l.blocks);
  {
    std::lock_guard<std::mutex> k(p->m);
    p->l = &l;
    p->turn++;
    p->chunk = std::max(1ul, l.blocks / (p->size * 16));
  }
  p->go.notify_all();
  work(l, p->chunk);
  std::unique_lock<std::mutex> k(p->m);
  p->l = nullptr;  // who has not come by now is not waited for
  p->done.wait(k, [&] { return !p->busy; });
}

// ---- streams, captures, graphs
// -----------------------------------------------------------------------------------------------
enum NodeType { KERNEL, MEMCPY, MEMSET, HOST, MEM_ALLOC = 10, MEM_FREE = 11 };
struct Node {
  NodeType type;
  std::function<R()> run;
};
struct Stream;
struct Graph {
  std::vector<std::shared_ptr<Node>> nodes;
  std::vector<Stream *> streams;
  int mode = 0;
  bool invalid = false;
  std::thread::id by;
};
struct Stream {
  bool blocking;
  Graph *capture;
  long ops, joined;
};
struct Event {
  double time;
  std::weak_ptr<void> alive;
  Graph *capture;
  Stream *stream;
  long at;
};

std::recursive_mutex &M = *new std::recursive_mutex;  // one call at a time
std::map<Graph *, std::shared_ptr<void>> &captures = *new std::map<Graph *, std::shared_ptr<void>>;  // those under way
struct Counters {
  long launches, htod, htod_bytes, dtoh, dtoh_bytes, dtod, dtod_bytes, syncs, events, allocs, alloc_bytes, modules,
      memsets, graph_launches;
} C, L;
FILE *log_;
bool trace;
double t0, tlast;
std::vector<Function *> &functions = *new std::vector<Function *>;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}
void note(const char *format, ...) {
  if (!log_) return;
  va_list a;
  va_start(a, format);
  vfprintf(log_, format, a);
  va_end(a);
  fflush(log_);
}

// A call that CUDA forbids while a capture is under way (global mode: to every thread). It fails, and the capture is
// spoiled.
R forbidden(const char *what) {
  for (auto &c : captures)
    if (c.first->mode == 0 || (c.first->mode == 1 && c.first->by == std::this_thread::get_id())) {
      c.first->invalid = true;
      note("REFUSED %s during a capture\n", what);
      return UNSUPPORTED;
    }
  return OK;
}
R spoil(Graph *g, const char *what, R code) {
  g->invalid = true;
  note("REFUSED %s: error %d\n", what, code);
  return code;
}

R enqueue(Stream *s, NodeType type, std::function<R()> f) {
  std::lock_guard<std::recursive_mutex> k(M);
  if (s && s->capture) {
    if (s->capture->invalid) return INVALIDATED;
    s->capture->nodes.push_back(std::make_shared<Node>(Node{type, std::move(f)}));
    s->ops++;
    return OK;
  }
  // the legacy stream waits for all streams that are not CU_STREAM_NON_BLOCKING, which a capturing one cannot have
  if (!s)
    for (auto &c : captures)
      if (c.first->streams[0]->blocking) return spoil(c.first, "work on the legacy stream", IMPLICIT);
  return f();
}

// ---- memory
// ------------------------------------------------------------------------------------------------------------------
std::map<uint64_t, size_t> &live = *new std::map<uint64_t, size_t>;
std::map<uint64_t, std::shared_ptr<bool>> &graph_memory =
    *new std::map<uint64_t, std::shared_ptr<bool>>;  // and whether it is allocated now
std::deque<std::pair<uint64_t, size_t>> &freed = *new std::deque<std::pair<uint64_t, size_t>>;
size_t used, held;
size_t total() {
  const char *g = getenv("CUDACPU_GB");
  return size_t(g ? atof(g) * 1024 : 8192) << 20;
}

R give(uint64_t *p, size_t n) {
  C.allocs++;
  C.alloc_bytes += n;
  if (!n) return INVALID_VALUE;
  if (used + n > total()) return OUT_OF_MEMORY;
  void *m = aligned_alloc(512, (n + 1023) / 512 * 512);
  if (!m) return OUT_OF_MEMORY;
  memset(m, 0xff, (n + 1023) / 512 * 512);
  *p = (uint64_t)m;
  live[*p] = n;
  used += n;
  return OK;
}
R take(uint64_t p) {
  if (!p) return OK;
  auto it = live.find(p);
  if (it == live.end()) {
    fprintf(stderr, "cudacpu: free of %#lx, which is not allocated\n", p);
    return INVALID_VALUE;
  }
  memset((void *)p, 0xff, it->second);  // and the address rests a while before it is given again
  used -= it->second;
  held += it->second;
  freed.push_back(*it);
  live.erase(it);
  while (held > 256u << 20) {
    held -= freed.front().second;
    free((void *)freed.front().first);
    freed.pop_front();
  }
  return OK;
}
bool inside(uint64_t p, size_t n) {
  auto it = live.upper_bound(p);
  if (n == 0 || (it != live.begin() && (--it, p + n <= it->first + it->second))) return true;
  fprintf(stderr, "cudacpu: a copy of %zu bytes at %#lx is not inside an allocation\n", n, p);
  return false;
}
void read_back(const char *what, size_t n) {
  C.dtoh++;
  C.dtoh_bytes += n;
  if (!log_) return;
  double t = now();
  note(
      "%s %zu B after: launches %ld, htod %ld (%ld B), dtod %ld (%ld B), memsets %ld, syncs %ld, modules %ld, graphs "
      "%ld, %.3f ms\n",
      what, n, C.launches - L.launches, C.htod - L.htod, C.htod_bytes - L.htod_bytes, C.dtod - L.dtod,
      C.dtod_bytes - L.dtod_bytes, C.memsets - L.memsets, C.syncs - L.syncs, C.modules - L.modules,
      C.graph_launches - L.graph_launches, (t - tlast) * 1e3);
  L = C;
  tlast = t;
}
void end() {
  note(
      "TOTAL launches %ld htod %ld (%ld B) dtoh %ld (%ld B) dtod %ld (%ld B) syncs %ld events %ld allocs %ld (%ld B) "
      "modules %ld memsets %ld graphs %ld seconds %.3f\n",
      C.launches, C.htod, C.htod_bytes, C.dtoh, C.dtoh_bytes, C.dtod, C.dtod_bytes, C.syncs, C.events, C.allocs,
      C.alloc_bytes, C.modules, C.memsets, C.graph_launches, now() - t0);
  for (Function *f : functions)
    note("FUNC %ld %.3f s %s%s\n", f->count, f->seconds, f->name.c_str(), f->kernel->meets ? "" : " (plain loop)");
}

struct P2 {
  size_t sx, sy;
  int st;
  const void *sh;
  uint64_t sd;
  void *sa;
  size_t sp;
  size_t dx, dy;
  int dt;
  void *dh;
  uint64_t dd;
  void *da;
  size_t dp;
  size_t w, h;
};
R copy2d(const P2 &p) {  // memory type 1: host
  const char *s = p.st == 1 ? (const char *)p.sh : (const char *)p.sd;
  char *d = p.dt == 1 ? (char *)p.dh : (char *)p.dd;
  if (p.h && p.st != 1 && !inside((uint64_t)s + p.sy * p.sp + p.sx, (p.h - 1) * p.sp + p.w)) return INVALID_VALUE;
  if (p.h && p.dt != 1 && !inside((uint64_t)d + p.dy * p.dp + p.dx, (p.h - 1) * p.dp + p.w)) return INVALID_VALUE;
  for (size_t y = 0; y < p.h; y++) memmove(d + (y + p.dy) * p.dp + p.dx, s + (y + p.sy) * p.sp + p.sx, p.w);
  if (p.dt == 1)
    read_back("READ2D", p.w * p.h);
  else if (p.st == 1) {
    C.htod++;
    C.htod_bytes += p.w * p.h;
  } else {
    C.dtod++;
    C.dtod_bytes += p.w * p.h;
  }
  return OK;
}

R run_kernel(Function *f, uint3 grid, uint3 block, unsigned shared, void **args) {
  C.launches++;
  f->count++;
  Launch l{f, args, grid, block, shared, 0, {}};
  double t = now();
  run_grid(l);
  f->seconds += t = now() - t;
  if (trace)
    note("LAUNCH %s grid %u %u %u block %u %u %u shared %u, %.3f ms\n", f->name.c_str(), grid.x, grid.y, grid.z,
         block.x, block.y, block.z, shared, t * 1e3);
  return OK;
}
int capability() {
  const char *c = getenv("CUDACPU_CC");
  return int((c ? atof(c) : 7.5) * 10 + 0.5);
}
}  // namespace
#define LOCK std::lock_guard<std::recursive_mutex> lock_(M)
#define FORBIDDEN(what)                    \
  do {                                     \
    if (R r_ = forbidden(what)) return r_; \
  } while (0)

extern "C" {
void cudacpu_barrier(unsigned line) {
  Fiber *f = static_cast<Fiber *>(cudacpu_me);
  f->state = AT_BARRIER;
  f->line = line;
  cudacpu_switch(&f->sp, f->worker->sp);
}
void cudacpu_meet(unsigned line) {
  Fiber *f = static_cast<Fiber *>(cudacpu_me);
  f->state = MEETING;
  f->line = line;
  cudacpu_switch(&f->sp, f->worker->sp);
}

R cuInit(unsigned) {
  LOCK;
  if (t0) return OK;
  t0 = tlast = now();
  trace = getenv("CUDACPU_TRACE");
  if (char *p = getenv("CUDACPU_LOG")) {
    log_ = fopen(p, "w");
    atexit(end);
  }
  Dl_info i;
  dladdr((void *)cuInit, &i);
  return dlopen(i.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL) ? OK : INVALID_VALUE;  // kernels find cudacpu_* here
}
R cuDriverGetVersion(int *v) {
  *v = 13000;
  return OK;
}
R cuDeviceGet(int *d, int i) {
  *d = i;
  return i ? INVALID_DEVICE : OK;
}
R cuDeviceGetCount(int *n) {
  *n = 1;
  return OK;
}
R cuDeviceGetName(char *s, int n, int) {
  snprintf(s, n, "CUDA on the processor (%d.%d, as a GTX)", capability() / 10, capability() % 10);
  return OK;
}  // CubeCL: a 7.5 without tensor cores
R cuDeviceGetPCIBusId(char *s, int n, int) {
  snprintf(s, n, "0000:01:00.0");
  return OK;
}
R cuDeviceTotalMem_v2(size_t *b, int) {
  *b = total();
  return OK;
}
R cuMemGetInfo_v2(size_t *f, size_t *t) {
  LOCK;
  *t = total();
  *f = *t - used;
  return OK;
}
R cuDeviceGetUuid(char *u, int) {
  memset(u, 7, 16);
  return OK;
}
R cuDeviceGetUuid_v2(char *u, int d) { return cuDeviceGetUuid(u, d); }
R cuDeviceGetAttribute(int *v, int a, int) {
  int cc = capability();
  switch (a) {
    case 1:
    case 2:
    case 3:
      *v = 1024;
      break;
    case 4:
      *v = 64;
      break;
    case 5:
      *v = 2147483647;
      break;
    case 6:
    case 7:
      *v = 65535;
      break;
    case 8:
      *v = 49152;
      break;
    case 10:
      *v = 32;
      break;
    case 16:
      *v = 20;
      break;
    case 75:
      *v = cc / 10;
      break;
    case 76:
      *v = cc % 10;
      break;
    case 97:
      *v = 232448;
      break;
    default:
      *v = 1;
  }
  return OK;
}
R cuDevicePrimaryCtxRetain(void **c, int) {
  *c = (void *)0x1000;
  return OK;
}
R cuDevicePrimaryCtxRelease_v2(int) { return OK; }
R cuCtxSetCurrent(void *) { return OK; }
R cuCtxGetCurrent(void **c) {
  *c = (void *)0x1000;
  return OK;
}
R cuCtxSynchronize(void) {
  LOCK;
  FORBIDDEN("cuCtxSynchronize");
  C.syncs++;
  return OK;
}
R cuCtxGetStreamPriorityRange(int *a, int *b) {
  *a = 0;
  *b = -5;
  return OK;
}
R cuStreamCreate(Stream **s, unsigned flags) {
  *s = new Stream{!(flags & 1), nullptr, 0, 0};
  return OK;
}
R cuStreamCreateWithPriority(Stream **s, unsigned flags, int) { return cuStreamCreate(s, flags); }
R cuStreamDestroy_v2(Stream *) { return OK; }
R cuStreamSynchronize(Stream *s) {
  LOCK;
  if (s && s->capture) return spoil(s->capture, "cuStreamSynchronize", UNSUPPORTED);
  C.syncs++;
  return OK;
}
R cuStreamQuery(Stream *s) {
  LOCK;
  return s && s->capture ? spoil(s->capture, "cuStreamQuery", UNSUPPORTED) : OK;
}
R cuStreamIsCapturing(Stream *s, int *st) {
  LOCK;
  *st = !s || !s->capture ? 0 : s->capture->invalid ? 2 : 1;
  return OK;
}
R cuEventCreate(Event **e, unsigned) {
  *e = new Event{};
  return OK;
}
R cuEventDestroy_v2(Event *e) {
  delete e;
  return OK;
}
R cuEventRecord(Event *e, Stream *s) {
  LOCK;
  C.events++;
  *e = Event{now(), {}, nullptr, s, 0};
  if (s && s->capture) {
    e->capture = s->capture;
    e->alive = captures[s->capture];
    e->at = s->ops;
  }
  return OK;
}
R cuStreamWaitEvent(Stream *s, Event *e, unsigned) {
  LOCK;
  C.events++;
  Graph *there = e->alive.expired() ? nullptr : e->capture;
  if (!s || !s->capture) {
    if (e->capture && !there) return CAPTURED_EVENT;  // of a capture that has ended
    if (there && s) {
      s->capture = there;
      s->joined = -1;
      s->ops++;
      there->streams.push_back(s);
    }  // the stream joins the capture
    return OK;
  }
  if (s->capture->invalid) return INVALIDATED;
  if (!e->capture) return spoil(s->capture, "cuStreamWaitEvent for work from before the capture", ISOLATION);
  if (there != s->capture) return spoil(s->capture, "cuStreamWaitEvent between two captures", MERGE);
  e->stream->joined = std::max(e->stream->joined, e->at);
  return OK;
}
R cuEventSynchronize(Event *e) {
  LOCK;
  if (e->capture) return CAPTURED_EVENT;
  FORBIDDEN("cuEventSynchronize");
  C.syncs++;
  return OK;
}
R cuEventQuery(Event *e) {
  LOCK;
  if (e->capture) return CAPTURED_EVENT;
  FORBIDDEN("cuEventQuery");
  return OK;
}
R cuEventElapsedTime(float *m, Event *a, Event *b) {
  LOCK;
  if (a->capture || b->capture) return CAPTURED_EVENT;
  *m = float((b->time - a->time) * 1e3);
  return OK;
}
R cuEventElapsedTime_v2(float *m, Event *a, Event *b) { return cuEventElapsedTime(m, a, b); }

R cuMemAlloc_v2(uint64_t *p, size_t n) {
  LOCK;
  FORBIDDEN("cuMemAlloc");
  return give(p, n);
}
R cuMemAllocAsync(uint64_t *p, size_t n, Stream *s) {
  LOCK;
  if (!s || !s->capture) return give(p, n);
  // On a capturing stream CUDA records an allocation: the address is known now, the memory is there when the graph
  // runs.
  if (R r = give(p, n)) return r;
  auto there = graph_memory[*p] = std::make_shared<bool>(false);
  note("CAPTURED an allocation of %zu B\n", n);
  return enqueue(s, MEM_ALLOC, [=, a = *p] {
    if (*there) return INVALID_VALUE;
    *there = true;
    memset((void *)a, 0xff, n);
    return OK;
  });
}
R cuMemAllocFromPoolAsync(uint64_t *p, size_t n, void *, Stream *s) { return cuMemAllocAsync(p, n, s); }
R cuMemFree_v2(uint64_t p) {
  LOCK;
  FORBIDDEN("cuMemFree");
  return take(p);
}
R cuMemFreeAsync(uint64_t p, Stream *s) {
  LOCK;
  if (!s || !s->capture) return take(p);
  auto it = graph_memory.find(p);
  if (it == graph_memory.end())
    return spoil(s->capture, "cuMemFreeAsync of memory from outside the capture", INVALID_VALUE);
  return enqueue(s, MEM_FREE, [there = it->second] {
    *there = false;
    return OK;
  });
}
R cuMemHostAlloc(void **p, size_t n, unsigned) {
  LOCK;
  FORBIDDEN("cuMemHostAlloc");
  *p = aligned_alloc(512, (n + 1023) / 512 * 512);
  if (!*p) return OUT_OF_MEMORY;
  memset(*p, 0xff, n);
  return OK;
}
R cuMemAllocHost_v2(void **p, size_t n) { return cuMemHostAlloc(p, n, 0); }
R cuMemFreeHost(void *p) {
  LOCK;
  FORBIDDEN("cuMemFreeHost");
  free(p);
  return OK;
}

R cuMemcpyHtoDAsync_v2(uint64_t d, const void *s, size_t n, Stream *q) {
  return enqueue(q, MEMCPY, [=] {
    C.htod++;
    C.htod_bytes += n;
    if (!inside(d, n)) return INVALID_VALUE;
    memcpy((void *)d, s, n);
    return OK;
  });
}
R cuMemcpyDtoHAsync_v2(void *d, uint64_t s, size_t n, Stream *q) {
  return enqueue(q, MEMCPY, [=] {
    if (!inside(s, n)) return INVALID_VALUE;
    memcpy(d, (void *)s, n);
    read_back("READ", n);
    return OK;
  });
}
R cuMemcpyDtoDAsync_v2(uint64_t d, uint64_t s, size_t n, Stream *q) {
  return enqueue(q, MEMCPY, [=] {
    C.dtod++;
    C.dtod_bytes += n;
    if (!inside(d, n) || !inside(s, n)) return INVALID_VALUE;
    memmove((void *)d, (void *)s, n);
    return OK;
  });
}
R cuMemcpy2DAsync_v2(const P2 *p, Stream *q) {
  return enqueue(q, MEMCPY, [c = *p] { return copy2d(c); });
}
R cuMemsetD8Async(uint64_t d, unsigned char v, size_t n, Stream *q) {
  return enqueue(q, MEMSET, [=] {
    C.memsets++;
    if (!inside(d, n)) return INVALID_VALUE;
    memset((void *)d, v, n);
    return OK;
  });
}
R cuMemcpyHtoD_v2(uint64_t d, const void *s, size_t n) {
  LOCK;
  FORBIDDEN("cuMemcpyHtoD");
  return cuMemcpyHtoDAsync_v2(d, s, n, nullptr);
}
R cuMemcpyDtoH_v2(void *d, uint64_t s, size_t n) {
  LOCK;
  FORBIDDEN("cuMemcpyDtoH");
  return cuMemcpyDtoHAsync_v2(d, s, n, nullptr);
}
R cuMemsetD8_v2(uint64_t d, unsigned char v, size_t n) {
  LOCK;
  FORBIDDEN("cuMemsetD8");
  return cuMemsetD8Async(d, v, n, nullptr);
}
R cuLaunchHostFunc(Stream *s, void (*f)(void *), void *u) {
  return enqueue(s, HOST, [=] {
    f(u);
    return OK;
  });
}

R cuModuleLoadData(void **m, const char *path) {
  LOCK;
  FORBIDDEN("cuModuleLoadData");
  C.modules++;
  *m = path[0] == '/' ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (*m) return OK;
  fprintf(stderr, "cudacpu: no kernel: %s\n",
          path[0] == '/' ? dlerror() : "this is not what the libnvrtc.so here makes");
  return INVALID_IMAGE;
}
R cuModuleUnload(void *) { return OK; }
R cuModuleGetFunction(Function **f, void *m, const char *name) {
  LOCK;
  auto k = (const Kernel *)dlsym(m, (std::string("cudacpu_kernel_") + name).c_str());
  if (!k) return NOT_FOUND;
  functions.push_back(*f = new Function{name, k, 0, 0});
  return OK;
}
R cuFuncSetAttribute(Function *, int a, int v) {
  int most;
  cuDeviceGetAttribute(&most, 97, 0);
  return a == 8 && v > most ? INVALID_VALUE : OK;
}
R cuFuncGetAttribute(int *v, int, Function *) {
  *v = 0;
  return OK;
}
R cuFuncSetCacheConfig(Function *, int) { return OK; }
R cuLaunchKernel(Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                 unsigned shared, Stream *s, void **args, void **extra) {
  uint3 grid{gx, gy, gz}, block{bx, by, bz};
  if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || !bx || !by || !bz || (unsigned long)bx * by * bz > 1024 || extra)
    return INVALID_VALUE;
  LOCK;
  if (!s || !s->capture) return enqueue(s, KERNEL, [&] { return run_kernel(f, grid, block, shared, args); });
  // what is recorded has the arguments' values, and not the pointers to them
  auto values = std::make_shared<std::vector<std::vector<char>>>();
  for (unsigned i = 0; i < f->kernel->count; i++)
    values->emplace_back((char *)args[i], (char *)args[i] + f->kernel->sizes[i]);
  return enqueue(s, KERNEL, [=] {
    std::vector<void *> pointers;  // a vector of char is aligned to 16 bytes
    for (auto &v : *values) pointers.push_back(v.data());
    return run_kernel(f, grid, block, shared, pointers.data());
  });
}

R cuStreamBeginCapture_v2(Stream *s, int mode) {
  LOCK;
  if (!s) return UNSUPPORTED;
  if (s->capture) return ILLEGAL_STATE;
  Graph *g = new Graph;
  g->mode = mode;
  g->by = std::this_thread::get_id();
  g->streams = {s};
  s->capture = g;
  s->ops = 0;
  captures[g] = std::make_shared<int>();
  return OK;
}
R cuStreamEndCapture(Stream *s, Graph **out) {
  LOCK;
  *out = nullptr;
  Graph *g = s ? s->capture : nullptr;
  if (!g) return ILLEGAL_STATE;
  if (g->streams[0] != s) return spoil(g, "cuStreamEndCapture of a stream that joined", UNMATCHED);
  R r = g->invalid ? INVALIDATED : OK;
  for (Stream *t : g->streams) {
    if (t != s && t->joined < t->ops && !r) r = UNJOINED;
    t->capture = nullptr;
  }
  captures.erase(g);
  long n[12] = {};
  for (auto &node : g->nodes) n[node->type]++;
  note("CAPTURED %ld launches, %ld copies, %ld memsets, %ld host calls, %ld allocations, result %d\n", n[KERNEL],
       n[MEMCPY], n[MEMSET], n[HOST], n[MEM_ALLOC], r);
  if (r)
    delete g;
  else
    *out = g;
  return r;
}
R cuGraphGetNodes(Graph *g, Node **nodes, size_t *n) {
  size_t all = g->nodes.size(), most = nodes ? std::min(*n, all) : all;
  for (size_t i = 0; nodes && i < most; i++) nodes[i] = g->nodes[i].get();
  *n = most;
  return OK;
}
R cuGraphNodeGetType(Node *n, int *type) {
  *type = n->type;
  return OK;
}
R cuGraphInstantiateWithFlags(Graph **e, Graph *g, unsigned long long) {
  LOCK;
  *e = new Graph(*g);
  return OK;
}
R cuGraphUpload(Graph *, Stream *) { return OK; }
R cuGraphLaunch(Graph *e, Stream *s) {
  LOCK;
  if (s && s->capture) return spoil(s->capture, "cuGraphLaunch (a graph within a graph is not made here)", UNSUPPORTED);
  C.graph_launches++;
  if (trace) note("REPLAY %zu nodes\n", e->nodes.size());
  if (getenv("CUDACPU_IDLE_GRAPHS")) return OK;
  for (auto &n : e->nodes)
    if (R r = n->run()) {
      note("REPLAY failed: error %d\n", r);
      return r;
    }
  return OK;
}
R cuGraphExecDestroy(Graph *e) {
  LOCK;
  delete e;
  return OK;
}
R cuGraphDestroy(Graph *g) {
  LOCK;
  delete g;
  return OK;
}

R cuGetErrorName(int r, const char **s) {
  static const std::map<int, const char *> names = {{0, "CUDA_SUCCESS"},
                                                    {1, "CUDA_ERROR_INVALID_VALUE"},
                                                    {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                    {101, "CUDA_ERROR_INVALID_DEVICE"},
                                                    {200, "CUDA_ERROR_INVALID_IMAGE"},
                                                    {401, "CUDA_ERROR_ILLEGAL_STATE"},
                                                    {500, "CUDA_ERROR_NOT_FOUND"},
                                                    {801, "CUDA_ERROR_NOT_SUPPORTED"},
                                                    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
                                                    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
                                                    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE"},
                                                    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED"},
                                                    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"},
                                                    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION"},
                                                    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT"},
                                                    {907, "CUDA_ERROR_CAPTURED_EVENT"}};
  auto it = names.find(r);
  *s = it == names.end() ? "CUDA_ERROR" : it->second;
  return OK;
}
R cuGetErrorString(int r, const char **s) { return cuGetErrorName(r, s); }
R cuTensorMapEncodeTiled() { return 801; }
R cuTensorMapEncodeIm2col() { return 801; }
R cuTensorMapEncodeIm2colWide() { return 801; }
R cuDeviceGetDefaultMemPool(void **p, int) {
  *p = (void *)0x2000;
  return OK;
}
R cuDeviceGetMemPool(void **p, int) {
  *p = (void *)0x2000;
  return OK;
}
R cuMemPoolSetAttribute(void *, int, void *) { return OK; }
R cuMemPoolGetAttribute(void *, int, void *) { return OK; }
R cuMemPoolTrimTo(void *, size_t) { return OK; }
R cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, void *, int, size_t, unsigned) {
  *n = 2;
  return OK;
}
R cuGetExportTable(const void **t, const void *) {
  *t = nullptr;
  return NOT_FOUND;
}
R cuGetProcAddress_v2(const char *, void **f, int, uint64_t, void *) {
  *f = nullptr;
  return NOT_FOUND;
}
R cuGetProcAddress(const char *, void **f, int, uint64_t) {
  *f = nullptr;
  return NOT_FOUND;
}
}
