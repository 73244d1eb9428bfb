// The coverage of the tables cannot rot: whatever a header declares has a row.
#include <gtest/gtest.h>

#include "declarations.hpp"
#include "verify/gradcheck_row.hpp"
#include "verify/module_row.hpp"

namespace xgrad::testing {
namespace {

TEST(Coverage, EveryOpHasGradcheckRows) {
  std::set<std::string> checked;
  for (const GradcheckRow& row : all_gradcheck_rows()) checked.insert(row.op);
  std::set<std::string> declared;
  for (const auto& header : op_headers()) {
    for (const std::string& op : declared_ops(text_of(header))) {
      declared.insert(op);
      EXPECT_TRUE(checked.contains(op)) << header << " declares " << op << ": it has no row";
    }
  }
  EXPECT_EQ(checked, declared);
}

TEST(Coverage, EveryModuleHasGradcheckRows) {
  std::set<std::string> checked;
  for (const ModuleRow& row : all_module_rows()) checked.insert(row.module);
  std::set<std::string> declared;
  for (const auto& header : headers_in(source_root() / "nn")) {
    for (const std::string& module : declared_modules(text_of(header))) {
      declared.insert(module);
      EXPECT_TRUE(checked.contains(module)) << header << " declares " << module << ": no row";
    }
  }
  EXPECT_EQ(checked, declared);
}

TEST(Coverage, TheParserFindsModulesAndLayers) {
  const std::set<std::string> expected{"Net", "Cell", "layers::Dense", "layers::LSTM"};
  EXPECT_EQ(declared_modules(R"(
      /// struct No : Module {
      struct Options { int a; };
      struct Net : nn::Module { Net(); };
      template <class Cell>
      class Cell final : public Module {};
      struct Dense : Layer { };
      struct LSTM : Recurrent<LSTMCell> { };
      )"),
            expected);
}

}  // namespace
}  // namespace xgrad::testing
