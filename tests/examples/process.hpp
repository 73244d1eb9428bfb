#pragma once

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// Runs programs as a user would, for the tests of the examples.
namespace xgrad::testing {

/// How a program ended, and what it printed.
struct Ended {
  int status = -1;  ///< its exit status, -1 if a signal ended it
  int signal = 0;   ///< that signal
  std::string out;
  std::string err;
};

/// A program that runs beside us. One that is still running at the end of the scope is killed.
class Process {
 public:
  explicit Process(const std::vector<std::string>& command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  /// Waits until the condition holds or the program has ended; true if it holds.
  bool wait_until(const std::function<bool()>& condition);
  /// What it has printed as errors so far.
  std::string error_output() const;
  Ended wait();

 private:
  bool ended(bool block);
  std::filesystem::path output(const char* stream) const;

  int id_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// Runs a program to its end.
Ended run(const std::vector<std::string>& command);

/// All bytes of a file.
std::string slurp(const std::filesystem::path& path);
void spill(const std::filesystem::path& path, const std::string& bytes);

/// An empty folder, removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace xgrad::testing
