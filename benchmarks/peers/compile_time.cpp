#include "compile_time.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace peers {
namespace {

class Compilation final : public Contender {
 public:
  Compilation(const std::string& directory, const std::string& command)
      : command_("cd '" + directory + "' && CCACHE_DISABLE=1 " + command + " 2>&1") {}
  void run() override {
    if (std::system(command_.c_str()) != 0) {
      throw std::runtime_error("this does not compile: " + command_);
    }
  }
  std::vector<Array> result() override {
    run();
    return {{"compilations", {}, {1}}};
  }

 private:
  std::string command_;
};

}  // namespace

ContenderPtr compilation(const std::string& file) {
  std::ifstream commands(PEERS_COMPILE_COMMANDS);
  if (!commands) return nullptr;
  for (const auto& entry : nlohmann::json::parse(commands)) {
    const std::filesystem::path source = entry.at("file").get<std::string>();
    if (source.filename() != file) continue;
    const std::filesystem::path directory = entry.at("directory").get<std::string>();
    if (entry.contains("output")) {
      const auto output = directory / entry["output"].get<std::string>();
      std::filesystem::create_directories(output.parent_path());
    }
    return std::make_unique<Compilation>(directory, entry.at("command").get<std::string>());
  }
  return nullptr;
}

}  // namespace peers
