// What write_safetensors asks of the system, in which order. A power cut between a write and the
// rename must not leave a name without its data, which no test can stage.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xgrad/nn/files/safetensors.hpp>

namespace {

namespace fs = std::filesystem;

struct Calls {
  std::vector<std::string> names;
  int error = 0;  ///< with which fsync fails
};
thread_local Calls* calls = nullptr;

}  // namespace

// In place of the C library's, for this whole program.
extern "C" int fsync(int fd) {
  if (calls) {
    struct stat status {};
    ::fstat(fd, &status);
    calls->names.push_back(S_ISDIR(status.st_mode)
                               ? "sync the folder"
                               : "sync " + std::to_string(status.st_size) + " bytes");
    if (calls->error != 0) {
      errno = calls->error;
      return -1;
    }
  }
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  if (calls) calls->names.emplace_back("rename");
  return ::renameat(AT_FDCWD, from, AT_FDCWD, to);
}

namespace {

class DurableWrite : public testing::Test {
 protected:
  DurableWrite() {
    fs::create_directories(folder_);
    file_.tensors["x"] = xgrad::Tensor::zeros({1000});
    calls = &calls_;
  }
  ~DurableWrite() override {
    calls = nullptr;
    fs::remove_all(folder_);
  }

  fs::path folder_ = fs::temp_directory_path() / ("xgrad_durable_" + std::to_string(::getpid()));
  fs::path path_ = folder_ / "model.safetensors";
  xgrad::nn::SafetensorsFile file_;
  Calls calls_;
};

TEST_F(DurableWrite, TheDataAreOnDiskBeforeTheirNameAndTheNameBeforeItReturns) {
  xgrad::nn::write_safetensors(path_, file_);
  const std::string size = std::to_string(fs::file_size(path_));
  EXPECT_EQ(calls_.names,
            (std::vector<std::string>{"sync " + size + " bytes", "rename", "sync the folder"}));
}

TEST_F(DurableWrite, APathWithoutAFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  xgrad::nn::write_safetensors("bare", file_);
  fs::current_path(before);
  ASSERT_EQ(calls_.names.size(), 3U);
  EXPECT_EQ(calls_.names[2], "sync the folder");
}

TEST_F(DurableWrite, WhatCannotBeSyncedReplacesNothing) {
  xgrad::nn::write_safetensors(path_, file_);
  file_.tensors["x"] = xgrad::Tensor::zeros({10});
  calls_ = {.names = {}, .error = EIO};
  try {
    xgrad::nn::write_safetensors(path_, file_);
    ADD_FAILURE() << "no error";
  } catch (const xgrad::Error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot sync: Input/output error"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(calls_.names.size(), 1U);  // no rename
  calls_.error = 0;
  EXPECT_EQ(xgrad::nn::read_safetensors(path_).tensors.at("x").size(), 1000);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
