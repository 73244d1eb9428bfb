#include <vector>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/processor.hpp>

namespace xgrad::detail {
namespace {

#ifdef __aarch64__
constexpr const char* portable = "armv8-a";
#else
constexpr const char* portable = "x86-64-v2";
#endif

std::vector<InstructionSet> required_sets() {
  std::vector<InstructionSet> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef __SSE4_2__
  sets.push_back({"sse4.2", __builtin_cpu_supports("sse4.2") != 0});
#endif
#ifdef __AVX2__
  sets.push_back({"avx2", __builtin_cpu_supports("avx2") != 0});
#endif
#ifdef __FMA__
  sets.push_back({"fma", __builtin_cpu_supports("fma") != 0});
#endif
#ifdef __BMI2__
  sets.push_back({"bmi2", __builtin_cpu_supports("bmi2") != 0});
#endif
#ifdef __AVX512F__
  sets.push_back({"avx512f", __builtin_cpu_supports("avx512f") != 0});
#endif
#ifdef __AVX512BW__
  sets.push_back({"avx512bw", __builtin_cpu_supports("avx512bw") != 0});
#endif
#ifdef __AVX512DQ__
  sets.push_back({"avx512dq", __builtin_cpu_supports("avx512dq") != 0});
#endif
#ifdef __AVX512VL__
  sets.push_back({"avx512vl", __builtin_cpu_supports("avx512vl") != 0});
#endif
#elif defined(__aarch64__) && defined(__linux__)
  [[maybe_unused]] const auto has = [](unsigned long bit) {
    return (::getauxval(AT_HWCAP) & bit) != 0;
  };
#ifdef __ARM_FEATURE_ATOMICS
  sets.push_back({"lse", has(HWCAP_ATOMICS)});
#endif
#ifdef __ARM_FEATURE_FP16_VECTOR_ARITHMETIC
  sets.push_back({"fp16", has(HWCAP_ASIMDHP)});
#endif
#ifdef __ARM_FEATURE_SVE
  sets.push_back({"sve", has(HWCAP_SVE)});
#endif
#endif
  return sets;
}

}  // namespace

void check_processor() {
  const std::string error = processor_error(XGRAD_ISA_NAME, required_sets());
  if (!error.empty()) throw Error(error);
}

std::string processor_error(const std::string& compiled_for, std::span<const InstructionSet> sets) {
  std::string missing;
  for (const InstructionSet& set : sets) {
    if (set.supported) continue;
    if (!missing.empty()) missing += ", ";
    missing += set.name;
  }
  if (missing.empty()) return {};
  return "xgrad: the library was compiled for XGRAD_ISA=" + compiled_for +
         ", but this processor lacks " + missing +
         ": configure with an XGRAD_ISA that it has, such as " + portable;
}

}  // namespace xgrad::detail
