#pragma once

#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>

#include "libraries.hpp"

namespace peers {

using dnnl::memory;

inline dnnl::engine& cpu() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

inline dnnl::stream& stream() {
  static dnnl::stream stream(cpu());
  return stream;
}

inline memory::desc float_desc(const memory::dims& extents, memory::format_tag tag) {
  return {extents, memory::data_type::f32, tag};
}

inline float* numbers_of(const memory& m) { return static_cast<float*>(m.get_data_handle()); }
inline std::size_t count_of(const memory& m) { return m.get_desc().get_size() / sizeof(float); }

inline void copy_into(const memory& m, const std::vector<float>& numbers) {
  std::copy(numbers.begin(), numbers.end(), numbers_of(m));
}

/// A primitive with its arguments.
struct Call {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;

  void run() const { primitive.execute(stream(), arguments); }
};

inline Call reorder(const memory& from, const memory& to) {
  return {dnnl::reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}};
}

}  // namespace peers
