#include "examples/process.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace xgrad::testing {

namespace fs = std::filesystem;

namespace {

/// Sends what the child prints to a file: unlike a pipe it never makes anybody wait.
void redirect(int stream, const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || ::dup2(fd, stream) < 0) ::_exit(126);
}

}  // namespace

fs::path Process::output(const char* stream) const {
  const int child = id_ > 0 ? id_ : ::getpid();
  return fs::temp_directory_path() / ("xgrad-process-" + std::to_string(child) + stream);
}

Process::Process(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  id_ = ::fork();
  if (id_ < 0) throw std::runtime_error("cannot start a process");
  if (id_ == 0) {
    redirect(STDOUT_FILENO, output(".out"));
    redirect(STDERR_FILENO, output(".err"));
    ::execv(words[0], words.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (!ended_) {
    send(SIGKILL);
    ended(true);
  }
  fs::remove(output(".out"));
  fs::remove(output(".err"));
}

void Process::send(int signal) const {
  if (!ended_) ::kill(id_, signal);
}

bool Process::ended(bool block) {
  if (ended_) return true;
  int result;
  do {
    result = ::waitpid(id_, &status_, block ? 0 : WNOHANG);
  } while (result < 0 && errno == EINTR);
  ended_ = result == id_;
  return ended_;
}

bool Process::wait_until(const std::function<bool()>& condition) {
  while (!condition()) {
    if (ended(false)) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string Process::error_output() const { return slurp(output(".err")); }

Ended Process::wait() {
  ended(true);
  Ended result;
  if (WIFEXITED(status_)) result.status = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
  result.out = slurp(output(".out"));
  result.err = slurp(output(".err"));
  return result;
}

Ended run(const std::vector<std::string>& command) { return Process(command).wait(); }

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void spill(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "xgrad-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() { fs::remove_all(path_); }

}  // namespace xgrad::testing
