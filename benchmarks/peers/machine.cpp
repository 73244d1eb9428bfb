#include "machine.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <dlfcn.h>
#include <stdlib.h>

#include "libraries.hpp"

namespace peers {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// Of the last minute, to two digits behind the point.
double load_average() {
  double load = NAN;
  return getloadavg(&load, 1) == 1 ? std::round(load * 100) / 100 : NAN;
}

/// The file behind libblas.so.3, which libtorch is linked to. Throws unless it is OpenBLAS, as
/// xgrad's is: the reference BLAS has the same interface and is many times slower.
std::string blas_of_torch() {
  void* const library = dlopen("libblas.so.3", RTLD_LAZY | RTLD_NOLOAD);
  void* const product = library ? dlsym(library, "sgemm_") : nullptr;
  Dl_info info{};
  if (!product || dladdr(product, &info) == 0) {
    throw std::runtime_error("libtorch has not loaded libblas.so.3: which BLAS is it using?");
  }
  const std::string file = std::filesystem::canonical(info.dli_fname);
  if (!dlsym(library, "openblas_get_config")) {
    throw std::runtime_error("libblas.so.3, which libtorch uses, is " + file +
                             ", not OpenBLAS: the comparison would not be fair.\n"
                             "Install libopenblas0-pthread, or choose it with\n"
                             "  update-alternatives --config libblas.so.3-$(uname -m)-linux-gnu");
  }
  dlclose(library);
  return file;
}

nlohmann::ordered_json or_null(const std::string& version) {
  return version.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(version);
}

}  // namespace

nlohmann::ordered_json describe_machine() {
  const bool has_torch = !torch_version().empty();
  return {{"processor", processor()},
          {"cores", std::thread::hardware_concurrency()},
          {"load", load_average()},
          {"libtorch", or_null(torch_version())},
          {"libblas_of_libtorch", or_null(has_torch ? blas_of_torch() : "")},
          {"onednn", or_null(onednn_version())},
          {"openblas", openblas_version()},
          {"compiler", std::string("g++ ") + __VERSION__},
          {"xgrad_isa", xgrad_isa()}};
}

}  // namespace peers
