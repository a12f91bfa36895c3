// A stand-in for libnvrtc.so: compiles a CUDA C++ kernel for the processor, with g++ and cudacpu.h (which lies beside
// the library), and hands back as "PTX" the path of the shared object, for the libcuda.so.1 here to load. Objects stay
// in $CUDACPU_CACHE (else ~/.cache/cudacpu), named by a hash of source, header and flags; $CUDACPU_FLAGS replaces the
// flags.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
using std::string;

namespace {
struct Program {
  string source, log, path;
};

string read(const string &path) {
  std::ifstream f(path);
  std::stringstream s;
  s << f.rdbuf();
  return s.str();
}
void write(const string &path, const string &text) { std::ofstream(path) << text; }

string here() {
  Dl_info i;
  dladdr((void *)&here, &i);
  string p = i.dli_fname;
  return p.substr(0, p.rfind('/'));
}

string hash(const string &s) {  // FNV-1a, twice 64 bits
  unsigned long long a = 14695981039346656037ull, b = 1099511628211ull * 31;
  for (unsigned char c : s) a = (a ^ c) * 1099511628211ull, b = (b ^ c) * 0x9E3779B97F4A7C15ull ^ b >> 29;
  char out[40];
  snprintf(out, sizeof out, "%016llx%016llx", a, b);
  return out;
}

bool has(const string &s, const char *part) { return s.find(part) != string::npos; }

// What g++ cannot take as it is. The lines stay the same: a warp meets by line (cudacpu.h).
string translate(string s) {
  // the toolkit's headers: cudacpu.h has what is used of them; any other is left in, and fails
  s = std::regex_replace(s, std::regex("#include <(cuda_fp16|cuda_bf16|mma|cuda_runtime)\\.h>"), "");
  // the one block of dynamic shared memory
  s = std::regex_replace(s, std::regex("extern __shared__ __align__\\(\\d+\\) char (\\w+)\\[\\];"),
                         "char *const $1 = cudacpu_me->shared;");
  // CubeCL writes some atomics as PTX: asm volatile("atom.relaxed.add.f32 %0, [%1], %2;" : "=f"(result) : "l"(p),
  // "f"(v) );
  const char *types[][2] = {{"u32", "unsigned"},  {"s32", "int"},   {"u64", "unsigned long long"},
                            {"s64", "long long"}, {"f32", "float"}, {"f64", "double"}};
  for (auto &t : types)
    s = std::regex_replace(
        s,
        std::regex(string("asm volatile\\(\"atom\\.relaxed\\.(add|min|max)\\.") + t[0] +
                   " %0, \\[%1\\], %2;\" : \"=\\w\"\\((\\w+)\\) : \"l\"\\((\\w+)\\), \"\\w\"\\((\\w+)\\) *\\);"),
        string("$2 = cudacpu::atom_$1((") + t[1] + " *)$3, (" + t[1] + ")$4);");
  return s;
}

int compile(Program *p) {
  const char *cache = getenv("CUDACPU_CACHE"), *home = getenv("HOME"), *given = getenv("CUDACPU_FLAGS");
  string dir = cache ? cache : string(home ? home : "/tmp") + "/.cache/cudacpu";
  string header = here() + "/cudacpu.h", text = translate(p->source), log;
  string flags = given ? given : "-O3 -march=native";
  for (size_t i = 1; i <= dir.size(); i++)
    if (i == dir.size() || dir[i] == '/') mkdir(dir.substr(0, i).c_str(), 0777);
  // kernels without a meeting of threads are run as plain loops
  bool meets =
      has(text, "__syncthreads") || has(text, "__syncwarp") || has(text, "_sync(") || has(text, "__activemask");
  // one entry for each kernel; std::regex is slow on long inputs, so by hand
  string entries;
  for (size_t at = 0; (at = text.find("extern \"C\" __global__", at)) != string::npos;) {
    size_t bounds = text.find("__launch_bounds__(", at), open = text.find('(', text.find(')', bounds) + 1), end = open;
    while (strchr(" \n\t", text[end - 1])) end--;
    size_t start = end;
    while (isalnum(text[start - 1]) || text[start - 1] == '_') start--;
    string name = text.substr(start, end - start);
    entries += "\nCUDACPU_ENTRY(" + name + ", " + (meets ? "true" : "false") + ")\n";
    at = open;
  }
  text = "#line 1 \"kernel\"\n" + text + entries;
  string base = dir + "/" + hash(text + read(header) + flags), object = base + ".so",
         temporary = base + "." + std::to_string(getpid());
  if (access(object.c_str(), R_OK) != 0) {
    write(temporary + ".cpp", text);
    // restrict, fast paths of errno and aliasing: as NVRTC sees a kernel, not as C++ does
    string command = "g++ -std=c++17 " + flags +
                     " -shared -fPIC -w -fno-strict-aliasing -fwrapv -fno-math-errno -fno-semantic-interposition "
                     "-fno-exceptions -Wno-narrowing -include '" +
                     header + "' -o '" + temporary + ".so' '" + temporary + ".cpp' > '" + temporary + ".log' 2>&1";
    int rc = system(command.c_str());
    p->log = read(temporary + ".log");
    unlink((temporary + ".log").c_str());
    rename((temporary + ".cpp").c_str(), (base + ".cpp").c_str());  // kept, to be read when something is wrong
    if (rc != 0) {
      fprintf(stderr, "cudacpu: g++ does not take the kernel %s.cpp:\n%s\n", base.c_str(),
              p->log.substr(0, 4000).c_str());
      return 6;  // NVRTC_ERROR_COMPILATION
    }
    rename((temporary + ".so").c_str(), object.c_str());  // whole or not at all, for other processes
  }
  p->path = object;
  return 0;
}
}  // namespace

extern "C" {
int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
const char *nvrtcGetErrorString(int r) {
  return r == 0 ? "NVRTC_SUCCESS" : r == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}
int nvrtcCreateProgram(Program **p, const char *source, const char *, int, const char *const *, const char *const *) {
  *p = new Program{source, "", ""};
  return 0;
}
int nvrtcDestroyProgram(Program **p) {
  delete *p;
  *p = nullptr;
  return 0;
}
int nvrtcCompileProgram(Program *p, int, const char *const *) { return compile(p); }
int nvrtcGetPTXSize(Program *p, size_t *n) {
  *n = p->path.size() + 1;
  return 0;
}
int nvrtcGetPTX(Program *p, char *out) {
  memcpy(out, p->path.c_str(), p->path.size() + 1);
  return 0;
}
int nvrtcGetProgramLogSize(Program *p, size_t *n) {
  *n = p->log.size() + 1;
  return 0;
}
int nvrtcGetProgramLog(Program *p, char *out) {
  memcpy(out, p->log.c_str(), p->log.size() + 1);
  return 0;
}
}
