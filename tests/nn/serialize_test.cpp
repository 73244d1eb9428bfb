#include <bit>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/nn/files/safetensors.hpp>

#include "error_of.hpp"

namespace {

namespace fs = std::filesystem;
using xgrad::DType;
using xgrad::error_of;
using xgrad::Shape;
using xgrad::Tensor;
using xgrad::nn::read_safetensors;
using xgrad::nn::SafetensorsFile;
using xgrad::nn::write_safetensors;

class SafetensorsTest : public testing::Test {
 protected:
  SafetensorsTest()
      : folder_(fs::path(testing::TempDir()) /
                ("safetensors-" + std::to_string(::getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~SafetensorsTest() override { fs::remove_all(folder_); }

  fs::path path(const std::string& name = "file.safetensors") const { return folder_ / name; }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  static std::string slurp(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static void spill(const fs::path& path, const std::string& bytes) {
    fs::remove(path);  // some file systems sync a file that is written over
    std::ofstream(path, std::ios::binary) << bytes;
  }

  /// The bytes of a file with this header and data.
  static std::string assemble(const std::string& header, const std::string& data = "") {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
  }

  /// The text of the error that reading these bytes gives.
  std::string read_error(const std::string& bytes) const {
    spill(path(), bytes);
    return error_of([&] { read_safetensors(path()); });
  }

  fs::path folder_;
};

void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dtype(), b.dtype());
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape()));
  const auto bytes = static_cast<std::size_t>(a.size()) * item_size(a.dtype());
  EXPECT_TRUE(bytes == 0 || std::memcmp(a.bytes(), b.bytes(), bytes) == 0);
}

SafetensorsFile example() {
  SafetensorsFile file;
  file.tensors["b.weight"] = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  file.tensors["a.weight"] = Tensor({3}, {0.1, -0.0, std::nan("")}, DType::float64);
  file.tensors["a.scalar"] = Tensor({}, {2.5});
  file.tensors["c.empty"] = Tensor::zeros({0, 4});
  file.metadata["vocabulary"] = std::string("a\n\"\\\0 \u4e2d\U0001f600", 13);
  file.metadata["empty"] = "";
  return file;
}

TEST_F(SafetensorsTest, GivesBackWhatWasWritten) {
  const SafetensorsFile written = example();
  write_safetensors(path(), written);
  const SafetensorsFile read = read_safetensors(path());
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    SCOPED_TRACE(name);
    ASSERT_EQ(read.tensors.count(name), 1U);
    expect_same_bits(read.tensors.at(name), tensor);
  }
  EXPECT_EQ(read.metadata, written.metadata);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafetensorsTest, WritesTheBytesOfTheSpecification) {
  SafetensorsFile file;
  file.tensors["y"] = Tensor({1, 2}, {1, -2});
  file.tensors["x"] = Tensor({1}, {3}, DType::float64);
  file.metadata["k"] = "v";
  write_safetensors(path(), file);
  std::string header =
      R"({"__metadata__":{"k":"v"},"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("y":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data("\0\0\0\0\0\0\x08\x40\0\0\x80\x3f\0\0\0\xc0", 16);
  EXPECT_EQ(slurp(path()), assemble(header, data));
}

// Behind float32 tensors of an odd size, too: who maps the file into memory may use them there.
TEST_F(SafetensorsTest, EveryTensorIsAlignedInTheFile) {
  SafetensorsFile file;
  file.tensors["a"] = Tensor({3}, {1, 2, 3});
  file.tensors["b"] = Tensor({1}, {0.5}, DType::float64);
  file.tensors["c"] = Tensor({1}, {4});
  file.tensors["d"] = Tensor({2}, {0.25, 0.125}, DType::float64);
  for (std::size_t length = 0; length < 8; ++length) {  // of the header
    file.metadata["k"] = std::string(length, 'v');
    write_safetensors(path(), file);
    const std::string bytes = slurp(path());
    for (const double value : {0.5, 0.25}) {
      const std::string pattern(reinterpret_cast<const char*>(&value), sizeof value);
      EXPECT_EQ(bytes.find(pattern) % sizeof value, 0U) << value;
    }
  }
}

// An empty tensor may lie where another begins.
TEST_F(SafetensorsTest, EmptyTensorsOfEveryName) {
  SafetensorsFile file;
  file.tensors["a"] = Tensor({1}, {1});
  file.tensors["b"] = Tensor::zeros({0});
  file.tensors["z"] = Tensor::zeros({0}, DType::float64);
  write_safetensors(path(), file);
  EXPECT_EQ(read_safetensors(path()).tensors.size(), 3U);
}

TEST_F(SafetensorsTest, APathWithoutAFolderIsInTheCurrentOne) {
  const fs::path before = fs::current_path();
  fs::current_path(path().parent_path());
  spill("bare.tmp-1-2", "");
  write_safetensors("bare", example());
  EXPECT_EQ(files(), 1U);  // what a killed process left is gone
  EXPECT_EQ(read_safetensors("bare").tensors.size(), 4U);
  fs::current_path(before);
}

TEST_F(SafetensorsTest, WritesViewsInRowMajorOrder) {
  const Tensor matrix({2, 3}, {1, 2, 3, 4, 5, 6});
  SafetensorsFile file;
  file.tensors["transposed"] = matrix.view(matrix.bytes(), {3, 2}, {1, 3});
  write_safetensors(path(), file);
  EXPECT_EQ(read_safetensors(path()).tensors.at("transposed").to_vector(),
            (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST_F(SafetensorsTest, ReadsOnlyThePrefix) {
  write_safetensors(path(), example());
  const SafetensorsFile read = read_safetensors(path(), "a.");
  ASSERT_EQ(read.tensors.size(), 2U);
  EXPECT_EQ(read.tensors.count("a.scalar"), 1U);
  EXPECT_EQ(read.tensors.count("a.weight"), 1U);
  EXPECT_EQ(read.metadata.size(), 2U);
}

TEST_F(SafetensorsTest, WidensHalfPrecision) {
  const std::uint16_t halves[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x8000, 0x7c00, 0x7e00};
  const std::uint16_t brains[] = {0x3f80, 0xc2f7, 0xff80};
  std::string data(sizeof halves + sizeof brains, '\0');
  std::memcpy(data.data(), halves, sizeof halves);
  std::memcpy(data.data() + sizeof halves, brains, sizeof brains);
  spill(path(), assemble(R"({"h":{"dtype":"F16","shape":[8],"data_offsets":[0,16]},)"
                         R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})",
                         data));
  const SafetensorsFile read = read_safetensors(path());
  std::vector<double> h = read.tensors.at("h").to_vector();
  EXPECT_TRUE(std::isnan(h.back()));
  h.pop_back();
  EXPECT_EQ(h, (std::vector<double>{1, -2, 65504, 0x1p-24, -1023 * 0x1p-24, 0,
                                    std::numeric_limits<double>::infinity()}));
  EXPECT_TRUE(std::signbit(h[5]));
  EXPECT_EQ(read.tensors.at("b").to_vector(),
            (std::vector<double>{1, -123.5, -std::numeric_limits<double>::infinity()}));
  EXPECT_EQ(read.tensors.at("b").dtype(), DType::float32);
}

TEST_F(SafetensorsTest, EveryShorterFileIsRefused) {
  write_safetensors(path(), example());
  const std::string bytes = slurp(path());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string text = read_error(bytes.substr(0, size));
    ASSERT_NE(text.find(path().string()), std::string::npos) << size << ": " << text;
  }
  EXPECT_NE(read_error(bytes + "x").find("the tensors end at byte"), std::string::npos);
}

TEST_F(SafetensorsTest, NoFlippedBitOfTheHeaderCrashes) {
  write_safetensors(path(), example());
  const std::string bytes = slurp(path());
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  for (std::size_t i = 0; i < 8 + header; ++i) {
    for (const int bit : {0, 4, 7}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      const std::string text = read_error(damaged);  // a letter of a name may well change
      ASSERT_TRUE(text == "no error" || text.starts_with("read_safetensors: " + path().string()));
    }
  }
}

TEST_F(SafetensorsTest, ErrorsNameTheReason) {
  const auto expect = [&](const std::string& part, const std::string& bytes) {
    const std::string text = read_error(bytes);
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find(path().string()), std::string::npos) << text;
  };
  const std::string four(4, '\0');
  const auto tensor = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"x":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  expect("not a safetensors file: it has 3 bytes", "abc");
  expect("not a safetensors file", "A text that has nothing to do with tensors.");
  expect("a header of 18446744073709551615 bytes", std::string(8, '\xff') + "{}");
  expect("the header is not valid JSON", assemble(R"({"x":)"));
  expect("the header is not a JSON object", assemble(std::string(100'000, '[')));
  expect("the header is not a JSON object", assemble("[]"));
  expect("the name 'x' appears twice",
         assemble(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                  R"("x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
                  four));
  expect("the name '' appears twice",
         assemble(R"({"":{"dtype":"F32","shape":[],"data_offsets":[0,0]},"":2})"));
  expect("the name 'k' appears twice", assemble(R"({"__metadata__":{"k":"a","k":"b"}})"));
  expect("the name 'a' appears twice", assemble(R"({"x":{"a":1,"a":2}})"));
  expect("the name 'shape' appears twice",
         assemble(R"({"x":{"dtype":"F32","shape":[],"shape":[1],"data_offsets":[0,4]}})", four));
  expect("the metadata is not a JSON object", assemble(R"({"__metadata__":3})"));
  expect("the metadata 'k' is not text", assemble(R"({"__metadata__":{"k":3}})"));
  expect("tensor 'x' has no description", assemble(R"({"x":3})"));
  expect("tensor 'x' has no dtype", assemble(R"({"x":{}})"));
  expect("tensor 'x' has no shape", assemble(tensor("F32", "4", "[0,4]"), four));
  expect("tensor 'x' has no shape", assemble(tensor("F32", "[-1]", "[0,4]"), four));
  expect("tensor 'x' has no shape", assemble(tensor("F32", "[1.0]", "[0,4]"), four));
  expect("tensor 'x' has no data_offsets", assemble(tensor("F32", "[1]", "[4]"), four));
  expect("tensor 'x' has no data_offsets", assemble(tensor("F32", "[1]", "[0,4,9]"), four));
  expect("tensor 'x' has dtype 'I64': must be F32", assemble(tensor("I64", "[1]", "[0,4]"), four));
  expect("tensor 'x' has 9 axes", assemble(tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), four));
  expect("lies at bytes 0 to 5 of 4", assemble(tensor("F32", "[1]", "[0,5]"), four));
  expect("lies at bytes 4 to 0 of 4", assemble(tensor("F32", "[1]", "[4,0]"), four));
  expect("tensor 'x' begins at byte 1", assemble(tensor("F32", "[1]", "[1,4]"), four));
  expect("tensor 'x' has 4 bytes", assemble(tensor("F32", "[2]", "[0,4]"), four));
  expect("tensor 'x' has 4 bytes",
         assemble(tensor("F32", "[4294967296,4294967296,4294967296]", "[0,4]"), four));
  expect("tensor 'x' has 0 bytes",
         assemble(tensor("F32", "[9223372036854775807,9223372036854775807]", "[0,0]")));
  expect("tensor 'x' has 0 bytes", assemble(tensor("F32", "[0,18446744073709551615]", "[0,0]")));
  expect("tensor 'y' begins at byte 2",  // overlaps x
         assemble(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                  R"("y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                  four + "12"));
}

// The parser by itself takes a NUL for the end, and skips a byte order mark.
TEST_F(SafetensorsTest, NothingStandsBeforeOrBehindTheHeader) {
  const std::string json = R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string four(4, '\0');
  const std::string nul(1, '\0');
  for (const std::string& header :
       {json + "garbage {", json + json, json + nul, json + nul + "garbage {", json + nul + json,
        "\xef\xbb\xbf" + json, " " + json, nul + json, json.substr(0, 5) + nul + json.substr(5),
        std::string()}) {
    const std::string text = read_error(assemble(header, four));
    EXPECT_TRUE(text.starts_with("read_safetensors: " + path().string() +
                                 ": not a safetensors file, or damaged"))
        << header << ": " << text;
  }
  EXPECT_EQ(read_error(assemble(json + "   ", four)), "no error");
}

TEST_F(SafetensorsTest, AnEmptyTensorLargerThanAnyMemoryIsNamedWithItsFile) {
  const std::string huge = "4611686018427387904";
  EXPECT_EQ(read_error(assemble(R"({"x":{"dtype":"F32","shape":[0,)" + huge + "," + huge +
                                R"(],"data_offsets":[0,0]}})")),
            "read_safetensors: " + path().string() + ": tensor 'x' is (0," + huge + "," + huge +
                "): larger than any memory");
}

TEST_F(SafetensorsTest, MembersThatTheFormatDoesNotKnowAreSkipped) {
  spill(path(), assemble(R"({"x":{"a":[1,{"b":[]},"c"],"dtype":"F32","d":{"dtype":3,"dtype":[]},)"
                         R"("shape":[],"e":null,"data_offsets":[0,4],"f":-1.5}})",
                         std::string(4, '\0')));
  EXPECT_EQ(read_safetensors(path()).tensors.at("x").to_vector(), std::vector<double>{0});
}

/// Calls f on a thread with that little stack.
void with_stack(std::size_t bytes, const std::function<void()>& f) {
  pthread_attr_t attributes;
  ASSERT_EQ(::pthread_attr_init(&attributes), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, bytes), 0);
  pthread_t thread;
  const auto call = [](void* function) -> void* {
    (*static_cast<const std::function<void()>*>(function))();
    return nullptr;
  };
  ASSERT_EQ(
      ::pthread_create(&thread, &attributes, call, const_cast<void*>(static_cast<const void*>(&f))),
      0);
  ASSERT_EQ(::pthread_join(thread, nullptr), 0);
  ::pthread_attr_destroy(&attributes);
}

TEST_F(SafetensorsTest, DeepNestingNeedsLittleStack) {
  const std::string open(131'000, '[');
  const std::string closed(131'000, ']');
  with_stack(256 * 1024, [&] {
    EXPECT_NE(read_error(assemble(R"({"x":{"shape":)" + open)).find("has no shape"),
              std::string::npos);
    EXPECT_NE(read_error(assemble(R"({"x":{"a":)" + open)).find("not valid JSON"),
              std::string::npos);
    spill(path(), assemble(R"({"x":{"a":)" + open + closed +
                           R"(,"dtype":"F32","shape":[0],"data_offsets":[0,0]}})"));
    EXPECT_EQ(read_safetensors(path()).tensors.size(), 1U);
  });
}

TEST_F(SafetensorsTest, ReadsManyTensorsAtOnce) {
  std::string header = "{";
  for (int i = 0; i < 30'000; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  spill(path(), assemble(header + "}"));
  EXPECT_EQ(read_safetensors(path()).tensors.size(), 30'000U);
}

TEST_F(SafetensorsTest, LongNamesAreCutInErrors) {
  const std::string cut(99, 'n');
  const std::string name = cut + "\u4e2d" + std::string(1'000'000, 'n');
  EXPECT_EQ(read_error(assemble("{\"" + name + R"(":3})")),
            "read_safetensors: " + path().string() + ": tensor '" + cut +
                "'... (1000102 bytes) has no description");
  EXPECT_LT(
      read_error(assemble(R"({"x":{"dtype":")" + name + R"(","shape":[],"data_offsets":[0,0]}})"))
          .size(),
      path().string().size() + 300);
  EXPECT_NE(read_error(assemble(R"({"a\n\u0000":3})")).find(R"(tensor 'a\x0a\x00' has no)"),
            std::string::npos);
  EXPECT_LT(error_of([&] { read_safetensors(std::string(1'000'000, 'p')); }).size(), 5000U);
}

TEST_F(SafetensorsTest, APathThatHoldsANulIsRefused) {
  const std::string name = path().string() + std::string(1, '\0') + "b";
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(error_of([&] { write_safetensors(name, example()); }),
              "write_safetensors: " + path().string() + "\\x00b: a path cannot hold a NUL");
  }
  EXPECT_EQ(error_of([&] { read_safetensors(name); }),
            "read_safetensors: " + path().string() + "\\x00b: a path cannot hold a NUL");
  EXPECT_EQ(files(), 0U);
}

/// Changes some bytes, mostly to those that have a meaning, and copies, removes or repeats parts.
std::string mutated(std::string bytes, xgrad::Generator& random) {
  constexpr std::string_view alphabet = "{}[]\",:\\0123456789-.eEu \n\t\x80\xff\xef";
  const auto at = [&] { return static_cast<std::size_t>(random.below(bytes.size() + 1)); };
  for (std::uint64_t i = random.below(4) + 1; i > 0; --i) {
    const std::size_t place = at();
    const std::size_t length = std::min<std::size_t>(random.below(24), bytes.size() - place);
    switch (random.below(5)) {
      case 0:
        bytes.erase(place, length);
        break;
      case 1:
        bytes.insert(at(), bytes.substr(place, length));
        break;
      case 2:
        bytes.insert(place, 1, alphabet[random.below(alphabet.size())]);
        break;
      case 3:
        if (place < bytes.size()) bytes[place] = static_cast<char>(random.below(256));
        break;
      default:
        if (place < bytes.size()) bytes[place] = alphabet[random.below(alphabet.size())];
    }
  }
  return bytes;
}

// A file is read or refused by an error that names it; one that was read can be written, and is
// then read as the same.
TEST_F(SafetensorsTest, NoMutatedFileCrashesOrIsReadHalf) {
  write_safetensors(path(), example());
  const std::string bytes = slurp(path());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  const std::string header = bytes.substr(8, length);
  const std::string data = bytes.substr(8 + length);
  xgrad::Generator random(19);
  const int count = std::getenv("XGRAD_THOROUGH") ? 1'000'000 : 8'000;
  int read = 0;
  for (int i = 0; i < count; ++i) {
    // Mostly with the right length in front, for otherwise hardly anything gets further.
    const bool whole = random.below(8) == 0;
    const std::string file =
        whole ? mutated(bytes, random) : assemble(mutated(header, random), data);
    spill(path(), file);
    try {
      const SafetensorsFile first = read_safetensors(path());
      if (++read > 30) continue;  // to write is slow
      write_safetensors(path("again"), first);
      const SafetensorsFile second = read_safetensors(path("again"));
      ASSERT_EQ(second.metadata, first.metadata);
      ASSERT_EQ(second.tensors.size(), first.tensors.size());
      for (const auto& [name, tensor] : first.tensors) {
        expect_same_bits(second.tensors.at(name), tensor);
      }
    } catch (const xgrad::Error& error) {
      ASSERT_TRUE(std::string(error.what()).starts_with("read_safetensors: " + path().string()))
          << error.what();
    }
  }
  EXPECT_GT(read, count / 100);  // or it tests little
  EXPECT_LT(read, count * 9 / 10);
}

TEST_F(SafetensorsTest, UnreadableFilesAreNamed) {
  EXPECT_NE(error_of([&] { read_safetensors(path("none")); }).find("No such file"),
            std::string::npos);
  EXPECT_NE(error_of([&] { read_safetensors(folder_); }).find("not a file"), std::string::npos);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_NE(error_of([&] { read_safetensors(path("pipe")); }).find("not a file"),
            std::string::npos);
}

TEST_F(SafetensorsTest, RefusesWhatTheFormatCannotHold) {
  SafetensorsFile file;
  file.tensors["z"] = Tensor::zeros({2}, DType::complex128);
  EXPECT_EQ(error_of([&] { write_safetensors(path(), file); }),
            "write_safetensors: " + path().string() +
                ": tensor 'z' is complex128: must be float32 or float64");
  // Control characters of a name are spelled out.
  SafetensorsFile unprintable;
  unprintable.tensors["z\x7f\n"] = Tensor::zeros({2}, DType::complex128);
  EXPECT_NE(error_of([&] { write_safetensors(path(), unprintable); }).find("'z\\x7f\\x0a'"),
            std::string::npos);
  file.tensors = {{"__metadata__", Tensor::zeros({2})}};
  EXPECT_NE(error_of([&] { write_safetensors(path(), file); }).find("cannot be named"),
            std::string::npos);
  file.tensors.clear();
  file.metadata["k"] = "\xff";
  EXPECT_NE(error_of([&] { write_safetensors(path(), file); }).find("valid UTF-8"),
            std::string::npos);
  EXPECT_EQ(files(), 0U);
}

TEST_F(SafetensorsTest, AFailedWriteLeavesTheOldFileAndNothingElse) {
  write_safetensors(path(), example());
  const std::string old = slurp(path());
  SafetensorsFile large;
  large.tensors["x"] = Tensor::zeros({100'000});

  // A limit on the size of files is to `write` what a full disk is: part of it fits.
  struct rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const struct rlimit small = {65536, limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text = error_of([&] { write_safetensors(path(), large); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, handler);

  EXPECT_NE(text.find("cannot write: File too large"), std::string::npos) << text;
  EXPECT_EQ(slurp(path()), old);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafetensorsTest, AFolderThatIsNotThereIsNamed) {
  const std::string text = error_of([&] { write_safetensors(path("none/file"), example()); });
  EXPECT_NE(text.find("none/file"), std::string::npos);
  EXPECT_NE(text.find("No such file or directory"), std::string::npos);
}

TEST_F(SafetensorsTest, AFolderInTheWayLeavesNothingBehind) {
  fs::create_directory(path());
  EXPECT_EQ(error_of([&] { write_safetensors(path(), example()); }),
            "write_safetensors: " + path().string() + ": not a file");
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafetensorsTest, APipeStaysAPipe) {
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  fs::create_symlink(path(), path("link"));
  for (const fs::path& name : {path(), path("link")}) {
    EXPECT_NE(error_of([&] { write_safetensors(name, example()); }).find("not a file"),
              std::string::npos);
  }
  EXPECT_TRUE(fs::is_fifo(path()));
  EXPECT_EQ(files(), 2U);
}

TEST_F(SafetensorsTest, AFileThatMayNotBeWrittenStays) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write every file";
  write_safetensors(path(), {});
  fs::permissions(path(), fs::perms::owner_read);
  EXPECT_NE(error_of([&] { write_safetensors(path(), example()); }).find("Permission denied"),
            std::string::npos);
  EXPECT_TRUE(read_safetensors(path()).tensors.empty());
}

TEST_F(SafetensorsTest, ReplacesTheFileBehindALinkAndKeepsItsRights) {
  write_safetensors(path(), {});
  fs::permissions(path(), fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path(), path("link"));
  write_safetensors(path("link"), example());
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read_safetensors(path()).tensors.size(), 4U);
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(SafetensorsTest, FollowsLinksToAFileThatIsNotThereYet) {
  fs::create_directory(path("runs"));
  fs::create_symlink("runs/next", path("latest"));  // from the folder it lies in
  fs::create_symlink(path("latest"), path("link"));
  write_safetensors(path("link"), example());
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_TRUE(fs::is_symlink(path("latest")));
  EXPECT_EQ(read_safetensors(path("runs/next")).tensors.size(), 4U);

  fs::create_symlink("round", path("round"));
  EXPECT_NE(error_of([&] { write_safetensors(path("round"), example()); }).find("leads to itself"),
            std::string::npos);
}

TEST_F(SafetensorsTest, WhatAKilledProcessLeftBehindIsRemoved) {
  // Its number may be ours again. Ours counts its files.
  for (int count = 0; count < 1000; ++count) {
    spill(path().string() + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count), "");
  }
  write_safetensors(path(), example());
  EXPECT_EQ(read_safetensors(path()).tensors.size(), 4U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafetensorsTest, WhatALivingProcessWritesStays) {
  const std::string name = path().string() + ".tmp-1-2";
  spill(name, "");
  const int fd = ::open(name.c_str(), O_RDONLY);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  for (const char* other : {".tmp-1-", ".tmp-", ".tmp-1-2-3", ".tmp-1-b", ".tmp-12"}) {
    spill(path().string() + other, "");
  }
  spill(path("other.tmp-1-2"), "");
  write_safetensors(path(), example());
  EXPECT_EQ(files(), 8U);
  ::close(fd);
  write_safetensors(path(), example());
  EXPECT_EQ(files(), 7U);
}

TEST_F(SafetensorsTest, AProcessThatIsKilledWhileItWritesLeavesTheOldFile) {
  write_safetensors(path(), example());
  const std::string old = slurp(path());
  SafetensorsFile large;
  large.tensors["x"] = Tensor::zeros({100'000});
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // the system ends it in the middle of the file
    const struct rlimit small = {65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const struct rlimit none = {0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::signal(SIGXFSZ, SIG_DFL);
    write_safetensors(path(), large);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(slurp(path()), old);
  EXPECT_EQ(files(), 2U);
  write_safetensors(path(), large);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SafetensorsTest, SeveralThreadsMayWriteOneFile) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10; ++k) write_safetensors(path(), example());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(read_safetensors(path()).tensors.size(), 4U);
  EXPECT_EQ(files(), 1U);
}

}  // namespace
