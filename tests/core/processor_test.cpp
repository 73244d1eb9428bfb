#include <gtest/gtest.h>

#include <xgrad/core/runtime/processor.hpp>

namespace xgrad::detail {
namespace {

#ifdef __aarch64__
const std::string portable = "armv8-a";
#else
const std::string portable = "x86-64-v2";
#endif

TEST(Processor, NamesTheBuildAndWhatIsMissing) {
  const InstructionSet sets[] = {{"avx2", true}, {"fma", false}, {"avx512f", false}};
  EXPECT_EQ(
      processor_error("x86-64-v4", sets),
      "xgrad: the library was compiled for XGRAD_ISA=x86-64-v4, but this processor lacks fma, "
      "avx512f: configure with an XGRAD_ISA that it has, such as " +
          portable);
}

TEST(Processor, AcceptsWhatIsThere) {
  const InstructionSet sets[] = {{"avx2", true}};
  EXPECT_EQ(processor_error("native", sets), "");
  EXPECT_NO_THROW(check_processor());
}

}  // namespace
}  // namespace xgrad::detail
