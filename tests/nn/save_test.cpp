#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include <xgrad/nn/files/safetensors.hpp>
#include <xgrad/nn/files/save.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/sequential.hpp>

#include "error_of.hpp"

namespace {

namespace fs = std::filesystem;
using namespace xgrad;

struct Net : nn::Module {
  Net() : first(child("first", nn::Linear(2, 3))), second(child("second", nn::Linear(3, 2))) {}
  nn::Linear first, second;
};

struct Tied : nn::Module {
  Tied() : a(child("a", nn::Linear(2, 2))), b(child("b", a)) {}
  nn::Linear a, b;
};

class SaveTest : public testing::Test {
 protected:
  SaveTest()
      : folder_(fs::path(testing::TempDir()) /
                ("save-" + std::to_string(::getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~SaveTest() override { fs::remove_all(folder_); }
  fs::path path() const { return folder_ / "model.safetensors"; }

  fs::path folder_;
};

void expect_same_values(const nn::Module& a, const nn::Module& b) {
  ASSERT_EQ(a.named_parameters().size(), b.named_parameters().size());
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    EXPECT_EQ(a.named_parameters()[i].name, b.named_parameters()[i].name);
    EXPECT_EQ(a.parameters()[i].tensor().to_vector(), b.parameters()[i].tensor().to_vector());
  }
}

TEST_F(SaveTest, LoadGivesBackWhatSaveWrote) {
  const Net saved;
  nn::save(path(), saved);
  Net loaded;
  ASSERT_NE(loaded.first.W.tensor().to_vector(), saved.first.W.tensor().to_vector());
  const std::uint64_t version = loaded.first.W.version();
  nn::load(path(), loaded);
  expect_same_values(loaded, saved);
  EXPECT_GT(loaded.first.W.version(), version);
}

TEST_F(SaveTest, FrozenParametersAreLoadedToo) {
  const Net saved;
  nn::save(path(), saved);
  Net loaded;
  loaded.freeze();
  nn::load(path(), loaded);
  expect_same_values(loaded, saved);
}

TEST_F(SaveTest, WritesTheParametersUnderTheirNames) {
  nn::save(path(), Net());
  const nn::SafetensorsFile file = nn::read_safetensors(path());
  ASSERT_EQ(file.tensors.size(), 4U);
  EXPECT_EQ(to_string(file.tensors.at("first.W").shape()), "(2,3)");
  EXPECT_EQ(to_string(file.tensors.at("second.b").shape()), "(2)");
}

TEST_F(SaveTest, TiedWeightsAreWrittenOnce) {
  const Tied saved;
  nn::save(path(), saved);
  EXPECT_EQ(nn::read_safetensors(path()).tensors.size(), 2U);
  Tied loaded;
  nn::load(path(), loaded);
  EXPECT_EQ(loaded.b.W.tensor().to_vector(), saved.a.W.tensor().to_vector());
  EXPECT_TRUE(loaded.b.W.is(loaded.a.W));
}

TEST_F(SaveTest, LoadKeepsTheDtypeOfTheModule) {
  Net saved;
  nn::save(path(), saved);
  Net loaded;
  loaded.to(DType::float64);
  nn::load(path(), loaded);
  EXPECT_EQ(loaded.dtype(), DType::float64);
  expect_same_values(loaded, saved);
}

TEST_F(SaveTest, NamesAllThatDoesNotFitAndChangesNothing) {
  nn::SafetensorsFile file;
  file.tensors["first.W"] = Tensor::zeros({2, 3});
  file.tensors["first.b"] = Tensor::zeros({4});
  file.tensors["second.W"] = Tensor::zeros({2, 3});
  file.tensors["third.W"] = Tensor::zeros({5, 1});
  file.tensors["third.b"] = Tensor::zeros({1});
  nn::write_safetensors(path(), file);
  Net net;
  const Net before = clone(net);
  EXPECT_EQ(error_of([&] { nn::load(path(), net); }),
            "load: " + path().string() +
                " is not of this module:"
                "\n  missing: 'second.b' (2)"
                "\n  extra: 'third.W' (5,1) 'third.b' (1)"
                "\n  misshapen: 'first.b' (4) instead of (3) 'second.W' (2,3) instead of (3,2)");
  expect_same_values(net, before);
  EXPECT_EQ(net.first.W.version(), before.first.W.version());
}

TEST_F(SaveTest, AFileThatIsNotThereIsNamed) {
  Net net;
  EXPECT_NE(error_of([&] { nn::load(path(), net); }).find(path().string()), std::string::npos);
  EXPECT_NE(error_of([&] { nn::save(folder_ / "none" / "model", net); }).find("none/model"),
            std::string::npos);
}

TEST_F(SaveTest, ASequentialMustBeBuilt) {
  nn::Sequential model({nn::layers::LSTM(3), nn::layers::Dense(1)});
  EXPECT_NE(error_of([&] { nn::save(path(), model); }).find("no parameters"), std::string::npos);
  nn::save(path(), model.build({5, 2}));
  nn::Sequential loaded({nn::layers::LSTM(3), nn::layers::Dense(1)});
  EXPECT_NE(error_of([&] { nn::load(path(), loaded); }).find("once it is built"),
            std::string::npos);
  nn::load(path(), loaded.build({5, 2}));
  const Var x = Tensor::full({2, 5, 2}, 0.3);
  EXPECT_EQ(loaded(x).tensor().to_vector(), model(x).tensor().to_vector());
}

}  // namespace
